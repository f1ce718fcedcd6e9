//! Mail data as it goes out: dots doubled (RFC 5321 section 4.5.2) or in chunks (RFC 3030), and never a bare CR, a bare LF or a NUL outside of BINARYMIME.
//!
//! It is looked at while it is sent. Where something is wrong the connection is cut before the end of the mail data, so that the server drops what it has.

use memchr::memmem;

use crate::content::{CR, Content, Fault};
use crate::limits::Limits;
use crate::replies;
use crate::reply::Reply;

/// How mail data goes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// DATA.
    Lines,
    /// DATA, to a server without 8BITMIME.
    SevenBitLines,
    /// BDAT.
    Chunks,
}

/// The account of what has been written.
#[derive(Debug)]
pub(super) struct Writer {
    form: Form,
    content: Content,
    limits: Limits,
    /// A CR that came last: what it is depends on the next octet.
    held_cr: bool,
    at_line_start: bool,
}

impl Writer {
    pub(super) fn new(form: Form) -> Writer {
        // What is too long is for the server to say: every bound of ours was kept when the message came in.
        let limits = Limits { text_line_octets: usize::MAX, message_octets: u64::MAX, ..Limits::default() };
        Writer { form, content: Content::default(), limits, held_cr: false, at_line_start: true }
    }

    /// Appends the next octets of the message; the reply for its recipients where it can't be sent.
    pub(super) fn write(&mut self, octets: &[u8], output: &mut Vec<u8>) -> Result<(), &'static Reply> {
        if octets.is_empty() {
            return Ok(());
        }
        if self.form == Form::Chunks {
            write_chunk(octets, "", output);
            return Ok(());
        }
        if self.form == Form::SevenBitLines && !octets.is_ascii() {
            return Err(&replies::NEXT_HOP_CONVERSION);
        }
        let joined;
        let mut piece = octets;
        if std::mem::take(&mut self.held_cr) {
            joined = [&[CR], octets].concat();
            piece = &joined;
        }
        if let Some(before) = piece.strip_suffix(&[CR]) {
            self.held_cr = true;
            piece = before;
        }
        if !self.content.pass(piece, &self.limits) {
            return Err(self.content.fault().unwrap_or(Fault::BareCr).reply());
        }
        self.write_lines(piece, output);
        Ok(())
    }

    fn write_lines(&mut self, piece: &[u8], output: &mut Vec<u8>) {
        if piece.is_empty() {
            return;
        }
        output.reserve(piece.len() + 16);
        if self.at_line_start && piece.first() == Some(&b'.') {
            output.push(b'.');
        }
        let mut rest = piece;
        while let Some((line, behind)) = memmem::find(rest, b"\r\n.").and_then(|at| rest.split_at_checked(at + 3)) {
            output.extend_from_slice(line);
            output.push(b'.');
            rest = behind;
        }
        output.extend_from_slice(rest);
        self.at_line_start = piece.ends_with(b"\r\n");
    }

    /// Appends the last octets, and what ends the mail data.
    pub(super) fn last(&mut self, octets: &[u8], output: &mut Vec<u8>) -> Result<(), &'static Reply> {
        if self.form == Form::Chunks {
            write_chunk(octets, " LAST", output);
            return Ok(());
        }
        self.write(octets, output)?;
        self.end(output)
    }

    /// Whether chunks are written, and not lines.
    pub(super) fn is_chunked(&self) -> bool {
        self.form == Form::Chunks
    }

    /// Appends what ends the mail data.
    pub(super) fn end(&mut self, output: &mut Vec<u8>) -> Result<(), &'static Reply> {
        if self.held_cr {
            return Err(&replies::BARE_CR);
        }
        match self.form {
            Form::Chunks => write_chunk(&[], " LAST", output),
            Form::Lines | Form::SevenBitLines if self.at_line_start => output.extend_from_slice(b".\r\n"),
            Form::Lines | Form::SevenBitLines => output.extend_from_slice(b"\r\n.\r\n"),
        }
        Ok(())
    }
}

/// RFC 3030 section 2.
fn write_chunk(octets: &[u8], last: &str, output: &mut Vec<u8>) {
    output.extend_from_slice(format!("BDAT {}{last}\r\n", octets.len()).as_bytes());
    output.extend_from_slice(octets);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(octets: &[u8], pieces: usize, form: Form) -> Result<String, u16> {
        let (mut writer, mut output) = (Writer::new(form), Vec::new());
        for piece in octets.chunks(pieces.max(1)) {
            writer.write(piece, &mut output).map_err(Reply::code)?;
        }
        writer.end(&mut output).map_err(Reply::code)?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    #[test]
    fn dots_and_ends() {
        let check = |octets: &str, expected: Result<&str, u16>| {
            for pieces in 1..=octets.len().max(1) {
                let found = written(octets.as_bytes(), pieces, Form::Lines);
                assert_eq!(found.as_deref(), expected.as_ref().copied(), "{octets:?} by {pieces}");
            }
        };
        check("", Ok(".\r\n"));
        check("a\r\n", Ok("a\r\n.\r\n"));
        check("a", Ok("a\r\n.\r\n"));
        check(".\r\n", Ok("..\r\n.\r\n"));
        check("a\r\n.\r\n..b\r\n.", Ok("a\r\n..\r\n...b\r\n..\r\n.\r\n"));
        check("a\r\n\r\n.x.\r\n", Ok("a\r\n\r\n..x.\r\n.\r\n"));
        check("\u{fc}\r\n", Ok("\u{fc}\r\n.\r\n"));
        for bare in ["a\n", "\n.\r\n", "a\r\n.\n", "a\rb", "a\r", "\r\r\n", "a\0\r\n", "a\n.\n", "a\r.\r"] {
            check(bare, Err(550));
        }
        let long = format!("{}\r\n", "x".repeat(5000));
        assert_eq!(written(long.as_bytes(), 700, Form::Lines), Ok(format!("{long}.\r\n")));
    }

    #[test]
    fn other_forms() {
        assert_eq!(written("a\u{fc}\r\n".as_bytes(), 9, Form::SevenBitLines), Err(554));
        assert_eq!(written(b"a\r\n", 9, Form::SevenBitLines), Ok("a\r\n.\r\n".into()));
        assert_eq!(written(b"a\n\0\r.", 3, Form::Chunks), Ok("BDAT 3\r\na\n\0BDAT 2\r\n\r.BDAT 0 LAST\r\n".into()));
    }
}
