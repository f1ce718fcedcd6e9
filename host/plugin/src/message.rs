//! The mail data of one message: received piece by piece, read by plugins, edited, written out.
//!
//! The beginning, header section included, is held in memory; the rest too while it is small, and otherwise in an unnamed
//! temporary file, so that a message costs a bounded amount of memory whatever its size. Edits never touch what was received: a
//! changed header section stands beside it, and a changed body is a list of segments (`body.rs`), most of them still in the file.
//!
//! A message is cheap to clone, so that what is read on another thread, and perhaps given up by who asked for it, never stands in
//! the way of an edit.

mod body;
mod header;

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use memchr::memmem;
use rustix::io::{ReadWriteFlags, preadv2};

use self::body::Body;
pub(crate) use self::header::{Place, RawField, Rewrite};
use crate::buffer::Buffer;
use crate::mime::{self, ScanError, Structure};

/// Octets at the beginning of a message that are always in memory; also the bound on its header section.
pub const HEAD_BYTES: usize = 256 << 10;

/// Octets behind the head that are held in memory before they are written to a file.
const PENDING_BYTES: usize = 1 << 20;

/// A message that is being received.
#[derive(Debug, Default)]
pub struct MessageWriter {
    head: Buffer<HEAD_BYTES>,
    pending: Buffer<PENDING_BYTES>,
    tail: Option<File>,
    tail_bytes: u64,
}

/// Why mail data could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The header section does not end within [`HEAD_BYTES`].
    #[error("the header section is longer than {HEAD_BYTES} octets")]
    HeaderTooLong,
    /// The first line begins with white space: it would continue whatever field is put on top of it, ours or a filter's.
    #[error("the first line of the header section begins with white space")]
    HeaderContinues,
    /// The header section is not made of lines, as a message that may have any octets in its body (RFC 3030) can try.
    #[error("a bare CR, a bare LF or a NUL in the header section")]
    HeaderBare,
    /// The disk did not take it.
    #[error("writing mail data to a temporary file failed")]
    Disk(#[source] io::Error),
}

impl MessageWriter {
    /// Takes the next octets. Nothing is written yet; ask [`Self::wants_flush`].
    pub fn push(&mut self, octets: &[u8]) {
        let room = HEAD_BYTES.saturating_sub(self.head.len());
        let (head, rest) = octets.split_at(octets.len().min(room));
        self.head.extend(head);
        self.pending.extend(rest);
    }

    /// Whether enough has come together to be written.
    pub fn wants_flush(&self) -> bool {
        self.pending.len() >= PENDING_BYTES
    }

    /// Octets so far.
    pub fn size(&self) -> u64 {
        self.head.len() as u64 + self.tail_bytes + self.pending.len() as u64
    }

    /// Whether [`Self::finish`] will write to the disk.
    pub fn needs_disk(&self) -> bool {
        self.tail.is_some() && !self.pending.is_empty()
    }

    /// Writes what is pending to an unnamed file in `directory`. Blocks on the disk.
    pub fn flush(&mut self, directory: &Path) -> Result<(), MessageError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let file = match self.tail.take() {
            Some(file) => file,
            None => unnamed_file(directory).map_err(MessageError::Disk)?,
        };
        file.write_all_at(&self.pending, self.tail_bytes).map_err(MessageError::Disk)?;
        self.tail_bytes += self.pending.len() as u64;
        self.pending.clear();
        self.tail = Some(file);
        Ok(())
    }

    /// The message is complete.
    pub fn finish(mut self, directory: &Path) -> Result<Message, MessageError> {
        if self.needs_disk() {
            self.flush(directory)?;
        }
        let rest = match self.tail {
            Some(file) => Rest::File { file, bytes: self.tail_bytes },
            None => Rest::Memory(self.pending),
        };
        if self.head.starts_with(b" ") || self.head.starts_with(b"\t") {
            return Err(MessageError::HeaderContinues);
        }
        let body_offset = match memmem::find(&self.head, b"\r\n\r\n") {
            _ if self.head.starts_with(b"\r\n") => 2,
            Some(at) => at + 4,
            None if rest.bytes() == 0 => self.head.len(),
            None => return Err(MessageError::HeaderTooLong),
        };
        if !header::has_whole_lines(self.head.get(..body_offset).unwrap_or_default()) {
            return Err(MessageError::HeaderBare);
        }
        let received = Received { head: self.head, rest, body_offset };
        Ok(Message {
            body: Body::received(body_offset as u64, received.size()),
            received: Arc::new(received),
            header: None,
            structure: Arc::default(),
            trace: Vec::new(),
        })
    }
}

