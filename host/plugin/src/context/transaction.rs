//! `postgate:mail/transaction`: the envelope, and what others have said of it.

use super::Transaction;
use crate::bindings::postgate::mail::transaction::{AcceptedRecipient, ContextError, EarlierVerdict, Host};
use crate::bindings::postgate::mail::types::{Mailbox, Parameter};
use crate::state::State;

impl State {
    fn transaction<T>(&mut self, answer: impl FnOnce(&Transaction) -> T) -> wasmtime::Result<Result<T, ContextError>> {
        Ok(self.context()?.transaction.as_ref().map(answer).ok_or(ContextError::NotNow))
    }
}

impl Host for State {
    fn id(&mut self) -> wasmtime::Result<Result<String, ContextError>> {
        self.transaction(|transaction| transaction.id.clone())
    }

    fn reverse_path(&mut self) -> wasmtime::Result<Result<Option<Mailbox>, ContextError>> {
        self.transaction(|transaction| transaction.reverse_path.clone())
    }

    fn parameters(&mut self) -> wasmtime::Result<Result<Vec<Parameter>, ContextError>> {
        self.transaction(|transaction| transaction.parameters.clone())
    }

    fn recipients(&mut self) -> wasmtime::Result<Result<Vec<AcceptedRecipient>, ContextError>> {
        self.transaction(|transaction| transaction.recipients.clone())
    }

    fn declared_size(&mut self) -> wasmtime::Result<Result<Option<u64>, ContextError>> {
        self.transaction(|transaction| transaction.declared_size)
    }

    fn verdicts(&mut self) -> wasmtime::Result<Result<Vec<EarlierVerdict>, ContextError>> {
        self.transaction(|transaction| transaction.verdicts.clone())
    }
}
