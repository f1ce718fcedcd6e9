//! Mail data of DATA (RFC 5321 sections 4.1.1.4 and 4.5.2): dots removed, and ended by CRLF.CRLF and nothing else.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::content::{CR, Content, Fault, LF};
use crate::limits::Limits;

/// Reads mail data up to its end.
#[derive(Debug)]
pub(crate) struct Reader {
    at: At,
    content: Content,
    /// Octets that have come, whatever became of them.
    octets: u64,
}

/// What stands right before the next octet.
///
/// A CR at the end of the input is held back (`Cr`, `DotCr`) until it is known what it belongs to, so that what is passed on has whole
/// CRLFs only. A removed dot or a held CR never has to be passed on later: `CRLF . CR` is either the end of the data or a bare CR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// CRLF, or nothing yet: the CRLF of the DATA command counts (section 4.1.1.4).
    LineStart,
    /// CRLF and a dot.
    Dot,
    /// CRLF, a dot and CR.
    DotCr,
    /// Anything else.
    Line,
    /// CR within a line.
    Cr,
}

/// What came out of the input.
pub(crate) enum Read<'a> {
    /// Octets of the message.
    Piece(&'a [u8]),
    /// The input is used up.
    More,
    /// The end of mail data, with the first fault.
    End(Option<Fault>),
    /// Faulty mail data that goes on beyond the bound on what is thrown away.
    Endless(Fault),
}

impl Reader {
    pub(crate) fn new() -> Reader {
        Reader { at: At::LineStart, content: Content::default(), octets: 0 }
    }

    /// Takes octets from the front of `input` until there is something to say.
    pub(crate) fn read<'a>(&mut self, input: &mut &'a [u8], limits: &Limits) -> Read<'a> {
        loop {
            if let Some(fault) = self.content.fault().filter(|_| self.octets > limits.discarded_octets) {
                return Read::Endless(fault);
            }
            let Some((&octet, behind)) = input.split_first() else {
                return Read::More;
            };
            match (self.at, octet) {
                (At::LineStart, b'.') => self.take(At::Dot, behind, input),
                (At::Dot, CR) => self.take(At::DotCr, behind, input),
                (At::DotCr, LF) => {
                    *input = behind;
                    return Read::End(self.content.fault());
                }
                (At::Cr, LF) => {
                    self.take(At::LineStart, behind, input);
                    if self.content.pass(b"\r\n", limits) {
                        return Read::Piece(b"\r\n");
                    }
                }
                (At::Cr | At::DotCr, _) => {
                    self.content.blame(Fault::BareCr);
                    self.at = At::Line;
                }
                (At::LineStart | At::Dot | At::Line, _) => {
                    let run = Run::of(input);
                    let passes = self.content.pass(run.piece, limits);
                    self.take(run.at, run.behind, input);
                    if passes && !run.piece.is_empty() {
                        return Read::Piece(run.piece);
                    }
                }
            }
        }
    }

    fn take<'a>(&mut self, at: At, behind: &'a [u8], input: &mut &'a [u8]) {
        self.octets = self.octets.saturating_add((input.len() - behind.len()) as u64);
        self.at = at;
        *input = behind;
    }
}

/// The octets up to a dot that is to be removed, or to the end of the input.
struct Run<'a> {
    piece: &'a [u8],
    at: At,
    behind: &'a [u8],
}

impl<'a> Run<'a> {
    /// The input is not empty, and its first octet neither is a dot at the start of a line nor belongs to a CR before it.
    fn of(input: &'a [u8]) -> Run<'a> {
        for candidate in DOT_LINE.find_iter(input) {
            // Only a CRLF starts a line: `LF .` alone is a fault for Content to find.
            if let (piece @ [.., CR, LF], behind) = input.split_at(candidate + 1) {
                return Run { piece, at: At::Dot, behind: behind.strip_prefix(b".").unwrap_or(behind) };
            }
        }
        let (piece, at) = match input {
            [piece @ .., CR] => (piece, At::Cr),
            [.., CR, LF] => (input, At::LineStart),
            _ => (input, At::Line),
        };
        Run { piece, at, behind: &[] }
    }
}

/// Where a line may begin with a dot.
static DOT_LINE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\n."));