/// What comes behind the head of a message.
#[derive(Debug)]
enum Rest {
    Memory(Buffer<PENDING_BYTES>),
    File { file: File, bytes: u64 },
}

impl Rest {
    fn bytes(&self) -> u64 {
        match self {
            Rest::Memory(octets) => octets.len() as u64,
            Rest::File { bytes, .. } => *bytes,
        }
    }

    /// Puts `length` octets from `offset` on behind `out`.
    fn read(&self, offset: u64, length: usize, reading: Reading, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Rest::Memory(octets) => {
                let octets = octets.get(offset as usize..).unwrap_or_default();
                out.extend_from_slice(octets.get(..length).unwrap_or(octets));
                Ok(())
            }
            Rest::File { file, .. } => {
                let start = out.len();
                out.resize(start + length, 0);
                let octets = out.get_mut(start..).unwrap_or_default();
                match reading {
                    Reading::Waits => file.read_exact_at(octets, offset),
                    Reading::AtOnce => read_at_once(file, octets, offset),
                }
            }
        }
    }
}

/// How octets are read that are not in our memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// It may block on the disk.
    Waits,
    /// Only what the system has in its cache, as it nearly always has what was written a moment ago; otherwise `WouldBlock`. To ask
    /// another thread costs several times as much as to copy a piece.
    AtOnce,
}

/// Reads what is in the system's cache. A file system that can't tell is one that would block.
fn read_at_once(file: &File, mut octets: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !octets.is_empty() {
        let count = match preadv2(file, &mut [IoSliceMut::new(octets)], offset, ReadWriteFlags::NOWAIT) {
            Ok(0) | Err(_) => return Err(io::ErrorKind::WouldBlock.into()),
            Ok(count) => count,
        };
        octets = octets.get_mut(count..).unwrap_or_default();
        offset += count as u64;
    }
    Ok(())
}

/// What was received, unchanged for ever.
#[derive(Debug)]
pub(crate) struct Received {
    head: Buffer<HEAD_BYTES>,
    rest: Rest,
    /// Where the body begins.
    body_offset: usize,
}

impl Received {
    fn size(&self) -> u64 {
        self.head.len() as u64 + self.rest.bytes()
    }

    /// Up to where octets are in memory.
    fn memory_end(&self) -> u64 {
        match self.rest {
            Rest::Memory(_) => self.size(),
            Rest::File { .. } => self.head.len() as u64,
        }
    }

    /// The header section, with the empty line that ends it.
    pub(crate) fn header(&self) -> &[u8] {
        self.head.get(..self.body_offset).unwrap_or_default()
    }

    /// The fields of the header section, as they came.
    pub(crate) fn raw_fields(&self) -> impl Iterator<Item = RawField<'_>> {
        header::raw_fields(self.header())
    }

    /// Writes the body to `sink`. Blocks on the disk.
    pub(crate) fn write_body_to(&self, sink: &mut impl io::Write) -> io::Result<()> {
        in_windows(self.body_offset as u64..self.size(), |range, out| self.read(range, Reading::Waits, out), sink)
    }

    /// Puts the octets of `range` behind `out`. Blocks on the disk for what is not in memory.
    fn read(&self, range: Range<u64>, reading: Reading, out: &mut Vec<u8>) -> io::Result<()> {
        let head_end = self.head.len() as u64;
        let in_head = range.start.min(head_end) as usize..range.end.min(head_end) as usize;
        out.extend_from_slice(self.head.get(in_head).unwrap_or_default());
        if range.end <= head_end {
            return Ok(());
        }
        let start = range.start.max(head_end);
        self.rest.read(start - head_end, (range.end - start) as usize, reading, out)
    }
}

