//! Grants that are more than a word: what may stand in them, and what can be wrong with it.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A directory that a plugin may read, with everything below it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table { path = \"…\", as = \"/…\" }")]
pub struct Directory {
    /// Where it is; relative to the configuration file.
    pub path: PathBuf,
    /// Where the plugin sees it.
    #[serde(rename = "as")]
    pub guest_path: String,
}

/// What is wrong with addresses to connect to, and which of them.
pub(in crate::config) fn socket_problem(addresses: &[SocketAddr]) -> Option<(usize, &'static str)> {
    let is_no_peer = |address: &SocketAddr| address.port() == 0 || address.ip().is_unspecified();
    let at = addresses.iter().position(is_no_peer)?;
    Some((at, "nobody can be connected to there: an address and a port are wanted"))
}

/// What is wrong with directories, and which of them.
pub(in crate::config) fn directory_problem(directories: &[Directory]) -> Option<(usize, &'static str)> {
    for (at, Directory { guest_path, .. }) in directories.iter().enumerate() {
        let is_plain = guest_path.strip_prefix('/').is_some_and(|names| {
            names.split('/').all(|name| !matches!(name, "" | "." | "..") && !name.contains(['\0', '\\']))
        });
        if !is_plain {
            return Some((at, "`as` is an absolute path such as \"/lists\""));
        }
        if directories.iter().take(at).any(|earlier| earlier.guest_path == *guest_path) {
            return Some((at, "another directory is seen there already"));
        }
    }
    None
}
