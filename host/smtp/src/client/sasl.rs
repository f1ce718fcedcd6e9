//! The client's side of AUTH (RFC 4954): SCRAM-SHA-256 and -PLUS (RFC 5802, 7677, 9266), PLAIN (RFC 4616), LOGIN, OAUTHBEARER (RFC 7628), XOAUTH2 and EXTERNAL (RFC
//! 4422 appendix A).
//!
//! Names and passwords are sent as they were given: whoever has characters beyond ASCII in them gives them in the form that SASLprep (RFC 4013) makes.

use std::fmt;

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

/// How a challenge is answered.
pub(super) enum Answer {
    Now(Said),
    /// When that is done.
    Behind(Box<Work>),
}

/// The proof of SCRAM (RFC 5802 section 3), still to be made: up to a million rounds of a hash, on purpose. Its `Debug` shows no secret.
pub struct Work {
    scram: Box<Scram>,
    /// The server's first message.
    challenge: String,
    /// Both nonces.
    nonce: String,
    salt: Vec<u8>,
    iterations: u32,
    password: String,
}

/// What came of it.
pub struct Worked(Said);

impl Work {
    /// Does it. Not where anything else waits for the thread.
    pub fn run(self) -> Worked {
        let binding = text_of(&[self.scram.gs2.as_bytes(), &self.scram.binding].concat());
        let bare = format!("c={binding},r={}", self.nonce);
        let salted = salted_password(self.password.as_bytes(), &self.salt, self.iterations);
        let mut proof = hmac(&salted, &["Client Key"]);
        let stored: [u8; 32] = Sha256::digest(proof).into();
        let text = [&self.scram.bare, ",", &self.challenge, ",", &bare];
        for (octet, signature) in proof.iter_mut().zip(hmac(&stored, &text)) {
            *octet ^= signature;
        }
        let server_key = hmac(&salted, &["Server Key"]);
        let message = format!("{bare},p={}", text_of(&proof)).into_bytes();
        Worked(Said::new(Exchange::ScramProof(hmac(&server_key, &text)), &message))
    }
}

impl Worked {
    pub(super) fn said(self) -> Said {
        self.0
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl fmt::Debug for Worked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worked").finish_non_exhaustive()
    }
}

impl Said {
    fn new(exchange: Exchange, message: &[u8]) -> Said {
        let mut line = Vec::new();
        base64::encode(message, &mut line);
        line.extend_from_slice(b"\r\n");
        Said { exchange, line }
    }
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

