//! What a client does that tries a server out: its journal, where it stops, XCLIENT, BDAT for any message, and no pipelining.

use std::sync::Arc;

use postgate_smtp::client::{
    Addressee, Client, Config, Credentials, Ending, Envelope, Event, Failure, Noted, Outcome, Pipelining, Stop,
};
use postgate_smtp::{decode_xtext, encode_xtext};

fn config() -> Config {
    Config::new("client.example".parse().unwrap())
}

fn envelope(recipients: &[&str]) -> Envelope {
    Envelope {
        reverse_path: Some("alice@example.com".parse().unwrap()),
        recipients: recipients.iter().map(|text| Addressee::new(text.parse().unwrap())).collect(),
        size: Some(9),
        ..Envelope::default()
    }
}

/// What was said, in the order in which it was; a `+` stands in front of what was ahead of replies.
struct Course {
    lines: Vec<String>,
    outcomes: Vec<Outcome>,
    ending: Ending,
}

/// One transaction with a server that says these replies, each when all that it has been asked was said.
fn play(config: Config, envelope: Envelope, pieces: &[&[u8]], replies: &[&str]) -> Course {
    let mut client = Client::new(Arc::new(config), [7; 32]);
    client.keep_journal();
    let mut course = Course { lines: Vec::new(), outcomes: Vec::new(), ending: Ending::Quit };
    let (mut replies, mut pieces) = (replies.iter(), pieces.iter().peekable());
    let (mut envelope, mut read) = (Some(envelope), Vec::new());
    loop {
        let (taken, event) = client.advance(&read);
        read.drain(..taken);
        client.sent(usize::MAX);
        course.lines.extend(client.journal().into_iter().map(|entry| {
            let ahead = if entry.is_ahead { "+" } else { "" };
            match entry.noted {
                Noted::Command(line) => format!("{ahead}C {line}"),
                Noted::Secret { shown, line } => {
                    assert!(line.starts_with(shown.trim_end_matches("***").trim_end()), "{line}");
                    format!("{ahead}C {shown}")
                }
                Noted::MailData(octets) => format!("{ahead}{octets} octets"),
                Noted::End => format!("{ahead}end"),
                Noted::Chunk { octets, is_last } => format!("{ahead}chunk {octets} {is_last}"),
                Noted::Reply(lines) => format!("S {}", lines.join("|")),
                Noted::Fragment(lines) => format!("S? {}", lines.join("|")),
            }
        }));
        match event {
            Event::Wait => match replies.next() {
                Some(reply) => read.extend_from_slice(reply.as_bytes()),
                None => client.lost(),
            },
            Event::StartTls => client.secured(None),
            Event::Work => panic!("nothing to work on"),
            Event::Ready => match envelope.take().filter(|envelope| !envelope.recipients.is_empty()) {
                Some(envelope) => client.begin(envelope),
                None => client.quit(),
            },
            Event::MailData => {
                let piece = pieces.next().expect("a piece");
                match pieces.peek() {
                    Some(_) => client.mail_data(piece),
                    None => client.last_mail_data(piece),
                }
            }
            Event::Outcome(outcomes) => course.outcomes = outcomes,
            Event::Close(ending) => {
                course.ending = ending;
                return course;
            }
        }
    }
}

const EHLO: &str = "250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-XCLIENT NAME\r\n250 AUTH PLAIN LOGIN\r\n";

#[test]
fn the_journal_of_data() {
    let replies = [
        "220 mx\r\n",
        EHLO,
        "250 ok\r\n",
        "250 ok\r\n",
        "550 5.1.1 no\r\n",
        "354 go\r\n",
        "250 2.0.0 ok\r\n",
        "221 bye\r\n",
    ];
    let course = play(config(), envelope(&["a@example.org", "b@example.org"]), &[b"a\r\n", b".b\r\nc\r"], &replies);
    // A bare CR at the end is not sent.
    assert!(matches!(course.ending, Ending::Failed(Failure::Abandoned(_))));
    let course = play(config(), envelope(&["a@example.org", "b@example.org"]), &[b"a\r\n", b".b\r\nc"], &replies);
    assert_eq!(
        course.lines,
        [
            "S 220 mx",
            "C EHLO client.example",
            "S 250-mx|250-PIPELINING|250-CHUNKING|250-XCLIENT NAME|250 AUTH PLAIN LOGIN",
            "C MAIL FROM:<alice@example.com>",
            "+C RCPT TO:<a@example.org>",
            "+C RCPT TO:<b@example.org>",
            "+C DATA",
            "S 250 ok",
            "S 250 ok",
            "S 550 5.1.1 no",
            "S 354 go",
            "3 octets",
            "5 octets",
            "end",
            "S 250 2.0.0 ok",
            "C QUIT",
            "S 221 bye",
        ]
    );
    assert!(matches!(course.outcomes.as_slice(), [Outcome::Taken(_), Outcome::Failed(_)]));
}

