//! `postgate:mail/key-value`: octets by key.

use crate::bindings::postgate::mail::key_value::*;
use crate::bindings::postgate::mail::types::ServiceError;
use crate::state::State;

/// What the operator has granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {}

impl Host for State {
    async fn get(&mut self, _key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, ServiceError>> {
        Ok(Err(ServiceError::Unavailable("not built".to_owned())))
    }
    async fn set(
        &mut self,
        _key: String,
        _value: Vec<u8>,
        _expires_after: Option<u32>,
    ) -> wasmtime::Result<Result<(), ServiceError>> {
        Ok(Err(ServiceError::Unavailable("not built".to_owned())))
    }
    async fn delete(&mut self, _key: String) -> wasmtime::Result<Result<bool, ServiceError>> {
        Ok(Err(ServiceError::Unavailable("not built".to_owned())))
    }
    async fn increment(
        &mut self,
        _key: String,
        _by: i64,
        _expires_after: Option<u32>,
    ) -> wasmtime::Result<Result<i64, ServiceError>> {
        Ok(Err(ServiceError::Unavailable("not built".to_owned())))
    }
    async fn replace(
        &mut self,
        _key: String,
        _expected: Option<Vec<u8>>,
        _value: Vec<u8>,
        _expires_after: Option<u32>,
    ) -> wasmtime::Result<Result<bool, ServiceError>> {
        Ok(Err(ServiceError::Unavailable("not built".to_owned())))
    }
    async fn keys(
        &mut self,
        _prefix: String,
        _after: Option<String>,
    ) -> wasmtime::Result<Result<Vec<String>, ServiceError>> {
        Ok(Err(ServiceError::Unavailable("not built".to_owned())))
    }
}
