//! Which recipients are ours, where their mail goes, and how large it may be.
//!
//! At RCPT a recipient of our domains is accepted or refused, by name and by the size that the client has declared. At the
//! end of mail data the real size is held against the bounds, and the recipients that stand for others (aliases, catch-all, forward)
//! are replaced by them. A recipient of another domain is left to the rest of the chain.

mod domains;
mod resolution;
mod size;

use postgate_sdk::config::{self, Configuration};
use postgate_sdk::editor::{self, EditError};
use postgate_sdk::hook::{Message, MessageVerdict, Recipient, SettingProblem, Setup};
use postgate_sdk::transaction::{self, ContextError};
use postgate_sdk::{Mailbox, Parameter, Reply, Verdict, export, log, mail_data};

use domains::Domains;
use resolution::Resolution;

struct VirtualDomains;

export!(VirtualDomains: setup, recipient, message);

static DOMAINS: Configuration<Domains> = Configuration::new();

impl Setup for VirtualDomains {
    fn on_setup() -> Vec<SettingProblem> {
        config::problems::<Domains>()
    }
}

impl Recipient for VirtualDomains {
    fn on_recipient(recipient: Mailbox, _parameters: Vec<Parameter>) -> Verdict {
        let domains = match DOMAINS.load() {
            Ok(domains) => domains,
            Err(reply) => return Verdict::Defer(reply),
        };
        let verdict = decide(domains, &recipient, transaction::declared_size().unwrap_or_default());
        if let Verdict::Defer(_) = verdict {
            log::error("recipient leads nowhere or to too many", &[("recipient", &recipient.to_string())]);
        }
        verdict
    }
}

impl Message for VirtualDomains {
    fn on_message() -> MessageVerdict {
        let domains = match DOMAINS.load() {
            Ok(domains) => domains,
            Err(reply) => return MessageVerdict::Defer(reply),
        };
        match rewrite(domains) {
            Ok(()) => MessageVerdict::Next,
            Err(Obstacle::TooBig(reply)) => MessageVerdict::Reject(reply),
            Err(Obstacle::Quota) => MessageVerdict::Defer(Reply::new(452, "4.5.3", "Too many recipients")),
            Err(Obstacle::Mailbox(mailbox, problem)) => {
                log::error("mailbox refused", &[("mailbox", &mailbox.to_string()), ("problem", &problem)]);
                MessageVerdict::Defer(misconfigured())
            }
            Err(Obstacle::Context) => MessageVerdict::Defer(Reply::try_again_later()),
        }
    }
}

/// What RCPT is answered.
fn decide(domains: &Domains, recipient: &Mailbox, declared_size: Option<u64>) -> Verdict {
    match domains.resolve(recipient) {
        Resolution::Foreign => Verdict::Next,
        Resolution::Unknown => Verdict::Reject(Reply::new(550, "5.1.1", "No such user here")),
        Resolution::Misconfigured => Verdict::Defer(misconfigured()),
        Resolution::Targets(_) => match (declared_size, domains.size_max(recipient)) {
            (Some(size), Some(size_max)) if size > size_max => Verdict::Reject(too_big(recipient, size_max)),
            (_, _) => Verdict::Accept,
        },
    }
}

/// Holds the message against the bounds, and puts everybody in the place of those who stand for him.
fn rewrite(domains: &Domains) -> Result<(), Obstacle> {
    let recipients: Vec<Mailbox> = transaction::recipients()?.into_iter().map(|recipient| recipient.mailbox).collect();
    if let Some(reply) = size_objection(domains, &recipients, mail_data::size()?) {
        return Err(Obstacle::TooBig(reply));
    }
    for (recipient, targets) in replacements(domains, recipients) {
        // The targets first: an envelope without recipients never exists.
        for target in &targets {
            editor::add_recipient(target).map_err(|error| Obstacle::of(target, error))?;
        }
        if !targets.contains(&recipient) {
            editor::remove_recipient(&recipient).map_err(|error| Obstacle::of(&recipient, error))?;
        }
    }
    Ok(())
}

/// The refusal, if the message is larger than any of the recipients' domains takes.
fn size_objection(domains: &Domains, recipients: &[Mailbox], size: u64) -> Option<Reply> {
    recipients.iter().find_map(|recipient| {
        let size_max = domains.size_max(recipient)?;
        (size > size_max).then(|| too_big(recipient, size_max))
    })
}

