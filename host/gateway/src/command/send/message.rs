//! The message that is sent: a file, or one that is composed (RFC 5322).

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use postgate_smtp::{Mailbox, base64};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::super::{Exit, Failure};
use crate::chance;

/// A message, of which each copy that is sent has an identifier of its own where we have composed it.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// In front of the number in the Message-ID, and behind it; none in a message of the user's.
    around: Option<(String, String)>,
    body: Arc<Vec<u8>>,
    /// Lines that ended with LF alone.
    pub(super) mended: usize,
    /// A bare CR or NUL, which DATA can't carry.
    pub(super) oddity: Option<String>,
}

/// One copy.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    head: Vec<u8>,
    body: Arc<Vec<u8>>,
}

/// What a message is composed of.
pub(super) struct Composition<'a> {
    pub(super) reverse_path: Option<&'a Mailbox>,
    pub(super) recipients: &'a [Mailbox],
    pub(super) hello: &'a str,
    pub(super) subject: Option<&'a str>,
    pub(super) text: Option<&'a str>,
    pub(super) size: Option<usize>,
}

impl Message {
    /// Reads a message: octet for octet if it `is_binary`, and otherwise with CRLF for each bare LF.
    pub(super) fn read(path: &Path, is_binary: bool) -> Result<Self, Failure> {
        let octets = read(path).map_err(|failure| failure.of(path))?;
        let (octets, mended) = if is_binary { (octets, 0) } else { with_crlf(octets) };
        let oddity = if is_binary { None } else { oddity(&octets).map(|what| format!("{}: {what}", path.display())) };
        Ok(Self { around: None, body: Arc::new(octets), mended, oddity })
    }

    /// Composes one.
    pub(super) fn compose(parts: &Composition<'_>) -> Result<Self, Failure> {
        let usage = |text: String| Failure::new(Exit::Usage, text);
        let subject = parts.subject.unwrap_or("Test by postgate send");
        if subject.chars().any(char::is_control) || subject.len() > SUBJECT_BYTES_MAX {
            return Err(usage(format!("a subject has at most {SUBJECT_BYTES_MAX} octets and no control characters")));
        }
        let mut text = parts.text.unwrap_or("This is a test message, sent by `postgate send`.").to_owned();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        let (mut text, _) = with_crlf(text.into_bytes());
        if let Some(oddity) = oddity(&text) {
            return Err(usage(format!("--body: {oddity}")));
        }
        let date = OffsetDateTime::now_utc().format(&Rfc2822).unwrap_or_default();
        let unique: String = chance::seed().iter().take(8).map(|octet| format!("{octet:02x}")).collect();
        let before = format!("Date: {date}\r\nMessage-ID: <{unique}.");
        let mut behind = format!("@{}>\r\nFrom: {}\r\n", parts.hello, from(parts.reverse_path, parts.hello));
        behind.push_str(&format!("To: {}\r\nSubject: {}\r\n", to(parts.recipients), unstructured(subject)));
        let is_ascii = text.is_ascii();
        let encoding = if is_ascii { "7bit" } else { "8bit" };
        behind.push_str("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n");
        behind.push_str(&format!("Content-Transfer-Encoding: {encoding}\r\n\r\n"));
        if let Some(size) = parts.size {
            let now = before.len() + NUMBER_DIGITS + behind.len() + text.len();
            let more = size.checked_sub(now).filter(|_| size <= MESSAGE_BYTES_MAX);
            let more = more.ok_or_else(|| {
                usage(format!("--size: this message has {now} octets at least, and {MESSAGE_BYTES_MAX} at the most"))
            })?;
            pad(&mut text, more);
        }
        Ok(Self { around: Some((before, behind)), body: Arc::new(text), mended: 0, oddity: None })
    }

    /// The copy of this number.
    pub(super) fn copy(&self, n: u32) -> Copy {
        let head = self.around.as_ref().map(|(before, behind)| format!("{before}{n:0NUMBER_DIGITS$}{behind}"));
        Copy { head: head.unwrap_or_default().into_bytes(), body: self.body.clone() }
    }
}

