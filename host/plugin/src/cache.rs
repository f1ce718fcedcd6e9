//! Compiled components on disk, keyed by their content and the engine's settings.
//!
//! A compiled component is machine code: whoever can write here runs code in this process. So the directory belongs to the
//! user that the host runs as and nobody else may write to it, or it is not used at all.

use std::fs::{self, DirBuilder, File};
use std::hash::{DefaultHasher, Hash as _, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::component::Component;

use crate::anatomy::Hash;

/// A directory of compiled components.
#[derive(Debug)]
pub(crate) struct Cache {
    directory: PathBuf,
    /// Of the engine's version and settings.
    settings: u64,
}

/// Why the cache can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The directory can't be made or looked at.
    #[error("the cache of compiled components {} can't be used", .directory.display())]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Somebody else could plant code there.
    #[error(
        "the cache of compiled components {} must belong to user {user} and be writable to nobody else (mode 0700); \
         what is in it is run", .directory.display()
    )]
    Unsafe {
        /// The directory.
        directory: PathBuf,
        /// Our numeric user.
        user: u32,
    },
}

impl Cache {
    pub(crate) fn open(directory: &Path, engine: &wasmtime::Engine) -> Result<Self, CacheError> {
        let trouble = |source| CacheError::Directory { directory: directory.to_path_buf(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(trouble)?;
        let found = fs::metadata(directory).map_err(trouble)?;
        let user = rustix::process::geteuid().as_raw();
        if found.uid() != user || found.mode() & 0o022 != 0 {
            return Err(CacheError::Unsafe { directory: directory.to_path_buf(), user });
        }
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { directory: directory.to_path_buf(), settings: hasher.finish() })
    }

    /// The compiled form of a component, from the cache or made now. A damaged entry is made anew; a cache that can't be
    /// written to costs time at the next start, and a warning.
    pub(crate) fn component(
        &self,
        engine: &wasmtime::Engine,
        hash: Hash,
        octets: &[u8],
    ) -> wasmtime::Result<Component> {
        let path = self.directory.join(format!("{hash}-{:016x}.cwasm", self.settings));
        if path.exists() {
            match only_ours(&path).and_then(|()| load(engine, &path)) {
                Ok(component) => return Ok(component),
                Err(error) => tracing::warn!(path = %path.display(), %error, "compiled component is made anew"),
            }
        }
        let compiled = engine.precompile_component(octets)?;
        if let Err(error) = self.write(&path, &compiled) {
            tracing::warn!(path = %path.display(), %error, "compiled component could not be kept");
            return Component::new(engine, octets);
        }
        load(engine, &path)
    }

    /// Under another name first, and synced: nobody ever loads half a file, not even after the power has failed.
    fn write(&self, path: &Path, compiled: &[u8]) -> io::Result<()> {
        static DRAFTS: AtomicU64 = AtomicU64::new(0);
        let draft = DRAFTS.fetch_add(1, Ordering::Relaxed);
        let draft = self.directory.join(format!("draft-{}-{draft}", std::process::id()));
        let written = write_synced(&draft, compiled).and_then(|()| fs::rename(&draft, path));
        let written = written.and_then(|()| File::open(&self.directory)?.sync_all());
        written.inspect_err(|_| {
            // It is only in the way.
            let _ = fs::remove_file(&draft);
        })
    }
}

#[allow(unsafe_code, reason = "compiled components can only be loaded so")]
fn load(engine: &wasmtime::Engine, path: &Path) -> wasmtime::Result<Component> {
    // SAFETY: the file must be what an engine has written, or it runs as whatever it is. `Cache::open` has made sure that only
    // our own user can write to the directory, and all that this process writes there comes from `precompile_component`.
    unsafe { Component::deserialize_file(engine, path) }
}

/// A file that somebody else could have written is not loaded.
fn only_ours(path: &Path) -> wasmtime::Result<()> {
    let found = fs::symlink_metadata(path)?;
    let ours = found.is_file() && found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o022 == 0;
    if ours { Ok(()) } else { Err(wasmtime::Error::msg("the file is not ours alone")) }
}

fn write_synced(path: &Path, octets: &[u8]) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(octets)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_directory_that_others_can_write_to_is_not_used() {
        let directory = std::env::temp_dir().join(format!("postgate-cache-{}", std::process::id()));
        let engine = wasmtime::Engine::default();
        Cache::open(&directory, &engine).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(Cache::open(&directory, &engine), Err(CacheError::Unsafe { .. })));
        fs::remove_dir_all(directory).unwrap();
    }
}
