//! One request and its response: held against the grant, sent on a connection of the plugin's, within its time.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::header::{HOST, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use super::connection::{Connection, Driver};
use super::origin::{Host, Origin};
use super::{Body, Client, is_ours};

/// Why there is no response.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The grant does not name it.
    Denied(String),
    /// The address is not one to be dialled.
    Prohibited(IpAddr),
    /// Too many at once, or too large a request.
    Quota(String),
    /// Not a request.
    Invalid(String),
    /// No connection.
    Connection(String),
    /// Too late.
    Timeout,
    /// Too large a response.
    TooLarge,
    /// Too large a header section of one, or too many fields.
    HeadTooLarge,
    /// Not HTTP.
    Protocol(String),
}

impl Failed {
    pub(super) fn of_hyper(error: hyper::Error) -> Self {
        if error.is_timeout() {
            return Self::Timeout;
        }
        if error.is_parse_too_large() {
            return Self::HeadTooLarge;
        }
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        let text: String =
            format!("{error}{cause}").chars().take(MAX_TEXT_CHARS).flat_map(char::escape_debug).collect();
        // A body that breaks the rules of its length or its chunks is told of by an error of this kind.
        let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<io::Error>());
        let is_wrong_body = cause.is_some_and(|cause| WRONG_BODY.contains(&cause.kind()));
        if error.is_parse() || error.is_incomplete_message() || is_wrong_body {
            Self::Protocol(text)
        } else {
            Self::Connection(text)
        }
    }
}

/// A request that the grant allows, and has a place for.
pub(crate) struct Exchange {
    client: Arc<Client>,
    origin: Origin,
    request: Request<Body>,
    deadline: Instant,
    place: OwnedSemaphorePermit,
}

impl Exchange {
    /// Holds a request against the grant. The URL is absolute.
    pub(crate) fn new(client: &Arc<Client>, mut request: Request<Body>, deadline: Instant) -> Result<Self, Failed> {
        let origin = Origin::of(request.uri()).map_err(|what| Failed::Invalid(what.to_owned()))?;
        let grant = client.grant();
        if !grant.allow.iter().any(|entry| entry.covers(&origin)) {
            return Err(Failed::Denied(format!("{origin} is not in `allow`")));
        }
        let method = request.method();
        if *method == Method::CONNECT || !grant.methods.iter().any(|known| known == method.as_str()) {
            return Err(Failed::Denied(format!("{method} is not in `methods`")));
        }
        if request.body().size_hint().lower() > grant.request_bytes {
            return Err(Failed::Quota("request-octets: the body is larger".to_owned()));
        }
        prepare(client, &origin, &mut request)?;
        let place = client.places.clone().try_acquire_owned();
        let place = place.map_err(|_| Failed::Quota("concurrent: too many requests at once".to_owned()))?;
        Ok(Self { client: client.clone(), origin, request, deadline, place })
    }

    /// Sends it, and waits for the head of the response.
    pub(crate) async fn send(self) -> Result<Response<Arriving>, Failed> {
        let deadline = self.deadline;
        match tokio::time::timeout_at(deadline, self.respond()).await {
            Ok(response) => response,
            Err(_) => Err(Failed::Timeout),
        }
    }

    async fn respond(self) -> Result<Response<Arriving>, Failed> {
        let Self { client, origin, request, deadline, place } = self;
        let mut request = request;
        if let Some(stubs) = &client.stubs {
            let url = format!("{origin}{}", request.uri());
            stubs.http_answer(request.method().as_str(), &url).map_err(Failed::Connection)?;
        }
        if let Some(idle) = client.idle(&origin) {
            match try_send(idle, request).await {
                Ok((response, connection)) => {
                    return Ok(incoming(response, connection, client, origin, deadline, place));
                }
                // The peer has closed it in this moment, and has seen nothing of the request.
                Err((_, Some(unsent))) => request = *unsent,
                Err((failed, None)) => return Err(failed),
            }
        }
        let connection = client.connect(&origin).await?;
        match try_send(connection, request).await {
            Ok((response, connection)) => Ok(incoming(response, connection, client, origin, deadline, place)),
            Err((failed, _)) => Err(failed),
        }
    }
}

/// Takes what the guest must not say, and puts in what the host has to.
fn prepare(client: &Client, origin: &Origin, request: &mut Request<Body>) -> Result<(), Failed> {
    if let Some(name) = request.headers().keys().find(|name| is_ours(name)) {
        return Err(Failed::Invalid(format!("the field {name} is the host's")));
    }
    for added in client.headers.iter().filter(|added| added.to.covers(origin)) {
        if request.headers().contains_key(&added.name) {
            return Err(Failed::Denied(format!("the field {} is added by the host", added.name)));
        }
    }
    for added in client.headers.iter().filter(|added| added.to.covers(origin)) {
        request.headers_mut().append(added.name.clone(), added.value.clone());
    }
    let authority = host_field(origin);
    let host = HeaderValue::from_str(&authority).map_err(|_| Failed::Invalid("not a host".to_owned()))?;
    request.headers_mut().insert(HOST, host);
    // To a server, as against a proxy, the target is the path (RFC 9112 section 3.2.1).
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    *request.uri_mut() = path.parse::<Uri>().map_err(|_| Failed::Invalid("not a path".to_owned()))?;
    Ok(())
}

