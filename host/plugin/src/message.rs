//! The mail data of one message: received piece by piece, read by plugins, edited, written out.
//!
//! The beginning, header section included, is held in memory; the rest too while it is small, and otherwise in an unnamed
//! temporary file, so that a message costs a bounded amount of memory whatever its size. Edits never touch what was received: a
//! changed header section or body stands beside it.

mod header;

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use memchr::memmem;

pub(crate) use self::header::{Place, Rewrite};
use crate::buffer::Buffer;

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
        Ok(Message { head: self.head, rest, body_offset, header: None, body: None, trace: Vec::new() })
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
    fn read(&self, offset: u64, length: usize, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Rest::Memory(octets) => {
                let octets = octets.get(offset as usize..).unwrap_or_default();
                out.extend_from_slice(octets.get(..length).unwrap_or(octets));
                Ok(())
            }
            Rest::File { file, .. } => {
                let start = out.len();
                out.resize(start + length, 0);
                file.read_exact_at(out.get_mut(start..).unwrap_or_default(), offset)
            }
        }
    }

    fn write_to(&self, sink: &mut impl io::Write) -> io::Result<()> {
        let (file, bytes) = match self {
            Rest::Memory(octets) => return sink.write_all(octets),
            Rest::File { file, bytes } => (file, *bytes),
        };
        let mut window = vec![0; 64 << 10];
        let mut at = 0;
        while at < bytes {
            let take = (bytes - at).min(window.len() as u64) as usize;
            let piece = window.get_mut(..take).unwrap_or_default();
            file.read_exact_at(piece, at)?;
            sink.write_all(piece)?;
            at += take as u64;
        }
        Ok(())
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

/// A message as the plugins see it, with their edits.
#[derive(Debug)]
pub struct Message {
    head: Buffer<HEAD_BYTES>,
    rest: Rest,
    /// Where the body begins in what was received.
    body_offset: usize,
    /// The header section, its empty line included, if it was edited.
    header: Option<Arc<Vec<u8>>>,
    /// The body, if it was replaced.
    body: Option<Arc<Vec<u8>>>,
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
            None => self.head.get(..self.body_offset).unwrap_or_default(),
        }
    }

    /// Octets, without the trace field.
    pub fn size(&self) -> u64 {
        self.header().len() as u64 + self.body_size()
    }

    fn body_size(&self) -> u64 {
        match &self.body {
            Some(body) => body.len() as u64,
            None => (self.head.len() - self.body_offset) as u64 + self.rest.bytes(),
        }
    }

    /// Whether reading may have to go to a file.
    pub fn is_in_memory(&self) -> bool {
        matches!(self.rest, Rest::Memory(_)) || self.body.is_some()
    }

    /// Puts up to `length` octets from `offset` on behind `out`. Blocks on the disk for what is not in memory.
    pub fn read(&self, offset: u64, length: usize, out: &mut Vec<u8>) -> io::Result<()> {
        let header = self.header();
        let mut at = offset;
        let mut left = (length as u64).min(self.size().saturating_sub(offset)) as usize;
        let in_memory = match &self.body {
            Some(body) => [header, body.as_slice()],
            None => [header, self.head.get(self.body_offset..).unwrap_or_default()],
        };
        let mut begin = 0;
        for piece in in_memory {
            let end = begin + piece.len() as u64;
            if left > 0 && at < end {
                let from = (at - begin) as usize;
                let octets = piece.get(from..piece.len().min(from + left)).unwrap_or_default();
                out.extend_from_slice(octets);
                left -= octets.len();
                at += octets.len() as u64;
            }
            begin = end;
        }
        if left > 0 {
            self.rest.read(at - begin, left, out)?;
        }
        Ok(())
    }

    /// Writes the message, the trace field on top, to `sink`. Blocks on the disk.
    pub fn write_to(&self, sink: &mut impl io::Write) -> io::Result<()> {
        sink.write_all(&self.trace)?;
        sink.write_all(self.header())?;
        if let Some(body) = &self.body {
            return sink.write_all(body);
        }
        sink.write_all(self.head.get(self.body_offset..).unwrap_or_default())?;
        self.rest.write_to(sink)
    }

    /// The fields of the header section from the top: name, and value as it stands behind the colon and one space.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        header::fields(self.header()).map(|field| (field.name, field.value))
    }

    /// Puts a field on top, or at the end, of the header section.
    pub(crate) fn add_field(&mut self, name: &str, value: &[u8], place: Place) {
        self.header = Some(Arc::new(header::with_field(self.header(), name, value, place)));
    }

    /// Writes the header section anew: each field of that name, the n-th given to `change`, becomes what it answers. Answers how many
    /// were changed.
    pub(crate) fn rewrite_fields(&mut self, name: &str, change: impl FnMut(u32) -> Rewrite) -> u32 {
        let (header, changed) = header::rewritten(self.header(), name, change);
        if changed > 0 {
            self.header = Some(Arc::new(header));
        }
        changed
    }

    /// Puts another body behind the header section.
    pub(crate) fn replace_body(&mut self, body: Vec<u8>) {
        if !header::is_closed(self.header()) {
            self.header = Some(Arc::new(header::closed(self.header())));
        }
        self.body = Some(Arc::new(body));
    }

    /// The edits so far.
    pub(crate) fn edits(&self) -> Edits {
        Edits { header: self.header.clone(), body: self.body.clone() }
    }

    /// Goes back to these edits.
    pub(crate) fn restore(&mut self, edits: Edits) {
        self.header = edits.header;
        self.body = edits.body;
    }
}

