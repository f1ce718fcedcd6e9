//! A connection that has been accepted, until its session begins: who is it, and is there room for him?
//!
//! Behind a proxy both are known only when its PROXY header has come, which is before everything else, also before TLS. Of a peer
//! that is not listed no header is read: who else could say so would be whoever he likes.

use std::net::SocketAddr;
use std::sync::Arc;

use postgate_plugin::{Run, SessionFacts};
use postgate_smtp::{Proxied, ProxyHeader};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::callers::{Callers, Place};
use crate::connection::Connection;
use crate::id;
use crate::proxy::{self, HeaderError, Origin};
use crate::site::Door;
use crate::stage::Stage;
use crate::stream::Stream;
use crate::turned_away::TurnedAway;

/// A connection that has been accepted.
pub(crate) struct Arrival {
    stream: TcpStream,
    door: Arc<Door>,
    place: Place,
    kind: Kind,
    remote: SocketAddr,
    local: SocketAddr,
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Client(Origin),
    /// A proxy, whose header has not come yet.
    Proxy,
}

impl Arrival {
    /// Counts the client; where there is no room for it, it is told so, and perhaps listened to a little longer.
    pub(crate) fn new(
        stream: TcpStream,
        remote: SocketAddr,
        door: &Arc<Door>,
        callers: &Arc<Callers>,
    ) -> Result<Self, Option<TurnedAway>> {
        let limits = &door.settings.limits;
        let is_proxy = door.settings.proxy_from.iter().any(|network| network.contains(remote.ip()));
        let kind = if is_proxy { Kind::Proxy } else { Kind::Client(Origin::Known) };
        let place = Callers::enter(callers, limits.connections.number()).and_then(|place| match kind {
            Kind::Client(_) => place.of(remote.ip(), limits.connections_per_address.number()),
            Kind::Proxy => Some(place),
        });
        let Some(place) = place else {
            return Err(TurnedAway::tell(stream, door, callers, remote));
        };
        match stream.set_nodelay(true).and_then(|()| stream.local_addr()) {
            Ok(local) => Ok(Self { stream, door: door.clone(), place, kind, remote, local }),
            Err(error) => {
                tracing::debug!(%remote, %error, "connection lost");
                Err(None)
            }
        }
    }

    /// Serves the client until the session is over. `stop` asks it to come to an end soon.
    pub(crate) async fn serve(self, mut stop: watch::Receiver<bool>) {
        let arrived = match self.kind {
            Kind::Client(origin) => Some((self, origin)),
            Kind::Proxy => Box::pin(self.announced(&mut stop)).await,
        };
        let Some((arrival, origin)) = arrived else { return };
        let _counted = arrival.door.house.figures.session();
        let (connection, _place) = arrival.connection(origin, stop.clone());
        connection.serve(stop).await;
    }

    /// The client for whom the proxy speaks. Without a good header the connection is closed without a word.
    async fn announced(self, stop: &mut watch::Receiver<bool>) -> Option<(Self, Origin)> {
        let (listener, peer) = (&*self.door.name, self.remote);
        let header = tokio::select! {
            header = timeout(self.door.settings.limits.handshake_patience.0, proxy::header(&self.stream)) => header,
            _ = stop.wait_for(|stop| *stop) => return None,
        };
        match header {
            Ok(Ok(header)) => self.behind(header).await,
            Ok(Err(error @ HeaderError::Lost(_))) => {
                tracing::debug!(listener, %peer, %error, "connection lost");
                None
            }
            Ok(Err(error @ (HeaderError::Torn | HeaderError::Wrong(_)))) => {
                tracing::warn!(listener, %peer, %error, "proxy not understood");
                None
            }
            Err(_) => {
                tracing::warn!(listener, %peer, error = "no PROXY header in time", "proxy not understood");
                None
            }
        }
    }

    /// With what the header says. A client is counted in its own network; the proxy itself, and somebody whom nobody knows, in none.
    async fn behind(self, header: ProxyHeader) -> Option<(Self, Origin)> {
        let proxied = match header {
            ProxyHeader::Local => return Some((self, Origin::Known)),
            ProxyHeader::Unknown => return Some((self, Origin::Unknown)),
            ProxyHeader::Proxied(proxied) => *proxied,
        };
        self.log(&proxied);
        let Self { stream, door, place, kind, .. } = self;
        let Proxied { source: remote, destination: local, .. } = proxied;
        let callers = place.callers();
        match place.of(remote.ip(), door.settings.limits.connections_per_address.number()) {
            Some(place) => Some((Self { stream, door, place, kind, remote, local }, Origin::Known)),
            None => {
                if let Some(turned_away) = TurnedAway::tell(stream, &door, &callers, remote) {
                    turned_away.linger().await;
                }
                None
            }
        }
    }

    fn log(&self, proxied: &Proxied) {
        let facts = &proxied.facts;
        let tls = facts.tls.as_ref();
        tracing::debug!(
            listener = &*self.door.name,
            proxy = %self.remote,
            remote = %proxied.source,
            proxy_tls = ?tls.map(|tls| tls.version.as_deref().unwrap_or_default()),
            proxy_cipher = ?tls.and_then(|tls| tls.cipher_suite.as_deref()),
            proxy_certificate = ?tls.filter(|tls| tls.client_is_verified).and_then(|tls| tls.client_name.as_deref()),
            server_name = ?facts.authority,
            alpn = ?facts.alpn.as_ref().map(|octets| octets.escape_ascii().to_string()),
            unique_id = ?facts.unique_id.as_ref().map(|octets| octets.escape_ascii().to_string()),
            "proxy speaks for a client"
        );
    }

    fn connection(self, origin: Origin, stop: watch::Receiver<bool>) -> (Connection, Place) {
        let Self { stream, door, place, remote, local, .. } = self;
        let facts = SessionFacts {
            id: id::session(),
            listener: door.name.clone(),
            hostname: door.settings.hostname.as_str().into(),
            remote,
            local,
            hello: None,
            tls: None,
            identity: None,
            early_talker: false,
            illegal_pipelining: 0,
        };
        tracing::debug!(session = facts.id, listener = &*door.name, %remote, "session begins");
        let stage = Stage::new(door.house.clone(), Run::new(door.chain.clone(), facts), stop);
        (Connection::new(Stream::Plain(stream), door, stage, origin), place)
    }
}
