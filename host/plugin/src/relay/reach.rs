//! Whether a relay can be reached, so that one that can't holds nobody up: while it is away one message at a time tries it, and the others are deferred at once.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is known of one relay.
#[derive(Debug, Default)]
pub(super) struct Reach(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The last attempt to connect has failed, or was given up.
    away: bool,
    /// Attempts that are under way.
    attempts: usize,
    /// Connections on which messages are sent.
    open: usize,
    /// Messages that wait for a place.
    waiting: usize,
}

/// An attempt to connect. Dropped without a word it has failed.
pub(super) struct Attempt<'a>(&'a Reach);

/// A connection on which a message is sent.
pub(super) struct Open<'a>(&'a Reach);

/// A message that waits for a place.
pub(super) struct Waiting<'a>(&'a Reach);

impl Reach {
    /// Whether it is of no use to wait: somebody is trying already, and nobody has a connection.
    pub(super) fn is_away(&self) -> bool {
        let state = self.lock();
        state.away && state.attempts > 0 && state.open == 0
    }

    /// Begins to connect; not where it is away.
    pub(super) fn attempt(&self) -> Option<Attempt<'_>> {
        let mut state = self.lock();
        if state.away && state.attempts > 0 && state.open == 0 {
            return None;
        }
        state.attempts += 1;
        Some(Attempt(self))
    }

    /// A connection is used from now on.
    pub(super) fn open(&self) -> Open<'_> {
        self.lock().open += 1;
        Open(self)
    }

    /// Waits for a place, if no more than `max` others do.
    pub(super) fn wait(&self, max: usize) -> Option<Waiting<'_>> {
        let mut state = self.lock();
        if state.waiting >= max {
            return None;
        }
        state.waiting += 1;
        Some(Waiting(self))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    /// There is a connection.
    pub(super) fn succeeded(self) {
        let mut state = self.0.lock();
        state.away = false;
        state.attempts -= 1;
        drop(state);
        std::mem::forget(self);
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.away = true;
        state.attempts -= 1;
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.lock().open -= 1;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_while_it_is_away() {
        let reach = Reach::default();
        // Nobody knows yet: as many as like.
        let (first, second) = (reach.attempt().unwrap(), reach.attempt().unwrap());
        assert!(!reach.is_away());
        drop(first);
        assert!(reach.is_away() && reach.attempt().is_none());
        drop(second);
        let probe = reach.attempt().unwrap();
        assert!(reach.attempt().is_none());
        // Whoever has a connection knows better.
        let open = reach.open();
        assert!(!reach.is_away() && reach.attempt().is_some());
        drop(open);
        assert!(reach.is_away());
        probe.succeeded();
        assert!(reach.attempt().is_some() && reach.attempt().is_some());
    }

    #[test]
    fn so_many_wait() {
        let reach = Reach::default();
        let waiting: Vec<_> = (0..3).map_while(|_| reach.wait(3)).collect();
        assert!(waiting.len() == 3 && reach.wait(3).is_none());
        drop(waiting);
        assert!(reach.wait(3).is_some());
    }
}
