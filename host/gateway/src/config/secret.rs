//! Where secrets are kept: `[secret.NAME]`. The configuration knows the place, and never the value.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a secret's value is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretSource {
    /// A variable of the process's environment.
    Env(String),
    /// A file; one line break at its end is none of the value.
    File(PathBuf),
    /// A credential of the service manager: a file in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

/// As it is written: one of the three.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "a table [secret.NAME]")]
pub(super) struct Secret {
    pub(super) env: Option<String>,
    pub(super) file: Option<PathBuf>,
    pub(super) credential: Option<String>,
}
