//! What a store holds: one instance's view of the world.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::component::Facts;
use crate::context::Context;
use crate::limits::Meter;
use crate::service::sqlite;
use crate::stderr::Stderr;

/// The data of a store: what host functions may use when the guest calls them.
pub(crate) struct State {
    /// The plugin that runs here.
    pub(crate) facts: Arc<Facts>,
    /// The context of the current call; lent by the run, none outside a hook.
    pub(crate) context: Option<Box<Context>>,
    pub(crate) meter: Meter,
    /// The connection to its database while a transaction is open.
    pub(crate) transaction: Option<sqlite::Lease>,
    /// Calls of services that this call of a hook may still make.
    pub(crate) service_calls_left: u32,
    /// Octets that this call may still write into the log.
    pub(crate) log_left_bytes: usize,
    /// Octets of log lines that this call has lost.
    pub(crate) log_lost_bytes: usize,
    pub(crate) stderr: Stderr,
    wasi: WasiCtx,
    pub(crate) table: ResourceTable,
}

impl State {
    pub(crate) fn new(facts: Arc<Facts>) -> Self {
        let stderr = Stderr::default();
        let mut wasi = WasiCtx::builder();
        wasi.wall_clock(facts.clock.clone());
        wasi.stderr(stderr.clone()).max_random_size(MAX_RANDOM_BYTES).allow_tcp(false).allow_udp(false);
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        Self {
            meter: Meter::new(&facts.limits),
            transaction: None,
            service_calls_left: facts.limits.service_calls,
            log_left_bytes: facts.limits.log_bytes,
            log_lost_bytes: 0,
            facts,
            context: None,
            stderr,
            wasi: wasi.build(),
            table,
        }
    }

    /// The context of the current call. A guest that asks outside of one, while it is being started, traps.
    pub(crate) fn context(&mut self) -> wasmtime::Result<&mut Context> {
        self.context.as_deref_mut().ok_or_else(|| wasmtime::Error::msg("the context was asked for outside of a hook"))
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Octets that one `wasi:random` call gives.
const MAX_RANDOM_BYTES: u64 = 64 << 10;

/// Host resources (streams, pollables) that one instance may hold.
const MAX_RESOURCES: usize = 1000;
