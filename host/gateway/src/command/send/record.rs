//! `--record`: a session as a dialogue that `postgate test` plays (`tests/dialogues/README.md`, `plugins/testing.md`).
//!
//! What of a reply is another each time (an identifier, a greeting) is written as `*`. Commands that were sent ahead of replies stand together, and all those replies behind
//! them: that is how a dialogue is played.

use std::fmt::Write as _;
use std::fs::{OpenOptions, Permissions};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use postgate_plugin::Told;
use postgate_smtp::Protocol;
use postgate_smtp::client::{Entry, Noted};

use super::super::{Exit, Failure};
use super::message::Copy;
use super::plan::Plan;

/// What was said, as lines of a dialogue.
pub(super) struct Record {
    path: PathBuf,
    copy: Copy,
    chunk_bytes: usize,
    settings: Vec<&'static str>,
    head: String,
    lines: String,
    /// Replies that are written behind the commands that were sent ahead of them.
    replies: String,
    /// Octets of the message that have been sent in this transaction.
    offset: usize,
    /// The message stands in a file of its own.
    is_beside: bool,
    has_scram: bool,
    is_secured: bool,
    /// Where `postgate test` connects from.
    source: IpAddr,
    connections: usize,
}

impl Record {
    pub(super) fn new(path: PathBuf, plan: &Plan, copy: Copy) -> Self {
        let mut settings = Vec::new();
        if plan.implicit {
            settings.push("tls=\"implicit\"");
        }
        if plan.client.protocol == Protocol::Lmtp {
            settings.push("protocol=\"lmtp\"");
        }
        let mut head = format!("# Recorded by `postgate send` with {}.\n", plan.server);
        let source = plan.proxy.map(|(_, source)| source.ip());
        if let Some(source) = source {
            let _ = writeln!(head, "from: {source}");
        }
        let is_beside = copy.len() > INLINE_OCTETS_MAX && has_crlf(&copy);
        Self {
            path,
            copy,
            chunk_bytes: plan.piece_bytes,
            settings,
            head,
            lines: String::new(),
            replies: String::new(),
            offset: 0,
            is_beside,
            has_scram: false,
            is_secured: false,
            source: source.unwrap_or(USUAL_SOURCE),
            connections: 0,
        }
    }

    /// A connection is made; behind another one where the server takes no more on that.
    pub(super) fn connected(&mut self) {
        self.connections += 1;
        if self.connections > 1 {
            self.client(false, "closed");
            let line = format!("from: {}", self.source);
            self.client(false, &line);
            self.is_secured = false;
        }
    }

    /// Something has happened on the connection.
    pub(super) fn told(&mut self, told: &Told) {
        match told {
            Told::Secured(_) => {
                self.is_secured = true;
                self.client(false, "tls");
            }
            Told::Said(entry) => self.said(entry),
        }
    }

    fn said(&mut self, Entry { noted, is_ahead }: &Entry) {
        match noted {
            Noted::Command(line) => {
                if line.starts_with("MAIL ") {
                    self.offset = 0;
                }
                if line == "STARTTLS" {
                    self.settings.push("tls=\"starttls\"");
                }
                self.client(*is_ahead, &format!("C: {}", escape(line.as_bytes())));
            }
            Noted::Secret { line, .. } => {
                self.has_scram |= line.starts_with("AUTH SCRAM");
                if line.starts_with("AUTH ") && !self.is_secured {
                    self.settings.push("auth-in-clear=true");
                }
                self.client(*is_ahead, &format!("C: {}", escape(line.as_bytes())));
            }
            // It is written when it is whole.
            Noted::MailData(octets) => self.offset += octets,
            Noted::End => self.end(*is_ahead),
            Noted::Chunk { octets, is_last } => self.chunk(*is_ahead, *octets, *is_last),
            Noted::Reply(lines) => self.reply(lines),
            Noted::Fragment(lines) => {
                for line in lines {
                    let _ = writeln!(self.replies, "# not a whole reply: {line}");
                }
            }
        }
    }

    /// A line of the client's.
    fn client(&mut self, is_ahead: bool, line: &str) {
        if !is_ahead {
            self.lines.push_str(&std::mem::take(&mut self.replies));
        }
        let _ = writeln!(self.lines, "{}", line.trim_end());
    }

    fn end(&mut self, is_ahead: bool) {
        if self.offset == 0 {
            return self.client(is_ahead, "C: .");
        }
        if self.is_beside {
            let line = format!("C< {}", self.beside_name());
            return self.client(is_ahead, &line);
        }
        let octets = self.copy.piece(0, self.copy.len()).into_owned();
        let mut first = !is_ahead;
        for line in octets.split_inclusive(|octet| *octet == b'\n') {
            let text = line.strip_suffix(b"\r\n").unwrap_or(line);
            let dot = if text.starts_with(b".") { "." } else { "" };
            self.client(!std::mem::take(&mut first), &format!("C: {dot}{}", escape(text)));
        }
        self.client(true, "C: .");
    }

    fn chunk(&mut self, is_ahead: bool, octets: usize, is_last: bool) {
        let begin = self.offset;
        self.offset += octets;
        if self.is_beside {
            if begin == 0 {
                let line = format!("B* {} {}", self.chunk_bytes, self.beside_name());
                self.client(is_ahead, &line);
            }
            return;
        }
        let last = if is_last { " LAST" } else { "" };
        self.client(is_ahead, &format!("C: BDAT {octets}{last}"));
        let piece = self.copy.piece(begin, octets).into_owned();
        for line in piece.split_inclusive(|octet| *octet == b'\n') {
            let line = match line.strip_suffix(b"\r\n") {
                Some(text) => format!("C: {}", escape(text)),
                None => format!("C~ {}", escape(line)),
            };
            self.client(true, &line);
        }
    }

