//! Loading a plugin: read, look at, check against the contract and the grants, compile, link, try.
//!
//! Everything that can be wrong with a component is found here, before a client connects, and said in one sentence.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::component::{Component, InstancePre};
use wasmtime_wasi_http::p2::bindings::exports::wasi::http::incoming_handler::GuestIndices;

use crate::anatomy::{Anatomy, AnatomyError, Hash};
use crate::clock::Clock;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::figures::Calls;
use crate::hook::{CONTRACT_VERSION, Hook, HookSet, Indices};
use crate::incoming;
use crate::instance;
use crate::limits::{Keep, Limits};
use crate::places::Places;
use crate::service::dns::Resolver;
use crate::service::http::{Client, ClientError};
use crate::service::key_value::Store;
use crate::service::metrics::{Figures, Registry};
use crate::service::passwords::Verifier;
use crate::service::secrets::{self, Redactor};
use crate::service::sqlite::Pool;
use crate::service::storage::StorageError;
use crate::service::usage::Usage;
use crate::service::{Grants, SERVICES, Service, ServiceId};
use crate::setup::{self, SettingProblem};
use crate::state::State;

/// A plugin as the operator has configured it.
#[derive(Clone, Debug)]
pub struct PluginConfig {
    /// Its name in the configuration and the logs.
    pub name: String,
    /// The component's file.
    pub component: PathBuf,
    /// The SHA-256 that the file must have, if the operator has pinned it.
    pub sha256: Option<Hash>,
    /// The host services that it may use.
    pub grants: Grants,
    /// Its own table of the configuration.
    pub config: serde_json::Value,
    /// What it may use up.
    pub limits: Limits,
    /// How its instances are kept.
    pub keep: Keep,
}

/// What host functions know of the plugin that calls them.
pub(crate) struct Facts {
    pub(crate) name: String,
    pub(crate) grants: Grants,
    /// Takes its secrets out of what is logged.
    pub(crate) redactor: Redactor,
    pub(crate) config: serde_json::Value,
    pub(crate) config_json: String,
    pub(crate) limits: Limits,
    /// What it has used of the services.
    pub(crate) usage: Usage,
    pub(crate) passwords: Arc<Verifier>,
    /// Its store, if it was granted one.
    pub(crate) store: Option<Arc<Store>>,
    /// Its database, if it was granted one.
    pub(crate) database: Option<Arc<Pool>>,
    pub(crate) clock: Clock,
    pub(crate) resolver: Arc<Resolver>,
    /// Places for the look-ups of this plugin.
    pub(crate) lookups: Semaphore,
    /// Places for work on the disk.
    pub(crate) disk: Arc<Semaphore>,
    /// Outgoing HTTP, where it is granted.
    pub(crate) http: Option<Arc<Client>>,
    /// Figures: all, and which of them are its own.
    pub(crate) metrics: Arc<Registry>,
    pub(crate) figures: Figures,
    pub(crate) calls: Calls,
}

/// A plugin that has been loaded, checked and linked: ready to be instantiated.
pub struct Plugin {
    pub(crate) facts: Arc<Facts>,
    pub(crate) pre: InstancePre<State>,
    pub(crate) indices: Indices,
    /// Where it answers HTTP requests, if it does.
    pub(crate) incoming: Option<GuestIndices>,
    pub(crate) engine: Engine,
    /// Instances of this plugin that may still be made.
    pub(crate) places: Places,
    keep: Keep,
    hooks: HookSet,
    anatomy: Anatomy,
}

