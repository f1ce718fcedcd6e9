//! The standard error of a guest: the last octets of it, for the log line of a failure.
//!
//! What a guest prints when it panics explains a trap better than the trap does. It goes nowhere else, and more than the
//! bound pushes the oldest out.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

use crate::service::secrets::Redactor;

/// A bounded tail of what was written.
#[derive(Clone)]
pub(crate) struct Stderr {
    tail: Arc<Mutex<Vec<u8>>>,
    redactor: Redactor,
    /// Octets that are kept: so many more than are told that a secret at the edge is recognized.
    kept: usize,
}

impl Stderr {
    /// Of a guest with these secrets.
    pub(crate) fn new(redactor: &Redactor) -> Self {
        let kept = TAIL_BYTES + redactor.longest().saturating_sub(1);
        Self { tail: Arc::default(), redactor: redactor.clone(), kept }
    }

    /// Takes what is there, without secrets, and with everything that is not printable escaped.
    pub(crate) fn take(&self) -> String {
        let octets = std::mem::take(&mut *self.tail.lock().unwrap_or_else(PoisonError::into_inner));
        // What came before may end in the first octets of a full buffer.
        let skipped = if octets.len() < self.kept { 0 } else { self.kept - TAIL_BYTES };
        let octets = self.redactor.octets(&octets, skipped);
        let tail = octets.get(octets.len().saturating_sub(TAIL_BYTES)..).unwrap_or_default();
        tail.trim_ascii().escape_ascii().to_string()
    }

    fn push(&self, octets: &[u8]) {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let octets = octets.get(octets.len().saturating_sub(self.kept)..).unwrap_or_default();
        let over = (tail.len() + octets.len()).saturating_sub(self.kept);
        tail.drain(..over);
        tail.extend_from_slice(octets);
    }
}

impl IsTerminal for Stderr {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stderr {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn wasmtime_wasi::p2::OutputStream> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for Stderr {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.push(octets);
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl wasmtime_wasi::p2::OutputStream for Stderr {
    fn write(&mut self, octets: bytes::Bytes) -> wasmtime_wasi::p2::StreamResult<()> {
        self.push(&octets);
        Ok(())
    }

    fn flush(&mut self) -> wasmtime_wasi::p2::StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> wasmtime_wasi::p2::StreamResult<usize> {
        Ok(TAIL_BYTES)
    }
}

#[wasmtime_wasi::async_trait]
impl wasmtime_wasi::p2::Pollable for Stderr {
    async fn ready(&mut self) {}
}

const TAIL_BYTES: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::secrets::Secret;

    #[test]
    fn the_tail_is_bounded() {
        let stderr = Stderr::new(&Redactor::default());
        stderr.push(b"first\n");
        stderr.push(&vec![b'x'; 2 * TAIL_BYTES]);
        stderr.push(b"\x1b[31mlast\n");
        let text = stderr.take();
        assert!(text.ends_with("x\\x1b[31mlast"), "{text}");
        assert!(!text.contains("first"));
        assert_eq!(stderr.take(), "");
    }

    /// Wherever the bound cuts a value off, and however often it was printed.
    #[test]
    fn no_part_of_a_secret_is_told() {
        let secret = Secret::new("0123456789abcdef");
        for pushed in 0..40 {
            let stderr = Stderr::new(&Redactor::new([&secret].into_iter()));
            for _ in 0..200 {
                stderr.push(b"0123456789abcdef");
            }
            stderr.push(&vec![b'x'; TAIL_BYTES - pushed]);
            let text = stderr.take();
            assert!(!text.contains(|c: char| c.is_ascii_hexdigit()), "{pushed}: {text}");
            assert!(text.len() <= TAIL_BYTES);
        }
    }
}
