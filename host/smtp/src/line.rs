//! Command lines out of the input: ended by CRLF alone (RFC 5321 section 2.3.8), and bounded.

use std::borrow::Cow;

use memchr::memchr;

use crate::content::CR;

/// Collects a line that comes in several reads. A line that comes whole is not copied.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    partial: Vec<u8>,
    /// The line has gone beyond its bound: it is read to its end, and not kept.
    overlong: Option<Overlong>,
    /// How many lines have ended. It may wrap around: it is there to tell a line from the one before it.
    ended: u32,
}

/// What must be known of a line that is not kept.
#[derive(Debug)]
struct Overlong {
    bound: Bound,
    ends_in_cr: bool,
}

/// Which bound a line has gone beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Command,
    Auth,
    /// Of a BDAT command, whose octets follow it.
    Chunk,
}

/// How many octets a line may have, its CRLF included.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bounds {
    /// A command is due; an AUTH command may be longer than others.
    Command { command: usize, auth: usize },
    /// A line of an AUTH exchange is due.
    Exchange { auth: usize },
}

/// What came out of the input.
pub(crate) enum Read<'a> {
    /// A line without its CRLF. It may hold bare CRs and LFs.
    Line(Cow<'a, [u8]>),
    /// The end of a line beyond its bound.
    TooLong(Bound),
    /// The input is used up.
    More,
}

impl Reader {
    /// The number of the line of which a part has come; none between two lines.
    pub(crate) fn begun(&self) -> Option<u32> {
        (!self.partial.is_empty() || self.overlong.is_some()).then_some(self.ended)
    }

    /// Takes octets from the front of `input`: up to the end of a line, or all of them.
    pub(crate) fn read<'a>(&mut self, input: &mut &'a [u8], bounds: Bounds) -> Read<'a> {
        let (line, behind) = match split_line(self.ends_in_cr(), input) {
            Some((line, behind)) => (Some(line), behind),
            None => (None, &[][..]),
        };
        let taken = line.unwrap_or(input);
        *input = behind;
        if self.overlong.is_none() {
            self.overlong = self.beyond(taken, bounds);
        }
        if line.is_some() {
            self.ended = self.ended.wrapping_add(1);
        }
        match (&mut self.overlong, line) {
            (Some(overlong), Some(_)) => {
                let bound = overlong.bound;
                self.overlong = None;
                Read::TooLong(bound)
            }
            (Some(overlong), None) => {
                overlong.ends_in_cr = taken.last().map_or(overlong.ends_in_cr, |octet| *octet == CR);
                self.partial = Vec::new();
                Read::More
            }
            (None, Some(line)) => Read::Line(self.whole(line)),
            (None, None) => {
                self.partial.extend_from_slice(taken);
                Read::More
            }
        }
    }

    /// The line without its CRLF, where `line` is the last of it to have come.
    fn whole<'a>(&mut self, line: &'a [u8]) -> Cow<'a, [u8]> {
        if self.partial.is_empty() {
            return Cow::Borrowed(line.strip_suffix(b"\r\n").unwrap_or(line));
        }
        // Not kept for the next line: an idle session holds no buffer.
        let mut whole = std::mem::take(&mut self.partial);
        whole.extend_from_slice(line);
        whole.truncate(whole.len().saturating_sub(2));
        Cow::Owned(whole)
    }

    /// The bound that the line goes beyond with these octets.
    fn beyond(&mut self, taken: &[u8], bounds: Bounds) -> Option<Overlong> {
        let octets = self.partial.len() + taken.len();
        let (bound, max) = match bounds {
            Bounds::Exchange { auth } => (Bound::Auth, auth),
            Bounds::Command { command, .. } if octets <= command => return None,
            Bounds::Command { auth, .. } if self.begins_with(b"AUTH ", taken) => (Bound::Auth, auth),
            Bounds::Command { command, .. } if self.begins_with(b"BDAT", taken) => (Bound::Chunk, command),
            Bounds::Command { command, .. } => (Bound::Command, command),
        };
        (octets > max).then(|| {
            let ends_in_cr = self.ends_in_cr();
            self.partial = Vec::new();
            Overlong { bound, ends_in_cr }
        })
    }

    fn begins_with(&self, word: &[u8], taken: &[u8]) -> bool {
        let mut octets = self.partial.iter().chain(taken);
        word.iter().all(|expected| octets.next().is_some_and(|octet| octet.eq_ignore_ascii_case(expected)))
    }

    fn ends_in_cr(&self) -> bool {
        match &self.overlong {
            Some(overlong) => overlong.ends_in_cr,
            None => self.partial.last() == Some(&CR),
        }
    }
}

/// The input up to and with the first CRLF, and what is behind it. `after_cr` says that a CR stands before the input.
fn split_line(after_cr: bool, input: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut from = 0;
    loop {
        let lf = from + memchr(b'\n', input.get(from..)?)?;
        let before = match lf.checked_sub(1) {
            Some(before) => input.get(before) == Some(&CR),
            None => after_cr,
        };
        if before {
            return input.split_at_checked(lf + 1);
        }
        from = lf + 1;
    }
}
