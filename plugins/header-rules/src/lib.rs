//! An ordered list of rules about header fields, envelope, identity and size, for what would be too small for a plugin of its own.
//!
//! Each rule has conditions that must all hold, and actions that are then taken in order. An action that is a verdict, or `stop`, ends
//! the list; edits do not. What a rule has changed, the rules behind it see.

mod rule;

use postgate_sdk::config::{self, Configuration};
use postgate_sdk::editor::{self, EditError};
use postgate_sdk::hook::{Message, MessageVerdict, SettingProblem, Setup};
use postgate_sdk::{Mailbox, Reply, export, log, mail_data, parts, session, transaction};

use rule::{Action, Condition, Rule, Subject, Table};

struct HeaderRules;

export!(HeaderRules: setup, message);

static RULES: Configuration<Table> = Configuration::new();

impl Setup for HeaderRules {
    fn on_setup() -> Vec<SettingProblem> {
        config::problems::<Table>()
    }
}

impl Message for HeaderRules {
    fn on_message() -> MessageVerdict {
        MessageVerdict::decide(|| {
            for rule in RULES.load()?.rules.iter().filter(|rule| rule.when.iter().all(holds)) {
                log!(info, "rule holds", rule = rule.name);
                if let Some(verdict) = act(rule) {
                    return Ok(verdict);
                }
            }
            Ok(MessageVerdict::Next)
        })
    }
}

fn holds(condition: &Condition) -> bool {
    let texts = match &condition.subject {
        Subject::Field(name) => parts::field(name).unwrap_or_default(),
        Subject::ReversePath => match transaction::reverse_path() {
            Ok(Some(mailbox)) => vec![mailbox.to_string()],
            Ok(None) => vec![String::new()],
            Err(_) => Vec::new(),
        },
        Subject::Recipient => {
            let recipients = transaction::recipients().unwrap_or_default();
            recipients.iter().map(|recipient| recipient.mailbox.to_string()).collect()
        }
        Subject::Identity => session::identity().map(|identity| identity.name).into_iter().collect(),
        Subject::Remote => vec![session::remote().address],
        Subject::Size => return condition.holds_for_size(mail_data::size().unwrap_or_default()),
    };
    condition.holds_for(&texts)
}

/// Takes the actions of a rule; a verdict where they end in one.
fn act(rule: &Rule) -> Option<MessageVerdict> {
    for action in &rule.then {
        let edited = match action {
            Action::Reject(text) => return Some(MessageVerdict::reject(554, "5.7.1", text)),
            Action::Defer(text) => return Some(MessageVerdict::defer(451, "4.7.1", text)),
            Action::Quarantine(label) => return Some(MessageVerdict::Quarantine(label.clone())),
            Action::Discard(reason) => return Some(MessageVerdict::Discard(reason.clone())),
            Action::Stop => return Some(MessageVerdict::Next),
            Action::AddField { name, value } => editor::prepend_field(name, value.as_bytes()),
            Action::ReplaceField { name, value } => replace(name, value),
            Action::RemoveField(name) => editor::remove_fields(name).map(drop),
            Action::AddRecipient(mailbox) => match Mailbox::parse(mailbox) {
                Some(mailbox) => editor::add_recipient(&mailbox),
                None => Err(EditError::Invalid("not a mailbox".to_owned())),
            },
        };
        if let Err(error) = edited {
            log::error("edit refused", &[("rule", &rule.name), ("problem", &format!("{error:?}"))]);
            return Some(MessageVerdict::Defer(Reply::try_again_later()));
        }
    }
    None
}

/// The first field of that name gets the value, and the others go.
fn replace(name: &str, value: &str) -> Result<(), EditError> {
    let removed = editor::remove_fields(name)?;
    if removed > 0 { editor::append_field(name, value.as_bytes()) } else { Ok(()) }
}
