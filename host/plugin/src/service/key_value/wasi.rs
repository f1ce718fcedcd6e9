//! The standard `wasi:keyvalue` 0.2.0-draft (store, atomics, batch), on the same store and by the same grant as
//! `postgate:mail/key-value`. A guest that was written for it runs unchanged; it knows no expiry.
//!
//! The bindings are made of `wit-deps/keyvalue`, the standard's names and types.

use wasmtime::component::{HasSelf, Linker, Resource};

use self::bindings::wasi::keyvalue::store::{Error, HostBucket, KeyResponse};
use self::bindings::wasi::keyvalue::{atomics, batch, store};
use super::table::{Answer, Operation, mismatch};
use crate::bindings::postgate::mail::types::ServiceError;
use crate::state::State;

#[allow(missing_docs, unreachable_pub, reason = "generated")]
mod bindings {
    wasmtime::component::bindgen!({
        path: "wit-deps/keyvalue",
        world: "imports",
        imports: { default: async | trappable },
        with: { "wasi:keyvalue/store.bucket": super::Bucket },
    });
}

/// The plugin's store, opened: there is only one.
#[allow(unreachable_pub, reason = "the generated module exports it")]
#[derive(Debug)]
pub struct Bucket;

/// Offers the interfaces to guests; which may use them is checked when they are loaded.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    store::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    atomics::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    batch::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}

impl From<ServiceError> for Error {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Denied(_) => Self::AccessDenied,
            ServiceError::Quota(what) | ServiceError::Unavailable(what) | ServiceError::Invalid(what) => {
                Self::Other(what)
            }
            ServiceError::NotNow => Self::Other("not now".to_owned()),
        }
    }
}

impl store::Host for State {
    async fn open(&mut self, identifier: String) -> wasmtime::Result<Result<Resource<Bucket>, Error>> {
        let granted = self.facts.grants.key_value.as_ref();
        if !granted.is_some_and(|grant| identifier.is_empty() || identifier == grant.name) {
            return Ok(Err(Error::NoSuchStore));
        }
        Ok(self.table.push(Bucket).map_err(|_| Error::Other("too many stores are open".to_owned())))
    }
}

impl HostBucket for State {
    async fn get(&mut self, _: Resource<Bucket>, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        Ok(self.ask(Operation::Get { key }).await.and_then(|answer| Ok(answer.value()?)))
    }

    async fn set(&mut self, _: Resource<Bucket>, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.ask(Operation::Set { key, value, expires_after: None }).await.map(drop))
    }

    async fn delete(&mut self, _: Resource<Bucket>, key: String) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.ask(Operation::Delete { key }).await.map(drop))
    }

    async fn exists(&mut self, _: Resource<Bucket>, key: String) -> wasmtime::Result<Result<bool, Error>> {
        Ok(self.ask(Operation::Get { key }).await.and_then(|answer| Ok(answer.value()?.is_some())))
    }

    async fn list_keys(
        &mut self,
        _: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> wasmtime::Result<Result<KeyResponse, Error>> {
        let after = i64::try_from(cursor.unwrap_or(0)).unwrap_or(i64::MAX);
        Ok(match self.ask(Operation::Page { after }).await {
            Ok(Answer::Page(keys, last)) => {
                Ok(KeyResponse { keys, cursor: last.and_then(|last| u64::try_from(last).ok()) })
            }
            Ok(_) => Err(mismatch().into()),
            Err(error) => Err(error),
        })
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for State {
    async fn increment(
        &mut self,
        _: Resource<Bucket>,
        key: String,
        delta: u64,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let Ok(by) = i64::try_from(delta) else {
            return Ok(Err(Error::Other("the sum is beyond 63 bits".to_owned())));
        };
        let sum = self.ask(Operation::Increment { key, by, expires_after: None }).await;
        let negative = |_| Error::Other("the number is below 0".to_owned());
        Ok(sum.and_then(|answer| u64::try_from(answer.sum()?).map_err(negative)))
    }
}

impl batch::Host for State {
    async fn get_many(
        &mut self,
        _: Resource<Bucket>,
        keys: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<Option<(String, Vec<u8>)>>, Error>> {
        let mut found = Vec::new();
        let mut left = self.facts.limits.transfer_bytes;
        for key in keys {
            let answer = self.ask(Operation::Get { key: key.clone() }).await;
            let value = match answer.and_then(|answer| Ok(answer.value()?)) {
                Ok(value) => value,
                Err(error) => return Ok(Err(error)),
            };
            let octets = value.as_ref().map_or(0, |value| key.len() + value.len());
            left = match left.checked_sub(octets) {
                Some(left) => left,
                None => return Ok(Err(Error::Other("more octets than transfer-octets allows".to_owned()))),
            };
            found.push(value.map(|value| (key, value)));
        }
        Ok(Ok(found))
    }

    async fn set_many(
        &mut self,
        _: Resource<Bucket>,
        key_values: Vec<(String, Vec<u8>)>,
    ) -> wasmtime::Result<Result<(), Error>> {
        for (key, value) in key_values {
            if let Err(error) = self.ask(Operation::Set { key, value, expires_after: None }).await {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }

    async fn delete_many(&mut self, _: Resource<Bucket>, keys: Vec<String>) -> wasmtime::Result<Result<(), Error>> {
        for key in keys {
            if let Err(error) = self.ask(Operation::Delete { key }).await {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }
}

impl State {
    async fn ask(&mut self, operation: Operation) -> Result<Answer, Error> {
        Ok(self.store_call(operation).await?)
    }
}
