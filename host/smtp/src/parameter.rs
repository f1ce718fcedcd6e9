//! Parameters of MAIL and RCPT (RFC 5321 section 4.1.1.11).

pub(crate) mod delivery;
pub(crate) mod dsn;

use crate::config::Config;
use crate::event::Body;
use crate::extension::{self, Extension};
use crate::mailbox::Mailbox;
use crate::replies;
use crate::reply::Reply;

/// A parameter of a MAIL or RCPT command that belongs to a service extension we offer, and whose value is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The keyword in upper case: `SIZE`, `BODY`.
    pub keyword: &'static str,
    /// What stood behind `=`, as the client wrote it.
    pub value: Option<String>,
}

/// The commands that have parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Mail,
    Recipient,
}

/// A row of a service extension: a parameter that it owns.
pub(crate) struct Row {
    pub(crate) of: Of,
    pub(crate) keyword: &'static str,
    /// Checks the value, and takes down what the session itself must know of it.
    pub(crate) check: fn(&Config, Option<&str>, &mut Declared) -> Result<(), &'static Reply>,
}

/// What the parameters of a MAIL command have declared.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Declared {
    pub(crate) size: Option<u64>,
    pub(crate) body: Body,
    /// SMTPUTF8 (RFC 6531). For the parameters of RCPT: whether its MAIL has said so.
    pub(crate) utf8: bool,
    /// Now, in seconds since 1970, where that is known.
    date: Option<u64>,
    /// There is a HOLDFOR or HOLDUNTIL (RFC 4865).
    holds: bool,
    hold_for_s: Option<u32>,
    deliver_by_s: Option<u32>,
}

impl Declared {
    /// Where the parameters of a MAIL start from.
    pub(crate) fn on(date: Option<u64>) -> Declared {
        Declared { date, ..Declared::default() }
    }

    /// Where the parameters of a RCPT start from.
    pub(crate) fn in_transaction(utf8: bool) -> Declared {
        Declared { utf8, ..Declared::default() }
    }

    /// Whether the parameters fit each other: a message can't be held for longer than it may take (RFC 4865 section 5).
    fn is_consistent(&self) -> bool {
        self.hold_for_s.zip(self.deliver_by_s).is_none_or(|(hold_for, deliver_by)| hold_for < deliver_by)
    }
}

/// Reads what stands behind a path: nothing, or parameters, each behind a space.
pub(crate) fn read_parameters(
    text: &str,
    of: Of,
    mut declared: Declared,
    config: &Config,
    offered: impl Fn(Extension) -> bool,
) -> Result<(Vec<Parameter>, Declared), &'static Reply> {
    let mut parameters: Vec<Parameter> = Vec::new();
    if !text.is_empty() && !text.starts_with(' ') {
        return Err(&replies::PARAMETER_VALUE);
    }
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let (keyword, value) = match word.split_once('=') {
            Some((keyword, value)) => (keyword, Some(value)),
            None => (word, None),
        };
        if !is_keyword(keyword) || !value.is_none_or(is_value) {
            return Err(&replies::PARAMETER_VALUE);
        }
        let row = extension::parameter(of, keyword, &offered).ok_or(&replies::PARAMETER_UNKNOWN)?;
        if parameters.iter().any(|earlier| earlier.keyword == row.keyword) {
            return Err(&replies::PARAMETER_TWICE);
        }
        (row.check)(config, value, &mut declared)?;
        parameters.push(Parameter { keyword: row.keyword, value: value.map(str::to_owned) });
    }
    // BODY belongs to 8BITMIME, and this value of it to another extension (RFC 3030 section 3).
    if declared.body == Body::BinaryMime && !offered(Extension::BinaryMime) || !declared.is_consistent() {
        return Err(&replies::PARAMETER_VALUE);
    }
    Ok((parameters, declared))
}

