//! The configuration, and whose key signs.

use std::collections::BTreeMap;

use postgate_sdk::unit::Network;
use serde::Deserialize;

/// All that the operator has said.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Keys {
    /// By the domain of From, in lower case.
    #[serde(deserialize_with = "domains")]
    domains: BTreeMap<String, Vec<String>>,
    /// Whether a domain's keys sign for those below it, too.
    #[serde(default)]
    subdomains: bool,
    /// Clients whose mail is signed although they have not authenticated.
    #[serde(default)]
    pub(crate) networks: Vec<Network>,
    /// The key that seals mail of all others.
    pub(crate) seal: Option<String>,
    #[serde(default)]
    pub(crate) on_failure: Failure,
}

/// What is done with a message that can't be signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Failure {
    #[default]
    Defer,
    Accept,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

fn domains<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Vec<String>>, D::Error> {
    let table = BTreeMap::<String, OneOrMore>::deserialize(deserializer)?;
    let entries = table.into_iter().map(|(domain, keys)| {
        let keys = match keys {
            OneOrMore::One(key) => vec![key],
            OneOrMore::More(keys) => keys,
        };
        if keys.is_empty() || keys.len() > MAX_KEYS {
            return Err(serde::de::Error::custom(format!("{domain:?} has 1 to {MAX_KEYS} keys")));
        }
        Ok((domain.to_ascii_lowercase(), keys))
    });
    entries.collect()
}

impl Keys {
    /// All keys, each with the setting that names it.
    pub(crate) fn named(&self) -> Vec<(Vec<String>, &str)> {
        let seal = self.seal.iter().map(|key| (vec!["seal".to_owned()], key.as_str()));
        let mut named: Vec<(Vec<String>, &str)> = seal.collect();
        for (domain, keys) in &self.domains {
            named.extend(keys.iter().map(|key| (vec!["domains".to_owned(), domain.clone()], key.as_str())));
        }
        named
    }

    /// The keys that sign for a domain: its own, or those of the nearest above it.
    pub(crate) fn of(&self, domain: &str) -> &[String] {
        let mut at = domain;
        loop {
            if let Some(keys) = self.domains.get(at) {
                return keys;
            }
            match at.split_once('.').filter(|_| self.subdomains) {
                Some((_, above)) => at = above,
                None => return &[],
            }
        }
    }
}

/// The domain of the one mailbox in a From field (RFC 5322 section 3.6.2), in lower case; none where there is not one, or several of different
/// domains.
pub(crate) fn author_domain(value: &str) -> Option<String> {
    let mut domain = None;
    for mailbox in mailboxes(value) {
        let inside =
            mailbox.split_once('<').map_or(mailbox.as_str(), |(_, rest)| rest.split('>').next().unwrap_or_default());
        let (local_part, found) = inside.trim().rsplit_once('@')?;
        let found = found.trim().trim_end_matches('.').to_ascii_lowercase();
        let is_domain =
            !found.is_empty() && found.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-._".contains(&octet));
        if local_part.trim().is_empty() || !is_domain || domain.as_ref().is_some_and(|known| *known != found) {
            return None;
        }
        domain = Some(found);
    }
    domain
}

/// The mailboxes of a list, without comments; what stands in quotes is replaced by `x`.
fn mailboxes(value: &str) -> Vec<String> {
    let (mut all, mut depth, mut quoted, mut escaped) = (vec![String::new()], 0_u32, false, false);
    for character in value.chars() {
        let is_escaped = std::mem::take(&mut escaped);
        let inside = quoted || depth > 0;
        let kept = match character {
            '\\' if inside && !is_escaped => {
                escaped = true;
                None
            }
            '"' if depth == 0 && !is_escaped => {
                quoted = !quoted;
                quoted.then_some('x')
            }
            '(' if !quoted && !is_escaped => {
                depth += 1;
                None
            }
            ')' if depth > 0 && !is_escaped => {
                depth -= 1;
                None
            }
            _ if inside => None,
            ',' => {
                all.push(String::new());
                None
            }
            character => Some(character),
        };
        if let (Some(kept), Some(last)) = (kept, all.last_mut()) {
            last.push(kept);
        }
    }
    all.retain(|mailbox| !mailbox.trim().is_empty());
    all
}

/// Of one domain: an RSA and an Ed25519 key is usual.
const MAX_KEYS: usize = 4;

#[cfg(test)]
mod tests {
    use postgate_sdk::config;

    use super::*;

    #[test]
    fn authors() {
        for (from, expected) in [
            ("alice@example.org", Some("example.org")),
            ("Alice <alice@Example.ORG>", Some("example.org")),
            ("\"a@evil.example, <b@evil.example>\" <alice@example.org>", Some("example.org")),
            ("\"quoted @ local\"@example.org", Some("example.org")),
            ("alice@example.org (at <x@evil.example>)", Some("example.org")),
            ("a@example.org, b@example.org", Some("example.org")),
            ("a@example.org, b@example.com", None),
            ("\r\n\tAlice\r\n <alice@example.org>", Some("example.org")),
            ("alice", None),
            ("", None),
            ("<>", None),
            ("@example.org", None),
            ("a@[192.0.2.1]", None),
            ("(unclosed a@example.org", None),
        ] {
            assert_eq!(author_domain(from).as_deref(), expected, "{from:?}");
        }
    }

    #[test]
    fn keys_of_domains() {
        let check = |subdomains: bool, domain: &str, expected: &[&str]| {
            let json = format!(
                r#"{{"subdomains": {subdomains}, "domains": {{"Example.org": ["rsa", "ed"], "a.example.org": "own"}}}}"#
            );
            let keys: Keys = config::parse(&json).expect("invariant: the sample is right");
            assert_eq!(keys.of(domain), expected, "{domain}");
        };
        check(false, "example.org", &["rsa", "ed"]);
        check(false, "b.example.org", &[]);
        check(true, "b.example.org", &["rsa", "ed"]);
        check(true, "b.a.example.org", &["own"]);
        check(true, "example.com", &[]);
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (json, expected) in [
            ("{}", "missing field `domains`"),
            (r#"{"domains": {"example.org": []}}"#, "1 to 4 keys"),
            (r#"{"domains": {}, "on-failure": "reject"}"#, "unknown variant"),
        ] {
            let error = config::parse::<Keys>(json).map(drop).map_err(|error| error.to_string());
            assert!(error.as_ref().is_err_and(|error| error.contains(expected)), "{json}: {error:?}");
        }
    }
}
