//! The entries of one store in SQLite: operations, expiry, and the two bounds.
//!
//! Octets and entries are counted in a row of the file itself, changed in the same transaction as the entries, so that they are right
//! after a crash and beside another process.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::Grant;
use crate::bindings::postgate::mail::types::ServiceError;
use crate::service::storage::{HEAP_BYTES, StorageError};

/// What a guest asks for.
#[derive(Debug)]
pub(crate) enum Operation {
    Get {
        key: String,
    },
    Set {
        key: String,
        value: Vec<u8>,
        expires_after: Option<u32>,
    },
    Delete {
        key: String,
    },
    Increment {
        key: String,
        by: i64,
        expires_after: Option<u32>,
    },
    Replace {
        key: String,
        expected: Option<Vec<u8>>,
        value: Vec<u8>,
        expires_after: Option<u32>,
    },
    Keys {
        prefix: String,
        after: Option<String>,
    },
    /// Keys in the order in which they were first written, behind the entry of that number.
    Page {
        after: i64,
    },
}

/// What it hears.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Value(Option<Vec<u8>>),
    Truth(bool),
    Sum(i64),
    Keys(Vec<String>),
    /// Keys, and the number of the last one's entry if there may be more.
    Page(Vec<String>, Option<i64>),
}

impl Operation {
    /// Checks keys and values against their bounds.
    pub(super) fn check(&self) -> Result<(), ServiceError> {
        let invalid = |what: String| Err(ServiceError::Invalid(what));
        let (key, value) = match self {
            Self::Get { key } | Self::Delete { key } | Self::Increment { key, .. } => (key, None),
            Self::Set { key, value, .. } | Self::Replace { key, value, .. } => (key, Some(value)),
            Self::Keys { prefix, after } => {
                let longest = prefix.len().max(after.as_ref().map_or(0, String::len));
                return if longest > MAX_KEY_BYTES { invalid(KEY_WANTED.to_owned()) } else { Ok(()) };
            }
            Self::Page { .. } => return Ok(()),
        };
        if key.is_empty() || key.len() > MAX_KEY_BYTES {
            return invalid(format!("{KEY_WANTED}, this one {}", key.len()));
        }
        match value {
            Some(value) if value.len() > MAX_VALUE_BYTES => {
                invalid(format!("a value has at most {MAX_VALUE_BYTES} octets, this one {}", value.len()))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Octets that go in.
    pub(super) fn octets(&self) -> usize {
        match self {
            Self::Get { key } | Self::Delete { key } | Self::Increment { key, .. } => key.len(),
            Self::Set { key, value, .. } => key.len() + value.len(),
            Self::Replace { key, expected, value, .. } => {
                key.len() + value.len() + expected.as_ref().map_or(0, Vec::len)
            }
            Self::Keys { prefix, .. } => prefix.len(),
            Self::Page { .. } => 0,
        }
    }

    fn writes(&self) -> bool {
        match self {
            Self::Get { .. } | Self::Keys { .. } | Self::Page { .. } => false,
            Self::Set { .. } | Self::Delete { .. } | Self::Increment { .. } | Self::Replace { .. } => true,
        }
    }
}

impl Answer {
    pub(super) fn value(self) -> Result<Option<Vec<u8>>, ServiceError> {
        if let Self::Value(value) = self { Ok(value) } else { Err(mismatch()) }
    }

    pub(super) fn truth(self) -> Result<bool, ServiceError> {
        if let Self::Truth(truth) = self { Ok(truth) } else { Err(mismatch()) }
    }

    pub(super) fn sum(self) -> Result<i64, ServiceError> {
        if let Self::Sum(sum) = self { Ok(sum) } else { Err(mismatch()) }
    }

    pub(super) fn keys(self) -> Result<Vec<String>, ServiceError> {
        if let Self::Keys(keys) | Self::Page(keys, _) = self { Ok(keys) } else { Err(mismatch()) }
    }

    /// Octets that go out.
    pub(super) fn octets(&self) -> usize {
        match self {
            Self::Value(value) => value.as_ref().map_or(0, Vec::len),
            Self::Keys(keys) | Self::Page(keys, _) => keys.iter().map(String::len).sum(),
            Self::Done | Self::Truth(_) | Self::Sum(_) => 0,
        }
    }
}

/// Each operation has one kind of answer; if not, that is our fault, and no reason to end a session.
pub(super) fn mismatch() -> ServiceError {
    ServiceError::Unavailable("the store gave an answer of another kind".to_owned())
}

/// The entries of one store.
#[derive(Debug)]
pub(super) struct Table {
    connection: Connection,
    bounds: Bounds,
}

#[derive(Clone, Copy, Debug)]
struct Bounds {
    octets: i64,
    entries: i64,
}

/// How much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Total {
    pub(super) entries: i64,
    pub(super) octets: i64,
}

impl Table {
    /// Opens the file, and makes the tables in a new one.
    pub(super) fn open(grant: &Grant) -> Result<Self, StorageError> {
        let wrong = StorageError::open(&grant.path);
        let connection = Connection::open(&grant.path).map_err(&wrong)?;
        let mine = prepare(&connection).map_err(&wrong)?;
        if !mine {
            return Err(StorageError::Foreign { path: grant.path.clone() });
        }
        let bound = |bound: u64| i64::try_from(bound).unwrap_or(i64::MAX);
        Ok(Self { connection, bounds: Bounds { octets: bound(grant.size_bytes), entries: bound(grant.entries) } })
    }

    /// Does operations in one transaction: an error is about all of them. Answers also whether anything was written.
    pub(super) fn batch<'a>(
        &mut self,
        operations: impl Iterator<Item = &'a Operation> + Clone,
        now_ms: i64,
    ) -> rusqlite::Result<(Vec<Result<Answer, ServiceError>>, bool)> {
        let writes = operations.clone().any(Operation::writes);
        let behavior = if writes { TransactionBehavior::Immediate } else { TransactionBehavior::Deferred };
        let transaction = self.connection.transaction_with_behavior(behavior)?;
        let total = total(&transaction)?;
        let mut work = Work { transaction: &transaction, bounds: self.bounds, total, now_ms };
        let mut answers = Vec::new();
        for operation in operations {
            answers.push(work.one(operation)?);
        }
        if writes {
            work.purge(PURGED_BESIDE)?;
        }
        let changed = work.total;
        put_total(&transaction, total, changed)?;
        transaction.commit()?;
        Ok((answers, writes))
    }

    /// Removes entries that have expired, some at a time. Answers whether there may be more.
    pub(super) fn purge(&mut self, now_ms: i64) -> rusqlite::Result<bool> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let total = total(&transaction)?;
        let mut work = Work { transaction: &transaction, bounds: self.bounds, total, now_ms };
        let purged = work.purge(PURGED_AT_ONCE)?;
        let changed = work.total;
        put_total(&transaction, total, changed)?;
        transaction.commit()?;
        Ok(purged == PURGED_AT_ONCE)
    }

