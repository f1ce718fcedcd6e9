//! Domains and address literals (RFC 5321 sections 4.1.2 and 4.1.3).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::mailbox::AddressError;

/// A domain in lower case, or an address literal with its brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(Box<str>);

impl Domain {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Domain {
    type Err = AddressError;

    /// A name of ours: A-labels only, for it is written where nobody has said SMTPUTF8.
    fn from_str(text: &str) -> Result<Domain, AddressError> {
        if !text.is_ascii() {
            return Err(AddressError::Domain);
        }
        let mut canonical = String::with_capacity(text.len());
        write_canonical(text, &mut canonical)?;
        Ok(Domain(canonical.into_boxed_str()))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The most octets of a domain (RFC 5321 section 4.5.3.1.2).
pub(crate) const DOMAIN_OCTETS_MAX: usize = 255;

/// Appends the domain in lower case, or the address literal in its canonical form.
///
/// Of address literals only those of IPv4 and IPv6 exist: RFC 5321 section 4.1.3 wants the tag of any other to be registered by a
/// standard, and none is.
pub(crate) fn write_canonical(text: &str, canonical: &mut String) -> Result<(), AddressError> {
    if text.len() > DOMAIN_OCTETS_MAX {
        return Err(AddressError::DomainTooLong);
    }
    if let Some(literal) = text.strip_prefix('[') {
        let literal = literal.strip_suffix(']').ok_or(AddressError::Literal)?;
        let address = literal_address(literal).ok_or(AddressError::Literal)?;
        canonical.push_str(&address);
        return Ok(());
    }
    let begin = canonical.len();
    canonical.extend(text.chars().flat_map(char::to_lowercase));
    // Beyond ASCII a small letter can be longer than its capital: what counts is what is kept.
    let lower = canonical.get(begin..).unwrap_or_default();
    if lower.len() > DOMAIN_OCTETS_MAX {
        return Err(AddressError::DomainTooLong);
    }
    if lower.split('.').all(is_label) { Ok(()) } else { Err(AddressError::Domain) }
}

/// Whether a client may call itself so in HELO and EHLO.
///
/// Beyond the grammar the underscore is let through: host names with one are common inside networks, and RFC 5321 section 4.1.4 wants
/// no mail refused over a name that says nothing sure.
pub(crate) fn is_hello_name(text: &str) -> bool {
    if text.starts_with('[') {
        return write_canonical(text, &mut String::new()).is_ok();
    }
    let is_part = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    text.len() <= DOMAIN_OCTETS_MAX && text.split('.').all(|label| !label.is_empty() && label.bytes().all(is_part))
}

/// The canonical form of what stands within the brackets of an address literal.
fn literal_address(literal: &str) -> Option<String> {
    match literal.split_once(':') {
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6") => {
            let address: Ipv6Addr = address.parse().ok()?;
            Some(format!("[IPv6:{address}]"))
        }
        Some(_) => None,
        None => {
            let address: Ipv4Addr = literal.parse().ok()?;
            Some(format!("[{address}]"))
        }
    }
}

/// RFC 5321 section 4.1.2, `sub-domain`, with the 63 octets of RFC 1035; or a U-label (RFC 6531 section 3.3).
///
/// Of U-labels we know no tables. What could be taken for something else is refused: dots of other scripts, white space, controls.
fn is_label(label: &str) -> bool {
    if !label.is_ascii() {
        let is_part = |character: char| match character {
            '\u{3002}' | '\u{ff0e}' | '\u{ff61}' => false,
            character if character.is_ascii() => character.is_ascii_alphanumeric() || character == '-',
            character => !character.is_control() && !character.is_whitespace(),
        };
        // Its A-label has four octets more than characters, at least.
        return label.chars().count() <= 59
            && label.chars().all(is_part)
            && !label.starts_with('-')
            && !label.ends_with('-');
    }
    let octets = label.as_bytes();
    let is_part = |octet: &u8| octet.is_ascii_alphanumeric() || *octet == b'-';
    (1..=63).contains(&octets.len())
        && octets.iter().all(is_part)
        && octets.first() != Some(&b'-')
        && octets.last() != Some(&b'-')
}
