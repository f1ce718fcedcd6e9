//! One live instance of a plugin: made, called within its limits, thrown away when it fails.
//!
//! A call burns fuel, and every [`YIELD_FUEL`] units of it, or every two milliseconds (`pulse.rs`), the guest's thread goes back to the
//! other sessions, so that an endless loop costs its own session and nobody else's. The deadline is wall-clock time around
//! the whole call.

use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};
use wasmtime::{Store, Trap};

use crate::component::{LoadError, Plugin};
use crate::context::Context;
use crate::engine::Engine;
use crate::failure::{Cause, Failure};
use crate::hook::{Guests, Hook};
use crate::pulse::{FIRST_BEATS, FURTHER_BEATS};
use crate::setup::{self, SettingProblem};
use crate::state::State;

/// An instance and its store.
pub(crate) struct Instance {
    pub(crate) store: Store<State>,
    pub(crate) guests: Guests,
    pub(crate) instance: wasmtime::component::Instance,
    /// Among the instances of its plugin; given back when it is dropped.
    _place: OwnedSemaphorePermit,
}

impl Instance {
    /// Makes an instance, until the deadline; waits for a place if need be.
    pub(crate) async fn new(plugin: &Plugin, deadline: Instant) -> Result<Self, Failure> {
        let Some(place) = plugin.places.take(1, deadline).await else {
            return Err(unavailable("no instance of the plugin became free within the deadline"));
        };
        let state = State::new(plugin.facts.clone())
            .map_err(|error| unavailable(&format!("a granted directory: {error:#}")))?;
        let mut store = Store::new(plugin.engine.wasmtime(), state);
        store.limiter(|state| &mut state.meter);
        store.set_hostcall_fuel(plugin.facts.limits.transfer_bytes);
        store.set_max_component_handles(MAX_HANDLES);
        store.epoch_deadline_async_yield_and_update(FURTHER_BEATS);
        fuel(&mut store);
        let _running = plugin.engine.pulse().run();
        match timeout_at(deadline, plugin.pre.instantiate_async(&mut store)).await {
            Ok(Ok(instance)) => Ok(Self { store, guests: Guests::default(), instance, _place: place }),
            Ok(Err(error)) if error.is::<wasmtime::PoolConcurrencyLimitError>() => {
                Err(unavailable(&format!("{error:#}")))
            }
            Ok(Err(error)) => Err(failure(&store, &error)),
            Err(elapsed) => Err(too_late(&store, &elapsed)),
        }
    }

    /// Fills up the fuel.
    pub(crate) fn refuel(&mut self) {
        fuel(&mut self.store);
    }

    /// Lends the context and fills up what one call may use.
    pub(crate) fn begin(&mut self, context: Box<Context>) {
        fuel(&mut self.store);
        let state = self.store.data_mut();
        state.log_left_bytes = state.facts.limits.log_bytes;
        state.service_calls_left = state.facts.limits.service_calls;
        state.authentication_until = None;
        state.context = Some(context);
    }

    /// Takes the context back after a call.
    pub(crate) fn take_context(&mut self) -> Option<Box<Context>> {
        let state = self.store.data_mut();
        // Dropped, an open transaction is rolled back.
        state.transaction = None;
        if state.log_lost_bytes > 0 {
            tracing::warn!(
                plugin = state.facts.name,
                lost_bytes = std::mem::take(&mut state.log_lost_bytes),
                "plugin logged more than its limit"
            );
        }
        state.context.take()
    }

    /// Waits for a call, no longer than the deadline; an error is why it failed.
    pub(crate) fn outcome<T>(&self, result: Result<wasmtime::Result<T>, Elapsed>) -> Result<T, Failure> {
        match result {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(failure(&self.store, &error)),
            Err(elapsed) => Err(too_late(&self.store, &elapsed)),
        }
    }
}

/// What the start of an instance has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Fuel.
    pub fuel: u64,
    /// Octets of all linear memories, when it is ready to be called.
    pub memory_bytes: usize,
    /// Wall-clock time, of the first instance: later ones find the memory's image warm.
    pub time: Duration,
}

