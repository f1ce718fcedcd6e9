//! Replies (RFC 5321 section 4.2) with enhanced status codes (RFC 3463, and RFC 2034 for how they are written).

use std::borrow::Cow;
use std::fmt;

/// An enhanced status code (RFC 3463 section 2), such as `5.7.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Enhanced {
    class: u8,
    subject: u16,
    detail: u16,
}

impl Enhanced {
    /// None unless the class is 2, 4 or 5 and the others have three digits at most.
    pub const fn new(class: u8, subject: u16, detail: u16) -> Option<Enhanced> {
        if matches!(class, 2 | 4 | 5) && subject <= 999 && detail <= 999 {
            Some(Enhanced { class, subject, detail })
        } else {
            None
        }
    }

    /// 2, 4 or 5.
    pub const fn class(self) -> u8 {
        self.class
    }

    /// 0 to 999.
    pub const fn subject(self) -> u16 {
        self.subject
    }

    /// 0 to 999.
    pub const fn detail(self) -> u16 {
        self.detail
    }
}

impl fmt::Display for Enhanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// A reply that can be sent as it is: its code, enhanced code and text are known to be well-formed and to fit each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    enhanced: Option<Enhanced>,
    /// Lines of printable characters, joined by LF; ASCII, unless `beyond_ascii` has made it.
    text: Cow<'static, str>,
}

impl Reply {
    /// The most lines of a reply's text.
    pub const LINES_MAX: usize = 100;
    /// The most octets of one of them. With the codes and CRLF the line stays below the 512 octets of RFC 5321 section 4.5.3.1.5.
    pub const LINE_OCTETS_MAX: usize = 480;

    /// A reply made of what somebody else has said.
    ///
    /// Characters beyond ASCII become `?`. Without an enhanced code it gets the general one of its class, and without lines a
    /// general text.
    ///
    /// # Errors
    /// See [`ReplyError`].
    pub fn new<L: AsRef<str>>(code: u16, enhanced: Option<Enhanced>, lines: &[L]) -> Result<Reply, ReplyError> {
        let mut reply = Reply::beyond_ascii(code, enhanced, lines)?;
        if !reply.is_ascii() {
            let ascii = reply.text.chars().map(|character| if character.is_ascii() { character } else { '?' });
            reply.text = Cow::Owned(ascii.collect());
        }
        Ok(reply)
    }

