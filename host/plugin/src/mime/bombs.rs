//! Messages made to cost much. Each is refused with a typed error, or has a bounded number of parts; what is held is bounded, no octet
//! is read twice, and the work grows with the octets, not with their square.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::fields::{decoded_field, field_addresses};
use super::tests::{content, parts, reader};
use super::*;

const HEAD: &str = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";

fn is_complex(message: impl AsRef<[u8]>) -> bool {
    matches!(parts(message.as_ref()), Err(ScanError::TooComplex))
}

/// The work is done long before this, also on a slow machine without optimisation; work that grows with the square is not.
#[track_caller]
fn soon<T>(work: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let done = work();
    let took = begin.elapsed();
    assert!(took < PATIENCE, "{took:?}");
    done
}

/// A body of so many octets that is nowhere: `unit` again and again.
fn endless(header: &str, unit: &[u8], octets: u64) -> (Result<Structure, ScanError>, u64) {
    let read = Cell::new(0);
    let fill = |range: Range<u64>, out: &mut Vec<u8>| {
        read.set(read.get() + (range.end - range.start));
        out.extend((range.start..range.end).map(|at| unit[(at % unit.len() as u64) as usize]));
        Ok(())
    };
    let structure = soon(|| scan(header.as_bytes(), octets, fill));
    if let Ok(structure) = &structure {
        assert!(structure.memory_bytes() < MEMORY_BYTES, "{}", structure.memory_bytes());
    }
    (structure, read.get())
}

#[test]
fn nesting() {
    let nest = |depth: usize| {
        let level = |n: usize| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n");
        (0..depth).map(level).collect::<String>()
    };
    assert!(!is_complex(nest(MAX_DEPTH)));
    for depth in [MAX_DEPTH + 1, 10_000, 100_000] {
        assert!(is_complex(nest(depth)), "{depth}");
    }
    assert!(is_complex("Content-Type: message/rfc822\r\n\r\n".repeat(10_000)));
    // All with the boundary of their parents: the innermost has the delimiter.
    assert!(is_complex("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n".repeat(10_000)));
    // Closed as often as opened.
    let closed =
        format!("{}{}", nest(MAX_DEPTH), (0..MAX_DEPTH).rev().map(|n| format!("--b{n}--\r\n")).collect::<String>());
    assert_eq!(parts(closed.as_bytes()).unwrap().parts.len(), MAX_DEPTH + 1);
}

#[test]
fn many_parts() {
    let many = |parts: usize| format!("{HEAD}{}", "--b\r\n\r\n\r\n".repeat(parts));
    assert_eq!(parts(many(MAX_PARTS - 1).as_bytes()).unwrap().parts.len(), MAX_PARTS);
    assert!(is_complex(many(MAX_PARTS)));
    // A million empty ones: it is given up where the bound is, and the rest is not even read.
    let unit = b"--b\r\n\r\n";
    let (structure, read) = endless(HEAD, unit, unit.len() as u64 * 1_000_000);
    assert!(matches!(structure, Err(ScanError::TooComplex)));
    assert!(read <= 2 * WINDOW_BYTES, "{read}");
    assert!(matches!(scan(b"", MAX_MESSAGE_BYTES + 1, |_, _| Ok(())), Err(ScanError::TooLarge)));
}

#[test]
fn large_headers() {
    assert!(is_complex(format!("{HEAD}--b\r\n{}", "A: b\r\n".repeat(100_000))));
    assert!(is_complex(format!("{HEAD}--b\r\nA: {}", "x".repeat(MAX_PART_HEADER_BYTES))));
    assert!(is_complex(format!("{HEAD}{}", format!("--b\r\n{}\r\n", "A: b\r\n".repeat(40_000)).repeat(20))));
    assert!(is_complex(format!("Content-Type: text/plain; {}\r\n\r\n", "name*1=x; ".repeat(10_000))));
    assert!(is_complex(format!("Content-Type: multipart/mixed; boundary={}\r\n\r\n", "b".repeat(1001))));
    // One of 10 MB, in one line and in many.
    for unit in [b"x".as_slice(), b" x\r\n", b"X: y\r\n"] {
        let (structure, read) = endless("Content-Type: message/rfc822\r\n\r\n", unit, 10_000_000);
        assert!(matches!(structure, Err(ScanError::TooComplex)), "{unit:?}");
        assert!(read <= MAX_PART_HEADER_BYTES as u64 + 2 * WINDOW_BYTES, "{read}");
    }
    // Headers just within all bounds, made of what is most work to take apart.
    for value in [
        "text/plain; name*1=x",
        "text/plain; a=\"=?utf-8?Q?x\"",
        "text/plain; name*0*=utf-8''%41",
        "((((((((((((((",
        "text/plain; name=\"=?utf-8?B?AAAA",
        "\\\"\\\"\\\"",
    ] {
        let field = format!("Content-Type: {}\r\n", [value, ";"].concat().repeat(16_000 / (value.len() + 1)));
        let part = format!("--b\r\n{}\r\n", field.repeat(15));
        let message = format!("{HEAD}{}", part.repeat(16));
        let found = soon(|| parts(message.as_bytes()));
        assert!(matches!(found, Ok(_) | Err(ScanError::TooComplex)));
    }
}