impl Copy {
    /// Octets in all.
    pub(super) fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// Up to so many octets from there on.
    pub(super) fn piece(&self, at: usize, octets: usize) -> Cow<'_, [u8]> {
        let slice = |part: &'_ [u8], at: usize, octets: usize| -> (usize, usize) {
            let begin = at.min(part.len());
            (begin, begin.saturating_add(octets).min(part.len()))
        };
        let (begin, end) = slice(&self.head, at, octets);
        let first = self.head.get(begin..end).unwrap_or_default();
        let (begin, end) = slice(&self.body, at.saturating_sub(self.head.len()), octets - first.len());
        let second = self.body.get(begin..end).unwrap_or_default();
        match (first, second) {
            ([], second) => Cow::Borrowed(second),
            (first, []) => Cow::Borrowed(first),
            (first, second) => Cow::Owned([first, second].concat()),
        }
    }

    /// Whether all of it is ASCII.
    pub(super) fn is_ascii(&self) -> bool {
        self.head.is_ascii() && self.body.is_ascii()
    }

    /// Whether its header section is ASCII.
    pub(super) fn has_ascii_header(&self) -> bool {
        if !self.head.is_empty() {
            return self.head.is_ascii();
        }
        let end = self.body.windows(4).position(|octets| octets == b"\r\n\r\n").unwrap_or(self.body.len());
        self.body.get(..end).is_none_or(<[u8]>::is_ascii)
    }
}

/// Why a file can't be used.
enum Unread {
    Error(io::Error),
    TooLarge,
}

impl Unread {
    fn of(self, path: &Path) -> Failure {
        let path = if is_standard_input(path) { "standard input".to_owned() } else { path.display().to_string() };
        match self {
            Unread::Error(error) => Failure::new(Exit::NoInput, format!("{path} can't be read: {error}")),
            Unread::TooLarge => Failure::new(Exit::Data, format!("{path} has more than {MESSAGE_BYTES_MAX} octets")),
        }
    }
}