#[test]
fn any_message_goes_by_chunks() {
    let mut chunked = config();
    chunked.chunks = true;
    let replies = ["220 mx\r\n", EHLO, "250 ok\r\n", "250 ok\r\n", "250 ok\r\n", "250 ok\r\n", "221 bye\r\n"];
    let course = play(chunked.clone(), envelope(&["a@example.org"]), &[b"a\r\n.", b"b\r\nc"], &replies);
    assert_eq!(
        course.lines[3..],
        [
            "C MAIL FROM:<alice@example.com>",
            "+C RCPT TO:<a@example.org>",
            "S 250 ok",
            "S 250 ok",
            "chunk 4 false",
            "+chunk 4 true",
            "S 250 ok",
            "S 250 ok",
            "C QUIT",
            "S 221 bye",
        ]
    );
    assert!(matches!(course.outcomes.as_slice(), [Outcome::Taken(_)]));
    let course = play(chunked, envelope(&["a@example.org"]), &[b"a"], &["220 mx\r\n", "250-mx\r\n250 SIZE\r\n"]);
    assert_eq!(course.ending, Ending::Failed(Failure::NotOffered("CHUNKING")));
}

#[test]
fn pipelining_as_it_is_wanted() {
    let check = |pipelining, ehlo: &str, expected: usize| {
        let mut config = config();
        config.pipelining = pipelining;
        let replies = ["220 mx\r\n", ehlo, "250 ok\r\n", "250 ok\r\n", "354 go\r\n", "250 ok\r\n", "221 bye\r\n"];
        let course = play(config, envelope(&["a@example.org"]), &[b"a"], &replies);
        assert!(matches!(course.outcomes.as_slice(), [Outcome::Taken(_)]), "{:?}", course.lines);
        let ahead = course.lines.iter().filter(|line| line.starts_with('+')).count();
        assert_eq!(ahead, expected, "{pipelining:?} {:?}", course.lines);
    };
    check(Pipelining::IfOffered, EHLO, 2);
    check(Pipelining::IfOffered, "250 mx\r\n", 0);
    check(Pipelining::Never, EHLO, 0);
    check(Pipelining::Always, "250 mx\r\n", 2);
}

#[test]
fn where_it_stops() {
    let replies = ["220 mx\r\n", EHLO, "250 ok\r\n", "250 ok\r\n", "452 full\r\n", "221 bye\r\n"];
    let check = |stop, replies: &[&str], codes: &[u16], last: &str| {
        let mut config = config();
        config.stop = Some(stop);
        let has_transaction = matches!(stop, Stop::Mail | Stop::Recipient);
        let recipients: &[&str] = if has_transaction { &["a@example.org", "b@example.org"] } else { &[] };
        let course = play(config, envelope(recipients), &[], replies);
        assert_eq!(course.ending, Ending::Quit, "{:?}", course.lines);
        let found: Vec<u16> = course.outcomes.iter().map(|outcome| outcome.reply().code()).collect();
        assert_eq!(found, codes);
        let quit = course.lines.iter().position(|line| line == "C QUIT").unwrap();
        let said = course.lines[..quit].iter().rev().find(|line| line.contains("C ")).map_or("", String::as_str);
        assert!(said.contains(last), "{said} {:?}", course.lines);
    };
    check(Stop::Banner, &["220 mx\r\n", "221 bye\r\n"], &[], "");
    check(Stop::Hello, &["220 mx\r\n", EHLO, "221 bye\r\n"], &[], "EHLO");
    check(Stop::Tls, &["220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n", "220 go\r\n", EHLO, "221 bye\r\n"], &[], "EHLO");
    check(Stop::Auth, &["220 mx\r\n", EHLO, "221 bye\r\n"], &[], "EHLO");
    check(Stop::Mail, &["220 mx\r\n", EHLO, "250 ok\r\n", "221 bye\r\n"], &[250, 250], "MAIL");
    check(Stop::Mail, &["220 mx\r\n", EHLO, "550 no\r\n", "221 bye\r\n"], &[550, 550], "MAIL");
    check(Stop::Recipient, &replies, &[250, 452], "RCPT");
    let mut config = config();
    config.stop = Some(Stop::Tls);
    let course = play(config, envelope(&[]), &[], &["220 mx\r\n", EHLO]);
    assert_eq!(course.ending, Ending::Failed(Failure::TlsNotOffered));
}

