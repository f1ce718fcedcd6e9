//! AUTH: who the client is.

use postgate_smtp::Reply;

use super::{Run, call};
use crate::bindings::exports::postgate::mail::authenticate as wit;
use crate::failure::Consequence;
use crate::hook::Hook;

/// What a SASL exchange has brought.
#[derive(Clone)]
pub enum Credentials {
    /// PLAIN and LOGIN.
    Password {
        /// Whom to authenticate.
        user: String,
        /// The password.
        password: String,
    },
}

/// What became of an attempt to authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// The client has proved to be this user.
    Identity(String),
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
        let Credentials::Password { user, password } = credentials;
        let credentials = wit::Credentials::Password(wit::PasswordCredentials { user, password });
        for turn in 0..self.turns(Hook::Authenticate) {
            let position = self.position(Hook::Authenticate, turn);
            let answer =
                call!(self, position, Hook::Authenticate, authenticate.call_on_authenticate(mechanism, &credentials));
            let answer = answer.and_then(|answer| match answer {
                wit::Authentication::Next => Ok(None),
                wit::Authentication::Failure => Ok(Some(Authentication::Failure)),
                wit::Authentication::TemporaryFailure => Ok(Some(Authentication::TemporaryFailure)),
                wit::Authentication::Identity(name) if is_identity(&name) => Ok(Some(Authentication::Identity(name))),
                wit::Authentication::Identity(_) => Err(self.bad_answer("the identity is not a name".to_owned())),
                wit::Authentication::Keys(_) => Err(self.bad_answer("keys answer a SCRAM look-up only".to_owned())),
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
