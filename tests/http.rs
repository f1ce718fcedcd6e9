//! Outgoing HTTP and secrets, used by a guest that was granted them, and refused to one that was not: a real server, servers that misbehave,
//! addresses that are nobody's business.

use crate::support::certificates::Authority;
use crate::support::http::{Peer, Server};
use crate::support::{self, Gateway, load, one_chain, plugin};

/// A gateway whose only plugin is this guest.
fn gateway(guest: &str, grants: &str, more: &str) -> Gateway {
    Gateway::start(&one_chain("[\"http\"]", &(plugin("http", guest, grants) + more)))
}

/// A gateway whose guest may speak to one port of this machine.
fn local(port: u16, more: &str) -> Gateway {
    let grant = format!(
        "[\"log\", {{ secrets = {{}} }}, {{ http = {{ allow = [\"http://127.0.0.1:{port}\"], private = [\"127.0.0.0/8\"] {more} }} }}]"
    );
    gateway("http-client", &grant, "")
}

/// What the guest says of a message with these fields.
fn told(gateway: &Gateway, fields: &str) -> String {
    told_of(gateway, &format!("{fields}\r\n\r\nbody"))
}

fn told_of(gateway: &Gateway, message: &str) -> String {
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    let reply = client.message("a@example.org", &["b@example.org"], message);
    let told = reply.strip_prefix("550 5.7.1 ").unwrap_or_else(|| panic!("the guest failed: {reply}"));
    told.trim_end().to_owned()
}

#[track_caller]
fn check(gateway: &Gateway, fields: &str, expected: &str) {
    let told = told(gateway, fields);
    assert!(told.starts_with(expected), "{fields}: expected {expected:?}, got {told:?}");
}

#[test]
fn without_a_grant_nothing_is_loaded() {
    for (guest, grants, expected) in [
        ("http-client", "[\"log\", { secrets = {} }]", "it imports postgate:mail/fetch@0.1.0, which was not granted"),
        (
            "http-client",
            "[\"log\", { http = { allow = [\"http://a\"] } }]",
            "postgate:mail/secrets@0.1.0, which was not granted",
        ),
        ("wasi-http", "[\"metrics\"]", "it imports wasi:http/outgoing-handler@0.2"),
    ] {
        let problem = load(&one_chain("[\"http\"]", &plugin("http", guest, grants))).unwrap_err();
        assert!(problem.contains(expected), "{problem}");
    }
}

#[test]
fn a_real_server_answers() {
    let mut server = Server::start();
    let port = server.port;
    let gateway = local(port, "");
    check(
        &gateway,
        &format!("X-Fetch: GET http://127.0.0.1:{port}/path?query=1\r\nX-Field: x-own=value"),
        "200 5 hello",
    );
    let request = server.told();
    assert_eq!(request["path"], "/path?query=1");
    assert_eq!(request["headers"]["x-own"], "value");
    assert_eq!(request["headers"]["host"], format!("127.0.0.1:{port}"));
    check(&gateway, &format!("X-Fetch: POST http://127.0.0.1:{port}/\r\nX-Body: abc"), "200 66 3 ba7816bf8f01cfea");
    check(&gateway, &format!("X-Fetch: POST http://127.0.0.1:{port}/status/503"), "503 1 x");
}

/// More than stays in memory: most of it comes from the file.
#[test]
fn a_large_message_is_streamed() {
    let mut server = Server::start();
    let gateway = local(server.port, "");
    let lines = "0123456789012345678901234567890123456789012345678901234567890123456789\r\n".repeat(50_000);
    let message = format!("X-Fetch: POST http://127.0.0.1:{}/\r\nX-Body: @message\r\n\r\n{lines}", server.port);
    let told = told_of(&gateway, message.trim_end());
    let size = message.len();
    assert!(told.starts_with(&format!("200 72 {size} ")), "{told} {size}");
    assert_eq!(server.told()["headers"]["content-length"], size.to_string());
}

