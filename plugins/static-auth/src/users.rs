//! The users of the configuration, and which secrets a password is to be compared with.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use postgate_sdk::hook::ScramKeys;
use serde::Deserialize;

use crate::certificates::Certificates;
use crate::secrets::Secrets;

/// All users, found by the name that a client gives.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Table")]
pub(crate) struct Users {
    users: Vec<User>,
    /// From the folded name to the place in `users`.
    by_name: BTreeMap<String, usize>,
    case: Case,
    /// Those who have certificates.
    pub(crate) certificates: Certificates,
}

/// Someone who may authenticate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    /// As the operator wrote it: the session's identity.
    pub(crate) name: String,
    pub(crate) secrets: Secrets,
}

/// What a name given by a client means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Candidate<'a> {
    /// This user, if the password is right.
    Known(&'a User),
    /// Nobody. The secrets, if there are any, are somebody else's: comparing with them costs what it costs for a user, so that the
    /// time of the reply does not tell who exists.
    Unknown { decoy: Option<&'a Secrets> },
}

impl Users {
    /// Looks a client's name up. An unknown name always gets the same decoy.
    pub(crate) fn candidate(&self, name: &str) -> Candidate<'_> {
        let name = self.case.fold(name);
        if let Some(user) = self.by_name.get(&name).and_then(|&place| self.users.get(place)) {
            return Candidate::Known(user);
        }
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let place = hasher.finish().checked_rem(self.users.len() as u64);
        let decoy = place.and_then(|place| usize::try_from(place).ok()).and_then(|place| self.users.get(place));
        Candidate::Unknown { decoy: decoy.map(|user| &user.secrets) }
    }

    /// The keys of SCRAM of the user with this name.
    pub(crate) fn keys(&self, name: &str) -> Option<ScramKeys> {
        match self.candidate(name) {
            Candidate::Known(user) => user.secrets.keys(&user.name),
            Candidate::Unknown { .. } => None,
        }
    }

    /// Whether anybody can use SCRAM.
    pub(crate) fn have_keys(&self) -> bool {
        self.users.iter().any(|user| user.secrets.keys(&user.name).is_some())
    }
}

/// The configuration as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    users: BTreeMap<String, Secrets>,
    #[serde(default)]
    certificates: Certificates,
    #[serde(default)]
    case_sensitive: bool,
}

impl TryFrom<Table> for Users {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let case = if table.case_sensitive { Case::Matters } else { Case::Folded };
        let mut users: Vec<User> = table.users.into_iter().map(|(name, secrets)| User { name, secrets }).collect();
        users.sort_by(|one, other| one.name.cmp(&other.name));
        let mut by_name = BTreeMap::new();
        for (place, user) in users.iter().enumerate() {
            if !is_name(&user.name) {
                return Err(format!(
                    "users: the name {:?} is not 1 to 255 octets without control characters",
                    user.name
                ));
            }
            if by_name.insert(case.fold(&user.name), place).is_some() {
                return Err(format!("users: {:?} is there twice, but for the case of its letters", user.name));
            }
        }
        Ok(Self { users, by_name, case, certificates: table.certificates })
    }
}

/// Whether the host would take it for an identity.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=255).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Whether `Alice` is `alice`.
#[derive(Debug, Clone, Copy)]
enum Case {
    Matters,
    Folded,
}

impl Case {
    fn fold(self, name: &str) -> String {
        match self {
            Self::Matters => name.to_owned(),
            Self::Folded => name.to_lowercase(),
        }
    }
}

#[cfg(test)]
mod tests {
    use postgate_sdk::config;

    use super::*;

    const TWO: &str = r#"{"users": {"Alice@example.org": "$argon2id$a", "bob@example.org": "$argon2id$b"}}"#;

    fn known<'a>(users: &'a Users, name: &str) -> Option<&'a str> {
        match users.candidate(name) {
            Candidate::Known(user) => Some(&user.name),
            Candidate::Unknown { .. } => None,
        }
    }

    #[test]
    fn names_are_found_in_any_case() {
        let users: Users = config::parse(TWO).expect("invariant: the sample is right");
        assert_eq!(known(&users, "alice@EXAMPLE.org"), Some("Alice@example.org"));
        assert_eq!(known(&users, "alice"), None);
        assert_eq!(known(&users, ""), None);
    }

    #[test]
    fn names_are_found_as_written_where_case_matters() {
        let json = TWO.replace(r#"}}"#, r#"}, "case-sensitive": true}"#);
        let users: Users = config::parse(&json).expect("invariant: the sample is right");
        assert_eq!(known(&users, "Alice@example.org"), Some("Alice@example.org"));
        assert_eq!(known(&users, "alice@example.org"), None);
    }

    #[test]
    fn an_unknown_name_has_always_the_same_decoy() {
        let users: Users = config::parse(TWO).expect("invariant: the sample is right");
        let Candidate::Unknown { decoy: Some(decoy) } = users.candidate("carol") else { panic!("carol is known") };
        assert!(decoy.texts().all(|text| text.starts_with("$argon2id$")));
        assert_eq!(users.candidate("carol"), Candidate::Unknown { decoy: Some(decoy) });

        let nobody: Users = config::parse(r#"{"users": {}}"#).expect("invariant: the sample is right");
        assert_eq!(nobody.candidate("carol"), Candidate::Unknown { decoy: None });
    }

    #[test]
    fn a_wrong_configuration_is_named() {
        let check = |json: &str, expected: &str| {
            let error = config::parse::<Users>(json).map_err(|error| error.to_string());
            assert_eq!(error.err().as_deref(), Some(expected), "{json}");
        };
        check("{}", "missing field `users`");
        check(
            r#"{"users": {"alice@example.org": "wonderland"}}"#,
            r#"users."alice@example.org": neither an argon2id hash in PHC string form nor keys of SCRAM-SHA-256; `postgate password` makes one"#,
        );
        check(
            r#"{"users": {"alice": "$argon2id$a", "Alice": "$argon2id$b"}}"#,
            r#"users: "alice" is there twice, but for the case of its letters"#,
        );
        check(
            r#"{"users": {"": "$argon2id$a"}}"#,
            r#"users: the name "" is not 1 to 255 octets without control characters"#,
        );
        check(
            r#"{"users": {}, "user": 1}"#,
            "user: unknown field `user`, expected one of `users`, `certificates`, `case-sensitive`",
        );
        check(
            r#"{"users": {"alice": ["$argon2id$a", "SCRAM-SHA-256$1:"]}}"#,
            "users.alice[1]: not SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey> with 4096 to 1000000 iterations; \
             `postgate password --scram` makes it",
        );
        check(r#"{"users": {"alice": []}}"#, "users.alice: a user has 1 to 4 of them");
        check(r#"{"users": {}, "certificates": {"": "alice"}}"#, "certificates: an empty fingerprint or name");
    }
}