    /// As [`new`](Reply::new), but characters beyond ASCII stay. It is for answers to VRFY and EXPN: the session sends it where the client
    /// has said SMTPUTF8 (RFC 6531 section 3.7.4.2).
    ///
    /// # Errors
    /// See [`ReplyError`].
    pub fn beyond_ascii<L: AsRef<str>>(
        code: u16,
        enhanced: Option<Enhanced>,
        lines: &[L],
    ) -> Result<Reply, ReplyError> {
        if !is_code(code) || code / 100 == 3 {
            return Err(ReplyError::Code(code));
        }
        let class = class_of(code);
        let (general, text) = match class {
            2 => (Enhanced { class, subject: 0, detail: 0 }, "Ok"),
            4 => (Enhanced { class, subject: 7, detail: 1 }, "Not now, try again later"),
            _ => (Enhanced { class, subject: 7, detail: 1 }, "Refused"),
        };
        let enhanced = enhanced.unwrap_or(general);
        if enhanced.class != class {
            return Err(ReplyError::Class { code, enhanced });
        }
        let text = if lines.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(joined(lines)?) };
        Ok(Reply { code, enhanced: Some(enhanced), text })
    }

    /// A reply of our own, for tables of constants. `enhanced` is class, subject and detail.
    ///
    /// # Panics
    /// When it is not well-formed: in a constant or static that is an error of the compiler's.
    pub const fn fixed(code: u16, enhanced: (u8, u16, u16), text: &'static str) -> Reply {
        let (class, subject, detail) = enhanced;
        let enhanced = Enhanced::new(class, subject, detail);
        assert!(enhanced.is_some(), "not an enhanced status code");
        assert!(class == class_of(code), "the enhanced status code is of another class");
        let mut reply = Reply::plain(code, text);
        reply.enhanced = enhanced;
        reply
    }

    /// A reply without an enhanced code: one to HELO or EHLO, or an intermediate one (RFC 2034 section 4).
    pub(crate) const fn plain(code: u16, text: &'static str) -> Reply {
        assert!(is_code(code), "not a reply code");
        assert!(text.len() <= Reply::LINE_OCTETS_MAX, "the text is too long");
        let mut rest = text.as_bytes();
        while let Some((octet, behind)) = rest.split_first() {
            assert!(is_printable(*octet), "the text is not printable ASCII");
            rest = behind;
        }
        Reply { code, enhanced: None, text: Cow::Borrowed(text) }
    }

    /// The same with another code of the same class, and without enhanced code.
    pub(crate) fn with_plain_code(self, code: u16) -> Reply {
        Reply { code, enhanced: None, text: self.text }
    }

    /// The reply code.
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced status code. Only replies of our own are without.
    pub const fn enhanced(&self) -> Option<Enhanced> {
        self.enhanced
    }

    /// The lines of its text.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.split('\n')
    }

    /// Whether all of its text is ASCII.
    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }

    /// Whether it is a 2yz.
    pub const fn is_positive(&self) -> bool {
        self.code < 300
    }

    /// Whether it is a 4yz or 5yz.
    pub const fn is_negative(&self) -> bool {
        self.code >= 400
    }

    /// Appends the reply as it goes over the wire: each line with the codes and CRLF.
    pub(crate) fn write(&self, codes: EnhancedCodes, output: &mut Vec<u8>) {
        let enhanced = match codes {
            EnhancedCodes::Written => self.enhanced,
            EnhancedCodes::LeftOut => None,
        };
        let mut lines = self.text.split('\n').peekable();
        while let Some(line) = lines.next() {
            write_number(self.code, output);
            output.push(if lines.peek().is_some() { b'-' } else { b' ' });
            if let Some(Enhanced { class, subject, detail }) = enhanced {
                output.extend_from_slice(&[b'0' + class, b'.']);
                write_number(subject, output);
                output.push(b'.');
                write_number(detail, output);
                output.push(b' ');
            }
            output.extend_from_slice(line.as_bytes());
            output.extend_from_slice(b"\r\n");
        }
    }
}

impl fmt::Display for Reply {
    /// The reply on one line, for logs and errors.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        for line in self.lines() {
            write!(f, " {line}")?;
        }
        Ok(())
    }
}

/// Whether ENHANCEDSTATUSCODES is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EnhancedCodes {
    Written,
    LeftOut,
}

/// What is wrong with a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// Not a code of RFC 5321 section 4.2: 2, 4 or 5, then 0 to 5, then a digit.
    Code(u16),
    /// The enhanced code is of another class than the code.
    Class {
        /// The reply code.
        code: u16,
        /// The enhanced code.
        enhanced: Enhanced,
    },
    /// More than [`Reply::LINES_MAX`] lines.
    Lines(usize),
    /// A line of more than [`Reply::LINE_OCTETS_MAX`] octets.
    LineOctets(usize),
    /// A control character, such as CR or LF.
    Control(char),
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplyError::Code(code) => write!(f, "{code} is not a reply code"),
            ReplyError::Class { code, enhanced } => {
                write!(f, "the enhanced status code {enhanced} does not fit the reply code {code}")
            }
            ReplyError::Lines(lines) => {
                write!(f, "{lines} lines are more than {}", Reply::LINES_MAX)
            }
            ReplyError::LineOctets(octets) => {
                write!(f, "a line of {octets} octets is longer than {}", Reply::LINE_OCTETS_MAX)
            }
            ReplyError::Control(character) => {
                write!(f, "the text has the control character {character:?}")
            }
        }
    }
}

impl std::error::Error for ReplyError {}

/// The lines joined by LF, or what is wrong with them.
fn joined<L: AsRef<str>>(lines: &[L]) -> Result<String, ReplyError> {
    if lines.len() > Reply::LINES_MAX {
        return Err(ReplyError::Lines(lines.len()));
    }
    let mut text = String::new();
    for (n, line) in lines.iter().enumerate() {
        let line = line.as_ref();
        if line.len() > Reply::LINE_OCTETS_MAX {
            return Err(ReplyError::LineOctets(line.len()));
        }
        if n > 0 {
            text.push('\n');
        }
        for character in line.chars() {
            if character.is_control() {
                return Err(ReplyError::Control(character));
            }
            text.push(character);
        }
    }
    Ok(text)
}

