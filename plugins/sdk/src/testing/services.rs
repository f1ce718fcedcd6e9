//! The imports of a component that answer what a test has told a scene: see [`super::told`].

#![allow(missing_docs, unreachable_pub, reason = "the generated imports are what is documented")]

use super::state::{State, with};

/// What was told, or how it is told.
fn told<T: Clone>(ask: impl FnOnce(&mut State) -> Option<T>, how: &str) -> T {
    with(ask).unwrap_or_else(|| panic!("the scene was not told that: {how}"))
}

pub mod mail_authentication {
    use super::{told, with};
    pub use crate::bindings::imports::postgate::mail::mail_authentication::*;

    pub fn iprev() -> Result<IprevResult, ServiceError> {
        Ok(told(|state| state.iprev.clone(), "Scene::iprev"))
    }
    pub fn spf() -> Result<SpfResult, ServiceError> {
        Ok(told(|state| state.spf.clone(), "Scene::spf"))
    }
    pub fn dkim() -> Result<Vec<DkimResult>, ServiceError> {
        Ok(told(|state| state.dkim.clone(), "Scene::dkim"))
    }
    pub fn dmarc() -> Result<DmarcResult, ServiceError> {
        Ok(told(|state| state.dmarc.clone(), "Scene::dmarc"))
    }
    pub fn arc() -> Result<ArcResult, ServiceError> {
        Ok(told(|state| state.arc.clone(), "Scene::arc"))
    }
    pub fn results_field() -> Result<String, ServiceError> {
        Ok(told(|state| state.results_field.clone(), "Scene::results_field"))
    }
    pub fn remove_forged() -> Result<u32, ServiceError> {
        with(|state| {
            let message = state.message.as_mut().ok_or(ServiceError::NotNow)?;
            let before = message.fields.len();
            message.fields.retain(|(name, value)| {
                !(name.eq_ignore_ascii_case("Authentication-Results") && value.trim_ascii_start().starts_with(OUR_NAME))
            });
            Ok(u32::try_from(before - message.fields.len()).unwrap_or(u32::MAX))
        })
    }

    const OUR_NAME: &[u8] = b"mx.example.org";
}

pub mod signing {
    use super::with;
    use crate::ServiceError;

    /// Puts a DKIM-Signature on top.
    pub fn dkim_sign(key: &str) -> Result<(), ServiceError> {
        sign("dkim", key)
    }
    /// Puts an ARC set on top.
    pub fn arc_seal(key: &str) -> Result<(), ServiceError> {
        sign("arc", key)
    }

    fn sign(kind: &str, key: &str) -> Result<(), ServiceError> {
        with(|state| {
            if state.message.is_none() {
                return Err(ServiceError::NotNow);
            }
            if !state.signing_keys.iter().any(|known| known == key) {
                return Err(ServiceError::Denied(format!("the scene has no Scene::signing_key({key:?})")));
            }
            state.signatures.push(format!("{kind} {key}"));
            Ok(())
        })
    }
}

pub mod submit {
    use super::with;
    pub use crate::bindings::imports::postgate::mail::submit::*;
    use crate::testing::message::Message;
    use crate::testing::state::Submitted;

    pub fn relay(name: &str, recipients: &[Mailbox]) -> Result<Vec<Submission>, ServiceError> {
        let (message, reverse_path) = with(|state| {
            let reverse_path = state.transaction.as_ref().and_then(|transaction| transaction.reverse_path.clone());
            (state.message.as_ref().map(Message::octets), reverse_path)
        });
        hand_over(name, reverse_path.as_ref(), recipients, message.ok_or(ServiceError::NotNow)?)
    }
    pub fn send(
        name: &str,
        reverse_path: Option<&Mailbox>,
        recipients: &[Mailbox],
        message: &[u8],
    ) -> Result<Vec<Submission>, ServiceError> {
        hand_over(name, reverse_path, recipients, message.to_owned())
    }

    fn hand_over(
        name: &str,
        reverse_path: Option<&Mailbox>,
        recipients: &[Mailbox],
        message: Vec<u8>,
    ) -> Result<Vec<Submission>, ServiceError> {
        let submitted = Submitted {
            relay: name.to_owned(),
            reverse_path: reverse_path.cloned(),
            recipients: recipients.to_owned(),
            message,
        };
        let answer = with(|state| state.submit.take());
        let mut answer = answer.expect("the scene was not told that: Scene::on_submit");
        let answers = recipients.iter().map(|recipient| answer(&submitted, recipient)).collect();
        with(|state| {
            state.submit = Some(answer);
            state.submitted.push(submitted);
        });
        Ok(answers)
    }
}

pub mod sqlite {
    use super::with;
    use crate::bindings::database::postgate::mail::sqlite::{Effect, SqliteError, Table, Value};

    /// Runs one statement.
    pub fn execute(statement: &str, parameters: &[Value]) -> Result<Effect, SqliteError> {
        record(statement);
        let mut answer = with(|state| state.execute.take()).expect("the scene was not told that: Scene::on_execute");
        let effect = answer(statement, parameters);
        with(|state| state.execute = Some(answer));
        effect
    }
    /// Runs one statement, and answers its rows.
    pub fn query(statement: &str, parameters: &[Value]) -> Result<Table, SqliteError> {
        record(statement);
        let mut answer = with(|state| state.query.take()).expect("the scene was not told that: Scene::on_query");
        let table = answer(statement, parameters);
        with(|state| state.query = Some(answer));
        table
    }
    /// Runs any number of statements.
    pub fn run_script(statements: &str) -> Result<(), SqliteError> {
        record(statements);
        Ok(())
    }
    /// Begins a transaction.
    pub fn begin() -> Result<(), SqliteError> {
        record("BEGIN");
        Ok(())
    }
    /// Commits it.
    pub fn commit() -> Result<(), SqliteError> {
        record("COMMIT");
        Ok(())
    }
    /// Takes it back.
    pub fn rollback() -> Result<(), SqliteError> {
        record("ROLLBACK");
        Ok(())
    }

    fn record(statement: &str) {
        with(|state| state.statements.push(statement.to_owned()));
    }
}
