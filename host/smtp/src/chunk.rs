//! BDAT (RFC 3030): the command's argument, and the octets of a chunk.

use crate::content::{CR, Content, Fault, LF};
use crate::event::Body;
use crate::limits::Limits;

/// The argument of BDAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) octets: u64,
    pub(crate) last: bool,
}

/// What is wrong with the argument of BDAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChunkError {
    /// Something stands behind the size, but that is known, so the octets can be skipped.
    Keyword { octets: u64 },
    /// Nobody knows how many octets follow.
    Size,
}

impl Chunk {
    /// Reads `size [LAST]`. A size that does not fit is taken for the largest: nobody can send as many.
    pub(crate) fn read(argument: &str) -> Result<Chunk, ChunkError> {
        let mut words = argument.split(' ').filter(|word| !word.is_empty());
        let size = words.next().ok_or(ChunkError::Size)?;
        if !size.bytes().all(|octet| octet.is_ascii_digit()) {
            return Err(ChunkError::Size);
        }
        let octets = size.parse().unwrap_or(u64::MAX);
        match (words.next(), words.next()) {
            (None, _) => Ok(Chunk { octets, last: false }),
            (Some(word), None) if word.eq_ignore_ascii_case("LAST") => Ok(Chunk { octets, last: true }),
            (Some(_), _) => Err(ChunkError::Keyword { octets }),
        }
    }
}

/// The message of a transaction that comes in chunks. Chunks may be cut anywhere, between CR and LF too.
#[derive(Debug, Default)]
pub(crate) struct Message {
    content: Content,
    /// Whether it is lines, or just octets.
    body: Body,
    /// The octet before the next one is a CR, not passed on yet.
    cr: bool,
}

impl Message {
    pub(crate) fn new(body: Body) -> Message {
        Message { body, ..Message::default() }
    }

    /// Whether a chunk of that many octets stays within the bound on the message.
    pub(crate) fn has_room(&self, octets: u64, limits: &Limits) -> bool {
        let held = u64::from(self.cr);
        self.content.octets().saturating_add(held).saturating_add(octets) <= limits.message_octets
    }

    /// Takes octets of a chunk, of which `left` have not come yet, from the front of `input`. Answers a piece of the message; none when
    /// the chunk or the input is used up.
    pub(crate) fn read<'a>(&mut self, left: &mut u64, input: &mut &'a [u8], limits: &Limits) -> Option<&'a [u8]> {
        let room = usize::try_from(*left).unwrap_or(usize::MAX);
        let chunk = input.split_at_checked(room).map_or(*input, |(chunk, _)| chunk);
        match self.body {
            Body::SevenBit | Body::EightBitMime => {}
            Body::BinaryMime => {
                take(chunk.len(), left, input);
                return (self.content.pass_binary(chunk, limits) && !chunk.is_empty()).then_some(chunk);
            }
        }
        if let (true, Some(first)) = (self.cr, chunk.first()) {
            self.cr = false;
            if *first == LF {
                take(1, left, input);
                if self.content.pass(b"\r\n", limits) {
                    return Some(b"\r\n");
                }
                return self.read(left, input, limits);
            }
            self.content.blame(Fault::BareCr);
        }
        let piece = match chunk {
            [piece @ .., CR] => {
                self.cr = true;
                piece
            }
            _ => chunk,
        };
        take(chunk.len(), left, input);
        (self.content.pass(piece, limits) && !piece.is_empty()).then_some(piece)
    }

    /// The first fault in what has come.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.content.fault()
    }

    /// The first fault of the whole message. It need not end with CRLF: RFC 3030 section 2 gives a chunk's octets no line
    /// structure, and its end marks nothing.
    pub(crate) fn end(&mut self) -> Option<Fault> {
        if self.cr {
            self.content.blame(Fault::BareCr);
        }
        self.fault()
    }
}

fn take(octets: usize, left: &mut u64, input: &mut &[u8]) {
    *left = left.saturating_sub(octets as u64);
    *input = input.get(octets..).unwrap_or_default();
}
