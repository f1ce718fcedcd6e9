//! SQLite's functions of time by the clock of a rehearsal: what `now` is comes from there, and all else is SQLite's own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::Value;
use rusqlite::{Connection, Result, params_from_iter};

use crate::clock::Clock;

/// Puts them in the place of SQLite's.
pub(super) fn install(connection: &Connection, clock: &Clock) -> Result<()> {
    // SQLite's own functions are asked on another connection: on this one they are no longer to be had.
    let plain = Arc::new(Mutex::new(Connection::open_in_memory()?));
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
    for (name, function, before) in FUNCTIONS {
        let (plain, clock) = (plain.clone(), clock.clone());
        let arguments = if name.starts_with("current_") { 0 } else { -1 };
        connection.create_scalar_function(*name, arguments, flags, move |context| {
            told(context, &plain.lock().unwrap_or_else(PoisonError::into_inner), &clock, function, *before)
        })?;
    }
    Ok(())
}

/// What the function says of these arguments; the time value stands behind `before` others, and is now where it is left out.
fn told(context: &Context<'_>, plain: &Connection, clock: &Clock, function: &str, before: usize) -> Result<Value> {
    let mut arguments = (0..context.len()).map(|n| context.get::<Value>(n)).collect::<Result<Vec<_>>>()?;
    if arguments.len() == before {
        arguments.push(Value::Text("now".to_owned()));
    }
    for argument in &mut arguments {
        if matches!(argument, Value::Text(text) if text.eq_ignore_ascii_case("now")) {
            *argument = now(plain, clock.time())?;
        }
    }
    let places = vec!["?"; arguments.len()].join(",");
    let statement = format!("SELECT {function}({places})");
    plain.query_row(&statement, params_from_iter(arguments), |row| row.get(0))
}

/// A moment as SQLite writes it, with milliseconds.
fn now(plain: &Connection, time: SystemTime) -> Result<Value> {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    plain.query_row("SELECT strftime('%Y-%m-%d %H:%M:%f', ?, 'unixepoch')", [seconds], |row| row.get(0))
}

/// Each with the function of SQLite's that answers for it, and how many arguments stand before its time value.
const FUNCTIONS: &[(&str, &str, usize)] = &[
    ("date", "date", 0),
    ("time", "time", 0),
    ("datetime", "datetime", 0),
    ("julianday", "julianday", 0),
    ("unixepoch", "unixepoch", 0),
    ("strftime", "strftime", 1),
    ("current_date", "date", 0),
    ("current_time", "time", 0),
    ("current_timestamp", "datetime", 0),
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn now_is_the_clocks() {
        let connection = Connection::open_in_memory().unwrap();
        let clock = Clock::new(|| UNIX_EPOCH + Duration::from_millis(1_767_225_600_500));
        install(&connection, &clock).unwrap();
        for (asked, expected) in [
            ("datetime()", "2026-01-01 00:00:00"),
            ("datetime('NOW', '+1 day')", "2026-01-02 00:00:00"),
            ("strftime('%Y-%f')", "2026-00.500"),
            ("date('now', '-1 second')", "2025-12-31"),
            ("time('2000-01-01 01:02:03')", "01:02:03"),
            ("unixepoch('now')", "1767225600"),
            ("julianday('2000-01-01')", "2451544.5"),
            ("CURRENT_TIMESTAMP", "2026-01-01 00:00:00"),
            ("CURRENT_DATE", "2026-01-01"),
            ("coalesce(date('nonsense'), 'null')", "null"),
        ] {
            let found: String =
                connection.query_row(&format!("SELECT CAST({asked} AS TEXT)"), [], |row| row.get(0)).unwrap();
            assert_eq!(found, expected, "{asked}");
        }
        let table = "CREATE TABLE t (at TEXT DEFAULT CURRENT_TIMESTAMP, n); INSERT INTO t (n) VALUES (1)";
        connection.execute_batch(table).unwrap();
        let found: String = connection.query_row("SELECT at FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(found, "2026-01-01 00:00:00");
    }
}
