//! Connections that nobody uses now: kept for the next message, and closed when none has come in time, whether or not anybody asks.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::connection::Connection;

/// The idle connections of one relay. There are never more than it has places, because whoever has a place takes an idle one first.
#[derive(Debug)]
pub(super) struct Pool {
    state: Arc<Mutex<State>>,
    keep: Duration,
}

#[derive(Debug, Default)]
struct State {
    /// The one that has waited longest first, with since when.
    idle: VecDeque<(Instant, Connection)>,
    /// The task that closes them; it ends when there is none left.
    closer: Option<AbortHandle>,
}

impl Pool {
    /// An empty one that keeps connections for so long.
    pub(super) fn new(keep: Duration) -> Self {
        Self { state: Arc::default(), keep }
    }

    /// The one that was used last.
    pub(super) fn take(&self) -> Option<Connection> {
        lock(&self.state).idle.pop_back().map(|(_, connection)| connection)
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.state).idle.is_empty()
    }

    /// Keeps a connection on which nothing is under way.
    pub(super) fn put(&self, connection: Connection) {
        let mut state = lock(&self.state);
        state.idle.push_back((Instant::now(), connection));
        if state.closer.is_none() {
            let closer = tokio::spawn(close_late(self.state.clone(), self.keep));
            state.closer = Some(closer.abort_handle());
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        if let Some(closer) = state.closer.take() {
            closer.abort();
        }
        state.idle.iter_mut().for_each(|(_, connection)| connection.say_goodbye());
        state.idle.clear();
    }
}

/// Closes what has waited for too long, until nothing waits.
async fn close_late(state: Arc<Mutex<State>>, keep: Duration) {
    loop {
        let due = {
            let mut state = lock(&state);
            let Some((since, _)) = state.idle.front() else {
                state.closer = None;
                return;
            };
            *since + keep
        };
        sleep_until(due).await;
        let mut parting = JoinSet::new();
        {
            let mut state = lock(&state);
            while let Some((_, connection)) = state.idle.pop_front_if(|(since, _)| *since + keep <= Instant::now()) {
                parting.spawn(connection.part());
            }
        }
        parting.join_all().await;
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
