//! Clients that there is no room for: 421 in place of a banner (RFC 5321 section 3.8), and a short while in which it can arrive.
//!
//! A client that has spoken already would find its connection reset, and perhaps never see the reply; so what it sends is read and
//! thrown away for a moment. Of those there is a bound, and beyond it that is a client's bad luck.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use postgate_smtp::replies;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::callers::Callers;
use crate::site::Door;

/// A client that has been turned away, and is still listened to.
pub(crate) struct TurnedAway {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

impl TurnedAway {
    /// Tells a client that there is no room. What is to be written fits into any socket's buffer, or the client is gone.
    pub(crate) fn tell(stream: TcpStream, door: &Door, callers: &Callers, remote: SocketAddr) -> Option<Self> {
        tracing::warn!(listener = &*door.name, %remote, "too many connections");
        door.house.figures.turned_away();
        let reply = format!("{}\r\n", replies::TOO_MANY_CONNECTIONS);
        stream.try_write(reply.as_bytes()).ok()?;
        Some(Self { stream, _place: callers.linger()? })
    }

    /// Listens to it a little longer.
    pub(crate) async fn linger(mut self) {
        let drain = async {
            self.stream.shutdown().await?;
            let mut octets = [0; 1024];
            let mut left = LINGER_BYTES;
            while left > 0 {
                self.stream.readable().await?;
                match self.stream.try_read(&mut octets) {
                    Ok(0) => break,
                    Ok(read) => left = left.saturating_sub(read),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
            io::Result::Ok(())
        };
        // Whatever comes of it, the connection is closed now.
        let _ = timeout(LINGER, drain).await;
    }
}

/// How long, and for how many octets, each of them is listened to.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 64 << 10;
