//! Users and their messages in an SQLite database: who is in `users` has a mailbox, and a message is stored with all its recipients in
//! one transaction, or not at all.
//!
//! The tables are in `schema.sql`. They are made when they are missing, so that the first user can be added by hand before the gateway
//! has ever run, or after.

use postgate_sdk::config::{self, Configuration};
use postgate_sdk::hook::{Deliver, Outcome, Recipient, SettingProblem, Setup};
use postgate_sdk::sqlite::{self, SqliteError, values};
use postgate_sdk::{Mailbox, Parameter, Reply, ServiceError, Verdict, export, log, mail_data, transaction};
use serde::Deserialize;

struct SqliteStore;

export!(SqliteStore: setup, recipient, deliver);

/// The configuration, as the README documents it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Settings {
    /// Domains that are ours: who is unknown there is refused.
    domains: Vec<String>,
}

static SETTINGS: Configuration<Settings> = Configuration::new();

impl Setup for SqliteStore {
    fn on_setup() -> Vec<SettingProblem> {
        config::problems::<Settings>()
    }
}

impl Recipient for SqliteStore {
    fn on_recipient(recipient: Mailbox, _parameters: Vec<Parameter>) -> Verdict {
        let settings = match SETTINGS.load() {
            Ok(settings) => settings,
            Err(reply) => return Verdict::Defer(reply),
        };
        match tables().and_then(|()| user(&recipient)) {
            Ok(Some(_)) => Verdict::Accept,
            Ok(None) if settings.domains.iter().any(|domain| domain.eq_ignore_ascii_case(&recipient.domain)) => {
                Verdict::Reject(Reply::new(550, "5.1.1", "No such user here"))
            }
            Ok(None) => Verdict::Next,
            Err(error) => Verdict::Defer(trouble("users can't be looked up", &error)),
        }
    }
}

impl Deliver for SqliteStore {
    fn on_deliver(recipients: Vec<Mailbox>) -> Vec<Outcome> {
        match store(&recipients) {
            Ok(outcomes) => outcomes,
            Err(error) => {
                let reply = trouble("a message can't be stored", &error);
                // The host rolls back what was begun.
                vec![Outcome::Deferred(reply); recipients.len()]
            }
        }
    }
}

/// Makes the tables where they are missing.
fn tables() -> Result<(), SqliteError> {
    match sqlite::query("PRAGMA user_version", &[])?.first::<i64>()? {
        Some(0) => sqlite::run_script(include_str!("../schema.sql")),
        Some(_) | None => Ok(()),
    }
}

/// The number of a user.
fn user(recipient: &Mailbox) -> Result<Option<i64>, SqliteError> {
    sqlite::query("SELECT id FROM users WHERE address = ?", &values![recipient.to_string()])?.first()
}

/// Stores the message for those recipients that are users; the others are the next plugin's.
fn store(recipients: &[Mailbox]) -> Result<Vec<Outcome>, SqliteError> {
    tables()?;
    let id = transaction::id().map_err(|_| not_now())?;
    sqlite::begin()?;
    let users = recipients.iter().map(user).collect::<Result<Vec<_>, _>>()?;
    if users.iter().all(Option::is_none) {
        sqlite::rollback()?;
        return Ok(vec![Outcome::Next; recipients.len()]);
    }
    message(&id)?;
    for (recipient, user) in recipients.iter().zip(&users) {
        let Some(user) = user else { continue };
        sqlite::execute(
            "INSERT OR IGNORE INTO recipients (message, user, address) VALUES (?, ?, ?)",
            &values![&id, *user, recipient.to_string()],
        )?;
    }
    sqlite::commit()?;
    Ok(users.into_iter().map(|user| if user.is_some() { Outcome::Delivered } else { Outcome::Next }).collect())
}

/// The message itself, unless an earlier portion of its recipients has stored it.
fn message(id: &str) -> Result<(), SqliteError> {
    let reverse_path = transaction::reverse_path().map_err(|_| not_now())?;
    let size = mail_data::size().map_err(|_| not_now())?;
    let subject = mail_data::field("Subject").map_err(|_| not_now())?;
    let subject = subject.first().map(|value| String::from_utf8_lossy(value).trim().to_owned());
    let reverse_path = reverse_path.map_or_else(String::new, |mailbox| mailbox.to_string());
    let stored = sqlite::execute(
        "INSERT OR IGNORE INTO messages (id, reverse_path, subject, size) VALUES (?, ?, ?, ?)",
        &values![id, reverse_path, subject, i64::try_from(size).unwrap_or(i64::MAX)],
    )?;
    if stored.changes == 0 {
        return Ok(());
    }
    let (mut offset, mut n) = (0_u64, 0_i64);
    while offset < size {
        let piece = mail_data::read(offset, PIECE_BYTES).map_err(|_| not_now())?;
        let Ok(octets @ 1..) = u64::try_from(piece.len()) else { return Err(not_now()) };
        sqlite::execute("INSERT INTO pieces (message, n, octets) VALUES (?, ?, ?)", &values![id, n, piece])?;
        offset += octets;
        n += 1;
    }
    Ok(())
}

fn not_now() -> SqliteError {
    SqliteError::Service(ServiceError::NotNow)
}

/// Logs what is wrong with the database, and makes a reply of it: always a temporary one.
fn trouble(what: &str, error: &SqliteError) -> Reply {
    log::error(what, &[("problem", &format!("{error:?}"))]);
    match error {
        SqliteError::Full => Reply::new(452, "4.3.1", "Insufficient system storage"),
        SqliteError::Service(_) | SqliteError::Constraint(_) | SqliteError::Statement(_) => Reply::try_again_later(),
    }
}

/// Octets of the message in one row.
const PIECE_BYTES: u32 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings() {
        assert!(config::parse::<Settings>("{}").unwrap().domains.is_empty());
        assert_eq!(config::parse::<Settings>(r#"{"domain": []}"#).unwrap_err().key, "domain");
        assert_eq!(config::parse::<Settings>(r#"{"domains": "example.org"}"#).unwrap_err().key, "domains");
    }
}
