//! Content-Transfer-Encoding (RFC 2045 section 6) undone piece by piece: a decoder is a few octets of state that can be copied, kept, and
//! gone on from later.
//!
//! As lenient as the mail programs that will show the content: what is no base64 is skipped, and what follows a padding is decoded
//! too; a `=` that begins nothing is itself.

use super::Encoding;

/// Where a decoder was at some place of a part's content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checkpoint {
    /// Offset in the body.
    pub(crate) encoded: u64,
    /// Octets of the content before it.
    pub(crate) decoded: u64,
    pub(crate) decoder: Decoder,
}

impl Checkpoint {
    /// The beginning of a content.
    pub(crate) fn begin(encoding: Encoding, encoded: u64) -> Self {
        Self { encoded, decoded: 0, decoder: Decoder::of(encoding) }
    }
}

/// A decoder between two octets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Decoder {
    Identity,
    /// The bits of so many characters of a group of four.
    Base64 {
        bits: u32,
        characters: u8,
    },
    QuotedPrintable(Escape),
}

/// What has come since a `=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escape {
    None,
    Equals,
    Digit(u8),
    /// White space, which a soft line break may have.
    Space,
    Cr,
}

impl Decoder {
    pub(crate) fn of(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Identity => Self::Identity,
            Encoding::Base64 => Self::Base64 { bits: 0, characters: 0 },
            Encoding::QuotedPrintable => Self::QuotedPrintable(Escape::None),
        }
    }

    /// Decodes the next octets.
    pub(crate) fn feed(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Identity => out.extend_from_slice(octets),
            Self::Base64 { bits, characters } => base64(octets, bits, characters, out),
            Self::QuotedPrintable(escape) => quoted_printable(octets, escape, out),
        }
    }

    /// There are no more octets.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Identity => {}
            Self::Base64 { bits, characters } => flush(bits, characters, out),
            Self::QuotedPrintable(escape) => match *escape {
                Escape::None | Escape::Space | Escape::Cr | Escape::Equals => {}
                Escape::Digit(digit) => out.extend([b'=', digit]),
            },
        }
    }
}

fn base64(octets: &[u8], bits: &mut u32, characters: &mut u8, out: &mut Vec<u8>) {
    for octet in octets {
        let value = VALUES[usize::from(*octet)];
        if value < 64 {
            *bits = *bits << 6 | u32::from(value);
            *characters += 1;
            if *characters == 4 {
                let [_, first, second, third] = bits.to_be_bytes();
                out.extend([first, second, third]);
                (*bits, *characters) = (0, 0);
            }
        } else if *octet == b'=' {
            flush(bits, characters, out);
        }
    }
}

/// The octets of a group that is not whole.
fn flush(bits: &mut u32, characters: &mut u8, out: &mut Vec<u8>) {
    match *characters {
        2 => out.push((*bits >> 4) as u8),
        3 => out.extend([(*bits >> 10) as u8, (*bits >> 2) as u8]),
        _ => {}
    }
    (*bits, *characters) = (0, 0);
}

fn quoted_printable(octets: &[u8], escape: &mut Escape, out: &mut Vec<u8>) {
    for octet in octets.iter().copied() {
        *escape = match (*escape, octet) {
            (Escape::None, b'=') => Escape::Equals,
            (Escape::None, _) => {
                out.push(octet);
                Escape::None
            }
            (Escape::Equals, b'\n') | (Escape::Space, b'\n') | (Escape::Cr, b'\n') => Escape::None,
            (Escape::Equals, b'\r') | (Escape::Space, b'\r') => Escape::Cr,
            (Escape::Equals, b' ' | b'\t') | (Escape::Space, b' ' | b'\t') => Escape::Space,
            (Escape::Equals, _) if octet.is_ascii_hexdigit() => Escape::Digit(octet),
            (Escape::Digit(first), _) if octet.is_ascii_hexdigit() => {
                out.push(digit(first) << 4 | digit(octet));
                Escape::None
            }
            (unfinished, b'=') => {
                give_up(unfinished, out);
                Escape::Equals
            }
            (unfinished, _) => {
                give_up(unfinished, out);
                out.push(octet);
                Escape::None
            }
        }
    }
}

/// What began like an escape was none.
fn give_up(escape: Escape, out: &mut Vec<u8>) {
    match escape {
        Escape::None | Escape::Space | Escape::Cr => {}
        Escape::Equals => out.push(b'='),
        Escape::Digit(digit) => out.extend([b'=', digit]),
    }
}

fn digit(octet: u8) -> u8 {
    match octet {
        b'0'..=b'9' => octet - b'0',
        b'a'..=b'f' => octet - b'a' + 10,
        _ => octet.wrapping_sub(b'A').wrapping_add(10),
    }
}

/// The value of each character of base64; 255 for the others.
const VALUES: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut values = [255; 256];
    let mut at = 0;
    while at < alphabet.len() {
        values[alphabet[at] as usize] = at as u8;
        at += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Decoded whole, and cut at every octet.
    fn check(encoding: Encoding, input: &[u8], expected: &[u8]) {
        for cut in 0..=input.len() {
            let mut decoder = Decoder::of(encoding);
            let mut out = Vec::new();
            decoder.feed(&input[..cut], &mut out);
            decoder.feed(&input[cut..], &mut out);
            decoder.finish(&mut out);
            assert_eq!(out, expected, "{:?} cut at {cut}", String::from_utf8_lossy(input));
        }
    }

    #[test]
    fn base64() {
        for (input, expected) in [
            ("", ""),
            ("TWFu", "Man"),
            ("TW\r\nFu", "Man"),
            ("TWE=", "Ma"),
            ("TQ==", "M"),
            ("TQ", "M"),
            ("T", ""),
            ("TQ==TWFu", "MMan"),
            ("T!W@F#u\0", "Man"),
            ("====", ""),
        ] {
            check(Encoding::Base64, input.as_bytes(), expected.as_bytes());
        }
    }

    #[test]
    fn quoted_printable() {
        for (input, expected) in [
            ("plain\r\n", b"plain\r\n".as_slice()),
            ("=C3=a9", "\u{e9}".as_bytes()),
            ("soft=\r\nbreak", b"softbreak"),
            ("soft=\nbreak", b"softbreak"),
            ("soft= \t\r\nbreak", b"softbreak"),
            ("a=b", b"a=b"),
            ("a=bZ", b"a=bZ"),
            ("a==41", b"a=A"),
            ("1+1=2!", b"1+1=2!"),
            ("end=", b"end"),
        ] {
            check(Encoding::QuotedPrintable, input.as_bytes(), expected);
        }
    }
}
