//! `postgate:mail/sqlite`: an SQLite database of the plugin's own.

use crate::bindings::postgate::mail::sqlite::*;
use crate::bindings::postgate::mail::types::ServiceError;
use crate::state::State;

/// What the operator has granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {}

impl Host for State {
    async fn execute(
        &mut self,
        _statement: String,
        _parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<Effect, SqliteError>> {
        Ok(Err(SqliteError::Service(ServiceError::Unavailable("not built".to_owned()))))
    }
    async fn query(
        &mut self,
        _statement: String,
        _parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<Table, SqliteError>> {
        Ok(Err(SqliteError::Service(ServiceError::Unavailable("not built".to_owned()))))
    }
    async fn run_script(&mut self, _statements: String) -> wasmtime::Result<Result<(), SqliteError>> {
        Ok(Err(SqliteError::Service(ServiceError::Unavailable("not built".to_owned()))))
    }
    async fn begin(&mut self) -> wasmtime::Result<Result<(), SqliteError>> {
        Ok(Err(SqliteError::Service(ServiceError::Unavailable("not built".to_owned()))))
    }
    async fn commit(&mut self) -> wasmtime::Result<Result<(), SqliteError>> {
        Ok(Err(SqliteError::Service(ServiceError::Unavailable("not built".to_owned()))))
    }
    async fn rollback(&mut self) -> wasmtime::Result<Result<(), SqliteError>> {
        Ok(Err(SqliteError::Service(ServiceError::Unavailable("not built".to_owned()))))
    }
}
