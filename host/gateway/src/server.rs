//! Listeners: sockets bound, connections accepted within their bounds, and all of it brought to an end in good order.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use postgate_plugin::{Run, SessionFacts, network};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

use crate::config::{Config, Problem, Problems};
use crate::connection::Connection;
use crate::id;
use crate::site::{Door, Site};
use crate::stage::Stage;
use crate::tls::watch::Watch;
use crate::turned_away::TurnedAway;

pub use crate::tls::watch::Reloader;

/// Sockets that are bound and not served yet.
pub struct Server {
    ports: Vec<(TcpListener, Port)>,
    /// Of each listener.
    callers: Vec<Arc<Callers>>,
    watch: Watch,
    grace: Duration,
}

/// A bound socket of a listener.
struct Port {
    address: SocketAddr,
    door: Arc<Door>,
    callers: Arc<Callers>,
    turned_away: TurnedAway,
}

impl Server {
    /// Binds all listeners; tells which can't be.
    pub async fn bind(config: &Config, site: Site) -> Result<Self, Problems> {
        let mut ports = Vec::new();
        let mut all_callers = Vec::new();
        let mut problems = Vec::new();
        let layers = site.doors.iter().filter_map(|door| door.tls.clone()).collect();
        let watch = Watch::new(layers, config.certificate_check.0);
        for door in site.doors {
            let door = Arc::new(door);
            let callers = Arc::new(Callers::default());
            all_callers.push(callers.clone());
            for (n, address) in door.settings.bind.iter().enumerate() {
                match bind(*address).await {
                    Ok((socket, address)) => {
                        let turned_away = TurnedAway::new();
                        ports.push((
                            socket,
                            Port { address, door: door.clone(), callers: callers.clone(), turned_away },
                        ));
                    }
                    Err(error) => problems.push(bind_problem(config, &door.name, n, *address, &error)),
                }
            }
        }
        if problems.is_empty() {
            Ok(Self { ports, callers: all_callers, watch, grace: config.shutdown_grace.0 })
        } else {
            Err(Problems::new(problems))
        }
    }

    /// The addresses that listeners are bound to, with their names: where the configuration said port 0, the port that it is.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        self.ports.iter().map(|(_, port)| (&*port.door.name, port.address))
    }

    /// Has certificates loaded anew while the server runs.
    pub fn reloader(&self) -> Reloader {
        self.watch.reloader()
    }

    /// Serves until `stop` is ready. Then there are no new sessions, idle ones are closed, open transactions may finish within
    /// the grace time, or until `hurry` is ready. Answers how many sessions had to be cut off.
    pub async fn run(self, stop: impl Future<Output = ()>, hurry: impl Future<Output = ()>) -> usize {
        let (stopping, stopped) = watch::channel(false);
        let grace = self.grace;
        let mut ports = JoinSet::new();
        for (socket, port) in self.ports {
            tracing::info!(listener = &*port.door.name, address = %port.address, chain = port.door.chain.name(), "listening");
            ports.spawn(port.serve(socket, stopped.clone(), grace));
        }
        tokio::select! {
            () = stop => {}
            () = self.watch.run() => {}
        }
        tracing::info!(?grace, "stopping");
        // Nobody listens any more if all ports have ended, which they do not by themselves.
        let _ = stopping.send(true);
        let ended = async {
            let mut cut_off = 0;
            while let Some(port) = ports.join_next().await {
                cut_off += port.unwrap_or_default();
            }
            cut_off
        };
        // With the ports go their sessions.
        let cut_off = tokio::select! {
            cut_off = ended => cut_off,
            () = hurry => self.callers.iter().map(|callers| callers.count()).sum(),
        };
        tracing::info!(cut_off, "stopped");
        cut_off
    }
}

