//! One pass over a message: where its parts are. Memory is bounded by the number of parts and by what their headers say, never by
//! the size of the message: it is read in windows, and of a long line only the beginning is looked at.

use std::io;
use std::ops::Range;

use super::fields::facts;
use super::{
    Checkpoint, Decoder, Encoding, Facts, Kind, MAX_BOUNDARY_BYTES, MAX_DEPTH, MAX_HEADERS_BYTES, MAX_MESSAGE_BYTES,
    MAX_PART_HEADER_BYTES, MAX_PARTS, Part, ScanError, Structure, WINDOW_BYTES,
};

/// Finds the parts of a message with this header section, whose body has so many octets and is read in ranges.
pub(crate) fn scan(
    header: &[u8],
    body_size: u64,
    mut read: impl FnMut(Range<u64>, &mut Vec<u8>) -> io::Result<()>,
) -> Result<Structure, ScanError> {
    if body_size > MAX_MESSAGE_BYTES {
        return Err(ScanError::TooLarge);
    }
    let mut scanner = Scanner::default();
    scanner.begin(facts(header, "text/plain")?, 0..0, 0)?;
    let mut window = Vec::with_capacity(WINDOW_BYTES as usize + MAX_LINE_BYTES);
    let mut base = 0;
    let mut is_line_start = true;
    loop {
        let from = base + window.len() as u64;
        let to = body_size.min(from + WINDOW_BYTES);
        read(from..to, &mut window)?;
        let is_last = to == body_size;
        let mut at = 0;
        for end in memchr::memchr_iter(b'\n', &window) {
            let line = window.get(at..=end).unwrap_or_default();
            scanner.piece(base + at as u64, line, is_line_start)?;
            is_line_start = true;
            at = end + 1;
        }
        let rest = window.get(at..).unwrap_or_default();
        // A CR at the end may be half of a line end, and a short line may turn out to be a delimiter.
        let held = if is_last { 0 } else { usize::from(rest.ends_with(b"\r")) };
        if is_last || rest.len() > MAX_LINE_BYTES {
            let piece = rest.get(..rest.len() - held).unwrap_or_default();
            if !piece.is_empty() {
                scanner.piece(base + at as u64, piece, is_line_start)?;
                is_line_start = false;
                at += piece.len();
            }
        }
        base += at as u64;
        window.drain(..at);
        if is_last {
            return scanner.finish(body_size);
        }
    }
}

#[derive(Debug, Default)]
struct Scanner {
    parts: Vec<Part>,
    /// The parts that hold what comes next, from the outside in.
    open: Vec<Container>,
    place: Place,
    headers_bytes: usize,
    /// Octets of the line end before what comes next.
    line_end_bytes: u64,
    /// The rest of this line says nothing: it began as a delimiter.
    is_skipped: bool,
    scratch: Vec<u8>,
}

/// A part that holds others.
#[derive(Debug)]
struct Container {
    part: u32,
    /// None for a message, which ends where what holds it goes on.
    boundary: Option<Vec<u8>>,
}

/// Where in the message we are.
#[derive(Debug, Default)]
enum Place {
    /// Before the first delimiter of a multipart, or behind its last one: not shown by any mail program.
    #[default]
    Between,
    /// In the header section of a part.
    Header { octets: Vec<u8>, start: u64, delimiter: Option<u64> },
    /// In the content of a part that holds no others.
    Content(Content),
}

#[derive(Debug)]
struct Content {
    part: u32,
    decoder: Decoder,
    decoded: u64,
    /// What the last line ended with; it belongs to the content only if no delimiter follows.
    line_end: &'static [u8],
    checkpoints: Vec<Checkpoint>,
}

