//! `postgate:mail/maildir`: writes a message into a Maildir so that it survives a crash the moment we say so.
//!
//! As Bernstein's description of the format has it: a unique name, written to `tmp`, synced, renamed into `new`; and that
//! directory synced, because a rename is not on disk before its directory is.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use super::ServiceId;
use crate::bindings::postgate::mail::maildir::{Host, MaildirError};
use crate::hook::Hook;
use crate::message::Message;
use crate::state::State;

impl Host for State {
    async fn store(&mut self, path: Vec<String>) -> wasmtime::Result<Result<(), MaildirError>> {
        let facts = self.facts.clone();
        let metered = facts.usage.begin(ServiceId::Maildir, &facts);
        let Some(root) = &facts.grants.maildir else { return Ok(Err(MaildirError::Unavailable)) };
        let context = self.context()?;
        let (Hook::Deliver, Some(message), Some(transaction)) = (context.hook, &context.message, &context.transaction)
        else {
            return Ok(Err(MaildirError::NotNow));
        };
        let directory = match mailbox_directory(root, &path) {
            Ok(directory) => directory,
            Err(what) => return Ok(Err(MaildirError::InvalidPath(what))),
        };
        if transaction.stored.contains(&directory) {
            return Ok(Ok(()));
        }
        if transaction.stored.len() >= transaction.recipients.len() {
            return Ok(Err(MaildirError::TooMany));
        }
        let message = message.clone();
        metered.octets(usize::try_from(message.size()).unwrap_or(usize::MAX));
        let return_path = return_path(transaction.reverse_path.as_ref());
        let (root, target) = (root.clone(), directory.clone());
        let Ok(permit) = facts.disk.clone().acquire_owned().await else { return Ok(Err(MaildirError::Unavailable)) };
        let stored = tokio::task::spawn_blocking(move || {
            let _held = permit;
            store(&root, &target, &return_path, &message)
        });
        if let Err(error) = stored.await? {
            tracing::error!(plugin = %facts.name, maildir = %directory.display(), %error, "writing to a maildir failed");
            return Ok(Err(if is_full(&error) { MaildirError::NoSpace } else { MaildirError::Unavailable }));
        }
        if let Some(transaction) = &mut self.context()?.transaction {
            transaction.stored.push(directory);
        }
        Ok(Ok(()))
    }
}

/// Return-Path (RFC 5321 section 4.4): the reverse-path, put on top at final delivery.
fn return_path(reverse_path: Option<&crate::context::Mailbox>) -> Vec<u8> {
    let mailbox = reverse_path.and_then(|mailbox| postgate_smtp::Mailbox::try_from(mailbox).ok());
    match mailbox {
        Some(mailbox) => format!("Return-Path: <{mailbox}>\r\n").into_bytes(),
        None => b"Return-Path: <>\r\n".to_vec(),
    }
}

/// Whether a disk or a quota is full.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Where a mailbox is: each part made safe, below the root.
fn mailbox_directory(root: &Path, parts: &[String]) -> Result<PathBuf, String> {
    if parts.is_empty() || parts.len() > MAX_PARTS {
        return Err(format!("a mailbox path has 1 to {MAX_PARTS} parts, not {}", parts.len()));
    }
    let mut directory = root.to_path_buf();
    for part in parts {
        if part.is_empty() {
            return Err("a part of the mailbox path is empty".to_owned());
        }
        let name = file_name(part);
        if name.len() > MAX_NAME_BYTES {
            return Err(format!("a part of the mailbox path is longer than {MAX_NAME_BYTES} octets"));
        }
        directory.push(name);
    }
    Ok(directory)
}

/// Any text as a file name: what might mean something to a file system or a shell is written `%XX`. A dot at the beginning
/// too, so that no part is `.` or `..`; and the names of a Maildir's own directories.
fn file_name(part: &str) -> String {
    let mut name = String::with_capacity(part.len());
    let reserved = matches!(part, "tmp" | "new" | "cur");
    for (at, octet) in part.bytes().enumerate() {
        let safe = octet.is_ascii_alphanumeric()
            || matches!(octet, b'-' | b'_' | b'+' | b'=' | b'@')
            || (octet == b'.' && at > 0);
        if safe && !(reserved && at == 0) {
            name.push(octet.into());
        } else {
            name.push_str(&format!("%{octet:02X}"));
        }
    }
    name
}

/// Writes a message into the Maildir `directory`, which is made if it is not there; durable when it answers. Blocks on the
/// disk. Answers where the message is.
pub fn store(root: &Path, directory: &Path, top: &[u8], message: &Message) -> io::Result<PathBuf> {
    let name = unique_name();
    let draft = directory.join("tmp").join(&name);
    let mut file = match create(&draft) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_maildir(root, directory)?;
            create(&draft)?
        }
        created => {
            // Whoever is making these directories is waited for: they are not on disk before it is done.
            drop(MAKING.read().unwrap_or_else(PoisonError::into_inner));
            created?
        }
    };
    let new = directory.join("new");
    let kept = new.join(&name);
    let written = write(&mut file, top, message).and_then(|()| fs::rename(&draft, &kept));
    if let Err(error) = written {
        // The draft is of no use; where it can't be removed either, tmp is cleaned by whoever reads the Maildir.
        let _ = fs::remove_file(&draft);
        return Err(error);
    }
    sync_directory(&new)?;
    Ok(kept)
}

