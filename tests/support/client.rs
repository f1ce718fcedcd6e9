//! A plain SMTP client: sends lines, reads replies.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion, StreamOwned};
use tokio::net::TcpSocket;

/// A connection to the gateway. Waiting for a reply longer than a minute fails the test.
pub(crate) struct Client {
    reader: BufReader<Box<dyn Stream>>,
    /// Our end.
    address: SocketAddr,
}

/// What a handshake has shown of the gateway.
pub(crate) struct Shown {
    pub certificate: CertificateDer<'static>,
    pub version: ProtocolVersion,
    pub kind: HandshakeKind,
}

/// In clear or below TLS.
trait Stream: Read + Write + Send {
    /// The end of TLS, where there is one; sent by the next flush.
    fn notify_close(&mut self);
}

impl Stream for TcpStream {
    fn notify_close(&mut self) {}
}

impl Stream for StreamOwned<ClientConnection, Box<dyn Stream>> {
    fn notify_close(&mut self) {
        self.conn.send_close_notify();
    }
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
        let mut client = Self::silent(address);
        let banner = client.reply();
        (client, banner)
    }

    /// Connects from this address of ours, and reads the banner.
    pub(crate) fn connect_from(own: IpAddr, address: SocketAddr) -> Self {
        let mut client = Self::silent_from(own, address);
        let banner = client.reply();
        assert!(banner.starts_with("220 "), "{banner}");
        client
    }

    /// Connects, and reads nothing.
    pub(crate) fn silent(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).expect("the gateway listens"))
    }

    /// As `silent`, from another address of this machine.
    pub(crate) fn silent_from(source: IpAddr, address: SocketAddr) -> Self {
        let connected = super::runtime().block_on(async {
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::new(source, 0))?;
            socket.connect(address).await?.into_std()
        });
        let stream = connected.expect("the gateway listens");
        stream.set_nonblocking(false).expect("a socket");
        Self::over(stream)
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
        stream.set_nodelay(true).expect("a socket");
        let address = stream.local_addr().expect("a socket");
        Self { reader: BufReader::new(Box::new(stream)), address }
    }

    /// Does the handshake of TLS, as a client of the server of that name.
    pub(crate) fn secure(self, config: &Arc<ClientConfig>, name: &str) -> io::Result<(Self, Shown)> {
        assert!(self.reader.buffer().is_empty(), "the gateway says {:?}", self.reader.buffer());
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let mut connection = ClientConnection::new(config.clone(), name).expect("a configuration");
        let mut stream = self.reader.into_inner();
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        let shown = Shown {
            certificate: connection
                .peer_certificates()
                .and_then(<[_]>::first)
                .expect("a certificate")
                .clone()
                .into_owned(),
            version: connection.protocol_version().expect("a version"),
            kind: connection.handshake_kind().expect("a handshake"),
        };
        let stream: Box<dyn Stream> = Box::new(StreamOwned::new(connection, stream));
        Ok((Self { reader: BufReader::new(stream), address: self.address }, shown))
    }

    /// Ends TLS, but not the connection.
    pub(crate) fn notify_close(&mut self) {
        let stream = self.reader.get_mut();
        stream.notify_close();
        stream.flush().expect("the gateway reads");
    }

    /// Our end of the connection.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Reads what comes, once.
    pub(crate) fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        self.reader.read(octets)
    }

    /// Sends octets as they are.
    pub(crate) fn send(&mut self, octets: &[u8]) {
        let stream = self.reader.get_mut();
        stream.write_all(octets).and_then(|()| stream.flush()).expect("the gateway reads");
    }

    /// Reads one reply, all its lines, joined by LF.
    pub(crate) fn reply(&mut self) -> String {
        self.try_reply().expect("a reply")
    }

    /// As `reply`, from a gateway that may refuse to go on.
    pub(crate) fn try_reply(&mut self) -> io::Result<String> {
        let mut text = String::new();
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line)?;
            assert!(line.ends_with("\r\n"), "the reply {line:?} after {text:?}");
            let line = line.trim_end_matches("\r\n");
            assert!(line.len() >= 4 && line.is_ascii(), "the reply line {line:?}");
            text.push_str(line);
            if line.as_bytes()[3] == b' ' {
                return Ok(text);
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

    /// The gateway closes the connection, and has said nothing.
    #[track_caller]
    pub(crate) fn expect_closed(&mut self) {
        match self.reader.read(&mut [0; 64]) {
            Ok(0) => {}
            // What it has not read it has thrown away.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            other => panic!("not closed: {other:?}"),
        }
    }

    /// Whether the gateway has closed the connection.
    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(self.reader.read(&mut [0]), Ok(0))
    }
}