/// RFC 5321 section 4.2: `%x32-35 %x30-35 %x30-39`.
const fn is_code(code: u16) -> bool {
    code >= 200 && code <= 599 && code / 10 % 10 <= 5
}

/// The first digit of a reply code.
const fn class_of(code: u16) -> u8 {
    match code / 100 {
        2 => 2,
        3 => 3,
        4 => 4,
        _ => 5,
    }
}

const fn is_printable(octet: u8) -> bool {
    matches!(octet, b' '..=b'~')
}

/// Appends a number of at most three digits, without the detour through `fmt`.
fn write_number(number: u16, output: &mut Vec<u8>) {
    let digit = |n: u16| b'0' + u8::try_from(n % 10).unwrap_or(0);
    if number >= 100 {
        output.push(digit(number / 100));
    }
    if number >= 10 {
        output.push(digit(number / 10));
    }
    output.push(digit(number));
}

#[cfg(test)]
mod tests {
    use super::{Enhanced, EnhancedCodes, Reply, ReplyError};

    #[test]
    fn new_takes_what_can_be_sent() {
        let check = |code: u16, enhanced: Option<(u8, u16, u16)>, lines: &[&str], expected: &str| {
            let enhanced = enhanced.map(|(class, subject, detail)| Enhanced::new(class, subject, detail).unwrap());
            let mut output = Vec::new();
            Reply::new(code, enhanced, lines).unwrap().write(EnhancedCodes::Written, &mut output);
            assert_eq!(String::from_utf8(output).unwrap(), expected);
        };
        check(550, Some((5, 1, 1)), &["no such user"], "550 5.1.1 no such user\r\n");
        check(450, Some((4, 999, 10)), &["a", "", "b"], "450-4.999.10 a\r\n450-4.999.10 \r\n450 4.999.10 b\r\n");
        check(554, None, &["gr\u{fc}\u{df}e \u{1f980}"], "554 5.7.1 gr??e ?\r\n");
        check(451, None, &[], "451 4.7.1 Not now, try again later\r\n");
        let reply = Reply::beyond_ascii(250, None, &["gr\u{fc}n"]).unwrap();
        assert!(!reply.is_ascii() && reply.lines().eq(["gr\u{fc}n"]));
    }

    #[test]
    fn new_refuses_what_cannot() {
        let check = |code: u16, enhanced: Option<(u8, u16, u16)>, lines: &[&str], expected: ReplyError| {
            let enhanced = enhanced.map(|(class, subject, detail)| Enhanced::new(class, subject, detail).unwrap());
            assert_eq!(Reply::new(code, enhanced, lines), Err(expected), "{code} {enhanced:?} {lines:?}");
        };
        for code in [0, 99, 100, 199, 354, 300, 399, 560, 599, 600, 999, 5500, u16::MAX] {
            check(code, None, &["x"], ReplyError::Code(code));
        }
        let enhanced = Enhanced::new(4, 7, 1).unwrap();
        check(550, Some((4, 7, 1)), &["x"], ReplyError::Class { code: 550, enhanced });
        check(550, None, &["a\r\n250 b"], ReplyError::Control('\r'));
        check(550, None, &["a", "\n"], ReplyError::Control('\n'));
        check(550, None, &["\t"], ReplyError::Control('\t'));
        check(550, None, &["\u{85}"], ReplyError::Control('\u{85}'));
        check(550, None, &["x"; 101], ReplyError::Lines(101));
        check(550, None, &[&"x".repeat(481)], ReplyError::LineOctets(481));
    }

    #[test]
    fn lines_fit_the_standard() {
        // RFC 5321 section 4.5.3.1.5: 512 octets with CRLF.
        let mut output = Vec::new();
        let reply = Reply::new(550, Enhanced::new(5, 999, 999), &["x".repeat(Reply::LINE_OCTETS_MAX)]).unwrap();
        reply.write(EnhancedCodes::Written, &mut output);
        assert!(output.len() <= 512);
        assert!(Enhanced::new(3, 0, 0).is_none() && Enhanced::new(5, 1000, 0).is_none());
    }
}
