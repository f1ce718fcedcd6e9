//! What is fuzzed, as functions of the input: `fuzz/` gives them to cargo-fuzz, and `tests/fuzz.rs` plays a bounded part of the same.
//!
//! Each holds what must be true of any input, besides that nothing panics.

use std::sync::Arc;

use crate::chunk::{Chunk, Message};
use crate::client::{self, Addressee, Credentials, Outcome};
use crate::config::Config;
use crate::data;
use crate::dialogue::Dialogue;
use crate::dialogue::player::{Policy, config};
use crate::event::{Body, Event};
use crate::extension::Extensions;
use crate::limits::Limits;
use crate::mailbox::{Mailbox, Path, read_path};
use crate::parameter::{Declared, Of, read_parameters};
use crate::proxy::ProxyHeader;
use crate::sasl::scram::{ScramDecoy, ScramKeys};
use crate::sasl::{Exchange, Facts, Mechanism, Mechanisms, Step};
use crate::session::Session;

/// A function that takes any input.
pub type Target = fn(&[u8]);

/// All of them, by the names of the fuzz targets.
pub const TARGETS: [(&str, Target); 9] = [
    ("command_line", command_line),
    ("address", address),
    ("parameters", parameters),
    ("mail_data", mail_data),
    ("chunks", chunks),
    ("sasl", sasl),
    ("proxy_header", proxy_header),
    ("session", session),
    ("client", client),
];

/// A line in a transaction with a recipient, and one before it.
pub fn command_line(input: &[u8]) {
    let opening = b"EHLO x\r\nMAIL FROM:<> SMTPUTF8\r\nRCPT TO:<b@example.org>\r\n".as_slice();
    for opening in [&b""[..], b"EHLO x\r\n", opening] {
        let line = [opening, input, b"\r\n"].concat();
        let output = play(&line, line.len());
        assert_replies(&output);
    }
}

/// A mailbox, and a path.
pub fn address(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok((path, rest)) = read_path(text) {
        assert!(text.ends_with(rest), "what stands behind a path is the end of the text");
        if let Path::Mailbox(mailbox) = path {
            assert!(!mailbox.to_string().contains(char::is_control), "a control character in {mailbox:?}");
            let again = read_path(&format!("<{mailbox}>")).map(|(path, _)| path);
            assert_eq!(again, Ok(Path::Mailbox(mailbox)), "what is written is read again");
        }
    }
    if let Ok(mailbox) = text.parse::<Mailbox>() {
        assert_eq!(mailbox.to_string().parse(), Ok(mailbox), "what is written is read again");
    }
}

/// Parameters of MAIL and RCPT, with every extension.
pub fn parameters(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Some(config) = full_config() else { return };
    for (of, utf8) in [(Of::Mail, false), (Of::Recipient, false), (Of::Recipient, true)] {
        let Ok((parameters, _)) = read_parameters(text, of, Declared::in_transaction(utf8), &config, |_| true) else {
            continue;
        };
        for (n, parameter) in parameters.iter().enumerate() {
            let is_new = parameters.iter().skip(n + 1).all(|later| later.keyword != parameter.keyword);
            assert!(is_new, "{} twice", parameter.keyword);
            let value = parameter.value.as_deref().unwrap_or_default();
            assert!(!value.contains(char::is_whitespace), "white space in {value:?}");
        }
    }
}

/// Mail data, whole and octet by octet.
pub fn mail_data(input: &[u8]) {
    let limits = Limits { text_line_octets: 100, message_octets: 1000, discarded_octets: 2000, ..Limits::default() };
    let whole = read_data(input, input.len(), &limits);
    let parts = read_data(input, 1, &limits);
    assert_eq!(whole.0, parts.0, "the outcome depends on the pieces");
    // Of faulty mail data more is passed on in small pieces, and then taken back.
    assert!(whole.0 != "whole" || whole.1 == parts.1, "the message depends on the pieces");
    assert_lines(&whole.1);
    assert_lines(&parts.1);
}

/// What has become of mail data that comes in reads of so many octets, and the message.
fn read_data(input: &[u8], octets: usize, limits: &Limits) -> (&'static str, Vec<u8>) {
    let mut reader = data::Reader::new();
    let mut message = Vec::new();
    for mut read in input.chunks(octets.max(1)) {
        loop {
            match reader.read(&mut read, limits) {
                data::Read::Piece(piece) => message.extend_from_slice(piece),
                data::Read::More => break,
                data::Read::End(Some(_)) => return ("faulty", message),
                data::Read::End(None) => return ("whole", message),
                // How much of it is read before that is known depends on the pieces.
                data::Read::Endless(_) => return ("faulty", message),
            }
        }
    }
    ("open", message)
}