/// Why a plugin can't be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file can't be read.
    #[error("{} can't be read", .path.display())]
    Read {
        /// The component's file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The file is not a component.
    #[error("{} is not a plugin", .path.display())]
    Anatomy {
        /// The component's file.
        path: PathBuf,
        /// What it is instead.
        #[source]
        source: AnatomyError,
    },
    /// The file is not the one that the operator has pinned.
    #[error("{} has SHA-256 {found}, but the configuration pins {pinned}", .path.display())]
    Pin {
        /// The component's file.
        path: PathBuf,
        /// The hash that it has.
        found: Hash,
        /// The hash that it should have.
        pinned: Hash,
    },
    /// It implements a hook that this host does not know, or not in that version.
    #[error("it exports {export}, a hook that this version of Postgate does not know; it knows {known}")]
    UnknownHook {
        /// The name of the export.
        export: String,
        /// What would have been understood.
        known: String,
    },
    /// It implements no hook.
    #[error(
        "it exports no hook; a plugin exports one or more interfaces of the package postgate:mail@{CONTRACT_VERSION}, such \
         as postgate:mail/recipient@{CONTRACT_VERSION}"
    )]
    NoHooks,
    /// It wants something that this host does not have.
    #[error("it imports {import}, which this version of Postgate does not offer")]
    UnknownImport {
        /// The name of the import.
        import: String,
    },
    /// It wants a service that it was not granted.
    #[error("it imports {import}, which was not granted; to let it {}, add {} to its `grants`", .service.summary, .service.example)]
    NotGranted {
        /// The name of the import.
        import: String,
        /// The service, and the grant that would allow it.
        service: &'static Service,
    },
    /// The grant `http` can't be used.
    #[error("its grant http can't be used")]
    Http(#[source] ClientError),
    /// Its memory limit is over the engine's.
    #[error("its memory limit of {limit} octets is over the engine's bound of {bound}")]
    MemoryLimit {
        /// The plugin's `memory`.
        limit: usize,
        /// The engine's `memory`.
        bound: usize,
    },
    /// The compiler or the linker refuses it.
    #[error("it can't be compiled and linked")]
    Compile(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A hook has the wrong function.
    #[error("its hook {hook} does not have the function that postgate:mail@{CONTRACT_VERSION} asks for")]
    Signature {
        /// The hook.
        hook: Hook,
        /// What differs.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Its `setup` does not have the right function.
    #[error("its interface setup does not have the function that postgate:mail@{CONTRACT_VERSION} asks for")]
    SetupSignature(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It can't use its own table of the configuration.
    #[error("it can't use its configuration")]
    Settings(Vec<SettingProblem>),
    /// What a service keeps for it can't be used.
    #[error("its {service} can't be used")]
    Storage {
        /// The name of the grant.
        service: &'static str,
        /// What is wrong with it.
        #[source]
        source: StorageError,
    },
    /// It fails before it is asked anything.
    #[error("it does not start within its limits: {cause}: {detail}")]
    Start {
        /// The cause by its name.
        cause: crate::failure::Cause,
        /// What happened.
        detail: String,
    },
}

impl LoadError {
    /// A failure while it is started, or asked about its configuration.
    pub(crate) fn start(failure: Failure) -> Self {
        Self::Start { cause: failure.cause, detail: [failure.detail, failure.stderr].join(" ").trim().to_owned() }
    }
}

impl Plugin {
    /// Loads a plugin, and makes one instance of it to see that it starts.
    pub async fn load(engine: &Engine, config: PluginConfig) -> Result<Arc<Self>, LoadError> {
        let octets = std::fs::read(&config.component)
            .map_err(|source| LoadError::Read { path: config.component.clone(), source })?;
        let anatomy =
            Anatomy::of(&octets).map_err(|source| LoadError::Anatomy { path: config.component.clone(), source })?;
        check(&config, &anatomy, engine)?;
        let component = compile(engine, anatomy.sha256, octets).await?;
        let compile = |error: wasmtime::Error| LoadError::Compile(error.into());
        let pre = engine.linker().instantiate_pre(&component).map_err(compile)?;
        let indices = Indices::new(&pre).map_err(compile)?;
        let hooks = indices.hooks();
        let (store, database) = storage(engine, &config.grants).await?;
        let answers = component.get_export_index(None, incoming::INTERFACE).is_some();
        let incoming = answers.then(|| GuestIndices::new(&pre)).transpose().map_err(compile)?;
        let http = config.grants.http.as_ref().map(|grant| Client::new(grant, engine.names().clone()));
        let http = http.transpose().map_err(LoadError::Http)?;
        let http = http.map(|client| client.rehearse(engine.rehearsal().cloned()));
        let plugin = Arc::new(Self {
            facts: Arc::new(Facts {
                name: config.name,
                redactor: secrets::redactor(&config.grants),
                grants: config.grants,
                config_json: config.config.to_string(),
                config: config.config,
                limits: config.limits.clone(),
                usage: Usage::default(),
                passwords: engine.passwords().clone(),
                store,
                database,
                clock: engine.clock().clone(),
                lookups: Semaphore::new(engine.resolver().lookups_per_plugin()),
                resolver: engine.resolver().clone(),
                disk: engine.disk().clone(),
                http: http.map(Arc::new),
                metrics: engine.metrics().clone(),
                figures: Figures::default(),
                calls: Calls::default(),
            }),
            pre,
            indices,
            incoming,
            engine: engine.clone(),
            places: Places::new(config.limits.instances),
            keep: config.keep,
            hooks,
            anatomy,
        });
        instance::check(&plugin).await?;
        Ok(plugin)
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.facts.name
    }

    /// A text of its own, for the log: without its secrets.
    pub(crate) fn redacted(&self, text: String) -> String {
        self.facts.redactor.text(text)
    }

    /// The hooks that it implements.
    pub fn hooks(&self) -> HookSet {
        self.hooks
    }

    /// What it may use up.
    pub fn limits(&self) -> &Limits {
        &self.facts.limits
    }

    /// The host services that it was granted.
    pub fn grants(&self) -> &Grants {
        &self.facts.grants
    }

    /// What it has used of the services.
    pub fn usage(&self) -> &Usage {
        &self.facts.usage
    }

    /// How its instances are kept.
    pub fn keep(&self) -> Keep {
        self.keep
    }

    /// What its component is made of.
    pub fn anatomy(&self) -> &Anatomy {
        &self.anatomy
    }
}

/// What can be said of a component by its name tags alone.
fn check(config: &PluginConfig, anatomy: &Anatomy, engine: &Engine) -> Result<(), LoadError> {
    if let Some(pinned) = config.sha256
        && pinned != anatomy.sha256
    {
        return Err(LoadError::Pin { path: config.component.clone(), found: anatomy.sha256, pinned });
    }
    if config.limits.memory_bytes > engine.memory_bytes() {
        return Err(LoadError::MemoryLimit { limit: config.limits.memory_bytes, bound: engine.memory_bytes() });
    }
    hooks(anatomy)?;
    for import in &anatomy.imports {
        if let Source::Service(service) = source(import)?
            && !service.is_granted(&config.grants)
        {
            return Err(LoadError::NotGranted { import: import.clone(), service });
        }
    }
    Ok(())
}

/// The hooks that a component exports. Other exports are none of our business: language runtimes add some of their own.
pub fn hooks(anatomy: &Anatomy) -> Result<HookSet, LoadError> {
    let mut found = HookSet::default();
    let ours = |export: &&String| export.starts_with(CONTRACT_PREFIX) && !is_same_interface(export, setup::INTERFACE);
    for export in anatomy.exports.iter().filter(ours) {
        let hook = Hook::ALL.into_iter().find(|hook| is_same_interface(export, hook.interface()));
        found.insert(
            hook.ok_or_else(|| LoadError::UnknownHook { export: export.clone(), known: known_versions_of(export) })?,
        );
    }
    let answers_http = anatomy.exports.iter().any(|export| is_same_interface(export, incoming::INTERFACE));
    if found.is_empty() && !answers_http { Err(LoadError::NoHooks) } else { Ok(found) }
}

/// Where an import comes from.
pub enum Source {
    /// The context of the call, or plain types: free.
    Context,
    /// WASI without any power: free.
    Wasi,
    /// A host service: to be granted.
    Service(&'static Service),
}

/// Where the import of that name comes from; an error if from nowhere.
pub fn source(import: &str) -> Result<Source, LoadError> {
    let name = import.split('@').next().unwrap_or(import);
    let unknown = || LoadError::UnknownImport { import: import.to_owned() };
    if is_same_interface(import, WASI_HTTP_TYPES) {
        return Ok(Source::Wasi);
    }
    if is_same_interface(import, WASI_HTTP) {
        return SERVICES.iter().find(|service| service.id == ServiceId::Http).map(Source::Service).ok_or_else(unknown);
    }
    if WASI_PACKAGES.iter().any(|package| name.starts_with(package)) {
        return Ok(Source::Wasi);
    }
    if WASI_KEY_VALUE.contains(&import) {
        return SERVICES
            .iter()
            .find(|service| service.id == ServiceId::KeyValue)
            .map(Source::Service)
            .ok_or_else(unknown);
    }
    if !is_same_interface(import, &format!("{name}@{CONTRACT_VERSION}")) {
        return Err(unknown());
    }
    if CONTEXT.contains(&name) {
        return Ok(Source::Context);
    }
    SERVICES.iter().find(|service| service.interface == name).map(Source::Service).ok_or_else(unknown)
}

/// Before 1.0, versions go together when they differ in the last number only.
fn is_same_interface(name: &str, ours: &str) -> bool {
    let track = |name: &str| {
        let (interface, version) = name.split_once('@')?;
        let (track, _) = version.rsplit_once('.')?;
        Some((interface.to_owned(), track.to_owned()))
    };
    track(name).is_some() && track(name) == track(ours)
}

fn known_versions_of(export: &str) -> String {
    let interface = export.split('@').next().unwrap_or(export);
    match Hook::ALL.into_iter().find(|hook| hook.interface().split('@').next() == Some(interface)) {
        Some(hook) => hook.interface().to_owned(),
        None => Hook::ALL.map(Hook::name).join(", "),
    }
}

/// Compiles away from the event loop: a Python guest takes seconds.
async fn compile(engine: &Engine, hash: Hash, octets: Vec<u8>) -> Result<Component, LoadError> {
    let compiling = engine.clone();
    let compiled = tokio::task::spawn_blocking(move || match compiling.cache() {
        Some(cache) => cache.component(compiling.wasmtime(), hash, &octets),
        None => Component::new(compiling.wasmtime(), &octets),
    });
    match compiled.await {
        Ok(compiled) => compiled.map_err(|error| LoadError::Compile(error.into())),
        Err(panicked) => Err(LoadError::Compile(panicked.into())),
    }
}

/// Opens what was granted, away from the event loop.
async fn storage(engine: &Engine, grants: &Grants) -> Result<(Option<Arc<Store>>, Option<Arc<Pool>>), LoadError> {
    let (storage, clock) = (engine.storage().clone(), engine.clock().clone());
    let (store, database) = (grants.key_value.clone(), grants.sqlite.clone());
    let opened = tokio::task::spawn_blocking(move || {
        let wrong = |service| move |source| LoadError::Storage { service, source };
        let store = store.map(|grant| storage.store(&grant, &clock)).transpose().map_err(wrong("key-value"))?;
        let database = database.map(|grant| storage.database(&grant, &clock)).transpose().map_err(wrong("sqlite"))?;
        Ok((store, database))
    });
    opened.await.unwrap_or_else(|panicked| Err(LoadError::Compile(panicked.into())))
}

/// Reads the outside of the component in a file.
pub fn anatomy(path: &Path) -> Result<Anatomy, LoadError> {
    let octets = std::fs::read(path).map_err(|source| LoadError::Read { path: path.to_path_buf(), source })?;
    Anatomy::of(&octets).map_err(|source| LoadError::Anatomy { path: path.to_path_buf(), source })
}

const CONTRACT_PREFIX: &str = "postgate:mail/";

/// The interfaces of the contract that are free to import.
const CONTEXT: &[&str] = &[
    "postgate:mail/types",
    "postgate:mail/session",
    "postgate:mail/transaction",
    "postgate:mail/mail-data",
    "postgate:mail/parts",
    "postgate:mail/editor",
];

/// The standard interfaces that the grant of `key-value` allows as well.
const WASI_KEY_VALUE: &[&str] =
    &["wasi:keyvalue/store@0.2.0-draft", "wasi:keyvalue/atomics@0.2.0-draft", "wasi:keyvalue/batch@0.2.0-draft"];

/// The WASI packages that guests are linked to. Nothing can be opened with them: no directory is preopened, creating a
/// socket or looking up a name is denied, the environment is empty.
const WASI_PACKAGES: &[&str] =
    &["wasi:io/", "wasi:clocks/", "wasi:random/", "wasi:cli/", "wasi:filesystem/", "wasi:sockets/"];

/// Outgoing HTTP of the standard: the grant `http`, like our own interface.
const WASI_HTTP: &str = "wasi:http/outgoing-handler@0.2.0";
/// Its types, without any power.
const WASI_HTTP_TYPES: &str = "wasi:http/types@0.2.0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_one_track_go_together() {
        for (name, same) in [
            ("postgate:mail/log@0.1.0", true),
            ("postgate:mail/log@0.1.9", true),
            ("postgate:mail/log@0.2.0", false),
            ("postgate:mail/log@1.1.0", false),
            ("postgate:mail/log", false),
            ("postgate:mail/blog@0.1.0", false),
        ] {
            assert_eq!(is_same_interface(name, "postgate:mail/log@0.1.0"), same, "{name}");
        }
    }

    #[test]
    fn imports_have_a_source_or_are_refused() {
        assert!(matches!(source("postgate:mail/session@0.1.0"), Ok(Source::Context)));
        assert!(matches!(source("wasi:io/streams@0.2.6"), Ok(Source::Wasi)));
        assert!(
            matches!(source("postgate:mail/maildir@0.1.0"), Ok(Source::Service(service)) if service.name == "maildir")
        );
        assert!(matches!(source("wasi:http/types@0.2.6"), Ok(Source::Wasi)));
        assert!(
            matches!(source("wasi:http/outgoing-handler@0.2.6"), Ok(Source::Service(service)) if service.name == "http")
        );
        for unknown in
            ["wasi:http/outgoing-handler@0.3.0", "postgate:mail/log@0.2.0", "env", "postgate:mail/nothing@0.1.0"]
        {
            assert!(matches!(source(unknown), Err(LoadError::UnknownImport { .. })), "{unknown}");
        }
    }
}
