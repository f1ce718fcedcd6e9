//! Connections: a name looked up once, its addresses checked, one of those dialled; TLS; and those that wait for the next request.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::exchange::Failed;
use super::network::{Network, may_dial};
use super::origin::{Host, Origin};
use super::{Body, Client};
use crate::stubs::serve_http;

/// A connection that nobody else uses.
pub(super) struct Connection {
    pub(super) sender: SendRequest<Body>,
    /// Moves its octets while it is polled; ends with the connection.
    pub(super) driver: Driver,
}

pub(super) type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// A connection that waits for the next request to its origin.
pub(super) struct Idle {
    origin: Origin,
    connection: Connection,
    since: Instant,
}

impl Client {
    /// An idle connection to that origin that is still open.
    pub(super) fn idle(&self, origin: &Origin) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| idle.since.elapsed() < IDLE_TIME);
        while let Some(at) = idle.iter().rposition(|idle| idle.origin == *origin) {
            let mut connection = idle.swap_remove(at).connection;
            if connection.is_open() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for the next request, if it can have one; the oldest makes room.
    pub(super) fn keep(&self, origin: Origin, mut connection: Connection) {
        if !connection.is_open() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| idle.since.elapsed() < IDLE_TIME);
        if idle.len() >= MAX_IDLE {
            let oldest = idle.iter().enumerate().min_by_key(|(_, idle)| idle.since).map(|(at, _)| at);
            oldest.map(|at| idle.swap_remove(at));
        }
        idle.push(Idle { origin, connection, since: Instant::now() });
    }

    /// Opens a connection.
    pub(super) async fn connect(&self, origin: &Origin) -> Result<Connection, Failed> {
        if let Some(stubs) = &self.stubs {
            let (stream, server) = tokio::io::duplex(MAX_HEAD_BYTES);
            let Connection { sender, driver } = handshake(stream).await?;
            let server = serve_http(stubs.clone(), origin.to_string(), server);
            return Ok(Connection { sender, driver: Box::pin(async { tokio::join!(driver, server).0 }) });
        }
        let addresses = match &origin.host {
            Host::Address(address) => vec![SocketAddr::new(*address, origin.port)],
            Host::Name(name) => self.names.addresses(&self.lookups, name, origin.port).await?,
        };
        let addresses = permitted(addresses, &self.grant.private)?;
        let stream = dial(&addresses).await?;
        if !origin.is_tls {
            return handshake(stream).await;
        }
        let Some(tls) = &self.tls else { return Err(Failed::Connection("no TLS is set up".to_owned())) };
        let name = match &origin.host {
            Host::Address(address) => ServerName::from(*address),
            Host::Name(name) => ServerName::try_from(name.clone())
                .map_err(|error| Failed::Invalid(format!("not a name for TLS: {error}")))?,
        };
        let secured = tls.connect(name, stream).await;
        handshake(secured.map_err(|error| Failed::Connection(format!("TLS: {error}")))?).await
    }
}

impl Connection {
    /// Whether another request can be sent: nothing has come, and the peer has not closed it.
    fn is_open(&mut self) -> bool {
        let ended = self.driver.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        matches!(ended, Poll::Pending) && self.sender.is_ready()
    }
}

async fn handshake<S>(stream: S) -> Result<Connection, Failed>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new();
    builder.max_buf_size(MAX_HEAD_BYTES).max_headers(MAX_FIELDS);
    let (sender, driver) = builder.handshake(TokioIo::new(stream)).await.map_err(Failed::of_hyper)?;
    Ok(Connection { sender, driver: Box::pin(driver) })
}

/// Those that may be dialled.
pub(super) fn permitted(addresses: Vec<SocketAddr>, listed: &[Network]) -> Result<Vec<SocketAddr>, Failed> {
    let (permitted, refused): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| may_dial(address.ip(), listed));
    match (permitted.is_empty(), refused.first()) {
        (false, _) => Ok(permitted),
        (true, Some(refused)) => Err(Failed::Prohibited(refused.ip())),
        (true, None) => Err(Failed::Connection("the name has no address".to_owned())),
    }
}

/// One after the other, each with its share of the time.
async fn dial(addresses: &[SocketAddr]) -> Result<TcpStream, Failed> {
    let mut last = Failed::Connection("the name has no address".to_owned());
    for address in addresses {
        match tokio::time::timeout(DIAL_TIME, TcpStream::connect(*address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(|error| Failed::Connection(error.to_string()))?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = refused(address.ip(), &error),
            Err(_) => last = Failed::Timeout,
        }
    }
    Err(last)
}

fn refused(address: IpAddr, error: &io::Error) -> Failed {
    Failed::Connection(format!("{address}: {error}"))
}

/// TLS as a client that believes the system's authorities and these.
pub(super) fn tls(authorities: &[CertificateDer<'static>]) -> Result<TlsConnector, rustls::Error> {
    let mut roots = RootCertStore::empty();
    // Some certificate of the system may be odd; the others are good nevertheless.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for authority in authorities {
        roots.add(authority.clone())?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Connections of one plugin that wait for the next request.
const MAX_IDLE: usize = 8;
const IDLE_TIME: Duration = Duration::from_secs(30);
const DIAL_TIME: Duration = Duration::from_secs(10);
/// A response's status line and header section, and what is read at once.
const MAX_HEAD_BYTES: usize = 64 << 10;
const MAX_FIELDS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_permitted_addresses_are_left() {
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let mixed = addresses(&["127.0.0.1:80", "8.8.8.8:80", "[::1]:80", "[2606:4700::1]:80"]);
        assert_eq!(permitted(mixed, &[]).unwrap(), addresses(&["8.8.8.8:80", "[2606:4700::1]:80"]));
        let private = addresses(&["169.254.169.254:80"]);
        assert!(matches!(permitted(private, &[]), Err(Failed::Prohibited(_))));
        assert!(matches!(permitted(Vec::new(), &[]), Err(Failed::Connection(_))));
        let listed = ["127.0.0.0/8".parse().unwrap()];
        assert_eq!(permitted(addresses(&["127.0.0.1:80"]), &listed).unwrap().len(), 1);
    }
}
