//! Connections to a relay: used again, bounded, closed when nobody uses them; and a relay that is away holds nobody up.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::{front, relay};
use crate::support::{Client, Gateway};

/// A server with a function for each connection, which is told its number.
pub(crate) fn server(act: impl Fn(usize, TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            let Ok(stream) = stream else { return };
            stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
            let act = act.clone();
            std::thread::spawn(move || act(n, stream));
        }
    });
    address
}

/// Follows the protocol, tells what it hears, and answers a message so.
fn serve(mut stream: TcpStream, taken: &str, heard: &Sender<String>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    let mut within = false;
    let mut say = |text: &str| stream.write_all(text.as_bytes()).is_ok();
    if !say("220 mx\r\n") {
        return;
    }
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            let _ = heard.send("closed".to_owned());
            return;
        }
        let line = line.trim_end();
        let reply = match (within, line.split(' ').next().unwrap_or_default()) {
            (true, ".") => {
                within = false;
                taken
            }
            (true, _) => continue,
            (false, "DATA") => {
                within = true;
                "354 go\r\n"
            }
            (false, "QUIT") => "221 bye\r\n",
            (false, _) => "250 ok\r\n",
        };
        if !within {
            let _ = heard.send(line.to_owned());
        }
        if !say(reply) {
            return;
        }
    }
}

fn greeted(front: &Gateway) -> Client {
    let mut client = front.client();
    client.expect("EHLO client.example", "250");
    client
}

fn send(client: &mut Client) -> String {
    client.message("a@example.com", &["bob@example.org"], "Subject: x\r\n\r\nx")
}

/// What the server has heard up to this.
#[track_caller]
fn until(heard: &Receiver<String>, end: &str) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let line =
            heard.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{end} does not come: {error} {lines:?}"));
        if line == end {
            return lines;
        }
        lines.push(line);
    }
}

const TRANSACTION: [&str; 3] = ["MAIL FROM:<a@example.com>", "RCPT TO:<bob@example.org>", "."];

#[test]
fn a_connection_is_used_again_and_then_closed() {
    let (sender, heard) = channel();
    let address = server(move |_, stream| serve(stream, "250 taken\r\n", &sender));
    let front = front(&relay(address, "tls = \"none\"\nmessages = 2\nidle = \"300 ms\""), tempfile::tempdir().unwrap());
    let mut client = greeted(&front);
    for _ in 0..3 {
        let reply = send(&mut client);
        assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    }
    // Two messages on the first, then it has had its share.
    let first = until(&heard, "QUIT");
    assert_eq!(first[1..], [&TRANSACTION[..], &["RSET"], &TRANSACTION[..]].concat(), "{first:?}");
    // Nobody asks any more: it is closed all the same, and not by the end of the gateway.
    let rest = until(&heard, "QUIT");
    assert!(rest.ends_with(&TRANSACTION.map(str::to_owned)), "{rest:?}");
    until(&heard, "closed");
    let reply = send(&mut client);
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
}

/// What nobody has asked for could be taken for the answer to something else.
#[test]
fn a_server_that_has_spoken_meanwhile_is_not_used_again() {
    let (sender, heard) = channel();
    let address = server(move |n, stream| {
        let taken = if n == 0 { "250 taken\r\n250 and nobody has asked\r\n" } else { "250 taken\r\n" };
        serve(stream, taken, &sender);
    });
    let front = front(&relay(address, "tls = \"none\""), tempfile::tempdir().unwrap());
    let mut client = greeted(&front);
    for _ in 0..2 {
        let reply = send(&mut client);
        assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    }
    let lines = until(&heard, "closed");
    assert!(!lines.contains(&"RSET".to_owned()), "{lines:?}");
}

#[test]
fn a_relay_that_is_away_holds_nobody_up() {
    let (sender, _heard) = channel();
    let (arrived, arrivals) = channel();
    let (go, gone) = channel::<()>();
    let gone = std::sync::Arc::new(std::sync::Mutex::new(gone));
    let address = server(move |n, stream| match n {
        // The first attempt fails, and the second takes its time.
        0 => drop(stream),
        1 => {
            arrived.send(()).expect("the test waits");
            let _ = gone.lock().expect("no panic").recv_timeout(PATIENCE);
            serve(stream, "250 taken\r\n", &sender);
        }
        _ => serve(stream, "250 taken\r\n", &sender),
    });
    let front = front(&relay(address, "tls = \"none\""), tempfile::tempdir().unwrap());
    let reply = send(&mut greeted(&front));
    assert!(reply.starts_with("451 4.4.2 "), "{reply}");
    let mut slow = greeted(&front);
    let waiting = std::thread::spawn(move || send(&mut slow));
    arrivals.recv_timeout(PATIENCE).expect("somebody tries");
    let mut client = greeted(&front);
    for _ in 0..3 {
        let reply = send(&mut client);
        assert!(reply.starts_with("451 4.4.1 "), "{reply}");
    }
    go.send(()).expect("the server waits");
    assert!(waiting.join().unwrap().starts_with("250 2.0.0 "));
    let reply = send(&mut client);
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
}

/// No more than the plugin's deadline.
const PATIENCE: Duration = Duration::from_secs(60);
