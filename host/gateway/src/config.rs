//! The configuration of the gateway: one TOML file, with `--set` from the command line on top.
//!
//! The way of a setting: `tree` holds what was written and where, `overrides` puts the `--set`s in, `reader` and `file` make
//! typed values of it, `resolve` works out what one setting takes from another. All errors that can be found are told at
//! once, each with its line (`problem`). What comes out cannot be wrong in itself: whether the components can be loaded and
//! the addresses bound is for others to find out, who put their findings at the right line with [`Config::problem`].
//!
//! A file is at most 1 MiB of UTF-8, in the form of TOML 1.1.

mod dns;
mod doubts;
mod file;
mod grant;
mod http;
mod load;
mod name;
mod network;
mod origin;
mod overrides;
mod problem;
mod reader;
mod relay;
mod resolve;
mod secret;
mod settings;
mod tls;
mod tree;
mod units;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use postgate_plugin::{Hash, Keep, OnFailure};
use serde::Serialize;

pub use dns::{DkimAlgorithm, DkimKey, Dns, KeySecret, KeySource, NameServer};
pub use grant::{
    http::{HttpGrant, HttpHeader, SecretsGrant},
    storage::{KeyValue, Sqlite},
    wasi::Directory,
};
pub use http::{HttpLimits, HttpListener, Mount, MountTarget};
pub use load::Machine;
pub use name::Hostname;
pub(crate) use name::nearest;
pub use network::Network;
pub use problem::{Problem, Problems};
pub use relay::{Relay, RelayAuth, RelayPassword, RelayTls};
pub use secret::SecretSource;
pub use settings::{Extension, ListenerLimits, LogFormat, LogLevel, Mechanism, MixedOutcomes, PluginLimits, Protocol};
pub use tls::{Certificate, ClientCertificateMode, ClientCertificates, Tls, TlsStart};
pub use units::{Count, Period, Size};

use origin::Origins;
use tree::Step;

/// A file that documents every setting with its unit and default.
pub const REFERENCE: &str = include_str!("config/reference.toml");

/// The whole configuration. All paths in it are absolute or relative to the working directory, all defaults are filled in,
/// and every name that one part uses for another is known.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our name; each listener has a copy or a name of its own.
    pub hostname: Hostname,
    /// Where the gateway keeps what must last.
    pub data_dir: PathBuf,
    /// Where the components of plugins were looked up.
    pub plugin_dir: PathBuf,
    /// Where compiled components are kept; nothing is lost with it.
    pub cache_dir: PathBuf,
    /// How many passwords are verified at the same time.
    pub password_workers: Count,
    /// How long open transactions may go on after the gateway was told to stop.
    pub shutdown_grace: Period,
    /// What is logged, and how.
    pub log: Log,
    /// What all plugins share.
    pub engine: Engine,
    /// How often files of certificates are looked at, whether they have changed.
    pub certificate_check: Period,
    /// Where names are looked up.
    pub dns: Dns,
    /// Keys that sign, by name.
    pub dkim_keys: BTreeMap<String, DkimKey>,
    /// By name; one or more.
    pub listeners: BTreeMap<String, Listener>,
    /// By name.
    pub chains: BTreeMap<String, Chain>,
    /// By name.
    pub plugins: BTreeMap<String, Plugin>,
    /// By name.
    pub relays: BTreeMap<String, Relay>,
    /// Where HTTP requests come in, by name.
    pub http: BTreeMap<String, HttpListener>,
    /// By name.
    pub secrets: BTreeMap<String, SecretSource>,
    origins: Origins,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Log {
    /// Events of this level and above.
    pub level: LogLevel,
    /// For people or for programs.
    pub format: LogFormat,
}

/// What all plugins share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Engine {
    /// Instances of all plugins at the same time.
    pub instances: Count,
    /// The largest memory that a plugin can have.
    pub memory_max: Size,
    /// Threads that serve sessions and run plugins.
    pub workers: Count,
}

