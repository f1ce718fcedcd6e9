//! Keys that sign: read from PEM when the gateway starts, never shown to anybody.

use std::fmt;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mail_auth::common::crypto::{Ed25519Key, RsaKey, Sha256, SigningKey};
use mail_auth::common::headers::{Writable, Writer};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use super::base64;
use crate::bindings::postgate::mail::types::ServiceError;

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `rsa-sha256` (RFC 6376 section 3.3.2), with a key of 2048 bits or more.
    RsaSha256,
    /// `ed25519-sha256` (RFC 8463).
    Ed25519Sha256,
}

impl Algorithm {
    /// Its name in `a=` and in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RsaSha256 => "rsa-sha256",
            Self::Ed25519Sha256 => "ed25519-sha256",
        }
    }
}

/// A key as the operator has configured it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyConfig {
    /// `d=`
    pub domain: String,
    /// `s=`
    pub selector: String,
    /// How it signs.
    pub algorithm: Algorithm,
    /// Names of fields that are signed where they are there.
    pub fields: Vec<String>,
    /// Those among them of which none may be added afterwards.
    pub oversigned: Vec<String>,
    /// After that time signatures are no longer good.
    pub expires: Option<Duration>,
}

/// Why a key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file can't be read.
    #[error("{} can't be read", .path.display())]
    Read {
        /// The key's file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// There is no private key in it.
    #[error("it is not a private key in PEM")]
    Pem,
    /// It is another kind of key, or damaged.
    #[error("it is not a key for {}: {detail}", .algorithm.name())]
    Kind {
        /// What it should be for.
        algorithm: Algorithm,
        /// What is wrong with it.
        detail: String,
    },
}

/// A key that signs for a domain.
pub struct Key {
    config: KeyConfig,
    secret: Secret,
    /// Whether others than its owner may read the file.
    exposed: bool,
}

enum Secret {
    Rsa(Box<RsaKey<Sha256>>),
    Ed25519(Box<Ed25519Key>),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Key {
    /// Reads the file of the private key: PKCS #8 in PEM, or PKCS #1 for RSA. Blocks on the disk.
    pub fn load(config: KeyConfig, path: &Path) -> Result<Self, KeyError> {
        let read = |source| KeyError::Read { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(read)?;
        let mode = file.metadata().map_err(read)?.permissions().mode();
        let mut pem = Vec::new();
        file.take(MAX_FILE_BYTES).read_to_end(&mut pem).map_err(read)?;
        Ok(Self { exposed: mode & 0o077 != 0, ..Self::from_pem(config, &pem)? })
    }

    /// As `load`, of a key that is kept elsewhere than in a file.
    pub fn from_pem(config: KeyConfig, pem: &[u8]) -> Result<Self, KeyError> {
        let algorithm = config.algorithm;
        let kind = |detail: String| KeyError::Kind { algorithm, detail };
        let der = PrivateKeyDer::from_pem_slice(pem).map_err(|_| KeyError::Pem)?;
        let secret = match (algorithm, der) {
            (Algorithm::RsaSha256, der @ (PrivateKeyDer::Pkcs1(_) | PrivateKeyDer::Pkcs8(_))) => {
                let key = RsaKey::from_key_der(der).map_err(|error| kind(error.to_string()))?;
                Secret::Rsa(Box::new(key))
            }
            (Algorithm::Ed25519Sha256, PrivateKeyDer::Pkcs8(der)) => {
                let key = Ed25519Key::from_pkcs8_maybe_unchecked_der(der.secret_pkcs8_der());
                Secret::Ed25519(Box::new(key.map_err(|error| kind(error.to_string()))?))
            }
            (Algorithm::RsaSha256 | Algorithm::Ed25519Sha256, _) => {
                return Err(kind("it is of another kind".to_owned()));
            }
        };
        Ok(Self { config, secret, exposed: false })
    }

    /// Whether others than its owner may read the file that it came from.
    pub fn is_exposed(&self) -> bool {
        self.exposed
    }

    /// `d=`
    pub fn domain(&self) -> &str {
        &self.config.domain
    }

    /// `s=`
    pub fn selector(&self) -> &str {
        &self.config.selector
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        self.config.algorithm
    }

    /// The TXT record that others verify its signatures by, for the name `SELECTOR._domainkey.DOMAIN` (RFC 6376 section 3.6.1).
    pub fn record(&self) -> String {
        match &self.secret {
            Secret::Rsa(key) => format!("v=DKIM1; k=rsa; p={}", base64(&public_key_info(&key.public_key()))),
            Secret::Ed25519(key) => format!("v=DKIM1; k=ed25519; p={}", base64(&key.public_key())),
        }
    }

    pub(super) fn fields(&self) -> &[String] {
        &self.config.fields
    }

    pub(super) fn oversigned(&self) -> &[String] {
        &self.config.oversigned
    }

    pub(super) fn expires(&self) -> Option<Duration> {
        self.config.expires
    }

    /// Signs octets in canonical form.
    pub(super) fn sign(&self, input: Vec<u8>) -> Result<Vec<u8>, ServiceError> {
        let signed = match &self.secret {
            Secret::Rsa(key) => key.sign(Input(input)),
            Secret::Ed25519(key) => key.sign(Input(input)),
        };
        signed.map_err(|error| ServiceError::Unavailable(error.to_string()))
    }
}

struct Input(Vec<u8>);

impl Writable for Input {
    fn write(self, writer: &mut impl Writer) {
        writer.write(&self.0);
    }
}

/// SubjectPublicKeyInfo (RFC 8017 appendix A.1, RFC 5280 section 4.1) around an RSAPublicKey.
fn public_key_info(key: &[u8]) -> Vec<u8> {
    let bits = der(0x03, &[&[0], key].concat());
    der(0x30, &[RSA_ENCRYPTION, &bits].concat())
}

/// One value of DER.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant = length.iter().position(|octet| *octet != 0).map_or(&length[..0], |at| &length[at..]);
    let mut octets = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short @ 0..=127) => octets.push(short),
        Ok(128..) | Err(_) => {
            octets.push(0x80 | significant.len() as u8);
            octets.extend_from_slice(significant);
        }
    }
    octets.extend_from_slice(content);
    octets
}

