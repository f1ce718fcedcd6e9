//! SQL functions of two texts, whose work in SQLite is the product of their lengths. One of them does not look at the progress handler, so
//! that with a few megabytes it would hold its thread for hours after its call was given up. These do the same in time that grows with the sum.
//!
//! They take text, octets and whole numbers; a real number is cast to text first.

use std::collections::HashSet;

use memchr::memmem;
use rusqlite::ffi::{self, ErrorCode};
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error, Result};

use super::fence::MAX_VALUE_BYTES;

/// Puts them in the place of SQLite's.
pub(super) fn install(connection: &Connection) -> Result<()> {
    // Innocuous: views, triggers and constraints may use them as they may use SQLite's.
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("instr", 2, flags, instr)?;
    connection.create_scalar_function("replace", 3, flags, replace)?;
    connection.create_scalar_function("trim", 2, flags, |context| trim(context, true, true))?;
    connection.create_scalar_function("ltrim", 2, flags, |context| trim(context, true, false))?;
    connection.create_scalar_function("rtrim", 2, flags, |context| trim(context, false, true))
}

/// An argument as text.
enum Text<'a> {
    Here(&'a [u8]),
    Made(String),
}

impl Text<'_> {
    fn octets(&self) -> &[u8] {
        match self {
            Self::Here(octets) => octets,
            Self::Made(text) => text.as_bytes(),
        }
    }
}

