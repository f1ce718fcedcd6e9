//! What may be attached to a message: held against names, media types, sizes and the first octets of the content.
//!
//! The host takes the message apart (RFC 2045, RFC 2046) and decodes it; every part is looked at, in messages within the message too. A message
//! that can't be taken apart is never let through as if there were nothing in it.

mod content;
mod policy;

use postgate_sdk::config::{self, Configuration};
use postgate_sdk::editor;
use postgate_sdk::hook::{Message, MessageVerdict, SettingProblem, Setup};
use postgate_sdk::parts::{self, Part, PartError};
use postgate_sdk::{Reply, export, log};

use policy::{Action, Finding, Policy};

struct AttachmentPolicy;

export!(AttachmentPolicy: setup, message);

static POLICY: Configuration<Policy> = Configuration::new();

impl Setup for AttachmentPolicy {
    fn on_setup() -> Vec<SettingProblem> {
        config::problems::<Policy>()
    }
}

impl Message for AttachmentPolicy {
    fn on_message() -> MessageVerdict {
        let policy = match POLICY.load() {
            Ok(policy) => policy,
            Err(reply) => return MessageVerdict::Defer(reply),
        };
        let all = match parts::all() {
            Ok(all) => all,
            Err(PartError::TooComplex | PartError::TooLarge) => {
                log::warn("message not taken apart", &[]);
                return unreadable(policy);
            }
            Err(PartError::NotNow | PartError::NoSuchPart) => return MessageVerdict::Defer(Reply::try_again_later()),
        };
        for part in &all {
            let first = match parts::content(part.number, 0, FIRST_BYTES) {
                Ok(first) => first,
                Err(_) => return MessageVerdict::Defer(Reply::try_again_later()),
            };
            let holds_others = all.iter().any(|other| other.parent == Some(part.number));
            let Some(finding) = policy.finding(part, holds_others, &first) else { continue };
            let name = part.file_name.as_deref().unwrap_or_default();
            log::info("attachment found", &[("name", name), ("why", finding.name())]);
            if let Some(verdict) = act(policy, part, finding) {
                return verdict;
            }
        }
        MessageVerdict::Next
    }
}

/// What is done about a part; none where the message goes on without it.
fn act(policy: &Policy, part: &Part, finding: Finding) -> Option<MessageVerdict> {
    match policy.action {
        Action::Reject => Some(MessageVerdict::Reject(refusal(finding))),
        Action::Quarantine => Some(MessageVerdict::Quarantine(policy.label.clone())),
        Action::Remove => {
            let note = policy::note(part, finding);
            match editor::replace_part(part.number, "text/plain; charset=utf-8", note.as_bytes()) {
                Ok(true) => None,
                // The whole message is the attachment: there is nothing left to deliver.
                Ok(false) => Some(MessageVerdict::Reject(refusal(finding))),
                Err(_) => Some(MessageVerdict::Defer(Reply::try_again_later())),
            }
        }
    }
}

fn unreadable(policy: &Policy) -> MessageVerdict {
    match policy.action {
        Action::Quarantine => MessageVerdict::Quarantine(policy.label.clone()),
        Action::Reject | Action::Remove => {
            MessageVerdict::Reject(Reply::new(554, "5.6.0", "The structure of the message is too complex"))
        }
    }
}

fn refusal(finding: Finding) -> Reply {
    Reply::new(554, "5.7.1", &format!("An attachment is not accepted here: {}", finding.name()))
}

/// Octets of each part that are looked at.
const FIRST_BYTES: u32 = 512;
