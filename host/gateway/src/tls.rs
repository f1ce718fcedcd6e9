//! TLS of a listener: versions 1.2 (RFC 5246) and 1.3 (RFC 8446), certificates chosen by the name that the client asks for (RFC
//! 6066 section 3), client certificates, ALPN (RFC 7301), sessions resumed by tickets.
//!
//! Files are loaded at start and again when they change; connections that are open keep what they began with. A listener's tickets
//! are good for it alone, and only until its files are loaded anew: who could come in yesterday, or elsewhere, shows a certificate again.

pub(crate) mod authority;
mod certificates;
mod peer;
pub(crate) mod rehearsal;
mod stamp;
pub(crate) mod watch;

use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::server::{ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::{self, ClientCertificateMode};
use certificates::{ByName, Loaded};
pub(crate) use certificates::{read_chain, read_key};
pub(crate) use peer::Peer;
use stamp::Stamp;

/// The TLS of one listener.
pub(crate) struct Tls {
    listener: Arc<str>,
    spoken: Spoken,
    settings: config::Tls,
    patience: Duration,
    current: RwLock<Arc<ServerConfig>>,
    /// The files as they were when they were last loaded, or could not be.
    seen: Mutex<Vec<Stamp>>,
}

/// What is spoken below TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// SMTP or LMTP.
    Mail,
    /// HTTP/1.1.
    Http,
}

impl Spoken {
    /// What a client may want to speak (RFC 7301). One that offers other protocols only has been led here by somebody else, and gets no
    /// session: no_application_protocol.
    const fn protocols(self) -> &'static [&'static [u8]] {
        match self {
            Self::Mail => &[b"smtp", b"lmtp"],
            Self::Http => &[b"http/1.1"],
        }
    }
}

/// What is wrong with a file, or worth a word.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) setting: Setting,
    pub(crate) message: String,
}

/// The setting that names a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    /// Of the certificate at this place in the list.
    Chain(usize),
    Key(usize),
    ClientAuthorities,
}

impl Tls {
    /// Loads the files. Also what about them is worth a warning; else all that is wrong.
    pub(crate) fn load(
        listener: &str,
        spoken: Spoken,
        settings: &config::Tls,
        patience: Duration,
    ) -> Result<(Self, Vec<Finding>), Vec<Finding>> {
        let seen = Mutex::new(stamp::of(settings));
        let (server, warnings) = server_config(spoken, settings)?;
        let current = RwLock::new(Arc::new(server));
        let tls = Self { listener: listener.into(), spoken, settings: settings.clone(), patience, current, seen };
        tls.warn(&warnings);
        Ok((tls, warnings))
    }

    /// The handshake, which a client that is slow does not get through.
    pub(crate) async fn handshake<S>(&self, stream: S) -> io::Result<(Box<TlsStream<S>>, Peer)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        let handshake = timeout(self.patience, TlsAcceptor::from(config).accept(stream)).await;
        let stream = handshake.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the client took too long"))??;
        let peer = Peer::of(stream.get_ref().1)?;
        Ok((Box::new(stream), peer))
    }

    /// Loads the files anew where they have changed since, and does so anyway when told to. What is in use stays if they are wrong.
    pub(crate) fn reload(&self, reason: Reason) {
        let now = stamp::of(&self.settings);
        let before = std::mem::replace(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner), now.clone());
        if reason == Reason::Period && before == now {
            return;
        }
        let listener = &*self.listener;
        match server_config(self.spoken, &self.settings) {
            Ok((server, warnings)) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(server);
                tracing::info!(listener, certificates = self.settings.certificates.len(), "certificates loaded");
                self.warn(&warnings);
            }
            Err(problems) => {
                for problem in problems {
                    tracing::error!(listener, problem = problem.message, "certificates not loaded, the former stay");
                }
            }
        }
    }

    /// Logs what is worth a warning.
    fn warn(&self, warnings: &[Finding]) {
        for warning in warnings {
            tracing::warn!(listener = &*self.listener, warning = warning.message, "certificate");
        }
    }
}

/// Why files are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The operator wants them loaded.
    Told,
    /// It is time to see whether they have changed.
    Period,
}

fn server_config(spoken: Spoken, settings: &config::Tls) -> Result<(ServerConfig, Vec<Finding>), Vec<Finding>> {
    let provider = Arc::new(default_provider());
    let loaded = Loaded::from_files(&settings.certificates, &provider);
    let clients = settings.client_certificates.as_ref().map(|clients| verifier(clients, &provider)).transpose();
    let (keys, warnings, clients) = match (loaded, clients) {
        (Ok(Loaded { keys, warnings }), Ok(clients)) => (keys, warnings, clients),
        (Ok(_), Err(problem)) => return Err(vec![problem]),
        (Err(mut problems), clients) => {
            problems.extend(clients.err());
            return Err(problems);
        }
    };
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .expect("invariant: the provider has suites of both versions");
    let builder = match clients {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut server = builder.with_cert_resolver(Arc::new(ByName::new(keys)));
    // All suites are good ones; ours come with those first that this machine is quick at, and a client can't choose the slowest.
    server.ignore_client_order = true;
    server.alpn_protocols = spoken.protocols().iter().map(|name| name.to_vec()).collect();
    server.session_storage = ServerSessionMemoryCache::new(RESUMABLE_SESSIONS);
    // Without random octets for its keys there are no tickets, and TLS 1.2 has its cache.
    if let Ok(ticketer) = Ticketer::new() {
        server.ticketer = ticketer;
    }
    Ok((server, warnings))
}

type Verifier = Arc<dyn rustls::server::danger::ClientCertVerifier>;

fn verifier(settings: &config::ClientCertificates, provider: &Arc<CryptoProvider>) -> Result<Verifier, Finding> {
    let wrong = |message| Finding { setting: Setting::ClientAuthorities, message };
    let mut roots = RootCertStore::empty();
    for certificate in certificates::read_chain(&settings.ca).map_err(wrong)? {
        let added = roots.add(certificate);
        added.map_err(|error| wrong(format!("{}: a certificate can't be used: {error}", settings.ca.display())))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let builder = match settings.mode {
        ClientCertificateMode::Optional => builder.allow_unauthenticated(),
        ClientCertificateMode::Required => builder,
    };
    builder.build().map_err(|error| wrong(format!("{}: {error}", settings.ca.display())))
}

/// TLS 1.2 sessions that are remembered for clients without tickets.
const RESUMABLE_SESSIONS: usize = 1024;