#[test]
fn what_the_grant_does_not_name_is_refused() {
    let server = Server::start();
    let port = server.port;
    let gateway = local(port, ", methods = [\"GET\"], request-octets = 10");
    for (fields, expected) in [
        (format!("X-Fetch: GET http://127.0.0.1:{port}/"), "200 "),
        ("X-Fetch: GET http://127.0.0.1:1/".to_owned(), "denied http://127.0.0.1:1 is not in `allow`"),
        (format!("X-Fetch: GET https://127.0.0.1:{port}/"), "denied "),
        (format!("X-Fetch: GET http://127.0.0.2:{port}/"), "denied "),
        (format!("X-Fetch: GET http://localhost:{port}/"), "denied "),
        (format!("X-Fetch: GET http://user@127.0.0.1:{port}/"), "invalid "),
        (format!("X-Fetch: GET ftp://127.0.0.1:{port}/"), "invalid "),
        ("X-Fetch: GET /path".to_owned(), "invalid "),
        (format!("X-Fetch: POST http://127.0.0.1:{port}/"), "denied POST is not in `methods`"),
        (format!("X-Fetch: CONNECT http://127.0.0.1:{port}/"), "denied "),
        (format!("X-Fetch: GET http://127.0.0.1:{port}/\r\nX-Body: 01234567890"), "quota request-octets"),
        (format!("X-Fetch: GET http://127.0.0.1:{port}/\r\nX-Field: host=evil.example"), "invalid the field host"),
        (format!("X-Fetch: GET http://127.0.0.1:{port}/\r\nX-Field: transfer-encoding=chunked"), "invalid the field"),
        (format!("X-Fetch: GET http://127.0.0.1:{port}/\r\nX-Field: proxy-authorization=x"), "invalid the field"),
        (format!("X-Fetch: GET http://127.0.0.1:{port}/\r\nX-Field: content-length=5"), "invalid the field"),
        (format!("X-Fetch: GET http://127.0.0.1:{port}/\r\nX-Field: a b=c"), "invalid not a field name"),
    ] {
        check(&gateway, &fields, expected);
    }
}

#[test]
fn connections_are_used_again() {
    let peer = Peer::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let gateway = local(peer.address.port(), "");
    check(&gateway, &format!("X-Fetch: GET http://{}/\r\nX-Repeat: 5", peer.address), "200 2 ok");
    check(&gateway, &format!("X-Fetch: GET http://{}/", peer.address), "200 2 ok");
    let heads = peer.heads.lock().unwrap();
    assert_eq!(heads.len(), 6);
    assert!(heads.iter().all(|(connection, _)| *connection == 0), "{heads:?}");
}

