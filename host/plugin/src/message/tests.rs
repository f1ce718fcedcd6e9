//! Tests of messages: what was received, edits, what is written out.

use super::*;

fn message(octets: &[u8]) -> Message {
    let mut writer = MessageWriter::default();
    for piece in octets.chunks(7000) {
        writer.push(piece);
        if writer.wants_flush() {
            writer.flush(&std::env::temp_dir()).unwrap();
        }
    }
    assert_eq!(writer.size(), octets.len() as u64);
    writer.finish(&std::env::temp_dir()).unwrap()
}

fn all(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    message.write_to(&mut out).unwrap();
    out
}

#[test]
fn a_large_message_lives_in_a_file_and_reads_the_same() {
    let mut octets = b"Subject: x\r\n\r\n".to_vec();
    octets.extend((0..HEAD_BYTES + 2 * PENDING_BYTES).map(|i| b'a' + (i % 23) as u8));
    let message = message(&octets);
    assert!(!message.is_in_memory());
    assert_eq!(all(&message), octets);
    for (offset, length) in [(0, 5), (10, 100), (HEAD_BYTES - 3, 6), (HEAD_BYTES, 9), (2 * HEAD_BYTES, 1 << 20)] {
        let mut out = Vec::new();
        message.read(offset as u64, length, &mut out).unwrap();
        assert_eq!(out, octets[offset..octets.len().min(offset + length)]);
    }
    let mut out = Vec::new();
    message.read(octets.len() as u64 + 1, 10, &mut out).unwrap();
    assert!(out.is_empty());
}

