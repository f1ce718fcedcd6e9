//! Secrets stay where they are: out of the log, whatever a plugin that has read one does with it, and out of a plugin's sight where the host adds
//! one to a request.

use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::support::client::Client;
use crate::support::http::Peer;
use crate::support::process::Process;
use crate::support::{Gateway, component, log, one_chain, plugin};

/// A file with a secret.
fn secret(folder: &Path, value: &str) -> PathBuf {
    let file = folder.join("secret");
    std::fs::write(&file, format!("{value}\n")).unwrap();
    file
}

/// With characters that are escaped in one way or the other on their way into the log.
const VALUE: &str = "Pa55\"w\\ord caf\u{e9}";
/// Of it, in any line that has it.
const PART: &str = "Pa55";

#[test]
fn the_log_has_no_secrets() {
    let scratch = tempfile::tempdir().unwrap();
    let file = secret(scratch.path(), VALUE);
    let grants = "[\"log\", { secrets = { read = [\"own\"] } }, { http = { allow = [\"http://a.example\"] } }]";
    let secrets = format!("[secret.own]\nfile = {:?}\n", file.display().to_string());
    let gateway = Gateway::start(&one_chain("[\"leaky\"]", &(plugin("leaky", "http-client", grants) + &secrets)));
    for (how, reply, line) in [
        ("print", "451 4.3.0", "printed: *** "),
        ("panic", "451 4.3.0", "leak "),
        ("log", "550 5.7.1 logged", "leak ***"),
        ("discard", "250 ", "leak ***"),
        ("label", "451 4.3.0", "leak ***!"),
        ("reply", "451 4.3.0", "the reply code is 999"),
        ("deliver", "550 5.7.1 the secret is ", "the secret is ***"),
    ] {
        let mut client = gateway.client();
        client.expect("EHLO client.example", "250");
        let told = client.message("a@example.org", &["b@example.org"], &format!("X-Leak: {how} own\r\n\r\nbody"));
        assert!(told.starts_with(reply), "{how}: {told}");
        let lines = log::lines(&[line]);
        assert!(lines.iter().any(|line| line.to_string().contains("leaky")), "{how}: {line:?} is not logged");
    }
    let lines = log::lines(&["leaky", "\"plugin failed\"", "***"]);
    assert!(lines.len() >= 3, "{lines:#?}");
    let told = log::lines(&[PART]);
    assert!(told.is_empty(), "{told:#?}");
}

const HEADER: &str = "0pen-5esame-7f3a";

/// Peers that a request with a secret goes to, and one that it must not go to.
fn peers() -> (Vec<Peer>, Peer) {
    let other = Peer::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let location =
        format!("HTTP/1.1 307 Elsewhere\r\nLocation: http://{}/\r\nContent-Length: 0\r\n\r\n", other.address);
    let peers = vec![
        Peer::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        Peer::answering(location.leak()),
        Peer::answering("no HTTP\r\n\r\n"),
        Peer::stalling(""),
        Peer::stalling("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx"),
        Peer::leaving(""),
        Peer::answering("HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"),
    ];
    (peers, other)
}

/// The grant: a secret header for each of the peers, and none for the other.
fn grant(peers: &[Peer], other: &Peer) -> String {
    let all: Vec<String> = peers.iter().chain([other]).map(|peer| format!("\"http://{}\"", peer.address)).collect();
    let header = |peer: &Peer| {
        let to = format!("http://{}", peer.address);
        format!("{{ to = \"{to}\", name = \"authorization\", prefix = \"Bearer \", secret = \"own\" }}")
    };
    let headers: Vec<String> = peers.iter().map(header).collect();
    format!(
        "{{ http = {{ allow = [{}], private = [\"127.0.0.1\"], timeout = \"300 ms\", headers = [{}] }} }}",
        all.join(", "),
        headers.join(", ")
    )
}

/// Asks all of them; the guest is told of no secret, and the peers have it or not.
fn ask(connect: impl Fn() -> Client, by_wasi: bool, peers: &[Peer], other: &Peer) {
    for peer in peers.iter().chain([other]) {
        let mut client = connect();
        client.expect("EHLO client.example", "250");
        let request = if by_wasi {
            format!("X-Wasi: GET http {} /", peer.address)
        } else {
            format!("X-Fetch: GET http://{}/", peer.address)
        };
        let told = client.message("a@example.org", &["b@example.org"], &format!("{request}\r\n\r\nbody"));
        assert!(told.starts_with("550 5.7.1 ") && !told.contains(HEADER), "{told}");
        // One of its own in the same place is refused, and tells nothing either.
        let mut client = connect();
        client.expect("EHLO client.example", "250");
        let message = format!("{request}\r\nX-Field: Authorization=mine\r\n\r\nbody");
        let told = client.message("a@example.org", &["b@example.org"], &message);
        assert!(!told.contains(HEADER), "{told}");
        if !std::ptr::eq(peer, other) {
            assert!(told.contains("denied the field authorization") || told.contains("HttpRequestDenied"), "{told}");
        }
    }
    let field = format!("authorization: Bearer {HEADER}\r\n");
    for peer in peers {
        let heads = peer.heads.lock().unwrap();
        assert!(!heads.is_empty() && heads.iter().all(|(_, head)| head.contains(&field)), "{heads:?}");
    }
    let heads = other.heads.lock().unwrap();
    assert!(!heads.is_empty() && heads.iter().all(|(_, head)| !head.contains(HEADER)), "{heads:?}");
}

#[test]
fn a_secret_header_is_seen_by_its_host_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let file = secret(scratch.path(), HEADER);
    for (guest, others) in [("http-client", "\"log\", { secrets = {} }"), ("wasi-http", "\"metrics\"")] {
        let (peers, other) = peers();
        let grants = format!("[{others}, {}]", grant(&peers, &other));
        let secrets = format!("[secret.own]\nfile = {:?}\n", file.display().to_string());
        let gateway = Gateway::start(&one_chain("[\"http\"]", &(plugin("http", guest, &grants) + &secrets)));
        ask(|| gateway.client(), guest == "wasi-http", &peers, &other);
    }
    assert!(log::lines(&[HEADER]).is_empty());
}

/// Of the binary itself, with everything in its log that there is.
#[test]
fn a_secret_header_is_not_even_traced() {
    let scratch = tempfile::tempdir().unwrap();
    let file = secret(scratch.path(), HEADER);
    let (peers, other) = peers();
    let settings = [
        format!("plugin.http.component={}", component("wasi-http").display()),
        format!("plugin.http.grants=[\"metrics\", {}]", grant(&peers, &other)),
        format!("secret.own.file={}", file.display()),
        "chain.main.plugins=[\"http\"]".to_owned(),
        "log.level=trace".to_owned(),
    ];
    let process = Process::start(scratch.path(), &settings.iter().map(String::as_str).collect::<Vec<_>>());
    ask(|| Client::connect(process.address), true, &peers, &other);
    process.signal(Signal::TERM);
    let (status, lines) = process.wait();
    assert_eq!(status.code(), Some(0));
    assert!(lines.iter().any(|line| line.contains("\"TRACE\"")), "nothing is traced");
    let told: Vec<&String> = lines.iter().filter(|line| line.contains(HEADER)).collect();
    assert!(told.is_empty(), "{told:#?}");
}
