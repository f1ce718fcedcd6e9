//! `postgate:mail/parts`: the MIME parts of the message, decoded.
//!
//! Small messages are taken apart where the call is made; everything else is done on one of the bounded threads for the disk, with a
//! copy of the message, so that a call that is given up leaves nothing behind.

use std::sync::Arc;

use crate::bindings::postgate::mail::parts::{ContextError, Host, NamedAddress, Part, PartError};
use crate::message::Message;
use crate::mime::{self, ScanError, Structure};
use crate::state::State;

/// An answer, or why there is none.
type Asked<T> = Result<T, PartError>;

impl State {
    /// The MIME structure of the message.
    pub(super) async fn structure(&mut self) -> wasmtime::Result<Asked<Arc<Structure>>> {
        let Some(message) = self.context()?.message.clone() else { return Ok(Err(PartError::NotNow)) };
        if let Some(known) = message.known_structure() {
            return Ok(Ok(known));
        }
        let found = self.aside(&message, message.size(), |message| message.structure()).await?;
        Ok(match found {
            None => Err(PartError::NotNow),
            Some(Ok(structure)) => Ok(structure),
            Some(Err(ScanError::TooComplex)) => Err(PartError::TooComplex),
            Some(Err(ScanError::TooLarge)) => Err(PartError::TooLarge),
            Some(Err(ScanError::Disk(error))) => return Err(error.into()),
        })
    }

    /// Does something with the message: here if it is little work, and otherwise on another thread. None when the gateway ends.
    async fn aside<T: Send + 'static>(
        &mut self,
        message: &Message,
        octets: u64,
        work: impl FnOnce(&Message) -> T + Send + 'static,
    ) -> wasmtime::Result<Option<T>> {
        if octets <= SMALL_BYTES && message.is_in_memory() {
            return Ok(Some(work(message)));
        }
        let Ok(permit) = self.facts.disk.clone().acquire_owned().await else { return Ok(None) };
        let message = message.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _held = permit;
            work(&message)
        });
        Ok(Some(done.await?))
    }

    /// Octets of a part's decoded content, and its charset.
    async fn part_content(
        &mut self,
        part: u32,
        offset: u64,
        length: u32,
    ) -> wasmtime::Result<Asked<(Vec<u8>, Option<String>)>> {
        let structure = match self.structure().await? {
            Ok(structure) => structure,
            Err(error) => return Ok(Err(error)),
        };
        let Some(charset) = structure.part(part).map(|part| part.facts.charset.clone()) else {
            return Ok(Err(PartError::NoSuchPart));
        };
        let Some(message) = self.context()?.message.clone() else { return Ok(Err(PartError::NotNow)) };
        let length = (length as usize).min(MAX_READ_BYTES);
        let read = self.aside(&message, length as u64, move |message| {
            let mut octets = Vec::new();
            match structure.part(part) {
                Some(part) => {
                    part.read(offset, length, |range, out| message.read_body(range, out), &mut octets).map(|()| octets)
                }
                None => Ok(octets),
            }
        });
        match read.await? {
            Some(octets) => Ok(Ok((octets?, charset))),
            None => Ok(Err(PartError::NotNow)),
        }
    }
}

impl Host for State {
    async fn all(&mut self) -> wasmtime::Result<Asked<Vec<Part>>> {
        let structure = self.structure().await?;
        Ok(structure
            .map(|structure| structure.parts.iter().zip(0..).map(|(part, number)| told(part, number)).collect()))
    }

    async fn content(&mut self, part: u32, offset: u64, length: u32) -> wasmtime::Result<Asked<Vec<u8>>> {
        Ok(self.part_content(part, offset, length).await?.map(|(octets, _)| octets))
    }

    async fn text(&mut self, part: u32) -> wasmtime::Result<Asked<String>> {
        let (octets, charset) = match self.part_content(part, 0, u32::MAX).await? {
            Ok(content) => content,
            Err(error) => return Ok(Err(error)),
        };
        if octets.len() as u64 <= SMALL_BYTES {
            return Ok(Ok(mime::text_of(&octets, charset.as_deref())));
        }
        let Ok(permit) = self.facts.disk.clone().acquire_owned().await else { return Ok(Err(PartError::NotNow)) };
        let text = tokio::task::spawn_blocking(move || {
            let _held = permit;
            mime::text_of(&octets, charset.as_deref())
        });
        Ok(Ok(text.await?))
    }

    fn field(&mut self, name: String) -> wasmtime::Result<Result<Vec<String>, ContextError>> {
        self.decoded(&name, mime::decoded_field)
    }

    fn addresses(&mut self, name: String) -> wasmtime::Result<Result<Vec<NamedAddress>, ContextError>> {
        let found = self.decoded(&name, mime::field_addresses)?;
        let all = found.map(|fields| fields.into_iter().flatten());
        Ok(all.map(|all| all.map(|(name, address)| NamedAddress { name, address }).collect()))
    }
}

impl State {
    /// What is made of each field of that name.
    fn decoded<T>(
        &mut self,
        name: &str,
        decode: impl Fn(&[u8]) -> T,
    ) -> wasmtime::Result<Result<Vec<T>, ContextError>> {
        let Some(message) = self.context()?.message.as_deref() else { return Ok(Err(ContextError::NotNow)) };
        let fields = message.fields().filter(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()));
        Ok(Ok(fields.map(|(_, value)| decode(value)).collect()))
    }
}

fn told(part: &mime::Part, number: u32) -> Part {
    let mime::Facts { media_type, charset, file_name, attachment, content_id, .. } = part.facts.clone();
    Part { number, parent: part.parent, media_type, charset, file_name, attachment, content_id, size: part.size }
}

/// Octets that one call gives at most.
const MAX_READ_BYTES: usize = 1 << 20;

/// Work on so many octets is done where the call is made.
const SMALL_BYTES: u64 = 32 << 10;