/// SIZE (RFC 1870 section 3): up to 20 digits. What is beyond our bound is refused at once (section 6.1).
pub(crate) fn check_size(config: &Config, value: Option<&str>, declared: &mut Declared) -> Result<(), &'static Reply> {
    let digits = value.ok_or(&replies::PARAMETER_VALUE)?;
    if digits.is_empty() || digits.len() > 20 || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(&replies::PARAMETER_VALUE);
    }
    // Twenty digits can say more than 64 bits can hold: that is too large like the rest.
    let size = digits.parse().unwrap_or(u64::MAX);
    if size > config.limits.message_octets {
        return Err(&replies::MESSAGE_TOO_LARGE);
    }
    declared.size = Some(size);
    Ok(())
}

/// BODY (RFC 6152 section 2, RFC 3030 section 3).
pub(crate) fn check_body(_: &Config, value: Option<&str>, declared: &mut Declared) -> Result<(), &'static Reply> {
    declared.body = match value {
        Some(value) if value.eq_ignore_ascii_case("7BIT") => Body::SevenBit,
        Some(value) if value.eq_ignore_ascii_case("8BITMIME") => Body::EightBitMime,
        Some(value) if value.eq_ignore_ascii_case("BINARYMIME") => Body::BinaryMime,
        Some(_) | None => return Err(&replies::PARAMETER_VALUE),
    };
    Ok(())
}

/// SMTPUTF8 (RFC 6531 section 3.4): without a value.
pub(crate) fn check_utf8(_: &Config, value: Option<&str>, declared: &mut Declared) -> Result<(), &'static Reply> {
    declared.utf8 = true;
    no_value(value)
}

/// REQUIRETLS (RFC 8689 section 2): without a value.
pub(crate) fn check_require_tls(_: &Config, value: Option<&str>, _: &mut Declared) -> Result<(), &'static Reply> {
    no_value(value)
}

fn no_value(value: Option<&str>) -> Result<(), &'static Reply> {
    if value.is_none() { Ok(()) } else { Err(&replies::PARAMETER_VALUE) }
}

/// AUTH (RFC 4954 section 5): `<>` or a mailbox, as xtext.
pub(crate) fn check_auth(_: &Config, value: Option<&str>, _: &mut Declared) -> Result<(), &'static Reply> {
    let text = value.and_then(decode_xtext).ok_or(&replies::PARAMETER_VALUE)?;
    if text != "<>" && text.parse::<Mailbox>().is_err() {
        return Err(&replies::PARAMETER_VALUE);
    }
    Ok(())
}

/// RFC 3461 section 4: `+` and two upper-case hexadecimal digits stand for an octet. None for what is not xtext, or hides an
/// octet that is not printable ASCII.
pub fn decode_xtext(text: &str) -> Option<String> {
    let mut decoded = String::with_capacity(text.len());
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        let octet = match octet {
            b'+' => hexadecimal(octets.next()?)? << 4 | hexadecimal(octets.next()?)?,
            b'=' => return None,
            octet => octet,
        };
        if !matches!(octet, b' '..=b'~') {
            return None;
        }
        decoded.push(char::from(octet));
    }
    Some(decoded)
}

/// RFC 3461 section 4, the other way: `+`, `=` and whatever is not visible ASCII become `+` and two digits.
pub fn encode_xtext(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'!'..=b'~' if !matches!(octet, b'+' | b'=') => encoded.push(char::from(octet)),
            _ => encoded.push_str(&format!("+{octet:02X}")),
        }
    }
    encoded
}

fn hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// RFC 5321 section 4.1.2, `esmtp-keyword`.
fn is_keyword(keyword: &str) -> bool {
    keyword.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
        && keyword.bytes().next().is_some_and(|octet| octet != b'-')
}

/// RFC 5321 section 4.1.2, `esmtp-value`: anything visible but `=`; and RFC 6531 section 3.3: anything beyond ASCII, which stands in a line
/// only where it may.
fn is_value(value: &str) -> bool {
    !value.is_empty()
        && value.chars().all(|character| matches!(character, '!'..='<' | '>'..='~') || !character.is_ascii())
}