fn create(path: &Path) -> io::Result<File> {
    File::options().write(true).create_new(true).mode(0o600).open(path)
}

fn write(file: &mut File, top: &[u8], message: &Message) -> io::Result<()> {
    let mut sink = io::BufWriter::with_capacity(64 << 10, &mut *file);
    sink.write_all(top)?;
    message.write_to(&mut sink)?;
    sink.flush()?;
    drop(sink);
    file.sync_all()
}

/// Held while directories are made and not synced yet.
static MAKING: RwLock<()> = RwLock::new(());

/// Makes the directories of a Maildir, and syncs every directory that has got a new entry.
fn make_maildir(root: &Path, directory: &Path) -> io::Result<()> {
    let _making = MAKING.write().unwrap_or_else(PoisonError::into_inner);
    for name in ["tmp", "new", "cur"] {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory.join(name))?;
    }
    for ancestor in directory.ancestors() {
        sync_directory(ancestor)?;
        if ancestor == root {
            break;
        }
    }
    if let Some(parent) = root.parent() {
        sync_directory(parent)?;
    }
    Ok(())
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    File::open(directory)?.sync_all()
}

/// `seconds.M<microseconds>P<process>Q<delivery>.host`, as the description of Maildir advises.
fn unique_name() -> String {
    static DELIVERIES: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let delivery = DELIVERIES.fetch_add(1, Ordering::Relaxed);
    format!("{}.M{:06}P{}Q{delivery}.{}", now.as_secs(), now.subsec_micros(), std::process::id(), host_name())
}

fn host_name() -> Arc<str> {
    static NAME: std::sync::LazyLock<Arc<str>> = std::sync::LazyLock::new(|| {
        let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let name = name.trim().replace('/', "\\057").replace(':', "\\072");
        if name.is_empty() { "localhost".into() } else { name.into() }
    });
    NAME.clone()
}

const MAX_PARTS: usize = 8;
const MAX_NAME_BYTES: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::MessageWriter;

    #[test]
    fn any_text_is_a_safe_file_name() {
        for (part, expected) in [
            ("alice", "alice"),
            ("a.b+c", "a.b+c"),
            ("..", "%2E."),
            (".", "%2E"),
            ("../../etc", "%2E.%2F..%2Fetc"),
            ("a/b", "a%2Fb"),
            ("$(rm -rf ~)", "%24%28rm%20-rf%20%7E%29"),
            ("caf\u{e9}", "caf%C3%A9"),
            ("%2e", "%252e"),
            ("new", "%6Eew"),
            ("newer", "newer"),
            ("nul\0", "nul%00"),
        ] {
            assert_eq!(file_name(part), expected);
        }
    }

    #[test]
    fn paths_have_bounds() {
        let root = Path::new("mail");
        let parts = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
        assert_eq!(mailbox_directory(root, &parts(&["a", "b"])), Ok("mail/a/b".into()));
        for bad in [parts(&[]), parts(&["a", ""]), parts(&["x"; 9]), vec!["x".repeat(256)], vec!["/".repeat(86)]] {
            assert!(mailbox_directory(root, &bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_message_is_stored_once_in_new() {
        let scratch = std::env::temp_dir().join(format!("postgate-maildir-{}", unique_name()));
        let root = scratch.join("mail");
        let mut writer = MessageWriter::default();
        writer.push(b"Subject: x\r\n\r\nbody\r\n");
        let message = writer.finish(&std::env::temp_dir()).unwrap();
        let directory = root.join("example.org/alice");
        let kept = store(&root, &directory, b"Return-Path: <>\r\n", &message).unwrap();
        assert_eq!(fs::read(kept).unwrap(), b"Return-Path: <>\r\nSubject: x\r\n\r\nbody\r\n");
        assert_eq!(fs::read_dir(directory.join("new")).unwrap().count(), 1);
        assert_eq!(fs::read_dir(directory.join("tmp")).unwrap().count(), 0);
        fs::remove_dir_all(scratch).unwrap();
    }

    #[test]
    fn a_mailbox_that_cannot_be_made_is_an_error() {
        let scratch = std::env::temp_dir().join(format!("postgate-maildir-{}", unique_name()));
        fs::write(&scratch, b"a file in the way").unwrap();
        let message = MessageWriter::default().finish(&std::env::temp_dir()).unwrap();
        let error = store(&scratch, &scratch.join("alice"), b"", &message).unwrap_err();
        assert!(!is_full(&error));
        fs::remove_file(scratch).unwrap();
    }
}
