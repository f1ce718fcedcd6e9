//! `postgate password`: makes the hash that stands in a configuration in place of a password.
//!
//! argon2id (RFC 9106) with 19 MiB, two passes and one lane, as OWASP's password storage cheat sheet advises; the result is a PHC
//! string. Or keys of SCRAM-SHA-256 (RFC 5802) in the form of RFC 5803, with 600,000 iterations, as the same sheet advises for PBKDF2.
//! The password is prepared by SASLprep (RFC 4013), as it is when a client sends it. At a terminal it is asked for twice and not shown;
//! otherwise it is the first line of standard input.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHasher, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use postgate_plugin::ScramEntry;
use rustix::termios::{self, LocalModes, OptionalActions, Termios};

use super::{Exit, Failure};
use crate::chance;

/// Octets of the longest password.
const PASSWORD_MAX_OCTETS: usize = 1024;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// What is made of the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Argon2id,
    Scram,
}

pub(super) fn password(form: Form) -> Result<String, Failure> {
    let input = io::stdin();
    let password = if input.is_terminal() {
        let password = asked("Password: ")?;
        if asked("Once more: ")? != password {
            return Err(Failure::new(Exit::Data, "the two are not the same"));
        }
        password
    } else {
        line(&mut input.lock(), PASSWORD_MAX_OCTETS)?
    };
    let password = postgate_smtp::prepared(&password).ok_or_else(|| {
        Failure::new(
            Exit::Data,
            "the password has characters that SASLprep (RFC 4013) does not allow: no client could log in with it",
        )
    })?;
    Ok(match form {
        Form::Argon2id => hash(&password)?,
        Form::Scram => keys(&password)?,
    } + "\n")
}

fn hash(password: &str) -> Result<String, Failure> {
    let failure = |error: &dyn std::fmt::Display| Failure::new(Exit::System, format!("no hash can be made: {error}"));
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| failure(&error))?;
    let salt = SaltString::generate(&mut OsRng);
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon2.hash_password(password.as_bytes(), &salt).map_err(|error| failure(&error))?;
    Ok(hash.to_string())
}

fn keys(password: &str) -> Result<String, Failure> {
    let seed = chance::seed();
    let salt = seed.get(..chance::SCRAM_SALT_OCTETS).unwrap_or(&seed);
    let entry = ScramEntry::of(password, salt, chance::SCRAM_ITERATIONS);
    let entry = entry.ok_or_else(|| Failure::new(Exit::System, "no keys can be made"))?;
    Ok(entry.to_string())
}

/// One line, without its end. A password that SASL PLAIN can't carry (RFC 4616) is refused.
pub(super) fn line(input: &mut impl BufRead, octets_max: usize) -> Result<String, Failure> {
    let unusable = |text: &str| Failure::new(Exit::Data, text.to_owned());
    let mut octets = Vec::new();
    let bound = u64::try_from(octets_max.saturating_add(2)).unwrap_or(u64::MAX);
    let read = input.by_ref().take(bound).read_until(b'\n', &mut octets);
    read.map_err(|error| Failure::new(Exit::NoInput, format!("the password can't be read: {error}")))?;
    let line = octets.strip_suffix(b"\n").unwrap_or(&octets);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(unusable("there is no password"));
    }
    if line.len() > octets_max {
        return Err(unusable(&format!("a password has at most {octets_max} octets")));
    }
    if line.contains(&0) {
        return Err(unusable("a password can't have NUL in it"));
    }
    let text = std::str::from_utf8(line).map_err(|_| unusable("a password is UTF-8"))?;
    Ok(text.to_owned())
}

/// Asks at the terminal that is standard input, without showing what is typed.
pub(super) fn asked(prompt: &str) -> Result<String, Failure> {
    let failure = |error: io::Error| Failure::new(Exit::System, format!("the terminal can't be used: {error}"));
    let input = io::stdin();
    let mut output = io::stderr().lock();
    let silence = Silence::new(&input).map_err(failure)?;
    write!(output, "{prompt}").and_then(|()| output.flush()).map_err(failure)?;
    let answer = line(&mut input.lock(), PASSWORD_MAX_OCTETS);
    drop(silence);
    // The line end that was typed was not shown either.
    writeln!(output).map_err(failure)?;
    answer
}

/// A terminal that does not show what is typed, as long as this lives.
struct Silence<'a> {
    terminal: &'a io::Stdin,
    before: Termios,
}

impl<'a> Silence<'a> {
    fn new(terminal: &'a io::Stdin) -> io::Result<Self> {
        let before = termios::tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        termios::tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing.
        let _ = termios::tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::password_hash::{PasswordHash, PasswordVerifier};

    #[test]
    fn a_hash_verifies_its_password_only() {
        let text = hash("wonderland").unwrap();
        assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
        assert_ne!(text, hash("wonderland").unwrap());
        let hash = PasswordHash::new(&text).unwrap();
        assert!(Argon2::default().verify_password(b"wonderland", &hash).is_ok());
        assert!(Argon2::default().verify_password(b"wonderland ", &hash).is_err());
    }

    #[test]
    fn keys_are_of_their_password_only() {
        let text = keys("wonderland").unwrap();
        assert!(text.starts_with("SCRAM-SHA-256$600000:"), "{text}");
        assert_ne!(text, keys("wonderland").unwrap());
        let entry: ScramEntry = text.parse().unwrap();
        assert!(entry.is_of("wonderland") && !entry.is_of("wonderland "));
    }

    #[test]
    fn the_first_line_is_the_password() {
        let longest = "x".repeat(PASSWORD_MAX_OCTETS);
        for (input, expected) in [
            ("wonderland\n", Ok("wonderland")),
            ("wonderland", Ok("wonderland")),
            (" two words \r\nmore\n", Ok(" two words ")),
            ("gr\u{fc}n\n", Ok("gr\u{fc}n")),
            (&format!("{longest}\r\n"), Ok(longest.as_str())),
            ("", Err("there is no password")),
            ("\n", Err("there is no password")),
            ("a\0b\n", Err("a password can't have NUL in it")),
            (&format!("{longest}x"), Err("a password has at most 1024 octets")),
            (&"y".repeat(1_000_000), Err("a password has at most 1024 octets")),
        ] {
            let found = line(&mut input.as_bytes(), PASSWORD_MAX_OCTETS);
            assert_eq!(found.as_deref().map_err(|failure| failure.text.as_str()), expected);
        }
        assert_eq!(line(&mut &b"\xff\n"[..], PASSWORD_MAX_OCTETS).unwrap_err().text, "a password is UTF-8");
    }
}
