//! `postgate:mail/session`: what is known of the session, and its notes.

use std::net::SocketAddr;

use super::NoteRefusal;
use crate::bindings::postgate::mail::session::{ClientHello, ClientIdentity, Endpoint, Host, NoteError, TlsLayer};
use crate::state::State;

impl Host for State {
    fn id(&mut self) -> wasmtime::Result<String> {
        Ok(self.context()?.session.id.clone())
    }

    fn listener(&mut self) -> wasmtime::Result<String> {
        Ok(self.context()?.session.listener.to_string())
    }

    fn remote(&mut self) -> wasmtime::Result<Endpoint> {
        Ok(endpoint(self.context()?.session.remote))
    }

    fn local(&mut self) -> wasmtime::Result<Endpoint> {
        Ok(endpoint(self.context()?.session.local))
    }

    fn hello(&mut self) -> wasmtime::Result<Option<ClientHello>> {
        Ok(self.context()?.session.hello.clone())
    }

    fn tls(&mut self) -> wasmtime::Result<Option<TlsLayer>> {
        Ok(self.context()?.session.tls.clone())
    }

    fn identity(&mut self) -> wasmtime::Result<Option<ClientIdentity>> {
        Ok(self.context()?.session.identity.clone())
    }

    fn early_talker(&mut self) -> wasmtime::Result<bool> {
        Ok(self.context()?.session.early_talker)
    }

    fn illegal_pipelining(&mut self) -> wasmtime::Result<u32> {
        Ok(self.context()?.session.illegal_pipelining)
    }

    fn note(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        Ok(self.context()?.notes.note(&name).map(str::to_owned))
    }

    fn set_note(&mut self, name: String, value: String) -> wasmtime::Result<Result<(), NoteError>> {
        let limit_bytes = self.facts.limits.note_bytes;
        Ok(self.context()?.notes.set(name, value, limit_bytes).map_err(|refusal| match refusal {
            NoteRefusal::TooLong => NoteError::TooLong,
            NoteRefusal::Quota => NoteError::Quota,
        }))
    }
}

/// An IPv4 address that came in as an IPv6 one (RFC 4291 section 2.5.5.2) is told as what it is.
fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint { address: address.ip().to_canonical().to_string(), port: address.port() }
}
