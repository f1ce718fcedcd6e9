//! What the configuration has in place of a user's passwords: argon2id hashes, and keys of SCRAM-SHA-256 (RFC 5802, in the form of
//! RFC 5803).

use std::fmt;

use postgate_sdk::hook::ScramKeys;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// One or more, each of which stands for a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Secrets(Vec<Secret>);

impl Secrets {
    /// As the host verifies passwords against them.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|secret| secret.text.as_str())
    }

    /// The keys that SCRAM is done with: the first ones, since it has one salt.
    pub(crate) fn keys(&self, identity: &str) -> Option<ScramKeys> {
        let Keys { salt, iterations, stored_key, server_key } = self.0.iter().find_map(|secret| secret.keys.clone())?;
        Some(ScramKeys { identity: identity.to_owned(), salt, iterations, stored_key, server_key })
    }
}

/// A hash that looks like one, or keys; whether the hash can be used the host says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Secret {
    text: String,
    /// Those of SCRAM.
    keys: Option<Keys>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Keys {
    salt: Vec<u8>,
    iterations: u32,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl TryFrom<String> for Secret {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.starts_with("$argon2id$") {
            return Ok(Self { text, keys: None });
        }
        match text.strip_prefix("SCRAM-SHA-256$") {
            Some(rest) => match keys(rest) {
                Some(keys) => Ok(Self { keys: Some(keys), text }),
                None => Err(
                    "not SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey> with 4096 to 1000000 iterations; \
                             `postgate password --scram` makes it",
                ),
            },
            None => Err(
                "neither an argon2id hash in PHC string form nor keys of SCRAM-SHA-256; `postgate password` makes one",
            ),
        }
    }
}

/// `<iterations>:<salt>$<StoredKey>:<ServerKey>`, within the bounds that the host has for keys.
fn keys(text: &str) -> Option<Keys> {
    let (costs, keys) = text.split_once('$')?;
    let (iterations, salt) = costs.split_once(':')?;
    let (stored_key, server_key) = keys.split_once(':')?;
    let iterations = iterations.parse().ok().filter(|iterations| (4096..=1_000_000).contains(iterations))?;
    let salt = octets(salt).filter(|salt| (1..=64).contains(&salt.len()))?;
    let key = |text| octets(text).filter(|key| key.len() == 32);
    Some(Keys { salt, iterations, stored_key: key(stored_key)?, server_key: key(server_key)? })
}

/// Base64 (RFC 4648 section 4) with its padding.
fn octets(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let mut octets = Vec::new();
    for group in digits.as_bytes().chunks(4) {
        let mut bits = 0;
        for &digit in group {
            let value = ALPHABET.iter().position(|known| *known == digit)?;
            bits = bits << 6 | u32::try_from(value).ok()?;
        }
        // 2, 3 or 4 digits stand for 1, 2 or 3 octets.
        let count = group.len().checked_sub(1).filter(|count| *count > 0)?;
        let [_, group_octets @ ..] = (bits << (6 * (4 - group.len()))).to_be_bytes();
        octets.extend(group_octets.iter().take(count));
    }
    Some(octets)
}

impl<'de> Deserialize<'de> for Secrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecretsVisitor)
    }
}

struct SecretsVisitor;

impl<'de> Visitor<'de> for SecretsVisitor {
    type Value = Secrets;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text made by `postgate password`, or a list of them")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Secrets, E> {
        Secret::try_from(text.to_owned()).map(|secret| Secrets(vec![secret])).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Secrets, A::Error> {
        let secrets: Vec<Secret> = Vec::deserialize(SeqAccessDeserializer::new(items))?;
        if (1..=MAX_SECRETS).contains(&secrets.len()) {
            Ok(Secrets(secrets))
        } else {
            Err(de::Error::custom("a user has 1 to 4 of them"))
        }
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A wrong password is compared with all of a user's.
const MAX_SECRETS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677 section 3.
    const PENCIL: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    #[test]
    fn keys_are_read() {
        let secrets = Secrets(vec![
            Secret::try_from("$argon2id$a".to_owned()).unwrap(),
            Secret::try_from(PENCIL.to_owned()).unwrap(),
        ]);
        assert_eq!(secrets.texts().collect::<Vec<_>>(), ["$argon2id$a", PENCIL]);
        let keys = secrets.keys("alice").unwrap();
        assert_eq!((keys.identity.as_str(), keys.iterations), ("alice", 4096));
        assert_eq!(keys.salt, *b"\x5b\x6d\x99\x68\x9d\x12\x35\x8e\xec\xa0\x4b\x14\x12\x36\xfa\x81");
        assert_eq!((keys.stored_key.len(), keys.server_key.len()), (32, 32));
        assert_eq!(keys.stored_key.get(..3), Some(&b"\x58\x6e\x5d"[..]));
        assert_eq!(Secrets(secrets.0[..1].to_vec()).keys("alice"), None);
    }

    #[test]
    fn what_is_no_secret() {
        for (from, to) in [
            ("SCRAM-SHA-256", "SCRAM-SHA-1"),
            ("4096", "4095"),
            ("4096", "1000001"),
            ("4096:", ""),
            ("gQ==", "gQ="),
            ("W22ZaJ0SNY7soEsUEjb6gQ==", ""),
            ("W22Z", "W22!"),
            ("WG5d", ""),
            (":wfPL", ""),
        ] {
            let text = PENCIL.replacen(from, to, 1);
            assert!(text != PENCIL && Secret::try_from(text.clone()).is_err(), "{text}");
        }
        assert!(Secret::try_from(String::new()).is_err());
        assert_eq!(octets("A==="), None);
        assert_eq!(octets(""), Some(Vec::new()));
    }
}