/// Whether unnamed files can be made in a directory: not every file system has them.
pub fn try_scratch(directory: &Path) -> io::Result<()> {
    unnamed_file(directory).map(drop)
}

/// A file without a name: it is gone when it is closed, whatever happens to us.
fn unnamed_file(directory: &Path) -> io::Result<File> {
    File::options().read(true).write(true).custom_flags(libc::O_TMPFILE).mode(0o600).open(directory)
}

/// Writes what can be read piece by piece.
fn in_windows(
    whole: Range<u64>,
    read: impl Fn(Range<u64>, &mut Vec<u8>) -> io::Result<()>,
    sink: &mut impl io::Write,
) -> io::Result<()> {
    let mut window = Vec::with_capacity((WINDOW_BYTES as u64).min(whole.end - whole.start) as usize);
    let mut at = whole.start;
    while at < whole.end {
        let end = whole.end.min(at + WINDOW_BYTES as u64);
        window.clear();
        read(at..end, &mut window)?;
        sink.write_all(&window)?;
        at = end;
    }
    Ok(())
}

/// A message as the plugins see it, with their edits.
#[derive(Clone, Debug)]
pub struct Message {
    received: Arc<Received>,
    /// The header section, its empty line included, if it was edited.
    header: Option<Arc<Vec<u8>>>,
    body: Body,
    /// The MIME structure, once somebody has asked for it; of this state of the edits.
    structure: Arc<OnceLock<Arc<Structure>>>,
    /// The trace field that the host has put on top (RFC 5321 section 4.4); plugins do not see it.
    trace: Vec<u8>,
}

impl Message {
    /// Puts the host's own trace field on top.
    pub fn set_trace(&mut self, trace: Vec<u8>) {
        self.trace = trace;
    }

    /// The host's own trace field.
    pub fn trace(&self) -> &[u8] {
        &self.trace
    }

    /// The header section, with the empty line that ends it.
    pub fn header(&self) -> &[u8] {
        match &self.header {
            Some(header) => header,
            None => self.received.header(),
        }
    }

    /// What was received, without any edit.
    pub(crate) fn received(&self) -> Arc<Received> {
        self.received.clone()
    }

    /// Octets, without the trace field.
    pub fn size(&self) -> u64 {
        self.header().len() as u64 + self.body.size()
    }

    /// Whether reading may have to go to a file.
    pub fn is_in_memory(&self) -> bool {
        self.body.is_in_memory(&self.received)
    }

    /// Octets of memory that the message has, edits included; what is in a file is not counted.
    pub fn memory_bytes(&self) -> usize {
        let edited = self.header.as_ref().map_or(0, |header| header.len()) + self.body.edited_bytes();
        let structure = self.structure.get().map_or(0, |structure| structure.memory_bytes());
        self.received.memory_end() as usize + edited + structure + self.trace.len()
    }

    /// Puts up to `length` octets from `offset` on behind `out`. Blocks on the disk for what is not in memory.
    pub fn read(&self, offset: u64, length: usize, out: &mut Vec<u8>) -> io::Result<()> {
        self.read_as(Reading::Waits, offset, length, out)
    }

