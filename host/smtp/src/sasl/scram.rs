//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), with the channel binding `tls-exporter` (RFC 9266).
//!
//! Passwords never come here: the caller knows the keys made of them. For a user that it does not know the exchange goes on with made-up
//! keys, so that the client can't tell; and it fails at the proof, as it would with a wrong password.

use std::fmt;

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::{Facts, Mechanism, is_name, prepared};
use crate::base64;
use crate::replies;
use crate::reply::Reply;

/// The authentication information of a user (RFC 5802 section 3). Its `Debug` shows no keys.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    /// Who the client is when it proves to have the key.
    pub identity: String,
    /// Not empty, and at most 64 octets.
    pub salt: Vec<u8>,
    /// 4096 (RFC 7677 section 4) to 1,000,000.
    pub iterations: u32,
    /// H(ClientKey).
    pub stored_key: [u8; 32],
    /// HMAC(SaltedPassword, "Server Key").
    pub server_key: [u8; 32],
}

impl ScramKeys {
    /// Whether a client can be asked for a proof with them.
    pub(crate) fn are_fit(&self) -> bool {
        (1..=64).contains(&self.salt.len()) && (ITERATIONS_MIN..=ITERATIONS_MAX).contains(&self.iterations)
    }
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramKeys").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// What a client is asked with that names a user whom nobody knows. To be told from others by nothing, iterations and salt must be as long as
/// those of real users, and the key the same for all sessions and kept secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ScramDecoy {
    /// Random octets: salts are made of them.
    pub key: [u8; 32],
    /// The iterations of real users.
    pub iterations: u32,
    /// The octets of a salt of real users, at most 32.
    pub salt_octets: usize,
}

impl ScramDecoy {
    fn keys(&self, user: &str) -> ScramKeys {
        let salt = hmac(&self.key, &["salt", user]);
        ScramKeys {
            identity: String::new(),
            salt: salt.into_iter().take(self.salt_octets.max(1)).collect(),
            iterations: self.iterations.clamp(ITERATIONS_MIN, ITERATIONS_MAX),
            stored_key: hmac(&self.key, &["stored", user]),
            server_key: hmac(&self.key, &["server", user]),
        }
    }
}

impl fmt::Debug for ScramDecoy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramDecoy").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// What nonces are made of.
pub(crate) struct Seed {
    key: [u8; 32],
    used: u64,
}

impl Seed {
    pub(crate) fn new(key: [u8; 32]) -> Seed {
        Seed { key, used: 0 }
    }

    /// Another one each time: 32 printable octets.
    pub(crate) fn nonce(&mut self) -> String {
        self.used += 1;
        let [octets @ .., _, _, _, _, _, _, _, _] = hmac(&self.key, &["nonce", &self.used.to_string()]);
        text_of(&octets)
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seed").finish_non_exhaustive()
    }
}

/// The client's first message (RFC 5802 section 5.1).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct First {
    pub(crate) mechanism: Mechanism,
    pub(crate) user: String,
    /// `client-first-message-bare`.
    bare: String,
    nonce: String,
    /// What the client has to repeat in `c=`: the GS2 header and the channel binding.
    binding: Vec<u8>,
}

