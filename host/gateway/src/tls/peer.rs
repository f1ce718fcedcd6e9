//! Who is at the other end of a TLS connection, and what the connection is.

use std::io;

use postgate_plugin::TlsLayer;
use postgate_smtp::{Certificate, TlsFacts};
use rustls::pki_types::CertificateDer;
use rustls::{ProtocolVersion, ServerConnection};
use sha2::{Digest, Sha256};

use super::certificates::names;

/// What a handshake has shown.
#[derive(Debug)]
pub(crate) struct Peer {
    /// For plugins.
    pub(crate) layer: TlsLayer,
    /// For the session.
    pub(crate) facts: TlsFacts,
}

impl Peer {
    /// Of a connection whose handshake is done.
    pub(super) fn of(connection: &ServerConnection) -> io::Result<Self> {
        let suite = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
        let (Some(version), Some(suite)) = (connection.protocol_version().and_then(version), suite) else {
            return Err(io::Error::other("a handshake that agreed on nothing"));
        };
        let certificate = connection.peer_certificates().and_then(<[_]>::first);
        let client_certificate = certificate
            .map(|certificate| Certificate { fingerprint: fingerprint(certificate), names: names(certificate) });
        Ok(Self {
            layer: TlsLayer {
                version: version.to_owned(),
                cipher_suite: iana_name(suite),
                server_name: connection.server_name().map(str::to_owned),
                client_certificate: client_certificate.as_ref().map(|certificate| certificate.fingerprint.clone()),
            },
            facts: TlsFacts { client_certificate, channel_binding: channel_binding(connection) },
        })
    }
}

/// `tls-exporter` (RFC 9266). In TLS 1.2 it binds only where both sides have extended the master secret, which rustls does not tell.
fn channel_binding(connection: &ServerConnection) -> Option<Vec<u8>> {
    if connection.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        return None;
    }
    connection.export_keying_material(vec![0; 32], b"EXPORTER-Channel-Binding", Some(&[])).ok()
}

/// SHA-256 in lower-case hexadecimal.
fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    format!("{:x}", Sha256::digest(certificate))
}

#[allow(clippy::wildcard_enum_match_arm, reason = "an enum of rustls, with versions that are never negotiated")]
fn version(version: ProtocolVersion) -> Option<&'static str> {
    match version {
        ProtocolVersion::TLSv1_2 => Some("TLSv1.2"),
        ProtocolVersion::TLSv1_3 => Some("TLSv1.3"),
        _ => None,
    }
}

/// The registry's name: rustls has `TLS13_` where suites of TLS 1.3 begin with `TLS_`.
fn iana_name(suite: &str) -> String {
    suite.strip_prefix("TLS13_").map_or_else(|| suite.to_owned(), |rest| format!("TLS_{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::CipherSuite;

    #[test]
    fn cipher_suites_have_their_registered_names() {
        for (suite, expected) in [
            (CipherSuite::TLS13_AES_256_GCM_SHA384, "TLS_AES_256_GCM_SHA384"),
            (CipherSuite::TLS13_CHACHA20_POLY1305_SHA256, "TLS_CHACHA20_POLY1305_SHA256"),
            (CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        ] {
            assert_eq!(iana_name(suite.as_str().unwrap()), expected);
        }
    }
}