#[test]
fn delimiters_that_never_come() {
    // Lines of any length.
    let dashes = format!("{HEAD}--b\r\n\r\n{}\r\n--b--", "-".repeat(300_000));
    assert_eq!(parts(dashes.as_bytes()).unwrap().parts[1].size, 300_000);
    // A delimiter with an endless rest of its line is one.
    let long = format!("{HEAD}--b{}\r\nContent-Type: image/png\r\n\r\nx\r\n--b--", "y".repeat(300_000));
    let structure = parts(long.as_bytes()).unwrap();
    assert_eq!(structure.parts[1].facts.media_type, "image/png");
    assert_eq!(content(long.as_bytes(), &structure.parts[1]), b"x");
    // A multipart that is never closed, and lines that begin as its delimiter does.
    let open: String = (0..MAX_DEPTH)
        .map(|n| {
            let boundary = format!("{}{n:02}", "b".repeat(900));
            format!("Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n--{boundary}\r\n")
        })
        .collect();
    let (header, begin) = open.split_once("\r\n\r\n").unwrap();
    let almost = format!("{begin}\r\n{}", format!("--{}\r\n", "b".repeat(901)).repeat(3000));
    let found =
        soon(|| scan(format!("{header}\r\n\r\n").as_bytes(), almost.len() as u64, reader(almost.as_bytes()))).unwrap();
    assert_eq!(found.parts.len(), MAX_DEPTH + 1);
    for unit in [b"--\r\n".as_slice(), b"\n", b"\r", b"-", b"--c\n"] {
        let (structure, read) = endless(HEAD, unit, 4_000_000);
        assert_eq!((structure.unwrap().parts.len(), read), (1, 4_000_000), "{unit:?}");
    }
}

/// The one who was first to open it does not get an inner delimiter, and is there again when the inner one is closed.
#[test]
fn boundaries_of_parents() {
    let message = format!(
        "{HEAD}--b\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\ninner\r\n--b--\r\n--b\r\n\r\nouter\r\n--b--\r\n"
    );
    let structure = parts(message.as_bytes()).unwrap();
    let found: Vec<_> = structure.parts.iter().map(|part| (part.parent, content(message.as_bytes(), part))).collect();
    let expected = [(None, ""), (Some(0), ""), (Some(1), "inner"), (Some(0), "outer")];
    let expected: Vec<_> = expected.iter().map(|(parent, text)| (*parent, text.as_bytes().to_vec())).collect();
    assert_eq!(found, expected);
}

#[test]
fn contents_that_are_no_encoding() {
    let head = |encoding: &str| format!("Content-Transfer-Encoding: {encoding}\r\n\r\n");
    for (encoding, unit, decoded) in [
        // Nothing of it is base64, or every other octet is.
        ("base64", b"\0\xff!?.\r\n".as_slice(), 0),
        ("base64", b"T!W!F!u!", 1_500_000),
        ("base64", b"====", 0),
        ("base64", b"A", 3_000_000),
        ("quoted-printable", b"=", 3_999_999),
        ("quoted-printable", b"=\r\n", 0),
        ("quoted-printable", b"= ", 0),
    ] {
        let (structure, read) = endless(&head(encoding), unit, 4_000_000);
        let structure = structure.unwrap();
        assert_eq!(read, 4_000_000);
        let size = structure.parts[0].size;
        assert!(size.abs_diff(decoded) <= 2, "{encoding} {unit:?}: {size}");
    }
}

/// Encoded words without an end, in the fields that a guest may have decoded.
#[test]
fn words_without_end() {
    for unit in [
        "=?utf-8?B?AAAA",
        "=?utf-8?B?",
        "=?utf-8?Q?x",
        "=?utf-8?Q?=41",
        "=?utf-8?Q?_",
        "=?utf-8",
        "=?",
        "=?utf-8*",
        "=?utf-8?Q?x?= ",
        "=?utf-8?Q?x?=\r\n ",
        "=?utf-8?Q?x\r\n ",
        "=?utf-8?B?AAAA\r\n ",
        "a=?iso-2022-jp?B?GyRC?=",
        "<",
        ">",
        "(",
        ")",
        "\"",
        "\\",
        ",",
        ";",
        ":",
        "@",
        "a:",
        "<a",
        "\"a\" <",
        "a@b, ",
        "(a",
        "a;",
        "=?utf-8?Q?x?= <a@b>,",
    ] {
        let value = unit.repeat(MAX_PART_HEADER_BYTES / unit.len());
        let text = soon(|| decoded_field(value.as_bytes()));
        assert!(text.len() <= 4 * MAX_PART_HEADER_BYTES, "{unit:?}: {}", text.len());
        let addresses = soon(|| field_addresses(value.as_bytes()));
        let octets: usize = addresses.iter().map(|(name, it)| name.as_ref().map_or(0, String::len) + it.len()).sum();
        assert!(octets <= 4 * MAX_PART_HEADER_BYTES, "{unit:?}: {octets}");
    }
}

const PATIENCE: Duration = Duration::from_secs(10);
/// What is held of a message within all bounds of headers and parts.
const MEMORY_BYTES: usize = 1 << 20;
