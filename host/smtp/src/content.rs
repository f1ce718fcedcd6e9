//! What must hold for the octets of a message, whichever command brings them: CRLF alone ends a line, no NUL, no line and no message
//! beyond its bound (RFC 5321 sections 2.3.8, 4.1.1.4 and 4.5.3.1).
//!
//! Mail data is looked at in pieces as large as the reads, never octet by octet or line by line: a piece is first *proved* clean by a loop
//! that the compiler turns into vector instructions, and only what fails is looked at again to name the fault.

use memchr::memrchr;

use crate::limits::Limits;
use crate::replies;
use crate::reply::Reply;

/// What is wrong with mail data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    BareCr,
    BareLf,
    Nul,
    LineTooLong,
    MessageTooLarge,
}

impl Fault {
    pub(crate) fn reply(self) -> &'static Reply {
        match self {
            Fault::BareCr => &replies::BARE_CR,
            Fault::BareLf => &replies::BARE_LF,
            Fault::Nul => &replies::NUL,
            Fault::LineTooLong => &replies::TEXT_LINE_TOO_LONG,
            Fault::MessageTooLarge => &replies::MESSAGE_TOO_LARGE,
        }
    }
}

/// The account of a message's octets: what has passed, and the first fault.
#[derive(Debug, Default)]
pub(crate) struct Content {
    /// Octets that have passed.
    octets: u64,
    /// Octets of the line that has begun.
    line_octets: usize,
    /// Octets that were thrown away since the fault.
    discarded: u64,
    fault: Option<Fault>,
}

impl Content {
    pub(crate) fn octets(&self) -> u64 {
        self.octets
    }

    /// The first fault. From then on nothing passes.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Notes a fault, unless there is one already.
    pub(crate) fn blame(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    /// Counts octets of faulty mail data. False when they are more than anyone should send in vain.
    pub(crate) fn discard(&mut self, octets: usize, limits: &Limits) -> bool {
        self.discarded = self.discarded.saturating_add(octets as u64);
        self.discarded <= limits.discarded_octets
    }

    /// Counts the next octets of the message, and answers whether they may be passed on. The piece neither begins nor ends between the
    /// two octets of a CRLF: a CR at the end of the input must be held back until the next octet is known.
    pub(crate) fn pass(&mut self, piece: &[u8], limits: &Limits) -> bool {
        if self.fault.is_some() {
            return false;
        }
        if let Err(fault) = self.check(piece, limits) {
            self.blame(fault);
            return false;
        }
        true
    }

    fn check(&mut self, piece: &[u8], limits: &Limits) -> Result<(), Fault> {
        if !is_clean(piece) {
            return Err(first_fault(piece));
        }
        self.octets = self.octets.saturating_add(piece.len() as u64);
        if self.octets > limits.message_octets {
            return Err(Fault::MessageTooLarge);
        }
        self.line_octets = line_behind(piece, self.line_octets, limits.text_line_octets)
            .ok_or(Fault::LineTooLong)?;
        Ok(())
    }
}

/// Whether every CR stands before an LF, every LF behind a CR, and there is no NUL.
fn is_clean(piece: &[u8]) -> bool {
    let (Some((first, behind)), Some(last)) = (piece.split_first(), piece.last()) else {
        return true;
    };
    if *first == LF || *last == CR || *last == NUL {
        return false;
    }
    // No early exit and no branch, so that many octets are done at once.
    let mut faults = 0_u8;
    for (&octet, &next) in piece.iter().zip(behind) {
        faults |= u8::from((octet == CR) != (next == LF)) | u8::from(octet == NUL);
    }
    faults == 0
}

/// The first fault of a piece that is not clean.
fn first_fault(piece: &[u8]) -> Fault {
    let mut octets = piece.iter().peekable();
    while let Some(octet) = octets.next() {
        match *octet {
            NUL => return Fault::Nul,
            LF => return Fault::BareLf,
            CR if octets.next_if(|next| **next == LF).is_none() => return Fault::BareCr,
            _ => {}
        }
    }
    Fault::BareCr
}

/// How many octets of a line stand behind the last LF of a clean piece, `line` being those before it. None if a line is longer than
/// `max`, its CRLF included.
///
/// Not every line is looked at: among the `max` octets from the beginning of a line there must be an LF, and the last one among them
/// begins the next such stretch.
fn line_behind(piece: &[u8], line: usize, max: usize) -> Option<usize> {
    let mut rest = piece;
    let mut room = max.checked_sub(line)?;
    let mut begun = line;
    while let Some((stretch, _)) = rest
        .split_at_checked(room)
        .filter(|(_, behind)| !behind.is_empty())
    {
        let lf = memrchr(LF, stretch)?;
        rest = rest.get(lf + 1..)?;
        room = max;
        begun = 0;
    }
    match memrchr(LF, rest) {
        Some(lf) => Some(rest.len() - lf - 1),
        None => Some(begun + rest.len()),
    }
}

pub(crate) const CR: u8 = b'\r';
pub(crate) const LF: u8 = b'\n';
const NUL: u8 = 0;
