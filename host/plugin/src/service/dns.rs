//! `postgate:mail/dns`: names looked up.

use crate::bindings::postgate::mail::dns::*;
use crate::bindings::postgate::mail::types::ServiceError;
use crate::state::State;

impl Host for State {
    async fn addresses(&mut self, _name: String) -> wasmtime::Result<Result<Vec<String>, DnsError>> {
        Ok(Err(DnsError::Service(ServiceError::Unavailable("not built".to_owned()))))
    }
    async fn texts(&mut self, _name: String) -> wasmtime::Result<Result<Vec<Vec<u8>>, DnsError>> {
        Ok(Err(DnsError::Service(ServiceError::Unavailable("not built".to_owned()))))
    }
    async fn mail_exchanges(&mut self, _name: String) -> wasmtime::Result<Result<Vec<MailExchange>, DnsError>> {
        Ok(Err(DnsError::Service(ServiceError::Unavailable("not built".to_owned()))))
    }
    async fn names(&mut self, _address: String) -> wasmtime::Result<Result<Vec<String>, DnsError>> {
        Ok(Err(DnsError::Service(ServiceError::Unavailable("not built".to_owned()))))
    }
    async fn confirmed_names(&mut self, _address: String) -> wasmtime::Result<Result<Vec<String>, DnsError>> {
        Ok(Err(DnsError::Service(ServiceError::Unavailable("not built".to_owned()))))
    }
    async fn listings(&mut self, _subject: String, _zone: String) -> wasmtime::Result<Result<Vec<String>, DnsError>> {
        Ok(Err(DnsError::Service(ServiceError::Unavailable("not built".to_owned()))))
    }
}