/// AlgorithmIdentifier of rsaEncryption.
const RSA_ENCRYPTION: &[u8] =
    &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

/// The largest file of a key.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// Fields that are signed where nothing else is said: RFC 6376 section 5.4.1.
pub const DEFAULT_FIELDS: &[&str] = &[
    "From",
    "Reply-To",
    "Subject",
    "Date",
    "To",
    "Cc",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-Disposition",
    "Resent-Date",
    "Resent-From",
    "Resent-To",
    "Resent-Cc",
    "List-Id",
    "List-Help",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Subscribe",
    "List-Post",
    "List-Owner",
    "List-Archive",
];

/// Those of which none may be added: what a reader's mail program shows.
pub const DEFAULT_OVERSIGNED: &[&str] =
    &["From", "Reply-To", "Subject", "Date", "To", "Cc", "Message-ID", "MIME-Version", "Content-Type"];

#[cfg(test)]
mod tests {
    use super::*;

    fn config(algorithm: Algorithm) -> KeyConfig {
        KeyConfig {
            domain: "football.example.com".to_owned(),
            selector: "brisbane".to_owned(),
            algorithm,
            fields: Vec::new(),
            oversigned: Vec::new(),
            expires: None,
        }
    }

    /// RFC 8463 appendix A.
    const ED25519: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

    #[test]
    fn the_record_of_rfc_8463() {
        let key = Key::from_pem(config(Algorithm::Ed25519Sha256), ED25519.as_bytes()).unwrap();
        assert_eq!(key.record(), "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
        assert!(!format!("{key:?}").contains("nWGx"));
    }

    #[test]
    fn other_keys_are_refused() {
        assert!(matches!(Key::from_pem(config(Algorithm::RsaSha256), ED25519.as_bytes()), Err(KeyError::Kind { .. })));
        assert!(matches!(Key::from_pem(config(Algorithm::RsaSha256), b"no key"), Err(KeyError::Pem)));
        let missing = Key::load(config(Algorithm::RsaSha256), Path::new("/nowhere/key.pem"));
        assert!(matches!(missing, Err(KeyError::Read { .. })));
    }

    #[test]
    fn lengths_of_der() {
        for (length, begin) in
            [(5, vec![4, 5]), (127, vec![4, 127]), (128, vec![4, 0x81, 128]), (256, vec![4, 0x82, 1, 0])]
        {
            assert!(der(4, &vec![0; length]).starts_with(&begin), "{length}");
        }
    }
}