impl Port {
    async fn serve(self, socket: TcpListener, mut stopped: watch::Receiver<bool>, grace: Duration) -> usize {
        let told = stopped.clone();
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = socket.accept() => match accepted {
                    Ok((stream, remote)) => self.admit(stream, remote, &told, &mut connections),
                    Err(error) => self.not_accepted(&error).await,
                },
                Some(ended) = connections.join_next() => self.ended(&ended),
                _ = stopped.changed() => break,
            }
        }
        drop(socket);
        let all = async {
            while let Some(ended) = connections.join_next().await {
                self.ended(&ended);
            }
        };
        let finished = timeout(grace, all).await;
        let left = connections.len();
        if finished.is_err() {
            tracing::warn!(listener = &*self.door.name, sessions = left, "sessions cut off after the grace time");
        }
        connections.shutdown().await;
        left
    }

    /// A session's task has ended; with a panic, if there is a defect in us.
    fn ended(&self, ended: &Result<(), JoinError>) {
        if let Err(error) = ended {
            tracing::error!(listener = &*self.door.name, %error, "session broken off by a defect");
        }
    }

    /// Begins a session, if there is room for it.
    fn admit(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
        stop: &watch::Receiver<bool>,
        connections: &mut JoinSet<()>,
    ) {
        let limits = &self.door.settings.limits;
        let bounds = (limits.connections.number(), limits.connections_per_address.number());
        let Some(place) = Callers::enter(&self.callers, remote.ip(), bounds) else {
            tracing::warn!(listener = &*self.door.name, %remote, "too many connections");
            self.turned_away.tell(stream, connections);
            return;
        };
        let local = match stream.set_nodelay(true).and_then(|()| stream.local_addr()) {
            Ok(local) => local,
            Err(error) => {
                tracing::debug!(%remote, %error, "connection lost");
                return;
            }
        };
        let facts = SessionFacts {
            id: id::session(),
            listener: self.door.name.clone(),
            remote,
            local,
            hello: None,
            tls: None,
            identity: None,
        };
        tracing::debug!(session = facts.id, listener = &*self.door.name, %remote, "session begins");
        let run = Run::new(self.door.chain.clone(), facts);
        let stage = Stage::new(self.door.house.clone(), run);
        let connection = Connection::new(stream, self.door.clone(), stage);
        let stop = stop.clone();
        connections.spawn(async move {
            let _place = place;
            connection.serve(stop).await;
        });
    }

    /// Running out of file descriptors is no reason to end, nor to spin.
    async fn not_accepted(&self, error: &io::Error) {
        tracing::error!(listener = &*self.door.name, %error, "a connection could not be accepted");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// Who is connected to a listener.
#[derive(Debug, Default)]
struct Callers {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_network: HashMap<IpAddr, usize>,
}

/// A place among the connections; given back when dropped.
struct Place {
    callers: Arc<Callers>,
    network: IpAddr,
}

impl Callers {
    /// A place for one more, of so many in all and so many from one network.
    fn enter(callers: &Arc<Self>, address: IpAddr, (all, each): (usize, usize)) -> Option<Place> {
        let network = network(address);
        let mut counts = callers.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.all >= all || counts.by_network.get(&network).is_some_and(|count| *count >= each) {
            return None;
        }
        counts.all += 1;
        *counts.by_network.entry(network).or_default() += 1;
        Some(Place { callers: callers.clone(), network })
    }
}

impl Callers {
    /// How many are connected.
    fn count(&self) -> usize {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.callers.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all -= 1;
        if let Some(count) = counts.by_network.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                counts.by_network.remove(&self.network);
            }
        }
    }
}

async fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = TcpListener::bind(address).await?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

#[allow(clippy::wildcard_enum_match_arm, reason = "an enum of the standard library, of which few kinds need words")]
fn bind_problem(config: &Config, listener: &str, n: usize, address: SocketAddr, error: &io::Error) -> Problem {
    let problem = config
        .problem(&["listener", listener, "bind", &n.to_string()], format!("{address} can't be listened on: {error}"));
    match error.kind() {
        io::ErrorKind::AddrInUse => problem.note("another program has this port; `ss -ltnp` tells which"),
        io::ErrorKind::PermissionDenied => problem.note(
            "ports below 1024 need the capability CAP_NET_BIND_SERVICE, or socket privileges of the service manager",
        ),
        io::ErrorKind::AddrNotAvailable => {
            problem.note("this machine does not have that address; `ip address` lists its own")
        }
        _ => problem,
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_counted_by_network() {
        let callers = Arc::new(Callers::default());
        let enter = |address: &str| Callers::enter(&callers, address.parse().unwrap(), (3, 2));
        let one = enter("192.0.2.1").unwrap();
        let _two = enter("::ffff:192.0.2.1").unwrap();
        assert!(enter("192.0.2.1").is_none());
        let _three = enter("2001:db8::1").unwrap();
        assert!(enter("192.0.2.2").is_none());
        drop(one);
        let _four = enter("2001:db8::ffff:1").unwrap();
        assert!(enter("192.0.2.1").is_none());
        assert_eq!(callers.counts.lock().unwrap().by_network.len(), 2);
    }
}
