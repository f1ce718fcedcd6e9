//! Files of plugins: stores and databases, each opened once for all plugins that use it.
//!
//! A file that can't be opened or read is told at load, and never removed or replaced by us: what is in it may be all that an
//! operator has.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rusqlite::ErrorCode;

use super::key_value::{self, Store};
use super::sqlite::{self, Pool};
use crate::clock::Clock;

/// The stores and databases that are open, by their files.
#[derive(Debug, Default)]
pub(crate) struct Storage {
    stores: Mutex<BTreeMap<PathBuf, Weak<Store>>>,
    pools: Mutex<BTreeMap<PathBuf, Weak<Pool>>>,
}

/// Why a store or database can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Its directory can't be made.
    #[error("{} can't be made", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// SQLite can't open or read it.
    #[error("{} can't be used", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It is a database of something else.
    #[error("{} is a database, but not a store of Postgate's", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// No thread can be had for it.
    #[error("no thread can be had for it")]
    Thread(#[source] std::io::Error),
}

impl StorageError {
    pub(crate) fn open(path: &Path) -> impl Fn(rusqlite::Error) -> Self {
        move |source| Self::Open { path: path.to_path_buf(), source: source.into() }
    }
}

impl Storage {
    /// The store in a file; opened if it is not open yet. Blocks on the disk.
    pub(crate) fn store(&self, grant: &key_value::Grant, clock: &Clock) -> Result<Arc<Store>, StorageError> {
        open(&self.stores, &grant.path, || Store::open(grant, clock.clone()))
    }

    /// The database in a file; opened if it is not open yet. Blocks on the disk.
    pub(crate) fn database(&self, grant: &sqlite::Grant, clock: &Clock) -> Result<Arc<Pool>, StorageError> {
        open(&self.pools, &grant.path, || Pool::open(grant, clock))
    }
}

fn open<T>(
    all: &Mutex<BTreeMap<PathBuf, Weak<T>>>,
    path: &Path,
    open: impl FnOnce() -> Result<T, StorageError>,
) -> Result<Arc<T>, StorageError> {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = all.get(path).and_then(Weak::upgrade) {
        return Ok(found);
    }
    if let Some(directory) = path.parent() {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|source| StorageError::Directory { path: directory.to_path_buf(), source })?;
    }
    let opened = Arc::new(open()?);
    all.retain(|_, open| open.strong_count() > 0);
    all.insert(path.to_path_buf(), Arc::downgrade(&opened));
    Ok(opened)
}

/// Whether an error says that the file itself is damaged, locked or gone: the operator must act.
pub(crate) fn is_trouble(code: Option<ErrorCode>) -> bool {
    matches!(
        code,
        Some(
            ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::ReadOnly
                | ErrorCode::NoLargeFileSupport
                | ErrorCode::FileLockingProtocolFailed
        )
    )
}

/// The most memory that SQLite may use for all stores and databases together; what asks for more fails.
pub(crate) const HEAP_BYTES: i64 = 512 << 20;
