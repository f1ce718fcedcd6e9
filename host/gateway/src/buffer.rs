//! Buffers for reading, lent to a connection while it works on what it has read.

use std::cell::RefCell;

/// A buffer from this thread's pool; it goes back to the pool of the thread that drops it.
pub(crate) struct Buffer {
    octets: Box<[u8]>,
    filled: usize,
}

impl Buffer {
    pub(crate) fn take() -> Self {
        let pooled = POOL.with_borrow_mut(Vec::pop);
        Self { octets: pooled.unwrap_or_else(|| vec![0; BUFFER_BYTES].into_boxed_slice()), filled: 0 }
    }

    /// Where octets can be read to.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        &mut self.octets
    }

    /// So many octets were read.
    pub(crate) fn filled(&mut self, octets: usize) {
        self.filled = octets.min(self.octets.len());
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        self.octets.get(..self.filled).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let octets = std::mem::take(&mut self.octets);
        // A thread that is ending has no pool any more.
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < MAX_POOLED {
                pool.push(octets);
            }
        });
    }
}

thread_local! {
    static POOL: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

const BUFFER_BYTES: usize = 64 << 10;

/// Buffers that a thread keeps.
const MAX_POOLED: usize = 16;
