//! Incoming HTTP/1.1 (RFC 9112), in clear or below TLS: requests to plugins that export `wasi:http/incoming-handler`, and the gateway's metrics.
//!
//! Each request is answered by a fresh instance. The gateway adds no banner, and of a plugin that fails the client learns a status and nothing else.

mod patient;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use postgate_plugin::{Plugin, SessionFacts, TlsLayer, Unanswered, exposition};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::patient::Patient;
use crate::config::HttpLimits;
use crate::figures::{self, Figures};
use crate::id;
use crate::tls::Tls;

/// One HTTP listener, shared by its connections.
pub(crate) struct HttpDoor {
    pub(crate) name: Arc<str>,
    /// Our name.
    pub(crate) hostname: Arc<str>,
    pub(crate) bind: Vec<SocketAddr>,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) mounts: Vec<Mounted>,
    pub(crate) limits: HttpLimits,
}

/// Who answers below a path.
pub(crate) struct Mounted {
    pub(crate) path: String,
    pub(crate) host: Option<String>,
    pub(crate) target: Target,
}

pub(crate) enum Target {
    Plugin(Arc<Plugin>),
    Metrics(Observed),
}

/// All that is counted.
pub(crate) struct Observed {
    pub(crate) plugins: Vec<Arc<Plugin>>,
    pub(crate) listeners: Vec<Arc<Figures>>,
}

/// The ends of a connection, and what is between them.
#[derive(Clone)]
struct Ends {
    remote: SocketAddr,
    local: SocketAddr,
    tls: Option<TlsLayer>,
}

type Answer = Response<Full<Bytes>>;

