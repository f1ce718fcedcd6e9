//! The octets that are handed over: a message with its trace field on top, from memory or from its file, or a message of a plugin's own.

use std::io;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::message::Message;

/// The octets of a message.
#[derive(Clone, Debug)]
pub enum Content {
    /// One that was received. What is not in memory is read by the threads that the semaphore bounds.
    Received(Arc<Message>, Arc<Semaphore>),
    /// One that a plugin has made.
    Own(Arc<Vec<u8>>),
}

impl Content {
    /// Octets in all.
    pub fn size(&self) -> u64 {
        match self {
            Self::Received(message, _) => message.trace().len() as u64 + message.size(),
            Self::Own(octets) => octets.len() as u64,
        }
    }

    /// Whether all octets are known to be ASCII. What lies in a file is not looked at.
    pub fn is_ascii(&self) -> bool {
        match self {
            Self::Own(octets) => octets.is_ascii(),
            Self::Received(message, _) if message.is_in_memory() => {
                let mut pieces = (0..message.size()).step_by(PIECE_BYTES);
                message.trace().is_ascii() && pieces.all(|at| read(message, at).is_ok_and(|piece| piece.is_ascii()))
            }
            Self::Received(..) => false,
        }
    }

    /// Whether the header section is ASCII.
    pub fn has_ascii_header(&self) -> bool {
        match self {
            Self::Received(message, _) => message.header().is_ascii() && message.trace().is_ascii(),
            Self::Own(octets) => {
                let end = memchr::memmem::find(octets, b"\r\n\r\n").unwrap_or(octets.len());
                octets.get(..end).is_none_or(<[u8]>::is_ascii)
            }
        }
    }

    /// The next octets from `offset` on; none at the end.
    pub(super) async fn piece(&self, offset: u64) -> io::Result<Vec<u8>> {
        match self {
            Self::Own(octets) => Ok(piece_of(octets, offset).to_vec()),
            Self::Received(message, disk) => {
                let trace = message.trace();
                let Some(behind) = offset.checked_sub(trace.len() as u64) else {
                    return Ok(piece_of(trace, offset).to_vec());
                };
                if message.is_in_memory() {
                    return read(message, behind);
                }
                let message = message.clone();
                let permit = disk.clone().acquire_owned().await.map_err(io::Error::other)?;
                let reading = tokio::task::spawn_blocking(move || {
                    let _held = permit;
                    read(&message, behind)
                });
                reading.await.map_err(io::Error::other)?
            }
        }
    }
}

fn piece_of(octets: &[u8], offset: u64) -> &[u8] {
    let rest = usize::try_from(offset).ok().and_then(|at| octets.get(at..)).unwrap_or_default();
    rest.get(..PIECE_BYTES).unwrap_or(rest)
}

fn read(message: &Message, offset: u64) -> io::Result<Vec<u8>> {
    let mut octets = Vec::with_capacity(PIECE_BYTES);
    message.read(offset, PIECE_BYTES, &mut octets)?;
    Ok(octets)
}

/// Octets that are written at once.
const PIECE_BYTES: usize = 64 << 10;