    /// As `read`, without blocking. Answers whether it could; if not, `out` is as it was.
    pub(crate) fn read_at_once(&self, offset: u64, length: usize, out: &mut Vec<u8>) -> io::Result<bool> {
        let before = out.len();
        match self.read_as(Reading::AtOnce, offset, length, out) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                out.truncate(before);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn read_as(&self, reading: Reading, offset: u64, length: usize, out: &mut Vec<u8>) -> io::Result<()> {
        let header = self.header();
        let end = self.size().min(offset.saturating_add(length as u64));
        let header_bytes = header.len() as u64;
        if offset < header_bytes.min(end) {
            out.extend_from_slice(header.get(offset as usize..end.min(header_bytes) as usize).unwrap_or_default());
        }
        if end > header_bytes {
            let from = offset.saturating_sub(header_bytes).min(end - header_bytes);
            self.body.read(from..end - header_bytes, &self.received, reading, out)?;
        }
        Ok(())
    }

    /// Puts octets of the body behind `out`. Blocks on the disk for what is not in memory.
    pub(crate) fn read_body(&self, range: Range<u64>, out: &mut Vec<u8>) -> io::Result<()> {
        self.body.read(range, &self.received, Reading::Waits, out)
    }

    /// Writes the message, the trace field on top, to `sink`. Blocks on the disk.
    pub fn write_to(&self, sink: &mut impl io::Write) -> io::Result<()> {
        sink.write_all(&self.trace)?;
        sink.write_all(self.header())?;
        self.write_body_to(sink)
    }

    /// Writes the body to `sink`. Blocks on the disk.
    pub(crate) fn write_body_to(&self, sink: &mut impl io::Write) -> io::Result<()> {
        in_windows(0..self.body.size(), |range, out| self.read_body(range, out), sink)
    }

    /// The fields of the header section from the top: name, and value as it stands behind the colon and one space.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        header::fields(self.header()).map(|field| (field.name, field.value))
    }

    /// The MIME structure, if it is known already.
    pub(crate) fn known_structure(&self) -> Option<Arc<Structure>> {
        self.structure.get().cloned()
    }

    /// The MIME structure: found at most once for each state of the edits. Reads the whole message; blocks on the disk.
    pub(crate) fn structure(&self) -> Result<Arc<Structure>, ScanError> {
        if let Some(known) = self.structure.get() {
            return Ok(known.clone());
        }
        let found = mime::scan(self.header(), self.body.size(), |range, out| self.read_body(range, out))?;
        Ok(self.structure.get_or_init(|| Arc::new(found)).clone())
    }

    /// Puts a field into the header section.
    pub(crate) fn add_field(&mut self, name: &str, value: &[u8], place: Place) {
        self.header = Some(Arc::new(header::with_field(self.header(), name, value, place)));
        self.header_changed(name);
    }

    /// Writes the header section anew: each field of that name, the n-th given to `change`, becomes what it answers. Answers how many
    /// were changed.
    pub(crate) fn rewrite_fields(&mut self, name: &str, change: impl FnMut(u32) -> Rewrite) -> u32 {
        let (header, changed) = header::rewritten(self.header(), name, change);
        if changed > 0 {
            self.header = Some(Arc::new(header));
            self.header_changed(name);
        }
        changed
    }

    /// Puts another body behind the header section.
    pub(crate) fn replace_body(&mut self, body: Vec<u8>) {
        if !header::is_closed(self.header()) {
            self.header = Some(Arc::new(header::closed(self.header())));
        }
        self.body = Body::octets(body);
        self.structure = Arc::default();
    }

    /// Puts other octets in the place of a range of the body.
    pub(crate) fn splice_body(&mut self, range: Range<u64>, octets: Vec<u8>) {
        self.body = self.body.spliced(range, octets);
        self.structure = Arc::default();
    }

    /// Only the fields of MIME say how the body is read: another leaves the structure as it is.
    fn header_changed(&mut self, name: &str) {
        let prefix = name.get(..CONTENT.len()).unwrap_or_default();
        if prefix.eq_ignore_ascii_case(CONTENT) {
            self.structure = Arc::default();
        }
    }

    /// The edits so far.
    pub(crate) fn edits(&self) -> Edits {
        Edits { header: self.header.clone(), body: self.body.clone(), structure: self.structure.clone() }
    }

    /// Goes back to these edits.
    pub(crate) fn restore(&mut self, edits: Edits) {
        self.header = edits.header;
        self.body = edits.body;
        self.structure = edits.structure;
    }
}

/// What plugins have made of a message at some time; cheap to keep.
#[derive(Debug)]
pub(crate) struct Edits {
    header: Option<Arc<Vec<u8>>>,
    body: Body,
    structure: Arc<OnceLock<Arc<Structure>>>,
}

/// Octets that are read at a time where all are wanted.
const WINDOW_BYTES: usize = 64 << 10;

/// What the names of the fields begin with that say how the body is read (RFC 2045).
const CONTENT: &str = "content-";

#[cfg(test)]
mod tests;
