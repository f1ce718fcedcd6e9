//! Which recipients go to which relay.

use std::collections::BTreeSet;

use postgate_sdk::Mailbox;
use serde::Deserialize;

/// The configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Settings {
    relay: Name,
    domains: Domains,
}

impl Settings {
    /// The relay's name.
    pub(crate) fn relay(&self) -> &str {
        &self.relay.0
    }

    /// Whether this recipient's mail goes there.
    pub(crate) fn contains(&self, recipient: &Mailbox) -> bool {
        match &self.domains {
            Domains::All => true,
            Domains::Only(domains) => domains.contains(&recipient.domain.to_ascii_lowercase()),
        }
    }
}

/// A name that is not empty.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Name(String);

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, &'static str> {
        if name.is_empty() { Err("the name of a relay is not empty") } else { Ok(Self(name)) }
    }
}

/// Whose mail goes there. There is no default: a relay that trusts us takes mail for everybody.
#[derive(Debug, Deserialize)]
#[serde(try_from = "DomainsTable")]
enum Domains {
    /// `"all"`
    All,
    /// These, in lower case.
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

#[cfg(test)]
mod tests {
    use postgate_sdk::config;

    use super::*;

    #[test]
    fn whose_mail() {
        let check = |domains: &str, recipient: &str, expected: bool| {
            let settings: Settings =
                config::parse(&format!(r#"{{"relay": "r", "domains": {domains}}}"#)).expect("invariant: right");
            let recipient = Mailbox::parse(recipient).expect("invariant: a mailbox");
            assert_eq!(settings.contains(&recipient), expected, "{domains} {recipient}");
        };
        check(r#""all""#, "a@example.org", true);
        check(r#"["Example.ORG"]"#, "a@example.org", true);
        check(r#"["example.org"]"#, "a@sub.example.org", false);
        check("[]", "a@example.org", false);
    }

    #[test]
    fn a_wrong_configuration_is_named() {
        let check = |json: &str, expected: &str| {
            let error = config::parse::<Settings>(json).map(drop).map_err(|error| error.to_string());
            assert_eq!(error, Err(expected.to_owned()), "{json}");
        };
        check(r#"{"domains": "all"}"#, "missing field `relay`");
        check(r#"{"relay": "r"}"#, "missing field `domains`");
        check(r#"{"relay": "", "domains": "all"}"#, "relay: the name of a relay is not empty");
        check(r#"{"relay": "r", "domains": "some"}"#, "domains: a list of domains, or \"all\"");
        check(r#"{"relay": "r", "domain": []}"#, "domain: unknown field `domain`, expected `relay` or `domains`");
    }
}
