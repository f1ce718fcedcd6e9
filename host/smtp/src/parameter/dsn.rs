//! The parameters of DSN (RFC 3461 section 4), with the address type `utf-8` (RFC 6533 section 3).
//!
//! They come back in notifications and in the next hop's commands, so nothing that decodes to a control octet is let through.

use super::{Declared, decode_xtext};
use crate::config::Config;
use crate::replies;
use crate::reply::Reply;

/// RET (section 4.3).
pub(crate) fn check_ret(_: &Config, value: Option<&str>, _: &mut Declared) -> Result<(), &'static Reply> {
    let is_known = |value: &str| ["FULL", "HDRS"].iter().any(|known| known.eq_ignore_ascii_case(value));
    value.filter(|value| is_known(value)).map(|_| ()).ok_or(&replies::PARAMETER_VALUE)
}

/// ENVID (section 4.4).
pub(crate) fn check_envid(_: &Config, value: Option<&str>, _: &mut Declared) -> Result<(), &'static Reply> {
    let is_envid = |value: &&str| value.len() <= ENVID_OCTETS_MAX && decode_xtext(value).is_some();
    value.filter(is_envid).map(|_| ()).ok_or(&replies::PARAMETER_VALUE)
}

/// NOTIFY (section 4.1): `NEVER`, which stands alone, or some of the others.
pub(crate) fn check_notify(_: &Config, value: Option<&str>, _: &mut Declared) -> Result<(), &'static Reply> {
    let value = value.ok_or(&replies::PARAMETER_VALUE)?;
    let is_known = |word: &str| ["SUCCESS", "FAILURE", "DELAY"].iter().any(|known| known.eq_ignore_ascii_case(word));
    match value.eq_ignore_ascii_case("NEVER") || value.split(',').all(is_known) {
        true => Ok(()),
        false => Err(&replies::PARAMETER_VALUE),
    }
}

/// ORCPT (section 4.2): an address type, a semicolon, and the address.
pub(crate) fn check_orcpt(_: &Config, value: Option<&str>, declared: &mut Declared) -> Result<(), &'static Reply> {
    let value = value.filter(|value| value.len() <= ORCPT_OCTETS_MAX).ok_or(&replies::PARAMETER_VALUE)?;
    let (kind, address) = value.split_once(';').ok_or(&replies::PARAMETER_VALUE)?;
    let is_kind = !kind.is_empty() && kind.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
    let is_address = match kind.eq_ignore_ascii_case("utf-8") {
        true => (declared.utf8 || address.is_ascii()) && is_utf8_address(address),
        false => decode_xtext(address).is_some(),
    };
    if is_kind && is_address && !address.is_empty() { Ok(()) } else { Err(&replies::PARAMETER_VALUE) }
}

/// RFC 6533 section 3, `utf-8-addr-unitext`: of ASCII what is visible but `+`, `=` and `\`, everything beyond it, and `\x{HEX}` for any
/// character. Without characters beyond ASCII that is `utf-8-addr-xtext`.
fn is_utf8_address(address: &str) -> bool {
    let mut rest = address;
    while let Some(character) = rest.chars().next() {
        let behind = match character {
            '\\' => embedded_character(rest),
            '+' | '=' => None,
            character if !is_visible(character) => None,
            character => rest.get(character.len_utf8()..),
        };
        let Some(behind) = behind else {
            return false;
        };
        rest = behind;
    }
    true
}

/// What stands behind a `\x{HEX}`, if that is a character that is allowed.
fn embedded_character(text: &str) -> Option<&str> {
    let (digits, behind) = text.strip_prefix("\\x{")?.split_once('}')?;
    let is_digit = |octet: u8| matches!(octet, b'0'..=b'9' | b'A'..=b'F');
    if !(2..=6).contains(&digits.len()) || !digits.bytes().all(is_digit) {
        return None;
    }
    let character = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
    is_visible(character).then_some(behind)
}

/// Neither a control character nor white space, which beyond ASCII includes ends of lines (U+0085, U+2028).
fn is_visible(character: char) -> bool {
    !character.is_control() && !character.is_whitespace()
}

/// RFC 3461 section 4.4.
const ENVID_OCTETS_MAX: usize = 100;
/// RFC 3461 section 4.2.
const ORCPT_OCTETS_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::{Declared, check_orcpt};
    use crate::config::Config;

    #[test]
    fn original_recipients() {
        let config = Config::new("mx.example.org".parse().unwrap());
        let check = |value: &str, ascii: bool, utf8: bool| {
            for (declared, expected) in [(false, ascii), (true, utf8)] {
                let mut declared = Declared { utf8: declared, ..Declared::default() };
                assert_eq!(
                    check_orcpt(&config, Some(value), &mut declared).is_ok(),
                    expected,
                    "{value:?} {declared:?}"
                );
            }
        };
        check("rfc822;b@example.org", true, true);
        check("rfc822;b+2Bc@example.org", true, true);
        check("x400;/C=US/", false, false);
        check("x400;/C+3DUS/", true, true);
        check("rfc822;", false, false);
        check(";b@example.org", false, false);
        check("b@example.org", false, false);
        check("rfc822;b+0D+0Ac@example.org", false, false);
        check("rfc822;b+00", false, false);
        check("rfc822;b+7F", false, false);
        check("rfc822;b+C3+A4", false, false);
        check("rfc822;b+2b", false, false);
        check("rfc822;b+2", false, false);
        check("rfc822;\u{e4}@example.org", false, false);
        check("utf-8;\u{e4}@example.org", false, true);
        check("utf-8;\\x{E4}@example.org", true, true);
        check("UTF-8;a\\x{5C}\\x{1F980}", true, true);
        check("utf-8;\\x{0A}", false, false);
        check("utf-8;\\x{85}", false, false);
        check("utf-8;a\u{2028}", false, false);
        check("utf-8;\\x{2028}", false, false);
        check("utf-8;\\x{D800}", false, false);
        check("utf-8;\\x{E}", false, false);
        check("utf-8;\\x{e4}", false, false);
        check("utf-8;\\x{000000E4}", false, false);
        check("utf-8;\\xE4", false, false);
        check("utf-8;a+2B", false, false);
        check("utf-8;", false, false);
        check(&format!("rfc822;{}", "a".repeat(493)), true, true);
        check(&format!("rfc822;{}", "a".repeat(494)), false, false);
    }
}
