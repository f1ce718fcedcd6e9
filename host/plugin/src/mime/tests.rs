use std::ops::Range;

use mail_parser::{MessageParser, MimeHeaders, PartType};

use super::*;

/// The body of a message held in memory.
fn split(message: &[u8]) -> (&[u8], &[u8]) {
    let end = match message {
        [b'\r', b'\n', ..] => 2,
        _ => memchr::memmem::find(message, b"\r\n\r\n").map_or(message.len(), |at| at + 4),
    };
    message.split_at(end)
}

pub(super) fn reader(body: &[u8]) -> impl FnMut(Range<u64>, &mut Vec<u8>) -> io::Result<()> + '_ {
    |range, out| {
        out.extend_from_slice(&body[range.start as usize..range.end as usize]);
        Ok(())
    }
}

pub(super) fn parts(message: &[u8]) -> Result<Structure, ScanError> {
    let (header, body) = split(message);
    scan(header, body.len() as u64, reader(body))
}

pub(super) fn content(message: &[u8], part: &Part) -> Vec<u8> {
    let mut out = Vec::new();
    part.read(0, usize::MAX, reader(split(message).1), &mut out).unwrap();
    out
}

/// Each part as `parent media-type size: content`.
fn shape(message: &[u8]) -> Vec<String> {
    let structure = parts(message).unwrap();
    let line = |part: &Part| {
        let parent = part.parent.map_or("-".to_owned(), |parent| parent.to_string());
        let content = String::from_utf8_lossy(&content(message, part)).into_owned();
        let content = if part.kind == Kind::Leaf { content } else { String::new() };
        format!("{parent} {} {}: {content}", part.facts.media_type, part.size)
    };
    structure.parts.iter().map(line).collect()
}

fn check(message: &str, expected: &[&str]) {
    assert_eq!(shape(message.as_bytes()), expected, "{message:?}");
}

#[test]
fn a_message_without_mime_is_one_text() {
    check("Subject: x\r\n\r\nbody\r\n", &["- text/plain 6: body\r\n"]);
    check("", &["- text/plain 0: "]);
    check("\r\n", &["- text/plain 0: "]);
    check("Content-Type: text/HTML; charset=UTF-8\r\n\r\n<p>", &["- text/html 3: <p>"]);
    check("Content-Type: nonsense\r\n\r\nx", &["- text/plain 1: x"]);
    check("Content-Transfer-Encoding: base64\r\n\r\nTWFu\r\nTWE=\r\n", &["- text/plain 5: ManMa"]);
}

#[test]
fn a_multipart_has_its_parts() {
    check(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\nContent-Type: text/plain\r\n\r\none\r\n\r\n--b\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\ncaf=C3=A9=\r\n!\r\n--b--\r\nepilogue\r\n--b\r\n\r\nnothing\r\n",
        &["- multipart/mixed 0: ", "0 text/plain 5: one\r\n", "0 text/plain 6: caf\u{e9}!"],
    );
}