impl First {
    pub(crate) fn read(message: &str, mechanism: Mechanism, facts: &Facts<'_>) -> Result<First, &'static Reply> {
        let syntax = &replies::SASL_SYNTAX;
        let (flag, rest) = message.split_once(',').ok_or(syntax)?;
        let (authzid, bare) = rest.split_once(',').ok_or(syntax)?;
        let mut parts = bare.split(',');
        // An `m=` in front is an extension that must be understood (section 5.1), and there is none.
        let name = parts.next().and_then(|part| part.strip_prefix("n=")).ok_or(syntax)?;
        let nonce = parts.next().and_then(|part| part.strip_prefix("r=")).ok_or(syntax)?;
        let written = read_name(name).filter(|user| !user.is_empty()).ok_or(syntax)?;
        if !is_nonce(nonce) || !parts.all(is_attribute) {
            return Err(syntax);
        }
        let mut binding = [flag, ",", authzid, ","].concat().into_bytes();
        match (mechanism == Mechanism::ScramSha256Plus, flag) {
            // `y` says that we do not offer channel binding: if we do, somebody in between has taken it from our list (section 6).
            (false, "y") if facts.offers_channel_binding => return Err(&replies::AUTHENTICATION_FAILED),
            (false, "n" | "y") => {}
            (true, "p=tls-exporter") => binding.extend_from_slice(facts.channel_binding.ok_or(syntax)?),
            (true, "n" | "y") => return Err(&replies::AUTHENTICATION_FAILED),
            (_, flag) if flag.strip_prefix("p=").is_some_and(|name| !name.is_empty()) => {
                return Err(&replies::AUTHENTICATION_FAILED);
            }
            (_, _) => return Err(syntax),
        }
        // Nobody may act for another here.
        if !authzid.is_empty() {
            let authzid = authzid.strip_prefix("a=").and_then(read_name).ok_or(syntax)?;
            if authzid != written {
                return Err(&replies::AUTHENTICATION_FAILED);
            }
        }
        // RFC 5802 section 5.1: the name is prepared by the server too.
        let user = prepared(&written).ok_or(&replies::AUTHENTICATION_FAILED)?;
        Ok(First { mechanism, user, bare: bare.to_owned(), nonce: nonce.to_owned(), binding })
    }

    /// Our first message, with the keys of the user, or made-up ones.
    pub(crate) fn challenge(self, keys: Option<ScramKeys>, decoy: &ScramDecoy, nonce: &str) -> Proving {
        let is_known = keys.is_some();
        let keys = keys.unwrap_or_else(|| decoy.keys(&self.user));
        let nonce = [&self.nonce, nonce].concat();
        let challenge = format!("r={nonce},s={},i={}", text_of(&keys.salt), keys.iterations);
        Proving { first: self, keys, is_known, nonce, challenge }
    }
}

/// The exchange where the client's proof is due.
pub(crate) struct Proving {
    first: First,
    keys: ScramKeys,
    is_known: bool,
    nonce: String,
    pub(crate) challenge: String,
}

impl fmt::Debug for Proving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proving").field("first", &self.first).finish_non_exhaustive()
    }
}

/// What the client's last message has shown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) mechanism: Mechanism,
    pub(crate) user: String,
    /// None if it is wrong.
    pub(crate) identity: Option<String>,
    /// Our last message.
    pub(crate) signature: String,
}

impl Proving {
    /// Takes the client's last message (RFC 5802 section 3).
    pub(crate) fn prove(self, message: &str) -> Result<Proof, &'static Reply> {
        let syntax = &replies::SASL_SYNTAX;
        let (bare, proof) = message.rsplit_once(",p=").ok_or(syntax)?;
        let mut parts = bare.split(',');
        let binding = parts.next().and_then(|part| part.strip_prefix("c=")).ok_or(syntax)?;
        let nonce = parts.next().and_then(|part| part.strip_prefix("r=")).ok_or(syntax)?;
        let binding = base64::decode(binding.as_bytes()).ok_or(syntax)?;
        let proof: [u8; 32] = base64::decode(proof.as_bytes()).and_then(|proof| proof.try_into().ok()).ok_or(syntax)?;
        if !parts.all(is_attribute) {
            return Err(syntax);
        }
        let Proving { first, keys, is_known, nonce: expected, challenge } = self;
        let text = [&first.bare, ",", &challenge, ",", bare];
        let mut client_key = hmac(&keys.stored_key, &text);
        for (octet, proof) in client_key.iter_mut().zip(proof) {
            *octet ^= proof;
        }
        let found: [u8; 32] = Sha256::digest(client_key).into();
        let is_right = is_same(&found, &keys.stored_key);
        let is_proved = is_right & is_known & (nonce == expected) & (binding == first.binding);
        let signature = format!("v={}", text_of(&hmac(&keys.server_key, &text)));
        let identity = is_proved.then_some(keys.identity);
        Ok(Proof { mechanism: first.mechanism, user: first.user, identity, signature })
    }
}

