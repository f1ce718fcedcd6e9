//! The configuration.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// The configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Settings {
    pub(crate) url: Url,
    domains: Domains,
    pub(crate) secret: Option<String>,
    #[serde(default = "yes")]
    pub(crate) raw: bool,
    #[serde(default = "raw_octets")]
    pub(crate) raw_octets: u64,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
}

impl Settings {
    /// Whether mail for that domain is handed over here; the bare Postmaster's is.
    pub(crate) fn delivers(&self, domain: &str) -> bool {
        match &self.domains {
            Domains::All => true,
            Domains::Only(domains) => domain.is_empty() || domains.contains(&domain.to_ascii_lowercase()),
        }
    }
}

/// An absolute URL.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Url(String);

impl Url {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Url {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        if text.starts_with("https://") || text.starts_with("http://") {
            Ok(Self(text))
        } else {
            Err("a URL begins with https:// or http://")
        }
    }
}

/// Whose mail is handed over. There is no default: mail for other hosts must not end here because nobody thought of it.
#[derive(Debug, Deserialize)]
#[serde(try_from = "DomainsTable")]
enum Domains {
    All,
    /// In lower case.
    Only(BTreeSet<String>),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a list of domains, or \"all\"")]
enum DomainsTable {
    Word(String),
    List(Vec<String>),
}

impl TryFrom<DomainsTable> for Domains {
    type Error = &'static str;

    fn try_from(table: DomainsTable) -> Result<Self, &'static str> {
        match table {
            DomainsTable::List(domains) => {
                Ok(Self::Only(domains.iter().map(|domain| domain.to_ascii_lowercase()).collect()))
            }
            DomainsTable::Word(word) if word == "all" => Ok(Self::All),
            DomainsTable::Word(_) => Err("a list of domains, or \"all\""),
        }
    }
}

const fn yes() -> bool {
    true
}

const fn raw_octets() -> u64 {
    1 << 20
}

#[cfg(test)]
mod tests {
    use postgate_sdk::config;

    use super::*;

    #[test]
    fn settings() {
        let check = |json: &str, expected: Result<(), &str>| {
            let read = config::parse::<Settings>(json).map(drop).map_err(|error| error.to_string());
            assert_eq!(read, expected.map_err(str::to_owned), "{json}");
        };
        check(r#"{"url": "https://example.org/x", "domains": "all"}"#, Ok(()));
        check(r#"{"url": "example.org", "domains": "all"}"#, Err("url: a URL begins with https:// or http://"));
        check(r#"{"url": "http://a", "domains": "some"}"#, Err("domains: a list of domains, or \"all\""));
        check(r#"{"url": "http://a"}"#, Err("missing field `domains`"));
    }

    #[test]
    fn domains() {
        let settings: Settings =
            config::parse(r#"{"url": "http://a", "domains": ["Example.ORG"]}"#).expect("invariant: right");
        for (domain, expected) in [("example.org", true), ("", true), ("example.com", false)] {
            assert_eq!(settings.delivers(domain), expected, "{domain}");
        }
    }
}
