//! Places for instances, and who waits for them: so that a session that holds some without using them can make room.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// A bounded number of places. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    free: Arc<Semaphore>,
    /// Sessions that wait for places.
    waiting: AtomicUsize,
    /// Sessions that are about to give theirs back.
    yielding: AtomicUsize,
}

/// Somebody waits, or is about to give way, for as long as this lives.
struct Counted<'a>(&'a AtomicUsize);

/// The word of a session to give its places back, of which those who wait need not ask another; to be kept until it has done so.
pub struct Yielding(Places);

impl Places {
    /// So many.
    pub(crate) fn new(places: usize) -> Self {
        Self(Arc::new(Parts {
            free: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
            waiting: AtomicUsize::new(0),
            yielding: AtomicUsize::new(0),
        }))
    }

    /// So many places at once, waited for until the deadline.
    pub(crate) async fn take(&self, places: usize, deadline: Instant) -> Option<OwnedSemaphorePermit> {
        let places = u32::try_from(places).unwrap_or(u32::MAX);
        let free = &self.0.free;
        if let Ok(taken) = free.clone().try_acquire_many_owned(places) {
            return Some(taken);
        }
        let _waiting = Counted::new(&self.0.waiting);
        timeout_at(deadline, free.clone().acquire_many_owned(places)).await.ok()?.ok()
    }

    /// Whether a session that holds places is asked to give them back: no more of them are than others wait.
    pub(crate) fn give_way(&self) -> Option<Yielding> {
        let waiting = self.0.waiting.load(Ordering::Acquire);
        let more = |yielding: usize| (yielding < waiting).then_some(yielding + 1);
        self.0.yielding.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Yielding(self.clone()))
    }
}

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Yielding {
    fn drop(&mut self) {
        self.0.0.yielding.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use super::*;

    #[test]
    fn as_many_give_way_as_others_wait() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        let deadline = Instant::now() + Duration::from_secs(3600);
        let mut context = Context::from_waker(Waker::noop());
        let places = Places::new(4);
        let Poll::Ready(Some(held)) = pin!(places.take(3, deadline)).poll(&mut context) else { panic!("no places") };
        assert!(places.give_way().is_none(), "nobody waits");
        {
            let mut waiting = pin!(places.take(2, deadline));
            assert!(waiting.as_mut().poll(&mut context).is_pending());
            let yielding = places.give_way().expect("one waits");
            assert!(places.give_way().is_none(), "one gives way already");
            drop(held);
            drop(yielding);
            assert!(matches!(waiting.as_mut().poll(&mut context), Poll::Ready(Some(_))));
        }
        assert!(places.give_way().is_none(), "nobody waits any more");
        {
            let mut given_up = pin!(places.take(5, deadline));
            assert!(given_up.as_mut().poll(&mut context).is_pending());
        }
        assert!(places.give_way().is_none(), "who has given up does not wait");
    }
}