/// RFC 5802 section 5.1, `saslname`: `=2C` and `=3D` stand for the comma and the equals sign. A name has no control characters.
pub(crate) fn read_name(text: &str) -> Option<String> {
    let mut parts = text.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (character, rest) = match part.split_at_checked(2)? {
            ("2C", rest) => (',', rest),
            ("3D", rest) => ('=', rest),
            _ => return None,
        };
        name.push(character);
        name.push_str(rest);
    }
    is_name(&name).then_some(name)
}

/// RFC 5802 section 7, `printable`.
fn is_nonce(text: &str) -> bool {
    (1..=NONCE_OCTETS_MAX).contains(&text.len()) && text.bytes().all(|octet| matches!(octet, b'!'..=b'+' | b'-'..=b'~'))
}

/// An extension that we may ignore: a letter, `=` and a value.
fn is_attribute(text: &str) -> bool {
    matches!(text.as_bytes(), [letter, b'=', _, ..] if letter.is_ascii_alphabetic()) && !text.contains('\0')
}

pub(crate) fn text_of(octets: &[u8]) -> String {
    let mut text = Vec::new();
    base64::encode(octets, &mut text);
    String::from_utf8(text).unwrap_or_default()
}

pub(crate) fn hmac(key: &[u8; 32], parts: &[&str]) -> [u8; 32] {
    // RFC 2104 section 2: a short key is filled with zeros up to the size of a block.
    let mut block = [0; 64];
    for (octet, key) in block.iter_mut().zip(key) {
        *octet = *key;
    }
    let mut mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
    for part in parts {
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().into()
}

/// Takes as long wherever they differ.
pub(crate) fn is_same(left: &[u8; 32], right: &[u8; 32]) -> bool {
    let differences = left.iter().zip(right).fold(0, |differences, (left, right)| differences | (left ^ right));
    std::hint::black_box(differences) == 0
}

/// RFC 7677 section 4.
const ITERATIONS_MIN: u32 = 4096;
/// Beyond that it is the client that is kept busy.
const ITERATIONS_MAX: u32 = 1_000_000;
const NONCE_OCTETS_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use hmac::Mac;
    use sha2::Digest;

    use super::{First, Hmac, KeyInit, Proof, Proving, ScramDecoy, ScramKeys, Seed, Sha256, hmac, text_of};
    use crate::base64;
    use crate::replies;
    use crate::sasl::{Facts, Mechanism};

    const PLAIN: Facts<'_> = Facts { offers_channel_binding: false, channel_binding: None, certificate: None };
    const BOUND: Facts<'_> = Facts { offers_channel_binding: true, channel_binding: Some(b"bound"), certificate: None };
    const DECOY: ScramDecoy = ScramDecoy { key: [7; 32], iterations: 4096, salt_octets: 16 };
    /// RFC 7677 section 3.
    const FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

    /// The keys of the password `pencil`, and the ClientKey.
    fn pencil() -> (ScramKeys, [u8; 32]) {
        let salt = base64::decode(b"W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(b"pencil").unwrap();
        let keyed = mac.clone();
        mac.update(&salt);
        mac.update(&[0, 0, 0, 1]);
        let mut block: [u8; 32] = mac.finalize().into_bytes().into();
        let mut salted = block;
        for _ in 1..4096 {
            let mut mac = keyed.clone();
            mac.update(&block);
            block = mac.finalize().into_bytes().into();
            salted.iter_mut().zip(block).for_each(|(octet, other)| *octet ^= other);
        }
        let client_key = hmac(&salted, &["Client Key"]);
        let keys = ScramKeys {
            identity: "user@example.org".into(),
            salt,
            iterations: 4096,
            stored_key: Sha256::digest(client_key).into(),
            server_key: hmac(&salted, &["Server Key"]),
        };
        (keys, client_key)
    }

    fn proving(first: &str, mechanism: Mechanism, facts: &Facts<'_>) -> Proving {
        First::read(first, mechanism, facts).unwrap().challenge(Some(pencil().0), &DECOY, NONCE)
    }

    /// The client's last message, with the right proof for whatever it says.
    fn signed(proving: &Proving, bare: &str) -> String {
        let (keys, mut proof) = pencil();
        let signature = hmac(&keys.stored_key, &[&proving.first.bare, ",", &proving.challenge, ",", bare]);
        proof.iter_mut().zip(signature).for_each(|(octet, other)| *octet ^= other);
        format!("{bare},p={}", text_of(&proof))
    }

    #[test]
    fn vectors() {
        // RFC 7677 section 3.
        let proving = proving(FIRST, Mechanism::ScramSha256, &PLAIN);
        let expected = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        assert_eq!(proving.challenge, expected);
        let message = format!("{FINAL},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        let expected = Proof {
            mechanism: Mechanism::ScramSha256,
            user: "user".into(),
            identity: Some("user@example.org".into()),
            signature: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=".into(),
        };
        assert_eq!(proving.prove(&message), Ok(expected));
    }

    #[test]
    fn first_messages() {
        let check = |message: &str, mechanism: Mechanism, facts: &Facts<'_>, expected: Result<&str, u16>| {
            let found = First::read(message, mechanism, facts);
            let found = found.as_ref().map(|first| first.user.as_str()).map_err(|reply| reply.code());
            assert_eq!(found, expected, "{message}");
        };
        let (sha, plus) = (Mechanism::ScramSha256, Mechanism::ScramSha256Plus);
        check("n,,n=user,r=abc", sha, &BOUND, Ok("user"));
        check("y,,n=user,r=abc", sha, &PLAIN, Ok("user"));
        check("n,a=user,n=user,r=abc", sha, &PLAIN, Ok("user"));
        check("n,,n=u=2Cs=3Der,r=abc,x=1", sha, &PLAIN, Ok("u,s=er"));
        check("n,,n=\u{fc}ser,r=abc", sha, &PLAIN, Ok("\u{fc}ser"));
        check("n,,n=u\u{308}s\u{ad}er,r=abc", sha, &PLAIN, Ok("\u{fc}ser"));
        check("n,,n=\u{1f600},r=abc", sha, &PLAIN, Err(535));
        check("p=tls-exporter,,n=user,r=abc", plus, &BOUND, Ok("user"));
        // Downgrades, and bindings that we do not have.
        check("y,,n=user,r=abc", sha, &BOUND, Err(535));
        check("n,,n=user,r=abc", plus, &BOUND, Err(535));
        check("y,,n=user,r=abc", plus, &BOUND, Err(535));
        check("p=tls-unique,,n=user,r=abc", plus, &BOUND, Err(535));
        check("p=tls-exporter,,n=user,r=abc", sha, &BOUND, Err(535));
        check("n,a=other,n=user,r=abc", sha, &PLAIN, Err(535));
        check("x,,n=user,r=abc", sha, &PLAIN, Err(501));
        check("p=,,n=user,r=abc", plus, &BOUND, Err(501));
        check("n,b=user,n=user,r=abc", sha, &PLAIN, Err(501));
        check("n,,m=x,n=user,r=abc", sha, &PLAIN, Err(501));
        check("n,,n=,r=abc", sha, &PLAIN, Err(501));
        check("n,,n=us=er,r=abc", sha, &PLAIN, Err(501));
        check("n,,n=us=2cer,r=abc", sha, &PLAIN, Err(501));
        check("n,,n=us\0er,r=abc", sha, &PLAIN, Err(501));
        check("n,,n=user=,r=abc", sha, &PLAIN, Err(501));
        check("n,,n=user,r=", sha, &PLAIN, Err(501));
        check("n,,n=user,r=a c", sha, &PLAIN, Err(501));
        check("n,,n=user", sha, &PLAIN, Err(501));
        check("n,,r=abc,n=user", sha, &PLAIN, Err(501));
        check("n,,n=user,r=abc,", sha, &PLAIN, Err(501));
        check("n,,n=user,r=abc,xyz", sha, &PLAIN, Err(501));
        check(&format!("n,,n=user,r={}", "a".repeat(513)), sha, &PLAIN, Err(501));
        check("", sha, &PLAIN, Err(501));
    }

    #[test]
    fn proofs() {
        let check = |bare: &str, expected: Result<bool, u16>| {
            let proving = proving(FIRST, Mechanism::ScramSha256, &PLAIN);
            let message = signed(&proving, bare);
            let found = proving.prove(&message).map(|proof| proof.identity.is_some()).map_err(|reply| reply.code());
            assert_eq!(found, expected, "{bare}");
        };
        check(FINAL, Ok(true));
        check(&format!("{FINAL},x=1"), Ok(true));
        // Another nonce, ours alone, the client's alone, another channel binding.
        check(&FINAL.replace("k0", "k1"), Ok(false));
        check(&format!("c=biws,r={NONCE}"), Ok(false));
        check("c=biws,r=rOprNGfwEbeRWgbNEkqO", Ok(false));
        check(&FINAL.replace("biws", "eSws"), Ok(false));
        check(&FINAL.replace("biws", "bi!s"), Err(501));
        check(&FINAL.replace("c=", "d="), Err(501));
        check("c=biws", Err(501));
        check(&format!("{FINAL},"), Err(501));
        for proof in ["", ",p=", ",p=AAAA", ",p=!"] {
            let message = format!("{FINAL}{proof}");
            let found = proving(FIRST, Mechanism::ScramSha256, &PLAIN).prove(&message);
            assert_eq!(found, Err(&replies::SASL_SYNTAX), "{message}");
        }
        let wrong = format!("{FINAL},p={}", text_of(&[1; 32]));
        assert_eq!(proving(FIRST, Mechanism::ScramSha256, &PLAIN).prove(&wrong).unwrap().identity, None);
    }

    #[test]
    fn channel_binding() {
        let first = FIRST.replace("n,,", "p=tls-exporter,,");
        let check = |binding: &str, expected: bool| {
            let proving = proving(&first, Mechanism::ScramSha256Plus, &BOUND);
            let message = signed(&proving, &FINAL.replace("biws", &text_of(binding.as_bytes())));
            assert_eq!(proving.prove(&message).unwrap().identity.is_some(), expected, "{binding}");
        };
        check("p=tls-exporter,,bound", true);
        check("p=tls-exporter,,other", false);
        check("p=tls-exporter,,", false);
        check("n,,", false);
    }

    #[test]
    fn an_unknown_user_looks_like_a_known_one() {
        let challenge = |user: &str, nonce: &str| {
            let first = First::read(&format!("n,,n={user},r=abc"), Mechanism::ScramSha256, &PLAIN).unwrap();
            first.challenge(None, &DECOY, nonce)
        };
        let salt = |proving: &Proving| proving.challenge.split(",s=").nth(1).unwrap().to_owned();
        // The same salt in each session, another for each user, and as long as a real one.
        assert_eq!(salt(&challenge("user", "x")), salt(&challenge("user", "y")));
        assert_ne!(salt(&challenge("user", "x")), salt(&challenge("other", "x")));
        assert_eq!(salt(&challenge("user", "x")).len(), salt(&proving(FIRST, Mechanism::ScramSha256, &PLAIN)).len());
        // Not even who knows the made-up keys gets in.
        let proving = challenge("user", "x");
        let message = format!("c=biws,r=abcx,p={}", text_of(&[0; 32]));
        assert_eq!(proving.prove(&message).unwrap().identity, None);
    }

    #[test]
    fn nonces_differ() {
        let mut seed = Seed::new([1; 32]);
        let (first, second) = (seed.nonce(), seed.nonce());
        assert!(first != second && first.len() == 32 && super::is_nonce(&first));
        assert_ne!(Seed::new([2; 32]).nonce(), first);
        // The key of RFC 4231 section 4.3, filled up.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        assert_eq!(hmac(&key, &["what do ya want ", "for nothing?"])[..4], [0x5b, 0xdc, 0xc1, 0x46]);
        let _ = <Hmac<Sha256> as KeyInit>::new(&[0; 64].into());
    }
}
