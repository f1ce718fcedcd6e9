//! The addresses of HTTP servers: each name is looked up once for a connection, and what is found is what is checked and dialled.
//!
//! Where the operator has named DNS servers (`[dns] servers`), they are asked, by the resolver that all services share, and names are absolute.
//! Otherwise the machine is, with its hosts file, by threads of which there are so many.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use hickory_resolver::proto::rr::{RData, Record, RecordType};
use tokio::sync::Semaphore;

use super::Failed;
use crate::service::dns::{LookupError, Resolver, absolute};

/// Looks names up for all plugins.
pub(crate) struct Names {
    resolver: Arc<Resolver>,
    /// Threads that wait for the machine.
    threads: Arc<Semaphore>,
}

impl Names {
    pub(crate) fn new(resolver: Arc<Resolver>) -> Self {
        Self { resolver, threads: Arc::new(Semaphore::new(MAX_THREADS)) }
    }

    /// Look-ups of one plugin at the same time.
    pub(super) fn lookups_per_plugin(&self) -> usize {
        self.resolver.lookups_per_plugin()
    }

    /// The addresses of a name; `lookups` are the plugin's places.
    pub(super) async fn addresses(
        &self,
        lookups: &Semaphore,
        name: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, Failed> {
        if self.resolver.is_chosen() { self.ask(lookups, name, port).await } else { self.machine(name, port).await }
    }

    /// By the gateway's resolver. An answer that is missing is no reason to do without the other.
    async fn ask(&self, lookups: &Semaphore, name: &str, port: u16) -> Result<Vec<SocketAddr>, Failed> {
        let absolute = absolute(name).map_err(unavailable)?;
        let (v4, v6) = tokio::join!(
            self.resolver.look_up(lookups, &absolute, RecordType::A),
            self.resolver.look_up(lookups, &absolute, RecordType::AAAA),
        );
        let addresses = |found: &Result<Vec<Record>, LookupError>| -> Vec<SocketAddr> {
            let records = found.as_deref().unwrap_or_default();
            records.iter().filter_map(|record| RData::ip_addr(&record.data)).map(|ip| (ip, port).into()).collect()
        };
        let mut found = [addresses(&v4), addresses(&v6)].concat();
        found.truncate(MAX_ADDRESSES);
        match (found.is_empty(), v4.err().or(v6.err())) {
            (true, Some(LookupError::NoSuchName)) => Err(unavailable("there is no such name")),
            (true, Some(LookupError::Unavailable(why))) => Err(unavailable(why)),
            (true, None) | (false, _) => Ok(found),
        }
    }

    /// By the machine. A look-up that is cancelled keeps its thread, and its place, until it is done.
    async fn machine(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>, Failed> {
        let permit = self.threads.clone().acquire_owned().await.map_err(unavailable)?;
        let target = (name.to_owned(), port);
        let found = tokio::task::spawn_blocking(move || {
            let _held = permit;
            target.to_socket_addrs().map(|found| found.take(MAX_ADDRESSES).collect())
        });
        let found: io::Result<_> = found.await.map_err(unavailable)?;
        found.map_err(unavailable)
    }
}

fn unavailable(error: impl std::fmt::Display) -> Failed {
    Failed::Connection(format!("the name can't be looked up: {error}"))
}

/// Threads that look names up at the same time.
const MAX_THREADS: usize = 32;
/// Addresses of a name that are tried.
const MAX_ADDRESSES: usize = 8;