    /// Has everything that was committed before on disk when it answers: a commit with FULL syncs the whole log.
    pub(super) fn sync(&mut self) -> rusqlite::Result<()> {
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        let synced = self.connection.execute("UPDATE total SET syncs = syncs + 1", []);
        self.connection.pragma_update(None, "synchronous", "NORMAL")?;
        synced.map(drop)
    }
}

/// The settings of the connection, and the tables. Answers whether the file is a store.
fn prepare(connection: &Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_MS))?;
    let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION && tables > 0 {
        return Ok(false);
    }
    connection.pragma_update(None, "hard_heap_limit", HEAP_BYTES)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "journal_size_limit", JOURNAL_BYTES)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    if tables == 0 {
        connection.execute_batch(SCHEMA)?;
        connection.pragma_update(None, "application_id", APPLICATION)?;
    }
    total(connection)?;
    Ok(true)
}

fn total(connection: &Connection) -> rusqlite::Result<Total> {
    let mut statement = connection.prepare_cached("SELECT entries, octets FROM total")?;
    statement.query_row([], |row| Ok(Total { entries: row.get(0)?, octets: row.get(1)? }))
}

fn put_total(transaction: &Transaction<'_>, before: Total, after: Total) -> rusqlite::Result<()> {
    if before == after {
        return Ok(());
    }
    let mut statement = transaction.prepare_cached("UPDATE total SET entries = ?, octets = ?")?;
    statement.execute(params![after.entries, after.octets]).map(drop)
}

/// Operations within one transaction.
struct Work<'a> {
    transaction: &'a Transaction<'a>,
    bounds: Bounds,
    total: Total,
    now_ms: i64,
}

/// An entry as it is found, dead or alive.
struct Found {
    id: i64,
    value: Vec<u8>,
    expires_ms: Option<i64>,
}

