//! Host services: what a plugin can do beyond answering. One interface, one file, one row of the table below.
//!
//! A service that was not granted is not there: a component that imports it is refused when it is loaded. Every call is counted
//! (`service/usage.rs`), and a plugin has so many of them in one call of a hook.

/// A call of a service begins; one that is over the plugin's bound of calls answers so.
macro_rules! metered {
    ($state:expr, $service:expr, $error:expr) => {
        match $state.metered($service) {
            Ok(metered) => metered,
            Err(error) => return Ok(Err($error(error))),
        }
    };
}

pub(crate) mod canonical;
mod config;
pub(crate) mod dns;
pub(crate) mod fetch;
pub mod http;
pub mod key_value;
mod log;
pub(crate) mod mail_authentication;
pub mod maildir;
pub(crate) mod metrics;
pub(crate) mod passwords;
pub mod secrets;
pub mod signing;
pub mod sqlite;
pub(crate) mod storage;
pub(crate) mod submit;
pub(crate) mod usage;

use std::net::SocketAddr;
use std::path::PathBuf;

/// What the operator has granted to one plugin. By default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// `log`: lines in the gateway's log.
    pub log: bool,
    /// `config`: the plugin's own table of the configuration.
    pub config: bool,
    /// `passwords`: native verification of password hashes.
    pub passwords: bool,
    /// `maildir`: delivery into Maildirs below this directory.
    pub maildir: Option<PathBuf>,
    /// `metrics`: figures of its own.
    pub metrics: bool,
    /// `secrets`: those that it may read, and those that it may sign with.
    pub secrets: Option<secrets::Grant>,
    /// `key-value`: a store.
    pub key_value: Option<key_value::Grant>,
    /// `sqlite`: a database.
    pub sqlite: Option<sqlite::Grant>,
    /// `http`: requests to listed hosts.
    pub http: Option<http::Grant>,
    /// `dns`: look-ups.
    pub dns: bool,
    /// `submit`: messages to listed relays.
    pub submit: Option<submit::Grant>,
    /// `mail-authentication`: results of SPF, DKIM, DMARC and ARC.
    pub mail_authentication: bool,
    /// `signing`: DKIM and ARC with listed keys.
    pub signing: Option<signing::Grant>,
    /// `sockets`: TCP connections to these very addresses, through `wasi:sockets`.
    pub sockets: Vec<SocketAddr>,
    /// `files`: directories to read, through `wasi:filesystem`.
    pub files: Vec<Directory>,
}

/// A directory that a plugin may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Where it is.
    pub path: PathBuf,
    /// Where the plugin sees it.
    pub guest_path: String,
}

macro_rules! services {
    ($($(#[$doc:meta])* $variant:ident $name:literal $interface:literal $summary:literal $example:literal, $granted:expr;)*) => {
        /// A host service.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum ServiceId {
            $($(#[$doc])* $variant,)*
        }

        /// All services.
        pub const SERVICES: &[Service] = &[$(Service {
            id: ServiceId::$variant,
            name: $name,
            interface: $interface,
            summary: $summary,
            example: $example,
            granted: $granted,
        },)*];
    };
}

/// One row of the table of services.
#[derive(Debug)]
pub struct Service {
    /// Which it is.
    pub id: ServiceId,
    /// The name of the grant, in the configuration.
    pub name: &'static str,
    /// The interface, without its version.
    pub interface: &'static str,
    /// What it allows, in a few words.
    pub summary: &'static str,
    /// The grant as it would be written in the configuration.
    pub example: &'static str,
    granted: fn(&Grants) -> bool,
}

impl Service {
    /// Whether it is among the grants.
    pub fn is_granted(&self, grants: &Grants) -> bool {
        (self.granted)(grants)
    }
}

services! {
    /// Lines in the log.
    Log "log" "postgate:mail/log" "write lines into the gateway's log" "\"log\"", |grants| grants.log;
    /// The plugin's own table.
    Config "config" "postgate:mail/config" "read the plugin's own table of the configuration" "\"config\"", |grants| grants.config;
    /// Password hashes.
    Passwords "passwords" "postgate:mail/passwords" "have password hashes verified natively" "\"passwords\"", |grants| grants.passwords;
    /// Delivery into Maildirs.
    Maildir "maildir" "postgate:mail/maildir" "deliver into Maildirs below one directory" "{ maildir = \"mail\" }", |grants| grants.maildir.is_some();
    /// Figures.
    Metrics "metrics" "postgate:mail/metrics" "keep figures of its own among the gateway's metrics" "\"metrics\"", |grants| grants.metrics;
    /// Secrets.
    Secrets "secrets" "postgate:mail/secrets" "read or sign with listed secrets" "{ secrets = { read = [\"api-key\"] } }", |grants| grants.secrets.is_some();
    /// A store of its own.
    KeyValue "key-value" "postgate:mail/key-value" "keep octets by key" "\"key-value\"", |grants| grants.key_value.is_some();
    /// A database of its own.
    Sqlite "sqlite" "postgate:mail/sqlite" "have an SQLite database of its own" "\"sqlite\"", |grants| grants.sqlite.is_some();
    /// Outgoing HTTP.
    Http "http" "postgate:mail/fetch" "send HTTP requests to listed hosts" "{ http = { allow = [\"https://api.example.org\"] } }", |grants| grants.http.is_some();
    /// Name look-ups.
    Dns "dns" "postgate:mail/dns" "look names up" "\"dns\"", |grants| grants.dns;
    /// Relays.
    Submit "submit" "postgate:mail/submit" "hand messages over to listed relays" "{ submit = [\"upstream\"] }", |grants| grants.submit.is_some();
    /// SPF, DKIM, DMARC, ARC.
    MailAuthentication "mail-authentication" "postgate:mail/mail-authentication" "learn what SPF, DKIM, DMARC and ARC say" "\"mail-authentication\"", |grants| grants.mail_authentication;
    /// Signatures.
    Signing "signing" "postgate:mail/signing" "sign with listed keys" "{ signing = [\"example-org\"] }", |grants| grants.signing.is_some();
}