fn text(value: ValueRef<'_>) -> Result<Option<Text<'_>>> {
    Ok(Some(match value {
        ValueRef::Null => return Ok(None),
        ValueRef::Integer(integer) => Text::Made(integer.to_string()),
        ValueRef::Real(_) => {
            let what = "instr, replace and trim take no real number: CAST it AS TEXT".into();
            return Err(Error::UserFunctionError(what));
        }
        ValueRef::Text(octets) | ValueRef::Blob(octets) => Text::Here(octets),
    }))
}

/// Text that is no UTF-8 is a blob, as it is in an answer.
fn value(octets: Vec<u8>) -> Value {
    String::from_utf8(octets).map_or_else(|error| Value::Blob(error.into_bytes()), Value::Text)
}

fn instr(context: &Context<'_>) -> Result<Option<i64>> {
    let (where_to, what) = (context.get_raw(0), context.get_raw(1));
    let are_blobs = matches!((where_to, what), (ValueRef::Blob(_), ValueRef::Blob(_)));
    let (Some(where_to), Some(what)) = (text(where_to)?, text(what)?) else { return Ok(None) };
    let before = memmem::find(where_to.octets(), what.octets());
    let before = before.and_then(|at| where_to.octets().get(..at));
    let position = before.map_or(0, |before| 1 + if are_blobs { before.len() } else { characters(before).count() });
    Ok(i64::try_from(position).ok())
}

fn replace(context: &Context<'_>) -> Result<Value> {
    let (Some(whole), Some(what)) = (text(context.get_raw(0))?, text(context.get_raw(1))?) else {
        return Ok(Value::Null);
    };
    if what.octets().is_empty() {
        return Ok(value(whole.octets().to_vec()));
    }
    let Some(by) = text(context.get_raw(2))? else { return Ok(Value::Null) };
    let (whole, what, by) = (whole.octets(), what.octets(), by.octets());
    let mut replaced = Vec::with_capacity(whole.len());
    let mut from = 0;
    for at in memmem::find_iter(whole, what) {
        put(&mut replaced, whole.get(from..at).unwrap_or_default())?;
        put(&mut replaced, by)?;
        from = at + what.len();
    }
    put(&mut replaced, whole.get(from..).unwrap_or_default())?;
    Ok(value(replaced))
}

/// As long as a value may be.
fn put(out: &mut Vec<u8>, octets: &[u8]) -> Result<()> {
    if out.len() + octets.len() > MAX_VALUE_BYTES as usize {
        let error = ffi::Error { code: ErrorCode::TooBig, extended_code: ffi::SQLITE_TOOBIG };
        return Err(Error::SqliteFailure(error, Some("string or blob too big".to_owned())));
    }
    out.extend_from_slice(octets);
    Ok(())
}

fn trim(context: &Context<'_>, left: bool, right: bool) -> Result<Option<Value>> {
    let (Some(whole), Some(unwanted)) = (text(context.get_raw(0))?, text(context.get_raw(1))?) else {
        return Ok(None);
    };
    let unwanted: HashSet<&[u8]> = characters(unwanted.octets()).collect();
    let mut rest = whole.octets();
    if left {
        let taken: usize = characters(rest).take_while(|one| unwanted.contains(one)).map(<[u8]>::len).sum();
        rest = rest.get(taken..).unwrap_or_default();
    }
    while right && let Some(last) = last_character(rest).filter(|last| unwanted.contains(last)) {
        rest = rest.get(..rest.len() - last.len()).unwrap_or_default();
    }
    Ok(Some(value(rest.to_vec())))
}

/// The characters of what is meant to be UTF-8.
fn characters(octets: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = octets;
    std::iter::from_fn(move || {
        let behind = rest.get(1..)?;
        let length = 1 + behind.iter().take(MAX_CONTINUED).take_while(|octet| is_continuation(**octet)).count();
        let (one, others) = rest.split_at_checked(length)?;
        rest = others;
        Some(one)
    })
}

fn last_character(octets: &[u8]) -> Option<&[u8]> {
    let continued = octets.iter().rev().take(MAX_CONTINUED).take_while(|octet| is_continuation(**octet)).count();
    octets.len().checked_sub(continued + 1).and_then(|at| octets.get(at..)).filter(|last| !last.is_empty())
}

fn is_continuation(octet: u8) -> bool {
    octet & 0xc0 == 0x80
}

/// Octets of a character behind its first one.
const MAX_CONTINUED: usize = 3;

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use rusqlite::types::Value;

    use super::*;

    /// The same answers as SQLite's own functions, in kind and value.
    #[test]
    fn they_answer_as_those_of_sqlite() {
        let (theirs, ours) = (Connection::open_in_memory().unwrap(), Connection::open_in_memory().unwrap());
        install(&ours).unwrap();
        let values = [
            "NULL",
            "''",
            "'a'",
            "'aab'",
            "'b'",
            "'\u{e4}\u{20ac}a\u{1f4ec}\u{e4}'",
            "'\u{e4}'",
            "'\u{1f4ec}a'",
            "121",
            "1",
            "-1",
            "x'6162'",
            "x'62'",
            "x''",
        ];
        for x in values {
            for y in values {
                let two = ["instr", "trim", "ltrim", "rtrim"].map(|name| format!("{name}({x}, {y})"));
                let three = values.map(|z| format!("replace({x}, {y}, {z})"));
                for call in two.iter().chain(&three) {
                    let statement = format!("SELECT {call}, typeof({call})");
                    let ask = |connection: &Connection| {
                        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Value>(0)?, row.get::<_, String>(1)?));
                        connection.query_row(&statement, [], row).unwrap()
                    };
                    assert_eq!(ask(&ours), ask(&theirs), "{call}");
                }
            }
        }
        let real = ours.query_row("SELECT instr(1.5, '.')", [], |row| row.get::<_, i64>(0)).unwrap_err();
        assert!(real.to_string().contains("CAST"), "{real}");
    }

    /// What takes SQLite's own functions hours or minutes.
    #[test]
    fn long_texts_take_no_time() {
        let connection = Connection::open_in_memory().unwrap();
        install(&connection).unwrap();
        let begin = Instant::now();
        let check = |expression: &str, expected: Result<i64, &str>| {
            let long = "WITH t (a, b) AS (SELECT replace(hex(zeroblob(1000000)), '0', 'a'), replace(hex(zeroblob(500000)), '0', 'b'))";
            let found = connection.query_row(&format!("{long} SELECT {expression} FROM t"), [], |row| row.get(0));
            assert_eq!(found.map_err(|error| error.to_string()), expected.map_err(str::to_owned), "{expression}");
        };
        check("length(trim(a, b))", Ok(2_000_000));
        check("length(trim(a, b || 'a'))", Ok(0));
        check("instr(a, substr(a, 1, 1000000) || 'b')", Ok(0));
        check("length(replace(a, substr(a, 1, 1000000) || 'b', ''))", Ok(2_000_000));
        check("length(replace(a, 'a', b))", Err("string or blob too big"));
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    }
}
