//! `postgate:mail/secrets`: secrets that the operator keeps outside the configuration.
//!
//! A value is here from the start of the process on, and goes nowhere but to a guest that may read it, and into a header field where the operator has put
//! it: not into `Debug`, and not into a line of the log, where it is replaced by `***` (HMAC: RFC 2104 with SHA-256).

mod redactor;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, Mac};
use sha2::Sha256;

pub(crate) use self::redactor::Redactor;
use super::{Grants, ServiceId};
use crate::bindings::postgate::mail::secrets::Host;
use crate::bindings::postgate::mail::types::ServiceError;
use crate::state::State;

/// A secret's value. It shows itself to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// A secret of that value.
    pub fn new(value: &str) -> Self {
        Self(value.into())
    }

    /// The value, for whoever has to send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// What the operator has granted: secrets by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Those that the guest may read, and sign with.
    pub read: BTreeMap<String, Secret>,
    /// Those that it may sign with only.
    pub sign: BTreeMap<String, Secret>,
}

/// Takes all values out that were granted in any way: what a guest may not read a server may have told it.
pub(crate) fn redactor(grants: &Grants) -> Redactor {
    let own = grants.secrets.iter().flat_map(|grant| grant.read.values().chain(grant.sign.values()));
    let sent = grants.http.iter().flat_map(|grant| grant.headers.iter().map(|header| &header.secret));
    Redactor::new(own.chain(sent))
}

impl Host for State {
    fn value(&mut self, name: String) -> wasmtime::Result<Result<String, ServiceError>> {
        let metered = match self.metered(ServiceId::Secrets) {
            Ok(metered) => metered,
            Err(error) => return Ok(Err(error)),
        };
        let found = self.facts.grants.secrets.as_ref().and_then(|grant| grant.read.get(&name));
        Ok(found.map_or_else(
            || Err(denied(&name, "read")),
            |secret| {
                metered.octets(secret.expose().len());
                Ok(secret.expose().to_owned())
            },
        ))
    }

    fn hmac_sha256(&mut self, name: String, data: Vec<u8>) -> wasmtime::Result<Result<Vec<u8>, ServiceError>> {
        let metered = match self.metered(ServiceId::Secrets) {
            Ok(metered) => metered,
            Err(error) => return Ok(Err(error)),
        };
        metered.octets(data.len());
        let grant = self.facts.grants.secrets.as_ref();
        let found = grant.and_then(|grant| grant.sign.get(&name).or_else(|| grant.read.get(&name)));
        Ok(found.map_or_else(|| Err(denied(&name, "sign")), |secret| Ok(sign(secret, &data))))
    }
}

fn sign(secret: &Secret, data: &[u8]) -> Vec<u8> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("invariant: HMAC takes a key of any length");
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}

fn denied(name: &str, list: &str) -> ServiceError {
    let name: String = name.chars().take(MAX_NAME_CHARS).flat_map(char::escape_debug).collect();
    ServiceError::Denied(format!("secret \"{name}\" is not in the list `{list}` of the grant"))
}

const REDACTED: &str = "***";
/// Of a name that is told back.
const MAX_NAME_CHARS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_itself_to_nobody() {
        let grant = Grant {
            read: [("key".to_owned(), Secret::new("s3cr\"et"))].into(),
            sign: [("other".to_owned(), Secret::new("hidden"))].into(),
        };
        let shown = format!("{grant:?} {:#?}", grant.clone());
        assert!(!shown.contains("s3cr") && !shown.contains("hidden") && shown.contains("***"), "{shown}");
        let redactor = redactor(&Grants { secrets: Some(grant), ..Grants::default() });
        assert_eq!(redactor.text("a s3cr\"et b hidden".to_owned()), "a *** b ***");
    }

    /// RFC 4231, test case 2.
    #[test]
    fn hmac() {
        let signature = sign(&Secret::new("Jefe"), b"what do ya want for nothing?");
        let hex: String = signature.iter().map(|octet| format!("{octet:02x}")).collect();
        assert_eq!(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
