//! Authenticates users whose argon2id hashes or SCRAM keys stand in the configuration, or who have a client certificate (RFC 4954, with
//! PLAIN, LOGIN, SCRAM-SHA-256 and EXTERNAL).
//!
//! Passwords are verified by the host's service, outside the sandbox. A name that nobody has costs the same work as a wrong
//! password, and gets the same answer, so that neither the reply nor its time tells who exists.

mod certificates;
mod secrets;
mod users;

use postgate_sdk::config::{self, Configuration};
use postgate_sdk::hook::{Authenticate, Authentication, Credentials, PasswordCredentials, SettingProblem, Setup};
use postgate_sdk::passwords::{self, PasswordError};
use postgate_sdk::{export, log};

use secrets::Secrets;
use users::{Candidate, User, Users};

struct StaticAuth;

export!(StaticAuth: setup, authenticate);

static USERS: Configuration<Users> = Configuration::new();

impl Setup for StaticAuth {
    fn on_setup() -> Vec<SettingProblem> {
        config::problems::<Users>()
    }
}

impl Authenticate for StaticAuth {
    fn on_authenticate(_mechanism: String, credentials: Credentials) -> Authentication {
        let Ok(users) = USERS.load() else { return Authentication::TemporaryFailure };
        match credentials {
            Credentials::Password(password) => authenticate(users, &password),
            Credentials::Scram(_) if !users.have_keys() => Authentication::Next,
            Credentials::Scram(lookup) => {
                users.keys(&lookup.user).map_or(Authentication::Failure, Authentication::Keys)
            }
            Credentials::Certificate(_) if users.certificates.is_empty() => Authentication::Next,
            Credentials::Certificate(shown) => {
                let identity = users.certificates.identity(&shown).map(str::to_owned);
                identity.map_or(Authentication::Failure, Authentication::Identity)
            }
            Credentials::Token(_) => Authentication::Next,
        }
    }
}

/// Asks the host, whoever the client says it is.
fn authenticate(users: &Users, credentials: &PasswordCredentials) -> Authentication {
    let verify = |text: &str| passwords::verify(&credentials.password, text);
    match users.candidate(&credentials.user) {
        Candidate::Known(user) => known(user, verify),
        Candidate::Unknown { decoy: Some(secrets) } => unknown(secrets, verify),
        Candidate::Unknown { decoy: None } => Authentication::Failure,
    }
}

/// What the comparison with the user's own secrets means: each of them is good.
fn known(user: &User, verify: impl Fn(&str) -> Result<bool, PasswordError>) -> Authentication {
    let mut answer = Authentication::Failure;
    for text in user.secrets.texts() {
        match verify(text) {
            Ok(true) => return Authentication::Identity(user.name.clone()),
            Ok(false) => {}
            Err(PasswordError::Busy) => return Authentication::TemporaryFailure,
            Err(PasswordError::InvalidHash(problem)) => {
                log::error("password hash refused", &[("user", &user.name), ("problem", &problem)]);
                answer = Authentication::TemporaryFailure;
            }
        }
    }
    answer
}

/// The comparison with somebody else's secrets means nothing, even when it is his password; only its time counts.
fn unknown(secrets: &Secrets, verify: impl Fn(&str) -> Result<bool, PasswordError>) -> Authentication {
    for text in secrets.texts() {
        match verify(text) {
            Ok(_) | Err(PasswordError::InvalidHash(_)) => {}
            Err(PasswordError::Busy) => return Authentication::TemporaryFailure,
        }
    }
    Authentication::Failure
}

#[cfg(test)]
mod tests {
    use postgate_sdk::config;

    use super::*;

    const SCRAM: &str = "SCRAM-SHA-256$4096:c2FsdA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    fn users() -> Users {
        let table = format!(r#"{{"users": {{"alice": ["$argon2id$a", "{SCRAM}"], "bob": "$argon2id$b"}}}}"#);
        config::parse(&table).expect("invariant: the sample is right")
    }

    fn alice(users: &Users) -> &User {
        let Candidate::Known(user) = users.candidate("alice") else { panic!("alice is there") };
        user
    }

    #[test]
    fn each_of_the_own_passwords_authenticates() {
        let users = users();
        let alice = alice(&users);
        let identity = Authentication::Identity("alice".to_owned());
        assert_eq!(known(alice, |text| Ok(text == "$argon2id$a")), identity);
        assert_eq!(known(alice, |text| Ok(text == SCRAM)), identity);
        assert_eq!(known(alice, |_| Ok(false)), Authentication::Failure);
        assert_eq!(known(alice, |_| Err(PasswordError::Busy)), Authentication::TemporaryFailure);
    }

    #[test]
    fn nobody_authenticates_with_the_password_of_another() {
        let users = users();
        let secrets = &alice(&users).secrets;
        assert_eq!(unknown(secrets, |_| Ok(true)), Authentication::Failure);
        assert_eq!(unknown(secrets, |_| Ok(false)), Authentication::Failure);
        assert_eq!(unknown(secrets, |_| Err(PasswordError::InvalidHash(String::new()))), Authentication::Failure);
        assert_eq!(unknown(secrets, |_| Err(PasswordError::Busy)), Authentication::TemporaryFailure);
    }

    #[test]
    fn keys_are_for_those_who_have_some() {
        let users = users();
        assert!(users.have_keys());
        assert_eq!(users.keys("Alice").map(|keys| keys.identity), Some("alice".to_owned()));
        assert_eq!(users.keys("bob"), None);
        assert_eq!(users.keys("carol"), None);
    }
}
