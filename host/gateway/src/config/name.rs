//! Names in the configuration: the host's own, and those of listeners, chains and plugins.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// A name for the host: a domain, or an address literal where it has none (RFC 5321 section 2.3.5 and 4.1.3), lower case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Hostname(String);

impl Hostname {
    /// The name as it is said to clients.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn localhost() -> Self {
        Self("localhost".to_owned())
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Hostname {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix('[') {
            Some(literal) => address_literal(literal),
            None => domain(text),
        }
    }
}

impl<'de> Deserialize<'de> for Hostname {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The grammar of RFC 5321 section 4.1.2 (`sub-domain`), with the lengths of RFC 1035 section 2.3.4.
fn domain(text: &str) -> Result<Hostname, String> {
    if text.is_empty() || text.len() > 255 {
        return Err("a domain has 1 to 255 octets".to_owned());
    }
    for label in text.split('.') {
        if label.is_empty() || label.len() > 63 {
            return Err(format!("\"{}\" is not a domain: a label has 1 to 63 octets", text.escape_debug()));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(format!("\"{text}\" is not a domain: a label neither begins nor ends with \"-\""));
        }
        if let Some(bad) = label.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-') {
            return Err(format!(
                "\"{}\" is not a domain: '{}' is no letter, digit or \"-\"",
                text.escape_debug(),
                bad.escape_debug()
            ));
        }
    }
    Ok(Hostname(text.to_ascii_lowercase()))
}

/// What follows the opening bracket.
fn address_literal(text: &str) -> Result<Hostname, String> {
    let inner = text.strip_suffix(']').ok_or_else(|| "an address literal ends with \"]\"".to_owned())?;
    let tag = inner.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPv6:"));
    let known = match tag.and_then(|_| inner.get(5..)) {
        Some(address) => address.parse::<Ipv6Addr>().map(|a| Hostname(format!("[IPv6:{a}]"))).ok(),
        None => inner.parse::<Ipv4Addr>().map(|a| Hostname(format!("[{a}]"))).ok(),
    };
    known.ok_or_else(|| "expected an address literal such as \"[192.0.2.1]\" or \"[IPv6:2001:db8::1]\"".to_owned())
}

/// Whether a listener, chain or plugin may have this name: it stands in logs, metrics and on command lines.
pub(super) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// What [`is_name`] asks for.
pub(super) const NAME_WANTED: &str =
    "a name has 1 to 64 letters, digits, \"-\", \"_\" and \".\", and begins with a letter or digit";

/// The known word that is most like this one, if any is like it.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    // Comparing takes as long as the product of both lengths; nobody means a setting by a word of thousands of letters.
    if word.len() > 100 {
        return None;
    }
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostnames() {
        for (text, expected) in [
            ("mx.example.org", "mx.example.org"),
            ("MX1.Example.ORG", "mx1.example.org"),
            ("localhost", "localhost"),
            ("[192.0.2.1]", "[192.0.2.1]"),
            ("[ipv6:2001:DB8::1]", "[IPv6:2001:db8::1]"),
        ] {
            let hostname: Hostname = text.parse().unwrap();
            assert_eq!(hostname.as_str(), expected);
            assert_eq!(expected.parse::<postgate_smtp::Domain>().unwrap().as_str(), expected);
        }
        let longest = format!("{}a", "a.".repeat(127));
        assert!(longest.parse::<Hostname>().is_ok() && longest.parse::<postgate_smtp::Domain>().is_ok());
        let long = "a.".repeat(128);
        for text in [
            "",
            ".",
            "a..b",
            "mx.example.org.",
            "-a.org",
            "a_b.org",
            "mx example",
            "[1.2.3]",
            "[::1]",
            "[192.0.2.1",
            "[IPv6:",
            "bücher.example",
            "a\r\n",
            &long,
        ] {
            assert!(text.parse::<Hostname>().is_err(), "{text}");
        }
    }

    #[test]
    fn nearest_word() {
        let known = ["auth-in-clear", "bind", "chain", "limits"];
        for (word, expected) in [
            ("auth-in-claer", Some("auth-in-clear")),
            ("auth_in_clear", Some("auth-in-clear")),
            ("BIND", Some("bind")),
            ("bnd", Some("bind")),
            ("chian", Some("chain")),
            ("limit", Some("limits")),
            ("port", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
