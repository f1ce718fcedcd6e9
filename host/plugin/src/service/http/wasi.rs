//! `wasi:http/outgoing-handler` 0.2 on the same machinery: what a request of the standard interface becomes, and what its failures are called.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use hyper::{Request, Response};
use tokio::time::Instant;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::{Client, Exchange, Failed};
use crate::component::Facts;
use crate::service::ServiceId;

/// What `wasi:http` needs of an instance.
pub(crate) struct Hooks {
    facts: Arc<Facts>,
    /// Calls of services that this call of a hook may still make.
    pub(crate) calls_left: u32,
    /// Those that were made since somebody last looked.
    pub(crate) taken: u32,
}

impl Hooks {
    pub(crate) fn new(facts: Arc<Facts>) -> Self {
        Self { facts, calls_left: 0, taken: 0 }
    }
}

type Sent = Result<(Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _fut: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let metered = self.facts.usage.begin(ServiceId::Http, &self.facts);
        let Some(left) = self.calls_left.checked_sub(1) else {
            self.facts.usage.refuse(ServiceId::Http);
            return Box::new(std::future::ready(Err(Error::ConnectionLimitReached)));
        };
        self.calls_left = left;
        self.taken += 1;
        let Some(client) = self.facts.http.clone() else {
            return Box::new(std::future::ready(Err(Error::HttpRequestDenied)));
        };
        Box::new(async move {
            let _metered = metered;
            let response = exchange(&client, request, options.unwrap_or_default()).await.map_err(Error::from)?;
            let response = response.map(|body| body.map_err(Error::from).boxed_unsync());
            // The body drives its connection: there is nothing else to be done.
            Ok((response, Box::new(std::future::ready(Ok(()))) as Box<dyn Future<Output = _> + Send>))
        })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK_BYTES
    }
}

async fn exchange(
    client: &Arc<Client>,
    mut request: Request<WasiBody>,
    options: RequestOptions,
) -> Result<Response<super::exchange::Arriving>, Failed> {
    let grant = client.grant();
    let asked = [options.connect_timeout, options.first_byte_timeout].into_iter().flatten();
    let asked: Duration = asked.sum();
    let timeout = if asked.is_zero() { grant.timeout } else { asked.min(grant.timeout) };
    // The engine has set the one and checked the other.
    request.headers_mut().remove("host");
    request.headers_mut().remove("content-length");
    let bound = grant.request_bytes;
    let request = request.map(|body| Bounded { body, left: bound }.boxed_unsync());
    Exchange::new(client, request, Instant::now() + timeout)?.send().await
}

/// A guest's body, which ends with an error where it is larger than the grant allows.
struct Bounded {
    body: WasiBody,
    left: u64,
}

impl hyper::body::Body for Bounded {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                let octets = frame.data_ref().map_or(0, Bytes::len) as u64;
                match self.left.checked_sub(octets) {
                    Some(left) => {
                        self.left = left;
                        Some(Ok(frame))
                    }
                    None => Some(Err("the body is larger than request-octets".into())),
                }
            }
            Some(Err(error)) => Some(Err(error.to_string().into())),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Denied(_) => Self::HttpRequestDenied,
            Failed::Prohibited(_) => Self::DestinationIpProhibited,
            Failed::Quota(_) => Self::ConnectionLimitReached,
            Failed::Invalid(_) => Self::HttpRequestUriInvalid,
            Failed::Connection(_) => Self::ConnectionRefused,
            Failed::Timeout => Self::HttpResponseTimeout,
            Failed::TooLarge => Self::HttpResponseBodySize(None),
            Failed::HeadTooLarge => Self::HttpResponseHeaderSectionSize(None),
            Failed::Protocol(_) => Self::HttpProtocolError,
        }
    }
}

/// Octets of one write into a body. Two of them wait for whoever takes them, in the host's memory, for each body that a guest has begun.
const CHUNK_BYTES: usize = 16 << 10;
