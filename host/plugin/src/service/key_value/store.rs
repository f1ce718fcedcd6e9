//! A store at work: one thread that owns the file, and a queue of bounded size in front of it.
//!
//! The thread takes whatever waits, up to [`MAX_BATCH`] operations of all guests, and does them in one transaction. A commit is in the
//! system's cache when the guest hears of it, and on disk within a second ([`SYNC_EVERY`]). A caller that is cancelled leaves an operation that
//! is done whole, or not at all if it has not begun.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::Grant;
use super::table::{Answer, Operation, Table};
use crate::bindings::postgate::mail::types::ServiceError;
use crate::clock::Clock;
use crate::service::storage::StorageError;

/// A store that is open.
#[derive(Debug)]
pub(crate) struct Store {
    /// None when it is being closed.
    queue: Option<Sender<Job>>,
    /// Room in the queue, in units of [`PLACE_BYTES`].
    room: Arc<Semaphore>,
    thread: Option<JoinHandle<()>>,
    /// In a rehearsal time stands still while the thread is waited for.
    is_rehearsed: bool,
}

#[derive(Debug)]
struct Job {
    operation: Operation,
    reply: oneshot::Sender<Result<Answer, ServiceError>>,
    _room: OwnedSemaphorePermit,
}

impl Store {
    /// Opens the file and begins to serve it.
    pub(crate) fn open(grant: &Grant, clock: Clock) -> Result<Self, StorageError> {
        let table = Table::open(grant)?;
        let (queue, jobs) = mpsc::channel();
        let is_rehearsed = clock.is_rehearsed();
        let mut keeper = Keeper { table, clock, name: grant.name.clone(), unsynced: None, purge_at: Instant::now() };
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(move || keeper.serve(&jobs));
        let thread = Some(thread.map_err(StorageError::Thread)?);
        Ok(Self { queue: Some(queue), room: Arc::new(Semaphore::new(QUEUE_PLACES)), thread, is_rehearsed })
    }

    /// Waits for room in the queue, and for the answer.
    pub(crate) async fn call(&self, operation: Operation) -> Result<Answer, ServiceError> {
        let gone = || ServiceError::Unavailable("the store is closed".to_owned());
        let places = u32::try_from(1 + operation.octets() / PLACE_BYTES).unwrap_or(u32::MAX);
        let room = self.room.clone().acquire_many_owned(places).await.map_err(|_| gone())?;
        let (reply, answer) = oneshot::channel();
        let job = Job { operation, reply, _room: room };
        self.queue.as_ref().ok_or_else(gone)?.send(job).map_err(|_| gone())?;
        if self.is_rehearsed {
            // A runtime whose time is paused goes on to the next timer unless it knows of a thread that works for it.
            let answer = tokio::task::spawn_blocking(move || answer.blocking_recv()).await;
            return answer.map_err(|_| gone())?.map_err(|_| gone())?;
        }
        answer.await.map_err(|_| gone())?
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // The thread ends when it has done what waits, and synced it.
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of a store has panicked");
        }
    }
}

/// What the thread owns.
struct Keeper {
    table: Table,
    clock: Clock,
    name: String,
    /// When the oldest commit was made that is not on disk yet.
    unsynced: Option<Instant>,
    purge_at: Instant,
}

impl Keeper {
    fn serve(&mut self, jobs: &Receiver<Job>) {
        loop {
            let due = self.unsynced.map_or(self.purge_at, |since| self.purge_at.min(since + SYNC_EVERY));
            match jobs.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(first) => {
                    let batch = std::iter::once(first).chain(jobs.try_iter()).take(MAX_BATCH);
                    // Nobody waits for what was cancelled.
                    self.batch(batch.filter(|job| !job.reply.is_closed()).collect());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.sync(SYNC_EVERY);
            self.purge();
        }
        self.sync(Duration::ZERO);
    }

    fn batch(&mut self, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        match self.table.batch(jobs.iter().map(|job| &job.operation), self.clock.now_ms()) {
            Ok((answers, wrote)) => {
                if wrote {
                    self.unsynced.get_or_insert_with(Instant::now);
                }
                for (job, answer) in jobs.into_iter().zip(answers) {
                    // Who has gone meanwhile does not hear it.
                    let _ = job.reply.send(answer);
                }
            }
            Err(error) => {
                tracing::error!(store = %self.name, %error, operations = jobs.len(), "store failed");
                for job in jobs {
                    let _ = job.reply.send(Err(unavailable(&error)));
                }
            }
        }
    }

    /// Syncs what has waited so long.
    fn sync(&mut self, longest: Duration) {
        if self.unsynced.is_none_or(|since| since.elapsed() < longest) {
            return;
        }
        match self.table.sync() {
            Ok(()) => self.unsynced = None,
            Err(error) => {
                tracing::error!(store = %self.name, %error, "store can't be synced");
                self.unsynced = Some(Instant::now());
            }
        }
    }

    fn purge(&mut self) {
        if self.purge_at > Instant::now() {
            return;
        }
        let more = self.table.purge(self.clock.now_ms()).unwrap_or_else(|error| {
            tracing::error!(store = %self.name, %error, "expired entries can't be removed");
            false
        });
        self.purge_at = Instant::now() + if more { PURGE_AGAIN } else { PURGE_EVERY };
    }
}

/// The reasons have no paths in them, and are no secrets.
fn unavailable(error: &rusqlite::Error) -> ServiceError {
    let reason = error.sqlite_error().map_or_else(|| "it can't be used".to_owned(), ToString::to_string);
    ServiceError::Unavailable(format!("the store: {reason}"))
}

/// Operations in one transaction.
const MAX_BATCH: usize = 256;
/// What waits in front of the thread: 16 MiB, or so many small operations.
const QUEUE_PLACES: usize = 4096;
const PLACE_BYTES: usize = 4096;
/// How long a commit may be in the system's cache alone; with the time that a sync takes, the last second.
const SYNC_EVERY: Duration = Duration::from_millis(500);
/// How often expired entries are looked for, and how soon again where there were many.
const PURGE_EVERY: Duration = Duration::from_secs(60);
const PURGE_AGAIN: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(directory: &std::path::Path) -> Grant {
        Grant { name: "test".into(), path: directory.join("s.db"), size_bytes: 1 << 20, entries: 1000 }
    }

