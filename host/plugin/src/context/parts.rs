//! `postgate:mail/parts`: the MIME parts of the message, decoded.

use crate::bindings::postgate::mail::parts::*;
use crate::bindings::postgate::mail::transaction::ContextError;
use crate::state::State;

impl Host for State {
    async fn all(&mut self) -> wasmtime::Result<Result<Vec<Part>, PartError>> {
        Ok(Err(PartError::NotNow))
    }
    async fn content(
        &mut self,
        _part: u32,
        _offset: u64,
        _length: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, PartError>> {
        Ok(Err(PartError::NotNow))
    }
    async fn text(&mut self, _part: u32) -> wasmtime::Result<Result<String, PartError>> {
        Ok(Err(PartError::NotNow))
    }
    fn field(&mut self, _name: String) -> wasmtime::Result<Result<Vec<String>, ContextError>> {
        Ok(Err(ContextError::NotNow))
    }
    fn addresses(&mut self, _name: String) -> wasmtime::Result<Result<Vec<NamedAddress>, ContextError>> {
        Ok(Err(ContextError::NotNow))
    }
}
