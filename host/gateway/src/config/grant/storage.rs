//! The grants `key-value` and `sqlite`: which file, and how large it may be.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::units::{Count, Size};

/// `key-value` as it is written: a word alone, or `{ key-value = { store = "shared", size = "64 MiB" } }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "a table of a store's settings")]
pub(in crate::config) struct KeyValueSettings {
    pub(in crate::config) store: Option<String>,
    size: Size,
    entries: Count,
}

/// `sqlite` as it is written: a word alone, or `{ sqlite = { size = "1 GiB" } }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "a table of a database's settings")]
pub(in crate::config) struct SqliteSettings {
    size: Size,
    connections: Count,
}

/// A store of octets by key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct KeyValue {
    /// Its name; plugins with the same name have the same store.
    pub store: String,
    /// The file.
    pub path: PathBuf,
    /// Octets of all keys and values together.
    pub size: Size,
    /// Entries.
    pub entries: Count,
}

/// An SQLite database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sqlite {
    /// The file.
    pub path: PathBuf,
    /// What it may grow to.
    pub size: Size,
    /// Connections at the same time.
    pub connections: Count,
}

impl Default for KeyValueSettings {
    fn default() -> Self {
        Self { store: None, size: Size::mib(64), entries: Count::at_least_one(1_000_000) }
    }
}

impl Default for SqliteSettings {
    fn default() -> Self {
        Self { size: Size::mib(1024), connections: Count::at_least_one(4) }
    }
}

impl KeyValueSettings {
    /// The store of this plugin, or of that name.
    pub(in crate::config) fn resolve(self, plugin: &str, data_dir: &Path) -> KeyValue {
        let store = self.store.unwrap_or_else(|| plugin.to_owned());
        let path = data_dir.join("stores").join(format!("{store}.db"));
        KeyValue { store, path, size: self.size, entries: self.entries }
    }
}

impl SqliteSettings {
    /// The database of this plugin.
    pub(in crate::config) fn resolve(self, plugin: &str, data_dir: &Path) -> Sqlite {
        let path = data_dir.join("databases").join(format!("{plugin}.db"));
        Sqlite { path, size: self.size, connections: self.connections }
    }
}

impl KeyValue {
    /// Why two plugins can't have the same store so.
    pub(in crate::config) fn differs(&self, other: &Self) -> bool {
        self.path == other.path && (self.size, self.entries) != (other.size, other.entries)
    }
}