fn host_field(origin: &Origin) -> String {
    let host = match &origin.host {
        Host::Name(name) => name.clone(),
        Host::Address(IpAddr::V4(address)) => address.to_string(),
        Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
    };
    match (origin.is_tls, origin.port) {
        (true, 443) | (false, 80) => host,
        (_, port) => format!("{host}:{port}"),
    }
}

type Unsent = Option<Box<Request<Body>>>;

/// Sends a request while the connection is driven; what was not sent at all comes back.
async fn try_send(
    mut connection: Connection,
    request: Request<Body>,
) -> Result<(Response<Incoming>, Connection), (Failed, Unsent)> {
    let mut driver = Some(&mut connection.driver);
    let mut sending = std::pin::pin!(connection.sender.try_send_request(request));
    let sent = std::future::poll_fn(|cx| {
        if let Poll::Ready(sent) = sending.as_mut().poll(cx) {
            return Poll::Ready(sent);
        }
        if let Some(running) = driver.as_mut()
            && running.as_mut().poll(cx).is_ready()
        {
            // Whether well or badly: the sender knows more.
            driver = None;
            return sending.as_mut().poll(cx);
        }
        Poll::Pending
    });
    match sent.await {
        Ok(response) => {
            let ended = driver.is_none();
            // A driver that has ended must not be polled again.
            if ended {
                connection.driver = Box::pin(std::future::ready(Ok(())));
            }
            Ok((response, connection))
        }
        Err(mut error) => {
            let unsent = error.take_message().map(Box::new);
            Err((Failed::of_hyper(error.into_error()), unsent))
        }
    }
}

fn incoming(
    response: Response<Incoming>,
    connection: Connection,
    client: Arc<Client>,
    origin: Origin,
    deadline: Instant,
    place: OwnedSemaphorePermit,
) -> Response<Arriving> {
    response.map(|body| Arriving {
        body,
        connection: Some(connection),
        over: false,
        left: client.grant().response_bytes,
        late: Box::pin(tokio::time::sleep_until(deadline)),
        home: Some((client, origin)),
        _place: place,
    })
}

/// The body of a response as it comes: bounded in size and time. It drives its connection, and gives it back at its end.
pub(crate) struct Arriving {
    body: Incoming,
    connection: Option<Connection>,
    /// The connection has ended.
    over: bool,
    /// Octets that may still come.
    left: usize,
    late: Pin<Box<Sleep>>,
    /// Where the connection goes at the end.
    home: Option<(Arc<Client>, Origin)>,
    _place: OwnedSemaphorePermit,
}

impl Arriving {
    fn driver(&mut self) -> Option<&mut Driver> {
        self.connection.as_mut().map(|connection| &mut connection.driver)
    }

    /// The whole body.
    pub(crate) async fn collect(mut self) -> Result<Vec<u8>, Failed> {
        let mut octets = Vec::new();
        while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut self).poll_frame(cx)).await {
            if let Some(data) = frame?.data_ref() {
                octets.extend_from_slice(data);
            }
        }
        Ok(octets)
    }
}

impl hyper::body::Body for Arriving {
    type Data = Bytes;
    type Error = Failed;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failed>>> {
        let this = &mut *self;
        // First, because a peer that sends without an end, and says nothing with it, leaves no turn for the clock behind it.
        if this.late.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(Failed::Timeout)));
        }
        let mut polled = Pin::new(&mut this.body).poll_frame(cx);
        if polled.is_pending() && !this.over {
            this.over = this.driver().is_none_or(|driver| driver.as_mut().poll(cx).is_ready());
            if this.over {
                this.connection = None;
            }
            polled = Pin::new(&mut this.body).poll_frame(cx);
        }
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                let octets = frame.data_ref().map_or(0, Bytes::len);
                match this.left.checked_sub(octets) {
                    Some(left) => this.left = left,
                    None => return Poll::Ready(Some(Err(Failed::TooLarge))),
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(Failed::of_hyper(error)))),
            Poll::Ready(None) => {
                if let (Some(connection), Some((client, origin))) = (this.connection.take(), this.home.take()) {
                    client.keep(origin, connection);
                }
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        // Its end has to be polled for, so that the connection goes home.
        false
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

const WRONG_BODY: &[io::ErrorKind] =
    &[io::ErrorKind::InvalidData, io::ErrorKind::InvalidInput, io::ErrorKind::UnexpectedEof];

/// What a guest is told of an error.
const MAX_TEXT_CHARS: usize = 300;
