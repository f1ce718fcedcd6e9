//! Which recipients are delivered here, and where their mailboxes are.

use std::collections::BTreeSet;

use postgate_sdk::Mailbox;
use serde::Deserialize;

/// The configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Mailboxes {
    #[serde(default)]
    path: PathTemplate,
    domains: Domains,
    #[serde(default)]
    case_sensitive: bool,
}

impl Mailboxes {
    /// The path of a recipient's mailbox below the granted directory; none where somebody else delivers for that domain.
    pub(crate) fn path(&self, recipient: &Mailbox) -> Option<Vec<String>> {
        if !self.domains.contains(&recipient.domain) {
            return None;
        }
        let local_part =
            if self.case_sensitive { recipient.local_part.clone() } else { recipient.local_part.to_lowercase() };
        // A quoted local part may be empty (RFC 5321 section 4.1.2): a mailbox of its own, and not the domain's folder.
        let local_part = if local_part.is_empty() { "\"\"".to_owned() } else { local_part };
        Some(self.path.fill(&recipient.domain, &local_part))
    }
}

/// Whose mail is delivered here. There is no default: mail for other hosts must not end here because nobody thought of it.
#[derive(Debug, Deserialize)]
#[serde(try_from = "DomainsTable")]
enum Domains {
    /// `"all"`
    All,
    /// These, in lower case; and the bare Postmaster.
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

impl Domains {
    fn contains(&self, domain: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(domains) => domain.is_empty() || domains.contains(&domain.to_ascii_lowercase()),
        }
    }
}

/// The parts of a path, with places for the parts of a mailbox.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Vec<String>")]
struct PathTemplate(Vec<Vec<Piece>>);

/// A piece of one part of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Domain,
    LocalPart,
}

impl PathTemplate {
    /// A part that comes out empty is left out: the bare `Postmaster` has no domain.
    fn fill(&self, domain: &str, local_part: &str) -> Vec<String> {
        let fill_part = |pieces: &Vec<Piece>| -> String {
            pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Text(text) => text.as_str(),
                    Piece::Domain => domain,
                    Piece::LocalPart => local_part,
                })
                .collect()
        };
        self.0.iter().map(fill_part).filter(|part| !part.is_empty()).collect()
    }
}

impl Default for PathTemplate {
    fn default() -> Self {
        Self(vec![vec![Piece::Domain], vec![Piece::LocalPart]])
    }
}

impl TryFrom<Vec<String>> for PathTemplate {
    type Error = String;

    fn try_from(parts: Vec<String>) -> Result<Self, String> {
        if parts.is_empty() || parts.len() > PARTS_MAX {
            return Err(format!("a path has 1 to {PARTS_MAX} parts, this one {}", parts.len()));
        }
        let parts: Vec<Vec<Piece>> = parts.iter().map(|part| parse_part(part)).collect::<Result<_, _>>()?;
        if !parts.iter().flatten().any(|piece| *piece == Piece::LocalPart) {
            return Err("without {local-part} everybody would share one mailbox".to_owned());
        }
        Ok(Self(parts))
    }
}

/// `users-{domain}` is a text and a place.
fn parse_part(part: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = part;
    while let Some((text, behind)) = rest.split_once('{') {
        let Some((place, behind)) = behind.split_once('}') else {
            return Err(format!("{part:?} has a {{ without a }}"));
        };
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        pieces.push(match place {
            "domain" => Piece::Domain,
            "local-part" => Piece::LocalPart,
            _ => return Err(format!("{{{place}}} in {part:?} is neither {{domain}} nor {{local-part}}")),
        });
        rest = behind;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    if pieces.is_empty() { Err("a part of a path can't be empty".to_owned()) } else { Ok(pieces) }
}

/// What the host's service takes.
const PARTS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use postgate_sdk::config;

    use super::*;

    const ALL: &str = r#"{"domains": "all"}"#;

    #[test]
    fn paths() {
        let check = |json: &str, local_part: &str, domain: &str, expected: Option<&[&str]>| {
            let mailboxes: Mailboxes = config::parse(json).expect("invariant: the sample is right");
            let recipient = Mailbox { local_part: local_part.to_owned(), domain: domain.to_owned() };
            let expected = expected.map(|path| path.iter().map(|&part| part.to_owned()).collect::<Vec<_>>());
            assert_eq!(mailboxes.path(&recipient), expected, "{json} {recipient}");
        };
        check(ALL, "Alice", "example.org", Some(&["example.org", "alice"]));
        check(r#"{"domains": "all", "case-sensitive": true}"#, "Alice", "example.org", Some(&["example.org", "Alice"]));
        check(ALL, "Postmaster", "", Some(&["postmaster"]));
        check(r#"{"domains": ["example.org"]}"#, "Postmaster", "", Some(&["postmaster"]));
        check(ALL, "", "example.org", Some(&["example.org", "\"\""]));
        check(ALL, "../../etc", "example.org", Some(&["example.org", "../../etc"]));
        check(
            r#"{"domains": "all", "path": ["mail", "{local-part}@{domain}"]}"#,
            "bob",
            "b.example",
            Some(&["mail", "bob@b.example"]),
        );
        check(r#"{"domains": ["Example.ORG"]}"#, "alice", "example.org", Some(&["example.org", "alice"]));
        check(r#"{"domains": ["example.org"]}"#, "alice", "example.com", None);
        check(r#"{"domains": []}"#, "alice", "example.org", None);
    }

    #[test]
    fn a_wrong_configuration_is_named() {
        let check = |json: &str, expected: &str| {
            let error = config::parse::<Mailboxes>(json).map_err(|error| error.to_string());
            assert_eq!(error.err().as_deref(), Some(expected), "{json}");
        };
        check("{}", "missing field `domains`");
        check(r#"{"domains": "example.org"}"#, "domains: a list of domains, or \"all\"");
        check(r#"{"path": []}"#, "path: a path has 1 to 8 parts, this one 0");
        check(
            r#"{"path": ["a","b","c","d","e","f","g","h","{local-part}"]}"#,
            "path: a path has 1 to 8 parts, this one 9",
        );
        check(r#"{"path": ["", "{local-part}"]}"#, "path: a part of a path can't be empty");
        check(r#"{"path": ["{domain}"]}"#, "path: without {local-part} everybody would share one mailbox");
        check(r#"{"path": ["{user}"]}"#, r#"path: {user} in "{user}" is neither {domain} nor {local-part}"#);
        check(r#"{"path": ["{local-part"]}"#, r#"path: "{local-part" has a { without a }"#);
        check(
            r#"{"domain": []}"#,
            "domain: unknown field `domain`, expected one of `path`, `domains`, `case-sensitive`",
        );
    }
}