/// The recipients that are not, letter for letter, where their mail goes.
///
/// One that is unknown or misconfigured was accepted by another plugin, which answers for it.
fn replacements(domains: &Domains, recipients: Vec<Mailbox>) -> Vec<(Mailbox, Vec<Mailbox>)> {
    recipients
        .into_iter()
        .filter_map(|recipient| match domains.resolve(&recipient) {
            Resolution::Targets(targets) if targets != [recipient.clone()] => Some((recipient, targets)),
            Resolution::Targets(_) | Resolution::Foreign | Resolution::Unknown | Resolution::Misconfigured => None,
        })
        .collect()
}

/// Why the recipients could not be replaced.
enum Obstacle {
    TooBig(Reply),
    /// The operator allows no more edits.
    Quota,
    /// The host does not take this mailbox.
    Mailbox(Mailbox, String),
    /// The host does not answer at this hook.
    Context,
}

impl Obstacle {
    fn of(mailbox: &Mailbox, error: EditError) -> Self {
        match error {
            EditError::NotNow => Self::Context,
            EditError::Quota => Self::Quota,
            EditError::Invalid(problem) => Self::Mailbox(mailbox.clone(), problem),
        }
    }
}

impl From<ContextError> for Obstacle {
    fn from(error: ContextError) -> Self {
        match error {
            ContextError::NotNow => Self::Context,
        }
    }
}

fn too_big(recipient: &Mailbox, size_max: u64) -> Reply {
    Reply::new(552, "5.3.4", &format!("Message too big for {}: {size_max} octets at most", recipient.domain))
}

fn misconfigured() -> Reply {
    Reply::new(451, "4.3.5", "Mailbox is not configured properly")
}

#[cfg(test)]
mod tests {
    use postgate_sdk::config;

    use super::*;

    fn sample() -> Domains {
        let json = r#"{"domains": {
            "example.org": {
                "users": ["alice", "bob"],
                "aliases": {"team": ["alice@example.org", "bob@example.org"], "round": "round@example.org"},
                "max-size": 1000
            },
            "large.example": {"users": ["alice"]}
        }}"#;
        config::parse(json).expect("invariant: the sample is right")
    }

    fn mailbox(text: &str) -> Mailbox {
        Mailbox::parse(text).expect("invariant: the sample is a mailbox")
    }

    #[test]
    fn verdicts() {
        let domains = sample();
        let check = |recipient: &str, declared_size: Option<u64>, expected: &str| {
            let verdict = match decide(&domains, &mailbox(recipient), declared_size) {
                Verdict::Next => "next".to_owned(),
                Verdict::Accept => "accept".to_owned(),
                Verdict::Reject(reply) | Verdict::Defer(reply) | Verdict::Disconnect(reply) => {
                    let enhanced = reply.enhanced.map(|enhanced| enhanced.to_string()).unwrap_or_default();
                    format!("{} {enhanced} {}", reply.code, reply.text.join("\n"))
                }
            };
            assert_eq!(verdict, expected, "{recipient} {declared_size:?}");
        };
        check("alice@example.org", None, "accept");
        check("alice@example.org", Some(1000), "accept");
        check("alice@example.org", Some(1001), "552 5.3.4 Message too big for example.org: 1000 octets at most");
        check("alice@large.example", Some(u64::MAX), "accept");
        check("carol@example.org", Some(1001), "550 5.1.1 No such user here");
        check("round@example.org", None, "451 4.3.5 Mailbox is not configured properly");
        check("alice@example.com", Some(1001), "next");
    }

    #[test]
    fn the_strictest_domain_bounds_a_message() {
        let domains = sample();
        let both = ["alice@large.example", "alice@example.org"].map(mailbox);
        assert_eq!(size_objection(&domains, &both, 1000), None);
        assert_eq!(size_objection(&domains, &both, 1001).map(|reply| reply.code), Some(552));
        assert_eq!(size_objection(&domains, &both[..1], 1001), None);
    }

    #[test]
    fn only_who_stands_for_others_is_replaced() {
        let domains = sample();
        let recipients = ["team@example.org", "bob@example.org", "Bob@example.org", "x@example.com", "y@example.org"];
        let replaced = replacements(&domains, recipients.map(mailbox).to_vec());
        let (alice, bob) = (mailbox("alice@example.org"), mailbox("bob@example.org"));
        assert_eq!(
            replaced,
            [(mailbox("team@example.org"), vec![alice, bob.clone()]), (mailbox("Bob@example.org"), vec![bob])]
        );
    }
}
