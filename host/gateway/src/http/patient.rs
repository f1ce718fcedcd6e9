//! A stream to a client of HTTP that has to take what it has asked for: one that does not read would keep its connection, and the response in
//! memory, for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// Waits for its client so long in all; what the client takes gives time back.
pub(crate) struct Patient<S> {
    stream: S,
    patience: Duration,
    left: Duration,
    /// While a write waits: since when, and until when.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<S> Patient<S> {
    pub(crate) fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, left: patience, waiting: None }
    }

    /// What a write has come to, or that it has waited for too long.
    fn waited(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            if let Some((since, _)) = self.waiting.take() {
                self.left = self.left.saturating_sub(since.elapsed());
            }
            let octets = written.as_ref().map_or(0, |octets| u32::try_from(*octets).unwrap_or(u32::MAX));
            self.left = self.patience.min(self.left.saturating_add(Duration::from_secs(1) * octets / OCTETS_A_SECOND));
            return Poll::Ready(written);
        }
        let left = self.left;
        let (_, late) = self.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
        late.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, octets);
        self.waited(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.waited(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx).map_ok(|()| 0);
        self.waited(cx, flushed).map_ok(|_| ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.stream).poll_shutdown(cx).map_ok(|()| 0);
        self.waited(cx, closed).map_ok(|_| ())
    }
}

/// A client that takes fewer for long is left.
const OCTETS_A_SECOND: u32 = 1024;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// Whether 100,000 octets are written to a client that takes so many every 10 ms.
    async fn is_served(octets: usize) -> bool {
        let (near, mut far) = duplex(1000);
        let mut stream = Patient::new(near, Duration::from_millis(200));
        let reader = tokio::spawn(async move {
            let mut piece = vec![0; octets];
            let mut beats = tokio::time::interval(Duration::from_millis(10));
            loop {
                beats.tick().await;
                if far.read_exact(&mut piece).await.is_err() {
                    break;
                }
            }
        });
        let written = stream.write_all(&[0; 100_000]).await;
        reader.abort();
        written.inspect_err(|error| assert_eq!(error.kind(), io::ErrorKind::TimedOut)).is_ok()
    }

    #[tokio::test]
    async fn who_is_slow_is_waited_for_and_who_drips_is_not() {
        assert!(is_served(1000).await);
        assert!(!is_served(1).await);
        assert!(!is_served(0).await);
    }
}