    /// The AUTH command, with the first message where there is room for it (RFC 4954 section 4). `only` is the one mechanism that was allowed, if there was one.
    pub(super) fn begin(
        mechanism: Mechanism,
        credentials: &Credentials,
        only: Option<Mechanism>,
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
                let (gs2, binding) = match (mechanism == Mechanism::ScramSha256Plus, only, binding) {
                    (true, _, Some(binding)) => ("p=tls-exporter,,", binding.to_vec()),
                    // RFC 5802 section 6: we would have, and the server says that it can't.
                    (false, None, Some(_)) => ("y,,", Vec::new()),
                    // We can't, or are not allowed to, whatever the server offers.
                    (false, Some(_), Some(_)) | (true | false, _, None) => ("n,,", Vec::new()),
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
    pub(super) fn answer(self, challenge: &str, credentials: &Credentials) -> Result<Answer, Failure> {
        let (exchange, message) = match (self, credentials) {
            (Exchange::First(message, exchange), _) => (*exchange, message),
            (Exchange::LoginUser, Credentials::Password { user, .. }) => {
                (Exchange::LoginPassword, user.as_bytes().to_vec())
            }
            (Exchange::LoginPassword, Credentials::Password { password, .. }) => {
                (Exchange::End, password.as_bytes().to_vec())
            }
            (Exchange::Scram(scram), Credentials::Password { password, .. }) => {
                return Ok(Answer::Behind(Box::new(scram.hear(challenge, password)?)));
            }
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
        Ok(Answer::Now(Said::new(exchange, &message)))
    }
}

impl Scram {
    /// What has to be done for our proof (RFC 5802 section 5.1).
    fn hear(self: Box<Scram>, challenge: &str, password: &str) -> Result<Work, Failure> {
        let wrong = || Failure::NotAuthentic;
        let challenge = base64::decode(challenge.as_bytes()).ok_or_else(wrong)?;
        let challenge = String::from_utf8(challenge).map_err(|_| wrong())?;
        let mut parts = challenge.split(',');
        let mut part = |name: &str| parts.next().and_then(|part| part.strip_prefix(name)).ok_or_else(wrong);
        let (nonce, salt, iterations) = (part("r=")?, part("s=")?, part("i=")?);
        let salt = base64::decode(salt.as_bytes()).filter(|salt| !salt.is_empty()).ok_or_else(wrong)?;
        let is_number = !iterations.is_empty() && iterations.bytes().all(|octet| octet.is_ascii_digit());
        let is_ours = nonce.strip_prefix(&self.nonce).is_some_and(|theirs| !theirs.is_empty());
        if !is_ours || !is_number {
            return Err(wrong());
        }
        // A number that is too long is too large.
        let iterations = iterations.parse().unwrap_or(u32::MAX);
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return Err(Failure::Iterations(iterations));
        }
        let nonce = nonce.to_owned();
        Ok(Work { scram: self, nonce, salt, iterations, password: password.to_owned(), challenge })
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
/// With more a false server could keep us busy. What our own server's side takes (`sasl/scram.rs`).
const ITERATIONS_MAX: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn password() -> Credentials {
        Credentials::Password { user: "user".into(), password: "pencil".into() }
    }

    fn now(answer: Result<Answer, Failure>) -> Said {
        match answer.unwrap() {
            Answer::Now(said) => said,
            Answer::Behind(work) => work.run().said(),
        }
    }

    fn encoded(text: &str) -> String {
        text_of(text.as_bytes())
    }

    #[test]
    fn scram_vectors() {
        // RFC 7677 section 3.
        let begin = || Exchange::begin(Mechanism::ScramSha256, &password(), None, None, "rOprNGfwEbeRWgbNEkqO".into());
        let (exchange, line) = begin();
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8=\r\n"
        );
        let challenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let said = now(exchange.answer(&encoded(challenge), &password()));
        let expected = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(String::from_utf8(said.line).unwrap(), format!("{}\r\n", encoded(expected)));
        assert!(!said.exchange.may_end(), "the server has proved nothing");
        let said = now(said.exchange.answer(&encoded("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), &password()));
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
        let said = now(begin().0.answer(&encoded(challenge), &password()));
        assert!(said.exchange.answer(&encoded("v=AAAA"), &password()).is_err());
    }

    #[test]
    fn iterations() {
        let ask = |iterations: &str| {
            let (exchange, _) = Exchange::begin(Mechanism::ScramSha256, &password(), None, None, "ours".into());
            exchange.answer(&encoded(&format!("r=ours+theirs,s=W22ZaJ0SNY7soEsUEjb6gQ==,i={iterations}")), &password())
        };
        // 600,000 is what `postgate password --scram` makes.
        for good in ["4096", "600000", "1000000"] {
            assert!(matches!(ask(good), Ok(Answer::Behind(_))), "{good}");
        }
        for (bad, number) in [("4095", 4095), ("1000001", 1_000_001), ("99999999999", u32::MAX)] {
            assert_eq!(ask(bad).err(), Some(Failure::Iterations(number)), "{bad}");
        }
        for bad in ["", "-1", "+5000", "many"] {
            assert_eq!(ask(bad).err(), Some(Failure::NotAuthentic), "{bad}");
        }
        let Ok(Answer::Behind(work)) = ask("600000") else { panic!("it has to be worked on") };
        let said = work.run().said();
        // By Python's hashlib.pbkdf2_hmac.
        assert_eq!(
            String::from_utf8(said.line).unwrap(),
            format!("{}\r\n", encoded("c=biws,r=ours+theirs,p=wqWaPU4uhkH9tdhzZxCJ5baW15lgnkglTktCyUmkcXw="))
        );
    }

    /// RFC 5802 section 6: "y" is for who would have bound, and to a server that offers to bind it is a sign of an attack.
    #[test]
    fn what_is_said_of_binding() {
        let gs2 = |mechanism, only, binding: Option<&[u8]>| {
            let (_, line) = Exchange::begin(mechanism, &password(), only, binding, "ours".into());
            let line = String::from_utf8(line).unwrap();
            let message = base64::decode(line.trim_end().rsplit(' ').next().unwrap().as_bytes()).unwrap();
            String::from_utf8(message).unwrap().split("n=").next().unwrap().to_owned()
        };
        let (plain, plus) = (Mechanism::ScramSha256, Mechanism::ScramSha256Plus);
        assert_eq!(gs2(plain, None, Some(b"x")), "y,,");
        assert_eq!(gs2(plain, Some(plain), Some(b"x")), "n,,");
        assert_eq!(gs2(plain, None, None), "n,,");
        assert_eq!(gs2(plus, None, Some(b"x")), "p=tls-exporter,,");
        assert_eq!(gs2(plus, Some(plus), Some(b"x")), "p=tls-exporter,,");
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
        let (exchange, line) = Exchange::begin(Mechanism::XOAuth2, &token, None, None, String::new());
        assert_eq!(line, b"AUTH XOAUTH2\r\n");
        let said = now(exchange.answer("", &token));
        assert!(said.line.len() > 600 && said.exchange.may_end());
        let external = Credentials::Certificate { user: String::new() };
        assert_eq!(
            Exchange::begin(Mechanism::External, &external, None, None, String::new()).1,
            b"AUTH EXTERNAL =\r\n"
        );
    }
}
