//! The configuration file as it is written: every setting, with its unit and default.
//!
//! `reference.toml` documents the same for the operator; a test keeps the two together. What one setting takes from another
//! (a listener its hostname, a chain its failure policies) is worked out in `resolve`.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::dns::{DkimKey, Dns};
use super::grant::http::{HttpGrant, SecretsGrant};
use super::grant::storage::{KeyValueSettings, SqliteSettings};
use super::http::HttpListenerTable;
use super::name::Hostname;
use super::network::Network;
use super::relay::Relay;
use super::secret::Secret;
use super::settings::{Extension, ListenerLimits, LogFormat, LogLevel, Mechanism, MixedOutcomes, Protocol};
use super::tls::{Certificate, ClientCertificates, TlsMode};
use super::units::{Count, Period, Size};
use postgate_plugin::{Cause, Hash, Keep, Policy};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "a table")]
pub(super) struct File {
    pub(super) hostname: Option<Hostname>,
    pub(super) data_dir: PathBuf,
    pub(super) plugin_dir: PathBuf,
    pub(super) cache_dir: Option<PathBuf>,
    pub(super) password_workers: Option<Count>,
    pub(super) shutdown_grace: Period,
    pub(super) on_failure: OnFailure,
    pub(super) log: Log,
    pub(super) engine: Engine,
    pub(super) tls: Tls,
    pub(super) dns: Dns,
    pub(super) dkim_key: Named<DkimKey>,
    pub(super) listener: Named<Listener>,
    pub(super) chain: Named<Chain>,
    pub(super) plugin: Named<Plugin>,
    pub(super) relay: Named<Relay>,
    pub(super) http: Named<HttpListenerTable>,
    pub(super) secret: Named<Secret>,
}

impl Default for File {
    fn default() -> Self {
        Self {
            hostname: None,
            data_dir: PathBuf::from("/var/lib/postgate"),
            plugin_dir: PathBuf::from("/usr/lib/postgate/plugins"),
            cache_dir: None,
            password_workers: None,
            shutdown_grace: Period::seconds(30),
            on_failure: OnFailure::default(),
            log: Log::default(),
            engine: Engine::default(),
            tls: Tls::default(),
            dns: Dns::default(),
            dkim_key: Named::default(),
            listener: Named::default(),
            chain: Named::default(),
            plugin: Named::default(),
            relay: Named::default(),
            http: Named::default(),
            secret: Named::default(),
        }
    }
}

/// Tables with names: `[listener.NAME]`.
#[derive(Debug)]
pub(super) struct Named<T>(pub(super) BTreeMap<String, T>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "a table [log]")]
pub(super) struct Log {
    pub(super) level: LogLevel,
    pub(super) format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: LogLevel::Info, format: LogFormat::Text }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "a table [engine]")]
pub(super) struct Engine {
    pub(super) instances: Count,
    pub(super) memory_max: Size,
    pub(super) workers: Option<Count>,
}

impl Default for Engine {
    fn default() -> Self {
        Self { instances: Count::at_least_one(4000), memory_max: Size::mib(256), workers: None }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "a table [tls]")]
pub(super) struct Tls {
    pub(super) certificates: Vec<Certificate>,
    pub(super) check_period: Period,
}

impl Default for Tls {
    fn default() -> Self {
        Self { certificates: Vec::new(), check_period: Period::seconds(60) }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table [listener.NAME]")]
pub(super) struct Listener {
    pub(super) bind: Addresses,
    pub(super) chain: String,
    pub(super) hostname: Option<Hostname>,
    #[serde(default)]
    pub(super) auth_in_clear: bool,
    #[serde(default)]
    pub(super) auth_required: bool,
    #[serde(default = "Mechanism::passwords")]
    pub(super) auth_mechanisms: Vec<Mechanism>,
    #[serde(default)]
    pub(super) xclient_from: Vec<Network>,
    #[serde(default)]
    pub(super) proxy_from: Vec<Network>,
    #[serde(default = "Period::none")]
    pub(super) banner_delay: Period,
    #[serde(default)]
    pub(super) extensions_on: Vec<Extension>,
    pub(super) tls: Option<TlsMode>,
    pub(super) certificates: Option<Vec<Certificate>>,
    pub(super) client_certificates: Option<ClientCertificates>,
    #[serde(default)]
    pub(super) require_tls: bool,
    #[serde(default)]
    pub(super) extensions_off: Vec<Extension>,
    #[serde(default)]
    pub(super) protocol: Protocol,
    #[serde(default)]
    pub(super) mixed_outcomes: MixedOutcomes,
    #[serde(default)]
    pub(super) limits: ListenerLimits,
}

/// One socket address or a list of them.
#[derive(Debug)]
pub(super) struct Addresses(pub(super) Vec<SocketAddr>);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table [chain.NAME]")]
pub(super) struct Chain {
    pub(super) plugins: Vec<Link>,
    #[serde(default)]
    pub(super) on_failure: OnFailure,
}

/// An entry of a chain: a plugin's name, or a table with more about it.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) plugin: String,
    pub(super) on_failure: OnFailure,
}

/// Failure policies of one level: a text for all causes, or a table by cause.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OnFailure {
    default: Option<Policy>,
    trap: Option<Policy>,
    fuel: Option<Policy>,
    memory: Option<Policy>,
    deadline: Option<Policy>,
    unavailable: Option<Policy>,
    reply: Option<Policy>,
}

