//! When a plugin fails: causes, policies, and the one place where a failure becomes a reply.

use std::fmt;

use postgate_smtp::Reply;
use serde::{Deserialize, Serialize, Serializer};

use crate::component::Plugin;
use crate::hook::Hook;

/// Why a plugin did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// It trapped: a panic, an illegal access, a division by zero, an exit.
    Trap,
    /// It used up its fuel.
    Fuel,
    /// It used up its memory or tables, or trapped after it was refused more.
    Memory,
    /// It took longer than its wall-clock deadline.
    Deadline,
    /// No instance could be had: too many at once, or it does not start.
    Unavailable,
    /// It answered with something that the contract does not allow.
    Reply,
}

impl Cause {
    /// All causes, in the order of the configuration's documentation.
    pub const ALL: [Cause; 6] =
        [Cause::Trap, Cause::Fuel, Cause::Memory, Cause::Deadline, Cause::Unavailable, Cause::Reply];

    /// The name in configuration and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Cause::Trap => "trap",
            Cause::Fuel => "fuel",
            Cause::Memory => "memory",
            Cause::Deadline => "deadline",
            Cause::Unavailable => "unavailable",
            Cause::Reply => "reply",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the operator wants done when a plugin fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// 451 4.3.0: the client is to try again later.
    #[default]
    Defer,
    /// 554 5.3.0.
    Reject,
    /// As if it had said `next`.
    Skip,
    /// The message is taken, and kept for a person instead of being delivered.
    Quarantine,
    /// 421 4.3.0, and the connection is closed.
    Disconnect,
}

impl Policy {
    /// The name in configuration and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Policy::Defer => "defer",
            Policy::Reject => "reject",
            Policy::Skip => "skip",
            Policy::Quarantine => "quarantine",
            Policy::Disconnect => "disconnect",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A policy for each cause; by default all defer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnFailure([Policy; Cause::ALL.len()]);

impl OnFailure {
    /// The policy that `choose` has for each cause.
    pub fn from_fn(choose: impl FnMut(Cause) -> Policy) -> Self {
        Self(Cause::ALL.map(choose))
    }

    /// All causes in order, each with its policy.
    pub fn iter(&self) -> impl Iterator<Item = (Cause, Policy)> {
        Cause::ALL.into_iter().zip(self.0)
    }

    /// The policy for a cause.
    pub fn policy(&self, cause: Cause) -> Policy {
        self.iter().find(|(at, _)| *at == cause).map_or(Policy::Defer, |(_, policy)| policy)
    }
}

impl Serialize for OnFailure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// One plugin's failure at one call: all that the log says of it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    /// What happened, with the guest's backtrace where there is one.
    pub(crate) detail: String,
    pub(crate) fuel_used: u64,
    pub(crate) memory_bytes: usize,
    /// The end of what the guest wrote to its standard error: the message of a panic, say.
    pub(crate) stderr: String,
}

/// What the host does about a failure.
#[derive(Debug)]
pub(crate) enum Consequence {
    Next,
    Refuse(Reply),
    Disconnect(Reply),
    Quarantine,
}

impl Failure {
    /// One that a rehearsal has ordered.
    pub(crate) fn rehearsed(cause: Cause) -> Self {
        let detail = "the test has ordered it".to_owned();
        Self { cause, detail, fuel_used: 0, memory_bytes: 0, stderr: String::new() }
    }

    /// The one place where a failure becomes a reply. The client learns nothing but that it was not its fault.
    pub(crate) fn consequence(&self, policy: Policy) -> Consequence {
        match policy {
            Policy::Defer => Consequence::Refuse(DEFERS),
            Policy::Reject => Consequence::Refuse(REJECTS),
            Policy::Skip => Consequence::Next,
            Policy::Quarantine => Consequence::Quarantine,
            Policy::Disconnect => Consequence::Disconnect(DISCONNECTS),
        }
    }

    pub(crate) fn log(&self, plugin: &Plugin, hook: Hook, session: &str, policy: Policy) {
        let detail = plugin.redacted(self.detail.clone());
        tracing::warn!(
            plugin = plugin.name(),
            hook = hook.name(),
            session,
            cause = self.cause.name(),
            policy = policy.name(),
            fuel_used = self.fuel_used,
            memory_bytes = self.memory_bytes,
            detail = detail.get(..detail.floor_char_boundary(MAX_DETAIL_BYTES)),
            stderr = %self.stderr,
            "plugin failed"
        );
    }
}

/// What the log says of a failure: a part of it may be the guest's own words.
const MAX_DETAIL_BYTES: usize = 4096;

const DEFERS: Reply = Reply::fixed(451, (4, 3, 0), "Local error in processing, try again later");
const REJECTS: Reply = Reply::fixed(554, (5, 3, 0), "Local error in processing");
const DISCONNECTS: Reply = Reply::fixed(421, (4, 3, 0), "Local error in processing, closing connection");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_for_each_cause() {
        let on = OnFailure::from_fn(|cause| if cause == Cause::Deadline { Policy::Skip } else { Policy::Reject });
        for cause in Cause::ALL {
            let expected = if cause == Cause::Deadline { Policy::Skip } else { Policy::Reject };
            assert_eq!(on.policy(cause), expected);
        }
        assert_eq!(OnFailure::default().policy(Cause::Trap), Policy::Defer);
    }
}
