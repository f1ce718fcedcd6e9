//! The connections of one database: a bounded number, each lent to one call or one transaction at a time.
//!
//! Whoever wants to write waits for the only place of a writer first, so that within this process nobody ever meets a lock; readers see
//! the last commit meanwhile (WAL). A statement runs on a thread of its own, with a flag that stops it when its call is cancelled. A
//! lease that is dropped, however that came about, rolls back what is open and gives the connection back.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::fence::{self, HostSpeaks};
use super::statement::problem;
use super::{Access, Grant};
use crate::bindings::postgate::mail::sqlite::SqliteError;
use crate::bindings::postgate::mail::types::ServiceError;
use crate::clock::Clock;
use crate::service::storage::StorageError;

/// The database of one plugin.
#[derive(Debug)]
pub(crate) struct Pool {
    path: PathBuf,
    size_bytes: u64,
    /// That of a rehearsal, by which SQLite's functions of time go.
    clock: Option<Clock>,
    idle: Mutex<Vec<Link>>,
    places: Arc<Semaphore>,
    writer: Arc<Semaphore>,
}

/// A connection, and who speaks on it.
#[derive(Debug)]
struct Link {
    connection: Connection,
    host: HostSpeaks,
}

/// A connection that is lent.
#[derive(Debug)]
pub(crate) struct Lease {
    pool: Arc<Pool>,
    /// None until the first use, and once it was given back.
    link: Option<Link>,
    permits: Vec<OwnedSemaphorePermit>,
}

impl Pool {
    /// Opens the file, to see that it can be.
    pub(crate) fn open(grant: &Grant, clock: &Clock) -> Result<Self, StorageError> {
        let clock = clock.is_rehearsed().then(|| clock.clone());
        let opened = fence::open(&grant.path, grant.size_bytes, clock.as_ref());
        let (connection, host) = opened.map_err(StorageError::open(&grant.path))?;
        Ok(Self {
            path: grant.path.clone(),
            size_bytes: grant.size_bytes,
            clock,
            idle: Mutex::new(vec![Link { connection, host }]),
            places: Arc::new(Semaphore::new(grant.connections.clamp(1, MAX_CONNECTIONS))),
            writer: Arc::new(Semaphore::new(1)),
        })
    }

    /// Waits for a connection.
    pub(crate) async fn lease(self: &Arc<Self>, access: Access) -> Result<Lease, ServiceError> {
        let mut permits = Vec::with_capacity(2);
        if access == Access::Write {
            permits.push(permit(&self.writer, "the database is locked: others have been writing for too long").await?);
        }
        permits.push(permit(&self.places, "no connection has become free").await?);
        let link = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Ok(Lease { pool: self.clone(), link, permits })
    }
}

async fn permit(places: &Arc<Semaphore>, too_late: &str) -> Result<OwnedSemaphorePermit, ServiceError> {
    match tokio::time::timeout(WAIT, places.clone().acquire_owned()).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) | Err(_) => Err(ServiceError::Unavailable(too_late.to_owned())),
    }
}

impl Lease {
    /// Runs something on a thread that may block. If the caller is cancelled meanwhile, it is interrupted, and the connection given back.
    pub(super) async fn run<T: Send + 'static>(
        mut self,
        run: impl FnOnce(&mut Self) -> Result<T, SqliteError> + Send + 'static,
    ) -> Result<(Self, Result<T, SqliteError>), ServiceError> {
        let cancelled = Arc::new(AtomicBool::new(false));
        let guard = Cancel(cancelled.clone());
        let done = tokio::task::spawn_blocking(move || {
            let answer = self.watch(cancelled).and_then(|()| run(&mut self));
            (self, answer)
        });
        let done = done.await;
        drop(guard);
        done.map_err(|_| ServiceError::Unavailable("the database's thread has ended".to_owned()))
    }

    /// Opens the connection if need be, and has it look at the flag from time to time.
    fn watch(&mut self, cancelled: Arc<AtomicBool>) -> Result<(), SqliteError> {
        if self.link.is_none() {
            let (connection, host) = fence::open(&self.pool.path, self.pool.size_bytes, self.pool.clock.as_ref())
                .map_err(|error| problem(&error))?;
            self.link = Some(Link { connection, host });
        }
        let watch = Some(move || cancelled.load(Ordering::Relaxed));
        self.link()?.connection.progress_handler(WATCH_OPERATIONS, watch).map_err(|error| problem(&error))
    }

    fn link(&mut self) -> Result<&mut Link, SqliteError> {
        let gone = || SqliteError::Service(ServiceError::Unavailable("the connection is closed".to_owned()));
        self.link.as_mut().ok_or_else(gone)
    }

    /// The connection, within `run`.
    pub(super) fn connection(&mut self) -> Result<&mut Connection, SqliteError> {
        Ok(&mut self.link()?.connection)
    }

    /// Whether a transaction is open.
    pub(crate) fn in_transaction(&self) -> bool {
        self.link.as_ref().is_some_and(|link| !link.connection.is_autocommit())
    }

    /// Begins a transaction that may write.
    pub(super) fn begin(&mut self) -> Result<(), SqliteError> {
        self.say("BEGIN IMMEDIATE")
    }

    /// Commits.
    pub(super) fn commit(&mut self) -> Result<(), SqliteError> {
        self.say("COMMIT")
    }

    /// Takes back what was done.
    pub(super) fn rollback(&mut self) -> Result<(), SqliteError> {
        self.say("ROLLBACK")
    }

    fn say(&mut self, statement: &str) -> Result<(), SqliteError> {
        let link = self.link()?;
        link.host.during(|| link.connection.execute_batch(statement)).map_err(|error| problem(&error))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(link) = self.link.take() else { return };
        let (pool, permits) = (self.pool.clone(), std::mem::take(&mut self.permits));
        if link.connection.is_autocommit() {
            give_back(&pool, link);
            return;
        }
        let rolling_back = move || {
            // The thread may have been stopped; nobody stops this.
            let unwatched = link.unwatched();
            match unwatched.host.during(|| unwatched.connection.execute_batch("ROLLBACK")) {
                Ok(()) => give_back(&pool, unwatched),
                // Closing a connection rolls back as well.
                Err(error) => tracing::error!(%error, "a transaction can't be rolled back"),
            }
            drop(permits);
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(rolling_back)),
            Err(_) => rolling_back(),
        }
    }
}

impl Link {
    /// Without the flag of the last call.
    fn unwatched(mut self) -> Self {
        if let Err(error) = self.connection.progress_handler(0, None::<fn() -> bool>) {
            tracing::error!(%error, "a connection can't be reset");
        }
        self
    }
}

fn give_back(pool: &Pool, link: Link) {
    pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(link);
}

/// Raises the flag when it is dropped; after a call that has ended nobody looks at it.
struct Cancel(Arc<AtomicBool>);

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How long a call waits for its turn; its deadline may be earlier.
const WAIT: Duration = Duration::from_secs(5);
/// Operations of SQLite's virtual machine between two looks at the flag: some ten microseconds.
const WATCH_OPERATIONS: i32 = 1000;
const MAX_CONNECTIONS: usize = 16;
