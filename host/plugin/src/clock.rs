//! The wall clock that the host and its guests go by. Tests set their own, so that nothing that expires needs to be waited for.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::runtime::Handle;
use tokio::time::Instant;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// Tells the time. Cheap to clone.
#[derive(Clone)]
pub struct Clock {
    now: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    /// Since when a rehearsal's clock goes; none in earnest.
    rehearsed_since: Option<SystemTime>,
}

impl Clock {
    /// A clock that shows what the function answers.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { now: Arc::new(now), rehearsed_since: None }
    }

    /// A clock that shows `begin` now and then goes with the time of the runtime that this is called in, which a rehearsal has paused.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn rehearsed(begin: SystemTime) -> Self {
        let (runtime, since) = (Handle::current(), Instant::now());
        let now = move || {
            // Also for threads that are none of the runtime's.
            let _entered = runtime.enter();
            begin.checked_add(since.elapsed()).unwrap_or(begin).min(Self::last())
        };
        Self { now: Arc::new(now), rehearsed_since: Some(begin) }
    }

    /// Where a rehearsal's time stands still: dates of more than four digits can't be written, and some are still added to.
    pub fn last() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(LAST_S)
    }

    /// The time of day.
    pub fn time(&self) -> SystemTime {
        (self.now)()
    }

    /// Whether it is that of a rehearsal: what guests see must then be the same each time.
    pub(crate) fn is_rehearsed(&self) -> bool {
        self.rehearsed_since.is_some()
    }

    /// Seconds since 1970.
    pub(crate) fn now_s(&self) -> u64 {
        self.since_epoch().as_secs()
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        i64::try_from(self.since_epoch().as_millis()).unwrap_or(i64::MAX)
    }

    fn since_epoch(&self) -> Duration {
        self.time().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new(SystemTime::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.since_epoch()).finish()
    }
}

/// What guests see by `wasi:clocks/wall-clock`.
impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        self.since_epoch()
    }
}

/// What guests see by `wasi:clocks/monotonic-clock` in a rehearsal.
impl HostMonotonicClock for Clock {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        let since = self.rehearsed_since.unwrap_or(UNIX_EPOCH);
        let elapsed = self.time().duration_since(since).unwrap_or_default();
        u64::try_from((REHEARSED_UPTIME + elapsed).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// 9999-01-01T00:00:00Z.
const LAST_S: u64 = 253_370_764_800;

/// What the clock that only goes up shows at the beginning of a rehearsal: Go's run-time library stops where it shows nothing.
const REHEARSED_UPTIME: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_rehearsal_has_an_end() {
        let late = Clock::rehearsed(Clock::last());
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(late.time(), Clock::last());
        let usual = Clock::rehearsed(UNIX_EPOCH);
        assert!(usual.time() >= UNIX_EPOCH && usual.time() < Clock::last());
    }
}
