//! TLS to a relay: who it must be, by the system's authorities or the operator's own.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use postgate_smtp::client::TlsWish;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, DigitallySignedStruct, Error, ProtocolVersion, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Place, RelayConfig, RelayTls};

/// Why a relay can't be used as it is set up.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The operator: a certificate of the authorities is not one.
    #[error("a certificate of the authorities can't be used")]
    Authority(#[source] Error),
    /// The machine has no authorities, and the operator has named none.
    #[error("the system has no certificates of authorities; name them by `ca`")]
    NoAuthorities,
    /// The operator: our certificate and its key don't fit together, or can't be used.
    #[error("our certificate can't be used")]
    Certificate(#[source] Error),
    /// There is no name that a certificate could have.
    #[error("{0:?} is not a name that a certificate could have")]
    ServerName(String),
}

/// A certificate of ours, for servers that ask for one.
#[derive(Clone)]
pub struct ClientCertificate {
    /// Ours first, then those between it and the authority's.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its private key.
    pub key: Arc<PrivateKeyDer<'static>>,
}

impl std::fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientCertificate").finish_non_exhaustive()
    }
}

/// Whom we believe to be the server.
#[derive(Clone, Copy, Debug)]
pub enum Trust<'a> {
    /// Whoever is there (RFC 7435).
    Anybody,
    /// Who has a certificate of one of these authorities.
    Authorities(&'a [CertificateDer<'static>]),
    /// Who has a certificate of one of the system's authorities.
    System,
}

/// What TLS to a server is made with.
#[derive(Clone)]
pub struct Layer {
    connector: TlsConnector,
    name: ServerName<'static>,
}

/// A connection below TLS.
pub(super) struct Secured {
    pub(super) stream: TlsStream<TcpStream>,
    /// The channel binding `tls-exporter` (RFC 9266), which only TLS 1.3 has.
    pub(super) binding: Option<Vec<u8>>,
    /// Version and cipher suite.
    pub(super) facts: String,
}

impl std::fmt::Debug for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Layer").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Layer {
    /// For a server of this name, which may be an address.
    ///
    /// # Errors
    /// See [`RelayError`].
    pub fn new(trust: Trust<'_>, own: Option<&ClientCertificate>, name: &str) -> Result<Self, RelayError> {
        let provider = Arc::new(default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("invariant: the provider has suites of both versions");
        let builder = match trust {
            Trust::Anybody => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider))),
            Trust::Authorities(certificates) => builder.with_root_certificates(authorities(certificates)?),
            Trust::System => builder.with_root_certificates(system()?),
        };
        let client = match own {
            Some(own) => builder.with_client_auth_cert(own.chain.clone(), own.key.clone_key()),
            None => Ok(builder.with_no_client_auth()),
        };
        let client = client.map_err(RelayError::Certificate)?;
        let name = ServerName::try_from(name.to_owned()).map_err(|_| RelayError::ServerName(name.to_owned()))?;
        Ok(Self { connector: TlsConnector::from(Arc::new(client)), name })
    }

    pub(super) async fn handshake(&self, stream: TcpStream) -> io::Result<Secured> {
        let stream = self.connector.connect(self.name.clone(), stream).await?;
        let connection = stream.get_ref().1;
        let version = connection.protocol_version();
        let is_tls13 = version == Some(ProtocolVersion::TLSv1_3);
        let exported = || connection.export_keying_material(vec![0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok();
        let binding = if is_tls13 { exported() } else { None };
        let suite = connection.negotiated_cipher_suite().map(|suite| suite.suite());
        let version = version.and_then(|version| version.as_str()).unwrap_or("TLS");
        let suite = suite.and_then(|suite| suite.as_str()).unwrap_or("no cipher suite");
        let facts = format!("{}, {suite}", version.replace("TLSv1_", "TLSv1."));
        Ok(Secured { stream, binding, facts })
    }
}

/// As a relay is set up.
pub(super) fn layer(config: &RelayConfig) -> Result<Layer, RelayError> {
    let trust = match (config.tls, &config.authorities) {
        (RelayTls::Opportunistic, _) => Trust::Anybody,
        (RelayTls::Required | RelayTls::Implicit | RelayTls::None, Some(authorities)) => {
            Trust::Authorities(authorities)
        }
        (RelayTls::Required | RelayTls::Implicit | RelayTls::None, None) => Trust::System,
    };
    let name = match (&config.server_name, &config.place) {
        (Some(name), _) => name.clone(),
        (None, Place::Host(host)) => host.clone(),
        (None, Place::Addresses(addresses)) => addresses.first().map(IpAddr::to_string).unwrap_or_default(),
    };
    Layer::new(trust, config.certificate.as_ref(), &name)
}

fn authorities(certificates: &[CertificateDer<'static>]) -> Result<RootCertStore, RelayError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate.clone()).map_err(RelayError::Authority)?;
    }
    if roots.is_empty() { Err(RelayError::NoAuthorities) } else { Ok(roots) }
}

fn system() -> Result<RootCertStore, RelayError> {
    let mut roots = RootCertStore::empty();
    // Those of the system that can't be read are not believed; that some can be is enough.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(RelayError::NoAuthorities) } else { Ok(roots) }
}

/// What the protocol is to do about it.
pub(super) fn wish(tls: RelayTls) -> TlsWish {
    match tls {
        RelayTls::Required => TlsWish::Required,
        RelayTls::Opportunistic => TlsWish::IfOffered,
        // The layer is there before the first octet, or never.
        RelayTls::Implicit | RelayTls::None => TlsWish::Never,
    }
}

/// RFC 7435: keeps those away who only listen. The server may be anybody, but has the key of the certificate that it shows.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
