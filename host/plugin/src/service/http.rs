//! Outgoing HTTP: one machinery for `postgate:mail/fetch` and `wasi:http/outgoing-handler` (HTTP/1.1, RFC 9110 and RFC 9112; TLS 1.2 and 1.3).
//!
//! Each request is held against the grant by its own URL: scheme, host, port, method, header fields, sizes. Redirects are followed by nobody.
//! The name is then looked up once, what it leads to is held against [`network`], and the very addresses that pass are dialled: there is no
//! second look-up that could answer otherwise. Every plugin has connections of its own, in use or idle, and so many of them.
//!
//! No task is spawned: a connection is driven by whoever waits for its response, and dropped with it when the call is cancelled.

mod body;
mod connection;
mod exchange;
mod names;
mod network;
mod origin;
#[cfg(test)]
mod table;
pub(crate) mod wasi;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use rustls::pki_types::CertificateDer;
use tokio::sync::Semaphore;

use self::connection::Idle;
pub(crate) use self::exchange::{Exchange, Failed};
pub(crate) use self::names::Names;
pub use self::network::Network;
pub use self::origin::Allowed;
use super::secrets::Secret;
use crate::stubs::Stubs;
pub(crate) use body::{Body, of_message, of_octets};

/// What the operator has granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Whom the plugin may speak to.
    pub allow: Vec<Allowed>,
    /// Addresses that may be dialled although they are not global.
    pub private: Vec<Network>,
    /// Methods, in upper case.
    pub methods: Vec<String>,
    /// Octets of a request's body.
    pub request_bytes: u64,
    /// Octets of a response's body.
    pub response_bytes: usize,
    /// For a whole exchange.
    pub timeout: Duration,
    /// Requests at the same time.
    pub concurrent: usize,
    /// Fields that the host adds, and the guest neither sees nor replaces.
    pub headers: Vec<SecretHeader>,
    /// Authorities that are believed besides those of the system.
    pub authorities: Vec<CertificateDer<'static>>,
}

/// A field with a secret, for requests to one entry of `allow`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretHeader {
    /// The entry.
    pub to: Allowed,
    /// The field's name.
    pub name: String,
    /// What stands before the secret: `Bearer `.
    pub prefix: String,
    /// What stands behind it.
    pub secret: Secret,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A field that no request could have.
    #[error("the field \"{0}\" of `headers` has a name or value that HTTP does not allow")]
    Header(String),
    /// An authority's certificate that can't be used.
    #[error("a certificate of `ca` can't be used")]
    Authority(#[source] rustls::Error),
}

/// One plugin's client.
pub(crate) struct Client {
    grant: Grant,
    headers: Vec<Added>,
    tls: Option<tokio_rustls::TlsConnector>,
    /// Requests that may still begin.
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    names: Arc<Names>,
    /// Look-ups by the gateway's resolver.
    lookups: Semaphore,
    /// Who answers in a rehearsal.
    stubs: Option<Arc<Stubs>>,
}

/// A field that is added to requests.
struct Added {
    to: Allowed,
    name: HeaderName,
    value: HeaderValue,
}

impl Client {
    pub(crate) fn new(grant: &Grant, names: Arc<Names>) -> Result<Self, ClientError> {
        let headers = grant.headers.iter().map(added).collect::<Result<_, _>>()?;
        let is_tls = grant.allow.iter().any(Allowed::is_tls);
        Ok(Self {
            tls: is_tls.then(|| connection::tls(&grant.authorities)).transpose().map_err(ClientError::Authority)?,
            headers,
            places: Arc::new(Semaphore::new(grant.concurrent.min(Semaphore::MAX_PERMITS))),
            idle: Mutex::default(),
            lookups: Semaphore::new(names.lookups_per_plugin()),
            names,
            grant: grant.clone(),
            stubs: None,
        })
    }

    /// A client that connects to nobody: a rehearsal answers.
    pub(crate) fn rehearse(self, stubs: Option<Arc<Stubs>>) -> Self {
        Self { stubs, ..self }
    }

    pub(crate) fn grant(&self) -> &Grant {
        &self.grant
    }
}

fn added(header: &SecretHeader) -> Result<Added, ClientError> {
    let wrong = || ClientError::Header(header.name.escape_debug().to_string());
    let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| wrong())?;
    if is_ours(&name) {
        return Err(wrong());
    }
    let mut value =
        HeaderValue::from_str(&format!("{}{}", header.prefix, header.secret.expose())).map_err(|_| wrong())?;
    value.set_sensitive(true);
    Ok(Added { to: header.to.clone(), name, value })
}

/// Fields that say how octets travel (RFC 9110 section 7.6.1) or where to: the host's business.
pub(crate) fn is_ours(name: &HeaderName) -> bool {
    OURS.contains(&name.as_str()) || name.as_str().starts_with("proxy-")
}

const OURS: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
