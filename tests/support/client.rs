//! A plain SMTP client: sends lines, reads replies.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A connection to the gateway. Waiting for a reply longer than a minute fails the test.
pub(crate) struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    /// Connects, and reads the banner.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let (client, banner) = Self::greeted(address);
        assert!(banner.starts_with("220 "), "{banner}");
        client
    }

    /// Connects; the banner may be a refusal.
    pub(crate) fn greeted(address: SocketAddr) -> (Self, String) {
        let stream = TcpStream::connect(address).expect("the gateway listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
        stream.set_nodelay(true).expect("a socket");
        let mut client = Self { reader: BufReader::new(stream) };
        let banner = client.reply();
        (client, banner)
    }

    /// Sends octets as they are.
    pub(crate) fn send(&mut self, octets: &[u8]) {
        self.reader.get_mut().write_all(octets).expect("the gateway reads");
    }

    /// Reads one reply, all its lines, joined by LF.
    pub(crate) fn reply(&mut self) -> String {
        let mut text = String::new();
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).expect("a reply");
            assert!(line.ends_with("\r\n"), "the reply {line:?} after {text:?}");
            let line = line.trim_end_matches("\r\n");
            assert!(line.len() >= 4 && line.is_ascii(), "the reply line {line:?}");
            text.push_str(line);
            if line.as_bytes()[3] == b' ' {
                return text;
            }
            text.push('\n');
        }
    }

    /// Sends a command line, and reads its reply.
    pub(crate) fn say(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n").as_bytes());
        self.reply()
    }

    /// Says a line, whose reply must begin so.
    #[track_caller]
    pub(crate) fn expect(&mut self, line: &str, begin: &str) -> String {
        let reply = self.say(line);
        assert!(reply.starts_with(begin), "{line}: expected {begin}, got {reply}");
        reply
    }

    /// Sends a message in one transaction, and reads the reply to its mail data. `text` has no dots at the beginning of lines.
    #[track_caller]
    pub(crate) fn message(&mut self, from: &str, to: &[&str], text: &str) -> String {
        self.expect(&format!("MAIL FROM:<{from}>"), "250");
        for to in to {
            self.expect(&format!("RCPT TO:<{to}>"), "250");
        }
        self.expect("DATA", "354");
        self.say(&format!("{text}\r\n."))
    }

    /// Whether the gateway has closed the connection.
    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(self.reader.read(&mut [0]), Ok(0))
    }
}
