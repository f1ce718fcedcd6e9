//! The PROXY header at the socket: read to its last octet and no further, so that what stands behind it, be it the beginning of a TLS
//! handshake or a command, is still in the socket for those whom it concerns.

use std::fmt;
use std::io;

use postgate_smtp::{ProxyError, ProxyHeader};
use tokio::net::TcpStream;

/// Whether the address of a session is that of its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It is.
    Known,
    /// A proxy forwards somebody, and does not say whom: the address is the proxy's, and gives no right.
    Unknown,
}

/// Why there is no header.
#[derive(Debug)]
pub(crate) enum HeaderError {
    /// The peer closed, or the connection broke, before anything came: a look whether somebody listens.
    Lost(io::Error),
    /// It ended within the header.
    Torn,
    /// It is none.
    Wrong(ProxyError),
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(error) => error.fmt(f),
            Self::Torn => f.write_str("the connection ended within the PROXY header"),
            Self::Wrong(error) => error.fmt(f),
        }
    }
}

/// Reads the header. The parser says whether more must come, in which case all that has come belongs to the header: so the octets are
/// looked at first and taken then.
pub(crate) async fn header(stream: &TcpStream) -> Result<ProxyHeader, HeaderError> {
    let mut octets: Vec<u8> = Vec::new();
    loop {
        let known = octets.len();
        octets.resize(known + PEEK_OCTETS, 0);
        let seen = stream.peek(octets.get_mut(known..).unwrap_or_default()).await.map_err(HeaderError::Lost)?;
        octets.truncate(known + seen);
        if seen == 0 {
            return Err(match known {
                0 => HeaderError::Lost(io::ErrorKind::UnexpectedEof.into()),
                _ => HeaderError::Torn,
            });
        }
        match ProxyHeader::read(&octets).map_err(HeaderError::Wrong)? {
            Some((header, end)) => {
                take(stream, end.saturating_sub(known)).await.map_err(HeaderError::Lost)?;
                return Ok(header);
            }
            None => take(stream, seen).await.map_err(HeaderError::Lost)?,
        }
    }
}

/// Takes octets that have been seen.
async fn take(stream: &TcpStream, octets: usize) -> io::Result<()> {
    let mut room = vec![0; octets];
    let mut left = room.as_mut_slice();
    while !left.is_empty() {
        stream.readable().await?;
        match stream.try_read(left) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(taken) => left = left.get_mut(taken..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What is looked at in one go; with most headers it is all. `ProxyHeader::OCTETS_MAX` bounds the whole.
const PEEK_OCTETS: usize = 512;
