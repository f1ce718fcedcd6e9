//! `postgate:mail/passwords`: argon2id hashes (RFC 9106) and keys of SCRAM-SHA-256 (RFC 5802) verified natively, away from the event loop.
//!
//! One verification takes tens of milliseconds, and with argon2id as many megabytes, on purpose. So how many run at once, and how many
//! wait, is bounded, and the networks of the clients take turns.

mod queue;

use std::net::IpAddr;
use std::sync::Arc;

use argon2::password_hash::{PasswordHash, PasswordVerifier};
use argon2::{Argon2, Params};

use super::ServiceId;
use crate::bindings::postgate::mail::passwords::{Host, PasswordError};
use crate::network::network;
use crate::scram::{SCHEME, ScramEntry};
use crate::state::State;
use queue::Queue;

/// Verifies passwords, so many at a time.
#[derive(Debug)]
pub(crate) struct Verifier {
    queue: Arc<Queue>,
}

/// Why a password was not verified.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VerifierError {
    /// The hash can't be used.
    #[error("{0}")]
    InvalidHash(String),
    /// Too many are waiting.
    #[error("too many passwords are waiting to be verified")]
    Busy,
}

/// What a password is compared with; its costs are bounded.
enum Secret {
    /// A PHC string.
    Argon2id(String),
    Scram(ScramEntry),
}

impl Verifier {
    /// A verifier of `workers` passwords at a time, at least one.
    pub(crate) fn new(workers: usize) -> Self {
        Self { queue: Queue::new(workers.max(1)) }
    }

    /// Whether `password`, from a client at this address, is the one that `hash` was made of.
    ///
    /// A caller that is cancelled gives its worker back when the work that it began is done, not before.
    pub(crate) async fn verify(&self, client: IpAddr, password: String, hash: String) -> Result<bool, VerifierError> {
        let secret = Secret::read(hash)?;
        let worker = self.queue.worker(network(client)).await.ok_or(VerifierError::Busy)?;
        let verified = tokio::task::spawn_blocking(move || {
            let _held = worker;
            secret.is_of(&password)
        });
        verified.await.map_err(|_| VerifierError::Busy)
    }
}

impl Secret {
    fn read(hash: String) -> Result<Self, VerifierError> {
        if hash.starts_with(SCHEME) {
            let entry = hash.parse().map_err(|error| VerifierError::InvalidHash(format!("{error}")));
            return entry.map(Self::Scram);
        }
        check(&hash)?;
        Ok(Self::Argon2id(hash))
    }

    fn is_of(&self, password: &str) -> bool {
        match self {
            Self::Argon2id(hash) => PasswordHash::new(hash)
                .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()),
            Self::Scram(entry) => entry.is_of(password),
        }
    }
}

/// A plugin must not make the host spend what it likes: the costs in a hash are bounded before it is tried.
fn check(hash: &str) -> Result<(), VerifierError> {
    let invalid = |what: String| VerifierError::InvalidHash(what);
    let parsed = PasswordHash::new(hash).map_err(|error| invalid(format!("it is not a PHC string: {error}")))?;
    if parsed.algorithm.as_str() != "argon2id" {
        return Err(invalid(format!("it is of {}, not of argon2id", parsed.algorithm)));
    }
    let params = Params::try_from(&parsed).map_err(|error| invalid(format!("its parameters are wrong: {error}")))?;
    for (what, value, limit) in [
        ("m (KiB)", params.m_cost(), MAX_MEMORY_KIB),
        ("t", params.t_cost(), MAX_PASSES),
        ("p", params.p_cost(), MAX_LANES),
    ] {
        if value > limit {
            return Err(invalid(format!("its cost {what} is {value}; {limit} is the most")));
        }
    }
    if parsed.hash.is_none() || parsed.salt.is_none() {
        return Err(invalid("it has no salt or no hash".to_owned()));
    }
    Ok(())
}

impl Host for State {
    async fn verify(&mut self, password: String, hash: String) -> wasmtime::Result<Result<bool, PasswordError>> {
        let metered = self.facts.usage.begin(ServiceId::Passwords, &self.facts);
        metered.octets(password.len() + hash.len());
        let verifier = self.facts.passwords.clone();
        let client = self.context()?.session.remote.ip();
        Ok(verifier.verify(client, password, hash).await.map_err(|error| match error {
            VerifierError::InvalidHash(what) => PasswordError::InvalidHash(what),
            VerifierError::Busy => PasswordError::Busy,
        }))
    }
}

const MAX_MEMORY_KIB: u32 = 256 << 10;
const MAX_PASSES: u32 = 16;
const MAX_LANES: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// `secret`, with the least costs that argon2 has.
    const SECRET: &str = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$";

    fn hash_of(password: &str) -> String {
        use argon2::password_hash::{PasswordHasher, SaltString};
        let argon =
            Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, Params::new(8, 1, 1, None).unwrap());
        let salt = SaltString::from_b64("c29tZXNhbHRzYWx0").unwrap();
        argon.hash_password(password.as_bytes(), &salt).unwrap().to_string()
    }

    #[tokio::test]
    async fn right_and_wrong() {
        let verifier = Arc::new(Verifier::new(1));
        let hash = hash_of("secret");
        let entry = ScramEntry::of("secret", b"salt", 4096).unwrap().to_string();
        for hash in [hash, entry] {
            assert_eq!(verifier.verify(CLIENT, "secret".into(), hash.clone()).await, Ok(true), "{hash}");
            assert_eq!(verifier.verify(CLIENT, "Secret".into(), hash).await, Ok(false));
        }
        assert_eq!((verifier.queue.waiting(), verifier.queue.idle()), (0, 1));
    }

    #[tokio::test]
    async fn hashes_that_cannot_be_used() {
        let verifier = Arc::new(Verifier::new(1));
        for bad in [
            "secret",
            "",
            SECRET,
            "SCRAM-SHA-256$1:c2FsdA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "SCRAM-SHA-256$",
            "$2b$12$abcdefghijklmnopqrstuuVl6zY3y1n9sIrqSUtyzmvgRTLCl2",
            "$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$c29tZWhhc2hzb21laGFzaA",
            "$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHQ$c29tZWhhc2hzb21laGFzaA",
            "$argon2id$v=19$m=64,t=9999,p=1$c29tZXNhbHQ$c29tZWhhc2hzb21laGFzaA",
        ] {
            let answer = verifier.verify(CLIENT, "secret".into(), bad.into()).await;
            assert!(matches!(answer, Err(VerifierError::InvalidHash(_))), "{bad}: {answer:?}");
        }
    }

    #[tokio::test]
    async fn those_that_wait_are_bounded() {
        let verifier = Arc::new(Verifier::new(1));
        let held = verifier.queue.worker(CLIENT).await.unwrap();
        let hash = hash_of("secret");
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..queue::MAX_WAITING_EACH + 5 {
            let (verifier, hash) = (verifier.clone(), hash.clone());
            waiting.spawn(async move { verifier.verify(CLIENT, "secret".into(), hash).await });
        }
        for _ in 0..5 {
            assert_eq!(waiting.join_next().await.unwrap().unwrap(), Err(VerifierError::Busy));
        }
        drop(held);
        while let Some(answer) = waiting.join_next().await {
            assert_eq!(answer.unwrap(), Ok(true));
        }
    }
}
