//! The configuration: which domains are ours, and who lives there.

use std::collections::{BTreeMap, BTreeSet};

use postgate_sdk::Mailbox;
use serde::Deserialize;

use crate::size::Size;

/// All that the operator has said, checked. Local parts and domains are in lower case.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Table")]
pub(crate) struct Domains {
    /// By name; the first of them answers for the bare `Postmaster`.
    pub(crate) domains: BTreeMap<String, Domain>,
    /// Where mail for every postmaster goes.
    pub(crate) postmaster: Option<Mailbox>,
    /// What stands between a user and a tag, as `+` in `alice+lists`.
    pub(crate) subaddress: Option<char>,
}

/// One of our domains.
#[derive(Debug, Deserialize)]
#[serde(try_from = "DomainTable")]
pub(crate) struct Domain {
    pub(crate) residents: Residents,
    /// No message for this domain may be larger.
    pub(crate) size_max: Option<u64>,
}

/// Who lives in a domain.
#[derive(Debug)]
pub(crate) enum Residents {
    /// Nobody: all its mail goes there.
    Forwarded(Mailbox),
    /// Those named here.
    Named {
        users: BTreeSet<String>,
        aliases: BTreeMap<String, Vec<Mailbox>>,
        /// Where mail for everybody else goes; if there is none `unknown` says what happens.
        catch_all: Option<Mailbox>,
        unknown: Unknown,
    },
}

/// What becomes of a local part that nobody has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    Rejected,
    Accepted,
}

/// The configuration as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    domains: BTreeMap<String, Domain>,
    postmaster: Option<Address>,
    subaddress: Option<char>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct DomainTable {
    #[serde(default)]
    users: Vec<LocalPart>,
    #[serde(default)]
    aliases: BTreeMap<String, Targets>,
    catch_all: Option<Address>,
    forward: Option<Address>,
    reject_unknown: Option<bool>,
    max_size: Option<Size>,
}

impl TryFrom<Table> for Domains {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let mut domains = BTreeMap::new();
        for (name, domain) in table.domains {
            if name.is_empty() || name.contains(['@', ' ', '*']) {
                return Err(format!("domains.{name:?}: not a domain such as example.org"));
            }
            if domains.insert(name.to_ascii_lowercase(), domain).is_some() {
                return Err(format!("domains.{name:?} is there twice, but for the case of its letters"));
            }
        }
        if table.subaddress.is_some_and(|separator| separator.is_alphanumeric() || separator == '@') {
            return Err("subaddress: a separator is neither a letter, nor a digit, nor @".to_owned());
        }
        Ok(Self { domains, postmaster: table.postmaster.map(|address| address.0), subaddress: table.subaddress })
    }
}

impl TryFrom<DomainTable> for Domain {
    type Error = String;

    fn try_from(table: DomainTable) -> Result<Self, String> {
        let size_max = table.max_size.map(|size| size.0);
        let residents = match table.forward {
            Some(Address(target)) => {
                let others = [
                    ("users", !table.users.is_empty()),
                    ("aliases", !table.aliases.is_empty()),
                    ("catch-all", table.catch_all.is_some()),
                    ("reject-unknown", table.reject_unknown.is_some()),
                ];
                if let Some((other, _)) = others.iter().find(|(_, is_set)| *is_set) {
                    return Err(format!("forward sends the whole domain away: it can't have {other}"));
                }
                Residents::Forwarded(target)
            }
            None => Residents::Named {
                users: table.users.into_iter().map(|user| user.0).collect(),
                aliases: aliases(table.aliases)?,
                catch_all: table.catch_all.map(|address| address.0),
                unknown: if table.reject_unknown.unwrap_or(true) { Unknown::Rejected } else { Unknown::Accepted },
            },
        };
        Ok(Self { residents, size_max })
    }
}

