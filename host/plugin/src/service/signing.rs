//! `postgate:mail/signing`: DKIM signatures and ARC seals with keys that the host holds.
//!
//! What is signed is the message as it is at that moment, edits included. Its body is hashed as a stream, away from the event loop. The fields are put
//! on top as edits are: they count as such, and are taken back if the plugin then fails.

mod arc;
mod dkim;
mod key;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use self::key::{Algorithm, DEFAULT_FIELDS, DEFAULT_OVERSIGNED, Key, KeyConfig, KeyError};
use super::ServiceId;
use super::mail_authentication::edit_error;
use crate::bindings::postgate::mail::mail_authentication::ResultCode;
use crate::bindings::postgate::mail::signing::Host;
use crate::bindings::postgate::mail::types::ServiceError;
use crate::hook::Hook;
use crate::message::{Message, Place};
use crate::state::State;

/// What the operator has granted: the keys themselves, by name, so that no other can be reached.
#[derive(Clone, Debug, Default)]
pub struct Grant {
    /// By name.
    pub keys: BTreeMap<String, Arc<Key>>,
}

impl PartialEq for Grant {
    fn eq(&self, other: &Self) -> bool {
        self.keys.keys().eq(other.keys.keys())
    }
}

impl Eq for Grant {}

/// A field to be put on top.
struct Field {
    name: &'static str,
    value: Vec<u8>,
}

impl State {
    /// The key, and the message as it is now.
    fn signer(&mut self, name: &str) -> Result<(Arc<Key>, Message), ServiceError> {
        let keys = self.facts.grants.signing.as_ref();
        let key = keys.and_then(|grant| grant.keys.get(name)).cloned();
        let shown: String = name.chars().take(MAX_SHOWN_CHARS).collect();
        // Before anything else, so that a plugin can learn it when it looks at its configuration.
        let key =
            key.ok_or_else(|| ServiceError::Denied(format!("{shown:?} is not among the keys that were granted")))?;
        let context = self.context.as_deref().filter(|context| context.hook == Hook::Message);
        let message = context.and_then(|context| context.message.as_ref()).ok_or(ServiceError::NotNow)?;
        Ok((key, Message::clone(message)))
    }

    /// Makes fields away from the event loop, and puts them on top, the last one uppermost.
    async fn put_on_top(
        &mut self,
        make: impl FnOnce() -> Result<Vec<Field>, ServiceError> + Send + 'static,
    ) -> wasmtime::Result<Result<usize, ServiceError>> {
        let Ok(permit) = self.facts.disk.clone().acquire_owned().await else { return Ok(Err(ServiceError::NotNow)) };
        let made = tokio::task::spawn_blocking(move || {
            let _held = permit;
            make()
        });
        let fields = match made.await {
            Ok(Ok(fields)) => fields,
            Ok(Err(error)) => return Ok(Err(error)),
            Err(error) => return Ok(Err(ServiceError::Unavailable(error.to_string()))),
        };
        let octets = fields.iter().map(|field| field.name.len() + field.value.len()).sum();
        let edited = self.edit(octets, |_, message| {
            for field in &fields {
                message.add_field(field.name, &field.value, Place::Top);
            }
            Ok(octets)
        })?;
        Ok(edited.map_err(edit_error))
    }
}

impl Host for State {
    async fn dkim_sign(&mut self, key: String) -> wasmtime::Result<Result<(), ServiceError>> {
        let metered = metered!(self, ServiceId::Signing, |error| error);
        let (key, message) = match self.signer(&key) {
            Ok(signer) => signer,
            Err(error) => return Ok(Err(error)),
        };
        let now = self.facts.clock.now_s();
        let signed = self.put_on_top(move || Ok(vec![dkim::signature(&key, &message, now)?])).await?;
        Ok(signed.map(|octets| metered.octets(octets)))
    }

    async fn arc_seal(&mut self, key: String) -> wasmtime::Result<Result<(), ServiceError>> {
        let metered = metered!(self, ServiceId::Signing, |error| error);
        let (key, message) = match self.signer(&key) {
            Ok(signer) => signer,
            Err(error) => return Ok(Err(error)),
        };
        let (results, chain) = match (self.find_results().await, self.find_chain().await) {
            (Ok(results), Ok(chain)) => (results, chain),
            (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
        };
        if chain.code == ResultCode::Temperror {
            return Ok(Err(ServiceError::Unavailable("the chain of ARC sets can't be verified now".to_owned())));
        }
        let now = self.facts.clock.now_s();
        let sealed = self.put_on_top(move || arc::set(&key, &message, &results, chain.code, now)).await?;
        Ok(sealed.map(|octets| metered.octets(octets)))
    }
}

/// Octets in base64 (RFC 4648 section 4).
pub(crate) fn base64(octets: &[u8]) -> String {
    let digit = |n: u32| char::from(BASE64.get((n & 63) as usize).copied().unwrap_or(b'='));
    let mut text = String::with_capacity(octets.len().div_ceil(3) * 4);
    for chunk in octets.chunks(3) {
        let at = |n: usize| u32::from(chunk.get(n).copied().unwrap_or_default());
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for n in 0..4 {
            text.push(if n <= chunk.len() { digit(bits >> (18 - 6 * n)) } else { '=' });
        }
    }
    text
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Of a name that was not granted, in the error about it.
const MAX_SHOWN_CHARS: usize = 100;

#[cfg(test)]
mod tests {
    #[test]
    fn base64() {
        for (octets, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("\u{ff}", "w78=")]
        {
            assert_eq!(super::base64(octets.as_bytes()), text);
        }
    }
}
