//! `postgate:mail/fetch`: one HTTP request in one call, on the machinery of `service/http.rs`.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Body as _;
use hyper::header::{HeaderName, HeaderValue};
use tokio::time::Instant;

use super::ServiceId;
use super::http::{Body, Client, Exchange, Failed, of_message, of_octets};
use crate::bindings::postgate::mail::fetch::{FetchError, Host, Request, RequestBody, Response};
use crate::bindings::postgate::mail::types::ServiceError;
use crate::state::State;

impl Host for State {
    async fn send(&mut self, request: Request) -> wasmtime::Result<Result<Response, FetchError>> {
        let metered = match self.metered(ServiceId::Http) {
            Ok(metered) => metered,
            Err(error) => return Ok(Err(FetchError::Service(error))),
        };
        let Some(client) = self.facts.http.clone() else {
            return Ok(Err(FetchError::Service(ServiceError::Denied("http is not granted".to_owned()))));
        };
        let body = match request.body {
            RequestBody::None => of_octets(Vec::new()),
            RequestBody::Octets(ref octets) => of_octets(octets.clone()),
            RequestBody::Message => {
                let message = self.context.as_ref().and_then(|context| context.message.clone());
                let Some(message) = message else { return Ok(Err(FetchError::Service(ServiceError::NotNow))) };
                of_message(message, self.facts.disk.clone())
            }
        };
        metered.octets(usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX));
        let answer = fetch(&client, request, body).await;
        if let Ok(response) = &answer {
            metered.octets(response.body.len());
        }
        let plugin = self.facts.name.as_str();
        match &answer {
            Ok(response) => tracing::debug!(plugin, status = response.status, "http request answered"),
            Err(failed) => {
                let failed = self.facts.redactor.text(format!("{failed:?}"));
                tracing::info!(plugin, failed, "http request failed");
            }
        }
        Ok(answer.map_err(FetchError::from))
    }
}

async fn fetch(client: &Arc<Client>, request: Request, body: Body) -> Result<Response, Failed> {
    let grant = client.grant();
    let asked = request.timeout_ms.map(|milliseconds| Duration::from_millis(milliseconds.into()));
    let deadline = Instant::now() + asked.map_or(grant.timeout, |asked| asked.min(grant.timeout));
    let exchange = Exchange::new(client, built(request, body)?, deadline)?;
    let (head, body) = exchange.send().await?.into_parts();
    if body.size_hint().lower() > grant.response_bytes as u64 {
        return Err(Failed::TooLarge);
    }
    Ok(Response {
        status: head.status.as_u16(),
        headers: head.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect(),
        body: body.collect().await?,
    })
}

fn built(request: Request, body: Body) -> Result<hyper::Request<Body>, Failed> {
    let invalid = |what: &str| Failed::Invalid(what.to_owned());
    if request.url.len() > MAX_URL_BYTES {
        return Err(invalid("the URL is too long"));
    }
    if request.headers.len() > MAX_FIELDS {
        return Err(invalid("too many header fields"));
    }
    let mut built = hyper::Request::new(body);
    *built.method_mut() = request.method.parse().map_err(|_| invalid("not a method"))?;
    *built.uri_mut() = request.url.parse().map_err(|_| invalid("not a URL"))?;
    for (name, value) in request.headers {
        let field = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid("not a field name"))?;
        let value = HeaderValue::from_bytes(&value).map_err(|_| invalid("not a field value"))?;
        built.headers_mut().append(field, value);
    }
    Ok(built)
}

impl From<Failed> for FetchError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Denied(what) => Self::Service(ServiceError::Denied(what)),
            Failed::Prohibited(address) => {
                Self::Service(ServiceError::Denied(format!("{address} is neither global nor in `private`")))
            }
            Failed::Quota(what) => Self::Service(ServiceError::Quota(what)),
            Failed::Invalid(what) => Self::Service(ServiceError::Invalid(what)),
            Failed::Connection(what) => Self::Connection(what),
            Failed::Timeout => Self::Timeout,
            Failed::TooLarge | Failed::HeadTooLarge => Self::TooLarge,
            Failed::Protocol(what) => Self::Protocol(what),
        }
    }
}

const MAX_URL_BYTES: usize = 8 << 10;
const MAX_FIELDS: usize = 100;
