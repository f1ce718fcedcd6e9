//! `postgate:mail/signing`: DKIM signatures and ARC seals with keys that the host holds.

use crate::bindings::postgate::mail::signing::*;
use crate::bindings::postgate::mail::types::ServiceError;
use crate::state::State;

/// What the operator has granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {}

impl Host for State {
    async fn dkim_sign(&mut self, _key: String) -> wasmtime::Result<Result<(), ServiceError>> {
        Ok(Err(ServiceError::Unavailable("not built".to_owned())))
    }
    async fn arc_seal(&mut self, _key: String) -> wasmtime::Result<Result<(), ServiceError>> {
        Ok(Err(ServiceError::Unavailable("not built".to_owned())))
    }
}
