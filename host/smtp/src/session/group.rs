//! Groups of commands (RFC 2920): whether the client waits for a reply where it has to.
//!
//! Whoever does not is served all the same, in order: what is to be made of it is for others to decide. Programs that send without
//! listening to the replies are seldom mail servers.

use super::Session;
use crate::extension::Extension;
use crate::verb::{Group, Octets, Verb};

impl Session {
    /// How often the client has sent something behind a command without waiting for its reply, although it had to: behind one that must be
    /// the last of its group (RFC 2920 section 3.1), such as EHLO, DATA, AUTH or STARTTLS, or without PIPELINING having been offered.
    ///
    /// It counts what is seen in the input together with the command, and so never too much.
    pub fn illegal_pipelining(&self) -> u32 {
        self.illegal_pipelining
    }

    /// A command line has come, and this behind it.
    pub(super) fn look_behind_command(&mut self, line: &[u8], behind: &[u8]) {
        if behind.is_empty() {
            return;
        }
        let verb = line.split(|octet| *octet == b' ').next().and_then(|verb| std::str::from_utf8(verb).ok());
        let is_allowed = verb.and_then(Verb::find).is_some_and(|row| match (row.group, row.octets) {
            (Group::Last, _) => false,
            // Its octets are a part of it.
            (Group::Anywhere, Octets::Chunk) => true,
            (Group::Anywhere, Octets::None) => self.has(Extension::Pipelining),
        });
        if !is_allowed {
            self.count_illegal_pipelining();
        }
    }

    /// The client's line in an AUTH exchange has come, and this behind it (RFC 4954 section 4).
    pub(super) fn look_behind_response(&mut self, behind: &[u8]) {
        if !behind.is_empty() {
            self.count_illegal_pipelining();
        }
    }

    /// Mail data or a chunk has ended, and this has come behind it: with PIPELINING it may begin a group.
    pub(super) fn look_behind_octets(&mut self, behind: &[u8]) {
        if !behind.is_empty() && !self.has(Extension::Pipelining) {
            self.count_illegal_pipelining();
        }
    }

    fn count_illegal_pipelining(&mut self) {
        self.illegal_pipelining = self.illegal_pipelining.saturating_add(1);
    }
}
