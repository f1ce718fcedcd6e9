//! Clients that take their time, and what they hear. Gateway and client are on one thread, and its clock stands still but when a client
//! lets time pass: so an hour is over at once, and a machine that is busy makes nobody late.

use std::future::Future;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use postgate::server::Server;
use postgate::site::Site;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::support::mailbox::new_files;
use crate::support::{self, Gateway, one_chain, plugin, quickstart};

/// Plays against a gateway with this configuration on the same thread, and answers how many messages were delivered.
fn played<F: Future<Output = ()>>(text: &str, play: impl FnOnce(SocketAddr) -> F) -> usize {
    let data = support::memory();
    let config = support::config(text, data.path()).unwrap_or_else(|problems| panic!("{problems}"));
    let runtime = tokio::runtime::Builder::new_current_thread().event_interval(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let site = Site::load(&config).await.unwrap_or_else(|problems| panic!("{problems}"));
        let server = Server::bind(&config, site).await.unwrap_or_else(|problems| panic!("{problems}"));
        let address = server.addresses().next().expect("a listener").1;
        let (stop, stopped) = oneshot::channel::<()>();
        let told = async {
            // Dropped without a word is a word too.
            let _ = stopped.await;
        };
        tokio::time::pause();
        // As long as this thread waits the clock does not move on by itself.
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        let waiting = tokio::task::spawn_blocking(move || wait.recv().is_ok());
        let serving = tokio::spawn(server.run(told, std::future::pending()));
        play(address).await;
        drop(stop);
        drop(go_on);
        waiting.await.expect("it does not panic");
        assert_eq!(serving.await.expect("the gateway does not panic"), 0, "sessions were left over");
    });
    new_files(&data.path().join("mail")).len()
}

/// The quickstart with these limits of its listener.
fn limited(limits: &str) -> String {
    quickstart().replace("chain = \"main\"", &format!("chain = \"main\"\nlimits = {{ {limits} }}"))
}

/// Lets time pass, and gateway and system have their turns in it.
async fn pass(seconds: u64) {
    for _ in 0..seconds {
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
    }
}

/// Whether octets that were sent from this port are still in the queue of one end of the connection, as the system tells.
fn octets_under_way(port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("a system that tells of its connections");
    let ours = format!(":{port:04X}");
    table.lines().skip(1).any(|line| {
        let mut columns = line.split_whitespace().skip(1);
        let (Some(local), Some(remote), Some(state), Some(queues)) =
            (columns.next(), columns.next(), columns.next(), columns.next())
        else {
            return false;
        };
        let (to_send, to_read) = queues.split_once(':').unwrap_or_default();
        let is_empty = |queue: &str| queue.bytes().all(|digit| digit == b'0');
        // 01: established. A gateway that has closed reads no more.
        state == "01" && (local.ends_with(&ours) && !is_empty(to_send) || remote.ends_with(&ours) && !is_empty(to_read))
    })
}

struct Client {
    stream: TcpStream,
    begun: Instant,
}

impl Client {
    /// Connects, and does not wait for the banner.
    async fn unheard(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the gateway listens");
        Self { stream, begun: Instant::now() }
    }

    async fn connected(address: SocketAddr) -> Self {
        let mut client = Self::unheard(address).await;
        assert!(client.reply().await.starts_with("220 "));
        client
    }

    /// Connects, and says EHLO.
    async fn greeted(address: SocketAddr) -> Self {
        let mut client = Self::connected(address).await;
        client.expect("EHLO client.example\r\n", "250").await;
        client
    }

    async fn send(&mut self, text: &str) {
        if let Err(error) = self.stream.write_all(text.as_bytes()).await {
            panic!("{error} after {:?}, and the gateway says {}", self.begun.elapsed(), self.reply().await);
        }
        self.is_heard().await;
    }

    /// Sends this again and again, and reads nothing, until the gateway does not read either.
    async fn floods(&mut self, text: &str) {
        let octets = text.repeat(1000).into_bytes();
        let (mut from, mut turns) = (0, 0);
        while turns < FULL_TURNS {
            match self.stream.try_write(&octets[from..]) {
                Ok(written) => (from, turns) = ((from + written) % octets.len(), 0),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => turns += 1,
                Err(error) => panic!("{error}"),
            }
            tokio::task::yield_now().await;
        }
    }

    /// Until the gateway has read all that was sent. The clock stands still, but the system takes its time.
    async fn is_heard(&self) {
        let our_port = self.stream.local_addr().expect("a socket").port();
        while octets_under_way(our_port) {
            tokio::task::yield_now().await;
        }
    }

    async fn reply(&mut self) -> String {
        let mut reply = String::new();
        while !(reply.ends_with('\n') && reply.lines().last().is_some_and(|line| line.as_bytes().get(3) == Some(&b' ')))
        {
            let octet = self.stream.read_u8().await.unwrap_or_else(|error| panic!("{error} behind {reply:?}"));
            reply.push(octet.into());
        }
        reply
    }

