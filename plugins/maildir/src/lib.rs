//! Delivers into Maildirs below the directory that the operator has granted.
//!
//! The host's service writes and syncs; this plugin says which mailbox is whose, and turns what became of it into one
//! outcome for each recipient. Trouble that the operator can mend is never a bounce: such a recipient is deferred.

mod mailboxes;

use std::collections::BTreeMap;

use postgate_sdk::config::{self, Configuration};
use postgate_sdk::hook::{Deliver, Outcome, SettingProblem, Setup};
use postgate_sdk::maildir::{self, MaildirError};
use postgate_sdk::{Mailbox, Reply, export, log};

use mailboxes::Mailboxes;

struct Maildir;

export!(Maildir: setup, deliver);

static MAILBOXES: Configuration<Mailboxes> = Configuration::new();

impl Setup for Maildir {
    fn on_setup() -> Vec<SettingProblem> {
        config::problems::<Mailboxes>()
    }
}

impl Deliver for Maildir {
    fn on_deliver(recipients: Vec<Mailbox>) -> Vec<Outcome> {
        match MAILBOXES.load() {
            Ok(mailboxes) => deliver(mailboxes, &recipients, maildir::store),
            Err(reply) => recipients.iter().map(|_undecided| Outcome::Deferred(reply.clone())).collect(),
        }
    }
}

/// Recipients of the same mailbox, such as `alice` and `Alice`, get the message once.
fn deliver(
    mailboxes: &Mailboxes,
    recipients: &[Mailbox],
    store: impl Fn(&[String]) -> Result<(), MaildirError>,
) -> Vec<Outcome> {
    let mut outcomes: BTreeMap<Vec<String>, Outcome> = BTreeMap::new();
    recipients
        .iter()
        .map(|recipient| {
            let Some(path) = mailboxes.path(recipient) else { return Outcome::Next };
            outcomes.entry(path).or_insert_with_key(|path| outcome(path, store(path))).clone()
        })
        .collect()
}

fn outcome(path: &[String], stored: Result<(), MaildirError>) -> Outcome {
    match stored {
        Ok(()) => Outcome::Delivered,
        Err(MaildirError::NoSpace) => Outcome::Deferred(Reply::new(452, "4.3.1", "Insufficient system storage")),
        Err(MaildirError::Unavailable | MaildirError::NotNow | MaildirError::TooMany) => {
            Outcome::Deferred(Reply::try_again_later())
        }
        Err(MaildirError::InvalidPath(problem)) => {
            log::error("mailbox path refused", &[("path", &path.join("/")), ("problem", &problem)]);
            Outcome::Deferred(Reply::new(451, "4.3.5", "Mailbox is not configured properly"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use postgate_sdk::config;

    use super::*;

    fn mailbox(text: &str) -> Mailbox {
        Mailbox::parse(text).expect("invariant: the sample is a mailbox")
    }

    #[test]
    fn one_outcome_for_each_recipient_in_order() {
        let mailboxes: Mailboxes = config::parse(r#"{"domains": ["example.org"]}"#).expect("invariant: right");
        let recipients = ["full@example.org", "x@example.com", "alice@example.org", "broken@example.org"].map(mailbox);
        let outcomes = deliver(&mailboxes, &recipients, |path| match path.last().map(String::as_str) {
            Some("full") => Err(MaildirError::NoSpace),
            Some("broken") => Err(MaildirError::Unavailable),
            _ => Ok(()),
        });
        let codes: Vec<(u16, Option<String>)> = outcomes
            .iter()
            .map(|outcome| match outcome {
                Outcome::Next => (0, None),
                Outcome::Delivered => (250, None),
                Outcome::Failed(reply) | Outcome::Deferred(reply) => {
                    (reply.code, reply.enhanced.map(|enhanced| enhanced.to_string()))
                }
            })
            .collect();
        assert_eq!(codes, [(452, Some("4.3.1".into())), (0, None), (250, None), (451, Some("4.3.0".into()))]);
    }

    #[test]
    fn a_mailbox_gets_a_message_once() {
        let mailboxes: Mailboxes = config::parse(r#"{"domains": "all"}"#).expect("invariant: right");
        let stored = RefCell::new(Vec::new());
        let outcomes = deliver(&mailboxes, &["alice@example.org", "ALICE@example.org"].map(mailbox), |path| {
            stored.borrow_mut().push(path.join("/"));
            Ok(())
        });
        assert_eq!(outcomes, [Outcome::Delivered, Outcome::Delivered]);
        assert_eq!(stored.into_inner(), ["example.org/alice"]);
    }
}
