//! What is told in the end: what became of each recipient, and how the process ends.

use std::error::Error;
use std::time::Duration;

use postgate_plugin::WireError;
use postgate_smtp::Reply;
use postgate_smtp::client::{Failure, Outcome};
use serde_json::{Value, json};

use super::super::Exit;
use super::delivery::Delivery;
use super::plan::Plan;
use super::show::{By, Line};
use crate::site::chained;

/// What came of one message.
pub(super) struct Report<'a> {
    pub(super) plan: &'a Plan,
    pub(super) delivery: Delivery,
    /// For JSON.
    pub(super) transcript: Vec<Line>,
    pub(super) tls: Option<String>,
    pub(super) time: Duration,
}

impl Report<'_> {
    /// A line for each recipient.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (n, recipient) in self.plan.recipients.iter().enumerate() {
            match self.delivery.outcomes.get(n) {
                Some(outcome) => text.push_str(&format!("{recipient}: {}: {}\n", self.word(outcome), outcome.reply())),
                None if self.delivery.error.is_some() => text.push_str(&format!("{recipient}: not tried\n")),
                None => {}
            }
        }
        text
    }

    fn word(&self, outcome: &Outcome) -> &'static str {
        match outcome {
            Outcome::Taken(_) if self.plan.client.stop.is_some() => "accepted, and nothing sent",
            Outcome::Taken(_) => "taken",
            Outcome::Deferred(_) => "deferred",
            Outcome::Failed(_) => "refused",
        }
    }

    /// An object with everything.
    pub(super) fn json(&self) -> Value {
        let recipients: Vec<Value> = self
            .plan
            .recipients
            .iter()
            .enumerate()
            .map(|(n, recipient)| {
                let outcome = self.delivery.outcomes.get(n);
                let reply = outcome.map(Outcome::reply);
                json!({
                    "recipient": recipient.to_string(),
                    "outcome": outcome.map(name),
                    "code": reply.map(Reply::code),
                    "enhanced": reply.and_then(Reply::enhanced).map(|enhanced| enhanced.to_string()),
                    "text": reply.map(|reply| reply.lines().collect::<Vec<_>>()),
                })
            })
            .collect();
        let transcript: Vec<Value> = self
            .transcript
            .iter()
            .map(|line| {
                let by = match line.by {
                    By::Client => "client",
                    By::Server => "server",
                    By::Note => "note",
                };
                json!({ "by": by, "text": line.text })
            })
            .collect();
        json!({
            "server": self.plan.server,
            "tls": self.tls,
            "recipients": recipients,
            "error": self.error(),
            "exit": self.exit().map_or(0, |exit| exit as u8),
            "time-ms": milliseconds(self.time),
            "transcript": transcript,
        })
    }

    /// Why the connection failed.
    pub(super) fn error(&self) -> Option<String> {
        self.delivery.error.as_ref().map(|error| explained(self.plan, error))
    }

    /// None where all were taken.
    pub(super) fn exit(&self) -> Option<Exit> {
        exit(&self.delivery)
    }
}

/// How a message ends the process; none where all recipients were taken.
pub(super) fn exit(delivery: &Delivery) -> Option<Exit> {
    if let Some(error) = &delivery.error {
        return Some(exit_of(error));
    }
    let outcomes = &delivery.outcomes;
    if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Failed(_))) {
        Some(Exit::Refused)
    } else if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Deferred(_))) {
        Some(Exit::TemporaryFailure)
    } else {
        None
    }
}

fn exit_of(error: &WireError) -> Exit {
    match error {
        WireError::LookUp(_) | WireError::NoAddress | WireError::Connect { .. } => Exit::Unavailable,
        WireError::Handshake(_) => Exit::Protocol,
        WireError::Dialogue(failure) => match failure {
            Failure::Refused(reply)
            | Failure::Closing(reply)
            | Failure::TlsRefused(reply)
            | Failure::AuthenticationFailed(reply) => {
                if reply.code() >= 500 {
                    Exit::Refused
                } else {
                    Exit::TemporaryFailure
                }
            }
            Failure::TlsNotOffered
            | Failure::NotOffered(_)
            | Failure::NoMechanism
            | Failure::NotAuthentic
            | Failure::Iterations(_)
            | Failure::Malformed(_)
            | Failure::OutOfStep => Exit::Protocol,
            Failure::Timeout | Failure::Lost => Exit::Unavailable,
            Failure::Abandoned(_) => Exit::Data,
        },
    }
}

/// The error with what it comes from, and what could be done about it.
pub(super) fn explained(plan: &Plan, error: &WireError) -> String {
    let text = chained(error as &dyn Error);
    let hint = match error {
        WireError::Handshake(_) if error.is_about_certificate() => {
            "; --ca FILE names an authority, --server-name another name, and --insecure believes everybody"
        }
        WireError::Handshake(_) if plan.implicit => "; a server that speaks in clear first wants --tls starttls",
        WireError::Handshake(_) => "; --tls none does without",
        WireError::Dialogue(Failure::NoMechanism) if !plan.client.secrets_in_clear => {
            "; in clear a password is told to this machine alone, and to another with --tls none"
        }
        WireError::Dialogue(Failure::Malformed(_)) => "; perhaps it speaks TLS from the first octet on: --tls implicit",
        WireError::LookUp(_) | WireError::NoAddress | WireError::Connect { .. } | WireError::Dialogue(_) => "",
    };
    format!("{}: {text}{hint}", plan.server)
}

pub(super) fn name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Taken(_) => "taken",
        Outcome::Deferred(_) => "deferred",
        Outcome::Failed(_) => "refused",
    }
}

/// With microseconds.
pub(super) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
