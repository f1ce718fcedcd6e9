//! Into the gateway's log. Grant: `log`.
//!
//! The message is one short phrase, always the same for the same thing; the facts are fields. The host adds the plugin, the
//! session and the transaction.

use crate::host::log;
pub use crate::host::log::Level;

/// A line of the log, with fields of anything that can be displayed.
///
/// ```
/// use postgate_sdk::log;
/// # use postgate_sdk::testing::Scene;
///
/// # let scene = Scene::new();
/// # scene.play(|| {
/// let (client, seconds) = ("192.0.2.7", 30);
/// log!(info, "greylisted", client = client, seconds = seconds);
/// # });
/// # assert_eq!(scene.logged(), ["info greylisted client=192.0.2.7 seconds=30"]);
/// ```
///
/// The levels are `debug`, `info`, `warn` and `error`.
#[macro_export]
macro_rules! log {
    ($level:ident, $message:expr $(, $name:ident = $value:expr)* $(,)?) => {
        $crate::log::$level($message, &[$((::std::stringify!($name), &*::std::string::ToString::to_string(&$value))),*])
    };
}

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
