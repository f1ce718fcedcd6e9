//! Buffers for mail data: small ones come and go with their message, large ones are kept for the next.
//!
//! A buffer of a megabyte that is asked of the system for each message costs more than what is put into it, in page faults.

use std::ops::Deref;
use std::sync::{Mutex, PoisonError};

/// Octets of mail data. As soon as it is large it is one of the pool of buffers of its `CAPACITY`, and goes back there when dropped.
#[derive(Debug, Default)]
pub(crate) struct Buffer<const CAPACITY: usize>(Vec<u8>);

impl<const CAPACITY: usize> Buffer<CAPACITY> {
    pub(crate) fn extend(&mut self, octets: &[u8]) {
        let len = self.0.len() + octets.len();
        if len > SMALL_BYTES && self.0.capacity() < CAPACITY {
            let mut large = pooled(CAPACITY + PIECE_BYTES);
            large.extend_from_slice(&self.0);
            self.0 = large;
        }
        self.0.extend_from_slice(octets);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

impl<const CAPACITY: usize> Deref for Buffer<CAPACITY> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const CAPACITY: usize> Drop for Buffer<CAPACITY> {
    fn drop(&mut self) {
        if self.0.capacity() == CAPACITY + PIECE_BYTES {
            let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
            if pool.len() < MAX_POOLED {
                self.0.clear();
                pool.push(std::mem::take(&mut self.0));
            }
        }
    }
}

fn pooled(capacity: usize) -> Vec<u8> {
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    let fits = pool.iter().position(|buffer| buffer.capacity() == capacity);
    fits.map_or_else(|| Vec::with_capacity(capacity), |at| pool.swap_remove(at))
}

static POOL: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// Buffers that are kept.
const MAX_POOLED: usize = 32;

/// The last piece that is put into a buffer may go so far beyond its capacity.
const PIECE_BYTES: usize = 64 << 10;

/// Up to so many octets a buffer is an ordinary vector.
const SMALL_BYTES: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_buffers_come_back_empty() {
        let mut buffer = Buffer::<100_000>::default();
        buffer.extend(b"small");
        assert!(buffer.0.capacity() < 100_000);
        buffer.extend(&[b'x'; 50_000]);
        assert_eq!(buffer.len(), 50_005);
        assert!(buffer.starts_with(b"smallx"));
        drop(buffer);
        let again = pooled(100_000 + PIECE_BYTES);
        assert!(again.is_empty() && again.capacity() == 100_000 + PIECE_BYTES);
        assert!(POOL.lock().unwrap().iter().all(|buffer| buffer.capacity() != 100_000 + PIECE_BYTES));
    }
}
