//! Loading a plugin: read, look at, check against the contract and the grants, compile, link, try.
//!
//! Everything that can be wrong with a component is found here, before a client connects, and said in one sentence.

mod outside;
mod refusal;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::component::{Component, InstancePre};
use wasmtime_wasi_http::p2::bindings::exports::wasi::http::incoming_handler::GuestIndices;

pub use outside::{Source, anatomy, hooks, source};
pub use refusal::{LoadError, WithoutHook};

use crate::anatomy::{Anatomy, Hash};
use crate::clock::Clock;
use crate::engine::Engine;
use crate::figures::Calls;
use crate::hook::{HookSet, Indices};
use crate::incoming;
use crate::instance::{self, Start};
use crate::limits::{Keep, Limits};
use crate::places::Places;
use crate::service::Grants;
use crate::service::dns::Resolver;
use crate::service::http::Client;
use crate::service::key_value::Store;
use crate::service::metrics::{Figures, Registry};
use crate::service::passwords::Verifier;
use crate::service::secrets::{self, Redactor};
use crate::service::sqlite::Pool;
use crate::service::usage::Usage;
use crate::setup::SettingProblem;
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

impl Plugin {
    /// Loads a plugin, and makes one instance of it to see that it starts.
    pub async fn load(engine: &Engine, config: PluginConfig) -> Result<Arc<Self>, LoadError> {
        let plugin = Self::link(engine, config).await?;
        let (_, problems) = instance::check(&plugin).await?;
        if problems.is_empty() { Ok(plugin) } else { Err(LoadError::Settings(problems)) }
    }

    /// As `load`, and answers what the start has taken, and what the plugin says of its configuration.
    ///
    /// # Errors
    /// It can't be loaded, whatever its configuration.
    pub async fn try_out(engine: &Engine, config: PluginConfig) -> Result<(Start, Vec<SettingProblem>), LoadError> {
        instance::check(&*Self::link(engine, config).await?).await
    }

    /// All but the first instance.
    async fn link(engine: &Engine, config: PluginConfig) -> Result<Arc<Self>, LoadError> {
        let (octets, anatomy) = Anatomy::read(&config.component)?;
        check(&config, &anatomy, engine)?;
        let component = compile(engine, anatomy.sha256, octets).await?;
        let compile = |error: wasmtime::Error| refusal::of_engine(&error);
        let pre = engine.linker().instantiate_pre(&component).map_err(refusal::of_linker)?;
        let indices = Indices::new(&pre).map_err(compile)?;
        let hooks = indices.hooks();
        let (store, database) = storage(engine, &config.grants).await?;
        let answers = component.get_export_index(None, incoming::INTERFACE).is_some();
        let incoming = answers.then(|| GuestIndices::new(&pre)).transpose().map_err(compile)?;
        let http = config.grants.http.as_ref().map(|grant| Client::new(grant, engine.names().clone()));
        let http = http.transpose().map_err(LoadError::Http)?;
        let http = http.map(|client| client.rehearse(engine.rehearsal().cloned()));
        Ok(Arc::new(Self {
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
        }))
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

/// Compiles away from the event loop: a Python guest takes seconds.
async fn compile(engine: &Engine, hash: Hash, octets: Vec<u8>) -> Result<Component, LoadError> {
    let compiling = engine.clone();
    let compiled = tokio::task::spawn_blocking(move || match compiling.cache() {
        Some(cache) => cache.component(compiling.wasmtime(), hash, &octets),
        None => Component::new(compiling.wasmtime(), &octets),
    });
    match compiled.await {
        Ok(compiled) => compiled.map_err(refusal::of_compiler),
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