/// What plugins have made of a message at some time; cheap to keep.
#[derive(Debug)]
pub(crate) struct Edits {
    header: Option<Arc<Vec<u8>>>,
    body: Option<Arc<Vec<u8>>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(octets: &[u8]) -> Message {
        let mut writer = MessageWriter::default();
        for piece in octets.chunks(7000) {
            writer.push(piece);
            if writer.wants_flush() {
                writer.flush(&std::env::temp_dir()).unwrap();
            }
        }
        assert_eq!(writer.size(), octets.len() as u64);
        writer.finish(&std::env::temp_dir()).unwrap()
    }

    fn all(message: &Message) -> Vec<u8> {
        let mut out = Vec::new();
        message.write_to(&mut out).unwrap();
        out
    }

    #[test]
    fn a_large_message_lives_in_a_file_and_reads_the_same() {
        let mut octets = b"Subject: x\r\n\r\n".to_vec();
        octets.extend((0..HEAD_BYTES + 2 * PENDING_BYTES).map(|i| b'a' + (i % 23) as u8));
        let message = message(&octets);
        assert!(!message.is_in_memory());
        assert_eq!(all(&message), octets);
        for (offset, length) in [(0, 5), (10, 100), (HEAD_BYTES - 3, 6), (HEAD_BYTES, 9), (2 * HEAD_BYTES, 1 << 20)] {
            let mut out = Vec::new();
            message.read(offset as u64, length, &mut out).unwrap();
            assert_eq!(out, octets[offset..octets.len().min(offset + length)]);
        }
        let mut out = Vec::new();
        message.read(octets.len() as u64 + 1, 10, &mut out).unwrap();
        assert!(out.is_empty());
    }

    #[test]
    fn a_middling_message_stays_in_memory() {
        let mut octets = b"Subject: x\r\n\r\n".to_vec();
        octets.extend((0..HEAD_BYTES + PENDING_BYTES / 2).map(|i| b'a' + (i % 23) as u8));
        let message = message(&octets);
        assert!(message.is_in_memory());
        assert_eq!(all(&message), octets);
        let mut out = Vec::new();
        message.read(HEAD_BYTES as u64 - 9, 100, &mut out).unwrap();
        assert_eq!(out, octets[HEAD_BYTES - 9..HEAD_BYTES + 91]);
    }

    #[test]
    fn fields_keep_their_folds() {
        let message = message(b"A: 1\r\nB:2\r\n\tmore\r\nnonsense\r\n\r\nC: body\r\n");
        let found: Vec<_> = message.fields().collect();
        assert_eq!(
            found,
            [
                (b"A".as_slice(), b"1".as_slice()),
                (b"B".as_slice(), b"2\r\n\tmore".as_slice()),
                (b"".as_slice(), b"nonsense".as_slice()),
            ]
        );
    }

    #[test]
    fn edits() {
        let mut edited = message(b"A: 1\r\nB: 2\r\nA: 3\r\n\r\nbody\r\n");
        edited.add_field("Top", b"t", Place::Top);
        edited.add_field("End", b"e", Place::End);
        let second = edited.rewrite_fields("a", |n| if n == 1 { Rewrite::Value(b"x".to_vec()) } else { Rewrite::Keep });
        assert_eq!(second, 1);
        assert_eq!(edited.rewrite_fields("b", |_| Rewrite::Remove), 1);
        assert_eq!(edited.rewrite_fields("none", |_| Rewrite::Remove), 0);
        assert_eq!(all(&edited), b"Top: t\r\nA: 1\r\nA: x\r\nEnd: e\r\n\r\nbody\r\n");
        assert_eq!(edited.size(), all(&edited).len() as u64);
        edited.replace_body(b"new\r\n".to_vec());
        assert_eq!(all(&edited), b"Top: t\r\nA: 1\r\nA: x\r\nEnd: e\r\n\r\nnew\r\n");
    }

    #[test]
    fn odd_header_sections_can_be_edited() {
        for (input, expected) in [
            (b"".as_slice(), b"N: v\r\n\r\n".as_slice()),
            (b"\r\nbody\r\n", b"N: v\r\n\r\nbody\r\n"),
            (b"A: 1", b"A: 1\r\nN: v\r\n\r\n"),
            (b"A: 1\r\n", b"A: 1\r\nN: v\r\n\r\n"),
        ] {
            let mut edited = message(input);
            edited.add_field("N", b"v", Place::End);
            assert_eq!(all(&edited), expected);
        }
        let mut edited = message(b"A: 1\r\n");
        edited.replace_body(b"b\r\n".to_vec());
        assert_eq!(all(&edited), b"A: 1\r\n\r\nb\r\n");
    }

    #[test]
    fn a_first_line_that_continues_nothing_is_refused() {
        for octets in [b" evil\r\n\r\n".as_slice(), b"\tevil: x\r\n", b" "] {
            let mut writer = MessageWriter::default();
            writer.push(octets);
            assert!(matches!(writer.finish(&std::env::temp_dir()), Err(MessageError::HeaderContinues)));
        }
    }

    #[test]
    fn edits_can_be_taken_back() {
        let mut edited = message(b"A: 1\r\n\r\nbody\r\n");
        edited.add_field("B", b"2", Place::End);
        let before = edited.edits();
        edited.add_field("C", b"3", Place::Top);
        edited.replace_body(b"other\r\n".to_vec());
        edited.restore(before);
        assert_eq!(all(&edited), b"A: 1\r\nB: 2\r\n\r\nbody\r\n");
    }

    #[test]
    fn a_header_section_has_a_bound() {
        let mut writer = MessageWriter::default();
        writer.push(&vec![b'x'; HEAD_BYTES + 1]);
        assert!(matches!(writer.finish(&std::env::temp_dir()), Err(MessageError::HeaderTooLong)));
    }
}
