//! What one plugin may use, and the meter that holds it to its memory.
//!
//! Wasmtime limits each linear memory by itself; a component may have several, so the meter sums them over the store.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmtime::ResourceLimiter;

/// The limits of one plugin. Running out of one is a failure with a cause, never a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Fuel for one call, and as much again for making the instance. About 10 units are one nanosecond of CPU in a tight
    /// loop; other code burns up to 36 in that time.
    pub fuel: u64,
    /// Octets of all linear memories of an instance together.
    pub memory_bytes: usize,
    /// Wall-clock time of one call, time spent waiting in host services included.
    pub deadline: Duration,
    /// Elements of all tables of an instance together.
    pub table_elements: usize,
    /// Instances of this plugin that may exist at the same time.
    pub instances: usize,
    /// Calls of host services that one call of a hook may make; logging and reading the configuration are none.
    pub service_calls: u32,
    /// Octets that one call may write into the log.
    pub log_bytes: usize,
    /// Octets of all notes of a session together, names included.
    pub note_bytes: usize,
    /// Octets that the edits of one message may add.
    pub edit_bytes: usize,
    /// Figures of its own among the metrics.
    pub figures: usize,
    /// Octets that one host call, or the result of a hook, may copy out of the guest.
    pub transfer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel: 1_000_000_000,
            memory_bytes: 64 << 20,
            deadline: Duration::from_secs(10),
            table_elements: 20_000,
            instances: 4000,
            service_calls: 1000,
            log_bytes: 16 << 10,
            note_bytes: 64 << 10,
            edit_bytes: 1 << 20,
            figures: 200,
            transfer_bytes: 2 << 20,
        }
    }
}

/// How an instance is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// From its first hook in a session on; dropped with the session at the latest, and between two mail transactions
    /// when the session is idle.
    #[default]
    Session,
    /// A fresh one for each call.
    Call,
}

impl Keep {
    /// The word in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Keep::Session => "session",
            Keep::Call => "call",
        }
    }
}

/// Counts the memory and tables of one store.
#[derive(Debug)]
pub(crate) struct Meter {
    memory_bytes: usize,
    memory_limit_bytes: usize,
    table_elements: usize,
    table_limit_elements: usize,
    /// A growth was refused: what then traps did so for want of memory.
    pub(crate) refused: bool,
}

impl Meter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            memory_bytes: 0,
            memory_limit_bytes: limits.memory_bytes,
            table_elements: 0,
            table_limit_elements: limits.table_elements,
            refused: false,
        }
    }

    /// Octets of linear memory in use.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory_bytes.saturating_add(desired.saturating_sub(current));
        if total > self.memory_limit_bytes {
            self.refused = true;
            return Ok(false);
        }
        self.memory_bytes = total;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = true;
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.table_elements.saturating_add(desired.saturating_sub(current));
        if total > self.table_limit_elements {
            self.refused = true;
            return Ok(false);
        }
        self.table_elements = total;
        Ok(true)
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = true;
        Ok(())
    }

    fn instances(&self) -> usize {
        MAX_CORE_INSTANCES
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }
}

/// Core instances of one component: a Python guest has 14, with stubbed WASI 38.
pub(crate) const MAX_CORE_INSTANCES: usize = 64;
/// Tables of one component.
pub(crate) const MAX_TABLES: usize = 16;
/// Linear memories of one component: a QuickJS guest has 2 or 3.
pub(crate) const MAX_MEMORIES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_summed_over_all_memories() {
        let mut meter = Meter::new(&Limits { memory_bytes: 100, ..Limits::default() });
        assert!(meter.memory_growing(0, 60, None).unwrap());
        assert!(!meter.memory_growing(0, 60, None).unwrap());
        assert!(meter.refused);
        assert!(meter.memory_growing(0, 40, None).unwrap());
        assert_eq!(meter.memory_bytes(), 100);
    }
}