impl Work<'_> {
    fn one(&mut self, operation: &Operation) -> rusqlite::Result<Result<Answer, ServiceError>> {
        Ok(match operation {
            Operation::Get { key } => Ok(Answer::Value(self.alive(key)?.map(|found| found.value))),
            Operation::Set { key, value, expires_after } => {
                let expires = self.expires(*expires_after);
                self.write(key, value, expires)?.map(|()| Answer::Done)
            }
            Operation::Delete { key } => Ok(Answer::Truth(self.delete(key)?)),
            Operation::Increment { key, by, expires_after } => self.increment(key, *by, *expires_after)?,
            Operation::Replace { key, expected, value, expires_after } => {
                if self.alive(key)?.map(|found| found.value) != *expected {
                    return Ok(Ok(Answer::Truth(false)));
                }
                let expires = self.expires(*expires_after);
                self.write(key, value, expires)?.map(|()| Answer::Truth(true))
            }
            Operation::Keys { prefix, after } => Ok(Answer::Keys(self.keys(prefix, after.as_deref())?)),
            Operation::Page { after } => Ok(self.page(*after)?),
        })
    }

    fn expires(&self, after: Option<u32>) -> Option<i64> {
        after.map(|seconds| self.now_ms.saturating_add(i64::from(seconds) * 1000))
    }

    fn found(&self, key: &str) -> rusqlite::Result<Option<Found>> {
        let mut statement = self.transaction.prepare_cached("SELECT id, value, expires FROM entry WHERE key = ?")?;
        let found =
            |row: &rusqlite::Row<'_>| Ok(Found { id: row.get(0)?, value: row.get(1)?, expires_ms: row.get(2)? });
        statement.query_row([key.as_bytes()], found).optional()
    }

    fn alive(&self, key: &str) -> rusqlite::Result<Option<Found>> {
        Ok(self.found(key)?.filter(|found| found.expires_ms.is_none_or(|expires| expires > self.now_ms)))
    }

    fn delete(&mut self, key: &str) -> rusqlite::Result<bool> {
        let Some(found) = self.found(key)? else { return Ok(false) };
        self.transaction.prepare_cached("DELETE FROM entry WHERE id = ?")?.execute([found.id])?;
        self.total.entries -= 1;
        self.total.octets -= octets(key.len(), found.value.len());
        Ok(found.expires_ms.is_none_or(|expires| expires > self.now_ms))
    }

    fn increment(
        &mut self,
        key: &str,
        by: i64,
        expires_after: Option<u32>,
    ) -> rusqlite::Result<Result<Answer, ServiceError>> {
        let (before, expires) = match self.alive(key)? {
            None => (0, self.expires(expires_after)),
            Some(found) => match number(&found.value) {
                Some(number) => (number, found.expires_ms),
                None => return Ok(Err(ServiceError::Invalid("the value is not a number".to_owned()))),
            },
        };
        let Some(sum) = before.checked_add(by) else {
            return Ok(Err(ServiceError::Invalid("the sum is beyond 64 bits".to_owned())));
        };
        Ok(self.write(key, sum.to_string().as_bytes(), expires)?.map(|()| Answer::Sum(sum)))
    }

    /// Writes an entry if the bounds allow it, after what has expired has made room if need be.
    fn write(&mut self, key: &str, value: &[u8], expires: Option<i64>) -> rusqlite::Result<Result<(), ServiceError>> {
        let mut before = self.found(key)?;
        if self.over(key, value, before.as_ref()).is_some() {
            self.purge(PURGED_AT_ONCE)?;
            before = self.found(key)?;
        }
        if let Some(bound) = self.over(key, value, before.as_ref()) {
            return Ok(Err(ServiceError::Quota(bound.to_owned())));
        }
        match before {
            Some(found) => {
                self.transaction
                    .prepare_cached("UPDATE entry SET value = ?, expires = ? WHERE id = ?")?
                    .execute(params![value, expires, found.id])?;
                self.total.octets -= octets(key.len(), found.value.len());
            }
            None => {
                self.transaction
                    .prepare_cached("INSERT INTO entry (key, value, expires) VALUES (?, ?, ?)")?
                    .execute(params![key.as_bytes(), value, expires])?;
                self.total.entries += 1;
            }
        }
        self.total.octets += octets(key.len(), value.len());
        Ok(Ok(()))
    }

    /// The bound that an entry would break.
    fn over(&self, key: &str, value: &[u8], before: Option<&Found>) -> Option<&'static str> {
        let freed = before.map_or(0, |found| octets(key.len(), found.value.len()));
        let grows = octets(key.len(), value.len()) > freed;
        if before.is_none() && self.total.entries >= self.bounds.entries {
            Some("entries: the store has as many as the operator allows")
        } else if grows && self.total.octets - freed + octets(key.len(), value.len()) > self.bounds.octets {
            Some("size: the store is as large as the operator allows")
        } else {
            None
        }
    }

    /// Removes up to so many entries that have expired, the oldest first. Answers how many.
    fn purge(&mut self, most: usize) -> rusqlite::Result<usize> {
        let mut statement = self.transaction.prepare_cached(
            "DELETE FROM entry WHERE id IN (SELECT id FROM entry WHERE expires <= ? ORDER BY expires LIMIT ?) \
             RETURNING length(key) + length(value)",
        )?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let mut purged = 0;
        let mut rows = statement.query(params![self.now_ms, most])?;
        while let Some(row) = rows.next()? {
            self.total.entries -= 1;
            self.total.octets -= row.get::<_, i64>(0)?;
            purged += 1;
        }
        Ok(purged)
    }

    fn keys(&self, prefix: &str, after: Option<&str>) -> rusqlite::Result<Vec<String>> {
        // No octet of UTF-8 is 255: it is behind all keys that begin with the prefix.
        let end = [prefix.as_bytes(), &[u8::MAX]].concat();
        let mut statement = self.transaction.prepare_cached(
            "SELECT key FROM entry WHERE key >= ? AND key < ? AND key > ? AND (expires IS NULL OR expires > ?) \
             ORDER BY key LIMIT ?",
        )?;
        let after = after.unwrap_or_default().as_bytes();
        let keys = statement
            .query_map(params![prefix.as_bytes(), end, after, self.now_ms, MAX_KEYS], |row| row.get::<_, Vec<u8>>(0))?;
        keys.map(|key| key.map(|key| String::from_utf8_lossy(&key).into_owned())).collect()
    }

    fn page(&self, after: i64) -> rusqlite::Result<Answer> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT id, key FROM entry WHERE id > ? AND (expires IS NULL OR expires > ?) ORDER BY id LIMIT ?",
        )?;
        let rows = statement.query_map(params![after, self.now_ms, MAX_KEYS], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let rows: Vec<(i64, Vec<u8>)> = rows.collect::<rusqlite::Result<_>>()?;
        let last =
            rows.last().map(|(id, _)| *id).filter(|_| i64::try_from(rows.len()).is_ok_and(|rows| rows >= MAX_KEYS));
        let keys = rows.into_iter().map(|(_, key)| String::from_utf8_lossy(&key).into_owned()).collect();
        Ok(Answer::Page(keys, last))
    }
}

