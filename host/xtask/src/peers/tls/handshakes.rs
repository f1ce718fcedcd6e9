//! The load of `bench tls`: clients that do a TLS 1.3 handshake, say EHLO and QUIT, and begin again.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustls::client::{ClientConfig, Resumption};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::TLS13;
use rustls::{ClientConnection, HandshakeKind, RootCertStore, StreamOwned};

use super::NAME;

/// So many handshakes with a server, all full or all resumed, believing the certificate in this file. Fails if one does.
pub(crate) fn load(arguments: &[String]) -> Result<()> {
    let [address, kind, count, authority] = arguments else { bail!("address, kind, count and certificate are needed") };
    let address: SocketAddr = address.parse().context("no address")?;
    let count: u32 = count.parse().context("no count")?;
    let kind = match kind.as_str() {
        "full" => HandshakeKind::Full,
        "resumed" => HandshakeKind::Resumed,
        unknown => bail!("no kind of handshake: `{unknown}`"),
    };
    let config = config(authority)?;
    thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|_| scope.spawn(|| client(address, kind, config.clone(), count / CLIENTS))).collect();
        clients.into_iter().try_for_each(|client| client.join().unwrap_or_else(|_| bail!("a client panicked")))
    })
}

fn config(authority: &str) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).context("no certificate")?).context("no authority")?;
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_protocol_versions(&[&TLS13]).context("no version")?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// One after the other.
fn client(address: SocketAddr, kind: HandshakeKind, mut config: ClientConfig, count: u32) -> Result<()> {
    config.resumption = Resumption::in_memory_sessions(8);
    if kind == HandshakeKind::Full {
        config.resumption = Resumption::disabled();
    } else {
        // Its ticket is what the others begin with.
        session(address, &Arc::new(config.clone()))?;
    }
    let config = Arc::new(config);
    for _ in 0..count {
        let was = session(address, &config)?;
        if was != Some(kind) {
            bail!("a handshake was {was:?}, not {kind:?}");
        }
    }
    Ok(())
}

fn session(address: SocketAddr, config: &Arc<ClientConfig>) -> Result<Option<HandshakeKind>> {
    let stream = TcpStream::connect(address).context("no connection")?;
    stream.set_nodelay(true).context("a socket")?;
    stream.set_read_timeout(Some(PATIENCE)).context("a socket")?;
    let name = ServerName::try_from(NAME).context("no name")?;
    let mut stream = StreamOwned::new(ClientConnection::new(config.clone(), name).context("no client")?, stream);
    expect(&mut stream, b"220 ")?;
    let kind = stream.conn.handshake_kind();
    stream.write_all(b"EHLO client.example.net\r\n").context("the server does not read")?;
    expect(&mut stream, b"250 ")?;
    stream.write_all(b"QUIT\r\n").context("the server does not read")?;
    expect(&mut stream, b"221 ")?;
    Ok(kind)
}

/// Reads a reply whose last line begins so.
fn expect(stream: &mut impl Read, begin: &[u8]) -> Result<()> {
    let mut octets = Vec::new();
    let mut piece = [0; 1024];
    loop {
        let count = stream.read(&mut piece).context("no reply")?;
        octets.extend_from_slice(piece.get(..count).unwrap_or_default());
        let lines = octets.strip_suffix(b"\r\n").unwrap_or_default();
        if lines.rsplit(|octet| *octet == b'\n').next().is_some_and(|line| line.starts_with(begin)) {
            return Ok(());
        }
        if count == 0 || octets.len() > REPLY_OCTETS_MAX {
            bail!("expected {}, got {:?}", begin.escape_ascii(), String::from_utf8_lossy(&octets));
        }
    }
}

/// At a time. The count of a turn is a multiple.
const CLIENTS: u32 = 8;
const PATIENCE: Duration = Duration::from_secs(30);
const REPLY_OCTETS_MAX: usize = 4096;
