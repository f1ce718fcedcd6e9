//! Questions: what the context and the services answer, as text.

use std::fmt::{Debug, Display};

use postgate_sdk::sqlite::{SqliteError, Value};
use postgate_sdk::{Mailbox, Parameter, config, editor, key_value, log, mail_data, parts, session, sqlite, transaction};

pub(crate) fn address(mailbox: &Mailbox) -> String {
    mailbox.to_string()
}

/// At its last `@`.
pub(crate) fn mailbox(address: &str) -> Mailbox {
    let (local_part, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    Mailbox { local_part: local_part.to_owned(), domain: domain.to_owned() }
}

/// ` SIZE=100 BODY`, a space before each.
pub(crate) fn parameters(given: &[Parameter]) -> String {
    let value = |one: &Parameter| one.value.as_ref().map(|value| format!("={value}")).unwrap_or_default();
    given.iter().map(|one| format!(" {}{}", one.keyword, value(one))).collect()
}

/// A case without what it holds, as the contract writes it: of an enum that is an error the bindings know the name, and of all others
/// `NoteError::TooLong` and `TooLong("…")` are `too-long`.
fn case(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    if let Some((_, behind)) = text.split_once("name: \"") {
        return behind.split('"').next().unwrap_or_default().to_owned();
    }
    let name = text.split('(').next().unwrap_or_default();
    let name = name.rsplit(':').next().unwrap_or_default();
    let mut kebab = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.extend(letter.to_lowercase());
    }
    kebab
}

fn or_case<T: Display, E: Debug>(answer: Result<T, E>) -> String {
    answer.map_or_else(|error| case(&error), |value| value.to_string())
}

fn done<E: Debug>(answer: Result<(), E>) -> Vec<String> {
    vec![or_case(answer.map(|()| "ok"))]
}

