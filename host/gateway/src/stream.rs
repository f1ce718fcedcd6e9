//! The octets of a connection, in clear or under TLS.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::ready;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use crate::buffer::Buffer;

/// One client's octets.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// Without a socket, in a rehearsal.
    Memory(DuplexStream),
    MemoryTls(Box<TlsStream<DuplexStream>>),
    /// In a handshake, or behind one that failed.
    Gone,
}

impl Stream {
    /// Waits for octets; none is the end. Nothing is lost where this is given up, and no buffer is held while it waits.
    ///
    /// The end of TLS is its close_notify. A connection that ends without it has been cut, perhaps by somebody else (RFC 8446 section
    /// 6.1), and is an error.
    pub(crate) async fn read(&mut self) -> io::Result<Buffer> {
        match self {
            Self::Plain(stream) => loop {
                stream.readable().await?;
                let mut buffer = Buffer::take();
                match stream.try_read(buffer.room()) {
                    Ok(octets) => {
                        buffer.filled(octets);
                        return Ok(buffer);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            },
            Self::Tls(stream) => read(&mut **stream).await,
            Self::Memory(stream) => read(stream).await,
            Self::MemoryTls(stream) => read(&mut **stream).await,
            Self::Gone => Ok(Buffer::take()),
        }
    }

    /// Takes some octets from the front, and answers how many. Under TLS they are sent by `flush`.
    pub(crate) async fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => loop {
                match stream.try_write(octets) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.writable().await?,
                    written => return written,
                }
            },
            Self::Tls(stream) => poll_fn(|context| Pin::new(&mut **stream).poll_write(context, octets)).await,
            Self::Memory(stream) => stream.write(octets).await,
            Self::MemoryTls(stream) => stream.write(octets).await,
            Self::Gone => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Sends what was taken.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) | Self::Memory(_) | Self::Gone => Ok(()),
            Self::Tls(stream) => stream.flush().await,
            Self::MemoryTls(stream) => stream.flush().await,
        }
    }

    /// Says close_notify, where that is due and within this time, before the connection is closed. The client may be gone already.
    pub(crate) async fn part(&mut self, patience: Duration) {
        match self {
            Self::Plain(_) | Self::Memory(_) | Self::Gone => {}
            Self::Tls(stream) => {
                let _ = timeout(patience, stream.shutdown()).await;
            }
            Self::MemoryTls(stream) => {
                let _ = timeout(patience, stream.shutdown()).await;
            }
        }
    }

    /// Says that nothing more will be sent: the end of the stream, and of TLS before it.
    pub(crate) async fn end(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.shutdown().await,
            Self::Tls(stream) => stream.shutdown().await,
            Self::Memory(stream) => stream.shutdown().await,
            Self::MemoryTls(stream) => stream.shutdown().await,
            Self::Gone => Ok(()),
        }
    }
}

/// Waits without a buffer.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Buffer> {
    poll_fn(|context| {
        let mut buffer = Buffer::take();
        let mut room = ReadBuf::new(buffer.room());
        ready!(Pin::new(&mut *stream).poll_read(context, &mut room))?;
        let octets = room.filled().len();
        buffer.filled(octets);
        io::Result::Ok(buffer).into()
    })
    .await
}
