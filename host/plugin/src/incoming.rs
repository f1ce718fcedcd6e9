//! Incoming HTTP: a component that exports `wasi:http/incoming-handler` 0.2 answers a request, in an instance of its own, within the plugin's
//! fuel, memory and deadline.
//!
//! There is no mail session then: the context has the ends of the HTTP connection and the listener's name, and neither transaction nor message, which
//! are `not-now`. The whole response is waited for before any of it is sent, so that a guest that fails half-way has said nothing.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Limited};
use hyper::{Request, Response};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use wasmtime_wasi_http::p2::bindings::exports::wasi::http::incoming_handler::GuestIndices;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::{Error, WasiHttpView};

use crate::component::Plugin;
use crate::context::{Context, SessionFacts};
use crate::failure::{Cause, Failure};
use crate::instance::{self, Instance};

/// The interface that a component exports.
pub(crate) const INTERFACE: &str = "wasi:http/incoming-handler@0.2.0";

/// A request's body.
pub type RequestBody = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// Why a plugin has not answered. The log has the details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// It failed: 500.
    Failed,
    /// No instance could be had: 503.
    Busy,
    /// It took too long: 504.
    Late,
}

impl Plugin {
    /// Whether it answers HTTP requests.
    pub fn answers_http(&self) -> bool {
        self.incoming.is_some()
    }

    /// Has the plugin answer a request. `session` names the connection; `response_bytes` bounds the response's body.
    pub async fn respond(
        self: &Arc<Self>,
        request: Request<RequestBody>,
        session: SessionFacts,
        response_bytes: usize,
    ) -> Result<Response<Bytes>, Unanswered> {
        let id = session.id.clone();
        self.answered(request, session, response_bytes).await.map_err(|failure| {
            tracing::warn!(
                plugin = self.name(),
                session = id,
                cause = failure.cause.name(),
                fuel_used = failure.fuel_used,
                memory_bytes = failure.memory_bytes,
                detail = self.redacted(failure.detail),
                stderr = %failure.stderr,
                "plugin failed to answer http"
            );
            match failure.cause {
                Cause::Unavailable => Unanswered::Busy,
                Cause::Deadline => Unanswered::Late,
                Cause::Trap | Cause::Fuel | Cause::Memory | Cause::Reply => Unanswered::Failed,
            }
        })
    }

    async fn answered(
        &self,
        request: Request<RequestBody>,
        session: SessionFacts,
        response_bytes: usize,
    ) -> Result<Response<Bytes>, Failure> {
        let deadline = Instant::now() + self.facts.limits.deadline;
        let _places = instance::places(&self.engine, 1, deadline).await?;
        let mut instance = Instance::new(self, deadline).await?;
        let scheme = if session.tls.is_some() { Scheme::Https } else { Scheme::Http };
        instance.begin(Box::new(Context::new(session)));
        let _running = self.engine.pulse().run();
        let call = call(self.incoming.as_ref(), &mut instance, (request, scheme), response_bytes);
        let outcome = timeout_at(deadline, call).await;
        instance.outcome(outcome)?.map_err(|detail| Failure {
            cause: Cause::Reply,
            detail,
            fuel_used: 0,
            memory_bytes: 0,
            stderr: String::new(),
        })
    }
}

/// Calls the guest, and gathers its response while it runs.
async fn call(
    indices: Option<&GuestIndices>,
    instance: &mut Instance,
    (request, scheme): (Request<RequestBody>, Scheme),
    response_bytes: usize,
) -> wasmtime::Result<Result<Response<Bytes>, String>> {
    let indices = indices.ok_or_else(|| wasmtime::Error::msg("it does not answer http"))?;
    let guest = indices.load(&mut instance.store, &instance.instance)?;
    let (sender, receiver) = oneshot::channel();
    let request = request.map(|body| body.map_err(|_| Error::HttpRequestBodySize(None)));
    let mut http = instance.store.data_mut().http();
    let request = http.new_incoming_request(scheme, request)?;
    let out = http.new_response_outparam(sender)?;
    let gathered = async {
        let response = match receiver.await {
            Ok(Ok(response)) => response,
            Ok(Err(code)) => return Ok(Err(format!("it answered with the error {code:?}"))),
            Err(_) => return Ok(Err("it gave no response".to_owned())),
        };
        let (head, body) = response.into_parts();
        match Limited::new(body, response_bytes).collect().await {
            Ok(body) => Ok(Ok(Response::from_parts(head, body.to_bytes()))),
            // The guest would wait for ever for somebody to take the rest.
            Err(error) => Err(wasmtime::Error::msg(format!("its response was broken off: {error}"))),
        }
    };
    let called = guest.call_handle(&mut instance.store, request, out);
    let (response, ()) = tokio::try_join!(gathered, called)?;
    Ok(response)
}