/// An argument of BDAT up to the first line break, and a chunk behind it, whole and octet by octet.
pub fn chunks(input: &[u8]) {
    let end = input.iter().position(|octet| *octet == b'\n').unwrap_or(input.len());
    let (argument, octets) = input.split_at_checked(end).unwrap_or((input, b""));
    if let Ok(argument) = std::str::from_utf8(argument) {
        let _ = Chunk::read(argument);
    }
    let limits = Limits { text_line_octets: 100, message_octets: 1000, ..Limits::default() };
    for body in [Body::EightBitMime, Body::BinaryMime] {
        let read = |reads: usize| {
            let mut message = Message::new(body);
            let mut kept = Vec::new();
            for mut read in octets.chunks(reads.max(1)) {
                let mut left = read.len() as u64;
                while left > 0 {
                    kept.extend_from_slice(message.read(&mut left, &mut read, &limits).unwrap_or_default());
                }
            }
            (message.end(), kept)
        };
        let (whole, parts) = (read(octets.len()), read(1));
        assert_eq!(whole.0, parts.0, "the fault depends on the pieces");
        if whole.0.is_none() {
            assert!(whole.1 == parts.1 && whole.1 == octets, "a message is what its chunks are");
        }
        if body == Body::EightBitMime {
            assert_lines(&whole.1);
            assert_lines(&parts.1);
        }
    }
}

/// Messages of a client, one in a line, to each mechanism.
pub fn sasl(input: &[u8]) {
    let keys = ScramKeys {
        identity: "alice".to_owned(),
        salt: vec![1; 16],
        iterations: 4096,
        stored_key: [2; 32],
        server_key: [3; 32],
    };
    let decoy = ScramDecoy { key: [4; 32], iterations: 4096, salt_octets: 16 };
    for mechanism in Mechanism::all() {
        for binding in [None, Some(&b"bound"[..])] {
            let facts =
                Facts { offers_channel_binding: binding.is_some(), channel_binding: binding, certificate: None };
            let mut exchange = mechanism.start();
            for message in input.split(|octet| *octet == b'\n') {
                match exchange.respond(message.to_vec(), &facts) {
                    Ok(Step::Challenge(next)) => exchange = next,
                    Ok(Step::Keys(first)) => {
                        exchange = Exchange::ScramProof(first.challenge(Some(keys.clone()), &decoy, "nonce").into());
                    }
                    Ok(Step::Proved(proof)) => exchange = Exchange::ScramProved(proof),
                    Ok(Step::Done(..)) | Err(_) => break,
                }
                assert!(!exchange.challenge().iter().any(u8::is_ascii_control), "a control character in a challenge");
            }
        }
    }
}

/// A header of the PROXY protocol: known only when it is whole, and an error is never taken back.
pub fn proxy_header(input: &[u8]) {
    let whole = ProxyHeader::read(input);
    // Of a long input the last cuts tell as much.
    for end in 0..input.len().min(400) {
        let part = ProxyHeader::read(input.get(..end).unwrap_or_default());
        match &part {
            Ok(None) => {}
            Ok(Some((_, octets))) => assert!(*octets <= end && part == whole, "a header that changes"),
            Err(error) => assert_eq!(whole, Err(*error), "an error that is taken back"),
        }
    }
}

/// A whole session, in reads of a size that the first octet says, and in reads of one octet.
pub fn session(input: &[u8]) {
    let (size, input) = input.split_first().map_or((1, input), |(size, rest)| (usize::from(*size) + 1, rest));
    let (some, single) = (play(input, size), play(input, 1));
    assert_replies(&some);
    assert!(some == single, "the output depends on the pieces");
}

/// What a server may say to a client, in lines and octet by octet: an outcome for every recipient, nothing taken that was not confirmed, and only lines said.
pub fn client(input: &[u8]) {
    let as_a_relay = |_: &mut client::Config| {};
    // As `postgate send` may.
    let trying = |config: &mut client::Config| {
        config.chunks = true;
        config.oversize = true;
        config.pipelining = client::Pipelining::Always;
        config.xclient = Some("ADDR=192.0.2.1".to_owned());
    };
    for change in [as_a_relay as fn(&mut client::Config), trying] {
        // Not whole: what comes before it was asked for is an error, and that depends on the pieces.
        let lines = converse(change, input.split_inclusive(|octet| *octet == b'\n'));
        let octets = converse(change, input.chunks(1));
        assert!(lines == octets, "the course depends on the pieces");
    }
}

