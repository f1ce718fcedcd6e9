//! Records (RFC 7208 section 4.5, 4.6 and 5): selected among the texts of a domain, and parsed into what cannot be wrong.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::macros::{DomainSpec, MacroString};
use crate::bindings::postgate::mail::mail_authentication::ResultCode;

/// All of a record that matters.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) directives: Vec<Directive>,
    pub(super) redirect: Option<DomainSpec>,
    pub(super) explanation: Option<DomainSpec>,
}

/// What is the result if the mechanism matches.
#[derive(Debug)]
pub(super) struct Directive {
    pub(super) result: ResultCode,
    pub(super) mechanism: Mechanism,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    All,
    Include(DomainSpec),
    /// Of this domain, or else of the one that is asked.
    A(Option<DomainSpec>, Lengths),
    Mx(Option<DomainSpec>, Lengths),
    Ptr(Option<DomainSpec>),
    Ip(Network),
    Exists(DomainSpec),
}

/// How many bits of an address have to be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lengths {
    v4: Length<32>,
    v6: Length<128>,
}

/// At most `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Length<const MAX: u32>(u32);

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    V4(Ipv4Addr, Length<32>),
    V6(Ipv6Addr, Length<128>),
}

/// The record does not follow the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError;

type Parsed<T> = Result<T, SyntaxError>;

/// Whether a text claims to be a record: `v=spf1`, then a space or nothing (section 4.5).
pub(super) fn is_record(text: &[u8]) -> bool {
    let begins = text.get(..VERSION.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(VERSION));
    begins && matches!(text.get(VERSION.len()), None | Some(b' '))
}

impl Record {
    /// Parses what [`is_record`]. An error anywhere is one of the whole record (section 4.6).
    pub(super) fn parse(text: &[u8]) -> Parsed<Self> {
        let terms = text.get(VERSION.len()..).unwrap_or_default();
        let terms = str::from_utf8(terms).map_err(|_| SyntaxError)?;
        let mut record = Self { directives: Vec::new(), redirect: None, explanation: None };
        for term in terms.split(' ').filter(|term| !term.is_empty()) {
            match modifier(term) {
                Some((name, value)) => record.modify(name, value)?,
                None => record.directives.push(Directive::parse(term)?),
            }
        }
        Ok(record)
    }

    /// `redirect` and `exp` may stand there once; others are ignored if they follow the grammar (section 6).
    fn modify(&mut self, name: &str, value: &str) -> Parsed<()> {
        let place = if name.eq_ignore_ascii_case("redirect") {
            &mut self.redirect
        } else if name.eq_ignore_ascii_case("exp") {
            &mut self.explanation
        } else {
            return MacroString::parse(value).map(|_| ()).ok_or(SyntaxError);
        };
        match place.replace(domain_spec(value)?) {
            None => Ok(()),
            Some(_) => Err(SyntaxError),
        }
    }
}

/// The name and value of a term that is a modifier.
fn modifier(term: &str) -> Option<(&str, &str)> {
    let (name, value) = term.split_once('=')?;
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet));
    is_name.then_some((name, value))
}

fn domain_spec(text: &str) -> Parsed<DomainSpec> {
    DomainSpec::parse(text).ok_or(SyntaxError)
}

impl Directive {
    fn parse(term: &str) -> Parsed<Self> {
        let (result, mechanism) = match term.split_at_checked(1) {
            Some(("+", mechanism)) => (ResultCode::Pass, mechanism),
            Some(("-", mechanism)) => (ResultCode::Fail, mechanism),
            Some(("~", mechanism)) => (ResultCode::Softfail, mechanism),
            Some(("?", mechanism)) => (ResultCode::Neutral, mechanism),
            Some(_) | None => (ResultCode::Pass, term),
        };
        Ok(Self { result, mechanism: Mechanism::parse(mechanism)? })
    }
}

impl Mechanism {
    fn parse(text: &str) -> Parsed<Self> {
        let (name, argument) = text.split_at(text.find([':', '/']).unwrap_or(text.len()));
        let name = name.to_ascii_lowercase();
        // What stands behind the colon, if there is one; nothing else may follow the name.
        let value = || argument.strip_prefix(':').ok_or(SyntaxError);
        match name.as_str() {
            "all" if argument.is_empty() => Ok(Self::All),
            "include" => Ok(Self::Include(domain_spec(value()?)?)),
            "exists" => Ok(Self::Exists(domain_spec(value()?)?)),
            "ptr" if argument.is_empty() => Ok(Self::Ptr(None)),
            "ptr" => Ok(Self::Ptr(Some(domain_spec(value()?)?))),
            "a" => target(argument).map(|(domain, lengths)| Self::A(domain, lengths)),
            "mx" => target(argument).map(|(domain, lengths)| Self::Mx(domain, lengths)),
            "ip4" => {
                let (address, length) = network(value()?)?;
                Ok(Self::Ip(Network::V4(address, length)))
            }
            "ip6" => {
                let (address, length) = network(value()?)?;
                Ok(Self::Ip(Network::V6(address, length)))
            }
            _ => Err(SyntaxError),
        }
    }
}