/// Where sessions come in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Listener {
    /// One or more addresses; port 0 is any free one.
    pub bind: Vec<SocketAddr>,
    /// The chain that decides.
    pub chain: String,
    /// Our name in the banner, in replies to EHLO and in Received.
    pub hostname: Hostname,
    /// Whether AUTH is offered where the connection is in clear.
    pub auth_in_clear: bool,
    /// Whether a client must authenticate before it sends mail.
    pub auth_required: bool,
    /// The SASL mechanisms that are offered where the chain can authenticate.
    pub auth_mechanisms: Vec<Mechanism>,
    /// Peers that may say by XCLIENT whom they speak for, and by XFORWARD what the log shall say.
    pub xclient_from: Vec<Network>,
    /// Peers that begin each connection with a PROXY header, which says whom they speak for.
    pub proxy_from: Vec<Network>,
    /// How long a client has to be silent before the banner.
    pub banner_delay: Period,
    /// Service extensions that are offered although they are not by default.
    pub extensions_on: Vec<Extension>,
    /// None is a listener in clear.
    pub tls: Option<Tls>,
    /// Service extensions that are not offered.
    pub extensions_off: Vec<Extension>,
    /// What is spoken.
    pub protocol: Protocol,
    /// What is done about recipients who may fare differently.
    pub mixed_outcomes: MixedOutcomes,
    /// What a client may do.
    pub limits: ListenerLimits,
}

/// Plugins in the order in which they are asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chain {
    /// One or more, each plugin once.
    pub links: Vec<Link>,
}

/// A plugin's place in a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Link {
    /// The plugin's name.
    pub plugin: String,
    /// What is done when it fails.
    pub on_failure: OnFailure,
}

/// A component, with what it is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// The file.
    pub component: PathBuf,
    /// What the file must hash to.
    pub sha256: Option<Hash>,
    /// How long an instance lives.
    pub instance: Keep,
    /// Host services, each at most once.
    pub grants: Vec<Grant>,
    /// The plugin's own table; times and dates are texts in the form of RFC 3339.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// What it may use.
    pub limits: PluginLimits,
}

/// A host service that a plugin may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grant {
    /// Writing into the log.
    Log,
    /// Reading its own table of the configuration.
    Config,
    /// Verifying passwords.
    Passwords,
    /// Writing into Maildirs below this directory.
    Maildir(PathBuf),
    /// A store of octets by key.
    KeyValue(KeyValue),
    /// An SQLite database of its own.
    Sqlite(Sqlite),
    /// TCP connections to these addresses.
    Sockets(Vec<SocketAddr>),
    /// Reading these directories.
    Files(Vec<Directory>),
    /// Handing messages to these relays.
    Submit(Vec<String>),
    /// Figures of its own.
    Metrics,
    /// Reading secrets, and signing with them.
    Secrets(SecretsGrant),
    /// Requests to listed hosts.
    Http(Box<HttpGrant>),
    /// Looking names up.
    Dns,
    /// Learning what SPF, DKIM, DMARC and ARC say.
    MailAuthentication,
    /// Signing with these keys.
    Signing(Vec<String>),
}

impl Grant {
    /// The word in the configuration.
    pub const fn name(&self) -> &'static str {
        match self {
            Grant::Log => "log",
            Grant::Config => "config",
            Grant::Passwords => "passwords",
            Grant::Maildir(_) => "maildir",
            Grant::KeyValue(_) => "key-value",
            Grant::Sqlite(_) => "sqlite",
            Grant::Sockets(_) => "sockets",
            Grant::Files(_) => "files",
            Grant::Submit(_) => "submit",
            Grant::Metrics => "metrics",
            Grant::Secrets(_) => "secrets",
            Grant::Http(_) => "http",
            Grant::Dns => "dns",
            Grant::MailAuthentication => "mail-authentication",
            Grant::Signing(_) => "signing",
        }
    }
}

impl Config {
    /// A problem with a setting, shown at its line: `problem(&["plugin", "auth", "component"], "…")`. Where the setting is
    /// not written, the table around it is shown. A number is a place in a list.
    pub fn problem(&self, setting: &[&str], message: impl Into<String>) -> Problem {
        let mut steps: Vec<Step> = Vec::new();
        for step in setting {
            let item = step.parse().ok().map(Step::Item);
            let is_item = item.filter(|item| self.origins.has(&[&steps[..], std::slice::from_ref(item)].concat()));
            steps.push(is_item.unwrap_or_else(|| Step::from(*step)));
        }
        self.origins.problem_with_value(&steps, message)
    }

    /// As `problem`, with a setting of one of a listener's certificates: `key` is `chain` or `key`.
    pub(crate) fn certificate_problem(
        &self,
        (kind, listener): (&str, &str),
        n: usize,
        key: &str,
        message: String,
    ) -> Problem {
        let n = n.to_string();
        let own = [kind, listener, "certificates", &n, key];
        if self.origins.has(&[kind, listener, "certificates"].map(Step::from)) {
            self.problem(&own, message)
        } else {
            self.problem(&["tls", "certificates", &n, key], message)
        }
    }
}
