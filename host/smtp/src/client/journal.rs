//! What was said on both sides, for whoever wants to show it: with every secret marked, and mail data told by its octets alone.

use super::Client;
use super::reader::{Heard, Reader};

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What.
    pub noted: Noted,
    /// We have said it while replies to something earlier were still to come.
    pub is_ahead: bool,
}

/// What was said, and by whom.
#[derive(Clone, PartialEq, Eq)]
pub enum Noted {
    /// We: a line.
    Command(String),
    /// We: a line with a password, a token or a proof in it.
    Secret {
        /// What may be shown of it.
        shown: String,
        /// The line.
        line: String,
    },
    /// We: so many octets of the message, behind DATA. Their dots are doubled.
    MailData(usize),
    /// We: the end of mail data behind DATA.
    End,
    /// We: BDAT with so many octets of the message.
    Chunk {
        /// Octets.
        octets: usize,
        /// No chunk follows.
        is_last: bool,
    },
    /// The server: the lines of a reply with their code, printable.
    Reply(Vec<String>),
    /// The server: what has come of something that is no whole reply.
    Fragment(Vec<String>),
}

impl std::fmt::Debug for Noted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Noted::Command(line) => f.debug_tuple("Command").field(line).finish(),
            Noted::Secret { shown, .. } => f.debug_tuple("Secret").field(shown).finish(),
            Noted::MailData(octets) => f.debug_tuple("MailData").field(octets).finish(),
            Noted::End => f.write_str("End"),
            Noted::Chunk { octets, is_last } => f.debug_tuple("Chunk").field(octets).field(is_last).finish(),
            Noted::Reply(lines) => f.debug_tuple("Reply").field(lines).finish(),
            Noted::Fragment(lines) => f.debug_tuple("Fragment").field(lines).finish(),
        }
    }
}

/// The entries that nobody has taken yet; none where nobody wants them.
#[derive(Debug, Default)]
pub(super) struct Journal {
    entries: Option<Vec<Entry>>,
    /// Replies that are still to come.
    asked: usize,
}

impl Journal {
    fn note(&mut self, noted: Noted, asks: usize) {
        let is_ahead = self.asked > 0;
        self.asked = self.asked.saturating_add(asks);
        if let Some(entries) = &mut self.entries {
            entries.push(Entry { noted, is_ahead });
        }
    }

    pub(super) fn said(&mut self, line: &str) {
        self.note(Noted::Command(line.to_owned()), 1);
    }

    /// A line with its CRLF, of which only the first words are shown.
    pub(super) fn said_secret(&mut self, line: &[u8], words: usize) {
        if self.entries.is_none() {
            return;
        }
        let line = String::from_utf8_lossy(line).trim_end_matches("\r\n").to_owned();
        let mut shown: Vec<&str> = line.split(' ').take(words).collect();
        if line.split(' ').count() > words {
            shown.push("***");
        }
        let shown = shown.join(" ");
        self.note(Noted::Secret { shown, line }, 1);
    }

    pub(super) fn mail_data(&mut self, octets: usize) {
        if octets > 0 {
            self.note(Noted::MailData(octets), 0);
        }
    }

    pub(super) fn end(&mut self, replies: usize) {
        self.note(Noted::End, replies);
    }

    pub(super) fn chunk(&mut self, octets: usize, is_last: bool, replies: usize) {
        self.note(Noted::Chunk { octets, is_last }, replies);
    }

    pub(super) fn heard(&mut self, heard: &Heard) {
        self.asked = self.asked.saturating_sub(1);
        if let Some(entries) = &mut self.entries {
            entries.push(Entry { noted: Noted::Reply(heard.text()), is_ahead: false });
        }
    }

    /// What is left of the server's when the connection ends.
    pub(super) fn unread(&mut self, reader: &Reader) {
        if let Some(entries) = &mut self.entries {
            let lines = reader.unread();
            if !lines.is_empty() {
                entries.push(Entry { noted: Noted::Fragment(lines), is_ahead: false });
            }
        }
    }
}

impl Client {
    /// From now on everything that is said is written down. Whoever asks for it takes it by [`journal`](Client::journal) behind each event.
    pub fn keep_journal(&mut self) {
        self.journal.entries.get_or_insert_default();
    }

    /// What was said since the last call, in order.
    pub fn journal(&mut self) -> Vec<Entry> {
        self.journal.entries.as_mut().map(std::mem::take).unwrap_or_default()
    }
}
