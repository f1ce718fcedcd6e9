//! What tells that a file has changed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::config;

/// One state of a file; none where there is no file to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp(Option<Seen>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    device: u64,
    inode: u64,
    size_bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The states of all files that a listener's TLS is made of.
pub(super) fn of(settings: &config::Tls) -> Vec<Stamp> {
    let certificates = settings.certificates.iter().flat_map(|own| [&own.chain, &own.key]);
    let authorities = settings.client_certificates.iter().map(|clients| &clients.ca);
    certificates.chain(authorities).map(|path| stamp(path)).collect()
}

fn stamp(path: &Path) -> Stamp {
    Stamp(fs::metadata(path).ok().map(|file| Seen {
        device: file.dev(),
        inode: file.ino(),
        size_bytes: file.size(),
        modified: (file.mtime(), file.mtime_nsec()),
        changed: (file.ctime(), file.ctime_nsec()),
    }))
}
