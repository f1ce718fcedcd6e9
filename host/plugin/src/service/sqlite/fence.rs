//! What a plugin's connection may do: its own file, and nothing beyond.
//!
//! As "Defense Against The Dark Arts" in SQLite's documentation advises for SQL of strangers: an authorizer that is asked about each
//! action when a statement is prepared, limits below the compiled ones, a schema that is not trusted, and a bound for the file.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use super::{functions, times};
use crate::clock::Clock;
use crate::service::storage::HEAP_BYTES;

/// Says that the host itself speaks: BEGIN, COMMIT and ROLLBACK are then allowed.
#[derive(Clone, Debug, Default)]
pub(super) struct HostSpeaks(Arc<AtomicBool>);

impl HostSpeaks {
    /// Does something with the rights of the host.
    pub(super) fn during<T>(&self, act: impl FnOnce() -> T) -> T {
        self.0.store(true, Ordering::Relaxed);
        let done = act();
        self.0.store(false, Ordering::Relaxed);
        done
    }
}

/// Opens the file, as far as it may grow; with the clock of a rehearsal, if it is one.
pub(super) fn open(path: &Path, size_bytes: u64, clock: Option<&Clock>) -> rusqlite::Result<(Connection, HostSpeaks)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    connection.pragma_update(None, "hard_heap_limit", HEAP_BYTES)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    for (pragma, value) in PRAGMAS {
        connection.pragma_update(None, pragma, value)?;
    }
    let page_octets: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let pages = (i64::try_from(size_bytes).unwrap_or(i64::MAX) / page_octets.max(1)).max(1);
    connection.pragma_update(None, "max_page_count", pages.min(MAX_PAGES))?;
    for (limit, value) in LIMITS {
        connection.set_limit(*limit, *value)?;
    }
    for (setting, on) in SETTINGS {
        connection.set_db_config(*setting, *on)?;
    }
    // Reads the header and the schema: what is damaged there is told now.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    functions::install(&connection)?;
    if let Some(clock) = clock {
        times::install(&connection, clock)?;
    }
    let host = HostSpeaks::default();
    let speaks = host.clone();
    connection.authorizer(Some(move |context: AuthContext<'_>| {
        // `CREATE TABLE temp.t` makes a temporary table and is none by its action.
        let is_temporary = context.database_name.is_some_and(|name| name.eq_ignore_ascii_case("temp"));
        if !is_temporary && is_allowed(&context.action, speaks.0.load(Ordering::Relaxed)) {
            Authorization::Allow
        } else {
            Authorization::Deny
        }
    }))?;
    Ok((connection, host))
}

fn is_allowed(action: &AuthAction<'_>, host_speaks: bool) -> bool {
    match action {
        AuthAction::Transaction { .. } => host_speaks,
        AuthAction::Pragma { pragma_name, pragma_value } => {
            let name = pragma_name.to_ascii_lowercase();
            READABLE.contains(&name.as_str()) || (name == "user_version" && is_number(*pragma_value))
        }
        AuthAction::Function { function_name } => {
            let name = function_name.to_ascii_lowercase();
            !FORBIDDEN_FUNCTIONS.contains(&name.as_str())
        }
        // Tables, indexes, triggers, views and rows of its own.
        AuthAction::CreateIndex { .. }
        | AuthAction::CreateTable { .. }
        | AuthAction::CreateTrigger { .. }
        | AuthAction::CreateView { .. }
        | AuthAction::Delete { .. }
        | AuthAction::DropIndex { .. }
        | AuthAction::DropTable { .. }
        | AuthAction::DropTrigger { .. }
        | AuthAction::DropView { .. }
        | AuthAction::Insert { .. }
        | AuthAction::Read { .. }
        | AuthAction::Select
        | AuthAction::Update { .. }
        | AuthAction::AlterTable { .. }
        | AuthAction::Reindex { .. }
        | AuthAction::Analyze { .. }
        | AuthAction::Savepoint { .. }
        | AuthAction::Recursive => true,
        // What is temporary is in memory, of which all databases together have so much, and outlasts the call with its connection.
        AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::CreateTempView { .. }
        | AuthAction::DropTempIndex { .. }
        | AuthAction::DropTempTable { .. }
        | AuthAction::DropTempTrigger { .. }
        | AuthAction::DropTempView { .. } => false,
        // FTS5 seeks a phrase without a look at the progress handler, for as long as the phrase times the text is; others reach beyond.
        AuthAction::CreateVtable { .. } | AuthAction::DropVtable { .. } => false,
        // Another file; or something that SQLite has learned since.
        AuthAction::Attach { .. } | AuthAction::Detach { .. } | AuthAction::Unknown { .. } | _ => false,
    }
}

fn is_number(value: Option<&str>) -> bool {
    value.is_none_or(|value| value.parse::<i32>().is_ok())
}

/// Pragmas that only look.
const READABLE: &[&str] = &[
    "table_info",
    "table_xinfo",
    "table_list",
    "index_list",
    "index_info",
    "index_xinfo",
    "foreign_key_list",
    "foreign_key_check",
    "integrity_check",
    "quick_check",
    "page_count",
    "freelist_count",
    "data_version",
];

/// Functions that reach beyond the database, where they are compiled in; and the last ones, whose work is the product of the lengths of two
/// arguments (see `functions.rs`).
const FORBIDDEN_FUNCTIONS: &[&str] = &[
    "load_extension",
    "readfile",
    "writefile",
    "edit",
    "fts3_tokenizer",
    "zipfile",
    "fsdir",
    "lsmode",
    "json_patch",
    "jsonb_patch",
    "unhex",
];

const PRAGMAS: &[(&str, &str)] = &[
    // A commit is on disk when it answers.
    ("synchronous", "FULL"),
    ("foreign_keys", "ON"),
    ("cell_size_check", "ON"),
    ("mmap_size", "0"),
    ("trusted_schema", "OFF"),
    // Temporary files could not be bounded; memory is, by the heap's limit.
    ("temp_store", "MEMORY"),
    ("cache_size", "-2048"),
    ("journal_size_limit", "4194304"),
];

const SETTINGS: &[(DbConfig, bool)] = &[
    (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
    (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
    (DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
    (DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false),
    (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
    (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
];

const LIMITS: &[(Limit, i32)] = &[
    (Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES),
    (Limit::SQLITE_LIMIT_SQL_LENGTH, 256 << 10),
    (Limit::SQLITE_LIMIT_COLUMN, 200),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 100),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 50),
    (Limit::SQLITE_LIMIT_VDBE_OP, 100_000),
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 32),
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100),
    (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 1000),
    (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 10),
    (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
];

/// Octets of one value, and of one row.
pub(super) const MAX_VALUE_BYTES: i32 = 8 << 20;
/// The most that SQLite can have.
const MAX_PAGES: i64 = 0xffff_fffe;
const CACHED_STATEMENTS: usize = 32;
/// How long a thread may wait for a lock of another process's. Those of this process wait without a thread (`pool.rs`).
const BUSY: Duration = Duration::from_secs(2);
