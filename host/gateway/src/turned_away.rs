//! Clients that there is no room for: 421 in place of a banner (RFC 5321 section 3.8), and a short while in which it can arrive.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use postgate_smtp::replies;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Who is turned away at a port.
pub(crate) struct TurnedAway {
    lingering: Arc<Semaphore>,
}

impl TurnedAway {
    pub(crate) fn new() -> Self {
        Self { lingering: Arc::new(Semaphore::new(LINGERING_MAX)) }
    }

    /// Tells a client, and closes. Nobody is waited for here: what is to be written fits into any socket's buffer, or the client is gone.
    ///
    /// A client that has spoken already would find its connection reset, and perhaps never see the reply; so what it sends is read and
    /// thrown away for a moment, among the `tasks` of the port. Of those there is a bound, and beyond it that is a client's bad luck.
    pub(crate) fn tell(&self, stream: TcpStream, tasks: &mut JoinSet<()>) {
        let reply = format!("{}\r\n", replies::TOO_MANY_CONNECTIONS);
        if stream.try_write(reply.as_bytes()).is_err() {
            return;
        }
        if let Ok(place) = self.lingering.clone().try_acquire_owned() {
            tasks.spawn(linger(stream, place));
        }
    }
}

async fn linger(mut stream: TcpStream, _place: OwnedSemaphorePermit) {
    let drain = async {
        stream.shutdown().await?;
        let mut octets = [0; 1024];
        let mut left = LINGER_BYTES;
        while left > 0 {
            stream.readable().await?;
            match stream.try_read(&mut octets) {
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

/// Clients of a port that are listened to although they were turned away.
const LINGERING_MAX: usize = 100;

/// How long, and for how many octets, each of them is.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 64 << 10;
