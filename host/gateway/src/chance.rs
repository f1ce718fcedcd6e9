//! What must not be guessed: octets for SCRAM (RFC 5802), from the system.

use std::sync::LazyLock;

use postgate_smtp::ScramDecoy;
use rustix::rand::{GetRandomFlags, getrandom};

/// Octets for the nonces of one session.
pub(crate) fn seed() -> [u8; 32] {
    let mut octets = [0; 32];
    // Up to 256 octets come whole, and without fail once the system has begun.
    let filled = getrandom(&mut octets, GetRandomFlags::empty());
    assert!(filled == Ok(octets.len()), "invariant: the system has random octets");
    octets
}

/// What SCRAM asks of users whom nobody knows: the same for as long as this process lives.
pub(crate) fn decoy() -> ScramDecoy {
    static KEY: LazyLock<[u8; 32]> = LazyLock::new(seed);
    ScramDecoy { key: *KEY, iterations: 4096, salt_octets: 16 }
}
