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
    /// Only these, in lower case; all where there is no list.
    #[serde(default, deserialize_with = "lower_case")]
    domains: Option<BTreeSet<String>>,
    #[serde(default)]
    case_sensitive: bool,
}

impl Mailboxes {
    /// The path of a recipient's mailbox below the granted directory; none where somebody else delivers for that domain.
    pub(crate) fn path(&self, recipient: &Mailbox) -> Option<Vec<String>> {
        if self.domains.as_ref().is_some_and(|domains| !domains.contains(&recipient.domain.to_ascii_lowercase())) {
            return None;
        }
        let local_part =
            if self.case_sensitive { recipient.local_part.clone() } else { recipient.local_part.to_lowercase() };
        Some(self.path.fill(&recipient.domain, &local_part))
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

fn lower_case<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<BTreeSet<String>>, D::Error> {
    let domains = Vec::<String>::deserialize(deserializer)?;
    Ok(Some(domains.iter().map(|domain| domain.to_ascii_lowercase()).collect()))
}

/// What the host's service takes.
const PARTS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use postgate_sdk::config;

    use super::*;

    #[test]
    fn paths() {
        let check = |json: &str, local_part: &str, domain: &str, expected: Option<&[&str]>| {
            let mailboxes: Mailboxes = config::parse(json).expect("invariant: the sample is right");
            let recipient = Mailbox { local_part: local_part.to_owned(), domain: domain.to_owned() };
            let expected = expected.map(|path| path.iter().map(|&part| part.to_owned()).collect::<Vec<_>>());
            assert_eq!(mailboxes.path(&recipient), expected, "{json} {recipient}");
        };
        check("{}", "Alice", "example.org", Some(&["example.org", "alice"]));
        check(r#"{"case-sensitive": true}"#, "Alice", "example.org", Some(&["example.org", "Alice"]));
        check("{}", "Postmaster", "", Some(&["postmaster"]));
        check("{}", "../../etc", "example.org", Some(&["example.org", "../../etc"]));
        check(r#"{"path": ["mail", "{local-part}@{domain}"]}"#, "bob", "b.example", Some(&["mail", "bob@b.example"]));
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
