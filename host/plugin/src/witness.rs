//! What a rehearsal sees of a run: every call of a guest, what it cost, what it said, and what became of messages.
//!
//! A run that serves clients has no witness, and pays nothing for it.

use std::fmt::Write;
use std::time::Duration;

use crate::bindings::exports::postgate::mail::authenticate::Authentication;
use crate::bindings::exports::postgate::mail::deliver::Outcome;
use crate::bindings::exports::postgate::mail::expand::Expansion;
use crate::bindings::exports::postgate::mail::hello::HelloAnswer;
use crate::bindings::exports::postgate::mail::message::MessageVerdict;
use crate::bindings::exports::postgate::mail::verify::Verification;
use crate::bindings::postgate::mail::types::{DirectoryEntry, Reply, Verdict};
use crate::context::Mailbox;
use crate::failure::{Cause, Failure, Policy};
use crate::hook::Hook;
use crate::message::Message;
use crate::run::Event;

/// Whom a run tells what happens in it.
pub trait Witness: Send + Sync {
    /// How the next call of that plugin's hook is to fail without being made; asked once for each.
    fn fails(&self, plugin: &str, hook: Hook) -> Option<Cause>;

    /// A guest was called, and has answered or not.
    fn called(&self, call: Call<'_>);

    /// A policy speaks for a plugin: for the last call that was told, or for one that could not be made.
    fn failed(&self, failed: Failed<'_>);

    /// The session has begun anew: its notes are gone.
    fn restarted(&self);

    /// Something has happened that plugins can observe. With the message as it is now, where there is one, and the recipients of the
    /// transaction.
    fn happened(&self, event: Event<'_>, message: Option<&Message>, recipients: &[Mailbox]);
}

/// A call of a guest.
#[derive(Debug)]
pub struct Call<'a> {
    /// The plugin.
    pub plugin: &'a str,
    /// What it was asked.
    pub hook: Hook,
    /// What it said; of `deliver` a saying for each recipient. None where it failed.
    pub said: Option<Vec<Saying>>,
    /// Fuel that was burnt.
    pub fuel: u64,
    /// Octets of linear memory that its instance has; it never has less than before.
    pub memory_bytes: usize,
    /// Wall-clock time, making the instance not included.
    pub time: Duration,
    /// The session's notes behind the call.
    pub notes: &'a [(String, String)],
}

/// What a guest said, in the words of `wit/hooks.wit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saying {
    /// `next`, `accept`, `reject` …
    pub word: &'static str,
    /// Its reply, reason, label or identity; empty where there is none.
    pub detail: String,
}

/// A failure, and the policy that speaks for it.
#[derive(Debug)]
pub struct Failed<'a> {
    /// The plugin.
    pub plugin: &'a str,
    /// What it was asked.
    pub hook: Hook,
    /// Why it did not answer.
    pub cause: Cause,
    /// What happened, with the guest's backtrace where there is one.
    pub detail: &'a str,
    /// The end of what it wrote to its standard error.
    pub stderr: &'a str,
    /// What is done.
    pub policy: Policy,
}

impl<'a> Failed<'a> {
    pub(crate) fn new(plugin: &'a str, hook: Hook, failure: &'a Failure, policy: Policy) -> Self {
        Self { plugin, hook, cause: failure.cause, detail: &failure.detail, stderr: &failure.stderr, policy }
    }
}

/// What hooks answer with.
pub(crate) trait Answer {
    /// In words.
    fn said(&self) -> Vec<Saying>;
}

fn say(word: &'static str, detail: impl Into<String>) -> Vec<Saying> {
    vec![Saying { word, detail: detail.into() }]
}

/// `550 5.1.1 No such user`, further lines behind a slash.
fn text(reply: &Reply) -> String {
    let mut text = reply.code.to_string();
    if let Some(enhanced) = &reply.enhanced {
        // Writing to a string does not fail.
        let _ = write!(text, " {}.{}.{}", enhanced.class, enhanced.subject, enhanced.detail);
    }
    if !reply.text.is_empty() {
        let _ = write!(text, " {}", reply.text.join(" / "));
    }
    text
}

fn mailbox(entry: &DirectoryEntry) -> String {
    format!("<{}@{}>", entry.mailbox.local_part, entry.mailbox.domain)
}