#[test]
fn odd_multiparts() {
    let head = "Content-Type: multipart/mixed; boundary=\"a b\"\r\n\r\n";
    for (body, expected) in [
        // No delimiter at all: shown as it stands there.
        ("text\r\n", vec!["- multipart/mixed 6: text\r\n"]),
        // Not closed.
        ("--a b\r\n\r\none\r\n", vec!["- multipart/mixed 0: ", "0 text/plain 5: one\r\n"]),
        // Padding, and nothing within.
        ("--a b \t\r\n--a b--\r\n", vec!["- multipart/mixed 0: ", "0 text/plain 0: "]),
        ("--a b\r\n\r\n--a b--", vec!["- multipart/mixed 0: ", "0 text/plain 0: "]),
        // A header without its empty line.
        ("--a b\r\nContent-Type: image/png\r\n--a b--", vec!["- multipart/mixed 0: ", "0 image/png 0: "]),
        // Lines that end with LF alone.
        (
            "--a b\n\none\n--a b\n\ntwo\n--a b--\n",
            vec!["- multipart/mixed 0: ", "0 text/plain 3: one", "0 text/plain 3: two"],
        ),
        // In the middle of a line it is no delimiter.
        ("--a b\r\n\r\nx --a b\r\n--a b--", vec!["- multipart/mixed 0: ", "0 text/plain 7: x --a b"]),
        // A delimiter with something behind it is one (RFC 2046 section 5.1.1).
        (
            "--a b\r\n\r\none\r\n--a bc\r\n\r\ntwo",
            vec!["- multipart/mixed 0: ", "0 text/plain 3: one", "0 text/plain 3: two"],
        ),
    ] {
        check(&format!("{head}{body}"), &expected);
    }
    check("Content-Type: multipart/mixed\r\n\r\n--\r\n\r\nx", &["- multipart/mixed 7: --\r\n\r\nx"]);
    check("Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n\r\nx", &["- multipart/mixed 7: --\r\n\r\nx"]);
}

#[test]
fn the_longest_boundary_wins() {
    check(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/alternative; boundary=b1\r\n\r\n\
         --b1\r\n\r\ninner\r\n--b1--\r\n--b\r\n\r\nouter\r\n--b--\r\n",
        &["- multipart/mixed 0: ", "0 multipart/alternative 0: ", "1 text/plain 5: inner", "0 text/plain 5: outer"],
    );
}

#[test]
fn an_outer_delimiter_ends_everything_within() {
    let message = "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n\
         --i\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ntext\r\n--o\r\n\r\nlast\r\n--o--\r\n";
    check(
        message,
        &[
            "- multipart/mixed 0: ",
            "0 multipart/mixed 0: ",
            "1 message/rfc822 19: ",
            "2 text/plain 4: text",
            "0 text/plain 4: last",
        ],
    );
    let structure = parts(message.as_bytes()).unwrap();
    assert_eq!(content(message.as_bytes(), &structure.parts[2]), b"Subject: in\r\n\r\ntext");
}

#[test]
fn messages_within() {
    check(
        "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: 1\r\nContent-Type: text/html\r\n\r\none\r\n--b--\r\n",
        &["- multipart/digest 0: ", "0 message/rfc822 42: ", "1 text/html 3: one"],
    );
    // Encoded, which is forbidden: not looked into, and not hidden either.
    check(
        "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nTWFu",
        &["- message/rfc822 3: Man"],
    );
    check("Content-Type: message/rfc822\r\n\r\n", &["- message/rfc822 0: "]);
}

#[test]
fn names_are_decoded() {
    let facts = |header: &str| fields::facts(header.as_bytes(), "text/plain").unwrap();
    for (header, name) in [
        ("Content-Disposition: attachment; filename=\"a.exe\"\r\n", "a.exe"),
        ("Content-Type: application/x; name=a.exe\r\n", "a.exe"),
        ("Content-Disposition: attachment;\r\n filename*0=\"a\";\r\n\tfilename*1=\".exe\"\r\n", "a.exe"),
        ("content-disposition: attachment; filename*=utf-8''caf%C3%A9.exe\r\n", "caf\u{e9}.exe"),
        ("Content-Disposition: attachment; filename=\"=?utf-8?B?Y2Fmw6kuZXhl?=\"\r\n", "caf\u{e9}.exe"),
    ] {
        assert_eq!(facts(header).file_name.as_deref(), Some(name), "{header}");
        assert!(facts(header).attachment, "{header}");
    }
    let shown = facts("Content-Type: image/png; name=a.png\r\nContent-Disposition: inline\r\nContent-ID: <x@y>\r\n");
    assert!(!shown.attachment);
    assert_eq!(shown.content_id.as_deref(), Some("x@y"));
    assert_eq!(facts("Content-Type: text/plain\r\nContent-Type: text/html\r\n").media_type, "text/html");
}

