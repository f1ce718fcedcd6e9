//! HTTP servers to speak to: Python's own, and one that answers with whatever octets a test wants.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use super::root;

/// `http_server.py`, ended when dropped.
pub(crate) struct Server {
    child: Child,
    told: BufReader<ChildStdout>,
    pub port: u16,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with("{}", None)
    }

    /// With responses for `/hooks/NAME` as a JSON object, and perhaps below TLS.
    pub(crate) fn with(hooks: &str, tls: Option<(&Path, &str)>) -> Self {
        let mut command = Command::new("python3");
        command.arg("-u").arg(root().join("tests/support/http_server.py")).arg(hooks);
        if let Some((folder, name)) = tls {
            command.arg(folder.join(format!("{name}.pem"))).arg(folder.join(format!("{name}.key")));
        }
        let mut child = command.stdout(Stdio::piped()).spawn().expect("python3 runs");
        let mut told = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut port = String::new();
        told.read_line(&mut port).expect("it says its port");
        Self { child, told, port: port.trim().parse().expect("a port") }
    }

    /// The next request that it was sent.
    pub(crate) fn told(&mut self) -> Value {
        let mut line = String::new();
        self.told.read_line(&mut line).expect("it says what it was sent");
        serde_json::from_str(&line).expect("JSON")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A peer that does with a connection, behind the head of a request, what a test wants.
pub(crate) struct Peer {
    pub address: SocketAddr,
    /// The heads of the requests so far, with the number of the connection.
    pub heads: Arc<Mutex<Vec<(usize, String)>>>,
    /// Octets that somebody has taken from one that is endless.
    pub sent: Arc<AtomicU64>,
}

impl Peer {
    /// `act` is given the connection after each head; it closes the connection by answering false.
    pub(crate) fn start(act: impl Fn(&mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("an address");
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (told, act) = (heads.clone(), Arc::new(act));
        std::thread::spawn(move || {
            for (n, stream) in socket.incoming().enumerate() {
                let Ok(mut stream) = stream else { return };
                let (told, act) = (told.clone(), act.clone());
                std::thread::spawn(move || {
                    while let Some(head) = head(&mut stream) {
                        told.lock().expect("no panic").push((n, head));
                        if !act(&mut stream) {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, heads, sent: Arc::default() }
    }

    /// Answers each request with these octets.
    pub(crate) fn answering(octets: &'static str) -> Self {
        Self::start(|stream| stream.write_all(octets.as_bytes()).is_ok())
    }

    /// Writes these octets, again and again, as long as somebody reads.
    pub(crate) fn endless(begin: &'static str, again: &'static str) -> Self {
        let sent = Arc::new(AtomicU64::new(0));
        let count = sent.clone();
        let again = again.repeat(4096 / again.len());
        let peer = Self::start(move |stream| {
            let mut written = stream.write(begin.as_bytes());
            while let Ok(octets) = written {
                count.fetch_add(octets as u64, Ordering::Relaxed);
                written = stream.write(again.as_bytes());
            }
            false
        });
        Self { sent, ..peer }
    }

    /// Writes these octets, and then nothing until the other side goes.
    pub(crate) fn stalling(octets: &'static str) -> Self {
        Self::start(move |stream| {
            let begun = stream.write_all(octets.as_bytes());
            let _ = begun.and_then(|()| stream.read(&mut [0]));
            false
        })
    }

    /// Writes these octets, and then one after the other, with a pause before each, until the other side goes.
    pub(crate) fn dripping(begin: &'static str, drop: &'static str) -> Self {
        Self::start(move |stream| {
            let pause = stream.set_read_timeout(Some(Duration::from_millis(20)));
            let mut written = pause.and_then(|()| stream.write_all(begin.as_bytes()));
            // Nothing comes: that is the pause.
            while written.is_ok() && !matches!(stream.read(&mut [0]), Ok(0)) {
                written = stream.write_all(drop.as_bytes());
            }
            false
        })
    }

    /// Writes these octets, and goes.
    pub(crate) fn leaving(octets: &'static str) -> Self {
        Self::start(move |stream| {
            // It is read to the end, or what is written might be lost in a reset.
            let _ = stream.write_all(octets.as_bytes()).and_then(|()| stream.shutdown(Shutdown::Write));
            false
        })
    }
}

/// The head of a request; its body is left in the socket.
fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut octet = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut octet).ok()? == 0 {
            return None;
        }
        head.extend_from_slice(&octet);
    }
    String::from_utf8(head).ok()
}
