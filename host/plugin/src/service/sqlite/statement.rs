//! Statements: values in and out, and SQLite's errors in the words of the contract.

use rusqlite::ffi::ErrorCode;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, Error};

use super::pool::Lease;
use crate::bindings::postgate::mail::sqlite::{Effect, SqliteError, Table, Value};
use crate::bindings::postgate::mail::types::ServiceError;
use crate::service::storage::is_trouble;

/// What an answer may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) octets: usize,
}

/// Runs one statement; rows that it gives are left out.
pub(super) fn execute(
    connection: &mut Connection,
    statement: &str,
    parameters: &[Value],
) -> Result<Effect, SqliteError> {
    let outside = connection.is_autocommit();
    let before = connection.total_changes();
    let mut prepared = prepare(connection, statement, parameters)?;
    let mut rows = prepared.raw_query();
    while rows.next().map_err(|error| problem(&error))?.is_some() {}
    drop(rows);
    drop(prepared);
    savepoints_end(connection, outside)?;
    let changes = connection.total_changes().saturating_sub(before);
    Ok(Effect { changes, last_row: connection.last_insert_rowid() })
}

/// Runs one statement, and answers its rows.
pub(super) fn query(
    connection: &mut Connection,
    statement: &str,
    parameters: &[Value],
    bounds: Bounds,
) -> Result<Table, SqliteError> {
    let outside = connection.is_autocommit();
    let mut prepared = prepare(connection, statement, parameters)?;
    let columns: Vec<String> = prepared.column_names().map(str::to_owned).collect();
    let mut left = bounds.octets;
    let mut found = Vec::new();
    let mut rows = prepared.raw_query();
    while let Some(row) = rows.next().map_err(|error| problem(&error))? {
        if found.len() == MAX_ROWS {
            return Err(quota(format!("more than {MAX_ROWS} rows: ask with LIMIT")));
        }
        let mut values = Vec::with_capacity(columns.len());
        for column in 0..columns.len() {
            values.push(value(row.get_ref(column).map_err(|error| problem(&error))?));
        }
        left = left
            .checked_sub(octets(&values))
            .ok_or_else(|| quota("more octets than transfer-octets allows: ask with LIMIT".to_owned()))?;
        found.push(values);
    }
    drop(rows);
    drop(prepared);
    savepoints_end(connection, outside)?;
    Ok(Table { columns, rows: found })
}

/// Runs statements whole or not at all.
pub(super) fn script(lease: &mut Lease, statements: &str) -> Result<(), SqliteError> {
    let outside = !lease.in_transaction();
    if outside {
        lease.begin()?;
    }
    let done = lease.connection()?.execute_batch(statements).map_err(|error| problem(&error));
    match done {
        Ok(()) if outside => lease.commit(),
        Ok(()) => Ok(()),
        Err(error) => {
            // Some errors have rolled back already.
            if outside && lease.in_transaction() {
                lease.rollback()?;
            }
            Err(error)
        }
    }
}

fn prepare<'a>(
    connection: &'a Connection,
    statement: &str,
    parameters: &[Value],
) -> Result<CachedStatement<'a>, SqliteError> {
    let mut prepared = connection.prepare_cached(statement).map_err(|error| problem(&error))?;
    let wanted = prepared.parameter_count();
    if wanted != parameters.len() {
        return Err(SqliteError::Statement(format!("{wanted} parameters are wanted, {} given", parameters.len())));
    }
    for (n, parameter) in parameters.iter().enumerate() {
        prepared.raw_bind_parameter(n + 1, bound(parameter)).map_err(|error| problem(&error))?;
    }
    Ok(prepared)
}

/// A savepoint outside of a transaction begins one, which would outlast the call.
fn savepoints_end(connection: &Connection, outside: bool) -> Result<(), SqliteError> {
    if outside && !connection.is_autocommit() {
        // The lease rolls back: a transaction is `begin`'s to make.
        return Err(SqliteError::Statement("a savepoint outside of a transaction: call `begin` first".to_owned()));
    }
    Ok(())
}

fn bound(value: &Value) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(match value {
        Value::Null => ValueRef::Null,
        Value::Integer(integer) => ValueRef::Integer(*integer),
        Value::Real(real) => ValueRef::Real(*real),
        Value::Text(text) => ValueRef::Text(text.as_bytes()),
        Value::Blob(blob) => ValueRef::Blob(blob),
    })
}

/// Text that is no UTF-8, which SQL can make of a blob, is a blob.
fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(integer) => Value::Integer(integer),
        ValueRef::Real(real) => Value::Real(real),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::Blob(text.to_vec()),
        },
        ValueRef::Blob(blob) => Value::Blob(blob.to_vec()),
    }
}

/// What values count, in either direction.
pub(super) fn octets(values: &[Value]) -> usize {
    let octets = |value: &Value| match value {
        Value::Null | Value::Integer(_) | Value::Real(_) => 0,
        Value::Text(text) => text.len(),
        Value::Blob(blob) => blob.len(),
    };
    values.iter().map(|value| VALUE_BYTES + octets(value)).sum()
}

fn quota(what: String) -> SqliteError {
    SqliteError::Service(ServiceError::Quota(what))
}

/// An error of SQLite's in the words of the contract.
pub(super) fn problem(error: &Error) -> SqliteError {
    let unavailable = |what: String| SqliteError::Service(ServiceError::Unavailable(what));
    let code = error.sqlite_error_code();
    let words = words(error);
    if is_trouble(code) {
        return unavailable(words);
    }
    let is = |wanted: ErrorCode| code == Some(wanted);
    if is(ErrorCode::ConstraintViolation) {
        SqliteError::Constraint(words)
    } else if is(ErrorCode::DiskFull) {
        SqliteError::Full
    } else if is(ErrorCode::DatabaseBusy) || is(ErrorCode::DatabaseLocked) {
        unavailable("the database is locked".to_owned())
    } else if is(ErrorCode::OperationInterrupted) {
        unavailable("the statement was interrupted".to_owned())
    } else if is(ErrorCode::OutOfMemory) {
        quota("memory of all databases".to_owned())
    } else if is(ErrorCode::TooBig) {
        quota(words)
    } else if is(ErrorCode::AuthorizationForStatementDenied) {
        SqliteError::Statement(format!(
            "{words}: the database is all that can be reached, and transactions are begun by `begin`"
        ))
    } else {
        // The statement, and what it asks for.
        SqliteError::Statement(words)
    }
}

/// SQLite's words, without the statement's text.
fn words(error: &Error) -> String {
    let words = if let Error::SqliteFailure(_, Some(words)) | Error::SqlInputError { msg: words, .. } = error {
        words.clone()
    } else {
        error.to_string()
    };
    words.chars().take(MAX_WORDS).collect()
}

const MAX_ROWS: usize = 10_000;
/// What a value counts beside its octets.
const VALUE_BYTES: usize = 16;
/// Characters of SQLite's that a guest hears.
const MAX_WORDS: usize = 500;
