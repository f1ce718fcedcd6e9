//! What the host knows of the current call, and tells the guest when it asks: session, transaction, message.
//!
//! One context belongs to one session. It is lent to the instance that is being called and taken back afterwards, so that
//! exactly one plugin has it at a time and no lock is needed.

mod editor;
mod mail_data;
mod parts;
mod session;
mod transaction;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::bindings::postgate::mail::mail_authentication::IprevResult;
pub use crate::bindings::postgate::mail::transaction::VerdictKind;
use crate::bindings::postgate::mail::transaction::{AcceptedRecipient, EarlierVerdict};
pub use crate::bindings::postgate::mail::types::{Mailbox, Parameter};
use crate::hook::Hook;
use crate::message::{Edits, Message};
use crate::service::mail_authentication::Findings;

/// What is known of a session.
#[derive(Clone, Debug)]
pub struct SessionFacts {
    /// Unique over restarts; letters, digits and `-`.
    pub id: String,
    /// The listener's name in the configuration.
    pub listener: Arc<str>,
    /// Our name on that listener.
    pub hostname: Arc<str>,
    /// The client's end.
    pub remote: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
    /// The last greeting.
    pub hello: Option<ClientHello>,
    /// The TLS layer, none in clear.
    pub tls: Option<TlsLayer>,
    /// Who the client has proved to be.
    pub identity: Option<ClientIdentity>,
    /// Whether the client has talked before the banner.
    pub early_talker: bool,
    /// How often it has not waited for a reply where it had to.
    pub illegal_pipelining: u32,
}

pub use crate::bindings::postgate::mail::session::{ClientHello, ClientIdentity, Greeting, TlsLayer};

/// The context of one session's calls.
#[derive(Debug)]
pub(crate) struct Context {
    /// What is known of the session; the gateway keeps it up to date.
    pub(crate) session: SessionFacts,
    pub(crate) notes: Notes,
    pub(crate) transaction: Option<Transaction>,
    pub(crate) message: Option<Arc<Message>>,
    /// Reverse DNS of that client, once somebody has asked for it.
    pub(crate) iprev: Option<(IpAddr, IprevResult)>,
    /// The hook that is being called.
    pub(crate) hook: Hook,
    /// A failure policy has sent the whole session into quarantine.
    pub(crate) quarantine_session: bool,
}

impl Context {
    pub(crate) fn new(session: SessionFacts) -> Self {
        Self {
            session,
            notes: Notes::default(),
            transaction: None,
            message: None,
            iprev: None,
            hook: Hook::Connect,
            quarantine_session: false,
        }
    }
}

/// A mail transaction as the plugins see it.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) id: String,
    /// When its MAIL came.
    pub(crate) since: Instant,
    pub(crate) reverse_path: Option<Mailbox>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) declared_size: Option<u64>,
    pub(crate) recipients: Vec<AcceptedRecipient>,
    pub(crate) verdicts: Vec<EarlierVerdict>,
    /// The label under which the message is to be kept, if a verdict or a failure policy said so.
    pub(crate) quarantine: Option<String>,
    /// Octets that edits have added.
    pub(crate) edit_bytes: usize,
    /// Edits so far.
    pub(crate) edits: u32,
    /// How it was before the edits of the plugin that is being asked.
    pub(crate) undo: Option<Box<Undo>>,
    /// Where the message was stored already.
    pub(crate) stored: Vec<PathBuf>,
    /// What was found out of its sender.
    pub(crate) authentication: Findings,
}

/// Message and envelope before a plugin's first edit.
#[derive(Debug)]
pub(crate) struct Undo {
    pub(crate) edits: Edits,
    pub(crate) reverse_path: Option<Mailbox>,
    pub(crate) recipients: Vec<AcceptedRecipient>,
    pub(crate) edit_bytes: usize,
}

impl Transaction {
    /// Whether the client has declared that the body may have any octets (RFC 3030 section 3).
    pub(crate) fn is_binary(&self) -> bool {
        let is_binary = |value: &String| value.eq_ignore_ascii_case("BINARYMIME");
        self.parameters
            .iter()
            .any(|parameter| parameter.keyword == "BODY" && parameter.value.as_ref().is_some_and(is_binary))
    }

    /// Remembers a verdict for the plugins that come later. What is over the bound is not remembered.
    pub(crate) fn record(&mut self, plugin: &str, hook: Hook, kind: VerdictKind, recipient: Option<&Mailbox>) {
        if self.verdicts.len() < MAX_VERDICTS {
            self.verdicts.push(EarlierVerdict {
                plugin: plugin.to_owned(),
                hook: hook.into(),
                kind,
                recipient: recipient.cloned(),
            });
        }
    }
}

