//! The resolver that all plugins share: hickory's, with its cache, asked over UDP, and over TCP where an answer is too large for that.
//!
//! So many look-ups run at a time, of one plugin and of all; further ones wait within the deadline of their call. A look-up that is given up
//! gives its places back at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::stubs::Stubs;

/// Where names are looked up, and what that may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsConfig {
    /// Resolvers that answer for all names; none are those of the machine, in `/etc/resolv.conf`.
    pub servers: Vec<SocketAddr>,
    /// How long one server may take to answer.
    pub timeout: Duration,
    /// How often it is asked again, the first time included.
    pub attempts: usize,
    /// Answers that are kept until their time to live is over.
    pub cache_entries: u64,
    /// Look-ups at a time.
    pub lookups: usize,
    /// Look-ups at a time of one plugin.
    pub lookups_per_plugin: usize,
}

impl Default for DnsConfig {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: Duration::from_secs(2),
            attempts: 2,
            cache_entries: 10_000,
            lookups: 1000,
            lookups_per_plugin: 200,
        }
    }
}

/// Looks names up.
pub(crate) struct Resolver {
    /// Or why there is none.
    hickory: Result<TokioResolver, String>,
    /// For one look-up in all.
    patience: Duration,
    places: Semaphore,
    lookups_per_plugin: usize,
    /// The operator has said whom to ask.
    chosen: bool,
    /// Who answers in a rehearsal.
    stubs: Option<Arc<Stubs>>,
}

/// Why there are no records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LookupError {
    /// There is no such name.
    NoSuchName,
    /// No server says.
    Unavailable(String),
}

impl Resolver {
    /// A resolver; where the machine has none that could be asked, every look-up says so.
    pub(crate) fn new(config: &DnsConfig) -> Self {
        let hickory = resolver(config).map_err(|error| format!("there are no name servers to ask: {error}"));
        // Each server of resolv.conf, of which three are read, may be asked as often.
        let tries = config.attempts.max(1).saturating_mul(config.servers.len().clamp(1, MAX_SERVERS));
        Self {
            hickory,
            patience: config.timeout.saturating_mul(u32::try_from(tries).unwrap_or(u32::MAX)),
            places: Semaphore::new(config.lookups.clamp(1, Semaphore::MAX_PERMITS)),
            lookups_per_plugin: config.lookups_per_plugin.clamp(1, Semaphore::MAX_PERMITS),
            chosen: !config.servers.is_empty(),
            stubs: None,
        }
    }

    /// A resolver that asks nobody: a rehearsal answers.
    pub(crate) fn rehearsed(config: &DnsConfig, stubs: Arc<Stubs>) -> Self {
        // A server that is never asked stands for those of the machine, which may have none.
        let nobody = DnsConfig { servers: vec![([127, 0, 0, 1], 9).into()], ..config.clone() };
        Self { stubs: Some(stubs), ..Self::new(&nobody) }
    }

    /// Who answers in a rehearsal.
    pub(crate) fn stubs(&self) -> Option<&Stubs> {
        self.stubs.as_deref()
    }

    pub(crate) fn lookups_per_plugin(&self) -> usize {
        self.lookups_per_plugin
    }

    /// Whether the operator has named servers: then nobody asks others.
    pub(crate) fn is_chosen(&self) -> bool {
        self.chosen
    }

    /// Waits for places among the plugin's look-ups and among all.
    pub(crate) async fn place<'a>(&'a self, plugin: &'a Semaphore) -> (SemaphorePermit<'a>, SemaphorePermit<'a>) {
        let closed = "invariant: places are never closed";
        (plugin.acquire().await.expect(closed), self.places.acquire().await.expect(closed))
    }

    /// Looks records up; none where the name is there and has none of them.
    pub(crate) async fn look_up(
        &self,
        plugin: &Semaphore,
        name: &Name,
        kind: RecordType,
    ) -> Result<Vec<Record>, LookupError> {
        if let Some(stubs) = self.stubs() {
            return stubs.look_up(name, kind);
        }
        let hickory = self.hickory.as_ref().map_err(|why| LookupError::Unavailable(why.clone()))?;
        let _places = self.place(plugin).await;
        match timeout(self.patience, hickory.lookup(name.clone(), kind)).await {
            Ok(Ok(lookup)) => Ok(asked_for(name, kind, lookup.answers())),
            Ok(Err(NetError::Dns(DnsError::NoRecordsFound(none)))) => {
                let code = none.response_code;
                if code == ResponseCode::NXDomain {
                    Err(LookupError::NoSuchName)
                } else if code == ResponseCode::NoError {
                    Ok(Vec::new())
                } else {
                    Err(LookupError::Unavailable(format!("{name}: {code}")))
                }
            }
            Ok(Err(error)) => Err(LookupError::Unavailable(format!("{name}: {error}"))),
            Err(_) => Err(LookupError::Unavailable(format!("{name}: no answer in time"))),
        }
    }

    /// Or why nothing can be looked up.
    pub(crate) fn usable(&self) -> Result<(), String> {
        self.hickory.as_ref().map(|_| ()).map_err(Clone::clone)
    }
}

/// The records of an answer that are of this name, or of one that it is an alias of: others may stand beside them, whoever has put them there.
fn asked_for(name: &Name, kind: RecordType, answers: &[Record]) -> Vec<Record> {
    let mut owner = name;
    if !answers.iter().any(|record| record.name == *name) {
        // Hickory has followed aliases to a name that was in its cache, and leaves them out then.
        let Some(first) = answers.iter().find(|record| record.record_type() == kind) else { return Vec::new() };
        owner = &first.name;
    }
    for _ in 0..MAX_ALIASES {
        let of_owner = || answers.iter().filter(|record| record.name == *owner);
        let found: Vec<Record> = of_owner().filter(|record| record.record_type() == kind).cloned().collect();
        if !found.is_empty() {
            return found;
        }
        let alias = of_owner().find_map(|record| {
            let RData::CNAME(target) = &record.data else { return None };
            Some(&target.0)
        });
        match alias {
            Some(target) => owner = target,
            None => break,
        }
    }
    Vec::new()
}

fn resolver(config: &DnsConfig) -> Result<TokioResolver, NetError> {
    let servers = if config.servers.is_empty() {
        let (system, _) = hickory_resolver::system_conf::read_system_conf()?;
        system.name_servers
    } else {
        config.servers.iter().map(server).collect()
    };
    let mut options = ResolverOpts::default();
    options.timeout = config.timeout;
    // Hickory counts those after the first.
    options.attempts = config.attempts.saturating_sub(1);
    options.cache_size = config.cache_entries;
    options.use_hosts_file = ResolveHosts::Never;
    options.edns0 = true;
    // No search list: names are absolute.
    let config = ResolverConfig::from_parts(None, Vec::new(), servers);
    let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.with_options(options).with_tls_config(no_tls()).build()
}

fn server(address: &SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut connections {
        connection.port = address.port();
    }
    // The servers answer for all names, so their "no" is one.
    NameServerConfig::new(address.ip(), true, connections)
}

/// Servers are asked in clear: the resolver needs no authorities of the machine's.
fn no_tls() -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("invariant: the provider has the default versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

/// Aliases of aliases that are followed in one answer.
const MAX_ALIASES: usize = 16;
/// Servers that one look-up may wait for.
const MAX_SERVERS: usize = 3;