impl OnFailure {
    /// What this level says about a cause: its own word, else the level's default.
    pub(super) fn policy(&self, cause: Cause) -> Option<Policy> {
        let own = match cause {
            Cause::Trap => self.trap,
            Cause::Fuel => self.fuel,
            Cause::Memory => self.memory,
            Cause::Deadline => self.deadline,
            Cause::Unavailable => self.unavailable,
            Cause::Reply => self.reply,
        };
        own.or(self.default)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table [plugin.NAME]")]
pub(super) struct Plugin {
    pub(super) component: PathBuf,
    pub(super) sha256: Option<Hash>,
    #[serde(default)]
    pub(super) instance: Keep,
    #[serde(default)]
    pub(super) grants: Vec<Grant>,
    #[serde(default)]
    pub(super) config: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    pub(super) limits: PluginLimits,
}

/// A host service, as the operator allows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Grant {
    Log,
    Config,
    Passwords,
    Maildir(PathBuf),
    KeyValue(Option<KeyValueSettings>),
    Sqlite(Option<SqliteSettings>),
    Sockets(Addresses),
    Files(Vec<super::grant::wasi::Directory>),
    Submit(Vec<String>),
    Metrics,
    Secrets(SecretsGrant),
    Http(Box<HttpGrant>),
    Dns,
    MailAuthentication,
    Signing(Vec<String>),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "a table of limits")]
pub(super) struct PluginLimits {
    pub(super) fuel: u64,
    pub(super) memory: Size,
    pub(super) deadline: Period,
    pub(super) instances: Option<Count>,
    pub(super) table_elements: u32,
    pub(super) service_calls: u32,
    pub(super) log_octets: Size,
    pub(super) note_octets: Size,
    pub(super) edit_octets: Size,
    pub(super) figures: u32,
    pub(super) transfer_octets: Size,
}

impl Default for PluginLimits {
    fn default() -> Self {
        Self {
            fuel: 1_000_000_000,
            memory: Size::mib(64),
            deadline: Period::seconds(10),
            instances: None,
            table_elements: 20_000,
            service_calls: 1000,
            log_octets: Size::kib(16),
            note_octets: Size::kib(64),
            edit_octets: Size::mib(1),
            figures: 200,
            transfer_octets: Size::mib(2),
        }
    }
}

impl<'de> Deserialize<'de> for Addresses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AddressesVisitor)
    }
}

struct Address(SocketAddr);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        address(&text).map(Self).map_err(de::Error::custom)
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("\"{}\" is not an address with a port, such as \"192.0.2.1:25\" or \"[::]:25\"", text.escape_debug())
    })
}

struct AddressesVisitor;

impl<'de> Visitor<'de> for AddressesVisitor {
    type Value = Addresses;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address such as \"192.0.2.1:25\", or a list of them")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Addresses, E> {
        address(text).map(|address| Addresses(vec![address])).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Addresses, A::Error> {
        let addresses: Vec<Address> = Vec::deserialize(SeqAccessDeserializer::new(items))?;
        Ok(Addresses(addresses.into_iter().map(|address| address.0).collect()))
    }
}

impl<'de> Deserialize<'de> for Link {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LinkVisitor)
    }
}

struct LinkVisitor;

impl<'de> Visitor<'de> for LinkVisitor {
    type Value = Link;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plugin's name, or a table such as { plugin = \"delivery\", on-failure = \"skip\" }")
    }

    fn visit_str<E: de::Error>(self, plugin: &str) -> Result<Link, E> {
        Ok(Link { plugin: plugin.to_owned(), on_failure: OnFailure::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Link, A::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        struct Long {
            plugin: String,
            #[serde(default)]
            on_failure: OnFailure,
        }
        let Long { plugin, on_failure } = Long::deserialize(MapAccessDeserializer::new(entries))?;
        Ok(Link { plugin, on_failure })
    }
}

impl<'de> Deserialize<'de> for OnFailure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OnFailureVisitor)
    }
}

struct OnFailureVisitor;

impl<'de> Visitor<'de> for OnFailureVisitor {
    type Value = OnFailure;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a policy such as \"defer\", or a table such as { default = \"defer\", deadline = \"skip\" }")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<OnFailure, E> {
        let policy = Policy::deserialize(de::value::StrDeserializer::new(word))?;
        Ok(OnFailure { default: Some(policy), ..OnFailure::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<OnFailure, A::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        struct ByCause {
            default: Option<Policy>,
            trap: Option<Policy>,
            fuel: Option<Policy>,
            memory: Option<Policy>,
            deadline: Option<Policy>,
            unavailable: Option<Policy>,
            reply: Option<Policy>,
        }
        let by_cause = ByCause::deserialize(MapAccessDeserializer::new(entries))?;
        let ByCause { default, trap, fuel, memory, deadline, unavailable, reply } = by_cause;
        Ok(OnFailure { default, trap, fuel, memory, deadline, unavailable, reply })
    }
}