    fn reply(&mut self, lines: &[String]) {
        let line = match lines {
            [one] => pattern(one),
            several => format!("S+ {}", several.first().and_then(|line| line.get(..3)).unwrap_or_default()),
        };
        let _ = writeln!(self.replies, "{line}");
    }

    fn beside(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".eml");
        name.into()
    }

    fn beside_name(&self) -> String {
        self.beside().file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Writes the file, and the message where that stands beside.
    pub(super) fn write(mut self) -> Result<(), Failure> {
        let replies = std::mem::take(&mut self.replies);
        self.lines.push_str(&replies);
        let mut text = self.head.clone();
        if self.has_scram {
            text.push_str(
                "# SCRAM is another exchange each time: this one can't be played, but with PLAIN it could.\n",
            );
        }
        self.settings.sort_unstable();
        self.settings.dedup();
        self.settings.iter().for_each(|setting| {
            let _ = writeln!(text, "set: {setting}");
        });
        text.push_str(&self.lines);
        text.push_str("closed\n");
        if self.is_beside && self.offset > 0 {
            write(&self.beside(), &self.copy.piece(0, self.copy.len()))?;
        }
        write(&self.path, text.as_bytes())
    }
}

/// Only for ourselves: there may be a password in it. That holds for a file that was there before, too.
fn write(path: &Path, octets: &[u8]) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| {
        // A device has no contents to keep from others.
        if file.metadata()?.is_file() {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        file.write_all(octets)
    });
    let unwritten = |error| Failure::new(Exit::CannotCreate, format!("{} can't be written: {error}", path.display()));
    written.map_err(unwritten)
}

/// A file without any would be read as one that wants CRLF.
fn has_crlf(copy: &Copy) -> bool {
    copy.piece(0, copy.len()).windows(2).any(|octets| octets == b"\r\n")
}

/// A line of the server's, as it may be expected from another one: what is refused with its text, the rest by its codes.
fn pattern(line: &str) -> String {
    let (code, text) = line.split_once(' ').unwrap_or((line, ""));
    if !code.starts_with(['2', '3']) {
        return format!("S: {line}");
    }
    let (word, behind) = text.split_once(' ').unwrap_or((text, ""));
    let is_enhanced = word.split('.').count() == 3 && word.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.');
    match (is_enhanced, behind) {
        (true, "") => format!("S: {line}"),
        (true, _) => format!("S: {code} {word} *"),
        (false, _) => format!("S: {code} *"),
    }
}

/// As a dialogue writes octets: one line, in which nothing is hidden.
pub(super) fn escape(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len());
    for chunk in octets.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\r' => text.push_str("\\r"),
                '\n' => text.push_str("\\n"),
                '\0' => text.push_str("\\0"),
                '\t' => text.push_str("\\t"),
                '\\' => text.push_str("\\\\"),
                character if character.is_control() => {
                    let mut buffer = [0; 4];
                    character.encode_utf8(&mut buffer).bytes().for_each(|octet| hexadecimal(octet, &mut text));
                }
                character => text.push(character),
            }
        }
        chunk.invalid().iter().for_each(|octet| hexadecimal(*octet, &mut text));
    }
    // Editors take white space away that ends a line.
    if text.ends_with(' ') {
        text.pop();
        text.push_str("\\s");
    }
    text
}

fn hexadecimal(octet: u8, text: &mut String) {
    let _ = write!(text, "\\x{octet:02x}");
}

/// Whence clients of a dialogue come that does not say it.
const USUAL_SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// A larger message stands in a file beside the dialogue.
const INLINE_OCTETS_MAX: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use postgate_smtp::dialogue::{Action, Line, read_line};

    #[test]
    fn what_is_escaped_is_read() {
        for octets in [
            &b""[..],
            b" ",
            b"two  words ",
            b"\\r \\",
            b"a\tb\0\r\x1b\x7f",
            b"\xff\xfe gr\xc3\xbcn \xc2\x85",
            "\u{2028} \u{feff}".as_bytes(),
        ] {
            let line = format!("C~ {}", escape(octets));
            assert_eq!(line.lines().count(), 1, "{line:?}");
            let Ok(Line::Action(Action::Client(read))) = read_line(&line) else { panic!("{line}") };
            assert_eq!(read, octets, "{line}");
        }
    }

    #[test]
    fn what_is_written_is_ours_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.dlg");
        std::fs::write(&path, "longer than before").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        write(&path, b"x").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read(&path).unwrap(), b"x");
        write(Path::new("/dev/null"), b"x").unwrap();
    }

    #[test]
    fn replies() {
        for (line, expected) in [
            ("220 mx.example.org ESMTP", "S: 220 *"),
            ("250 2.0.0 Taken as x-1", "S: 250 2.0.0 *"),
            ("250 2.1.0", "S: 250 2.1.0"),
            ("354 go", "S: 354 *"),
            ("550 5.1.1 no such user", "S: 550 5.1.1 no such user"),
            ("334 ", "S: 334 *"),
        ] {
            assert_eq!(pattern(line), expected);
        }
    }
}
