//! The least that a server with tokio and rustls can do: a handshake, a banner, replies to EHLO and QUIT. No plugin, no limit, no log.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rustls::ServerConfig;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Serves at an address, with the certificate and key of these files, until it is killed.
pub(crate) fn floor(arguments: &[String]) -> Result<()> {
    let [address, chain, key] = arguments else { bail!("address, certificate and key are needed") };
    let address: SocketAddr = address.parse().context("no address")?;
    let acceptor = TlsAcceptor::from(Arc::new(config(chain, key)?));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await.context("the address can't be had")?;
        loop {
            let (stream, _) = listener.accept().await.context("no connection")?;
            // One that fails is the load's affair, which then says so.
            tokio::spawn(session(acceptor.clone(), stream));
        }
    })
}

/// As the gateway's.
fn config(chain: &str, key: &str) -> Result<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(chain).context("no certificate")?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key).context("no key")?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .context("no versions")?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("the key is not the certificate's")?;
    config.alpn_protocols = vec![b"smtp".to_vec(), b"lmtp".to_vec()];
    config.ticketer = Ticketer::new().context("no keys for tickets")?;
    Ok(config)
}

async fn session(acceptor: TlsAcceptor, stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = acceptor.accept(stream).await?;
    stream.write_all(b"220 mx.example.org ESMTP\r\n").await?;
    let mut line = [0; 512];
    loop {
        let count = stream.read(&mut line).await?;
        let said = line.get(..count).unwrap_or_default();
        if said.is_empty() {
            return Ok(());
        }
        if said.starts_with(b"QUIT") {
            stream.write_all(b"221 2.0.0 Bye\r\n").await?;
            return stream.shutdown().await;
        }
        stream.write_all(EHLO).await?;
    }
}

/// About as long as the gateway's.
const EHLO: &[u8] = b"250-mx.example.org\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n\
    250-CHUNKING\r\n250-BINARYMIME\r\n250-SMTPUTF8\r\n250-MT-PRIORITY\r\n250-LIMITS RCPTMAX=1000\r\n250-VRFY\r\n250 HELP\r\n";