    #[track_caller]
    fn expect(&mut self, text: &str, begin: &str) -> impl Future<Output = ()> {
        let (text, begin) = (text.to_owned(), begin.to_owned());
        async move {
            self.send(&text).await;
            let reply = self.reply().await;
            assert!(reply.starts_with(&begin), "{text}: expected {begin}, got {reply}");
        }
    }

    /// Opens a transaction.
    async fn transaction(&mut self) {
        self.expect("MAIL FROM:<>\r\n", "250").await;
        self.expect("RCPT TO:<bob@example.org>\r\n", "250").await;
    }

    /// Sends the text again and again after so many seconds, until the gateway says this and closes, at that second of the session.
    async fn ends(mut self, text: &str, pause_s: u64, expected: &str, at_s: u64) {
        let mut heard = String::new();
        let mut octets = [0; 1024];
        let mut closing_s = None;
        for second in 1_u64.. {
            assert!(second < 10_000, "it does not end, and says {heard:?}");
            pass(1).await;
            match self.stream.try_read(&mut octets) {
                Ok(0) => break,
                Ok(read) => heard += &String::from_utf8_lossy(&octets[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error} behind {heard:?}"),
            }
            if heard.contains("421 ") {
                closing_s.get_or_insert(self.begun.elapsed().as_secs());
            } else if second.is_multiple_of(pause_s) {
                // The gateway may have closed, which shows when it is read from.
                if self.stream.write_all(text.as_bytes()).await.is_ok() {
                    self.is_heard().await;
                }
            }
        }
        let last = heard.lines().last().unwrap_or_default();
        assert!(last.starts_with(expected), "expected {expected}, got {heard}");
        let closing_s = closing_s.expect("it was heard");
        // A busy system may need some turns until the reply arrives.
        assert!((at_s..=at_s + 20).contains(&closing_s), "{expected}: after {closing_s} s in place of {at_s} s");
    }
}

#[test]
fn silence_has_a_bound_in_each_state() {
    let limits = "command-patience = \"100 s\", transaction-patience = \"30 s\", data-patience = \"20 s\"";
    let delivered = played(&limited(limits), async |address| {
        Client::greeted(address).await.ends("", 7, "421 4.4.2 Silent", 100).await;
        let mut client = Client::greeted(address).await;
        client.transaction().await;
        client.ends("", 7, "421 4.4.2 Silent", 30).await;
        let mut client = Client::greeted(address).await;
        client.transaction().await;
        client.expect("DATA\r\n", "354").await;
        client.ends("", 7, "421 4.4.2 Silent", 20).await;
    });
    assert_eq!(delivered, 0);
}

#[test]
fn a_line_octet_by_octet_ends_in_time() {
    played(&limited("command-patience = \"100 s\""), async |address| {
        Client::greeted(address).await.ends("N", 30, "421 4.4.2 Too slow", 130).await;
        // Bare LFs end no line.
        Client::greeted(address).await.ends("\n", 30, "421 4.4.2 Too slow", 130).await;
        let mut client = Client::greeted(address).await;
        client.send("AUTH PLAIN ").await;
        client.ends("=", 30, "421 4.4.2 Too slow", 100).await;
    });
}

#[test]
fn mail_data_comes_at_a_rate() {
    let limits = "data-rate-min = 100, data-grace = \"60 s\"";
    let delivered = played(&limited(limits), async |address| {
        let mut client = Client::greeted(address).await;
        client.transaction().await;
        client.expect("DATA\r\n", "354").await;
        client.ends("x", 40, "421 4.4.2 Too slow", 60).await;
        let mut client = Client::greeted(address).await;
        client.transaction().await;
        client.send("BDAT 1000\r\n").await;
        client.ends("x", 40, "421 4.4.2 Too slow", 60).await;
        // Twice as fast as it has to be, for ten times the grace.
        let mut client = Client::greeted(address).await;
        client.transaction().await;
        client.expect("DATA\r\n", "354").await;
        for _ in 0..60 {
            pass(10).await;
            client.send(&"0123456789abcdef\r\n".repeat(112)).await;
        }
        client.expect(".\r\n", "250").await;
        // Chunks are small and soon over: what counts is the message.
        let mut client = Client::greeted(address).await;
        client.transaction().await;
        for _ in 0..3 {
            client.send("BDAT 1\r\n").await;
            pass(19).await;
            client.expect("x", "250").await;
        }
        client.send("BDAT 1\r\n").await;
        client.ends("", 40, "421 4.4.2 Too slow", 60).await;
    });
    assert_eq!(delivered, 1);
}

#[test]
fn a_session_ends() {
    played(&limited("session-time = \"200 s\""), async |address| {
        Client::greeted(address).await.ends("NOOP\r\n", 30, "421 4.3.2 The session", 200).await;
        // What is open may go on, and ends as well.
        let mut client = Client::greeted(address).await;
        client.transaction().await;
        client.ends("NOOP\r\n", 30, "421 4.3.2 The session", 400).await;
        let mut client = Client::greeted(address).await;
        client.transaction().await;
        client.expect("DATA\r\n", "354").await;
        client.ends(&"x\r\n".repeat(10_000), 10, "421 4.3.2 The session", 400).await;
        let mut client = Client::greeted(address).await;
        client.transaction().await;
        pass(250).await;
        client.expect("DATA\r\n", "354").await;
        client.send("Subject: x\r\n\r\nx\r\n.\r\n").await;
        assert!(client.reply().await.starts_with("250 "));
        client.ends("", 30, "421 4.3.2 The session", 250).await;
    });
}

/// One instance for all: who is silent in a transaction keeps it until somebody else wants it.
#[test]
fn a_silent_transaction_gives_way() {
    let plugins = plugin("policy", "policy", "[]") + "limits.instances = 1\n";
    played(&one_chain("[\"policy\"]", &plugins), async |address| {
        let mut silent = Client::greeted(address).await;
        silent.transaction().await;
        pass(60).await;
        silent.expect("RCPT TO:<carol@example.org>\r\n", "250").await;
        pass(20).await;
        // It is asked about before its banner, and waits for the instance.
        let mut other = Client::unheard(address).await;
        pass(5).await;
        assert!(other.reply().await.starts_with("220 "));
        other.expect("EHLO client.example\r\n", "250").await;
        assert!(silent.reply().await.starts_with("421 4.3.2 Silent while others wait"));
        // Who has only just been heard of is not asked to.
        drop(other);
        let mut busy = Client::greeted(address).await;
        busy.transaction().await;
        let mut late = Client::unheard(address).await;
        for _ in 0..4 {
            pass(5).await;
            busy.expect("RCPT TO:<bob@example.org>\r\n", "250").await;
        }
        let reply = late.reply().await;
        assert!(reply.starts_with("421 "), "{reply}");
    });
}

/// As little as by silence an instance is kept by not reading replies, or by a line that goes on and on.
#[test]
fn who_does_not_move_in_a_transaction_gives_way() {
    let plugins = plugin("policy", "policy", "[]") + "limits.instances = 1\n";
    let text = one_chain("[\"policy\"]", &plugins);
    let text = text.replacen("auth-in-clear", "limits.idle-commands = 1_000_000\nauth-in-clear", 1);
    played(&text, async |address| {
        let mut deaf = Client::greeted(address).await;
        deaf.transaction().await;
        deaf.floods("HELP\r\n").await;
        pass(20).await;
        let mut other = Client::unheard(address).await;
        pass(5).await;
        assert!(other.reply().await.starts_with("220 "));
        drop((deaf, other));

        let mut slow = Client::greeted(address).await;
        slow.transaction().await;
        for _ in 0..3 {
            pass(5).await;
            slow.send("N").await;
        }
        let mut other = Client::unheard(address).await;
        pass(5).await;
        assert!(other.reply().await.starts_with("220 "));
        assert!(slow.reply().await.starts_with("421 4.3.2 Silent while others wait"));
    });
}

#[test]
fn who_is_turned_away_hears_why() {
    let gateway = Gateway::start(&limited("connections = 1"));
    let mut first = gateway.client();
    let mut stream = std::net::TcpStream::connect(gateway.address).unwrap();
    // It has spoken already, and would be reset where nobody reads what it says.
    stream.write_all(&b"EHLO client.example\r\n".repeat(100)).unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).expect("an end, not a reset");
    assert_eq!(heard, "421 4.3.2 Too many connections, try again later\r\n");
    first.expect("NOOP", "250");
}

/// RFC 4865: what EHLO tells holds.
#[test]
fn messages_are_held_until_a_time_to_come() {
    let settings = quickstart().replace("chain = \"main\"", "chain = \"main\"\nextensions-on = [\"FUTURERELEASE\"]");
    let gateway = Gateway::start(&settings);
    let mut client = gateway.client();
    let greeting = client.expect("EHLO client.example", "250");
    let told = greeting.lines().find_map(|line| line.split_once("FUTURERELEASE 2592000 ")).expect("the extension").1;
    client.expect(&format!("MAIL FROM:<> HOLDUNTIL={told}"), "250");
    client.expect("RSET", "250");
    client.expect("MAIL FROM:<> HOLDUNTIL=2026-01-01T00:00:00Z", "501 5.5.4 The time to hold");
    client.expect("MAIL FROM:<> HOLDUNTIL=2099-01-01T00:00:00Z", "501 5.5.4 Messages are not held");
}

/// Turns of the thread in which what was sent arrives, and is answered.
const TURNS: usize = 8;
/// Turns in which nothing can be written until it is sure that nobody reads.
const FULL_TURNS: usize = 1000;
