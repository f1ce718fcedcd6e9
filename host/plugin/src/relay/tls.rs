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

/// What TLS is made with.
#[derive(Clone)]
pub(super) struct Layer {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl std::fmt::Debug for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Layer").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Layer {
    pub(super) fn new(config: &RelayConfig) -> Result<Self, RelayError> {
        let provider = Arc::new(default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("invariant: the provider has suites of both versions");
        let builder = match config.tls {
            RelayTls::Opportunistic => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            }
            RelayTls::Required | RelayTls::Implicit | RelayTls::None => {
                builder.with_root_certificates(authorities(config)?)
            }
        };
        let client = match &config.certificate {
            Some(own) => builder.with_client_auth_cert(own.chain.clone(), own.key.clone_key()),
            None => Ok(builder.with_no_client_auth()),
        };
        let client = client.map_err(RelayError::Certificate)?;
        Ok(Self { connector: TlsConnector::from(Arc::new(client)), name: name(config)? })
    }

    /// The handshake, and the channel binding `tls-exporter` (RFC 9266), which only TLS 1.3 has.
    pub(super) async fn handshake(&self, stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, Option<Vec<u8>>)> {
        let stream = self.connector.connect(self.name.clone(), stream).await?;
        let connection = stream.get_ref().1;
        let is_tls13 = connection.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        let exported = || connection.export_keying_material(vec![0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok();
        let binding = if is_tls13 { exported() } else { None };
        Ok((stream, binding))
    }
}

fn authorities(config: &RelayConfig) -> Result<RootCertStore, RelayError> {
    let mut roots = RootCertStore::empty();
    match &config.authorities {
        Some(certificates) => {
            for certificate in certificates {
                roots.add(certificate.clone()).map_err(RelayError::Authority)?;
            }
        }
        None => {
            // Those of the system that can't be read are not believed; that some can be is enough.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() { Err(RelayError::NoAuthorities) } else { Ok(roots) }
}

fn name(config: &RelayConfig) -> Result<ServerName<'static>, RelayError> {
    let text = match (&config.server_name, &config.place) {
        (Some(name), _) => name.clone(),
        (None, Place::Host(host)) => host.clone(),
        (None, Place::Addresses(addresses)) => addresses.first().map(IpAddr::to_string).unwrap_or_default(),
    };
    ServerName::try_from(text.clone()).map_err(|_| RelayError::ServerName(text))
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