    /// Nothing is lost when callers go away, and what others wait for is answered.
    #[tokio::test]
    async fn cancelled_callers_leave_no_room_taken() {
        let scratch = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&grant(scratch.path()), Clock::default()).unwrap());
        let one = |by| Operation::Increment { key: "n".into(), by, expires_after: None };
        for _ in 0..200 {
            let store = store.clone();
            let task = tokio::spawn(async move { store.call(one(0)).await });
            task.abort();
        }
        for n in 1..=100 {
            assert_eq!(store.call(one(1)).await.unwrap(), Answer::Sum(n));
        }
        // All room comes back once the thread has seen the last job.
        store.room.acquire_many(u32::try_from(QUEUE_PLACES).unwrap()).await.unwrap().forget();
    }

    #[tokio::test]
    async fn what_was_written_is_there_after_opening_again() {
        let scratch = tempfile::tempdir().unwrap();
        let grant = grant(scratch.path());
        let store = Store::open(&grant, Clock::default()).unwrap();
        store.call(Operation::Set { key: "a".into(), value: b"1".to_vec(), expires_after: None }).await.unwrap();
        drop(store);
        let file = rusqlite::Connection::open(&grant.path).unwrap();
        let syncs: i64 = file.query_row("SELECT syncs FROM total", [], |row| row.get(0)).unwrap();
        assert!(syncs > 0, "what was written is on disk before the store is closed");
        let store = Store::open(&grant, Clock::default()).unwrap();
        let answer = store.call(Operation::Get { key: "a".into() }).await.unwrap();
        assert_eq!(answer, Answer::Value(Some(b"1".to_vec())));
    }

    /// What was written goes to the disk by itself, and again when more is written; nothing is synced for nothing.
    #[tokio::test]
    async fn writes_are_synced_while_the_store_is_open() {
        let scratch = tempfile::tempdir().unwrap();
        let grant = grant(scratch.path());
        let store = Store::open(&grant, Clock::default()).unwrap();
        let file = rusqlite::Connection::open(&grant.path).unwrap();
        let syncs = || file.query_row("SELECT syncs FROM total", [], |row| row.get::<_, i64>(0)).unwrap();
        for n in 1..=2 {
            store.call(Operation::Get { key: "n".into() }).await.unwrap();
            assert_eq!(syncs(), n - 1);
            store.call(Operation::Increment { key: "n".into(), by: 1, expires_after: None }).await.unwrap();
            let deadline = Instant::now() + Duration::from_secs(60);
            while syncs() < n {
                assert!(Instant::now() < deadline, "it is synced within half a second");
                tokio::task::yield_now().await;
            }
        }
    }

    #[test]
    fn what_is_no_store_is_left_alone() {
        let scratch = tempfile::tempdir().unwrap();
        let grant = grant(scratch.path());
        std::fs::write(&grant.path, [b'x'; 8192]).unwrap();
        assert!(matches!(Store::open(&grant, Clock::default()), Err(StorageError::Open { .. })));
        assert_eq!(std::fs::read(&grant.path).unwrap(), [b'x'; 8192]);
        std::fs::remove_file(&grant.path).unwrap();
        rusqlite::Connection::open(&grant.path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
        assert!(matches!(Store::open(&grant, Clock::default()), Err(StorageError::Foreign { .. })));
    }
}