pub(super) fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn read(path: &Path) -> Result<Vec<u8>, Unread> {
    let mut octets = Vec::new();
    let bound = u64::try_from(MESSAGE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let read = if is_standard_input(path) {
        io::stdin().lock().take(bound).read_to_end(&mut octets)
    } else {
        File::open(path).and_then(|file| file.take(bound).read_to_end(&mut octets))
    };
    read.map_err(Unread::Error)?;
    if octets.len() > MESSAGE_BYTES_MAX { Err(Unread::TooLarge) } else { Ok(octets) }
}

/// With CRLF for each bare LF; and how many there were.
fn with_crlf(octets: Vec<u8>) -> (Vec<u8>, usize) {
    let mut made = Vec::with_capacity(octets.len() + octets.len() / 30);
    let mut mended = 0;
    for octet in octets {
        if octet == b'\n' && made.last() != Some(&b'\r') {
            made.push(b'\r');
            mended += 1;
        }
        made.push(octet);
    }
    (made, mended)
}

/// What DATA can't carry, with its line.
fn oddity(octets: &[u8]) -> Option<String> {
    for (n, line) in octets.split(|octet| *octet == b'\n').enumerate() {
        let text = line.strip_suffix(b"\r").unwrap_or(line);
        // At the very end there is no LF that the CR could belong to.
        let text = if n > 0 || line.len() < octets.len() { text } else { line };
        if text.contains(&b'\r') {
            return Some(format!("line {} has a bare CR", n + 1));
        }
        if text.contains(&0) {
            return Some(format!("line {} has a NUL", n + 1));
        }
    }
    octets.ends_with(b"\r").then(|| "the last octet is a bare CR".to_owned())
}

fn from(reverse_path: Option<&Mailbox>, hello: &str) -> String {
    match reverse_path {
        Some(mailbox) => format!("<{mailbox}>"),
        None => format!("<postmaster@{hello}>"),
    }
}

fn to(recipients: &[Mailbox]) -> String {
    if recipients.is_empty() || recipients.len() > RECIPIENTS_SHOWN_MAX {
        return "undisclosed-recipients:;".to_owned();
    }
    recipients.iter().map(|recipient| format!("<{recipient}>")).collect::<Vec<_>>().join(",\r\n\t")
}

/// RFC 2047, where it is not ASCII.
fn unstructured(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for character in text.chars() {
        if word.len() + character.len_utf8() > WORD_BYTES_MAX {
            words.push(std::mem::take(&mut word));
        }
        word.push(character);
    }
    words.push(word);
    let encoded = words.iter().map(|word| {
        let mut encoded = Vec::new();
        base64::encode(word.as_bytes(), &mut encoded);
        format!("=?utf-8?B?{}?=", String::from_utf8_lossy(&encoded))
    });
    encoded.collect::<Vec<_>>().join("\r\n ")
}

/// Adds exactly so many octets, in lines.
fn pad(text: &mut Vec<u8>, octets: usize) {
    let mut left = octets;
    text.reserve(octets);
    if left == 1 {
        // No line is that short: the last one gets longer.
        text.truncate(text.len().saturating_sub(2));
        text.extend_from_slice(b" \r\n");
        return;
    }
    while left > 0 {
        // What would leave a single octet is one line more or less long.
        let line = if left <= LINE_OCTETS + 1 { left } else { LINE_OCTETS };
        text.resize(text.len() + line - 2, b'x');
        text.extend_from_slice(b"\r\n");
        left -= line;
    }
}

/// Of a message, from a file or composed.
const MESSAGE_BYTES_MAX: usize = 256 << 20;
/// A line of the header section has 998 (RFC 5322 section 2.1.1).
const SUBJECT_BYTES_MAX: usize = 900;
/// Of an encoded word before base64, so that it has no more than 75 (RFC 2047 section 2).
const WORD_BYTES_MAX: usize = 45;
const RECIPIENTS_SHOWN_MAX: usize = 20;
/// Of the number in a Message-ID: all copies have the same size.
const NUMBER_DIGITS: usize = 7;
/// Of a line that fills a message up, with its CRLF.
const LINE_OCTETS: usize = 78;

#[cfg(test)]
mod tests {
    use super::*;

    fn composed(size: Option<usize>, subject: &str, text: &str) -> Result<Vec<u8>, Failure> {
        let recipients = ["bob@example.org".parse().unwrap()];
        let message = Message::compose(&Composition {
            reverse_path: None,
            recipients: &recipients,
            hello: "client.example",
            subject: Some(subject),
            text: Some(text),
            size,
        })?;
        let copy = message.copy(7);
        Ok(copy.piece(0, copy.len()).into_owned())
    }

    #[test]
    fn a_message_has_the_size_that_was_wanted() {
        let least = composed(None, "x", "y").unwrap().len();
        for size in (least..least + 240).chain([100_000, 100_001]) {
            let made = composed(Some(size), "x", "y").unwrap();
            assert_eq!(made.len(), size);
            assert_eq!(oddity(&made), None);
            assert_eq!(with_crlf(made.clone()), (made.clone(), 0));
            assert!(made.ends_with(b"\r\n"));
        }
        assert_eq!(composed(Some(least - 1), "x", "y").unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn fields() {
        let made = String::from_utf8(composed(None, "Gr\u{fc}\u{df}e", "a\nb").unwrap()).unwrap();
        assert!(made.contains("\r\nSubject: =?utf-8?B?R3LDvMOfZQ==?=\r\n"), "{made}");
        assert!(made.contains(".0000007@client.example>\r\nFrom: <postmaster@client.example>\r\n"), "{made}");
        assert!(made.contains("\r\nTo: <bob@example.org>\r\n") && made.ends_with("\r\n\r\na\r\nb\r\n"), "{made}");
        assert!(composed(None, "a\nb", "").is_err() && composed(None, "a", "b\rc").is_err());
    }

    #[test]
    fn what_data_can_not_carry() {
        for (text, expected) in [
            ("a\r\nb\r\n", None),
            ("", None),
            ("a", None),
            ("a\rb\r\n", Some("line 1 has a bare CR")),
            ("a\r\nb\0\r\n", Some("line 2 has a NUL")),
            ("a\r\nb\r", Some("the last octet is a bare CR")),
            ("\r", Some("line 1 has a bare CR")),
            ("a\r\r\n", Some("line 1 has a bare CR")),
        ] {
            assert_eq!(oddity(text.as_bytes()).as_deref(), expected, "{text:?}");
        }
        assert_eq!(with_crlf(b"a\nb\r\n\n".to_vec()), (b"a\r\nb\r\n\r\n".to_vec(), 2));
    }

    #[test]
    fn pieces() {
        let copy = Copy { head: b"abc".to_vec(), body: Arc::new(b"defg".to_vec()) };
        for (at, octets, expected) in
            [(0, 9, "abcdefg"), (0, 3, "abc"), (1, 3, "bcd"), (3, 2, "de"), (5, 9, "fg"), (7, 1, "")]
        {
            assert_eq!(&*copy.piece(at, octets), expected.as_bytes());
        }
    }
}
