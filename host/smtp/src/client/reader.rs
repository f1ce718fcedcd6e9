//! Replies out of the input (RFC 5321 section 4.2), bounded in every way: a server that never stops talking is left (CVE-2020-8794).
//!
//! A bare LF ends a line like CRLF does: old servers write it, and a reply holds nothing that could be smuggled. What is not printable ASCII becomes `?`.

use memchr::memchr;

use super::failure::Malformed;
use crate::replies;
use crate::reply::{Enhanced, Reply};

/// A whole reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    /// 200 to 599.
    pub(super) code: u16,
    /// What stands behind the code and its space, printable ASCII.
    pub(super) lines: Vec<String>,
}

/// Collects lines and replies that come in several reads.
#[derive(Debug, Default)]
pub(super) struct Reader {
    line: Vec<u8>,
    code: Option<u16>,
    lines: Vec<String>,
    octets: usize,
}

impl Reader {
    /// Takes octets from the front of `input`, up to the end of a reply. None where it has not ended.
    pub(super) fn read(&mut self, input: &mut &[u8]) -> Result<Option<Heard>, Malformed> {
        while !input.is_empty() {
            let end = memchr(b'\n', input).map(|lf| lf + 1);
            let (taken, behind) = input.split_at_checked(end.unwrap_or(input.len())).unwrap_or((input, &[]));
            *input = behind;
            if self.line.len() + taken.len() > LINE_OCTETS_MAX {
                return Err(Malformed::LineTooLong);
            }
            self.line.extend_from_slice(taken);
            if end.is_some()
                && let Some(heard) = self.end_line()?
            {
                return Ok(Some(heard));
            }
        }
        Ok(None)
    }

    fn end_line(&mut self) -> Result<Option<Heard>, Malformed> {
        let line = std::mem::take(&mut self.line);
        let ended = self.take_line(&line);
        if ended.is_err() {
            self.line = line;
        }
        ended
    }

    /// A line with its end.
    fn take_line(&mut self, line: &[u8]) -> Result<Option<Heard>, Malformed> {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let (code, rest) = match text {
            [a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] => {
                let digit = |octet: &u8| u16::from(octet - b'0');
                (digit(a) * 100 + digit(b) * 10 + digit(c), rest)
            }
            _ => return Err(Malformed::Code),
        };
        let (is_last, rest) = match rest {
            [] => (true, rest),
            [b' ', rest @ ..] => (true, rest),
            [b'-', rest @ ..] => (false, rest),
            _ => return Err(Malformed::Code),
        };
        if self.code.is_some_and(|earlier| earlier != code) {
            return Err(Malformed::Codes);
        }
        self.code = Some(code);
        self.octets += rest.len();
        if self.lines.len() >= LINES_MAX || self.octets > REPLY_OCTETS_MAX {
            return Err(Malformed::TooLong);
        }
        self.lines.push(rest.iter().map(|octet| printable(*octet)).collect());
        if !is_last {
            return Ok(None);
        }
        self.code = None;
        self.octets = 0;
        Ok(Some(Heard { code, lines: std::mem::take(&mut self.lines) }))
    }

    /// The lines of a reply that is not whole, or not one, as far as they may be shown.
    pub(super) fn unread(&self) -> Vec<String> {
        let code = self.code.unwrap_or_default();
        let mut lines: Vec<String> = self.lines.iter().map(|line| format!("{code}-{line}")).collect();
        let text = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if !self.line.is_empty() {
            lines.push(text.iter().take(SHOWN_OCTETS_MAX).map(|octet| printable(*octet)).collect());
        }
        lines
    }

    /// Whether a reply has begun.
    #[cfg(test)]
    fn is_within(&self) -> bool {
        !self.line.is_empty() || !self.lines.is_empty()
    }
}

