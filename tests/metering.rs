//! What plugins use of host services is counted: the numbers of dialogues that are known to the octet, and calls that are cancelled at their deadline, which are
//! counted too and leave nothing behind.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::relay::pool::server;
use crate::support::http::Peer;
use crate::support::{Gateway, one_chain, plugin};

const METRICS: &str = "[http.web]\nbind = \"127.0.0.1:0\"\nmounts = [{ path = \"/metrics\", metrics = true }]\n";

/// The counters of one service of one plugin.
#[derive(Debug, PartialEq)]
struct Used {
    calls: u64,
    octets: u64,
    refused: u64,
}

/// What a plugin has used of a service, and for how many seconds.
#[track_caller]
fn used(gateway: &Gateway, plugin: &str, service: &str) -> (Used, f64) {
    let mut stream = TcpStream::connect(gateway.addresses["web"]).expect("the gateway listens");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it answers");
    let figure = |name: &str| -> f64 {
        let row = format!("postgate_service_{name}_total{{plugin=\"{plugin}\",service=\"{service}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&row));
        value.unwrap_or_else(|| panic!("{row} is not in {text}")).parse().expect("a number")
    };
    let [calls, octets, refused] = ["calls", "octets", "refused"].map(|name| figure(name) as u64);
    (Used { calls, octets, refused }, figure("seconds"))
}

#[test]
fn a_known_dialogue() {
    let store = plugin("store", "storage", "[\"key-value\", \"sqlite\"]") + "limits.service-calls = 3\n";
    let delivery = plugin("delivery", "maildir", "[\"log\", \"config\", { maildir = \"mail\" }]");
    let delivery = format!("{delivery}config = {{ domains = \"all\" }}\n");
    let policy = plugin("policy", "policy", "[]");
    let chain = one_chain("[\"store\", \"policy\", \"delivery\"]", &[&store, &policy, &delivery, METRICS].concat());
    let gateway = Gateway::start(&chain);
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    // Key and value; the key, and the value that is found; the key alone.
    client.expect("XKV set key 12345", "250");
    client.expect("XKV get key", "250 2.0.0 12345");
    client.expect("XKV get nix", "250 2.0.0 none");
    let (found, seconds) = used(&gateway, "store", "key-value");
    assert_eq!(found, Used { calls: 3, octets: 8 + 8 + 3, refused: 0 });
    assert!(seconds > 0.0 && seconds < 60.0, "{seconds}");
    // The fourth call of a hook is one too many: it is counted among the calls and the refused.
    client.expect(
        "XDB do create table t (a) ;; do insert into t values (1) ;; ask select a from t ;; ask select 2",
        "250",
    );
    let (found, _) = used(&gateway, "store", "sqlite");
    assert_eq!((found.calls, found.refused), (4, 1));
    let text = "Subject: x\r\n\r\nx";
    let reply = client.message("a@example.com", &["bob@example.org", "carol@example.org"], text);
    assert!(reply.starts_with("250 "), "{reply}");
    let (found, _) = used(&gateway, "delivery", "maildir");
    assert_eq!(found, Used { calls: 2, octets: 2 * (text.len() as u64 + 2), refused: 0 });
    let (found, _) = used(&gateway, "delivery", "config");
    assert!(found.calls > 0 && found.octets > 0, "{found:?}");
}

/// A deadline cuts a call off that waits, and the next one gets on: with one connection, one request at a time, one look-up at a time.
#[test]
fn a_call_that_is_cancelled() {
    // The relay.
    let address = server(|n, mut stream| {
        if n > 0 {
            let _ = stream.write_all(b"220 mx\r\n421 4.3.2 closing\r\n");
        }
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let relay = format!(
        "[relay.upstream]\nhost = \"a.example\"\naddresses = [\"127.0.0.1\"]\nport = {}\ntls = \"none\"\nconnections = 1\n",
        address.port()
    );
    let guest = plugin("guest", "submit", "[{ submit = [\"upstream\"] }]") + "limits.deadline = \"400 ms\"\n";
    let gateway = Gateway::start(&one_chain("[\"guest\"]", &[&guest, &relay, METRICS].concat()));
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    let mut send = || client.message("a@example.com", &["notice@example.org"], "Subject: x\r\n\r\nx");
    let reply = send();
    assert!(reply.starts_with("451 4.3.0 "), "the deadline: {reply}");
    let (first, seconds) = used(&gateway, "guest", "submit");
    assert_eq!((first.calls, first.refused), (1, 0));
    assert!((0.2..10.0).contains(&seconds), "{seconds}");
    // The place is free, and the connection a new one, on which the server says no.
    let reply = send();
    assert!(reply.starts_with("450 4.2.0 deferred 451"), "{reply}");
    assert_eq!(used(&gateway, "guest", "submit").0.calls, 2);

    // HTTP.
    let silent = Arc::new(AtomicBool::new(true));
    let is_silent = silent.clone();
    let peer = Peer::start(move |stream| match is_silent.swap(false, Ordering::Relaxed) {
        true => stream.read(&mut [0]).is_ok_and(|octets| octets > 0),
        false => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_ok(),
    });
    let url = format!("http://127.0.0.1:{}", peer.address.port());
    let grant = format!(
        "[\"log\", {{ secrets = {{}} }}, {{ http = {{ allow = [\"{url}\"], private = [\"127.0.0.0/8\"], concurrent = 1 }} }}]"
    );
    let guest = plugin("guest", "http-client", &grant) + "limits.deadline = \"400 ms\"\n";
    let gateway = Gateway::start(&one_chain("[\"guest\"]", &[&guest, METRICS].concat()));
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    let mut send = || client.message("a@example.com", &["b@example.org"], &format!("X-Fetch: GET {url}/\r\n\r\nx"));
    let reply = send();
    assert!(reply.starts_with("451 4.3.0 "), "the deadline: {reply}");
    let (first, seconds) = used(&gateway, "guest", "http");
    assert_eq!((first.calls, first.refused), (1, 0));
    assert!((0.2..10.0).contains(&seconds), "{seconds}");
    let reply = send();
    assert!(reply.starts_with("550 5.7.1 200"), "{reply}");
    assert_eq!(used(&gateway, "guest", "http").0, Used { calls: 2, octets: 2, refused: 0 });

    // The DNS: what the first look-up held the second one has, or it would hear at once that there are too many.
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = server.local_addr().unwrap();
    let dns = format!(
        "[dns]\nservers = [\"{address}\"]\ntimeout = \"60 s\"\nattempts = 1\nlookups = 1\nlookups-per-plugin = 1\n"
    );
    let grants = "[\"dns\", \"mail-authentication\", { signing = [] }]";
    let guest = plugin("guest", "network", grants) + "limits.deadline = \"400 ms\"\n";
    let gateway = Gateway::start(&one_chain("[\"guest\"]", &[&guest, &dns, METRICS].concat()));
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    client.expect("MAIL FROM:<a@example.com>", "250");
    for calls in 1..=3 {
        client.expect(&format!("RCPT TO:<\"addresses=a{calls}.example\"@dns.test>"), "451 4.3.0 ");
        let (found, seconds) = used(&gateway, "guest", "dns");
        assert_eq!(found, Used { calls, octets: calls * 10, refused: 0 });
        assert!(seconds > 0.2 * calls as f64, "{seconds}");
    }
}
