//! `postgate:mail/metrics`: figures of a plugin.

use crate::bindings::postgate::mail::metrics::*;
use crate::bindings::postgate::mail::types::ServiceError;
use crate::state::State;

impl Host for State {
    fn count(
        &mut self,
        _name: String,
        _labels: Vec<(String, String)>,
        _by: u64,
    ) -> wasmtime::Result<Result<(), ServiceError>> {
        Ok(Err(ServiceError::Unavailable("not built".to_owned())))
    }
    fn gauge(
        &mut self,
        _name: String,
        _labels: Vec<(String, String)>,
        _value: f64,
    ) -> wasmtime::Result<Result<(), ServiceError>> {
        Ok(Err(ServiceError::Unavailable("not built".to_owned())))
    }
    fn observe(
        &mut self,
        _name: String,
        _labels: Vec<(String, String)>,
        _value: f64,
    ) -> wasmtime::Result<Result<(), ServiceError>> {
        Ok(Err(ServiceError::Unavailable("not built".to_owned())))
    }
}