/// Makes one instance, looks up all its hooks, and asks it about its configuration, to see at load what would fail later.
pub(crate) async fn check(plugin: &Plugin) -> Result<(Start, Vec<SettingProblem>), LoadError> {
    let begun = std::time::Instant::now();
    let mut instance =
        Instance::new(plugin, Instant::now() + plugin.facts.limits.deadline).await.map_err(LoadError::start)?;
    let start = Start {
        fuel: plugin.facts.limits.fuel.saturating_sub(instance.store.get_fuel().unwrap_or_default()),
        memory_bytes: instance.store.data().meter.memory_bytes(),
        time: begun.elapsed(),
    };
    let check = plugin.indices.check(&mut instance.store, &instance.instance);
    check.map_err(|(hook, error): (Hook, _)| LoadError::Signature { hook, source: error.into() })?;
    Ok((start, setup::ask(plugin, &mut instance).await?))
}

/// Places in the pool for all plugins of a chain: a session that has begun can go on, and never waits for what others hold while
/// it holds what they wait for.
pub(crate) async fn places(
    engine: &Engine,
    plugins: usize,
    deadline: Instant,
) -> Result<OwnedSemaphorePermit, Failure> {
    let places = engine.places().take(plugins, deadline).await;
    places.ok_or_else(|| unavailable("no instances became free within the deadline"))
}

/// Fills up the fuel, and sets when the guest is to give way: by fuel or by time, whatever comes first.
fn fuel(store: &mut Store<State>) {
    store.set_epoch_deadline(FIRST_BEATS);
    let fuel = store.data().facts.limits.fuel;
    let filled = store.set_fuel(fuel).and_then(|()| store.fuel_async_yield_interval(Some(YIELD_FUEL)));
    debug_assert!(filled.is_ok(), "invariant: the engine counts fuel");
}

fn unavailable(detail: &str) -> Failure {
    Failure {
        cause: Cause::Unavailable,
        detail: detail.to_owned(),
        fuel_used: 0,
        memory_bytes: 0,
        stderr: String::new(),
    }
}

fn too_late(store: &Store<State>, _elapsed: &Elapsed) -> Failure {
    describe(store, Cause::Deadline, format!("it took longer than {:?}", store.data().facts.limits.deadline))
}

/// What an error of the engine's means.
fn failure(store: &Store<State>, error: &wasmtime::Error) -> Failure {
    let trap = error.downcast_ref::<Trap>();
    let cause = match trap {
        Some(Trap::OutOfFuel) => Cause::Fuel,
        _ if store.data().meter.refused => Cause::Memory,
        Some(Trap::AllocationTooLarge) => Cause::Memory,
        _ if error.root_cause().to_string().contains(HOSTCALL_FUEL) => Cause::Reply,
        _ => Cause::Trap,
    };
    // Names of functions are the guest's own words: escaped, and bounded.
    let detail = store.data().facts.redactor.text(format!("{error:#}"));
    describe(store, cause, detail.escape_debug().take(MAX_DETAIL_CHARS).collect())
}

fn describe(store: &Store<State>, cause: Cause, detail: String) -> Failure {
    let state = store.data();
    Failure {
        cause,
        detail,
        fuel_used: state.facts.limits.fuel.saturating_sub(store.get_fuel().unwrap_or_default()),
        memory_bytes: state.meter.memory_bytes(),
        stderr: state.stderr.take(),
    }
}

/// Fuel between two moments at which the guest lets others run: about 0.1 ms.
const YIELD_FUEL: u64 = 1_000_000;

/// What the log says of an error, with the guest's backtrace.
const MAX_DETAIL_CHARS: usize = 4000;

/// Handles of host resources that an instance may hold.
const MAX_HANDLES: usize = 1000;

/// How the engine says that a guest hands over more octets than it may.
const HOSTCALL_FUEL: &str = "fuel allocated for hostcalls has been exhausted";
