//! What must not be guessed: octets for SCRAM (RFC 5802), from the system.

use std::sync::LazyLock;

use postgate_smtp::ScramDecoy;
use rustix::rand::{GetRandomFlags, getrandom};

/// Where chance comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chance {
    /// The system.
    System,
    /// Nowhere: in a rehearsal everything is the same each time.
    None,
}

impl Chance {
    /// Octets for the nonces of one session.
    pub(crate) fn seed(self) -> [u8; 32] {
        match self {
            Chance::System => seed(),
            Chance::None => [0; 32],
        }
    }

    /// What SCRAM asks of users whom nobody knows.
    pub(crate) fn decoy(self) -> ScramDecoy {
        match self {
            Chance::System => decoy(),
            Chance::None => ScramDecoy { key: [0; 32], iterations: SCRAM_ITERATIONS, salt_octets: SCRAM_SALT_OCTETS },
        }
    }
}

/// Octets for the nonces of one session.
pub(crate) fn seed() -> [u8; 32] {
    let mut octets = [0; 32];
    // Up to 256 octets come whole, and without fail once the system has begun.
    let filled = getrandom(&mut octets, GetRandomFlags::empty());
    assert!(filled == Ok(octets.len()), "invariant: the system has random octets");
    octets
}

/// What SCRAM asks of users whom nobody knows: the same for as long as this process lives.
fn decoy() -> ScramDecoy {
    static KEY: LazyLock<[u8; 32]> = LazyLock::new(seed);
    ScramDecoy { key: *KEY, iterations: SCRAM_ITERATIONS, salt_octets: SCRAM_SALT_OCTETS }
}

/// What `postgate password --scram` makes, so that users whom nobody knows look like those who were made with it.
pub(crate) const SCRAM_ITERATIONS: u32 = 600_000;
pub(crate) const SCRAM_SALT_OCTETS: usize = 16;
