//! The grants `secrets` and `http` and their settings.

use std::path::PathBuf;

use postgate_plugin::http::{Allowed, Network};
use serde::{Deserialize, Serialize};

use crate::config::units::{Count, Period, Size};

/// `{ secrets = { read = ["a"], sign = ["b"] } }`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    default,
    expecting = "a table such as { read = [\"api-key\"], sign = [\"webhook\"] }"
)]
pub struct SecretsGrant {
    /// Secrets whose value the plugin may read.
    pub read: Vec<String>,
    /// Secrets that it may sign with.
    pub sign: Vec<String>,
}

/// `{ http = { allow = ["https://api.example.org"] } }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a table such as { allow = [\"https://api.example.org\"] }"
)]
pub struct HttpGrant {
    /// Whom the plugin may speak to.
    pub allow: Vec<Allowed>,
    /// Addresses that may be dialled although they are private, this machine's, or reserved.
    #[serde(default)]
    pub private: Vec<Network>,
    /// Methods.
    #[serde(default = "methods")]
    pub methods: Vec<String>,
    /// A request's body.
    #[serde(default = "request_octets")]
    pub request_octets: Size,
    /// A response's body.
    #[serde(default = "response_octets")]
    pub response_octets: Size,
    /// For a whole exchange.
    #[serde(default = "timeout")]
    pub timeout: Period,
    /// Requests at the same time.
    #[serde(default = "concurrent")]
    pub concurrent: Count,
    /// Fields with a secret, which the host adds.
    #[serde(default)]
    pub headers: Vec<HttpHeader>,
    /// Authorities that are believed besides the system's, in PEM.
    pub ca: Option<PathBuf>,
}

/// A header field that the host adds to requests to one entry of `allow`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a table such as { to = \"https://api.example.org\", name = \"authorization\", secret = \"api-key\" }"
)]
pub struct HttpHeader {
    /// The entry of `allow`.
    pub to: Allowed,
    /// The field's name.
    pub name: String,
    /// The secret's name.
    pub secret: String,
    /// What stands before the secret.
    #[serde(default)]
    pub prefix: String,
}

fn methods() -> Vec<String> {
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].map(str::to_owned).to_vec()
}

fn request_octets() -> Size {
    Size::mib(64)
}

fn response_octets() -> Size {
    Size::mib(1)
}

fn timeout() -> Period {
    Period::seconds(10)
}

fn concurrent() -> Count {
    Count::at_least_one(16)
}
