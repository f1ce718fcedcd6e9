//! Authenticates users whose argon2id hashes stand in the configuration (RFC 4954, with PLAIN and LOGIN).
//!
//! The hash is computed by the host's service, outside the sandbox. A name that nobody has costs the same work as a wrong
//! password, and gets the same answer, so that neither the reply nor its time tells who exists.

mod users;

use postgate_sdk::config::Configuration;
use postgate_sdk::hook::{Authenticate, Authentication, Credentials, PasswordCredentials};
use postgate_sdk::passwords::{self, PasswordError};
use postgate_sdk::{export, log};

use users::{Candidate, User, Users};

struct StaticAuth;

export!(StaticAuth: authenticate);

static USERS: Configuration<Users> = Configuration::new();

impl Authenticate for StaticAuth {
    fn on_authenticate(_mechanism: String, credentials: Credentials) -> Authentication {
        let password = match credentials {
            Credentials::Password(password) => password,
            Credentials::Token(_) | Credentials::Certificate(_) | Credentials::Scram(_) => return Authentication::Next,
        };
        let Ok(users) = USERS.load() else { return Authentication::TemporaryFailure };
        authenticate(users, &password)
    }
}

/// Asks the host, whoever the client says it is.
fn authenticate(users: &Users, credentials: &PasswordCredentials) -> Authentication {
    match users.candidate(&credentials.user) {
        Candidate::Known(user) => known(user, passwords::verify(&credentials.password, &user.hash)),
        Candidate::Unknown { decoy: Some(hash) } => unknown(passwords::verify(&credentials.password, hash)),
        Candidate::Unknown { decoy: None } => Authentication::Failure,
    }
}

/// What the comparison with the user's own hash means.
fn known(user: &User, verified: Result<bool, PasswordError>) -> Authentication {
    match verified {
        Ok(true) => Authentication::Identity(user.name.clone()),
        Ok(false) => Authentication::Failure,
        Err(PasswordError::Busy) => Authentication::TemporaryFailure,
        Err(PasswordError::InvalidHash(problem)) => {
            log::error("password hash refused", &[("user", &user.name), ("problem", &problem)]);
            Authentication::TemporaryFailure
        }
    }
}

/// The comparison with somebody else's hash means nothing, even when it is his password; only its time counts.
fn unknown(verified: Result<bool, PasswordError>) -> Authentication {
    match verified {
        Ok(_) | Err(PasswordError::InvalidHash(_)) => Authentication::Failure,
        Err(PasswordError::Busy) => Authentication::TemporaryFailure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_password_authenticates() {
        let user = User { name: "alice@example.org".to_owned(), hash: "$argon2id$a".to_owned() };
        assert_eq!(known(&user, Ok(true)), Authentication::Identity("alice@example.org".to_owned()));
        assert_eq!(known(&user, Ok(false)), Authentication::Failure);
        assert_eq!(known(&user, Err(PasswordError::Busy)), Authentication::TemporaryFailure);
    }

    #[test]
    fn nobody_authenticates_with_the_password_of_another() {
        assert_eq!(unknown(Ok(true)), Authentication::Failure);
        assert_eq!(unknown(Ok(false)), Authentication::Failure);
        assert_eq!(unknown(Err(PasswordError::InvalidHash(String::new()))), Authentication::Failure);
        assert_eq!(unknown(Err(PasswordError::Busy)), Authentication::TemporaryFailure);
    }
}
