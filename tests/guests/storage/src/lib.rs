//! Uses the key-value store and the SQLite database as it is told by commands, and answers with 250 and what it has heard.
//!
//! `XKV` does one thing: `get KEY`, `set KEY VALUE [SECONDS]`, `delete KEY`, `add KEY NUMBER`, `replace KEY OLD NEW` (`-` is none),
//! `keys PREFIX`, `fill` (writes until the store refuses, and answers how often), `times N` and one of these.
//!
//! `XDB` does what stands between ` ;; `, in order, and answers a line for each: `begin`, `commit`, `rollback`, `do STATEMENT`,
//! `ask STATEMENT`, `script STATEMENTS`, `values` (sends all kinds of values there and back), `fill` (writes until the database
//! refuses), `count` (the number of parameters is wrong), `trap`, `times N` and one of these.

use std::fmt::Debug;

use postgate_sdk::hook::Command;
use postgate_sdk::sqlite::{self, Value};
use postgate_sdk::{Reply, ServiceError, export, key_value};

struct Storage;

export!(Storage: command);

impl Command for Storage {
    fn on_command(verb: String, argument: String) -> Option<Reply> {
        let text = match verb.as_str() {
            "XKV" => entries(&argument).unwrap_or_else(|error| format!("{error:?}")),
            "XDB" => argument.split(" ;; ").map(database).collect::<Vec<_>>().join("\n"),
            _ => return None,
        };
        Some(Reply::new(250, "2.0.0", &text))
    }
}

fn entries(argument: &str) -> Result<String, ServiceError> {
    let words: Vec<&str> = argument.split(' ').collect();
    Ok(match *words.as_slice() {
        ["get", key] => {
            key_value::get(key)?.map_or_else(|| "none".to_owned(), |value| String::from_utf8_lossy(&value).into_owned())
        }
        ["set", key, value] => said(key_value::set(key, value.as_bytes(), None)),
        ["set", key, value, seconds] => said(key_value::set(key, value.as_bytes(), seconds.parse().ok())),
        ["delete", key] => said(key_value::delete(key)),
        ["add", key, number] => said(key_value::increment(key, number.parse().unwrap_or(0), None)),
        ["replace", key, old, new] => {
            let old = Some(old).filter(|old| *old != "-").map(str::as_bytes);
            said(key_value::replace(key, old, new.as_bytes(), None))
        }
        ["keys", prefix] => key_value::keys(prefix, None)?.join(","),
        ["times", n, ..] => {
            let once = argument.splitn(3, ' ').nth(2).unwrap_or_default();
            for _ in 1..n.parse().unwrap_or(1) {
                entries(once)?;
            }
            entries(once)?
        }
        ["fill"] => {
            let refused = (0..10_000).find_map(|n| {
                let written = key_value::set(&format!("fill-{n}"), &[b'x'; 1000], None);
                written.err().map(|error| format!("{n} {error:?}"))
            });
            refused.unwrap_or_else(|| "never refused".to_owned())
        }
        _ => "what?".to_owned(),
    })
}

fn database(step: &str) -> String {
    let (word, rest) = step.split_once(' ').unwrap_or((step, ""));
    match word {
        "begin" => said(sqlite::begin()),
        "commit" => said(sqlite::commit()),
        "rollback" => said(sqlite::rollback()),
        "do" => match sqlite::execute(rest, &[]) {
            Ok(effect) => format!("{} changed, row {}", effect.changes, effect.last_row),
            Err(error) => format!("{error:?}"),
        },
        "ask" => match sqlite::query(rest, &[]) {
            Ok(table) => table
                .rows
                .iter()
                .map(|row| row.iter().map(show).collect::<Vec<_>>().join("|"))
                .collect::<Vec<_>>()
                .join(" "),
            Err(error) => format!("{error:?}"),
        },
        "script" => said(sqlite::run_script(rest)),
        "times" => {
            let (n, once) = rest.split_once(' ').unwrap_or((rest, ""));
            for _ in 1..n.parse().unwrap_or(1) {
                database(once);
            }
            database(once)
        }
        "values" => values(),
        "fill" => fill(),
        "count" => said(sqlite::query("SELECT ?1 + ?2", &[Value::Integer(1)])),
        "trap" => panic!("as told"),
        _ => "what?".to_owned(),
    }
}

/// All kinds of values there and back, as parameters and in a table.
fn values() -> String {
    let values = [
        Value::Null,
        Value::Integer(i64::MIN),
        Value::Real(-0.1),
        Value::Real(f64::MAX),
        Value::Text("Gr\u{fc}\u{df}e \u{1f4ec}, \"'; DROP TABLE t; --".to_owned()),
        Value::Text(String::new()),
        Value::Blob(vec![0, 255, 10, 13]),
        Value::Blob(Vec::new()),
    ];
    let run = || -> Result<bool, sqlite::SqliteError> {
        sqlite::run_script("CREATE TABLE v (a, b, c, d, e, f, g, h)")?;
        sqlite::execute("INSERT INTO v VALUES (?, ?, ?, ?, ?, ?, ?, ?)", &values)?;
        let table = sqlite::query("SELECT * FROM v WHERE e = ?", &values[4..5])?;
        Ok(table.columns == ["a", "b", "c", "d", "e", "f", "g", "h"] && table.rows == [values.to_vec()])
    };
    said(run())
}

/// Rows of 100 KB until there is no more room.
fn fill() -> String {
    if let Err(error) = sqlite::run_script("CREATE TABLE IF NOT EXISTS fill (octets)") {
        return format!("{error:?}");
    }
    let refused = (0..10_000).find_map(|n| {
        let written = sqlite::execute("INSERT INTO fill VALUES (zeroblob(100000))", &[]);
        written.err().map(|error| format!("{n} {error:?}"))
    });
    refused.unwrap_or_else(|| "never refused".to_owned())
}

fn show(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Integer(integer) => integer.to_string(),
        Value::Real(real) => real.to_string(),
        Value::Text(text) => text.clone(),
        Value::Blob(blob) => format!("{} octets", blob.len()),
    }
}

fn said<T: Debug, E: Debug>(answer: Result<T, E>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(error) => format!("{error:?}"),
    }
}
