//! Listeners: sockets bound, connections accepted within their bounds, and all of it brought to an end in good order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

use crate::arrival::Arrival;
use crate::callers::Callers;
use crate::config::{Config, Problem, Problems};
use crate::http::HttpDoor;
use crate::site::{Door, Site};
use crate::tls::watch::Watch;

pub use crate::tls::watch::Reloader;

/// Sockets that are bound and not served yet.
pub struct Server {
    ports: Vec<(TcpListener, Port)>,
    http: Vec<(TcpListener, SocketAddr, Arc<HttpDoor>)>,
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
}

impl Server {
    /// Binds all listeners; tells which can't be.
    pub async fn bind(config: &Config, site: Site) -> Result<Self, Problems> {
        let mut ports = Vec::new();
        let mut all_callers = Vec::new();
        let mut problems = Vec::new();
        let layers = site.doors.iter().filter_map(|door| door.tls.clone());
        let layers = layers.chain(site.http.iter().filter_map(|door| door.tls.clone())).collect();
        let watch = Watch::new(layers, config.certificate_check.0);
        for door in site.doors {
            let door = Arc::new(door);
            let callers = Arc::new(Callers::default());
            all_callers.push(callers.clone());
            for (n, address) in door.settings.bind.iter().enumerate() {
                match bind(*address).await {
                    Ok((socket, address)) => {
                        ports.push((socket, Port { address, door: door.clone(), callers: callers.clone() }));
                    }
                    Err(error) => problems.push(bind_problem(config, ("listener", &door.name), n, *address, &error)),
                }
            }
        }
        let mut http = Vec::new();
        for door in site.http {
            let door = Arc::new(door);
            for (n, address) in door.bind.iter().enumerate() {
                match bind(*address).await {
                    Ok((socket, address)) => http.push((socket, address, door.clone())),
                    Err(error) => problems.push(bind_problem(config, ("http", &door.name), n, *address, &error)),
                }
            }
        }
        if problems.is_empty() {
            Ok(Self { ports, http, callers: all_callers, watch, grace: config.shutdown_grace.0 })
        } else {
            Err(Problems::new(problems))
        }
    }

    /// The addresses that listeners are bound to, with their names: where the configuration said port 0, the port that it is.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        let smtp = self.ports.iter().map(|(_, port)| (&*port.door.name, port.address));
        smtp.chain(self.http.iter().map(|(_, address, door)| (&*door.name, *address)))
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
        for (socket, address, door) in self.http {
            tracing::info!(http = &*door.name, %address, "listening");
            ports.spawn(door.serve(socket, stopped.clone(), grace));
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
        // Sessions are told when nobody can come any more: a client that hears 421 finds the door closed.
        let (closing, told) = watch::channel(false);
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
        // Nobody hears it if there is no session.
        let _ = closing.send(true);
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

    /// Begins to serve a client, if there is room for it.
    fn admit(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
        stop: &watch::Receiver<bool>,
        connections: &mut JoinSet<()>,
    ) {
        match Arrival::new(stream, remote, &self.door, &self.callers) {
            Ok(arrival) => {
                connections.spawn(arrival.serve(stop.clone()));
            }
            Err(Some(turned_away)) => {
                connections.spawn(turned_away.linger());
            }
            Err(None) => {}
        }
    }

    /// Running out of file descriptors is no reason to end, nor to spin.
    async fn not_accepted(&self, error: &io::Error) {
        tracing::error!(listener = &*self.door.name, %error, "a connection could not be accepted");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

async fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = TcpListener::bind(address).await?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

#[allow(clippy::wildcard_enum_match_arm, reason = "an enum of the standard library, of which few kinds need words")]
fn bind_problem(
    config: &Config,
    (kind, listener): (&str, &str),
    n: usize,
    address: SocketAddr,
    error: &io::Error,
) -> Problem {
    let problem =
        config.problem(&[kind, listener, "bind", &n.to_string()], format!("{address} can't be listened on: {error}"));
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
