//! What a session knows of the TLS layer below it (RFC 3207, RFC 8314). The layer itself is the caller's.

/// What the handshake has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFacts {
    /// The client's certificate, verified by the caller. With one, EXTERNAL (RFC 4422 appendix A) is offered.
    pub client_certificate: Option<Certificate>,
    /// The channel binding `tls-exporter` (RFC 9266). With one, SCRAM-SHA-256-PLUS is offered.
    pub channel_binding: Option<Vec<u8>>,
}

/// A client's certificate that was verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of the certificate, in lower-case hexadecimal.
    pub fingerprint: String,
    /// The subject alternative names of the kinds DNS and e-mail, then the common name.
    pub names: Vec<String>,
}

/// What a listener does about TLS. The default neither offers nor requires it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TlsOffer {
    /// Whether STARTTLS is offered where the connection is in clear.
    pub starttls: bool,
    /// Whether a client must be below TLS before it says anything of matter (RFC 3207 section 4: 530 5.7.0).
    pub required: bool,
}