impl Scanner {
    /// A line, or a piece of one that is long.
    fn piece(&mut self, offset: u64, piece: &[u8], is_line_start: bool) -> Result<(), ScanError> {
        let line_end = line_end(piece);
        let end = offset + piece.len() as u64;
        if is_line_start
            && piece.starts_with(b"--")
            && let Some((depth, is_close)) = self.delimiter(piece)
        {
            self.delimit(depth, is_close, offset, end)?;
            self.line_end_bytes = line_end.len() as u64;
            self.is_skipped = line_end.is_empty();
            return Ok(());
        }
        self.line_end_bytes = line_end.len() as u64;
        if self.is_skipped && !is_line_start {
            if let Place::Header { start, .. } = &mut self.place {
                *start = end;
            }
            return Ok(());
        }
        self.is_skipped = false;
        match &mut self.place {
            Place::Between => Ok(()),
            Place::Header { octets, start, delimiter } => {
                if octets.len() + piece.len() > MAX_PART_HEADER_BYTES {
                    return Err(ScanError::TooComplex);
                }
                octets.extend_from_slice(piece);
                if is_line_start && piece.len() == line_end.len() {
                    let (octets, start, delimiter) = (std::mem::take(octets), *start, *delimiter);
                    self.header_end(&octets, start, delimiter, end)?;
                }
                Ok(())
            }
            Place::Content(content) => {
                let octets = piece.get(..piece.len() - line_end.len()).unwrap_or_default();
                content.feed(offset, octets, &mut self.scratch);
                content.line_end = line_end;
                Ok(())
            }
        }
    }

    /// The container whose delimiter a line is, by its place among the open ones; and whether it is the last.
    fn delimiter(&self, line: &[u8]) -> Option<(usize, bool)> {
        let line = line.get(2..)?;
        let fitting = self.open.iter().enumerate().filter_map(|(depth, container)| {
            let boundary = container.boundary.as_deref()?;
            let behind = line.strip_prefix(boundary)?;
            Some((boundary.len(), depth, behind.starts_with(b"--")))
        });
        fitting.max().map(|(_, depth, is_close)| (depth, is_close))
    }

    /// A delimiter: everything within its container ends before it.
    fn delimit(&mut self, depth: usize, is_close: bool, start: u64, end: u64) -> Result<(), ScanError> {
        self.end_content(start)?;
        while self.open.len() > depth + 1 {
            let end = start - self.line_end_bytes.min(start);
            self.end_whole(self.open.len() - 1, end);
            self.end_container(end);
        }
        self.end_whole(depth, start);
        if is_close {
            self.end_container(end);
            self.place = Place::Between;
        } else {
            self.place = Place::Header { octets: Vec::new(), start: end, delimiter: Some(start) };
        }
        Ok(())
    }

    /// The part that stands directly in the open container at `depth` reaches up to `end`.
    fn end_whole(&mut self, depth: usize, end: u64) {
        let Some(container) = self.open.get(depth) else { return };
        let last = self.parts.iter_mut().rev().find(|part| part.parent == Some(container.part));
        let Some(last) = last else { return };
        let content_end = last.content.end;
        if let Some(whole) = last.whole.as_mut() {
            whole.end = whole.end.max(end).max(content_end);
        }
    }

    fn header_end(&mut self, octets: &[u8], start: u64, delimiter: Option<u64>, end: u64) -> Result<(), ScanError> {
        self.headers_bytes += octets.len();
        if self.headers_bytes > MAX_HEADERS_BYTES {
            return Err(ScanError::TooComplex);
        }
        let parent = self.open.last().and_then(|container| self.parts.get(container.part as usize));
        let is_digest = parent.is_some_and(|parent| parent.facts.media_type == "multipart/digest");
        let facts = facts(octets, if is_digest { "message/rfc822" } else { "text/plain" })?;
        self.begin(facts, start..end, end)?;
        if let (Some(delimiter), Some(part)) = (delimiter, self.parts.last_mut()) {
            part.whole = Some(delimiter..delimiter);
        }
        Ok(())
    }

    /// A part's content begins. What is a message begins with a header section of its own.
    fn begin(&mut self, facts: Facts, header: Range<u64>, content: u64) -> Result<(), ScanError> {
        if self.parts.len() >= MAX_PARTS {
            return Err(ScanError::TooComplex);
        }
        let number = self.parts.len() as u32;
        let boundary = facts.boundary.clone().filter(|_| facts.media_type.starts_with("multipart/"));
        let is_message = matches!(facts.media_type.as_str(), "message/rfc822" | "message/global");
        let (encoding, parent) = (facts.encoding, self.open.last().map(|container| container.part));
        let kind = match &boundary {
            Some(_) => Kind::Multipart,
            None if is_message && encoding == Encoding::Identity => Kind::Message,
            None => Kind::Leaf,
        };
        let range = content..content;
        self.parts.push(Part {
            parent,
            kind,
            facts,
            header,
            content: range,
            whole: None,
            size: 0,
            checkpoints: Vec::new(),
        });
        self.place = match kind {
            Kind::Leaf => Place::Content(Content::begin(number, encoding, content)),
            Kind::Multipart => Place::Between,
            Kind::Message => Place::Header { octets: Vec::new(), start: content, delimiter: None },
        };
        if kind != Kind::Leaf {
            if self.open.len() >= MAX_DEPTH || boundary.as_ref().is_some_and(|it| it.len() > MAX_BOUNDARY_BYTES) {
                return Err(ScanError::TooComplex);
            }
            self.open.push(Container { part: number, boundary });
        }
        Ok(())
    }