#[test]
fn contents_are_read_from_anywhere() {
    let octets: Vec<u8> = (0..500_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let part = encoded_part(b"", "", "application/octet-stream", &octets);
    let text: String = octets.iter().map(|octet| if octet % 9 == 0 { "\u{e9}\r\n" } else { "long words " }).collect();
    let text_part = encoded_part(b"", "", "text/plain; charset=utf-8", text.as_bytes());
    for (encoded, plain) in [(&part, octets.as_slice()), (&text_part, text.as_bytes())] {
        let message =
            [b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", encoded.as_slice(), b"\r\n--b--\r\n"]
                .concat();
        let structure = parts(&message).unwrap();
        let part = &structure.parts[1];
        assert_eq!(part.size, plain.len() as u64);
        assert!(part.checkpoints.len() > 5);
        for offset in (0..plain.len()).step_by(77_777).chain([0, 1, plain.len() - 1, plain.len(), plain.len() + 9]) {
            for length in [1, 1000, 100_000] {
                let mut out = Vec::new();
                part.read(offset as u64, length, reader(split(&message).1), &mut out).unwrap();
                let end = plain.len().min(offset + length);
                assert!(out == plain[offset.min(end)..end], "{offset} {length}");
            }
        }
    }
}

#[test]
fn charsets() {
    for (octets, charset, expected) in [
        (b"caf\xe9".as_slice(), Some("iso-8859-1"), "caf\u{e9}"),
        (b"caf\xc3\xa9", Some("utf-8"), "caf\u{e9}"),
        (b"caf\xc3\xa9", None, "caf\u{e9}"),
        (b"caf\xe9", Some("utf-8"), "caf\u{fffd}"),
        (b"caf\xe9", Some("no-such-charset"), "caf\u{fffd}"),
        (b"\x82\xa0", Some("shift_jis"), "\u{3042}"),
        (b"x", Some(""), "x"),
    ] {
        assert_eq!(text_of(octets, charset), expected, "{octets:?} {charset:?}");
    }
}

#[test]
fn addresses_and_fields() {
    let found =
        field_addresses(b" =?utf-8?Q?Caf=C3=A9?= <a@b.example>, team: c@d.example,\r\n \"E, F\" <e@f.example>;");
    let expected = [(Some("Caf\u{e9}"), "a@b.example"), (None, "c@d.example"), (Some("E, F"), "e@f.example")];
    let found: Vec<_> = found.iter().map(|(name, address)| (name.as_deref(), address.as_str())).collect();
    assert_eq!(found, expected);
    assert_eq!(decoded_field(b" =?utf-8?B?Y2Fmw6k=?=\r\n =?utf-8?Q?_x?= y"), "caf\u{e9} x y");
    assert_eq!(decoded_field(b""), "");
    assert!(field_addresses(b"").is_empty());
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.throw(of.len())]
    }
}

/// A message as programs write them: nested, encoded, closed properly.
fn grown(dice: &mut Dice, depth: usize) -> String {
    if depth > 0 && dice.throw(3) > 0 {
        let boundary = format!("b{depth}{}", dice.throw(1000));
        let kind = dice.one(&["mixed", "alternative", "related"]);
        let parts: String =
            (0..=dice.throw(3)).map(|_| format!("--{boundary}\r\n{}\r\n", grown(dice, depth - 1))).collect();
        return format!("Content-Type: multipart/{kind}; boundary=\"{boundary}\"\r\n\r\n{parts}--{boundary}--\r\n");
    }
    let text = dice.one(&["plain", "caf=C3=A9 =\r\nmore\r\n", "", "TWFu", "--x\r\n--\r\n- -\r\n", "a\r\n\r\n\r\n"]);
    let (encoding, text) = match dice.one(&["7bit", "quoted-printable", "8BIT", "base64"]) {
        "base64" => ("base64", dice.one(&["TWFu\r\nTWE=\r\n", "", "TWFu", "TWFuTQ=="])),
        encoding => (encoding, text),
    };
    let kind = dice.one(&["text/plain; charset=utf-8", "image/png", "application/pdf; name=\"x.pdf\"", "text/html"]);
    format!("Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{text}")
}

