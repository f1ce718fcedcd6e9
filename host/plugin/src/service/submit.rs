//! `postgate:mail/submit`: messages handed over to relays.

use crate::bindings::postgate::mail::submit::*;
use crate::bindings::postgate::mail::types::{Mailbox, ServiceError};
use crate::state::State;

/// What the operator has granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {}

impl Host for State {
    async fn relay(
        &mut self,
        _name: String,
        _recipients: Vec<Mailbox>,
    ) -> wasmtime::Result<Result<Vec<Submission>, ServiceError>> {
        Ok(Err(ServiceError::Unavailable("not built".to_owned())))
    }
    async fn send(
        &mut self,
        _name: String,
        _reverse_path: Option<Mailbox>,
        _recipients: Vec<Mailbox>,
        _message: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<Submission>, ServiceError>> {
        Ok(Err(ServiceError::Unavailable("not built".to_owned())))
    }
}