#[test]
fn whom_it_speaks_for() {
    let mut config = config();
    config.xclient = Some("ADDR=192.0.2.7".to_owned());
    config.credentials = Some(Credentials::Password { user: "u".to_owned(), password: "secret".to_owned() });
    config.secrets_in_clear = true;
    let replies = ["220 mx\r\n", EHLO, "220 mx\r\n", EHLO, "235 ok\r\n", "221 bye\r\n"];
    let course = play(config.clone(), envelope(&[]), &[], &replies);
    let said: Vec<&str> = course.lines.iter().filter(|line| line.starts_with('C')).map(String::as_str).collect();
    assert_eq!(
        said,
        ["C EHLO client.example", "C XCLIENT ADDR=192.0.2.7", "C EHLO client.example", "C AUTH PLAIN ***", "C QUIT"]
    );
    let course = play(config.clone(), envelope(&[]), &[], &["220 mx\r\n", "250 mx\r\n"]);
    assert_eq!(course.ending, Ending::Failed(Failure::NotOffered("XCLIENT")));
    let course = play(config, envelope(&[]), &[], &["220 mx\r\n", EHLO, "550 5.7.0 no\r\n"]);
    assert!(matches!(course.ending, Ending::Failed(Failure::Refused(_))));
}

/// What a server says that does not speak SMTP is shown, and bounded.
#[test]
fn what_is_no_reply() {
    for (replies, shown) in [
        (&["HTTP/1.1 400 Bad Request\r\n"][..], "S? HTTP/1.1 400 Bad Request"),
        (&["220 mx\r\n", "250-mx\r\n250-SI"], "S? 250-mx|250-SI"),
        (&["220-a\r\n", "221 b\r\n"], "S? 220-a|221 b"),
        (&["\x1b[2J\r\n"], "S? ?[2J"),
    ] {
        let course = play(config(), envelope(&["a@example.org"]), &[], replies);
        assert_eq!(course.lines.last().map(String::as_str), Some(shown));
        assert!(matches!(course.ending, Ending::Failed(_)));
    }
    let long = "x".repeat(5000);
    let course = play(config(), envelope(&["a@example.org"]), &[], &[&long]);
    assert!(course.lines.iter().all(|line| line.len() <= 210), "{:?}", course.lines);
}

#[test]
fn parameters_as_they_are() {
    let mut wanted = envelope(&["a@example.org"]);
    wanted.parameters = vec!["SIZE=1".into(), "X-ODD".into(), "no room".into(), "bad\r\nRSET".into()];
    wanted.recipients[0].parameters = vec!["NOTIFY=NEVER".into()];
    let ehlo = "250-mx\r\n250 SIZE\r\n";
    let replies = ["220 mx\r\n", ehlo, "250 ok\r\n", "250 ok\r\n", "354 go\r\n", "250 ok\r\n", "221 bye\r\n"];
    let course = play(config(), wanted, &[b"a"], &replies);
    assert!(course.lines.contains(&"C MAIL FROM:<alice@example.com> SIZE=1 X-ODD".to_owned()), "{:?}", course.lines);
    assert!(course.lines.contains(&"C RCPT TO:<a@example.org> NOTIFY=NEVER".to_owned()), "{:?}", course.lines);
}

/// The server says itself what is too large.
#[test]
fn too_large_all_the_same() {
    let ehlo = "250-mx\r\n250 SIZE 5\r\n";
    let course = play(config(), envelope(&["a@example.org"]), &[], &["220 mx\r\n", ehlo, "221 bye\r\n"]);
    assert!(!course.lines.iter().any(|line| line.contains("MAIL")));
    let mut insistent = config();
    insistent.oversize = true;
    let course =
        play(insistent, envelope(&["a@example.org"]), &[], &["220 mx\r\n", ehlo, "552 5.3.4 no\r\n", "221 bye\r\n"]);
    assert!(course.lines.contains(&"C MAIL FROM:<alice@example.com> SIZE=9".to_owned()), "{:?}", course.lines);
}

#[test]
fn xtext() {
    for (text, encoded) in [("a.b@c", "a.b@c"), ("a+b=c d", "a+2Bb+3Dc+20d"), ("", "")] {
        assert_eq!(encode_xtext(text), encoded);
        assert_eq!(decode_xtext(encoded).as_deref(), Some(text));
    }
    assert_eq!(encode_xtext("\u{fc}\r"), "+C3+BC+0D");
}