/// The server closes each connection, and says nothing of it before.
#[test]
fn a_connection_that_was_closed_is_made_anew() {
    let peer = Peer::start(|stream| {
        let _ = std::io::Write::write_all(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let _ = stream.shutdown(std::net::Shutdown::Both);
        false
    });
    let gateway = local(peer.address.port(), "");
    for _ in 0..3 {
        check(&gateway, &format!("X-Fetch: GET http://{}/", peer.address), "200 2 ok");
    }
}

#[test]
fn the_host_adds_secrets_for_one_host_only() {
    let peers = [(); 2].map(|()| Peer::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    let [with, without] = [&peers[0], &peers[1]].map(|peer| peer.address);
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("key");
    std::fs::write(&file, "k3y\n").unwrap();
    let grant = format!(
        "[\"log\", {{ secrets = {{}} }}, {{ http = {{ allow = [\"http://{with}\", \"http://{without}\"], private = [\"127.0.0.1\"], headers = \
         [{{ to = \"http://{with}\", name = \"Authorization\", prefix = \"Bearer \", secret = \"key\" }}] }} }}]"
    );
    let gateway = gateway("http-client", &grant, &format!("[secret.key]\nfile = {:?}\n", file.display().to_string()));
    check(&gateway, &format!("X-Fetch: GET http://{with}/"), "200 ");
    check(&gateway, &format!("X-Fetch: GET http://{without}/"), "200 ");
    let denied = format!("X-Fetch: GET http://{with}/\r\nX-Field: authorization=mine");
    check(&gateway, &denied, "denied the field authorization is added by the host");
    let heads = |peer: &Peer| peer.heads.lock().unwrap().clone();
    assert_eq!(heads(&peers[0]).len(), 1);
    assert!(heads(&peers[0])[0].1.contains("authorization: Bearer k3y\r\n"), "{:?}", heads(&peers[0]));
    assert!(!heads(&peers[1])[0].1.contains("uthorization"), "{:?}", heads(&peers[1]));
}

#[test]
fn tls_is_verified() {
    let scratch = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.write(scratch.path(), "ca.pem");
    authority.issue(&["localhost"]).write(scratch.path(), "good");
    authority.issue(&["elsewhere.example"]).write(scratch.path(), "other");
    let ca = scratch.path().join("ca.pem").display().to_string();
    for (certificate, ca, expected) in [
        ("good", format!(", ca = {ca:?}"), "200 5 hello"),
        ("good", String::new(), "connection TLS: "),
        ("other", format!(", ca = {ca:?}"), "connection TLS: "),
    ] {
        let server = Server::with("{}", Some((scratch.path(), certificate)));
        let port = server.port;
        let grant = format!(
            "[\"log\", {{ secrets = {{}} }}, {{ http = {{ allow = [\"https://localhost:{port}\"], private = [\"127.0.0.0/8\", \"::1\"]{ca} }} }}]"
        );
        let gateway = gateway("http-client", &grant, "");
        check(&gateway, &format!("X-Fetch: GET https://localhost:{port}/"), expected);
    }
}

#[test]
fn wasi_http_has_the_same_rules() {
    let server = Server::start();
    let port = server.port;
    let large = Peer::endless("HTTP/1.1 200 OK\r\n\r\n", "0123456789");
    let silent = Peer::start(|stream| {
        let _ = std::io::Read::read(stream, &mut [0]);
        false
    });
    let grant = format!(
        "[\"metrics\", {{ http = {{ allow = [\"http://127.0.0.1:{port}\", \"http://{}\", \"http://{}\", \"http://10.0.0.1\"], private = [\"127.0.0.0/8\"], \
         response-octets = 1000, timeout = \"1 s\" }} }}]",
        large.address, silent.address
    );
    let gateway = gateway("wasi-http", &grant, "");
    let request = |words: &str| format!("X-Wasi: {words}");
    check(&gateway, &request(&format!("GET http 127.0.0.1:{port} /x?y")), "200 5 hello");
    check(&gateway, &request("GET http 127.0.0.1:1 /"), "ErrorCode::HttpRequestDenied");
    check(&gateway, &request("GET http 10.0.0.1 /"), "ErrorCode::DestinationIpProhibited");
    check(&gateway, &request(&format!("CONNECT http 127.0.0.1:{port} /")), "ErrorCode::HttpRequestDenied");
    check(&gateway, &request(&format!("GET http {} /", silent.address)), "ErrorCode::HttpResponseTimeout");
    let told = told(&gateway, &request(&format!("GET http {} /", large.address)));
    assert!(told.starts_with("200 ") && told.contains("LastOperationFailed"), "{told}");
}

#[test]
fn secrets_are_read_or_signed_with() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("secret");
    std::fs::write(&file, "Jefe\n").unwrap();
    let secrets = format!("[secret.open]\nfile = {0:?}\n[secret.shut]\nfile = {0:?}\n", file.display().to_string());
    let grant = "[\"log\", { secrets = { read = [\"open\"], sign = [\"shut\"] } }, { http = { allow = [\"http://a.example\"] } }]";
    let gateway = gateway("http-client", grant, &secrets);
    check(&gateway, "X-Secret: open", "4a656665");
    check(&gateway, "X-Secret: shut", "denied ");
    check(&gateway, "X-Secret: other", "denied ");
    // RFC 4231, test case 2.
    let signature = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    check(&gateway, "X-Sign: shut what do ya want for nothing?", signature);
    check(&gateway, "X-Sign: open what do ya want for nothing?", signature);
    check(&gateway, "X-Sign: other x", "denied ");
}

#[test]
fn a_secret_that_is_not_there_is_told_at_its_line_beside_all_else() {
    let header = "{ to = \"http://a.example\", name = \"x-key\", secret = \"gone\" }";
    let grant = format!("[{{ http = {{ allow = [\"http://a.example\"], headers = [{header}] }} }}]");
    let text = one_chain("[\"http\", \"other\"]", &plugin("http", "policy", &grant))
        + &plugin("other", "storage", "[]")
        + "[relay.up]\nhost = \"a.example\"\nauth = { user = \"u\", password = { secret = \"unset\" } }\n"
        + "[secret.gone]\nfile = \"no-such-file\"\n[secret.unset]\nenv = \"POSTGATE_TEST_NOT_SET\"\n";
    let problem = support::load(&text).unwrap_err();
    for expected in [
        "no-such-file can't be read",
        "there is no such variable",
        "env = \"POSTGATE_TEST_NOT_SET\"",
        "plugin \"other\": it imports postgate:mail/",
    ] {
        assert!(problem.contains(expected), "{problem}");
    }
    // Each once: neither the relay nor the plugin says what it lacks.
    assert_eq!(problem.split("\n\n").count(), 3, "{problem}");
}
