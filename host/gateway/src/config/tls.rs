//! The settings of TLS, as they are written and as they hold.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A listener's TLS; there is always a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tls {
    /// When it begins.
    pub start: TlsStart,
    /// Whether there is no mail without it.
    pub required: bool,
    /// One or more; the first is for clients that name no server, or one that nobody knows.
    pub certificates: Vec<Certificate>,
    /// Whether clients are asked for a certificate.
    pub client_certificates: Option<ClientCertificates>,
}

/// When TLS begins on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsStart {
    /// With its first octet (RFC 8314 section 3).
    Implicit,
    /// At the client's STARTTLS (RFC 3207).
    Starttls,
}

/// A certificate of ours with its key, both in PEM.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a table such as { chain = \"mx.pem\", key = \"mx.key\" }"
)]
pub struct Certificate {
    /// The file of our certificate, and then of those between it and the authority's.
    pub chain: PathBuf,
    /// The file of its private key.
    pub key: PathBuf,
}

/// Whose client certificates are accepted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a table such as { ca = \"ca.pem\", mode = \"optional\" }"
)]
pub struct ClientCertificates {
    /// The file of the authorities' certificates, in PEM.
    pub ca: PathBuf,
    /// Whether a client must have one.
    #[serde(default)]
    pub mode: ClientCertificateMode,
}

/// Whether a client must have a certificate. One that it shows must be good in both cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientCertificateMode {
    /// It may.
    #[default]
    Optional,
    /// Without one the handshake fails.
    Required,
}

/// What the file says of when TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum TlsMode {
    Implicit,
    Starttls,
    None,
}
