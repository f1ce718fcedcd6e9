//! The deeds themselves.

use std::hint::black_box;
use std::io::{Write, stdout};
use std::thread;
use std::time::{Duration, Instant};

use postgate_sdk::{EnhancedStatus, Mailbox, Reply, editor, log, mail_data, session};

/// Does what the word says. The reply, where there is one, is for a refusal; an unknown word does nothing.
pub(crate) fn misbehave(word: &str) -> Option<Reply> {
    match word {
        "trap" => panic!("told to trap"),
        "unreachable" => unreachable_instruction(),
        "exit" => exit(),
        "recurse" => drop(black_box(recurse(1))),
        "loop" => loop {
            black_box(());
        },
        "log-loop" => loop {
            log::info("told to log", &[]);
        },
        "print-loop" => print_for_ever(),
        "grow" => grow(),
        "sleep" => thread::sleep(HOUR),
        "spin" => spin(),
        "hog-read" => hog_read(),
        "log-flood" => (0..10_000).for_each(|n| log::info("told to log", &[("n", &n.to_string())])),
        "many-notes" => return Some(many_notes()),
        "long-note" => return Some(long_note()),
        "many-edits" => return Some(many_edits()),
        "bad-edits" => return Some(bad_edits()),
        "edit-trap" => {
            let added = editor::add_recipient(&Mailbox { local_part: "added".into(), domain: "example.org".into() });
            let field = editor::prepend_field("X-Half-Done", b"yes");
            panic!("told to panic behind edits: {added:?} {field:?}");
        }
        _ => return bad_reply(word),
    }
    None
}

/// A reply without an enhanced status.
pub(crate) fn reply(code: u16, text: &str) -> Reply {
    Reply { code, enhanced: None, text: vec![text.to_owned()] }
}

/// A reply that the host must not send as it is.
fn bad_reply(word: &str) -> Option<Reply> {
    if let Some(code) = word.strip_prefix("code-") {
        return code.parse().ok().map(|code| reply(code, "of that code"));
    }
    let enhanced = |class, subject, detail| Some(EnhancedStatus { class, subject, detail });
    let text = |text: &str| Some(reply(550, text));
    match word {
        "huge-reply" => text(&"huge ".repeat(2_000_000)),
        "many-lines" => Some(Reply { code: 550, enhanced: None, text: vec!["line".to_owned(); 17] }),
        "long-line" => text(&"x".repeat(481)),
        "crlf" => text("no\r\n250 yes"),
        "bare-cr" => text("no\r250 yes"),
        "bare-lf" => text("no\n250 yes"),
        "nul" => text("no\0yes"),
        "eight-bit" => text("Grüße, 世界"),
        "wrong-class" => Some(Reply { enhanced: enhanced(4, 7, 1), ..reply(550, "of two classes") }),
        "wrong-subject" => Some(Reply { enhanced: enhanced(5, 1000, 1), ..reply(550, "of no subject") }),
        _ => None,
    }
}

#[cfg(target_arch = "wasm32")]
fn unreachable_instruction() {
    core::arch::wasm32::unreachable()
}

#[cfg(not(target_arch = "wasm32"))]
fn unreachable_instruction() {
    std::process::abort()
}

/// Not a loop for the optimiser: what comes back is used. The depth has an end that is never reached.
fn recurse(depth: u64) -> u64 {
    if depth == u64::MAX {
        return depth;
    }
    let frame = black_box([depth; 16]);
    frame[0] + recurse(black_box(depth + 1)) + frame[15]
}

#[allow(clippy::exit, reason = "this is the misdeed")]
fn exit() {
    std::process::exit(0)
}

fn print_for_ever() {
    loop {
        drop(writeln!(stdout(), "told to print"));
    }
}

fn grow() {
    let mut kept = Vec::new();
    loop {
        kept.push(black_box(vec![1_u8; 1 << 20]));
    }
}

fn spin() {
    let start = Instant::now();
    while start.elapsed() < HOUR {}
}

fn hog_read() {
    let mut kept = Vec::new();
    loop {
        kept.push(mail_data::read(0, u32::MAX));
    }
}

fn many_notes() -> Reply {
    for n in 0..NOTES_MAX {
        if let Err(error) = session::set_note(&format!("note-{n}"), &"x".repeat(1000)) {
            return reply(550, &format!("kept {n} notes, then {error:?}"));
        }
    }
    reply(550, "kept all notes")
}

fn long_note() -> Reply {
    let value = session::set_note("long", &"x".repeat(4097));
    let name = session::set_note(&"x".repeat(65), "long");
    let empty = session::set_note("", "empty");
    reply(550, &format!("{value:?} {name:?} {empty:?}"))
}

fn many_edits() -> Reply {
    for n in 0..EDITS_MAX {
        if let Err(error) = editor::append_field("X-Edit", "x".repeat(1000).as_bytes()) {
            return reply(550, &format!("took {n} edits, then {error:?}"));
        }
    }
    reply(550, "took all edits")
}

/// Each of these would change the structure of the message or of the dialogue behind it.
fn bad_edits() -> Reply {
    let mailbox = |local_part: &str, domain: &str| Mailbox { local_part: local_part.into(), domain: domain.into() };
    let results = [
        editor::append_field("X Edit", b"a space in the name"),
        editor::append_field("X-Edit:", b"a colon in the name"),
        editor::append_field("", b"no name"),
        editor::append_field("X-\r\nEdit", b"a line break in the name"),
        editor::append_field("X-Edit", b"not folded\r\nBcc: x@example.org"),
        editor::append_field("X-Edit", b"the end of the header section\r\n\r\nbody"),
        editor::append_field("X-Edit", b"a bare LF\nX-Other: x"),
        editor::append_field("X-Edit", b"a bare CR\rX-Other: x"),
        editor::append_field("X-Edit", b"a NUL\0"),
        editor::prepend_field("X-Edit", b"a line of white space only\r\n \r\nX-Other: x"),
        editor::replace_body(b"a bare LF\nin the body\r\n"),
        editor::replace_body(b"a bare CR\rin the body\r\n"),
        editor::replace_body(b"a NUL\0in the body\r\n"),
        editor::add_recipient(&mailbox("alice", "")),
        editor::add_recipient(&mailbox("alice", "example org")),
        editor::add_recipient(&mailbox("alice\r\nRCPT TO:<bob", "example.org")),
        editor::add_recipient(&mailbox("alice", "example.org>\r\nDATA")),
        editor::set_reverse_path(Some(&mailbox("alice\n", "example.org"))),
        editor::set_reverse_path(Some(&mailbox("alice", "exa\0mple.org"))),
    ];
    let taken: Vec<String> =
        results.iter().enumerate().filter(|(_, result)| result.is_ok()).map(|(n, _)| n.to_string()).collect();
    reply(550, &format!("{} of {} taken: {}", taken.len(), results.len(), taken.join(" ")))
}

/// Longer than any deadline.
const HOUR: Duration = Duration::from_secs(3600);
/// More than any operator would allow.
const NOTES_MAX: u32 = 100_000;
/// More than any operator would allow.
const EDITS_MAX: u32 = 1_000_000;
