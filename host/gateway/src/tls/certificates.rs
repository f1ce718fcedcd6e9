//! Certificates of ours: read from files, and chosen by the name that a client asks for.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rustls::InconsistentKeys;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::{Finding, Setting};
use crate::config;

/// Certificates with their keys, and what about them is worth a warning.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) keys: Vec<Named>,
    pub(super) warnings: Vec<Finding>,
}

/// A certificate and key, with the DNS names that they are for.
#[derive(Debug)]
pub(super) struct Named {
    names: Vec<String>,
    key: Arc<CertifiedKey>,
}

impl Loaded {
    /// Reads all files, and finds all that is wrong with them.
    pub(super) fn from_files(
        settings: &[config::Certificate],
        provider: &CryptoProvider,
    ) -> Result<Self, Vec<Finding>> {
        let (mut keys, mut warnings, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        for (n, own) in settings.iter().enumerate() {
            let chain = read_chain(&own.chain).map_err(|message| Finding { setting: Setting::Chain(n), message });
            let key = read_key(&own.key).map_err(|message| Finding { setting: Setting::Key(n), message });
            let (chain, key) = match (chain, key) {
                (Ok(chain), Ok(key)) => (chain, key),
                (chain, key) => {
                    problems.extend(chain.err());
                    problems.extend(key.err());
                    continue;
                }
            };
            match named(n, own, chain, key, provider) {
                Ok((named, remarks)) => {
                    keys.push(named);
                    warnings.extend(remarks);
                }
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(Self { keys, warnings }) } else { Err(problems) }
    }
}

/// Puts a certificate and its key together.
fn named(
    n: usize,
    own: &config::Certificate,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<(Named, Vec<Finding>), Finding> {
    let of_chain = |message: String| Finding {
        setting: Setting::Chain(n),
        message: format!("{}: {message}", own.chain.display()),
    };
    let certificate = chain.first().map(|first| X509Certificate::from_der(first));
    let Some(Ok((_, certificate))) = certificate else {
        return Err(of_chain("the first certificate can't be read".to_owned()));
    };
    let names = dns_names(&certificate);
    let validity = certificate.validity();
    let mut remarks = Vec::new();
    if names.is_empty() && n > 0 {
        remarks.push(of_chain("the certificate has no DNS name, so no client is shown it".to_owned()));
    }
    match validity.time_to_expiration() {
        Some(_) => {}
        None if validity.not_after.timestamp() <= now() => {
            remarks.push(of_chain(format!("the certificate has expired: it was good until {}", validity.not_after)));
        }
        None => {
            remarks.push(of_chain(format!("the certificate is not good yet: it will be from {}", validity.not_before)));
        }
    }
    drop(certificate);
    let key = CertifiedKey::from_der(chain, key, provider).map_err(|error| {
        let why = if error == rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) {
            format!("not the key of the certificate in {}", own.chain.display())
        } else {
            error.to_string()
        };
        Finding { setting: Setting::Key(n), message: format!("{}: {why}", own.key.display()) }
    })?;
    Ok((Named { names, key: Arc::new(key) }, remarks))
}

fn now() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp()
}

/// The certificates of a PEM file; there is at least one.
pub(crate) fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let octets = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&octets).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(format!("{} has no certificate in PEM", path.display())),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// The private key of a PEM file.
pub(crate) fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let octets = read(path)?;
    PrivateKeyDer::from_pem_slice(&octets).map_err(|error| {
        if matches!(error, pem::Error::NoItemsFound) {
            format!("{} has no private key in PEM that is not encrypted", path.display())
        } else {
            // What the parser says of it may quote the file.
            format!("{} is no PEM", path.display())
        }
    })
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let wrong = |why: String| format!("{} {why}", path.display());
    let file = fs::File::open(path).map_err(|error| wrong(format!("can't be read: {error}")))?;
    let mut octets = Vec::new();
    let bound = u64::try_from(FILE_MAX_OCTETS + 1).unwrap_or(u64::MAX);
    file.take(bound).read_to_end(&mut octets).map_err(|error| wrong(format!("can't be read: {error}")))?;
    if octets.len() > FILE_MAX_OCTETS {
        return Err(wrong("is larger than 1 MiB".to_owned()));
    }
    Ok(octets)
}

/// Octets of the largest file.
const FILE_MAX_OCTETS: usize = 1 << 20;

fn alternative_names<'a>(certificate: &'a X509Certificate<'_>) -> &'a [GeneralName<'a>] {
    // A certificate with two such extensions has none that can be believed.
    let extension = certificate.subject_alternative_name().ok().flatten();
    extension.map_or(&[], |extension| &extension.value.general_names)
}

/// In lower case; wildcards as they are.
fn dns_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = alternative_names(certificate).iter().filter_map(|name| {
        let GeneralName::DNSName(name) = name else { return None };
        Some(name.to_ascii_lowercase())
    });
    names.collect()
}

/// Whom a certificate names, as `wit/hooks.wit` says: DNS names and e-mail addresses among the subject alternative names, then the
/// common name. Names with control characters are left out: nobody has such a name.
pub(super) fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let alternative = alternative_names(&certificate).iter().filter_map(|name| {
        let (GeneralName::DNSName(name) | GeneralName::RFC822Name(name)) = name else { return None };
        Some(*name)
    });
    let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    let names = alternative.chain(common).filter(|name| !name.is_empty() && !name.chars().any(char::is_control));
    names.map(str::to_owned).collect()
}

/// Chooses by the name that the client asks for, and by the signatures that it can verify.
#[derive(Debug)]
pub(super) struct ByName {
    /// By DNS name, in lower case; those for a whole domain by `*.` and the domain.
    names: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// In the order of the configuration.
    all: Vec<Arc<CertifiedKey>>,
}

impl ByName {
    pub(super) fn new(keys: Vec<Named>) -> Self {
        let mut by_name = Self { names: HashMap::new(), all: Vec::new() };
        for Named { names, key } in keys {
            for name in names {
                by_name.names.entry(name).or_default().push(key.clone());
            }
            by_name.all.push(key);
        }
        by_name
    }

    /// Certificates with that name; those for it before those for its domain (RFC 6125 section 6.4.3), and all where none has it.
    fn candidates(&self, server_name: Option<&str>) -> &[Arc<CertifiedKey>] {
        let named = server_name.and_then(|name| {
            let name = name.to_ascii_lowercase();
            let domain = || name.split_once('.').map(|(_, domain)| format!("*.{domain}"));
            self.names.get(&name).or_else(|| self.names.get(&domain()?))
        });
        named.unwrap_or(&self.all)
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let candidates = self.candidates(hello.server_name());
        let fits = |own: &&Arc<CertifiedKey>| own.key.choose_scheme(hello.signature_schemes()).is_some();
        candidates.iter().find(fits).or(candidates.first()).cloned()
    }
}