/// What an entry counts.
fn octets(key: usize, value: usize) -> i64 {
    i64::try_from(key.saturating_add(value)).unwrap_or(i64::MAX)
}

/// A number as `increment` writes it: decimal digits, nothing else.
fn number(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

const SCHEMA: &str = "
    BEGIN;
    CREATE TABLE entry (id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, value BLOB NOT NULL, expires INTEGER);
    CREATE INDEX entry_expires ON entry (expires) WHERE expires IS NOT NULL;
    CREATE TABLE total (entries INTEGER NOT NULL, octets INTEGER NOT NULL, syncs INTEGER NOT NULL);
    INSERT INTO total VALUES (0, 0, 0);
    COMMIT;
";

/// `PGkv`, in the header of the file.
const APPLICATION: i64 = 0x5047_6b76;
const MAX_KEY_BYTES: usize = 512;
const MAX_VALUE_BYTES: usize = 1 << 20;
/// Keys in one answer.
const MAX_KEYS: i64 = 1000;
const KEY_WANTED: &str = "a key has 1 to 512 octets";
/// How long another process may hold the file.
const BUSY_MS: u64 = 1000;
/// What the log of the file is cut to when it is empty.
const JOURNAL_BYTES: i64 = 4 << 20;
/// Expired entries that are removed beside other work.
const PURGED_BESIDE: usize = 20;
/// Expired entries that are removed at once, when nothing else is to be done or there is no room.
const PURGED_AT_ONCE: usize = 1000;

#[cfg(test)]
mod tests;
