//! Whose certificates count in a rehearsal: one authority, made for it, that stands in place of those of the configuration.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::rehearsal::Own;

/// The authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// Makes one, and writes its certificate, and one of the server's with its key.
    pub(crate) fn new(folder: &Path) -> Result<Self, String> {
        let wrong = |error: rcgen::Error| format!("no certificate: {error}");
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, "a rehearsal");
        let issuer = KeyPair::generate().and_then(|key| CertifiedIssuer::self_signed(parameters, key));
        let authority = Self(issuer.map_err(wrong)?);
        let key = KeyPair::generate().map_err(wrong)?;
        let parameters = CertificateParams::new(vec!["mx.example.org".to_owned()]).map_err(wrong)?;
        let certificate = parameters.signed_by(&key, &authority.0).map_err(wrong)?;
        let written = fs::write(folder.join(CHAIN), certificate.pem())
            .and_then(|()| fs::write(folder.join(KEY), key.serialize_pem()))
            .and_then(|()| fs::write(folder.join(CLIENTS), authority.0.pem()));
        written.map_err(|error| format!("no certificate: {error}"))?;
        Ok(authority)
    }

    /// A client's certificate: the name is its common name and, where it can be one, a DNS name or an e-mail address.
    pub(crate) fn issue(&self, name: &str) -> Result<Own, String> {
        let wrong = |error: rcgen::Error| format!("no certificate for {name:?}: {error}");
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, name);
        let alternative = name.try_into().map(|text| match name.contains('@') {
            true => rcgen::SanType::Rfc822Name(text),
            false => rcgen::SanType::DnsName(text),
        });
        parameters.subject_alt_names.extend(alternative);
        let key = KeyPair::generate().map_err(wrong)?;
        let certificate = parameters.signed_by(&key, &self.0).map_err(wrong)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok((certificate.der().clone(), key))
    }
}

/// The files of the server's certificate.
pub(crate) const CHAIN: &str = "test.pem";
pub(crate) const KEY: &str = "test.key";
/// The file of the authority of clients' certificates.
pub(crate) const CLIENTS: &str = "clients.pem";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::certificates::names;

    #[test]
    fn a_certificate_says_whose_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path()).unwrap();
        for name in ["alice@example.org", "client.example.org", "Alice"] {
            let (certificate, _) = authority.issue(name).unwrap();
            let found = names(&certificate);
            assert!(!found.is_empty() && found.iter().all(|found| found == name), "{found:?}");
        }
    }
}
