//! Servers that lie, flood, trickle, stall or hang up, over sockets: whoever waits hears a deferral of the relay's, and not that of a deadline.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::pool::server;
use super::{front, relay};
use crate::support::log;

type Act = fn(&mut TcpStream, &mut BufReader<TcpStream>);

/// What the client hears of a message of so many octets that goes to a server which acts like this.
#[track_caller]
fn outcome(settings: &str, octets: usize, act: Act) -> String {
    let address = server(move |_, stream| {
        let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
        let mut stream = stream;
        act(&mut stream, &mut reader);
    });
    let front = front(&relay(address, settings), tempfile::tempdir().unwrap());
    let mut client = front.client();
    client.expect("EHLO client.example", "250");
    let line = format!("{}\r\n", "x".repeat(78));
    let body = line.repeat(octets / line.len() + 1);
    client.message("a@example.com", &["bob@example.org"], &format!("Subject: x\r\n\r\n{}", body.trim_end()))
}

fn say(stream: &mut TcpStream, text: &str) -> bool {
    stream.write_all(text.as_bytes()).is_ok()
}

/// Reads lines until one begins so.
fn hear(reader: &mut BufReader<TcpStream>, begin: &str) -> bool {
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return false;
        }
        if line.starts_with(begin) {
            return true;
        }
    }
}

/// As far as the answer to DATA.
fn take_envelope(stream: &mut TcpStream, reader: &mut BufReader<TcpStream>) {
    say(stream, "220 mx\r\n");
    for (begin, reply) in
        [("EHLO", "250-mx\r\n250 8BITMIME\r\n"), ("MAIL", "250 ok\r\n"), ("RCPT", "250 ok\r\n"), ("DATA", "354 go\r\n")]
    {
        hear(reader, begin);
        say(stream, reply);
    }
}

/// An octet at a time, with a pause before each, as long as somebody listens.
fn trickle(stream: &mut TcpStream, octets: &mut dyn Iterator<Item = u8>) {
    stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a socket");
    let mut ended = [0; 512];
    for octet in octets {
        // Where nothing comes the timeout is the pause; at the end there are no octets.
        if matches!(stream.read(&mut ended), Ok(0)) || stream.write_all(&[octet]).is_err() {
            return;
        }
    }
}

const CLEAR: &str = "tls = \"none\"";

#[test]
fn floods() {
    let long_line: Act = |stream, _| {
        say(stream, &format!("220 {}\r\n", "x".repeat(200_000)));
    };
    assert!(outcome(CLEAR, 1, long_line).starts_with("451 4.5.0 "));
    let endless_reply: Act = |stream, reader| {
        say(stream, "220 mx\r\n");
        hear(reader, "EHLO");
        while say(stream, "250-and another thing\r\n") {}
    };
    assert!(outcome(CLEAR, 1, endless_reply).starts_with("451 4.5.0 "));
    let replies_to_nothing: Act = |stream, reader| {
        say(stream, "220 mx\r\n");
        hear(reader, "EHLO");
        while say(stream, "250 ok\r\n") {}
    };
    assert!(outcome(CLEAR, 1, replies_to_nothing).starts_with("451 4."));
    let during_mail_data: Act = |stream, reader| {
        take_envelope(stream, reader);
        while say(stream, "250 taken already\r\n") {}
    };
    assert!(outcome(CLEAR, 20_000_000, during_mail_data).starts_with("451 4.5.0 "));
    let garbage: Act = |stream, _| while say(stream, "\0\u{ff}\x1b[2J") {};
    let reply = outcome(CLEAR, 1, garbage);
    assert!(reply.starts_with("451 4.5.0 "), "{reply}");
    assert!(log::lines(&["\u{1b}"]).is_empty(), "what a server says is escaped in the log");
}

/// Each octet in time, and never a whole reply.
#[test]
fn trickles() {
    let patience = format!("{CLEAR}\ncommand-patience = \"500 ms\"\nend-patience = \"500 ms\"");
    let banner: Act = |stream, _| trickle(stream, &mut b"220-".iter().copied().chain(std::iter::repeat(b'x')));
    let reply = outcome(&patience, 1, banner);
    assert!(reply.starts_with("451 4.4.1 "), "{reply}");
    let lines: Act = |stream, reader| {
        say(stream, "220 mx\r\n");
        hear(reader, "EHLO");
        trickle(stream, &mut b"250-x\r\n".iter().copied().cycle());
    };
    let reply = outcome(&patience, 1, lines);
    assert!(reply.starts_with("451 4.4.1 "), "{reply}");
    let end: Act = |stream, reader| {
        take_envelope(stream, reader);
        hear(reader, ".");
        trickle(stream, &mut b"250-".iter().copied().chain(std::iter::repeat(b'x')));
    };
    // It may have the message: RFC 1047.
    let reply = outcome(&patience, 1, end);
    assert!(reply.starts_with("451 4.4.2 The next host has not confirmed"), "{reply}");
}

#[test]
fn stalls() {
    let silent: Act = |_, reader| drop(reader.read(&mut [0]));
    let reply = outcome(&format!("{CLEAR}\ncommand-patience = \"300 ms\""), 1, silent);
    assert!(reply.starts_with("451 4.4.1 "), "{reply}");
    // Mail data that nobody reads.
    let deaf: Act = |stream, reader| {
        take_envelope(stream, reader);
        // Stays open as long as the tests.
        std::mem::forget(stream.try_clone());
    };
    let reply = outcome(&format!("{CLEAR}\ndata-patience = \"300 ms\""), 20_000_000, deaf);
    assert!(reply.starts_with("451 4.4.1 "), "{reply}");
    // A handshake that does not go on.
    let no_handshake: Act = |stream, reader| {
        say(stream, "220 mx\r\n");
        hear(reader, "EHLO");
        say(stream, "250-mx\r\n250 STARTTLS\r\n");
        hear(reader, "STARTTLS");
        say(stream, "220 go\r\n");
        let _ = reader.read_to_end(&mut Vec::new());
    };
    let reply = outcome("command-patience = \"300 ms\"", 1, no_handshake);
    assert!(reply.starts_with("451 4.7.5 "), "{reply}");
}

/// What comes in clear behind the answer to STARTTLS is never a reply, whether it comes with it or later.
#[test]
fn injections() {
    let with_it: Act = |stream, reader| {
        say(stream, "220 mx\r\n");
        hear(reader, "EHLO");
        say(stream, "250-mx\r\n250 STARTTLS\r\n");
        hear(reader, "STARTTLS");
        say(stream, "220 go\r\n250-injected\r\n250 AUTH PLAIN\r\n");
        let _ = reader.read_to_end(&mut Vec::new());
    };
    let later: Act = |stream, reader| {
        say(stream, "220 mx\r\n");
        hear(reader, "EHLO");
        say(stream, "250-mx\r\n250 STARTTLS\r\n");
        hear(reader, "STARTTLS");
        say(stream, "220 go\r\n");
        // The first octets of the handshake have come.
        let _ = reader.read(&mut [0; 5]);
        say(stream, "250-injected\r\n250 AUTH PLAIN\r\n");
        let _ = reader.read_to_end(&mut Vec::new());
    };
    for settings in ["", "tls = \"opportunistic\""] {
        let reply = outcome(settings, 1, with_it);
        assert!(reply.starts_with("451 4.5.0 "), "{settings} {reply}");
    }
    let reply = outcome("", 1, later);
    assert!(reply.starts_with("451 4.7.5 "), "{reply}");
}
