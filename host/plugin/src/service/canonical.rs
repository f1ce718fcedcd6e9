//! The canonical forms of DKIM (RFC 6376 section 3.4), which ARC shares: of a body that streams through, and of header fields.

use std::io;

use mail_auth::dkim::Canonicalization;
use sha2::{Digest, Sha256};

/// The hash of a body in canonical form; octets are written into it as they come.
pub(crate) struct BodyHash {
    form: Canonicalization,
    digest: Sha256,
    out: Vec<u8>,
    /// Line ends that count only if something comes behind them.
    line_ends: u64,
    /// White space that counts only if something comes behind it in its line (relaxed).
    space: bool,
    /// A CR that may begin a line end.
    carriage_return: bool,
    is_empty: bool,
}

impl BodyHash {
    /// Nothing written yet.
    pub(crate) fn new(form: Canonicalization) -> Self {
        Self {
            form,
            digest: Sha256::new(),
            out: Vec::with_capacity(OUT_BYTES + 8),
            line_ends: 0,
            space: false,
            carriage_return: false,
            is_empty: true,
        }
    }

    fn take(&mut self, octet: u8) {
        if std::mem::take(&mut self.carriage_return) {
            if octet == b'\n' {
                // White space at the end of a line is nothing in the relaxed form.
                self.space = false;
                self.line_ends += 1;
                return;
            }
            self.put(b'\r');
        }
        match octet {
            b'\r' => self.carriage_return = true,
            b' ' | b'\t' if self.form == Canonicalization::Relaxed => self.space = true,
            octet => self.put(octet),
        }
    }

    /// An octet that stays, behind what it makes count.
    fn put(&mut self, octet: u8) {
        while self.line_ends > 0 {
            self.emit(b'\r');
            self.emit(b'\n');
            self.line_ends -= 1;
        }
        if std::mem::take(&mut self.space) {
            self.emit(b' ');
        }
        self.emit(octet);
    }

    fn emit(&mut self, octet: u8) {
        self.is_empty = false;
        self.out.push(octet);
        if self.out.len() >= OUT_BYTES {
            self.digest.update(&self.out);
            self.out.clear();
        }
    }

    /// The hash; the body is complete.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        if self.carriage_return {
            self.put(b'\r');
        }
        // All line ends at the end are one; a body that is empty without them is a line end in the simple form, nothing in the relaxed one.
        if !self.is_empty || self.form == Canonicalization::Simple {
            self.out.extend_from_slice(b"\r\n");
        }
        self.digest.update(&self.out);
        self.digest.finalize().to_vec()
    }
}

impl io::Write for BodyHash {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        for octet in octets {
            self.take(*octet);
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Several hashes of one body.
pub(crate) struct BodyHashes(pub(crate) Vec<BodyHash>);

impl io::Write for BodyHashes {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        for hash in &mut self.0 {
            hash.write_all(octets)?;
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Puts a field in relaxed form behind `out`, without a line end.
pub(crate) fn relax_field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend(name.trim_ascii_end().to_ascii_lowercase());
    out.push(b':');
    let words = value.split(|octet| matches!(octet, b' ' | b'\t' | b'\r' | b'\n')).filter(|word| !word.is_empty());
    for (n, word) in words.enumerate() {
        if n > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}

const OUT_BYTES: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn bodies() {
        let check = |body: &[u8], form: Canonicalization, canonical: &[u8]| {
            for size in [1, 2, 7, 4096] {
                let mut hash = BodyHash::new(form);
                for piece in body.chunks(size) {
                    hash.write_all(piece).unwrap();
                }
                assert_eq!(hash.finish(), Sha256::digest(canonical).to_vec(), "{body:?} {form:?} by {size}");
            }
        };
        use Canonicalization::{Relaxed, Simple};
        // RFC 6376 section 3.4.5.
        check(b" C \r\nD \t E\r\n\r\n\r\n", Relaxed, b" C\r\nD E\r\n");
        check(b" C \r\nD \t E\r\n\r\n\r\n", Simple, b" C \r\nD \t E\r\n");
        check(b"", Relaxed, b"");
        check(b"", Simple, b"\r\n");
        check(b"\r\n\r\n", Relaxed, b"");
        check(b" \r\n\t\r\n", Relaxed, b"");
        check(b"\r\n\r\n", Simple, b"\r\n");
        check(b"no line end", Relaxed, b"no line end\r\n");
        check(b"no line end", Simple, b"no line end\r\n");
        check(b"a\r\n\r\n \r\nb\r\n", Relaxed, b"a\r\n\r\n\r\nb\r\n");
        check(b"a\rb\r", Simple, b"a\rb\r\r\n");
        let long = b"word  word\r\n".repeat(5000);
        check(&long, Relaxed, &b"word word\r\n".repeat(5000));
    }

    #[test]
    fn fields() {
        let check = |name: &str, value: &str, expected: &str| {
            let mut out = Vec::new();
            relax_field(name.as_bytes(), value.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        check("A", " X", "a:X");
        check("B ", " Y\t\r\n\tZ  ", "b:Y Z");
        check("Subject", "", "subject:");
    }
}