impl Heard {
    pub(super) fn is_positive(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// Its lines as they came, but for what is not printable.
    pub(super) fn text(&self) -> Vec<String> {
        let last = self.lines.len().saturating_sub(1);
        let mark = |n: usize| if n < last { '-' } else { ' ' };
        self.lines.iter().enumerate().map(|(n, line)| format!("{}{}{line}", self.code, mark(n))).collect()
    }

    /// As a reply that can be passed on: without a code or an enhanced code that RFC 5321 and RFC 3463 do not have.
    ///
    /// A code with another second digit than the standard's (571 is common) becomes the general one of its class, and stays in the text.
    pub(super) fn reply(&self) -> Reply {
        let (code, prefix) = match self.code / 10 % 10 {
            0..=5 => (self.code, String::new()),
            _ => (self.code / 100 * 100 + 50, format!("{} ", self.code)),
        };
        let class = u8::try_from(code / 100).unwrap_or_default();
        let enhanced = self.lines.first().and_then(|line| split_enhanced(line, class)).map(|(enhanced, _)| enhanced);
        let lines: Vec<String> = self
            .lines
            .iter()
            .take(Reply::LINES_MAX)
            .map(|line| {
                let text = split_enhanced(line, class).map_or(line.as_str(), |(_, text)| text);
                prefix.chars().chain(text.chars()).take(Reply::LINE_OCTETS_MAX).collect()
            })
            .collect();
        let reply = Reply::new(code, enhanced.or(Enhanced::new(class, 0, 0)), &lines);
        // A 3yz where none can be is no answer.
        reply.unwrap_or_else(|_| replies::NEXT_HOP_PROTOCOL.clone())
    }
}

/// `5.7.1 text` taken apart, where the class is that of the code.
fn split_enhanced(line: &str, class: u8) -> Option<(Enhanced, &str)> {
    let (word, text) = line.split_once(' ').unwrap_or((line, ""));
    let mut parts = word.split('.');
    let mut number = |digits: usize| {
        let part = parts.next()?;
        let is_number = (1..=digits).contains(&part.len()) && part.bytes().all(|octet| octet.is_ascii_digit());
        part.parse::<u16>().ok().filter(|_| is_number)
    };
    let (first, subject, detail) = (number(1)?, number(3)?, number(3)?);
    let enhanced = Enhanced::new(u8::try_from(first).ok()?, subject, detail)?;
    (parts.next().is_none() && enhanced.class() == class).then_some((enhanced, text.trim_start()))
}

fn printable(octet: u8) -> char {
    match octet {
        b' '..=b'~' => char::from(octet),
        b'\t' => ' ',
        _ => '?',
    }
}

/// RFC 5321 section 4.5.3.1.5 says 512; servers that say more than that in a line are common.
const LINE_OCTETS_MAX: usize = 4096;
const LINES_MAX: usize = 100;
/// Of a line that is no reply.
const SHOWN_OCTETS_MAX: usize = 200;
const REPLY_OCTETS_MAX: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &[u8], reads: usize) -> Result<Vec<Heard>, Malformed> {
        let (mut reader, mut heard) = (Reader::default(), Vec::new());
        for mut read in input.chunks(reads) {
            while !read.is_empty() {
                heard.extend(reader.read(&mut read)?);
            }
        }
        assert!(!reader.is_within(), "a reply that has not ended");
        Ok(heard)
    }

    #[test]
    fn replies_whole_and_in_octets() {
        let check = |input: &[u8], expected: &[&str]| {
            for reads in [input.len(), 1, 2] {
                let found: Vec<String> =
                    all(input, reads).unwrap().iter().map(|heard| heard.reply().to_string()).collect();
                assert_eq!(found, expected, "{:?}", String::from_utf8_lossy(input));
            }
        };
        check(b"250 2.1.0 Ok\r\n", &["250 2.1.0 Ok"]);
        check(b"250\r\n", &["250 2.0.0 "]);
        check(b"550-5.1.1 no\r\n550 5.1.1 user\r\n", &["550 5.1.1 no user"]);
        check(b"550-no\n550 user\n250 x\r\n", &["550 5.0.0 no user", "250 2.0.0 x"]);
        check(b"571 5.7.1 blocked\r\n", &["550 5.7.1 571 blocked"]);
        check(b"451 5.7.1 other class\r\n", &["451 4.0.0 5.7.1 other class"]);
        check(b"450 4.7.1.2 x\r\n", &["450 4.0.0 4.7.1.2 x"]);
        check(b"450 gr\xfc\xdfe\x07\t!\r\n", &["450 4.0.0 gr??e? !"]);
    }

    #[test]
    fn what_is_no_reply() {
        let check = |input: &[u8], expected: Malformed| {
            for reads in [input.len(), 1] {
                assert_eq!(all(input, reads), Err(expected), "{:?}", String::from_utf8_lossy(input));
            }
        };
        for input in
            ["\r\n", "25\r\n", "2500 x\r\n", "250x\r\n", "099 x\r\n", "600 x\r\n", " 250 x\r\n", "HTTP/1.1 400\r\n"]
        {
            check(input.as_bytes(), Malformed::Code);
        }
        check(b"250-a\r\n550 b\r\n", Malformed::Codes);
        check(&[b'2'; 5000], Malformed::LineTooLong);
        check(&b"250-x\r\n".repeat(200), Malformed::TooLong);
        check(&[b"250-".to_vec(), vec![b'x'; 1000], b"\r\n".to_vec()].concat().repeat(30), Malformed::TooLong);
    }
}
