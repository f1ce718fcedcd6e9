//! What must hold for the octets of a message, whichever command brings them: CRLF alone ends a line, no NUL, no line and no message
//! beyond its bound (RFC 5321 sections 2.3.8, 4.1.1.4 and 4.5.3.1).
//!
//! Mail data is looked at in pieces as large as the reads, never octet by octet or line by line: a piece is first *proved* clean by a loop
//! that the compiler turns into vector instructions, and only what fails is walked through to name the fault.

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

    /// Counts the next octets of the message, and answers whether they may be passed on. The piece neither begins nor ends between the
    /// two octets of a CRLF: a CR at the end of the input must be held back until the next octet is known.
    pub(crate) fn pass(&mut self, piece: &[u8], limits: &Limits) -> bool {
        if self.fault.is_some() {
            return false;
        }
        let octets = self.octets.saturating_add(piece.len() as u64);
        let line = line_behind(piece, self.line_octets, limits.text_line_octets);
        match line.filter(|_| octets <= limits.message_octets && is_clean(piece)) {
            Some(line_octets) => {
                self.octets = octets;
                self.line_octets = line_octets;
            }
            None => self.walk(piece, limits),
        }
        self.fault.is_none()
    }

    /// What `pass` does where octets make no lines (BINARYMIME).
    pub(crate) fn pass_binary(&mut self, piece: &[u8], limits: &Limits) -> bool {
        self.octets = self.octets.saturating_add(piece.len() as u64);
        if self.octets > limits.message_octets {
            self.blame(Fault::MessageTooLarge);
        }
        self.fault.is_none()
    }

    /// What `pass` does, but octet by octet, so that the first of several faults is named wherever the input was cut.
    fn walk(&mut self, piece: &[u8], limits: &Limits) {
        let mut rest = piece;
        while let Some((octet, mut behind)) = rest.split_first() {
            let mut taken = 1;
            match *octet {
                NUL => return self.blame(Fault::Nul),
                LF => return self.blame(Fault::BareLf),
                CR => match behind.split_first() {
                    Some((&LF, behind_lf)) => (taken, behind) = (2, behind_lf),
                    Some(_) | None => return self.blame(Fault::BareCr),
                },
                _ => {}
            }
            self.octets = self.octets.saturating_add(taken as u64);
            if self.octets > limits.message_octets {
                return self.blame(Fault::MessageTooLarge);
            }
            self.line_octets += taken;
            if self.line_octets > limits.text_line_octets {
                return self.blame(Fault::LineTooLong);
            }
            if taken == 2 {
                self.line_octets = 0;
            }
            rest = behind;
        }
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

/// How many octets of a line stand behind the last LF of a clean piece, `line` being those before it. None if a line is longer than
/// `max`, its CRLF included.
///
/// Not every line is looked at: among the `max` octets from the beginning of a line there must be an LF, and the last one among them
/// begins the next such stretch.
fn line_behind(piece: &[u8], line: usize, max: usize) -> Option<usize> {
    let mut rest = piece;
    let mut room = max.checked_sub(line)?;
    let mut begun = line;
    while let Some((stretch, _)) = rest.split_at_checked(room).filter(|(_, behind)| !behind.is_empty()) {
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

#[cfg(test)]
mod tests {
    use super::{Content, Fault};
    use crate::limits::Limits;

    fn limits() -> Limits {
        Limits { text_line_octets: 10, message_octets: 40, ..Limits::default() }
    }

    #[test]
    fn faults() {
        let check = |piece: &str, expected: Option<Fault>| {
            let mut content = Content::default();
            assert_eq!(content.pass(piece.as_bytes(), &limits()), expected.is_none(), "{piece:?}");
            assert_eq!(content.fault(), expected, "{piece:?}");
        };
        check("", None);
        check("a\r\n\r\nb", None);
        check("12345678\r\n12345678\r\n1234567890", None);
        check("12345678901", Some(Fault::LineTooLong));
        check("123456789\r\n", Some(Fault::LineTooLong));
        check("a\r\n123456789\r\nb\r\n", Some(Fault::LineTooLong));
        check("12345678\r\n12345678\r\n12345678\r\n12345678\r\n", None);
        check("12345678\r\n12345678\r\n12345678\r\n12345678\r\n1", Some(Fault::MessageTooLarge));
        check("\n", Some(Fault::BareLf));
        check("a\n", Some(Fault::BareLf));
        check("a\nb\0", Some(Fault::BareLf));
        check("\0b\n", Some(Fault::Nul));
        check("a\0", Some(Fault::Nul));
        check("a\rb", Some(Fault::BareCr));
        check("\r\r\n", Some(Fault::BareCr));
        check("a\r\n\n", Some(Fault::BareLf));
        check("12345678901\n", Some(Fault::LineTooLong));
    }

    /// The quick look at a whole piece and the walk agree with each other, however the octets are cut.
    #[test]
    fn pieces_do_not_matter() {
        let atoms: [&[u8]; 5] = [b"\r\n", b"a", b"abcdefgh", b"\n", b"\0"];
        for number in 0..5_usize.pow(6) {
            let units: Vec<&[u8]> = (0..6).map(|place| atoms[number / 5_usize.pow(place) % 5]).collect();
            let mut whole = Content::default();
            whole.pass(&units.concat(), &limits());
            let mut parts = Content::default();
            for unit in &units {
                parts.pass(unit, &limits());
            }
            let state = |content: &Content| (content.fault(), content.octets(), content.line_octets);
            assert_eq!(whole.fault(), parts.fault(), "{units:?}");
            if whole.fault().is_none() {
                assert_eq!(state(&whole), state(&parts), "{units:?}");
            }
        }
    }
}