impl Answer for Verdict {
    fn said(&self) -> Vec<Saying> {
        match self {
            Verdict::Next => say("next", ""),
            Verdict::Accept => say("accept", ""),
            Verdict::Reject(reply) => say("reject", text(reply)),
            Verdict::Defer(reply) => say("defer", text(reply)),
            Verdict::Disconnect(reply) => say("disconnect", text(reply)),
        }
    }
}

impl Answer for HelloAnswer {
    fn said(&self) -> Vec<Saying> {
        let mut said = self.verdict.said();
        if let (Some(saying), false) = (said.first_mut(), self.keywords.is_empty()) {
            saying.detail = [std::mem::take(&mut saying.detail), self.keywords.join(", ")].join(" ").trim().to_owned();
        }
        said
    }
}

impl Answer for MessageVerdict {
    fn said(&self) -> Vec<Saying> {
        match self {
            MessageVerdict::Next => say("next", ""),
            MessageVerdict::Accept => say("accept", ""),
            MessageVerdict::Reject(reply) => say("reject", text(reply)),
            MessageVerdict::Defer(reply) => say("defer", text(reply)),
            MessageVerdict::Disconnect(reply) => say("disconnect", text(reply)),
            MessageVerdict::Discard(reason) => say("discard", reason.as_str()),
            MessageVerdict::Quarantine(label) => say("quarantine", label.as_str()),
        }
    }
}

impl Answer for Vec<Outcome> {
    fn said(&self) -> Vec<Saying> {
        let outcomes = self.iter().flat_map(|outcome| match outcome {
            Outcome::Next => say("next", ""),
            Outcome::Delivered => say("delivered", ""),
            Outcome::Failed(reply) => say("failed", text(reply)),
            Outcome::Deferred(reply) => say("deferred", text(reply)),
        });
        outcomes.collect()
    }
}

/// Credentials and keys are not shown.
impl Answer for Authentication {
    fn said(&self) -> Vec<Saying> {
        match self {
            Authentication::Next => say("next", ""),
            Authentication::Identity(name) => say("identity", name.as_str()),
            Authentication::Keys(keys) => say("keys", keys.identity.as_str()),
            Authentication::Failure => say("failure", ""),
            Authentication::TemporaryFailure => say("temporary-failure", ""),
        }
    }
}

impl Answer for Verification {
    fn said(&self) -> Vec<Saying> {
        match self {
            Verification::Next => say("next", ""),
            Verification::Found(entry) => say("found", mailbox(entry)),
            Verification::Reply(reply) => say("reply", text(reply)),
        }
    }
}

impl Answer for Expansion {
    fn said(&self) -> Vec<Saying> {
        match self {
            Expansion::Next => say("next", ""),
            Expansion::Members(entries) => say("members", entries.iter().map(mailbox).collect::<Vec<_>>().join(" ")),
            Expansion::Reply(reply) => say("reply", text(reply)),
        }
    }
}

impl Answer for Option<Reply> {
    fn said(&self) -> Vec<Saying> {
        match self {
            None => say("next", ""),
            Some(reply) => say("reply", text(reply)),
        }
    }
}

/// `observe` has nothing to say.
impl Answer for () {
    fn said(&self) -> Vec<Saying> {
        say("told", "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::postgate::mail::types::EnhancedStatus;

    #[test]
    fn verdicts_in_words() {
        let reply = |code, enhanced: Option<(u8, u16, u16)>, lines: &[&str]| Reply {
            code,
            enhanced: enhanced.map(|(class, subject, detail)| EnhancedStatus { class, subject, detail }),
            text: lines.iter().map(|line| (*line).to_owned()).collect(),
        };
        let check = |answer: &dyn Answer, expected: &[(&'static str, &str)]| {
            let said = answer.said();
            let said: Vec<_> = said.iter().map(|saying| (saying.word, saying.detail.as_str())).collect();
            assert_eq!(said, expected);
        };
        check(&Verdict::Next, &[("next", "")]);
        check(&Verdict::Reject(reply(550, Some((5, 1, 1)), &["no", "never"])), &[("reject", "550 5.1.1 no / never")]);
        check(&Verdict::Defer(reply(451, None, &[])), &[("defer", "451")]);
        let keywords = vec!["XPLAN gold".to_owned()];
        check(&HelloAnswer { verdict: Verdict::Next, keywords }, &[("next", "XPLAN gold")]);
        check(&vec![Outcome::Delivered, Outcome::Next], &[("delivered", ""), ("next", "")]);
        check(&None::<Reply>, &[("next", "")]);
        check(&(), &[("told", "")]);
    }
}
