//! AUTH: who the client is.

use postgate_smtp::{Credentials, Reply, ScramKeys};

use super::{Run, call};
use crate::bindings::exports::postgate::mail::authenticate as wit;
use crate::failure::Consequence;
use crate::hook::Hook;

/// What became of an attempt to authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// The client has proved to be this user.
    Identity(String),
    /// The keys of the user whom SCRAM asks for.
    Keys(ScramKeys),
    /// It has not.
    Failure,
    /// It can't be told now.
    TemporaryFailure,
    /// A failure policy closes the connection with this reply.
    Disconnect(Reply),
}

impl Run {
    /// Asks the chain about credentials. Nobody's opinion is a failure, and so is a plugin's failure that its policy does not
    /// defer: nobody is ever authenticated by accident.
    pub async fn authenticate(&mut self, mechanism: &str, credentials: Credentials) -> Authentication {
        let is_lookup = matches!(credentials, Credentials::Scram { .. });
        let Some(credentials) = told(credentials) else { return Authentication::Failure };
        for turn in 0..self.turns(Hook::Authenticate) {
            let position = self.position(Hook::Authenticate, turn);
            let answer =
                call!(self, position, Hook::Authenticate, authenticate.call_on_authenticate(mechanism, &credentials));
            let answer = answer.and_then(|answer| match answer {
                wit::Authentication::Next => Ok(None),
                wit::Authentication::Failure => Ok(Some(Authentication::Failure)),
                wit::Authentication::TemporaryFailure => Ok(Some(Authentication::TemporaryFailure)),
                wit::Authentication::Identity(name) if is_identity(&name) && !is_lookup => {
                    Ok(Some(Authentication::Identity(name)))
                }
                wit::Authentication::Identity(_) if is_lookup => {
                    Err(self.bad_answer("a SCRAM look-up is answered with keys".to_owned()))
                }
                wit::Authentication::Identity(_) => Err(self.bad_answer("the identity is not a name".to_owned())),
                wit::Authentication::Keys(_) if !is_lookup => {
                    Err(self.bad_answer("keys answer a SCRAM look-up only".to_owned()))
                }
                wit::Authentication::Keys(keys) => {
                    let keys = usable(keys).map_err(|detail| self.bad_answer(detail))?;
                    Ok(Some(Authentication::Keys(keys)))
                }
            });
            let decision = match answer {
                Ok(decision) => decision,
                Err(failure) => match self.consequence(position, Hook::Authenticate, &failure, None) {
                    Consequence::Next => None,
                    Consequence::Refuse(reply) if reply.code() >= 500 => Some(Authentication::Failure),
                    Consequence::Refuse(_) | Consequence::Quarantine => Some(Authentication::TemporaryFailure),
                    Consequence::Disconnect(reply) => Some(Authentication::Disconnect(reply)),
                },
            };
            if let Some(decision) = decision {
                return decision;
            }
        }
        Authentication::Failure
    }
}

fn is_identity(name: &str) -> bool {
    (1..=255).contains(&name.len()) && !name.chars().any(char::is_control)
}

/// Credentials as plugins are told of them; none where there is nothing to be asked.
fn told(credentials: Credentials) -> Option<wit::Credentials> {
    Some(match credentials {
        Credentials::Password { user, password } => {
            wit::Credentials::Password(wit::PasswordCredentials { user, password })
        }
        Credentials::Token { user, token } => wit::Credentials::Token(wit::TokenCredentials { user, token }),
        Credentials::Certificate { user, fingerprint, names } => {
            wit::Credentials::Certificate(wit::CertificateCredentials { user, fingerprint, names })
        }
        Credentials::Scram { user } => wit::Credentials::Scram(wit::ScramLookup { user, hash: "SHA-256".to_owned() }),
        Credentials::ScramProof { .. } => return None,
    })
}

/// Keys of a user, if a client can be asked for a proof with them.
fn usable(keys: wit::ScramKeys) -> Result<ScramKeys, String> {
    let wit::ScramKeys { identity, salt, iterations, stored_key, server_key } = keys;
    let key = |key: Vec<u8>| <[u8; 32]>::try_from(key).map_err(|key| format!("a key has {} octets, not 32", key.len()));
    if !is_identity(&identity) {
        return Err("the identity is not a name".to_owned());
    }
    if !(1..=64).contains(&salt.len()) || !(4096..=1_000_000).contains(&iterations) {
        return Err("a salt has 1 to 64 octets, and there are 4096 to 1,000,000 iterations".to_owned());
    }
    Ok(ScramKeys { identity, salt, iterations, stored_key: key(stored_key)?, server_key: key(server_key)? })
}
