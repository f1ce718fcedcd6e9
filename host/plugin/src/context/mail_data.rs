//! `postgate:mail/mail-data`: reading the message.

use crate::bindings::postgate::mail::mail_data::{ContextError, HeaderField, Host};
use crate::message::Message;
use crate::state::State;

impl State {
    fn message<T>(&mut self, answer: impl FnOnce(&Message) -> T) -> wasmtime::Result<Result<T, ContextError>> {
        Ok(self.context()?.message.as_deref().map(answer).ok_or(ContextError::NotNow))
    }
}

impl Host for State {
    fn size(&mut self) -> wasmtime::Result<Result<u64, ContextError>> {
        self.message(Message::size)
    }

    fn body_offset(&mut self) -> wasmtime::Result<Result<u64, ContextError>> {
        self.message(|message| message.header().len() as u64)
    }

    fn header(&mut self) -> wasmtime::Result<Result<Vec<HeaderField>, ContextError>> {
        self.message(|message| {
            message
                .fields()
                .map(|(name, value)| HeaderField {
                    name: String::from_utf8_lossy(name).into_owned(),
                    value: value.to_vec(),
                })
                .collect()
        })
    }

    fn field(&mut self, name: String) -> wasmtime::Result<Result<Vec<Vec<u8>>, ContextError>> {
        self.message(|message| {
            message
                .fields()
                .filter(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))
                .map(|(_, value)| value.to_vec())
                .collect()
        })
    }

    async fn read(&mut self, offset: u64, length: u32) -> wasmtime::Result<Result<Vec<u8>, ContextError>> {
        let Some(message) = self.context()?.message.clone() else {
            return Ok(Err(ContextError::NotNow));
        };
        let length = (length as usize).min(MAX_READ_BYTES);
        let mut octets = room(&message, offset, length);
        if message.read_at_once(offset, length, &mut octets)? {
            return Ok(Ok(octets));
        }
        let Ok(permit) = self.facts.disk.clone().acquire_owned().await else { return Ok(Err(ContextError::NotNow)) };
        let message = Message::clone(&message);
        let octets = tokio::task::spawn_blocking(move || {
            let _held = permit;
            message.read(offset, length, &mut octets).map(|()| octets)
        });
        Ok(Ok(octets.await??))
    }
}

fn room(message: &Message, offset: u64, length: usize) -> Vec<u8> {
    Vec::with_capacity(length.min(message.size().saturating_sub(offset) as usize))
}

/// Octets that one call gives at most.
const MAX_READ_BYTES: usize = 1 << 20;