/// The notes of a session: a small bounded map, in the order in which they were first left.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    entries: Vec<(String, String)>,
    size_bytes: usize,
}

/// Why a note was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoteRefusal {
    TooLong,
    Quota,
}

impl Notes {
    pub(crate) fn note(&self, name: &str) -> Option<&str> {
        self.entries.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// In the order in which they were first left.
    pub(crate) fn entries(&self) -> &[(String, String)] {
        &self.entries
    }

    pub(crate) fn set(&mut self, name: String, value: String, limit_bytes: usize) -> Result<(), NoteRefusal> {
        if name.is_empty() || name.len() > MAX_NOTE_NAME_BYTES || value.len() > MAX_NOTE_BYTES {
            return Err(NoteRefusal::TooLong);
        }
        let at = self.entries.iter().position(|(known, _)| *known == name);
        let old_bytes = at.and_then(|at| self.entries.get(at)).map_or(0, |(name, value)| name.len() + value.len());
        let size_bytes = self.size_bytes - old_bytes + name.len() + value.len();
        if size_bytes > limit_bytes || (at.is_none() && self.entries.len() >= MAX_NOTES) {
            return Err(NoteRefusal::Quota);
        }
        self.size_bytes = size_bytes;
        match at.and_then(|at| self.entries.get_mut(at)) {
            Some(entry) => entry.1 = value,
            None => self.entries.push((name, value)),
        }
        Ok(())
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl From<postgate_smtp::Mailbox> for Mailbox {
    fn from(mailbox: postgate_smtp::Mailbox) -> Self {
        Self { local_part: mailbox.local_part().to_owned(), domain: mailbox.domain().to_owned() }
    }
}

impl TryFrom<&Mailbox> for postgate_smtp::Mailbox {
    type Error = postgate_smtp::AddressError;

    fn try_from(mailbox: &Mailbox) -> Result<Self, Self::Error> {
        postgate_smtp::Mailbox::new(&mailbox.local_part, &mailbox.domain)
    }
}

impl From<postgate_smtp::Parameter> for Parameter {
    fn from(parameter: postgate_smtp::Parameter) -> Self {
        Self { keyword: parameter.keyword.into(), value: parameter.value }
    }
}

impl From<Hook> for crate::bindings::postgate::mail::types::Hook {
    fn from(hook: Hook) -> Self {
        match hook {
            Hook::Connect => Self::Connect,
            Hook::Hello => Self::Hello,
            Hook::Starttls => Self::Starttls,
            Hook::Authenticate => Self::Authenticate,
            Hook::Mail => Self::Mail,
            Hook::Recipient => Self::Recipient,
            Hook::Data => Self::Data,
            Hook::Chunk => Self::Chunk,
            Hook::Message => Self::Message,
            Hook::Deliver => Self::Deliver,
            Hook::Verify => Self::Verify,
            Hook::Expand => Self::Expand,
            Hook::Command => Self::Command,
            Hook::Observe => Self::Observe,
        }
    }
}

impl crate::bindings::postgate::mail::types::Host for crate::state::State {}

/// Verdicts that are remembered in one transaction.
const MAX_VERDICTS: usize = 2000;
/// Notes in one session.
const MAX_NOTES: usize = 256;
const MAX_NOTE_NAME_BYTES: usize = 64;
const MAX_NOTE_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_bounded() {
        let mut notes = Notes::default();
        let set = |notes: &mut Notes, name: &str, value: &str| notes.set(name.into(), value.into(), 20);
        assert_eq!(set(&mut notes, "a", "12345"), Ok(()));
        assert_eq!(set(&mut notes, "b", "123456789012345"), Err(NoteRefusal::Quota));
        assert_eq!(set(&mut notes, "a", "1234567890123456789"), Ok(()));
        assert_eq!(notes.note("a"), Some("1234567890123456789"));
        assert_eq!(set(&mut notes, "a", ""), Ok(()));
        assert_eq!(set(&mut notes, "b", "123456789012345"), Ok(()));
        assert_eq!(notes.set(String::new(), String::new(), 99), Err(NoteRefusal::TooLong));
        assert_eq!(notes.set("n".repeat(65), String::new(), 99), Err(NoteRefusal::TooLong));
        assert_eq!(notes.set("n".into(), "v".repeat(4097), 9999), Err(NoteRefusal::TooLong));
        assert_eq!(notes.note("c"), None);
    }
}
