//! What is stored of a password for SCRAM-SHA-256 (RFC 5802 section 3, RFC 7677), in the form of RFC 5803
//! that PostgreSQL writes too: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, with salt and keys in base64.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, Mac};
use postgate_smtp::base64;
use sha2::{Digest, Sha256};

/// The keys made of a password. Its `Debug` shows none of them.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramEntry {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: [u8; 32],
    server_key: [u8; 32],
}

impl ScramEntry {
    /// Of a password that SASLprep (RFC 4013) has prepared. `iterations` are 4096 to 1,000,000, and the salt has 1 to 64 octets; none
    /// where they are not.
    pub fn of(password: &str, salt: &[u8], iterations: u32) -> Option<Self> {
        if !(1..=SALT_OCTETS_MAX).contains(&salt.len()) || !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return None;
        }
        let salted = salted(password.as_bytes(), salt, iterations);
        let stored_key = Sha256::digest(hmac(&salted, b"Client Key")).into();
        let server_key = hmac(&salted, b"Server Key");
        Some(Self { iterations, salt: salt.to_vec(), stored_key, server_key })
    }

    /// Whether it was made of this password. Takes as long wherever the keys differ.
    pub fn is_of(&self, password: &str) -> bool {
        let salted = salted(password.as_bytes(), &self.salt, self.iterations);
        let found: [u8; 32] = Sha256::digest(hmac(&salted, b"Client Key")).into();
        let differences =
            found.iter().zip(self.stored_key).fold(0, |differences, (found, key)| differences | (found ^ key));
        std::hint::black_box(differences) == 0
    }
}

/// What is wrong with an entry, without the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScramEntryError {
    /// Not of that form at all.
    #[error("it is not of the form SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>")]
    Form,
    /// Too few to be safe, or more than anybody shall compute.
    #[error("it has {0} iterations; 4096 to 1000000 are allowed")]
    Iterations(u32),
    /// The salt's length.
    #[error("its salt has {0} octets; 1 to 64 are allowed")]
    Salt(usize),
    /// The length of a key.
    #[error("one of its keys is not 32 octets in base64")]
    Key,
}

impl FromStr for ScramEntry {
    type Err = ScramEntryError;

    fn from_str(text: &str) -> Result<Self, ScramEntryError> {
        let form = ScramEntryError::Form;
        let (costs, keys) = text.strip_prefix(SCHEME).and_then(|rest| rest.split_once('$')).ok_or(form)?;
        let (iterations, salt) = costs.split_once(':').ok_or(form)?;
        let (stored_key, server_key) = keys.split_once(':').ok_or(form)?;
        let iterations = iterations.parse().map_err(|_| form)?;
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return Err(ScramEntryError::Iterations(iterations));
        }
        let salt = base64::decode(salt.as_bytes()).ok_or(form)?;
        if !(1..=SALT_OCTETS_MAX).contains(&salt.len()) {
            return Err(ScramEntryError::Salt(salt.len()));
        }
        let key = |text: &str| {
            let key = base64::decode(text.as_bytes()).and_then(|key| key.try_into().ok());
            key.ok_or(ScramEntryError::Key)
        };
        Ok(Self { iterations, salt, stored_key: key(stored_key)?, server_key: key(server_key)? })
    }
}

impl fmt::Display for ScramEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |octets: &[u8]| {
            let mut text = Vec::new();
            base64::encode(octets, &mut text);
            String::from_utf8(text).unwrap_or_default()
        };
        let Self { iterations, salt, stored_key, server_key } = self;
        write!(f, "{SCHEME}{iterations}:{}${}:{}", text(salt), text(stored_key), text(server_key))
    }
}

impl fmt::Debug for ScramEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramEntry").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// PBKDF2 (RFC 8018 section 5.2) with HMAC-SHA-256, of one block: `Hi` of RFC 5802 section 2.2.
fn salted(password: &[u8], salt: &[u8], iterations: u32) -> [u8; 32] {
    let keyed = keyed(password);
    let mut mac = keyed.clone();
    mac.update(salt);
    mac.update(&1_u32.to_be_bytes());
    let mut last = mac.finalize().into_bytes();
    let mut sum: [u8; 32] = last.into();
    for _ in 1..iterations {
        let mut mac = keyed.clone();
        mac.update(&last);
        last = mac.finalize().into_bytes();
        for (octet, last) in sum.iter_mut().zip(last) {
            *octet ^= last;
        }
    }
    sum
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = keyed(key);
    mac.update(text);
    mac.finalize().into_bytes().into()
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    <Hmac<Sha256> as Mac>::new_from_slice(key).expect("invariant: a key of HMAC may be of any length (RFC 2104)")
}

/// In front of every entry.
pub(crate) const SCHEME: &str = "SCRAM-SHA-256$";

/// RFC 7677 section 4.
const ITERATIONS_MIN: u32 = 4096;
/// Half a second of work or so.
const ITERATIONS_MAX: u32 = 1_000_000;
const SALT_OCTETS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677 section 3: user `user` and password `pencil`; the keys were computed by another implementation.
    const PENCIL: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    #[test]
    fn the_example_of_the_standard() {
        let entry: ScramEntry = PENCIL.parse().unwrap();
        assert_eq!(entry.to_string(), PENCIL);
        assert!(entry.is_of("pencil"));
        assert!(!entry.is_of("Pencil") && !entry.is_of(""));
        let salt = base64::decode(b"W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        assert!(ScramEntry::of("pencil", &salt, 4096).unwrap() == entry);
    }

    #[test]
    fn entries_that_cannot_be_used() {
        let check = |from: &str, to: &str, expected: ScramEntryError| {
            let text = PENCIL.replacen(from, to, 1);
            assert!(text != PENCIL);
            assert_eq!(text.parse::<ScramEntry>(), Err(expected), "{text}");
        };
        check("256", "1", ScramEntryError::Form);
        check("4096:", "", ScramEntryError::Form);
        check("4096", "-1", ScramEntryError::Form);
        check("4096", "4095", ScramEntryError::Iterations(4095));
        check("4096", "1000001", ScramEntryError::Iterations(1_000_001));
        check("W22ZaJ0SNY7soEsUEjb6gQ==", "", ScramEntryError::Salt(0));
        check("W22ZaJ0SNY7soEsUEjb6gQ==", "!", ScramEntryError::Form);
        check("W22ZaJ0SNY7soEsUEjb6gQ==", &"A".repeat(88), ScramEntryError::Salt(66));
        check("WG5d", "", ScramEntryError::Key);
        check("2dU=", "2dU", ScramEntryError::Key);
        check(":wfPL", "", ScramEntryError::Form);
        assert_eq!("".parse::<ScramEntry>(), Err(ScramEntryError::Form));
        assert_eq!(ScramEntry::of("x", b"", 4096), None);
        assert_eq!(ScramEntry::of("x", b"salt", 1), None);
    }

    #[test]
    fn nothing_secret_is_shown() {
        let entry: ScramEntry = PENCIL.parse().unwrap();
        assert_eq!(format!("{entry:?}"), "ScramEntry { iterations: 4096, .. }");
    }
}