/// Their names are local parts, each there once.
fn aliases(table: BTreeMap<String, Targets>) -> Result<BTreeMap<String, Vec<Mailbox>>, String> {
    let mut aliases = BTreeMap::new();
    for (name, Targets(targets)) in table {
        let LocalPart(folded) =
            LocalPart::try_from(name.clone()).map_err(|problem| format!("aliases.{name:?}: {problem}"))?;
        if aliases.insert(folded, targets).is_some() {
            return Err(format!("aliases.{name:?} is there twice, but for the case of its letters"));
        }
    }
    Ok(aliases)
}

/// In lower case, without the domain.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct LocalPart(String);

impl TryFrom<String> for LocalPart {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.is_empty() || text.contains('@') {
            return Err("a user or alias is a local part, without @ and the domain");
        }
        Ok(Self(text.to_lowercase()))
    }
}

/// A whole mailbox.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
struct Address(Mailbox);

impl TryFrom<String> for Address {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Mailbox::parse(&text).map(Self).ok_or("not a mailbox such as alice@example.org")
    }
}

/// One mailbox, or a list of them.
#[derive(Debug, Deserialize)]
#[serde(try_from = "OneOrMany")]
struct Targets(Vec<Mailbox>);

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a mailbox such as alice@example.org, or a list of them")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl TryFrom<OneOrMany> for Targets {
    type Error = String;

    fn try_from(targets: OneOrMany) -> Result<Self, String> {
        let texts = match targets {
            OneOrMany::One(text) => vec![text],
            OneOrMany::Many(texts) => texts,
        };
        if texts.is_empty() || texts.len() > TARGETS_MAX {
            return Err(format!("an alias has 1 to {TARGETS_MAX} mailboxes, this one {}", texts.len()));
        }
        let parse = |text: &String| Mailbox::parse(text).ok_or_else(|| format!("{text:?} is not a mailbox"));
        texts.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }
}

/// For one recipient, also when aliases lead to aliases. For more there are mailing lists.
pub(crate) const TARGETS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use postgate_sdk::config;

    use super::*;

    #[test]
    fn a_wrong_configuration_is_named() {
        let check = |json: &str, expected: &str| {
            let error = config::parse::<Domains>(json).map_err(|error| error.to_string());
            assert_eq!(error.err().as_deref(), Some(expected), "{json}");
        };
        check("{}", "missing field `domains`");
        check(
            r#"{"domains": {"a.example": {"user": []}}}"#,
            r#"domains."a.example".user: unknown field `user`, expected one of `users`, `aliases`, `catch-all`, `forward`, `reject-unknown`, `max-size`"#,
        );
        check(
            r#"{"domains": {"a.example": {"users": ["x@a.example"]}}}"#,
            r#"domains."a.example".users[0]: a user or alias is a local part, without @ and the domain"#,
        );
        check(
            r#"{"domains": {"a.example": {"aliases": {"x": []}}}}"#,
            r#"domains."a.example".aliases.x: an alias has 1 to 100 mailboxes, this one 0"#,
        );
        check(
            r#"{"domains": {"a.example": {"aliases": {"x": "bob"}}}}"#,
            r#"domains."a.example".aliases.x: "bob" is not a mailbox"#,
        );
        check(
            r#"{"domains": {"a.example": {"catch-all": "bob"}}}"#,
            r#"domains."a.example".catch-all: not a mailbox such as alice@example.org"#,
        );
        check(
            r#"{"domains": {"a.example": {"max-size": "10 Mib"}}}"#,
            r#"domains."a.example".max-size: invalid value: string "10 Mib", expected a size such as "10 MiB", or a number of octets"#,
        );
        check(
            r#"{"domains": {"a.example": {"forward": "x@b.example", "users": ["y"]}}}"#,
            r#"domains."a.example": forward sends the whole domain away: it can't have users"#,
        );
        check(
            r#"{"domains": {"a.example": {}, "A.example": {}}}"#,
            r#"domains."a.example" is there twice, but for the case of its letters"#,
        );
        check(
            r#"{"domains": {}, "subaddress": "x"}"#,
            "subaddress: a separator is neither a letter, nor a digit, nor @",
        );
    }
}