/// What the client says and what comes of two recipients, where the connection is lost behind the input.
fn converse<'a>(change: fn(&mut client::Config), mut reads: impl Iterator<Item = &'a [u8]>) -> (Vec<u8>, Vec<Outcome>) {
    let Ok(hello) = "client.example".parse() else { return Default::default() };
    let mut config = client::Config::new(hello);
    config.credentials = Some(Credentials::Password { user: "u".to_owned(), password: "p".to_owned() });
    config.secrets_in_clear = true;
    change(&mut config);
    let mailbox = |text: &str| text.parse().ok().map(Addressee::new);
    let envelope = client::Envelope {
        recipients: ["a@example.org", "b@example.org"].into_iter().filter_map(mailbox).collect(),
        ..client::Envelope::default()
    };
    let mut client = client::Client::new(Arc::new(config), [0; 32]);
    client.keep_journal();
    let (mut said, mut outcomes, mut begun, mut ended) = (Vec::new(), Vec::new(), false, false);
    let mut read: &[u8] = &[];
    loop {
        let (taken, event) = client.advance(read);
        read = read.get(taken..).unwrap_or_default();
        said.extend_from_slice(client.output());
        client.sent(usize::MAX);
        assert!(format!("{:?}", client.journal()).is_ascii(), "what is shown is printable");
        match event {
            client::Event::Wait => match reads.next() {
                Some(next) => read = next,
                None => client.lost(),
            },
            client::Event::StartTls => client.secured(None),
            client::Event::Work => {
                if let Some(work) = client.work() {
                    client.worked(work.run());
                }
            }
            client::Event::Ready if !begun => {
                begun = true;
                client.begin(envelope.clone());
            }
            client::Event::Ready => client.quit(),
            client::Event::MailData if !ended => {
                client.mail_data(b"a\r\n.b\r\n");
                client.end_mail_data();
                ended = true;
            }
            client::Event::MailData => assert!(!ended, "mail data behind its end"),
            client::Event::Outcome(found) => {
                assert!(found.len() == 2 && outcomes.is_empty(), "one outcome for each recipient, once");
                outcomes = found;
            }
            client::Event::Close(_) => break,
        }
    }
    let is_taken = |outcome: &Outcome| matches!(outcome, Outcome::Taken(_));
    assert!(ended || !outcomes.iter().any(is_taken), "taken before it was sent");
    assert!(!begun || outcomes.len() == 2, "a recipient without an outcome");
    assert_lines(&said);
    (said, outcomes)
}

/// Every extension and mechanism, and small bounds.
fn full_config() -> Option<Config> {
    let mut config = config(&Dialogue::default()).ok()?;
    config.extensions = Extensions::all();
    config.auth.mechanisms = Mechanisms::all();
    config.tls.starttls = true;
    config.limits.text_line_octets = 100;
    config.limits.message_octets = 1000;
    config.limits.discarded_octets = 2000;
    Some(config)
}

/// What the server says, up to a handshake of TLS.
fn play(input: &[u8], octets: usize) -> Vec<u8> {
    let Some(config) = full_config() else { return Vec::new() };
    let mut policy = Policy::default();
    let mut session = Session::new(Arc::new(config));
    session.set_seed([0; 32]);
    session.trust_peer();
    let mut reads = input.chunks(octets.max(1));
    let mut read: &[u8] = &[];
    loop {
        let (taken, event) = session.advance(read);
        read = read.get(taken..).unwrap_or_default();
        match event {
            Event::Wait => match reads.next() {
                Some(next) => read = next,
                None => break,
            },
            Event::Ask(question) => session.answer(policy.answer(&question)),
            Event::MailData(piece) => assert_eq!(policy.keep(piece), Ok(()), "mail data"),
            Event::Reset => assert!(!session.transaction_is_open(), "a transaction that was given up"),
            Event::StartTls | Event::Close(_) => break,
        }
    }
    session.output().to_vec()
}

/// Lines of a code, `-` or a space, and printable ASCII, of at most 512 octets; those of a reply have the same code.
fn assert_replies(output: &[u8]) {
    let Ok(text) = std::str::from_utf8(output) else {
        return assert!(output.is_ascii(), "replies are ASCII");
    };
    let mut begun: Option<&str> = None;
    // The one mailbox beyond ASCII that VRFY and EXPN find here.
    let text = text.replace("zo\u{eb}", "zoe");
    for line in text.split_terminator("\r\n") {
        let (code, rest) = line.split_at_checked(3).unwrap_or_default();
        assert!(code.len() == 3 && code.bytes().all(|octet| octet.is_ascii_digit()), "{line:?}");
        assert!(rest.starts_with(['-', ' ']) && rest.bytes().all(|octet| matches!(octet, b' '..=b'~')), "{line:?}");
        // The challenges of AUTH are as long as they must be.
        assert!(line.len() <= 510 || code == "334", "{line:?}");
        assert!(begun.is_none_or(|code| line.starts_with(code)), "{line:?}");
        begun = rest.starts_with('-').then_some(code);
    }
    assert!(begun.is_none() && (text.is_empty() || text.ends_with("\r\n")), "a reply that is not whole");
}

/// Whole CRLFs, and no NUL.
fn assert_lines(message: &[u8]) {
    let text = String::from_utf8_lossy(message).replace("\r\n", "");
    assert!(!text.contains(['\r', '\n', '\0']), "a bare CR or LF, or a NUL, in {text:?}");
}
