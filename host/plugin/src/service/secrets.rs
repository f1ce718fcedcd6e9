//! `postgate:mail/secrets`: secrets that the operator keeps outside the configuration.

use crate::bindings::postgate::mail::secrets::*;
use crate::bindings::postgate::mail::types::ServiceError;
use crate::state::State;

/// What the operator has granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {}

impl Host for State {
    fn value(&mut self, _name: String) -> wasmtime::Result<Result<String, ServiceError>> {
        Ok(Err(ServiceError::Unavailable("not built".to_owned())))
    }
    fn hmac_sha256(&mut self, _name: String, _data: Vec<u8>) -> wasmtime::Result<Result<Vec<u8>, ServiceError>> {
        Ok(Err(ServiceError::Unavailable("not built".to_owned())))
    }
}
