//! A mail transaction (RFC 5321 section 3.3): what is known between MAIL and the reply to the mail data.

use crate::chunk;
use crate::event::Body;

/// What the session remembers of a transaction. Who sends to whom is the gateway's to keep.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    /// What its MAIL has declared of the body.
    body: Body,
    /// Whether its MAIL has said SMTPUTF8.
    utf8: bool,
    /// Recipients that were accepted.
    accepted: u32,
    /// Recipients that were refused.
    refused: u32,
    /// The message so far, once a BDAT has come.
    chunks: Option<chunk::Message>,
}

/// Whether mail data may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recipients {
    /// No RCPT has come.
    None,
    /// None was accepted.
    AllRefused,
    /// At least one was accepted.
    Some,
}

impl Transaction {
    pub(crate) fn new(body: Body, utf8: bool) -> Transaction {
        Transaction { body, utf8, ..Transaction::default() }
    }

    pub(crate) fn body(&self) -> Body {
        self.body
    }

    pub(crate) fn utf8(&self) -> bool {
        self.utf8
    }

    pub(crate) fn recipients(&self) -> Recipients {
        match (self.accepted, self.refused) {
            (0, 0) => Recipients::None,
            (0, _) => Recipients::AllRefused,
            (_, _) => Recipients::Some,
        }
    }

    /// RCPT commands that were decided about.
    pub(crate) fn recipients_asked(&self) -> u32 {
        self.accepted.saturating_add(self.refused)
    }

    /// RCPT commands that were accepted.
    pub(crate) fn accepted(&self) -> u32 {
        self.accepted
    }

    pub(crate) fn accept_recipient(&mut self) {
        self.accepted = self.accepted.saturating_add(1);
    }

    pub(crate) fn refuse_recipient(&mut self) {
        self.refused = self.refused.saturating_add(1);
    }

    /// The message that comes in chunks; none before the first.
    pub(crate) fn chunks(&self) -> Option<&chunk::Message> {
        self.chunks.as_ref()
    }

    /// The message that comes in chunks, which thereby has begun.
    pub(crate) fn begin_chunks(&mut self) -> &mut chunk::Message {
        self.chunks.get_or_insert_with(|| chunk::Message::new(self.body))
    }
}