    /// Whatever is being read ends before a delimiter, or with the message.
    fn end_content(&mut self, end: u64) -> Result<(), ScanError> {
        match std::mem::take(&mut self.place) {
            Place::Between => {}
            Place::Header { octets, start, delimiter } => {
                // A header section without its empty line: a part without content.
                if !octets.is_empty() || delimiter.is_some() {
                    self.header_end(&octets, start, delimiter, end)?;
                    if let Place::Content(content) = std::mem::take(&mut self.place) {
                        self.close(content, end);
                    }
                }
            }
            Place::Content(content) => self.close(content, end),
        }
        Ok(())
    }

    fn close(&mut self, mut content: Content, end: u64) {
        let Some(part) = self.parts.get_mut(content.part as usize) else { return };
        let end = end.saturating_sub(content.line_end.len() as u64).max(part.content.start);
        self.scratch.clear();
        content.decoder.finish(&mut self.scratch);
        part.content.end = end;
        part.size = match part.facts.encoding {
            Encoding::Identity => end - part.content.start,
            Encoding::Base64 | Encoding::QuotedPrintable => content.decoded + self.scratch.len() as u64,
        };
        part.checkpoints = content.checkpoints;
    }

    /// The innermost container ends.
    fn end_container(&mut self, end: u64) {
        let Some(container) = self.open.pop() else { return };
        let last_part = self.parts.len() as u32 - 1;
        let end = end.max(self.parts.last().map_or(0, |last| last.content.end));
        let Some(part) = self.parts.get_mut(container.part as usize) else { return };
        part.content.end = end.max(part.content.start);
        let is_empty = last_part == container.part;
        if is_empty && part.kind == Kind::Multipart {
            // Without a single delimiter: mail programs show it as it stands there.
            part.kind = Kind::Leaf;
            part.facts.encoding = Encoding::Identity;
        }
        part.size = match part.kind {
            Kind::Message | Kind::Leaf => part.content.end - part.content.start,
            Kind::Multipart => 0,
        };
    }

    fn finish(mut self, body_size: u64) -> Result<Structure, ScanError> {
        // Without a delimiter behind it, the last line end belongs to the content.
        if let Place::Content(content) = &mut self.place {
            let line_end = std::mem::take(&mut content.line_end);
            content.decode(line_end, &mut self.scratch);
        }
        self.end_content(body_size)?;
        while !self.open.is_empty() {
            self.end_whole(self.open.len() - 1, body_size);
            self.end_container(body_size);
        }
        Ok(Structure { parts: self.parts })
    }
}

impl Content {
    fn begin(part: u32, encoding: Encoding, offset: u64) -> Self {
        let first = Checkpoint::begin(encoding, offset);
        let checkpoints = match encoding {
            Encoding::Identity => Vec::new(),
            Encoding::Base64 | Encoding::QuotedPrintable => vec![first],
        };
        Self { part, decoder: first.decoder, decoded: 0, line_end: b"", checkpoints }
    }

    /// The next octets, which are not a delimiter: so the line end before them belongs to the content.
    fn feed(&mut self, offset: u64, octets: &[u8], scratch: &mut Vec<u8>) {
        let Some(last) = self.checkpoints.last() else { return };
        let line_end = self.line_end;
        let is_due = offset - last.encoded >= WINDOW_BYTES;
        self.decode(line_end, scratch);
        if is_due {
            self.checkpoints.push(Checkpoint { encoded: offset, decoded: self.decoded, decoder: self.decoder });
        }
        self.decode(octets, scratch);
    }

    fn decode(&mut self, octets: &[u8], scratch: &mut Vec<u8>) {
        scratch.clear();
        self.decoder.feed(octets, scratch);
        self.decoded += scratch.len() as u64;
    }
}

fn line_end(line: &[u8]) -> &'static [u8] {
    match line {
        [.., b'\r', b'\n'] => b"\r\n",
        [.., b'\n'] => b"\n",
        _ => b"",
    }
}

/// Octets of a line that may be a delimiter; a longer one is none.
const MAX_LINE_BYTES: usize = 4 << 10;
