//! Servers that lie, stall, never stop talking, or close at any octet: `postgate send` says what was wrong, and ends.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;

use super::{check, send};

/// Takes one connection.
fn server(serve: impl FnOnce(TcpStream) + Send + 'static) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address: SocketAddr = listener.local_addr().expect("an address");
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        serve(stream);
    });
    (address.to_string(), thread)
}

/// Reads until the client has closed.
fn drain(stream: &mut TcpStream) {
    let _ = stream.read_to_end(&mut Vec::new());
}

/// Says all of this at once, and closes its side, or waits for the client to go.
fn saying(text: &str, closes: bool) -> (String, JoinHandle<()>) {
    let text = text.to_owned();
    server(move |mut stream| {
        let _ = stream.write_all(text.as_bytes());
        if closes {
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
        drain(&mut stream);
    })
}

#[test]
fn what_is_no_smtp() {
    let folder = tempfile::tempdir().unwrap();
    let long = format!("220 {}", "x".repeat(100_000));
    let endless = "220-x\r\n".repeat(100_000);
    for (text, closes, code, said, error) in [
        ("", true, 69, "", "the connection was lost"),
        ("", false, 69, "", "the server was silent for too long"),
        ("220 mx\r\n", false, 69, "C: EHLO client.example\n", "the server was silent for too long"),
        ("220-mx\r\n", false, 69, "S: 220-mx\n", "the server was silent for too long"),
        ("HTTP/1.1 400 Bad Request\r\n", false, 76, "S: HTTP/1.1 400 Bad Request\n", "a line without a reply code"),
        ("\x1b]0;title\x07\r\n", false, 76, "S: ?]0;title?\n", "a line without a reply code"),
        (&long, false, 76, "# that is no whole reply\n", "a line without end"),
        (&endless, false, 76, "S: 220-x\n", "a reply without end"),
        ("220-mx\r\n221 mx\r\n", false, 76, "S: 221 mx\n", "a reply with several codes"),
        ("220 mx\r\n250 mx\r\n250 OK\r\n250 OK\r\n", false, 76, "S: 250 mx\n", "what nobody has asked for"),
        ("554 5.7.1 go away\r\n", false, 77, "S: 554 5.7.1 go away\n", "the server refuses: 554 5.7.1 go away"),
        ("421 4.3.2 later\r\n", false, 75, "S: 421 4.3.2 later\n", "the server closes: 421 4.3.2 later"),
    ] {
        let (address, thread) = saying(text, closes);
        let ended = send(folder.path(), &address, "--timeout 500ms");
        check(&ended, code, &[said, "bob@example.org: not tried\n"], error);
        assert!(ended.stdout.len() < 100_000, "{}", ended.stdout.len());
        thread.join().expect("the server does not panic");
    }
}

/// A reply that trickles in is as late as one that does not come.
#[test]
fn a_reply_has_its_time_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (address, thread) = server(|mut stream| {
        // Until the client has gone.
        stream.set_read_timeout(Some(std::time::Duration::from_millis(20))).expect("a timeout");
        let mut octet = [0];
        while stream.write_all(b"2").is_ok() {
            if matches!(stream.read(&mut octet), Ok(0)) {
                break;
            }
        }
    });
    let ended = send(folder.path(), &address, "--timeout 500ms");
    check(&ended, 69, &[], "the server was silent for too long");
    thread.join().expect("the server does not panic");
}

/// A whole session, closed behind each of the server's octets: it always ends, and never says that a message was taken of which that is not known.
#[test]
fn closed_at_every_octet() {
    let folder = tempfile::tempdir().unwrap();
    let replies = [
        "220 mx\r\n",
        "250-mx\r\n250 CHUNKING\r\n",
        "250 2.1.0 ok\r\n",
        "250 2.1.5 ok\r\n",
        "250 2.0.0 taken\r\n",
        "221 2.0.0 bye\r\n",
    ];
    let (whole, taken) = (replies.concat().len(), replies[..5].concat().len());
    for end in 0..=whole {
        let (address, thread) = server(move |mut stream| {
            let mut left = end;
            let mut heard = [0; 4096];
            for (n, reply) in replies.iter().enumerate() {
                // Each reply behind what it answers; the message goes with its command.
                if n > 0 && stream.read(&mut heard).unwrap_or(0) == 0 {
                    return;
                }
                let part = &reply.as_bytes()[..reply.len().min(left)];
                left -= part.len();
                if stream.write_all(part).is_err() || part.len() < reply.len() {
                    break;
                }
            }
            let _ = stream.shutdown(std::net::Shutdown::Write);
            drain(&mut stream);
        });
        let ended = send(folder.path(), &address, "--bdat --timeout 10s --quiet");
        let expected = if end >= taken { 0 } else { 69 };
        assert_eq!(ended.code, Some(expected), "{end}: {}{}", ended.stdout, ended.stderr);
        assert_eq!(ended.stdout.contains("taken: 250"), end >= taken, "{end}: {}", ended.stdout);
        thread.join().expect("the server does not panic");
    }
}

/// A server that reads no further does not hold it up for ever, nor does one that refuses in the midst of mail data.
#[test]
fn in_the_midst_of_mail_data() {
    let folder = tempfile::tempdir().unwrap();
    for (behind, code, error) in [
        ("", 69, "the server was silent for too long"),
        ("552 5.3.4 enough\r\n", 77, "the server refuses: 552 5.3.4 enough"),
        ("250 2.0.0 taken\r\n", 76, "the server says what nobody has asked for"),
    ] {
        let (ended, is_over) = std::sync::mpsc::channel::<()>();
        let (address, thread) = server(move |mut stream| {
            let mut heard = [0; 1 << 16];
            for reply in ["220 mx\r\n", "250 mx\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n"] {
                let _ = stream.write_all(reply.as_bytes());
                let _ = stream.read(&mut heard);
            }
            let _ = stream.write_all(behind.as_bytes());
            // Reads nothing more, until the client has ended.
            let _ = is_over.recv();
        });
        let found = send(folder.path(), &address, "--size 100MiB --timeout 1s");
        check(&found, code, &["S: 354 go\n"], error);
        drop(ended);
        thread.join().expect("the server does not panic");
    }
}

#[test]
fn nobody_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    let ended = send(folder.path(), &port.to_string(), "");
    check(&ended, 69, &["bob@example.org: not tried"], "can't be reached: Connection refused");
    let ended = send(folder.path(), "does-not-exist.invalid:25", "");
    check(&ended, 69, &[], "does-not-exist.invalid:25: the host");
    check(&send(folder.path(), "a:b:c", ""), 64, &[], "--server wants HOST or HOST:PORT");
}
