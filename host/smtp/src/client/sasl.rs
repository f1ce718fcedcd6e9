//! The client's side of AUTH (RFC 4954): SCRAM-SHA-256 and -PLUS (RFC 5802, 7677, 9266), PLAIN (RFC 4616), LOGIN, OAUTHBEARER (RFC 7628), XOAUTH2 and EXTERNAL (RFC
//! 4422 appendix A).
//!
//! Names and passwords are sent as they were given: whoever has characters beyond ASCII in them gives them in the form that SASLprep (RFC 4013) makes.

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::Credentials;
use super::failure::Failure;
use crate::base64;
use crate::sasl::scram::{hmac, is_same, text_of};
use crate::sasl::{Mechanism, Mechanisms};

/// An exchange under way: what the server's next challenge is for.
#[derive(Debug)]
pub(super) enum Exchange {
    /// The first message, which did not fit into the line of the command.
    First(Vec<u8>, Box<Exchange>),
    LoginUser,
    LoginPassword,
    /// Salt and iterations.
    Scram(Box<Scram>),
    /// The server's proof.
    ScramProof([u8; 32]),
    /// What is wrong with a token.
    Token(Mechanism),
    /// Nothing but the end.
    End,
}

/// Our first message of SCRAM.
#[derive(Debug)]
pub(super) struct Scram {
    gs2: &'static str,
    binding: Vec<u8>,
    bare: String,
    nonce: String,
}

/// What is said next.
pub(super) struct Said {
    pub(super) exchange: Exchange,
    pub(super) line: Vec<u8>,
}

impl Exchange {
    /// The best mechanism that is offered, that the credentials are good for, and that gives no secret away: `may_tell` says whether it may.
    pub(super) fn choose(
        credentials: &Credentials,
        offered: Mechanisms,
        only: Option<Mechanism>,
        binding: Option<&[u8]>,
        may_tell: bool,
    ) -> Option<Mechanism> {
        let wanted: &[Mechanism] = match credentials {
            Credentials::Password { .. } => {
                &[Mechanism::ScramSha256Plus, Mechanism::ScramSha256, Mechanism::Plain, Mechanism::Login]
            }
            Credentials::Token { .. } => &[Mechanism::OAuthBearer, Mechanism::XOAuth2],
            Credentials::Certificate { .. } => &[Mechanism::External],
        };
        wanted.iter().copied().find(|mechanism| {
            let is_possible = match mechanism {
                Mechanism::ScramSha256Plus => binding.is_some(),
                Mechanism::ScramSha256 | Mechanism::External => true,
                Mechanism::Plain | Mechanism::Login | Mechanism::OAuthBearer | Mechanism::XOAuth2 => may_tell,
            };
            is_possible && offered.contains(*mechanism) && only.is_none_or(|only| only == *mechanism)
        })
    }

    /// The AUTH command, with the first message where there is room for it (RFC 4954 section 4).
    pub(super) fn begin(
        mechanism: Mechanism,
        credentials: &Credentials,
        binding: Option<&[u8]>,
        nonce: String,
    ) -> (Exchange, Vec<u8>) {
        let (Credentials::Password { user, password: secret } | Credentials::Token { user, token: secret }) =
            credentials
        else {
            let Credentials::Certificate { user } = credentials else { return (Exchange::End, Vec::new()) };
            return Exchange::End.first(mechanism, user.as_bytes().to_vec());
        };
        match mechanism {
            Mechanism::Plain => Exchange::End.first(mechanism, format!("\0{user}\0{secret}").into_bytes()),
            Mechanism::Login => (Exchange::LoginUser, b"AUTH LOGIN\r\n".to_vec()),
            Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => {
                let (gs2, binding) = match (mechanism == Mechanism::ScramSha256Plus, binding) {
                    (true, Some(binding)) => ("p=tls-exporter,,", binding.to_vec()),
                    // RFC 5802 section 6: we could, and the server says that it can't.
                    (false, Some(_)) => ("y,,", Vec::new()),
                    (true | false, None) => ("n,,", Vec::new()),
                };
                let bare = format!("n={},r={nonce}", user.replace('=', "=3D").replace(',', "=2C"));
                let message = format!("{gs2}{bare}").into_bytes();
                Exchange::Scram(Box::new(Scram { gs2, binding, bare, nonce })).first(mechanism, message)
            }
            Mechanism::OAuthBearer => {
                let name = user.replace('=', "=3D").replace(',', "=2C");
                let message = format!("n,a={name},\x01auth=Bearer {secret}\x01\x01");
                Exchange::Token(mechanism).first(mechanism, message.into_bytes())
            }
            Mechanism::XOAuth2 => {
                let message = format!("user={user}\x01auth=Bearer {secret}\x01\x01");
                Exchange::Token(mechanism).first(mechanism, message.into_bytes())
            }
            Mechanism::External => Exchange::End.first(mechanism, user.as_bytes().to_vec()),
        }
    }

