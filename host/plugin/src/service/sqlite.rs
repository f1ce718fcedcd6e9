//! `postgate:mail/sqlite`: an SQLite database of the plugin's own.
//!
//! What a connection may do is set in `sqlite/fence.rs`, connections are kept in `sqlite/pool.rs`, statements are run in
//! `sqlite/statement.rs`. Here is what joins them: outside a transaction each call borrows any connection; from `begin` on the
//! instance has one for itself, until it ends the transaction, the hook returns, or it fails.

mod fence;
mod functions;
mod pool;
mod statement;
mod times;

use std::path::PathBuf;

pub(crate) use self::pool::{Lease, Pool};
use self::statement::Bounds;
use super::ServiceId;
use crate::bindings::postgate::mail::sqlite::*;
use crate::bindings::postgate::mail::types::ServiceError;
use crate::state::State;

/// What the operator has granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its file.
    pub path: PathBuf,
    /// What the file may grow to.
    pub size_bytes: u64,
    /// Connections at the same time.
    pub connections: usize,
}

impl Host for State {
    async fn execute(
        &mut self,
        statement: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<Effect, SqliteError>> {
        let octets = statement.len() + statement::octets(&parameters);
        let run = move |lease: &mut Lease| statement::execute(lease.connection()?, &statement, &parameters);
        Ok(self.database_call(octets, Access::Write, run).await)
    }

    async fn query(
        &mut self,
        statement: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<Table, SqliteError>> {
        let octets = statement.len() + statement::octets(&parameters);
        let bounds = Bounds { octets: self.facts.limits.transfer_bytes };
        let run = move |lease: &mut Lease| statement::query(lease.connection()?, &statement, &parameters, bounds);
        let answer = self.database_call(octets, Access::Read, run).await;
        if let Ok(table) = &answer {
            let octets = table.rows.iter().map(|row| statement::octets(row)).sum();
            self.facts.usage.count(ServiceId::Sqlite, octets);
        }
        Ok(answer)
    }

    async fn run_script(&mut self, statements: String) -> wasmtime::Result<Result<(), SqliteError>> {
        let octets = statements.len();
        let run = move |lease: &mut Lease| statement::script(lease, &statements);
        Ok(self.database_call(octets, Access::Write, run).await)
    }

    async fn begin(&mut self) -> wasmtime::Result<Result<(), SqliteError>> {
        if self.transaction.is_some() {
            return Ok(Err(SqliteError::Statement("a transaction is open already".to_owned())));
        }
        Ok(self.database_call(0, Access::Write, Lease::begin).await)
    }

    async fn commit(&mut self) -> wasmtime::Result<Result<(), SqliteError>> {
        if self.transaction.is_none() {
            return Ok(Err(no_transaction()));
        }
        Ok(self.database_call(0, Access::Write, Lease::commit).await)
    }

    async fn rollback(&mut self) -> wasmtime::Result<Result<(), SqliteError>> {
        if self.transaction.is_none() {
            return Ok(Err(no_transaction()));
        }
        Ok(self.database_call(0, Access::Write, Lease::rollback).await)
    }
}

/// What a call is going to do. Writers wait for each other before they have a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

impl State {
    /// Runs something on the transaction's connection, or on any. What is cancelled is interrupted.
    async fn database_call<T: Send + 'static>(
        &mut self,
        octets: usize,
        access: Access,
        run: impl FnOnce(&mut Lease) -> Result<T, SqliteError> + Send + 'static,
    ) -> Result<T, SqliteError> {
        let metered = self.metered(ServiceId::Sqlite).map_err(SqliteError::Service)?;
        metered.octets(octets);
        let Some(pool) = self.facts.database.clone() else {
            let denied = ServiceError::Denied("sqlite is not granted".to_owned());
            return Err(SqliteError::Service(denied));
        };
        let lease = match self.transaction.take() {
            Some(lease) => lease,
            None => pool.lease(access).await.map_err(SqliteError::Service)?,
        };
        let (lease, answer) = lease.run(run).await.map_err(SqliteError::Service)?;
        if lease.in_transaction() {
            self.transaction = Some(lease);
        }
        answer.inspect_err(|error| {
            if let SqliteError::Service(ServiceError::Unavailable(reason)) = error {
                tracing::error!(plugin = %self.facts.name, reason, "database failed");
            }
        })
    }
}

fn no_transaction() -> SqliteError {
    SqliteError::Statement("no transaction is open; one that was may have been rolled back by an error".to_owned())
}