/// `[":" domain-spec] [dual-cidr-length]` (section 5.3). A domain may have slashes in it, so the lengths are looked for at the end.
fn target(argument: &str) -> Parsed<(Option<DomainSpec>, Lengths)> {
    let (rest, v6) = match with_digits_behind(argument, "//") {
        Some((rest, digits)) => (rest, Length::parse(digits)?),
        None => (argument, Length::FULL),
    };
    let (rest, v4) = match with_digits_behind(rest, "/") {
        Some((rest, digits)) => (rest, Length::parse(digits)?),
        None => (rest, Length::FULL),
    };
    let domain = match rest {
        "" => None,
        rest => Some(domain_spec(rest.strip_prefix(':').ok_or(SyntaxError)?)?),
    };
    Ok((domain, Lengths { v4, v6 }))
}

/// A text that ends in slashes and digits, taken apart.
fn with_digits_behind<'a>(text: &'a str, slashes: &str) -> Option<(&'a str, &'a str)> {
    let (rest, digits) = text.rsplit_once(slashes)?;
    (!digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit())).then_some((rest, digits))
}

/// An address, and a length if there is one (section 5.6).
fn network<A: std::str::FromStr, const MAX: u32>(text: &str) -> Parsed<(A, Length<MAX>)> {
    let (address, length) = match text.split_once('/') {
        Some((address, digits)) => (address, Length::parse(digits)?),
        None => (text, Length::FULL),
    };
    Ok((address.parse().map_err(|_| SyntaxError)?, length))
}

impl<const MAX: u32> Length<MAX> {
    /// All bits.
    const FULL: Self = Self(MAX);

    /// Digits, without a zero in front.
    fn parse(digits: &str) -> Parsed<Self> {
        let is_number =
            digits.bytes().all(|octet| octet.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
        let length = digits.parse().map_err(|_| SyntaxError)?;
        if is_number && length <= MAX { Ok(Self(length)) } else { Err(SyntaxError) }
    }
}

impl Lengths {
    /// The network of that size which an address belongs to.
    pub(super) fn around(self, address: IpAddr) -> Network {
        match address {
            IpAddr::V4(address) => Network::V4(address, self.v4),
            IpAddr::V6(address) => Network::V6(address, self.v6),
        }
    }
}

impl Network {
    /// Whether an address belongs to it; one of the other kind never does.
    pub(super) fn contains(self, address: IpAddr) -> bool {
        // A shift by all bits has no value: no bit has to be the same.
        match (self, address) {
            (Self::V4(network, Length(length)), IpAddr::V4(address)) => {
                let differ = network.to_bits() ^ address.to_bits();
                differ.checked_shr(32 - length).unwrap_or(0) == 0
            }
            (Self::V6(network, Length(length)), IpAddr::V6(address)) => {
                let differ = network.to_bits() ^ address.to_bits();
                differ.checked_shr(128 - length).unwrap_or(0) == 0
            }
            (Self::V4(..), IpAddr::V6(_)) | (Self::V6(..), IpAddr::V4(_)) => false,
        }
    }
}

const VERSION: &[u8] = b"v=spf1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_told_from_other_texts() {
        for record in ["v=spf1", "V=SPF1 -all", "v=spf1 "] {
            assert!(is_record(record.as_bytes()), "{record}");
        }
        for other in ["", "v=spf10", "v=spf1-all", " v=spf1", "v=spf2.0/pra -all"] {
            assert!(!is_record(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn what_breaks_the_grammar() {
        for bad in [
            "all:x",
            "all/8",
            "include",
            "include:",
            "include:a.example/24",
            "a:",
            "a/",
            "a/33",
            "a//129",
            "a/24/64",
            "a/08",
            "a/+8",
            "a/99999999999",
            "a//",
            "mx:a.1",
            "ptr/0",
            "ptr:",
            "ip4",
            "ip4:1.2.3",
            "ip4:1.2.3.4/33",
            "ip4:1.2.3.4/",
            "ip4:1.2.3.4//32",
            "ip4:1.2.3.04",
            "ip6:1.2.3.4",
            "ip6:::1/129",
            "ip6:::1/",
            "exists",
            "exists:a.example/24",
            "-",
            "--all",
            "+exp=a.b",
            "redirect:a.b",
            "1a=x",
            "=x",
            "x=%",
            "redirect=",
            "exp=a.b exp=a.b",
            "redirect=a.b REDIRECT=a.b",
            "\u{e9}",
            "a\t-all",
            "a\0",
        ] {
            let text = format!("v=spf1 {bad}");
            assert!(Record::parse(text.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(Record::parse(b"v=spf1 \xff").is_err());
    }

    #[test]
    fn networks() {
        for (mechanism, address, expected) in [
            ("ip4:192.0.2.1", "192.0.2.1", true),
            ("ip4:192.0.2.1", "192.0.2.2", false),
            ("IP4:192.0.2.1/31", "192.0.2.0", true),
            ("ip4:192.0.2.1/0", "255.255.255.255", true),
            ("ip4:192.0.2.1/0", "::1", false),
            ("ip6:2001:db8::/32", "2001:db8:ffff::1", true),
            ("ip6:2001:db8::/33", "2001:db8:ffff::1", false),
            ("ip6:::/0", "ffff::1", true),
            ("ip6:::1", "::2", false),
        ] {
            let Ok(Mechanism::Ip(network)) = Mechanism::parse(mechanism) else { panic!("{mechanism}") };
            assert_eq!(network.contains(address.parse().unwrap()), expected, "{mechanism} {address}");
        }
    }
}
