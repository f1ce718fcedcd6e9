//! The transcript: what is said as it is said, in lines like those of dialogues, or kept for JSON.

use std::io::{self, Write};

use postgate_plugin::Told;
use postgate_smtp::client::{Entry, Noted};

use super::delivery::Reached;
use super::message::Copy;
use super::record::{Record, escape};

/// What is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Lines,
    Collected,
    Nothing,
}

/// Who has said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Client,
    Server,
    /// Nobody: what else has happened.
    Note,
}

/// A line of the transcript.
pub(super) struct Line {
    pub(super) by: By,
    pub(super) text: String,
}

/// Whoever is shown what is said.
pub(super) struct Show {
    form: Form,
    copy: Copy,
    /// Octets of the message that have been sent in this transaction.
    offset: usize,
    /// Lines that are kept for JSON.
    lines: Vec<Line>,
    tls: Option<String>,
    record: Option<Record>,
}

impl Show {
    pub(super) fn new(form: Form, copy: Copy, record: Option<Record>) -> Self {
        Self { form, copy, offset: 0, lines: Vec::new(), tls: None, record }
    }

    /// Something that nobody has said.
    pub(super) fn note(&mut self, text: &str) {
        self.line(By::Note, text.to_owned());
    }

    /// A connection is made.
    pub(super) fn reached(&mut self, reached: Reached) {
        match reached {
            Reached::Connected(address) => {
                if let Some(record) = &mut self.record {
                    record.connected();
                }
                self.note(&format!("connected to {address}"));
            }
            Reached::Proxied(source) => self.note(&format!("PROXY header of a connection from {source}")),
        }
    }

    /// Something has happened on the connection.
    pub(super) fn told(&mut self, told: Told) {
        if let Some(record) = &mut self.record {
            record.told(&told);
        }
        match told {
            Told::Secured(facts) => {
                self.note(&format!("TLS: {facts}"));
                self.tls = Some(facts);
            }
            Told::Said(entry) => self.said(entry),
        }
    }

    fn said(&mut self, entry: Entry) {
        match entry.noted {
            Noted::Command(line) => {
                if line.starts_with("MAIL ") {
                    self.offset = 0;
                }
                self.line(By::Client, line);
            }
            Noted::Secret { shown, .. } => self.line(By::Client, shown),
            Noted::MailData(octets) => self.mail_data(octets),
            Noted::End => {
                if self.offset > 0 {
                    self.note(&format!("{} octets of mail data", self.offset));
                }
                self.line(By::Client, ".".to_owned());
            }
            Noted::Chunk { octets, is_last } => {
                let last = if is_last { " LAST" } else { "" };
                self.line(By::Client, format!("BDAT {octets}{last}"));
                self.mail_data(octets);
            }
            Noted::Reply(lines) => lines.into_iter().for_each(|line| self.line(By::Server, line)),
            Noted::Fragment(lines) => {
                lines.into_iter().for_each(|line| self.line(By::Server, line));
                self.note("that is no whole reply");
            }
        }
    }

    /// The beginning is shown, the rest counted.
    fn mail_data(&mut self, octets: usize) {
        let is_first = self.offset == 0;
        self.offset += octets;
        if !is_first || self.form == Form::Nothing {
            return;
        }
        let copy = self.copy.clone();
        let beginning = copy.piece(0, octets.min(SHOWN_OCTETS_MAX));
        for (n, line) in beginning.split_inclusive(|octet| *octet == b'\n').enumerate() {
            let is_cut = !line.ends_with(b"\n") && beginning.len() < octets;
            if n >= SHOWN_LINES_MAX || is_cut {
                self.note("…");
                break;
            }
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            self.line(By::Client, escape(text.strip_suffix(b"\r").unwrap_or(text)));
        }
    }

    fn line(&mut self, by: By, text: String) {
        match self.form {
            Form::Nothing => {}
            Form::Collected if self.lines.len() < COLLECTED_LINES_MAX => self.lines.push(Line { by, text }),
            Form::Collected => {}
            Form::Lines => {
                let mark = match by {
                    By::Client => "C:",
                    By::Server => "S:",
                    By::Note => "#",
                };
                let gap = if text.is_empty() { "" } else { " " };
                // Who closes the pipe has seen enough; what can't be written is told at the end.
                let _ = writeln!(io::stdout().lock(), "{mark}{gap}{text}");
            }
        }
    }

    /// All that was kept.
    pub(super) fn end(&mut self) -> (Vec<Line>, Option<String>, Option<Record>) {
        (std::mem::take(&mut self.lines), self.tls.take(), self.record.take())
    }
}

/// Of mail data.
const SHOWN_LINES_MAX: usize = 12;
const SHOWN_OCTETS_MAX: usize = 2048;
const COLLECTED_LINES_MAX: usize = 100_000;