#[test]
fn what_is_at_hand_is_read_at_once_or_not_at_all() {
    let mut octets = b"Subject: x\r\n\r\n".to_vec();
    octets.extend((0..HEAD_BYTES + 2 * PENDING_BYTES).map(|i| b'a' + (i % 23) as u8));
    let large = message(&octets);
    for offset in [0, HEAD_BYTES - 1000, HEAD_BYTES, octets.len() - 1000, octets.len(), octets.len() + 1] {
        let mut out = b"before".to_vec();
        // Whether it is in the system's cache is the system's affair.
        let expected = match large.read_at_once(offset as u64, 64 << 10, &mut out).unwrap() {
            true => octets.get(offset..octets.len().min(offset + (64 << 10))).unwrap_or_default(),
            false => b"",
        };
        assert_eq!(out.strip_prefix(b"before"), Some(expected));
    }
    // What is in our memory always is.
    let small = message(b"Subject: x\r\n\r\nbody");
    let mut out = Vec::new();
    assert!(small.read_at_once(14, 100, &mut out).unwrap());
    assert_eq!(out, b"body");
    // A file that can't tell: nothing is read of a directory.
    let mut none = [0; 10];
    let error = read_at_once(&File::open("/").unwrap(), &mut none, 0).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_middling_message_stays_in_memory() {
    let mut octets = b"Subject: x\r\n\r\n".to_vec();
    octets.extend((0..HEAD_BYTES + PENDING_BYTES / 2).map(|i| b'a' + (i % 23) as u8));
    let message = message(&octets);
    assert!(message.is_in_memory());
    assert_eq!(all(&message), octets);
    let mut out = Vec::new();
    message.read(HEAD_BYTES as u64 - 9, 100, &mut out).unwrap();
    assert_eq!(out, octets[HEAD_BYTES - 9..HEAD_BYTES + 91]);
}

#[test]
fn fields_keep_their_folds() {
    let message = message(b"A: 1\r\nB:2\r\n\tmore\r\nnonsense\r\n\r\nC: body\r\n");
    let found: Vec<_> = message.fields().collect();
    assert_eq!(
        found,
        [
            (b"A".as_slice(), b"1".as_slice()),
            (b"B".as_slice(), b"2\r\n\tmore".as_slice()),
            (b"".as_slice(), b"nonsense".as_slice()),
        ]
    );
}

#[test]
fn edits() {
    let mut edited = message(b"A: 1\r\nB: 2\r\nA: 3\r\n\r\nbody\r\n");
    edited.add_field("Top", b"t", Place::Top);
    edited.add_field("End", b"e", Place::End);
    let second = edited.rewrite_fields("a", |n| if n == 1 { Rewrite::Value(b"x".to_vec()) } else { Rewrite::Keep });
    assert_eq!(second, 1);
    assert_eq!(edited.rewrite_fields("b", |_| Rewrite::Remove), 1);
    assert_eq!(edited.rewrite_fields("none", |_| Rewrite::Remove), 0);
    assert_eq!(all(&edited), b"Top: t\r\nA: 1\r\nA: x\r\nEnd: e\r\n\r\nbody\r\n");
    assert_eq!(edited.size(), all(&edited).len() as u64);
    edited.replace_body(b"new\r\n".to_vec());
    assert_eq!(all(&edited), b"Top: t\r\nA: 1\r\nA: x\r\nEnd: e\r\n\r\nnew\r\n");
}

#[test]
fn odd_header_sections_can_be_edited() {
    for (input, expected) in [
        (b"".as_slice(), b"N: v\r\n\r\n".as_slice()),
        (b"\r\nbody\r\n", b"N: v\r\n\r\nbody\r\n"),
        (b"A: 1", b"A: 1\r\nN: v\r\n\r\n"),
        (b"A: 1\r\n", b"A: 1\r\nN: v\r\n\r\n"),
    ] {
        let mut edited = message(input);
        edited.add_field("N", b"v", Place::End);
        assert_eq!(all(&edited), expected);
    }
    let mut edited = message(b"A: 1\r\n");
    edited.replace_body(b"b\r\n".to_vec());
    assert_eq!(all(&edited), b"A: 1\r\n\r\nb\r\n");
}

#[test]
fn a_first_line_that_continues_nothing_is_refused() {
    for octets in [b" evil\r\n\r\n".as_slice(), b"\tevil: x\r\n", b" "] {
        let mut writer = MessageWriter::default();
        writer.push(octets);
        assert!(matches!(writer.finish(&std::env::temp_dir()), Err(MessageError::HeaderContinues)));
    }
}

#[test]
fn edits_can_be_taken_back() {
    let mut edited = message(b"A: 1\r\n\r\nbody\r\n");
    edited.add_field("B", b"2", Place::End);
    let before = edited.edits();
    edited.add_field("C", b"3", Place::Top);
    edited.replace_body(b"other\r\n".to_vec());
    edited.restore(before);
    assert_eq!(all(&edited), b"A: 1\r\nB: 2\r\n\r\nbody\r\n");
}

/// The parts of 25 MB are found, read and edited, and a small part of it is in memory.
#[test]
fn a_large_message_stays_in_its_file() {
    let mut octets = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n\
        Content-Transfer-Encoding: base64\r\n\r\n"
        .to_vec();
    let line = [b"QUJD".repeat(19).as_slice(), b"\r\n"].concat();
    octets.extend(line.repeat(330_000));
    octets.extend(b"--b--\r\n");
    let mut edited = message(&octets);
    let structure = edited.structure().unwrap();
    assert_eq!(structure.parts[2].size, 330_000 * 57);
    let mut out = Vec::new();
    structure.parts[2].read(330_000 * 57 - 4, 9, |range, out| edited.read_body(range, out), &mut out).unwrap();
    assert_eq!(out, b"CABC");
    let range = structure.parts[1].content.clone();
    edited.splice_body(range, b"other".to_vec());
    assert_eq!(edited.structure().unwrap().parts[1].size, 5);
    assert!(edited.memory_bytes() < HEAD_BYTES + (64 << 10), "{}", edited.memory_bytes());
    let mut expected = octets;
    let at = memmem::find(&expected, b"text").unwrap();
    expected.splice(at..at + 4, *b"other");
    assert!(all(&edited) == expected);
}

/// BINARYMIME (RFC 3030): bare CR, LF and NUL outlive the edits around them.
#[test]
fn binary_octets_survive_edits() {
    let octets = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n\0\r\r\n\n--bare\0\n\r\n--b\r\n\r\nx\r\n--b--\r\n";
    let mut edited = message(octets);
    edited.add_field("X", b"1", Place::Before(1));
    let whole = edited.structure().unwrap().parts[3].whole.clone().unwrap();
    edited.splice_body(whole, Vec::new());
    let expected =
        b"Content-Type: multipart/mixed; boundary=b\r\nX: 1\r\n\r\n--b\r\n\r\n\0\r\r\n\n--bare\0\n\r\n--b--\r\n";
    assert_eq!(all(&edited), expected);
}

#[test]
fn fields_are_put_between_others() {
    for (n, expected) in [
        (0, b"N: v\r\nA: 1\r\nB: 2\r\n\tx\r\n\r\nb".as_slice()),
        (1, b"A: 1\r\nN: v\r\nB: 2\r\n\tx\r\n\r\nb"),
        (2, b"A: 1\r\nB: 2\r\n\tx\r\nN: v\r\n\r\nb"),
        (u32::MAX, b"A: 1\r\nB: 2\r\n\tx\r\nN: v\r\n\r\nb"),
    ] {
        let mut edited = message(b"A: 1\r\nB: 2\r\n\tx\r\n\r\nb");
        edited.add_field("N", b"v", Place::Before(n));
        assert_eq!(all(&edited), expected);
    }
}

/// Somebody still reads what a call that was given up has asked for: the edits are taken back all the same.
#[test]
fn a_reader_is_in_nobodys_way() {
    let mut edited = Arc::new(message(b"A: 1\r\n\r\nbody\r\n"));
    let reader = edited.clone();
    let before = edited.edits();
    Arc::make_mut(&mut edited).replace_body(b"other\r\n".to_vec());
    Arc::make_mut(&mut edited).restore(before);
    assert_eq!(all(&edited), all(&reader));
}

#[test]
fn a_header_section_has_a_bound() {
    let mut writer = MessageWriter::default();
    writer.push(&vec![b'x'; HEAD_BYTES + 1]);
    assert!(matches!(writer.finish(&std::env::temp_dir()), Err(MessageError::HeaderTooLong)));
}
