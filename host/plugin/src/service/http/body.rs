//! Bodies of requests: octets, and the message of a transaction, read piece by piece from where it is.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, SizeHint};
use tokio::sync::Semaphore;

use crate::message::Message;

/// What is sent.
pub(crate) type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

pub(crate) fn of_octets(octets: Vec<u8>) -> Body {
    Full::new(Bytes::from(octets)).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// The message as it is now. No more than a piece of it is copied at a time.
pub(crate) fn of_message(message: Arc<Message>, disk: Arc<Semaphore>) -> Body {
    let left = message.size();
    OfMessage { message, disk, at: 0, left, reading: None }.map_err(Into::into).boxed_unsync()
}

struct OfMessage {
    message: Arc<Message>,
    disk: Arc<Semaphore>,
    at: u64,
    left: u64,
    reading: Option<Reading>,
}

type Reading = Pin<Box<dyn Future<Output = io::Result<Vec<u8>>> + Send>>;

impl hyper::body::Body for OfMessage {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let (message, disk, at) = (self.message.clone(), self.disk.clone(), self.at);
        let reading = self.reading.get_or_insert_with(|| Box::pin(read(message, disk, at)));
        let piece = ready!(reading.as_mut().poll(cx));
        self.reading = None;
        let piece = match piece {
            Ok(piece) if piece.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            piece => piece,
        };
        Poll::Ready(Some(piece.map(|piece| {
            self.at += piece.len() as u64;
            self.left = self.left.saturating_sub(piece.len() as u64);
            Frame::data(Bytes::from(piece))
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

async fn read(message: Arc<Message>, disk: Arc<Semaphore>, at: u64) -> io::Result<Vec<u8>> {
    let piece = move |message: &Message| {
        let mut octets = Vec::with_capacity(PIECE_BYTES);
        message.read(at, PIECE_BYTES, &mut octets).map(|()| octets)
    };
    if message.is_in_memory() {
        return piece(&message);
    }
    let permit = disk.acquire_owned().await.map_err(io::Error::other)?;
    let read = tokio::task::spawn_blocking(move || {
        let _held = permit;
        piece(&message)
    });
    read.await.map_err(io::Error::other)?
}

const PIECE_BYTES: usize = 64 << 10;