impl HttpDoor {
    /// Accepts connections until it is told to stop; then requests may end within the grace time. Answers how many connections were cut off.
    pub(crate) async fn serve(
        self: Arc<Self>,
        socket: TcpListener,
        mut stopped: watch::Receiver<bool>,
        grace: Duration,
    ) -> usize {
        let told = stopped.clone();
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = socket.accept() => match accepted {
                    // One too many is closed by being dropped.
                    Ok(_) if connections.len() >= self.limits.connections.number() => {
                        tracing::warn!(http = &*self.name, "too many connections");
                    }
                    Ok((stream, remote)) => {
                        connections.spawn(self.clone().connection(stream, remote, told.clone()));
                    }
                    Err(error) => {
                        tracing::error!(http = &*self.name, %error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
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
        // Who is late is counted and cut off.
        let _ = timeout(grace, all).await;
        let left = connections.len();
        connections.shutdown().await;
        left
    }

    fn ended(&self, ended: &Result<(), tokio::task::JoinError>) {
        if let Err(error) = ended {
            tracing::error!(http = &*self.name, %error, "http connection broken off by a defect");
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, remote: SocketAddr, mut stop: watch::Receiver<bool>) {
        let Ok(local) = stream.set_nodelay(true).and_then(|()| stream.local_addr()) else { return };
        let Some(tls) = &self.tls else {
            return self.speak(stream, Ends { remote, local, tls: None }, stop).await;
        };
        // Who is in a handshake when all ends has sent no request.
        let stopping = async { drop(stop.wait_for(|stop| *stop).await) };
        let shaken = tokio::select! {
            shaken = tls.handshake(stream) => shaken,
            () = stopping => return,
        };
        match shaken {
            Ok((stream, peer)) => {
                self.clone().speak(stream, Ends { remote, local, tls: Some(peer.layer) }, stop).await;
            }
            Err(error) => tracing::info!(http = &*self.name, %remote, ?error, "TLS handshake failed"),
        }
    }

    /// Requests, one after the other, until the connection ends.
    async fn speak<S>(self: Arc<Self>, stream: S, ends: Ends, mut stop: watch::Receiver<bool>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let remote = ends.remote;
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.patience.0)
            .max_headers(MAX_FIELDS)
            .max_buf_size(self.limits.header_octets.octets().max(MIN_BUFFER_BYTES))
            .auto_date_header(true);
        let door = self.clone();
        let service = service_fn(move |request| {
            let (door, ends) = (door.clone(), ends.clone());
            async move { Ok::<_, std::convert::Infallible>(door.answer(request, ends).await) }
        });
        let mut connection = std::pin::pin!(
            builder.serve_connection(TokioIo::new(Patient::new(stream, self.limits.patience.0)), service)
        );
        let stopping = async { drop(stop.wait_for(|stop| *stop).await) };
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = stopping => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = served {
            tracing::debug!(http = &*self.name, %remote, %error, "http connection broken");
        }
    }

    async fn answer(&self, request: Request<Incoming>, ends: Ends) -> Answer {
        let Ends { remote, local, tls } = ends;
        let id = id::session();
        let (method, path) = (request.method().clone(), request.uri().path().len());
        let answer = match self.mount(&request) {
            None => status(StatusCode::NOT_FOUND),
            Some(Mounted { target: Target::Metrics(observed), .. }) => metrics(&method, observed),
            Some(Mounted { target: Target::Plugin(plugin), .. }) => {
                let facts = SessionFacts {
                    id: id.clone(),
                    listener: self.name.clone(),
                    hostname: self.hostname.clone(),
                    remote,
                    local,
                    hello: None,
                    tls,
                    identity: None,
                    early_talker: false,
                    illegal_pipelining: 0,
                };
                self.ask(plugin, request, facts).await
            }
        };
        let status = answer.status().as_u16();
        tracing::info!(http = &*self.name, session = id, %remote, %method, path_octets = path, status, "http request");
        answer
    }

    /// Who answers: the longest path, and with a host before without.
    fn mount(&self, request: &Request<Incoming>) -> Option<&Mounted> {
        let host = request.uri().host().map(str::to_owned).or_else(|| {
            let field = request.headers().get(HOST)?.to_str().ok()?;
            Some(field.parse::<hyper::http::uri::Authority>().ok()?.host().to_owned())
        });
        let host = host.map(|host| host.to_ascii_lowercase());
        let fits = |mount: &&Mounted| {
            is_below(request.uri().path(), &mount.path) && (mount.host.is_none() || mount.host == host)
        };
        self.mounts.iter().filter(fits).max_by_key(|mount| (mount.path.len(), mount.host.is_some()))
    }

    async fn ask(&self, plugin: &Arc<Plugin>, request: Request<Incoming>, facts: SessionFacts) -> Answer {
        let has_host = request.headers().get(HOST).is_some_and(|host| host.to_str().is_ok());
        if !has_host && request.uri().authority().is_none() {
            return status(StatusCode::BAD_REQUEST);
        }
        let bound = self.limits.body_octets.octets();
        let declared =
            request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if declared.is_some_and(|octets| octets > self.limits.body_octets.0) {
            return status(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let request = request.map(|body| Limited::new(body, bound).boxed_unsync());
        match plugin.respond(request, facts, self.limits.response_octets.octets()).await {
            Ok(response) => {
                let (mut head, body) = response.into_parts();
                // How octets travel is our business.
                for name in [CONTENT_LENGTH, TRANSFER_ENCODING, HeaderName::from_static("connection")] {
                    head.headers.remove(name);
                }
                Response::from_parts(head, Full::new(body))
            }
            Err(Unanswered::Failed) => status(StatusCode::INTERNAL_SERVER_ERROR),
            Err(Unanswered::Busy) => status(StatusCode::SERVICE_UNAVAILABLE),
            Err(Unanswered::Late) => status(StatusCode::GATEWAY_TIMEOUT),
        }
    }
}

/// `/a` has `/a` and `/a/b` below it, and not `/ab`.
fn is_below(path: &str, mount: &str) -> bool {
    let mount = mount.strip_suffix('/').unwrap_or(mount);
    path.strip_prefix(mount).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn metrics(method: &Method, observed: &Observed) -> Answer {
    if *method != Method::GET && *method != Method::HEAD {
        let mut answer = status(StatusCode::METHOD_NOT_ALLOWED);
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    let text = figures::exposition(&observed.listeners) + &exposition(observed.plugins.iter());
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    answer
}

/// A response that says no more than its status.
fn status(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const MAX_FIELDS: usize = 100;
/// The least that the parser works with.
const MIN_BUFFER_BYTES: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_below_a_mount() {
        for (path, mount, expected) in [
            ("/", "/", true),
            ("/a", "/", true),
            ("/a", "/a", true),
            ("/a/", "/a", true),
            ("/a/b", "/a/", true),
            ("/ab", "/a", false),
            ("/", "/a", false),
            ("*", "/", false),
        ] {
            assert_eq!(is_below(path, mount), expected, "{path} {mount}");
        }
    }
}