fn one<T: Display, E: Debug>(answer: Result<T, E>) -> Vec<String> {
    vec![or_case(answer)]
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn number<T: std::str::FromStr + Default>(text: &str) -> T {
    text.parse().unwrap_or_default()
}

/// The first word, and what stands behind it.
fn split(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}

pub(crate) fn ask(question: &str) -> Vec<String> {
    let (word, rest) = split(question);
    let (first, behind) = split(rest);
    let (second, third) = split(behind);
    match word {
        "echo" => vec![rest.to_owned()],
        "nothing" => Vec::new(),
        "lines" => (1..=number::<u32>(rest)).map(|n| format!("line {n}")).collect(),
        "session" => session_lines(),
        "transaction" => transaction_lines(),
        "mail-data" => mail_data_lines(),
        "field" => mail_data::field(rest).map_or_else(
            |error| vec![case(&error)],
            |values| values.iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect(),
        ),
        "read" => one(mail_data::read(number(first), number(second)).map(|octets| hex(&octets))),
        "sum" => one(sum()),
        "parts" => parts::all().map_or_else(|error| vec![case(&error)], |all| all.iter().map(part).collect()),
        "content" => one(parts::content(number(first), number(second), number(third)).map(|octets| hex(&octets))),
        "text" => one(parts::text(number(rest))),
        "addresses" => parts::addresses(rest).map_or_else(
            |error| vec![case(&error)],
            |all| all.iter().map(|one| format!("{} <{}>", or_none(one.name.as_deref()), one.address)).collect(),
        ),
        "note" => vec![or_none(session::note(rest).as_deref())],
        "set" => done(session::set_note(first, behind)),
        "fill" => done(session::set_note(first, &"x".repeat(number(second)))),
        "config" => vec![or_none(config::value(&rest.split(' ').map(str::to_owned).collect::<Vec<_>>()).as_deref())],
        "table" => vec![config::table()],
        "log" => log_line(first, behind),
        "prepend" => done(editor::prepend_field(first, behind.as_bytes())),
        "append" => done(editor::append_field(first, behind.as_bytes())),
        "insert" => done(editor::insert_field(number(first), second, third.as_bytes())),
        "replace" => one(editor::replace_field(first, number(second), third.as_bytes())),
        "remove" => one(editor::remove_fields(rest)),
        "body" => done(editor::replace_body(format!("{rest}\r\n").as_bytes())),
        "replace-part" => one(editor::replace_part(number(first), second, third.as_bytes())),
        "remove-part" => one(editor::remove_part(number(rest))),
        "reverse-path" if rest == "<>" => done(editor::set_reverse_path(None)),
        "reverse-path" => done(editor::set_reverse_path(Some(&mailbox(rest)))),
        "add" => done(editor::add_recipient(&mailbox(rest))),
        "drop" => one(editor::remove_recipient(&mailbox(rest))),
        "put" => done(key_value::set(first, behind.as_bytes(), None)),
        "get" => one(key_value::get(rest).map(|value| value.map_or("none".to_owned(), |octets| hex(&octets)))),
        "increment" => one(key_value::increment(first, number(second), None)),
        "values" => one(values(number(rest))),
        "sql" => one(sqlite::query(rest, &[]).map(|table| table.rows.len())),
        _ => vec!["unknown".to_owned()],
    }
}

fn or_none(text: Option<&str>) -> String {
    text.unwrap_or("none").to_owned()
}

fn session_lines() -> Vec<String> {
    let local = session::local();
    let hello = session::hello().map(|hello| format!("{} {}", case(&hello.greeting), hello.name));
    let identity = session::identity().map(|identity| format!("{} {}", identity.name, identity.mechanism));
    vec![
        format!("id={}", !session::id().is_empty()),
        format!("listener={}", session::listener()),
        format!("remote={}", session::remote().address),
        format!("local={}:{}", local.address, local.port),
        format!("hello={}", or_none(hello.as_deref())),
        format!("tls={}", or_none(session::tls().map(|tls| tls.version).as_deref())),
        format!("identity={}", or_none(identity.as_deref())),
        format!("early-talker={}", session::early_talker()),
        format!("illegal-pipelining={}", session::illegal_pipelining()),
    ]
}

fn transaction_lines() -> Vec<String> {
    let path = |path: Option<Mailbox>| path.as_ref().map_or("<>".to_owned(), address);
    let recipients = transaction::recipients().map(|all| {
        let one = |one: &transaction::AcceptedRecipient| address(&one.mailbox) + &parameters(&one.parameters);
        all.iter().map(one).collect::<Vec<_>>().join(", ")
    });
    let verdicts = transaction::verdicts().map(|all| {
        let one = |one: &transaction::EarlierVerdict| {
            let recipient = one.recipient.as_ref().map(address);
            format!("{} {} {} {}", case(&one.hook), case(&one.kind), or_none(recipient.as_deref()), one.plugin)
        };
        all.iter().map(one).collect::<Vec<_>>().join(", ")
    });
    let size = transaction::declared_size().map(|size| size.map_or("none".to_owned(), |size| size.to_string()));
    vec![
        format!("id={}", or_case(transaction::id().map(|id| !id.is_empty()))),
        format!("reverse-path={}", or_case(transaction::reverse_path().map(path))),
        format!("parameters={}", or_case(transaction::parameters().map(|given| parameters(&given)))),
        format!("recipients={}", or_case(recipients)),
        format!("declared-size={}", or_case(size)),
        format!("verdicts={}", or_case(verdicts)),
    ]
}

fn mail_data_lines() -> Vec<String> {
    let names = |fields: Vec<mail_data::HeaderField>| {
        fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(",")
    };
    vec![
        format!("size={}", or_case(mail_data::size())),
        format!("body-offset={}", or_case(mail_data::body_offset())),
        format!("header={}", or_case(mail_data::header().map(names))),
    ]
}

/// How many octets there are, and the sum of every 64th.
fn sum() -> Result<String, transaction::ContextError> {
    let (mut offset, mut sum) = (0_u64, 0_u64);
    loop {
        let window = mail_data::read(offset, WINDOW)?;
        if window.is_empty() {
            return Ok(format!("{offset} {sum}"));
        }
        sum += window.iter().step_by(64).map(|octet| u64::from(*octet)).sum::<u64>();
        offset += window.len() as u64;
    }
}

fn part(part: &parts::Part) -> String {
    format!(
        "{} {} {} {} {} {} {} {}",
        part.number,
        or_none(part.parent.map(|parent| parent.to_string()).as_deref()),
        part.media_type,
        or_none(part.charset.as_deref()),
        or_none(part.file_name.as_deref()),
        part.attachment,
        or_none(part.content_id.as_deref()),
        part.size,
    )
}

fn log_line(level: &str, message: &str) -> Vec<String> {
    match level {
        "debug" => log::debug(message, &[]),
        "info" => log::info(message, &[]),
        "warn" => log::warn(message, &[]),
        _ => log::error(message, &[]),
    }
    vec!["ok".to_owned()]
}

/// Values of each kind, there and back.
fn values(integer: i64) -> Result<String, SqliteError> {
    let parameters = [
        Value::Null,
        Value::Integer(integer),
        Value::Real(0.5),
        Value::Text("Grüße, 世界".to_owned()),
        Value::Blob(vec![0, 255]),
    ];
    let table = sqlite::query("SELECT ?1, ?2, ?3, ?4, ?5", &parameters)?;
    let text = |value: &Value| match value {
        Value::Null => "null".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::Blob(octets) => hex(octets),
    };
    let rows = table.rows.iter().map(|row| row.iter().map(text).collect::<Vec<_>>().join(" "));
    Ok(format!("{} {}", table.columns.len(), rows.collect::<Vec<_>>().join(" / ")))
}

const WINDOW: u32 = 65_536;
