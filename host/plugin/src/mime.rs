//! The MIME structure of a message (RFC 2045, RFC 2046), found in one pass over it without holding it.
//!
//! `scan.rs` finds the parts: where their header and content stand in the body, and what their header says (`fields.rs`). `decode.rs`
//! decodes base64 and quoted-printable in pieces, from any of the positions that the pass has remembered; `encode.rs` writes a
//! part anew. Only single fields are given to the parser of header fields, never a message: so depth and size are bounded here,
//! whatever a message looks like.
//!
//! Read as lenient mail programs do: a line ends with LF, with or without CR before it; a delimiter is a line that begins with
//! `--` and the boundary (RFC 2046 section 5.1.1), the longest one where several fit; a message/rfc822 is looked into, unless it is
//! encoded, which RFC 2045 section 6.4 forbids.

mod decode;
mod encode;
mod fields;
mod scan;

#[cfg(test)]
mod bombs;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod tests;

use std::io;
use std::ops::Range;

pub(crate) use self::decode::{Checkpoint, Decoder};
pub(crate) use self::encode::{EMPTY_PART, encoded_part, media_type_problem};
pub(crate) use self::fields::{decoded_field, field_addresses, text_of};
pub(crate) use self::scan::scan;

/// The parts of a message, each before those that it holds. All offsets are counted from the beginning of the body.
#[derive(Debug)]
pub(crate) struct Structure {
    pub(crate) parts: Vec<Part>,
}

/// One part.
#[derive(Debug)]
pub(crate) struct Part {
    /// The part that holds it.
    pub(crate) parent: Option<u32>,
    pub(crate) kind: Kind,
    pub(crate) facts: Facts,
    /// Its header section with the empty line; nothing for part 0, whose header section is the message's.
    pub(crate) header: Range<u64>,
    /// What stands behind it, up to the line end before the next delimiter.
    pub(crate) content: Range<u64>,
    /// From its delimiter to the next; none for what does not stand in a multipart.
    pub(crate) whole: Option<Range<u64>>,
    /// Octets when decoded.
    pub(crate) size: u64,
    /// Positions from which the content can be decoded.
    pub(crate) checkpoints: Vec<Checkpoint>,
}

/// What a part is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Octets.
    Leaf,
    /// Other parts.
    Multipart,
    /// One part, which is a message.
    Message,
}

/// What a part's header says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) media_type: String,
    pub(crate) charset: Option<String>,
    pub(crate) file_name: Option<String>,
    pub(crate) attachment: bool,
    pub(crate) content_id: Option<String>,
    pub(crate) boundary: Option<Vec<u8>>,
    pub(crate) encoding: Encoding,
}

/// Content-Transfer-Encoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Encoding {
    #[default]
    Identity,
    Base64,
    QuotedPrintable,
}

/// Why there is no structure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScanError {
    /// Over one of the bounds.
    #[error("too many parts, nested too deep, or with too long a header section")]
    TooComplex,
    /// Over [`MAX_MESSAGE_BYTES`].
    #[error("larger than {MAX_MESSAGE_BYTES} octets")]
    TooLarge,
    /// The disk.
    #[error("the message can't be read")]
    Disk(#[from] io::Error),
}

impl Structure {
    pub(crate) fn part(&self, number: u32) -> Option<&Part> {
        self.parts.get(number as usize)
    }

    /// How many parts a part holds itself.
    pub(crate) fn children(&self, number: u32) -> usize {
        self.parts.iter().filter(|part| part.parent == Some(number)).count()
    }

    /// Octets of memory, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        let bytes = self.parts.iter().map(|part| {
            let texts = [&part.facts.charset, &part.facts.file_name, &part.facts.content_id];
            let texts: usize = texts.into_iter().flatten().map(String::len).sum();
            size_of::<Part>()
                + part.facts.media_type.len()
                + texts
                + part.facts.boundary.as_ref().map_or(0, Vec::len)
                + part.checkpoints.len() * size_of::<Checkpoint>()
        });
        bytes.sum()
    }
}

impl Part {
    /// Puts up to `length` octets of the decoded content from `offset` on behind `out`. Nothing of a multipart.
    pub(crate) fn read(
        &self,
        offset: u64,
        length: usize,
        mut read: impl FnMut(Range<u64>, &mut Vec<u8>) -> io::Result<()>,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        let encoding = match self.kind {
            Kind::Leaf => self.facts.encoding,
            Kind::Message => Encoding::Identity,
            Kind::Multipart => return Ok(()),
        };
        let end = self.size.min(offset.saturating_add(length as u64));
        if offset >= end {
            return Ok(());
        }
        if encoding == Encoding::Identity {
            return read(self.content.start + offset..self.content.start + end, out);
        }
        let at = self.checkpoints.partition_point(|checkpoint| checkpoint.decoded <= offset);
        let begin = Checkpoint::begin(encoding, self.content.start);
        let mut from = at.checked_sub(1).and_then(|at| self.checkpoints.get(at)).copied().unwrap_or(begin);
        let wanted = (end - offset) as usize;
        let (mut window, mut decoded) = (Vec::new(), Vec::new());
        let mut taken = 0;
        while taken < wanted && from.encoded <= self.content.end {
            window.clear();
            decoded.clear();
            let to = self.content.end.min(from.encoded + WINDOW_BYTES);
            read(from.encoded..to, &mut window)?;
            from.decoder.feed(&window, &mut decoded);
            let is_last = to == self.content.end;
            if is_last {
                from.decoder.finish(&mut decoded);
            }
            let skip = offset.saturating_sub(from.decoded).min(decoded.len() as u64) as usize;
            let piece = decoded.get(skip..).unwrap_or_default();
            let piece = piece.get(..wanted - taken).unwrap_or(piece);
            out.extend_from_slice(piece);
            taken += piece.len();
            from.decoded += decoded.len() as u64;
            from.encoded = to;
            if is_last {
                break;
            }
        }
        Ok(())
    }
}

/// Octets that are looked at together.
const WINDOW_BYTES: u64 = 64 << 10;

/// Parts of one message.
const MAX_PARTS: usize = 1000;

/// Parts within parts.
const MAX_DEPTH: usize = 20;

/// Octets of the header section of one part; that of the message has a bound of its own.
const MAX_PART_HEADER_BYTES: usize = 256 << 10;

/// Octets of the header sections of all parts together.
const MAX_HEADERS_BYTES: usize = 4 << 20;

/// Octets of a message that is taken apart.
const MAX_MESSAGE_BYTES: u64 = 1 << 30;

/// Octets of a boundary; RFC 2046 allows 70.
const MAX_BOUNDARY_BYTES: usize = 1000;

/// Octets of a media type, a charset, a file name or a Content-ID.
const MAX_FACT_BYTES: usize = 4096;