    /// The command, and where the exchange stands behind it.
    fn first(self, mechanism: Mechanism, message: Vec<u8>) -> (Exchange, Vec<u8>) {
        let mut line = format!("AUTH {} ", mechanism.name()).into_bytes();
        match message.is_empty() {
            true => line.push(b'='),
            false => base64::encode(&message, &mut line),
        }
        line.extend_from_slice(b"\r\n");
        if line.len() > COMMAND_LINE_OCTETS_MAX {
            let line = format!("AUTH {}\r\n", mechanism.name()).into_bytes();
            return (Exchange::First(message, Box::new(self)), line);
        }
        (self, line)
    }

    /// Whether the server may say 235 now.
    pub(super) fn may_end(&self) -> bool {
        match self {
            Exchange::End | Exchange::Token(_) => true,
            // It has to prove itself first.
            Exchange::Scram(_) | Exchange::ScramProof(_) => false,
            Exchange::First(..) | Exchange::LoginUser | Exchange::LoginPassword => false,
        }
    }

    /// The answer to a challenge, which is still in base64.
    pub(super) fn answer(self, challenge: &str, credentials: &Credentials) -> Result<Said, Failure> {
        let (exchange, message) = match (self, credentials) {
            (Exchange::First(message, exchange), _) => (*exchange, message),
            (Exchange::LoginUser, Credentials::Password { user, .. }) => {
                (Exchange::LoginPassword, user.as_bytes().to_vec())
            }
            (Exchange::LoginPassword, Credentials::Password { password, .. }) => {
                (Exchange::End, password.as_bytes().to_vec())
            }
            (Exchange::Scram(scram), Credentials::Password { password, .. }) => scram.prove(challenge, password)?,
            (Exchange::ScramProof(expected), _) => {
                let text = base64::decode(challenge.as_bytes()).and_then(|octets| String::from_utf8(octets).ok());
                let proof = text.as_deref().and_then(|text| text.split(',').next()?.strip_prefix("v="));
                let proof = proof.and_then(|proof| base64::decode(proof.as_bytes())?.try_into().ok());
                match proof.is_some_and(|proof: [u8; 32]| is_same(&proof, &expected)) {
                    true => (Exchange::End, Vec::new()),
                    false => return Err(Failure::NotAuthentic),
                }
            }
            // RFC 7628 section 3.2.3: we have read what is wrong, and the server says so once more by its reply.
            (Exchange::Token(Mechanism::OAuthBearer), _) => (Exchange::End, b"\x01".to_vec()),
            (Exchange::Token(_), _) => (Exchange::End, Vec::new()),
            (Exchange::End | Exchange::LoginUser | Exchange::LoginPassword | Exchange::Scram(_), _) => {
                return Err(Failure::NotAuthentic);
            }
        };
        let mut line = Vec::new();
        base64::encode(&message, &mut line);
        line.extend_from_slice(b"\r\n");
        Ok(Said { exchange, line })
    }
}

impl Scram {
    /// Our proof (RFC 5802 section 3).
    fn prove(self, challenge: &str, password: &str) -> Result<(Exchange, Vec<u8>), Failure> {
        let wrong = || Failure::NotAuthentic;
        let challenge = base64::decode(challenge.as_bytes()).ok_or_else(wrong)?;
        let challenge = String::from_utf8(challenge).map_err(|_| wrong())?;
        let mut parts = challenge.split(',');
        let mut part = |name: &str| parts.next().and_then(|part| part.strip_prefix(name)).ok_or_else(wrong);
        let (nonce, salt, iterations) = (part("r=")?, part("s=")?, part("i=")?);
        let salt = base64::decode(salt.as_bytes()).filter(|salt| !salt.is_empty()).ok_or_else(wrong)?;
        let iterations: u32 = iterations.parse().map_err(|_| wrong())?;
        let is_ours = nonce.strip_prefix(&self.nonce).is_some_and(|theirs| !theirs.is_empty());
        if !is_ours || !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return Err(wrong());
        }
        let binding = text_of(&[self.gs2.as_bytes(), &self.binding].concat());
        let bare = format!("c={binding},r={nonce}");
        let salted = salted_password(password.as_bytes(), &salt, iterations);
        let mut proof = hmac(&salted, &["Client Key"]);
        let stored: [u8; 32] = Sha256::digest(proof).into();
        let text = [&self.bare, ",", &challenge, ",", &bare];
        for (octet, signature) in proof.iter_mut().zip(hmac(&stored, &text)) {
            *octet ^= signature;
        }
        let server_key = hmac(&salted, &["Server Key"]);
        let message = format!("{bare},p={}", text_of(&proof)).into_bytes();
        Ok((Exchange::ScramProof(hmac(&server_key, &text)), message))
    }
}

