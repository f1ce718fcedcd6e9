//! The engine: one for the process. Compiler settings, the pool of instances, what guests can be linked to.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

use crate::bindings::Everything;
use crate::cache::{Cache, CacheError};
use crate::clock::Clock;
use crate::limits::{MAX_CORE_INSTANCES, MAX_MEMORIES, MAX_TABLES};
use crate::places::Places;
use crate::pulse::Pulse;
use crate::service::dns::{DnsConfig, Resolver};
use crate::service::http::Names;
use crate::service::metrics::Registry;
use crate::service::passwords::Verifier;
use crate::service::storage::Storage;
use crate::state::State;
use crate::stubs::Stubs;

/// The engine's own settings.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Instances of all plugins that may exist at the same time.
    pub instances: usize,
    /// The most that any plugin's `memory_bytes` may be.
    pub memory_bytes: usize,
    /// Where compiled components are kept; none compiles them at each start.
    pub cache: Option<PathBuf>,
    /// Passwords that are verified at the same time.
    pub password_workers: usize,
    /// What host and guests take for the time of day.
    pub clock: Clock,
    /// Where names are looked up.
    pub dns: DnsConfig,
    /// In a rehearsal: what services answer with. Backtraces then also tell lines of source code, where a component has them.
    pub rehearsal: Option<Arc<Stubs>>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            instances: 4000,
            memory_bytes: 256 << 20,
            cache: None,
            password_workers: 2,
            clock: Clock::default(),
            dns: DnsConfig::default(),
            rehearsal: None,
        }
    }
}

/// Loads plugins, and holds what all of them share. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Parts>);

struct Parts {
    wasmtime: wasmtime::Engine,
    linker: Linker<State>,
    cache: Option<Cache>,
    passwords: Arc<Verifier>,
    resolver: Arc<Resolver>,
    pulse: Pulse,
    places: Places,
    disk: Arc<Semaphore>,
    storage: Arc<Storage>,
    clock: Clock,
    names: Arc<Names>,
    metrics: Arc<Registry>,
    memory_bytes: usize,
    rehearsal: Option<Arc<Stubs>>,
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The settings, or this machine, do not allow it.
    #[error("the WebAssembly engine does not start with {instances} instances")]
    Start {
        /// The instances that were asked for.
        instances: usize,
        /// What the engine says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The cache can't be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl Engine {
    /// Makes the engine.
    pub fn new(config: &EngineConfig) -> Result<Self, EngineError> {
        let resolver = Arc::new(match &config.rehearsal {
            Some(stubs) => Resolver::rehearsed(&config.dns, stubs.clone()),
            None => Resolver::new(&config.dns),
        });
        let start = |error: wasmtime::Error| EngineError::Start { instances: config.instances, source: error.into() };
        let wasmtime = wasmtime::Engine::new(&settings(config)).map_err(start)?;
        let linker = linker(&wasmtime).map_err(start)?;
        let cache = config.cache.as_deref().map(|directory| Cache::open(directory, &wasmtime)).transpose()?;
        let pulse = Pulse::new(wasmtime.weak()).map_err(|error| start(error.into()))?;
        Ok(Self(Arc::new(Parts {
            linker,
            pulse,
            cache,
            passwords: Arc::new(Verifier::new(config.password_workers)),
            names: Arc::new(Names::new(resolver.clone())),
            resolver,
            places: Places::new(config.instances),
            disk: Arc::new(Semaphore::new(DISK_WORKERS)),
            storage: Arc::default(),
            clock: config.clock.clone(),
            metrics: Arc::new(Registry::new()),
            memory_bytes: config.memory_bytes,
            rehearsal: config.rehearsal.clone(),
            wasmtime,
        })))
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.0.wasmtime
    }

    pub(crate) fn linker(&self) -> &Linker<State> {
        &self.0.linker
    }

    pub(crate) fn cache(&self) -> Option<&Cache> {
        self.0.cache.as_ref()
    }

    pub(crate) fn passwords(&self) -> &Arc<Verifier> {
        &self.0.passwords
    }

    pub(crate) fn resolver(&self) -> &Arc<Resolver> {
        &self.0.resolver
    }

    pub(crate) fn pulse(&self) -> &Pulse {
        &self.0.pulse
    }

    pub(crate) fn places(&self) -> &Places {
        &self.0.places
    }

    /// Places for work on the disk that guests have asked for.
    pub(crate) fn disk(&self) -> &Arc<Semaphore> {
        &self.0.disk
    }

    /// The stores and databases that are open.
    pub(crate) fn storage(&self) -> &Arc<Storage> {
        &self.0.storage
    }

    /// What host and guests take for the time of day.
    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Where the names of HTTP servers are looked up.
    pub(crate) fn names(&self) -> &Arc<Names> {
        &self.0.names
    }

    /// The figures of all plugins.
    pub(crate) fn metrics(&self) -> &Arc<Registry> {
        &self.0.metrics
    }

    /// What services answer with in a rehearsal.
    pub(crate) fn rehearsal(&self) -> Option<&Arc<Stubs>> {
        self.0.rehearsal.as_ref()
    }

    /// The most that a plugin's memory limit may be.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.0.memory_bytes
    }
}

/// WASI 0.2 with plain functions: without the asynchronous component model, calls cost half, and most of the recent
/// vulnerabilities are in code that is then not reachable.
fn settings(config: &EngineConfig) -> Config {
    let mut settings = Config::new();
    settings
        .consume_fuel(true)
        .epoch_interruption(true)
        .concurrency_support(false)
        .wasm_memory64(false)
        .relaxed_simd_deterministic(true)
        .cranelift_nan_canonicalization(true)
        .wasm_backtrace_max_frames(NonZeroUsize::new(BACKTRACE_FRAMES))
        .wasm_backtrace_details(match config.rehearsal {
            Some(_) => WasmBacktraceDetails::Enable,
            None => WasmBacktraceDetails::Disable,
        })
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(config)));
    settings
}

/// Slots for `instances` plugins. Most components have three core instances, one memory and two tables; those of language
/// runtimes have more, and if they take too many the pool says so and the call fails as `unavailable`.
fn pool(config: &EngineConfig) -> PoolingAllocationConfig {
    let instances = u32::try_from(config.instances).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(8))
        .total_memories(instances.saturating_mul(2))
        .total_tables(instances.saturating_mul(3))
        .total_stacks(instances)
        .max_core_instances_per_component(MAX_CORE_INSTANCES as u32)
        .max_memories_per_component(MAX_MEMORIES as u32)
        .max_tables_per_component(MAX_TABLES as u32)
        .max_memory_size(config.memory_bytes)
        .table_elements(20_000)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// Everything that a guest can be linked to. What was not granted is refused when a component is loaded; and WASI alone gives
/// it clocks and random numbers, but no file, no socket and no environment.
fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    Everything::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    crate::service::key_value::wasi::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// Reads and writes of guests at the same time; a disk that hangs holds so many threads and no more.
const DISK_WORKERS: usize = 64;

const BACKTRACE_FRAMES: usize = 20;

/// Memory of a slot that is reset by copying instead of by unmapping; with `pagemap_scan` only what was written to.
const KEEP_RESIDENT_BYTES: usize = 2 << 20;
