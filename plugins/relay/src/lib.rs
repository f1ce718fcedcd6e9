//! Hands messages to a relay while the client waits: what the relay says of a recipient is what the client hears.
//!
//! Whatever goes wrong on the way defers. So does a configuration that can't be used: what the operator can mend is never a bounce.

mod settings;

use postgate_sdk::config::{self, Configuration};
use postgate_sdk::hook::{Deliver, Outcome, SettingProblem, Setup};
use postgate_sdk::submit::{self, Submission};
use postgate_sdk::{Mailbox, Reply, ServiceError, export, log};

use settings::Settings;

struct Relay;

export!(Relay: setup, deliver);

static SETTINGS: Configuration<Settings> = Configuration::new();

impl Setup for Relay {
    fn on_setup() -> Vec<SettingProblem> {
        let problems = config::problems::<Settings>();
        // There is no message to hand over yet: a relay that the grant names says so, and any other is denied.
        match config::read::<Settings>().map(|settings| submit::relay(settings.relay(), &[])) {
            Ok(Err(ServiceError::Denied(message))) => {
                vec![SettingProblem { path: vec!["relay".to_owned()], message }]
            }
            Ok(_) | Err(_) => problems,
        }
    }
}

impl Deliver for Relay {
    fn on_deliver(recipients: Vec<Mailbox>) -> Vec<Outcome> {
        match SETTINGS.load() {
            Ok(settings) => deliver(settings, &recipients, submit::relay),
            Err(reply) => recipients.iter().map(|_undecided| Outcome::Deferred(reply.clone())).collect(),
        }
    }
}

/// Those that are this relay's go in one transaction; the others are left to the next plugin.
fn deliver(
    settings: &Settings,
    recipients: &[Mailbox],
    relay: impl FnOnce(&str, &[Mailbox]) -> Result<Vec<Submission>, ServiceError>,
) -> Vec<Outcome> {
    let ours: Vec<Mailbox> = recipients.iter().filter(|recipient| settings.contains(recipient)).cloned().collect();
    if ours.is_empty() {
        return vec![Outcome::Next; recipients.len()];
    }
    let mut outcomes = match relay(settings.relay(), &ours) {
        Ok(submissions) => submissions.into_iter().map(outcome).collect(),
        Err(error) => {
            let reply = trouble(&error);
            vec![Outcome::Deferred(reply); ours.len()]
        }
    }
    .into_iter();
    let missing = || Outcome::Deferred(Reply::try_again_later());
    recipients
        .iter()
        .map(|recipient| match settings.contains(recipient) {
            true => outcomes.next().unwrap_or_else(missing),
            false => Outcome::Next,
        })
        .collect()
}

fn outcome(submission: Submission) -> Outcome {
    match submission {
        Submission::Taken(_said) => Outcome::Delivered,
        Submission::Failed(reply) => Outcome::Failed(reply),
        // A 421 is about the relay's connection; ours stays.
        Submission::Deferred(reply) if reply.code == 421 => Outcome::Deferred(Reply { code: 451, ..reply }),
        Submission::Deferred(reply) => Outcome::Deferred(reply),
    }
}

fn trouble(error: &ServiceError) -> Reply {
    let (what, problem) = match error {
        ServiceError::Denied(problem) => ("relay not granted", problem.as_str()),
        ServiceError::Invalid(problem) => ("relay can't take the envelope", problem.as_str()),
        ServiceError::Quota(problem) => ("relay not allowed now", problem.as_str()),
        ServiceError::Unavailable(problem) => ("relay not available", problem.as_str()),
        ServiceError::NotNow => ("relay not possible now", "there is no message"),
    };
    log::error(what, &[("problem", problem)]);
    Reply::try_again_later()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailboxes(texts: &[&str]) -> Vec<Mailbox> {
        texts.iter().map(|text| Mailbox::parse(text).expect("invariant: the sample is a mailbox")).collect()
    }

    fn settings(json: &str) -> Settings {
        config::parse(json).expect("invariant: the sample is right")
    }

    #[test]
    fn one_outcome_for_each_recipient_in_order() {
        let settings = settings(r#"{"relay": "upstream", "domains": ["example.org"]}"#);
        let recipients = mailboxes(&["a@example.org", "x@example.com", "b@example.org", "c@example.org"]);
        let outcomes = deliver(&settings, &recipients, |name, recipients| {
            assert_eq!((name, recipients.len()), ("upstream", 3));
            Ok(vec![
                Submission::Taken(Reply::new(250, "2.0.0", "ok")),
                Submission::Failed(Reply::new(550, "5.1.1", "no")),
                Submission::Deferred(Reply::new(421, "4.3.2", "closing")),
            ])
        });
        let expected = [
            Outcome::Delivered,
            Outcome::Next,
            Outcome::Failed(Reply::new(550, "5.1.1", "no")),
            Outcome::Deferred(Reply::new(451, "4.3.2", "closing")),
        ];
        assert_eq!(outcomes, expected);
    }

    #[test]
    fn the_relay_is_not_asked_about_nobody() {
        let settings = settings(r#"{"relay": "upstream", "domains": ["example.org"]}"#);
        let outcomes = deliver(&settings, &mailboxes(&["x@example.com"]), |_, _| Err(ServiceError::NotNow));
        assert_eq!(outcomes, [Outcome::Next]);
    }

    #[test]
    fn fewer_answers_than_recipients_defer() {
        let settings = settings(r#"{"relay": "upstream", "domains": "all"}"#);
        let outcomes = deliver(&settings, &mailboxes(&["x@example.com"]), |_, _| Ok(Vec::new()));
        assert_eq!(outcomes, [Outcome::Deferred(Reply::try_again_later())]);
    }
}
