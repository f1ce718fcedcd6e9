//! An authority of the tests, what it certifies, and clients that believe it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::client::ClientConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{RootCertStore, SupportedProtocolVersion};

/// Who makes certificates.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key.
pub(crate) struct Issued {
    pub certificate: CertificateDer<'static>,
    chain: String,
    key: KeyPair,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, "Postgate tests");
        let key = KeyPair::generate().expect("a key");
        Self { issuer: CertifiedIssuer::self_signed(parameters, key).expect("a certificate") }
    }

    /// A certificate for these DNS names or addresses.
    pub(crate) fn issue(&self, names: &[&str]) -> Issued {
        self.issue_with(names, |_| {})
    }

    /// As `issue`, with something else about it.
    pub(crate) fn issue_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut parameters = CertificateParams::new(names).expect("names");
        change(&mut parameters);
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        Issued { certificate: certificate.der().clone(), chain: certificate.pem(), key }
    }

    /// Writes its certificate.
    pub(crate) fn write(&self, folder: &Path, name: &str) {
        fs::write(folder.join(name), self.issuer.pem()).expect("a file");
    }

    /// A client that believes this authority, and shows no certificate.
    pub(crate) fn client(&self) -> ClientConfig {
        self.client_of(&[&rustls::version::TLS13, &rustls::version::TLS12], None)
    }

    /// A client of these versions, which may have a certificate.
    pub(crate) fn client_of(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        own: Option<&Issued>,
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a certificate of an authority");
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_protocol_versions(versions).expect("versions").with_root_certificates(roots);
        match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.key.serialize_der()));
                builder.with_client_auth_cert(vec![own.certificate.clone()], key).expect("a certificate and its key")
            }
        }
    }
}

impl Issued {
    /// Writes `NAME.pem` and `NAME.key`, each as a whole.
    pub(crate) fn write(&self, folder: &Path, name: &str) {
        for (kind, text) in [("pem", self.chain.clone()), ("key", self.key.serialize_pem())] {
            let file = folder.join(format!("{name}.{kind}"));
            let new = folder.join(format!("{name}.{kind}.new"));
            fs::write(&new, text).expect("a file");
            fs::rename(new, file).expect("a file");
        }
    }
}
