//! `postgate:mail/key-value`: octets by key; and the same store by the standard `wasi:keyvalue`.
//!
//! A store is a file of SQLite with a thread of its own (`key_value/store.rs`), which does what all guests have asked for since it
//! last looked in one transaction (`key_value/table.rs`).

mod store;
mod table;
pub(crate) mod wasi;

use std::path::PathBuf;

pub(crate) use self::store::Store;
use self::table::{Answer, Operation};
use super::ServiceId;
use crate::bindings::postgate::mail::key_value::*;
use crate::bindings::postgate::mail::types::ServiceError;
use crate::state::State;

/// What the operator has granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The store's name, by which `wasi:keyvalue` may open it.
    pub name: String,
    /// Its file. Plugins with the same file have the same store.
    pub path: PathBuf,
    /// Octets of all keys and values together.
    pub size_bytes: u64,
    /// Entries.
    pub entries: u64,
}

impl Host for State {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, ServiceError>> {
        Ok(self.store_call(Operation::Get { key }).await.and_then(Answer::value))
    }

    async fn set(
        &mut self,
        key: String,
        value: Vec<u8>,
        expires_after: Option<u32>,
    ) -> wasmtime::Result<Result<(), ServiceError>> {
        Ok(self.store_call(Operation::Set { key, value, expires_after }).await.map(drop))
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<Result<bool, ServiceError>> {
        Ok(self.store_call(Operation::Delete { key }).await.and_then(Answer::truth))
    }

    async fn increment(
        &mut self,
        key: String,
        by: i64,
        expires_after: Option<u32>,
    ) -> wasmtime::Result<Result<i64, ServiceError>> {
        Ok(self.store_call(Operation::Increment { key, by, expires_after }).await.and_then(Answer::sum))
    }

    async fn replace(
        &mut self,
        key: String,
        expected: Option<Vec<u8>>,
        value: Vec<u8>,
        expires_after: Option<u32>,
    ) -> wasmtime::Result<Result<bool, ServiceError>> {
        let operation = Operation::Replace { key, expected, value, expires_after };
        Ok(self.store_call(operation).await.and_then(Answer::truth))
    }

    async fn keys(
        &mut self,
        prefix: String,
        after: Option<String>,
    ) -> wasmtime::Result<Result<Vec<String>, ServiceError>> {
        Ok(self.store_call(Operation::Keys { prefix, after }).await.and_then(Answer::keys))
    }
}

impl State {
    /// Has one operation done: counted, checked, in its turn.
    async fn store_call(&mut self, operation: Operation) -> Result<Answer, ServiceError> {
        let metered = self.metered(ServiceId::KeyValue)?;
        let Some(store) = self.facts.store.clone() else {
            return Err(ServiceError::Denied("key-value is not granted".to_owned()));
        };
        operation.check()?;
        metered.octets(operation.octets());
        let answer = store.call(operation).await?;
        metered.octets(answer.octets());
        Ok(answer)
    }
}
