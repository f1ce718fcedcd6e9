//! What a store holds: one instance's view of the world.

use std::net::SocketAddr;
use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::random::Deterministic;
use wasmtime_wasi::sockets::SocketAddrUse;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::component::Facts;
use crate::context::Context;
use crate::limits::Meter;
use crate::service::http::wasi::Hooks;
use crate::service::{Grants, sqlite};
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
    /// Until when this call may wait for the DNS on behalf of mail authentication; set when it first does.
    pub(crate) authentication_until: Option<tokio::time::Instant>,
    /// Octets that this call may still write into the log.
    pub(crate) log_left_bytes: usize,
    /// Octets of log lines that this call has lost.
    pub(crate) log_lost_bytes: usize,
    pub(crate) stderr: Stderr,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    http_hooks: Hooks,
    pub(crate) table: ResourceTable,
}

impl State {
    /// The state of a new instance. A directory that was granted may have gone.
    pub(crate) fn new(facts: Arc<Facts>) -> wasmtime::Result<Self> {
        let stderr = Stderr::new(&facts.redactor);
        let mut wasi = WasiCtx::builder();
        wasi.wall_clock(facts.clock.clone());
        let is_rehearsed = facts.clock.is_rehearsed();
        if is_rehearsed {
            wasi.monotonic_clock(facts.clock.clone());
            wasi.secure_random(chance()).insecure_random(chance()).insecure_random_seed(CHANCE_SEED.into());
        }
        wasi.stderr(stderr.clone()).max_random_size(MAX_RANDOM_BYTES);
        // What a rehearsal asks of the world outside is answered by nobody.
        let sockets = if is_rehearsed { &[] } else { facts.grants.sockets.as_slice() };
        world(&mut wasi, sockets, &facts.grants)?;
        let mut table = ResourceTable::new();
        let holds_descriptors = !(facts.grants.sockets.is_empty() && facts.grants.files.is_empty());
        table.set_max_capacity(if holds_descriptors { MAX_DESCRIPTORS } else { MAX_RESOURCES });
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(MAX_FIELDS_BYTES);
        Ok(Self {
            meter: Meter::new(&facts.limits),
            transaction: None,
            service_calls_left: facts.limits.service_calls,
            authentication_until: None,
            log_left_bytes: facts.limits.log_bytes,
            log_lost_bytes: 0,
            http_hooks: Hooks::new(facts.clone()),
            http,
            facts,
            context: None,
            stderr,
            wasi: wasi.build(),
            table,
        })
    }

    /// The context of the current call. A guest that asks outside of one, while it is being started, traps.
    pub(crate) fn context(&mut self) -> wasmtime::Result<&mut Context> {
        self.context.as_deref_mut().ok_or_else(|| wasmtime::Error::msg("the context was asked for outside of a hook"))
    }
}

/// What WASI shows of the world outside: nothing but what was granted. No name look-up, no UDP, no listening socket; what is connected
/// to is held against the grant as the very address that is dialled.
fn world(wasi: &mut WasiCtxBuilder, sockets: &[SocketAddr], grants: &Grants) -> wasmtime::Result<()> {
    wasi.allow_ip_name_lookup(false).allow_udp(false).allow_tcp(!sockets.is_empty());
    if !sockets.is_empty() {
        let allowed: Arc<[SocketAddr]> = sockets.iter().copied().map(canonical).collect();
        wasi.socket_addr_check(move |address, what_for| {
            let answer = is_allowed(&allowed, address, what_for);
            Box::pin(async move { answer })
        });
    }
    for directory in &grants.files {
        wasi.preopened_dir(&directory.path, &directory.guest_path, FsPerms::ReadOnly)?;
    }
    Ok(())
}

/// The octets that guests get for random ones in a rehearsal: the same each time, and again after a while (xorshift).
fn chance() -> Deterministic {
    let mut state = CHANCE_SEED;
    let octets = (0..CHANCE_BYTES).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    });
    Deterministic::new(octets.collect())
}

fn is_allowed(allowed: &[SocketAddr], address: SocketAddr, what_for: SocketAddrUse) -> bool {
    match what_for {
        SocketAddrUse::TcpConnect => allowed.contains(&canonical(address)),
        // A connection is bound to any address and any port first.
        SocketAddrUse::TcpBind => address.ip().is_unspecified() && address.port() == 0,
        SocketAddrUse::TcpListen
        | SocketAddrUse::TcpAccept
        | SocketAddrUse::UdpBind
        | SocketAddrUse::UdpSend
        | SocketAddrUse::UdpReceive => false,
    }
}

/// An IPv4 address that is written as an IPv6 one (RFC 4291 section 2.5.5.2) is the same address.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

impl State {
    /// Calls of `wasi:http` and of our own services come out of the same share.
    pub(crate) fn settle_http(&mut self) {
        let taken = std::mem::take(&mut self.http_hooks.taken);
        self.service_calls_left = self.service_calls_left.saturating_sub(taken);
        self.http_hooks.calls_left = self.service_calls_left;
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.settle_http();
        WasiHttpCtxView { hooks: &mut self.http_hooks, table: &mut self.table, ctx: &mut self.http }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

const CHANCE_SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const CHANCE_BYTES: usize = 4093;

/// Octets that one `wasi:random` call gives.
const MAX_RANDOM_BYTES: u64 = 64 << 10;

/// Host resources (streams, pollables, header sections and bodies of HTTP) that one instance may hold: memory of the host's, of which each has up
/// to [`MAX_FIELDS_BYTES`].
const MAX_RESOURCES: usize = 256;

/// The same where some of them are descriptors of the process: sockets and files.
const MAX_DESCRIPTORS: usize = 64;

/// Octets of one header section of HTTP; as many as a response may have.
const MAX_FIELDS_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_address_can_be_connected_to() {
        let allowed = ["192.0.2.7:25".parse().unwrap(), "[2001:db8::1]:25".parse().unwrap()];
        let check = |address: &str, what_for: SocketAddrUse, expected: bool| {
            assert_eq!(is_allowed(&allowed, address.parse().unwrap(), what_for), expected, "{address} {what_for:?}");
        };
        check("192.0.2.7:25", SocketAddrUse::TcpConnect, true);
        check("[::ffff:192.0.2.7]:25", SocketAddrUse::TcpConnect, true);
        check("[2001:db8::1]:25", SocketAddrUse::TcpConnect, true);
        check("192.0.2.7:26", SocketAddrUse::TcpConnect, false);
        check("192.0.2.8:25", SocketAddrUse::TcpConnect, false);
        check("0.0.0.0:0", SocketAddrUse::TcpBind, true);
        check("0.0.0.0:25", SocketAddrUse::TcpBind, false);
        check("192.0.2.7:25", SocketAddrUse::TcpBind, false);
        check("0.0.0.0:0", SocketAddrUse::TcpListen, false);
        check("192.0.2.7:25", SocketAddrUse::TcpAccept, false);
        check("192.0.2.7:25", SocketAddrUse::UdpSend, false);
        check("192.0.2.7:25", SocketAddrUse::UdpReceive, false);
        check("0.0.0.0:0", SocketAddrUse::UdpBind, false);
    }
}
