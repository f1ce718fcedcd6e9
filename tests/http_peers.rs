//! HTTP servers that misbehave, asked by `fetch` and by `wasi:http`: each is a typed error, soon, and without taking much of what they send.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::support::http::Peer;
use crate::support::{Gateway, one_chain, plugin};

/// What the guests are told.
#[derive(Clone, Copy, Debug)]
enum Told {
    Timeout,
    /// The head has come, and the body not in time.
    BodyTimeout,
    HeadTooLarge,
    /// More than `response-octets`; `wasi:http` has the head by then.
    BodyTooLarge,
    Protocol,
    /// As `Protocol`, behind a head that was good.
    BodyProtocol,
    /// A response: how it begins.
    Response(&'static str),
}

impl Told {
    fn is_by_fetch(self, told: &str) -> bool {
        match self {
            Self::Timeout | Self::BodyTimeout => told == "timeout",
            Self::HeadTooLarge | Self::BodyTooLarge => told == "too-large",
            Self::Protocol | Self::BodyProtocol => told.starts_with("protocol "),
            Self::Response(begin) => told.starts_with(begin),
        }
    }

    fn is_by_wasi(self, told: &str) -> bool {
        match self {
            Self::Timeout => told == "ErrorCode::HttpResponseTimeout",
            Self::HeadTooLarge => told.starts_with("ErrorCode::HttpResponseHeaderSectionSize"),
            Self::Protocol => told == "ErrorCode::HttpProtocolError",
            // The head is there; the stream of the body ends with an error.
            Self::BodyTimeout | Self::BodyTooLarge | Self::BodyProtocol => {
                told.starts_with("200 ") && told.contains("LastOperationFailed")
            }
            Self::Response(begin) => told.starts_with(begin) && !told.contains("LastOperationFailed"),
        }
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

type Row = (&'static str, Peer, Told);

fn slow() -> Vec<Row> {
    vec![
        ("nothing at all", Peer::stalling(""), Told::Timeout),
        ("half a status line", Peer::stalling("HTTP/1.1 20"), Told::Timeout),
        ("a header section without an end", Peer::stalling("HTTP/1.1 200 OK\r\nX: y\r\n"), Told::Timeout),
        ("a field, octet by octet", Peer::dripping("HTTP/1.1 200 OK\r\nX: ", "y"), Told::Timeout),
        ("half a body", Peer::stalling("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx"), Told::BodyTimeout),
        (
            "a body, octet by octet",
            Peer::dripping("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", "x"),
            Told::BodyTimeout,
        ),
        ("a body without an end", Peer::dripping("HTTP/1.1 200 OK\r\n\r\n", "x"), Told::BodyTimeout),
        ("chunks, octet by octet", Peer::dripping(CHUNKED, "1\r\nx\r\n"), Told::BodyTimeout),
        (
            "half a chunk",
            Peer::stalling("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nx"),
            Told::BodyTimeout,
        ),
        (
            "chunks without the last",
            Peer::stalling("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"),
            Told::BodyTimeout,
        ),
        ("early hints, now and then", Peer::dripping("", "HTTP/1.1 103 Early Hints\r\n\r\n"), Told::Timeout),
        ("early hints, as fast as it can", Peer::endless("", "HTTP/1.1 103 Early Hints\r\n\r\n"), Told::Timeout),
    ]
}

fn large() -> Vec<Row> {
    vec![
        ("endless fields", Peer::endless(OK, "X-Again: 0123456789\r\n"), Told::HeadTooLarge),
        ("an endless field", Peer::endless("HTTP/1.1 200 OK\r\nX: ", "0123456789"), Told::HeadTooLarge),
        ("an endless status line", Peer::endless("HTTP/1.1 200 ", "0123456789"), Told::HeadTooLarge),
        (
            "100 GB, as announced",
            Peer::endless("HTTP/1.1 200 OK\r\nContent-Length: 107374182400\r\n\r\n", "0123456789"),
            Told::BodyTooLarge,
        ),
        ("an endless body", Peer::endless("HTTP/1.1 200 OK\r\n\r\n", "0123456789"), Told::BodyTooLarge),
        ("endless chunks", Peer::endless(CHUNKED, "a\r\n0123456789\r\n"), Told::BodyTooLarge),
        (
            "a chunk of 16 EB",
            Peer::endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff0\r\n", "x"),
            Told::BodyTooLarge,
        ),
        (
            "an endless chunk extension",
            Peer::endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", "x"),
            Told::BodyProtocol,
        ),
        ("a chunk size without an end", Peer::endless(CHUNKED, "0"), Told::BodyTimeout),
        (
            "endless trailers",
            Peer::endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n"),
            Told::BodyProtocol,
        ),
    ]
}

fn wrong() -> Vec<Row> {
    vec![
        ("another protocol", Peer::answering("220 mx.example.org ESMTP\r\n"), Told::Protocol),
        ("HTTP/0.9", Peer::leaving("hello\r\n"), Told::Protocol),
        ("HTTP/2", Peer::answering("\0\0\u{12}\u{4}\0\0\0\0\0"), Told::Protocol),
        ("HTTP/3.0", Peer::answering("HTTP/3.0 200 OK\r\n\r\n"), Told::Protocol),
        ("an impossible status", Peer::answering("HTTP/1.1 099 No\r\nContent-Length: 0\r\n\r\n"), Told::Protocol),
        ("a status of four digits", Peer::answering("HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"), Told::Protocol),
        ("NUL in a field", Peer::answering("HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n"), Told::Protocol),
        (
            "a folded field",
            Peer::answering("HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n"),
            Told::Protocol,
        ),
        (
            "a space before the colon",
            Peer::answering("HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n"),
            Told::Protocol,
        ),
        (
            "two lengths",
            Peer::answering("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy"),
            Told::Protocol,
        ),
        ("a length that is none", Peer::answering("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"), Told::Protocol),
        ("a negative length", Peer::answering("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), Told::Protocol),
        (
            "a length beyond all numbers",
            Peer::answering("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"),
            Told::Protocol,
        ),
        (
            "less than announced",
            Peer::leaving("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"),
            Told::BodyProtocol,
        ),
        (
            "a chunk size that is none",
            Peer::answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"),
            Told::BodyProtocol,
        ),
        (
            "a negative chunk",
            Peer::answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n"),
            Told::BodyProtocol,
        ),
        (
            "a chunk beyond all numbers",
            Peer::answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"),
            Told::BodyProtocol,
        ),
        (
            "a chunk that is longer than its size",
            Peer::answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n0\r\n\r\n"),
            Told::BodyProtocol,
        ),
        (
            "chunks without an end",
            Peer::leaving("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"),
            Told::BodyProtocol,
        ),
        ("nothing, and goes", Peer::leaving(""), Told::Protocol),
        ("half a head, and goes", Peer::leaving("HTTP/1.1 200 OK\r\nX"), Told::Protocol),
    ]
}

fn odd() -> Vec<Row> {
    vec![
        (
            "a redirect",
            Peer::answering("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
            Told::Response("302 0"),
        ),
        (
            "a body behind 204",
            Peer::answering("HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\nok"),
            Told::Response("204 0"),
        ),
        (
            "length and chunks",
            Peer::answering(
                "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            ),
            Told::Response("200 2 ok"),
        ),
        ("an end by close", Peer::leaving("HTTP/1.1 200 OK\r\n\r\nok"), Told::Response("200 2 ok")),
    ]
}

#[test]
fn each_is_a_typed_error_soon() {
    let peers: Vec<Row> = [slow(), large(), wrong(), odd()].into_iter().flatten().collect();
    let allow: Vec<String> = peers.iter().map(|(_, peer, _)| format!("\"http://{}\"", peer.address)).collect();
    let http = format!(
        "{{ http = {{ allow = [{}], private = [\"127.0.0.1\"], timeout = \"300 ms\", response-octets = 1000 }} }}",
        allow.join(", ")
    );
    for (guest, grants) in [("http-client", "\"log\", { secrets = {} }"), ("wasi-http", "\"metrics\"")] {
        let gateway = Gateway::start(&one_chain("[\"http\"]", &plugin("http", guest, &format!("[{grants}, {http}]"))));
        for (what, peer, expected) in &peers {
            let (field, is_expected): (_, fn(Told, &str) -> bool) = match guest {
                "http-client" => (format!("X-Fetch: GET http://{}/", peer.address), Told::is_by_fetch),
                _ => (format!("X-Wasi: GET http {} /", peer.address), Told::is_by_wasi),
            };
            let begin = Instant::now();
            let mut client = gateway.client();
            client.expect("EHLO client.example", "250");
            let reply = client.message("a@example.org", &["b@example.org"], &format!("{field}\r\n\r\nbody"));
            let told =
                reply.trim_end().strip_prefix("550 5.7.1 ").unwrap_or_else(|| panic!("{guest}: {what}: {reply}"));
            assert!(is_expected(*expected, told), "{guest}: {what}: expected {expected:?}, got {told:?}");
            assert!(begin.elapsed() < SOON, "{guest}: {what}: {:?}", begin.elapsed());
        }
    }
    for (what, peer, _) in &peers {
        let sent = peer.sent.load(Ordering::Relaxed);
        // What the kernel holds between two sockets, and no more; what is thrown away as it comes may be more, until the time is over.
        let is_thrown_away = what.contains("early hints") || what.contains("chunk size");
        assert!(sent < MAX_TAKEN_OCTETS || is_thrown_away, "{what}: {sent} octets were taken");
    }
}

/// What stands behind a response is none of the next one: the connection is not used again.
#[test]
fn what_is_sent_unasked_is_no_response() {
    let split = Peer::answering(
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrueHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged",
    );
    for (guest, grants, field) in [
        ("http-client", "\"log\", { secrets = {} }", "X-Fetch: GET http://"),
        ("wasi-http", "\"metrics\"", "X-Wasi: GET http "),
    ] {
        let http = format!("{{ http = {{ allow = [\"http://{}\"], private = [\"127.0.0.1\"] }} }}", split.address);
        let gateway = Gateway::start(&one_chain("[\"http\"]", &plugin("http", guest, &format!("[{grants}, {http}]"))));
        let path = if guest == "wasi-http" { " /" } else { "/" };
        for _ in 0..3 {
            let mut client = gateway.client();
            client.expect("EHLO client.example", "250");
            let message = format!("{field}{}{path}\r\nX-Repeat: 3\r\n\r\nbody", split.address);
            let reply = client.message("a@example.org", &["b@example.org"], &message);
            assert!(reply.starts_with("550 5.7.1 200 4 true"), "{guest}: {reply}");
        }
    }
    let heads = split.heads.lock().unwrap();
    let connections: std::collections::BTreeSet<usize> = heads.iter().map(|(connection, _)| *connection).collect();
    assert_eq!(connections.len(), heads.len(), "each request on a connection of its own");
}

/// A server that should speak TLS and does not; one that listens no more.
#[test]
fn no_connection() {
    let (silent, clear) = (Peer::start(|_| true), Peer::answering("HTTP/1.1 400 Bad Request\r\n\r\n"));
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap()
    };
    let mute = (mute.local_addr().unwrap(), mute);
    for (url, expected) in [
        (format!("https://{}", silent.address), "timeout"),
        (format!("https://{}", mute.0), "timeout"),
        (format!("http://{}", mute.0), "timeout"),
        (format!("http://{gone}"), "connection "),
    ] {
        let http = format!("{{ http = {{ allow = [\"{url}\"], private = [\"127.0.0.1\"], timeout = \"300 ms\" }} }}");
        let grants = format!("[\"log\", {{ secrets = {{}} }}, {http}]");
        let gateway = Gateway::start(&one_chain("[\"http\"]", &plugin("http", "http-client", &grants)));
        let begin = Instant::now();
        let mut client = gateway.client();
        client.expect("EHLO client.example", "250");
        let reply = client.message("a@example.org", &["b@example.org"], &format!("X-Fetch: GET {url}/\r\n\r\nbody"));
        assert!(reply.starts_with(&format!("550 5.7.1 {expected}")), "{url}: {reply}");
        assert!(begin.elapsed() < SOON, "{url}: {:?}", begin.elapsed());
    }
    drop(clear);
}

/// The guest's time-out is 0.3 s; a machine that is busy needs more.
const SOON: Duration = Duration::from_secs(10);
/// Of 100 GB: what fits into the buffers of the kernel, which grow to 6 MiB for one that reads, and to 4 MiB for one that writes.
const MAX_TAKEN_OCTETS: u64 = 16 << 20;
