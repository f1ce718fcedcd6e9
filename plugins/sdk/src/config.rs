//! The plugin's own table of the operator's configuration, `[plugin.NAME.config]`, as a type. Grant: `config`.
//!
//! A plugin can't ask the operator anything, so a configuration that can't be read must neither be guessed at nor stop
//! mail for good: [`Configuration::load`] logs an error that names the key, once for each instance, and gives the reply 451 4.3.0,
//! with which the plugin answers until the operator has mended it.

use std::fmt;
use std::sync::OnceLock;

use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

use crate::hook::SettingProblem;
pub use crate::host::config::{table, value};
use crate::{Reply, log};

/// A plugin's configuration, read when it is first wanted. Made to be a `static`.
#[derive(Debug)]
pub struct Configuration<T>(OnceLock<Result<T, ConfigError>>);

impl<T: DeserializeOwned> Configuration<T> {
    /// Not read yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The configuration; or, where it can't be read, the reply for the client. The log has the reason.
    ///
    /// # Errors
    ///
    /// 451 4.3.0, for a plugin to `defer` with.
    pub fn load(&self) -> Result<&T, Reply> {
        // Natively there are only tests, in many threads, each with a configuration of its own.
        let read: &Result<T, ConfigError> =
            if cfg!(target_arch = "wasm32") { self.0.get_or_init(told) } else { Box::leak(Box::new(told())) };
        read.as_ref().map_err(|_logged| Reply::try_again_later())
    }
}

/// Reads the table; what is wrong with it goes into the log.
fn told<T: DeserializeOwned>() -> Result<T, ConfigError> {
    read().inspect_err(|error: &ConfigError| {
        let fields = [("key", error.key.as_str()), ("problem", error.problem.as_str())];
        log::error("plugin configuration refused", &fields);
    })
}

impl<T: DeserializeOwned> Default for Configuration<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// A setting that can't be used. The operator is at fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Where it stands, as the operator would write it: `domains."example.org".users[2]`. Empty for the table itself.
    pub key: String,
    /// The same as a list of keys and places.
    pub path: Vec<String>,
    /// What is wrong there.
    pub problem: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            formatter.write_str(&self.problem)
        } else {
            write!(formatter, "{}: {}", self.key, self.problem)
        }
    }
}

impl std::error::Error for ConfigError {}

/// What is wrong with the table, for [`crate::hook::Setup`]: nothing if it can be read as a `T`.
#[must_use]
pub fn problems<T: DeserializeOwned>() -> Vec<SettingProblem> {
    read::<T>().err().map(|error| SettingProblem { path: error.path, message: error.problem }).into_iter().collect()
}

/// Asks the host for the table and reads it.
///
/// # Errors
///
/// A setting that is missing, unknown to a type with `deny_unknown_fields`, or of another type.
pub fn read<T: DeserializeOwned>() -> Result<T, ConfigError> {
    parse(&table())
}

/// Reads a table from JSON: what [`read`] does, for the tests of a plugin.
///
/// # Errors
///
/// As [`read`].
pub fn parse<T: DeserializeOwned>(json: &str) -> Result<T, ConfigError> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let (key, path) = (key_of(error.path()), steps(error.path()));
        ConfigError { key, path, problem: without_position(error.into_inner()) }
    })
}

/// The path as a TOML key.
fn key_of(path: &Path) -> String {
    let mut key = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => key.push_str(&format!("[{index}]")),
            Segment::Map { key: name } | Segment::Enum { variant: name } => {
                if !key.is_empty() {
                    key.push('.');
                }
                if is_bare_key(name) {
                    key.push_str(name);
                } else {
                    key.push_str(&format!("{name:?}"));
                }
            }
            Segment::Unknown => {}
        }
    }
    key
}

/// The path as keys and places.
fn steps(path: &Path) -> Vec<String> {
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key: name } | Segment::Enum { variant: name } => Some(name.clone()),
        Segment::Unknown => None,
    };
    path.iter().filter_map(step).collect()
}

/// Whether TOML needs no quotes around it.
fn is_bare_key(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_')
}

/// The operator wrote no JSON, so line and column in it would tell nothing.
fn without_position(error: serde_json::Error) -> String {
    let position = format!(" at line {} column {}", error.line(), error.column());
    let text = error.to_string();
    text.strip_suffix(&position).map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case")]
    struct Sample {
        #[serde(rename = "domains")]
        _domains: BTreeMap<String, Domain>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case")]
    struct Domain {
        #[serde(rename = "users")]
        _users: Vec<String>,
    }

    #[test]
    fn errors_name_the_key() {
        let check = |json: &str, expected: &str| {
            let error = parse::<Sample>(json).map(drop).map_err(|error| error.to_string());
            assert_eq!(error, Err(expected.to_owned()), "{json}");
        };
        check(r#"{}"#, "missing field `domains`");
        check(
            r#"{"domains": {"example.org": {"users": ["alice", 5]}}}"#,
            r#"domains."example.org".users[1]: invalid type: integer `5`, expected a string"#,
        );
        check(r#"{"domains": {"example": {}}}"#, "domains.example: missing field `users`");
        check(r#"{"domains": {}, "domain": {}}"#, "domain: unknown field `domain`, expected `domains`");
    }
}