/// RFC 5802 section 2.2, `Hi`.
fn salted_password(password: &[u8], salt: &[u8], iterations: u32) -> [u8; 32] {
    // RFC 2104 section 2: a long key is hashed, a short one filled with zeros.
    let hashed: [u8; 32] = Sha256::digest(password).into();
    let key = if password.len() > 64 { &hashed[..] } else { password };
    let mut block = [0; 64];
    for (octet, key) in block.iter_mut().zip(key) {
        *octet = *key;
    }
    let keyed = <Hmac<Sha256> as KeyInit>::new(&block.into());
    let round = |parts: &[&[u8]]| -> [u8; 32] {
        let mut mac = keyed.clone();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    };
    let mut last = round(&[salt, &[0, 0, 0, 1]]);
    let mut salted = last;
    for _ in 1..iterations {
        last = round(&[&last]);
        for (octet, other) in salted.iter_mut().zip(last) {
            *octet ^= other;
        }
    }
    salted
}

/// RFC 5321 section 4.5.3.1.4.
const COMMAND_LINE_OCTETS_MAX: usize = 512;
/// RFC 7677 section 4: with fewer a false server could guess the password from the proof.
const ITERATIONS_MIN: u32 = 4096;
/// With more a false server could keep us busy.
const ITERATIONS_MAX: u32 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn password() -> Credentials {
        Credentials::Password { user: "user".into(), password: "pencil".into() }
    }

    fn encoded(text: &str) -> String {
        text_of(text.as_bytes())
    }

    #[test]
    fn scram_vectors() {
        // RFC 7677 section 3.
        let begin = || Exchange::begin(Mechanism::ScramSha256, &password(), None, "rOprNGfwEbeRWgbNEkqO".into());
        let (exchange, line) = begin();
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8=\r\n"
        );
        let challenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let said = exchange.answer(&encoded(challenge), &password()).unwrap();
        let expected = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(String::from_utf8(said.line).unwrap(), format!("{}\r\n", encoded(expected)));
        assert!(!said.exchange.may_end(), "the server has proved nothing");
        let said =
            said.exchange.answer(&encoded("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), &password()).unwrap();
        assert!(said.exchange.may_end() && said.line == b"\r\n");
        for wrong in [
            "r=other%hvY,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4095",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4000000000",
            "r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096",
            "m=x,r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "",
        ] {
            assert!(begin().0.answer(&encoded(wrong), &password()).is_err(), "{wrong}");
        }
        let said = begin().0.answer(&encoded(challenge), &password()).unwrap();
        assert!(said.exchange.answer(&encoded("v=AAAA"), &password()).is_err());
    }

    #[test]
    fn choices() {
        let all = Mechanisms::all();
        let choose = |credentials: &Credentials, only, binding: Option<&[u8]>, may_tell| {
            Exchange::choose(credentials, all, only, binding, may_tell)
        };
        assert_eq!(choose(&password(), None, Some(b"x"), true), Some(Mechanism::ScramSha256Plus));
        assert_eq!(choose(&password(), None, None, false), Some(Mechanism::ScramSha256));
        assert_eq!(choose(&password(), Some(Mechanism::Plain), None, true), Some(Mechanism::Plain));
        assert_eq!(choose(&password(), Some(Mechanism::Plain), None, false), None);
        let token = Credentials::Token { user: "u".into(), token: "t".into() };
        assert_eq!(choose(&token, None, None, true), Some(Mechanism::OAuthBearer));
        assert_eq!(choose(&token, None, None, false), None);
        assert_eq!(
            choose(&Credentials::Certificate { user: String::new() }, None, None, false),
            Some(Mechanism::External)
        );
        assert_eq!(Exchange::choose(&password(), Mechanisms::default(), None, None, true), None);
    }

    #[test]
    fn long_messages_wait_for_a_challenge() {
        let token = Credentials::Token { user: "u".into(), token: "t".repeat(600) };
        let (exchange, line) = Exchange::begin(Mechanism::XOAuth2, &token, None, String::new());
        assert_eq!(line, b"AUTH XOAUTH2\r\n");
        let said = exchange.answer("", &token).unwrap();
        assert!(said.line.len() > 600 && said.exchange.may_end());
        let external = Credentials::Certificate { user: String::new() };
        assert_eq!(Exchange::begin(Mechanism::External, &external, None, String::new()).1, b"AUTH EXTERNAL =\r\n");
    }
}
