//! The stages in which lines of the client come: commands, and its messages in an AUTH exchange.

use super::{Identity, Peer, Session, Stage, Standing, Step};
use crate::config::Protocol;
use crate::event::{Close, Event};
use crate::extension::{Extension, told_limits};
use crate::line::{Bound, Bounds, Read};
use crate::replies;
use crate::reply::Reply;
use crate::verb::{Access, Clear, Idle, Needs, Octets, Utf8, Verb};

impl Session {
    pub(super) fn read_command<'a>(&mut self, input: &mut &'a [u8]) -> Option<Event<'a>> {
        let limits = &self.config.limits;
        let bounds = Bounds::Command { command: limits.command_line_octets, auth: limits.auth_line_octets };
        match self.line.read(input, bounds) {
            Read::Line(line) => {
                self.look_behind_command(&line, input);
                let step = self.run(&line);
                self.go_on(step)
            }
            Read::TooLong(Bound::Command) if self.data_refused => {
                self.close(&replies::MAIL_DATA_REFUSED, Close::OutOfStep);
                None
            }
            Read::TooLong(Bound::Command) => self.go_on(Err(&replies::COMMAND_LINE_TOO_LONG)),
            Read::TooLong(Bound::Auth) => self.go_on(Err(&replies::AUTH_LINE_TOO_LONG)),
            Read::TooLong(Bound::Chunk) => {
                self.close(&replies::COMMAND_LINE_TOO_LONG, Close::OutOfStep);
                None
            }
            Read::More => Some(Event::Wait),
        }
    }

    pub(super) fn read_response<'a>(&mut self, input: &mut &'a [u8]) -> Option<Event<'a>> {
        let bounds = Bounds::Exchange { auth: self.config.limits.auth_line_octets };
        let read = self.line.read(input, bounds);
        if matches!(read, Read::More) {
            return Some(Event::Wait);
        }
        self.look_behind_response(input);
        let Stage::Exchange(exchange) = std::mem::replace(&mut self.stage, Stage::Command) else {
            return None;
        };
        let step = match read {
            Read::Line(line) => self.respond(exchange, &line),
            Read::TooLong(_) | Read::More => Err(&replies::AUTH_LINE_TOO_LONG),
        };
        self.go_on(step)
    }

    fn go_on<'a>(&mut self, step: Step) -> Option<Event<'a>> {
        match step {
            Ok(question) => question.map(Event::Ask),
            Err(reply) => {
                self.error(reply);
                None
            }
        }
    }

    /// Carries out a command line.
    fn run(&mut self, line: &[u8]) -> Step {
        let line = trim_end(line);
        if self.ends_at(line) {
            return Ok(None);
        }
        let end = line.iter().position(|octet| *octet == b' ').unwrap_or(line.len());
        let (verb, argument) = line.split_at_checked(end).unwrap_or((line, b""));
        if line.iter().any(|octet| octet.is_ascii_control()) {
            return self.refuse_line(line, &replies::LINE_WITH_BARE_OCTETS);
        }
        let verb = std::str::from_utf8(verb).ok().filter(|verb| is_verb(verb)).ok_or(&replies::NOT_A_COMMAND)?;
        let row = Verb::find(verb);
        let argument = match std::str::from_utf8(argument) {
            Ok(argument) if argument.is_ascii() => argument.trim_ascii_start(),
            Ok(argument) if self.may_have_utf8(row) && !argument.contains(char::is_control) => {
                argument.trim_ascii_start()
            }
            Ok(_) | Err(_) if self.may_have_utf8(row) => return Err(&replies::NOT_UTF8),
            Ok(_) | Err(_) => {
                return self.refuse_line(line, row.map_or(&replies::NON_ASCII_ARGUMENT, |row| row.non_ascii));
            }
        };
        if self.standing == Standing::Unwelcome && row.is_none_or(|row| row.name != "QUIT") {
            return self.refuse_command(row, argument, &replies::UNWELCOME);
        }
        if row.is_none_or(|row| row.idle == Idle::Counted) && !self.count_idle_command() {
            return Ok(None);
        }
        if self.config.tls.required && self.tls.is_none() && row.is_none_or(|row| row.clear == Clear::Refused) {
            return self.refuse_command(row, argument, &replies::TLS_REQUIRED);
        }
        let Some(row) = row else {
            return Ok(Some(self.unknown(verb, argument, &replies::UNKNOWN_COMMAND)));
        };
        match self.permit(row).and_then(|()| (row.run)(self, argument)) {
            Ok(question) => Ok(question),
            Err(reply) => self.refuse_command(Some(row), argument, reply),
        }
    }

    /// Whether the command's argument may go beyond ASCII. Its function sees to it that SMTPUTF8 was said.
    fn may_have_utf8(&self, row: Option<&Verb>) -> bool {
        row.is_some_and(|row| row.utf8 == Utf8::Declared) && self.has(Extension::SmtpUtf8)
    }

    /// Whether a command may come now, as far as its row tells.
    fn permit(&self, row: &Verb) -> Result<(), &'static Reply> {
        match (row.protocol, self.config.protocol) {
            (Some(Protocol::Lmtp), Protocol::Smtp) => return Err(&replies::NOT_IMPLEMENTED),
            // RFC 2033 section 4.1: they are not to be confused, so not even known.
            (Some(Protocol::Smtp), Protocol::Lmtp) => return Err(&replies::UNKNOWN_COMMAND),
            (Some(Protocol::Smtp), Protocol::Smtp) | (Some(Protocol::Lmtp), Protocol::Lmtp) | (None, _) => {}
        }
        if row.extension.is_some_and(|extension| !self.offers(extension)) {
            return Err(&replies::NOT_IMPLEMENTED);
        }
        match (row.needs, self.standing) {
            (Needs::Greeting | Needs::Ehlo, Standing::New) if self.config.protocol == Protocol::Lmtp => {
                return Err(&replies::LHLO_FIRST);
            }
            (Needs::Greeting, Standing::New) => return Err(&replies::GREETING_FIRST),
            (Needs::Ehlo, Standing::New | Standing::Helo) => return Err(&replies::EHLO_FIRST),
            (Needs::Nothing | Needs::Greeting | Needs::Ehlo, _) => {}
        }
        let required = self.config.auth.required && row.access == Access::Authenticated;
        if required && self.identity == Identity::Unknown {
            return Err(&replies::AUTHENTICATION_REQUIRED);
        }
        Ok(())
    }

    /// Refuses a line that is no command. Behind one that was meant to be a BDAT stand octets whose number nobody knows, and which must not
    /// be taken for commands.
    fn refuse_line(&mut self, line: &[u8], reply: &'static Reply) -> Step {
        if line.get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case(b"BDAT")) {
            self.close(reply, Close::OutOfStep);
            return Ok(None);
        }
        Err(reply)
    }

    /// Refuses a command at once, or behind the octets that follow it.
    fn refuse_command(&mut self, row: Option<&Verb>, argument: &str, reply: &'static Reply) -> Step {
        self.data_refused = row.is_some_and(|row| row.name == "DATA");
        match row.map_or(Octets::None, |row| row.octets) {
            Octets::None => Err(reply),
            Octets::Chunk => {
                self.refuse_chunk(argument, reply);
                Ok(None)
            }
        }
    }

    /// Whether the extension is switched on and there is something to it.
    pub(super) fn offers(&self, extension: Extension) -> bool {
        let config = &self.config;
        let is_there = match extension {
            Extension::StartTls => config.tls.starttls,
            Extension::Auth => !config.auth.mechanisms.is_empty(),
            Extension::BinaryMime => {
                config.extensions.contains(Extension::Chunking) && config.extensions.contains(Extension::EightBitMime)
            }
            Extension::SmtpUtf8 => config.extensions.contains(Extension::EightBitMime),
            Extension::XClient | Extension::XForward => self.peer == Peer::Trusted,
            Extension::RequireTls => self.tls.is_some(),
            Extension::Limits => told_limits(config).next().is_some(),
            Extension::Pipelining
            | Extension::Size
            | Extension::EightBitMime
            | Extension::EnhancedStatusCodes
            | Extension::Chunking
            | Extension::Dsn
            | Extension::DeliverBy
            | Extension::FutureRelease
            | Extension::MtPriority
            | Extension::Verify
            | Extension::Expand
            | Extension::Help => true,
        };
        is_there && config.extensions.contains(extension)
    }

    /// Whether the extension is the client's to use: one that said HELO has none.
    pub(super) fn has(&self, extension: Extension) -> bool {
        self.standing == Standing::Ehlo && self.offers(extension)
    }

    /// Counts a command that leads to no mail. When there were too many, the session is over, and the answer is no.
    pub(super) fn count_idle_command(&mut self) -> bool {
        self.idle_commands = self.idle_commands.saturating_add(1);
        if self.idle_commands <= self.config.limits.idle_commands {
            return true;
        }
        self.close(&replies::TOO_MANY_IDLE_COMMANDS, Close::TooManyErrors);
        false
    }
}

/// The line without white space at its end, which RFC 5321 section 4.1.1 wants tolerated.
fn trim_end(mut line: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = line {
        line = rest;
    }
    line
}

/// Letters, digits and hyphens behind a letter.
fn is_verb(verb: &str) -> bool {
    verb.bytes().next().is_some_and(|octet| octet.is_ascii_alphabetic())
        && verb.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
}
