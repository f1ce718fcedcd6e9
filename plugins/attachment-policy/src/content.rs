//! What the first octets of a content say that it is, whatever its name and media type.

/// What a content begins like, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// A program: for Windows, Linux, macOS, Java, or a script with an interpreter.
    Program,
    Archive,
    /// A ZIP archive whose first entry is encrypted.
    EncryptedArchive,
    Other,
}

impl Content {
    pub(crate) fn of(first: &[u8]) -> Self {
        let begins = |magic: &&[u8]| first.starts_with(magic);
        if PROGRAMS.iter().any(begins) && !is_text(first) {
            return Self::Program;
        }
        if first.starts_with(b"#!") {
            return Self::Program;
        }
        if first.starts_with(b"PK\x03\x04") {
            let is_encrypted = first.get(6).is_some_and(|flags| flags & 1 == 1);
            return if is_encrypted { Self::EncryptedArchive } else { Self::Archive };
        }
        if ARCHIVES.iter().any(begins) { Self::Archive } else { Self::Other }
    }
}

/// `MZ` may begin a sentence.
fn is_text(first: &[u8]) -> bool {
    first.iter().all(|octet| *octet >= b' ' || matches!(octet, b'\t' | b'\r' | b'\n'))
}

const PROGRAMS: [&[u8]; 7] = [
    b"MZ",
    b"\x7fELF",
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
];

const ARCHIVES: [&[u8]; 5] = [b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b", b"MSCF", b"\xfd7zXZ\0"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings() {
        for (first, expected) in [
            (b"MZ\x90\0\x03".as_slice(), Content::Program),
            (b"MZ is how this text begins", Content::Other),
            (b"\x7fELF\x02", Content::Program),
            (b"#!/bin/sh\n", Content::Program),
            (b"PK\x03\x04\x14\0\0\0", Content::Archive),
            (b"PK\x03\x04\x14\0\x09\0", Content::EncryptedArchive),
            (b"Rar!\x1a\x07\x01", Content::Archive),
            (b"%PDF-1.7", Content::Other),
            (b"", Content::Other),
        ] {
            assert_eq!(Content::of(first), expected, "{first:?}");
        }
    }
}
