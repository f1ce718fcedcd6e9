//! `postgate:mail/fetch`: one HTTP request in one call.

use crate::bindings::postgate::mail::fetch::*;
use crate::bindings::postgate::mail::types::ServiceError;
use crate::state::State;

/// What the operator has granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {}

impl Host for State {
    async fn send(&mut self, _request: Request) -> wasmtime::Result<Result<Response, FetchError>> {
        Ok(Err(FetchError::Service(ServiceError::Unavailable("not built".to_owned()))))
    }
}
