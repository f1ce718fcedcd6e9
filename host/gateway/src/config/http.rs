//! `[http.NAME]`: where HTTP requests come in, and who answers them.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::file::Addresses;
use super::tls::{Certificate, ClientCertificates, Tls, TlsMode};
use super::units::{Count, Period, Size};

/// Where HTTP requests come in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct HttpListener {
    /// One or more addresses; port 0 is any free one.
    pub bind: Vec<SocketAddr>,
    /// TLS from the first octet on; none is a listener in clear.
    pub tls: Option<Tls>,
    /// Who answers what. The longest path that is a request's begin has it, one with a host before one without.
    pub mounts: Vec<Mount>,
    /// What a client may do.
    pub limits: HttpLimits,
}

/// Who answers requests below a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Mount {
    /// It begins with `/`.
    pub path: String,
    /// For requests to this host only, in lower case.
    pub host: Option<String>,
    /// Who answers.
    pub target: MountTarget,
}

/// Who answers requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MountTarget {
    /// A plugin that exports `wasi:http/incoming-handler`.
    Plugin(String),
    /// The gateway, with its metrics.
    Metrics,
}

/// What a client of HTTP may do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "a table of limits")]
pub struct HttpLimits {
    /// Connections at the same time; those beyond are closed.
    pub connections: Count,
    /// A request's line and header section.
    pub header_octets: Size,
    /// A request's body.
    pub body_octets: Size,
    /// A plugin's response.
    pub response_octets: Size,
    /// How long a client may take for a TLS handshake, and for the head of a request.
    pub patience: Period,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections: Count::at_least_one(1000),
            header_octets: Size::kib(16),
            body_octets: Size::mib(10),
            response_octets: Size::mib(10),
            patience: Period::seconds(30),
        }
    }
}

/// As it is written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table [http.NAME]")]
pub(super) struct HttpListenerTable {
    pub(super) bind: Addresses,
    pub(super) tls: Option<TlsMode>,
    pub(super) certificates: Option<Vec<Certificate>>,
    pub(super) client_certificates: Option<ClientCertificates>,
    pub(super) mounts: Vec<MountTable>,
    #[serde(default)]
    pub(super) limits: HttpLimits,
}

/// As it is written.
#[derive(Debug, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a table such as { path = \"/\", plugin = \"sink\" } or { path = \"/metrics\", metrics = true }"
)]
pub(super) struct MountTable {
    pub(super) path: String,
    pub(super) host: Option<String>,
    pub(super) plugin: Option<String>,
    #[serde(default)]
    pub(super) metrics: bool,
}