/// The leaves of a message as another parser sees them.
fn leaves_of_parser(message: &mail_parser::Message<'_>, out: &mut Vec<(String, Vec<u8>)>) {
    for part in &message.parts {
        match &part.body {
            PartType::Multipart(_) => {}
            PartType::Message(within) => leaves_of_parser(within, out),
            PartType::Text(_) | PartType::Html(_) | PartType::Binary(_) | PartType::InlineBinary(_) => {
                let media_type = part.content_type().map_or("text/plain".to_owned(), |content_type| {
                    format!("{}/{}", content_type.ctype(), content_type.subtype().unwrap_or_default())
                });
                out.push((media_type, part.contents().to_vec()));
            }
        }
    }
}

#[test]
fn another_parser_sees_the_same() {
    let mut dice = Dice(7);
    for _ in 0..2000 {
        let message = format!("Subject: x\r\n{}", grown(&mut dice, 4));
        let parsed = MessageParser::default().parse(&message).unwrap();
        let mut expected = Vec::new();
        leaves_of_parser(&parsed, &mut expected);
        let structure = parts(message.as_bytes()).unwrap();
        let leaves = structure.parts.iter().filter(|part| part.kind == Kind::Leaf);
        let found: Vec<_> =
            leaves.map(|part| (part.facts.media_type.clone(), content(message.as_bytes(), part))).collect();
        assert_eq!(found, expected, "{message}");
    }
}

/// What is cut, doubled and overwritten anywhere breaks no invariant: ranges nest, sizes are what is read, and nothing panics.
#[test]
fn mutilated_messages() {
    let mut dice = Dice(11);
    for _ in 0..3000 {
        let mut octets = format!("Subject: x\r\n{}", grown(&mut dice, 4)).into_bytes();
        for _ in 0..=dice.throw(6) {
            let at = dice.throw(octets.len());
            let to = octets.len().min(at + dice.throw(60));
            match dice.throw(5) {
                0 => drop(octets.drain(at..to)),
                1 => octets[at] = dice.throw(256) as u8,
                2 => octets.extend_from_within(at..to),
                3 => drop(octets.splice(at..at, *b"\n--b")),
                _ => drop(octets.splice(at..at, *b"=?utf-8?B?\"(;*0*=")),
            }
            octets.push(b'\n');
        }
        let Ok(structure) = parts(&octets) else { continue };
        let body = split(&octets).1.len() as u64;
        for (number, part) in structure.parts.iter().enumerate() {
            assert!(part.header.start <= part.header.end && part.header.end <= part.content.start);
            assert!(part.content.start <= part.content.end && part.content.end <= body);
            assert!(part.parent.is_none_or(|parent| (parent as usize) < number));
            if let Some(whole) = &part.whole {
                assert!(
                    whole.start <= part.header.start && part.content.end <= whole.end && whole.end <= body,
                    "{part:?}"
                );
            }
            let read = content(&octets, part).len() as u64;
            assert_eq!(read, if part.kind == Kind::Multipart { 0 } else { part.size });
        }
        let header = split(&octets).0;
        for (_, value) in fields::fields(header) {
            decoded_field(value);
            field_addresses(value);
        }
    }
}

/// Fields as long as a header section may be are decoded in a time that a session can wait.
#[test]
fn long_fields() {
    let started = std::time::Instant::now();
    for piece in ["a,", "(", "<", "=?utf-8?Q?x?= ", "\"", "a:b;", "\\", ",<a@b>", "=?utf-7?Q?+?="] {
        let value = piece.repeat((256 << 10) / piece.len());
        decoded_field(value.as_bytes());
        field_addresses(value.as_bytes());
    }
    assert!(started.elapsed() < std::time::Duration::from_secs(10), "{:?}", started.elapsed());
}
