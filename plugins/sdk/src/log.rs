//! Into the gateway's log. Grant: `log`.
//!
//! The message is one short phrase, always the same for the same thing; the facts are fields. The host adds the plugin, the
//! session and the transaction.

use crate::host::log;
pub use crate::host::log::Level;

/// What an author wants to know while writing the plugin.
pub fn debug(message: &str, fields: &[(&str, &str)]) {
    write(Level::Debug, message, fields);
}

/// What has been done.
pub fn info(message: &str, fields: &[(&str, &str)]) {
    write(Level::Info, message, fields);
}

/// Less than everything works.
pub fn warn(message: &str, fields: &[(&str, &str)]) {
    write(Level::Warn, message, fields);
}

/// The operator must act.
pub fn error(message: &str, fields: &[(&str, &str)]) {
    write(Level::Error, message, fields);
}

/// One line of the log.
pub fn write(level: Level, message: &str, fields: &[(&str, &str)]) {
    let fields: Vec<(String, String)> =
        fields.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    log::write(level, message, &fields);
}
