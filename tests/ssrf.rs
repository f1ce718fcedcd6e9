//! Requests to where no plugin may send any: by `fetch` and by `wasi:http`, by address and by name, by redirects and by a name server that
//! changes its mind. The whole table is beside the code; here are the rows that matter most, through real guests.

use std::net::TcpListener;

use crate::support::http::Peer;
use crate::support::nameserver::setting;
use crate::support::rebinding::Rebinding;
use crate::support::{Gateway, one_chain, plugin};

/// Which guest sends a request.
#[derive(Clone, Copy, Debug)]
enum By {
    Fetch,
    WasiHttp,
}

const BOTH: [By; 2] = [By::Fetch, By::WasiHttp];

/// A gateway whose plugin may send requests to these.
fn gateway(by: By, http: &str, more: &str) -> Gateway {
    let (guest, grants) = match by {
        By::Fetch => ("http-client", format!("[\"log\", {{ secrets = {{}} }}, {{ http = {{ {http} }} }}]")),
        By::WasiHttp => ("wasi-http", format!("[\"metrics\", {{ http = {{ {http} }} }}]")),
    };
    Gateway::start(&one_chain("[\"http\"]", &(plugin("http", guest, &grants) + more)))
}

/// What the guest says of a request to that authority.
fn told(by: By, gateway: &Gateway, method: &str, authority: &str) -> String {
    let field = match by {
        By::Fetch => format!("X-Fetch: {method} http://{authority}/"),
        By::WasiHttp => format!("X-Wasi: {method} http {authority} /"),
    };
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    let reply = client.message("a@example.org", &["b@example.org"], &format!("{field}\r\n\r\nbody"));
    let told = reply.strip_prefix("550 5.7.1 ").unwrap_or_else(|| panic!("the guest failed: {reply}"));
    told.trim_end().to_owned()
}

/// Refused for the address.
fn is_prohibited(by: By, told: &str) -> bool {
    match by {
        By::Fetch => told.starts_with("denied ") && told.contains("is neither global nor in `private`"),
        By::WasiHttp => told == "ErrorCode::DestinationIpProhibited",
    }
}

/// Not taken for a URL at all; `wasi:http` knows one word for both, and may not even let it be written.
fn is_invalid(by: By, told: &str) -> bool {
    match by {
        By::Fetch => told.starts_with("invalid "),
        By::WasiHttp => told == "ErrorCode::HttpRequestUriInvalid" || told == "not a request",
    }
}

/// Not in `allow`.
fn is_unlisted(by: By, told: &str) -> bool {
    match by {
        By::Fetch => told.starts_with("denied ") && told.contains("is not in `allow`"),
        By::WasiHttp => told == "ErrorCode::HttpRequestDenied",
    }
}

/// Everything is in `allow`, and nothing in `private`: the address alone decides, where it stands and where a name leads to it.
const PROHIBITED: &[&str] = &[
    "127.0.0.1",
    "127.1.2.3",
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.168.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:8.8.8.8]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::808:808]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::f7f7:f7f7]",
    "[2001:0:808:808::80ff:fffe]",
    "[fe80::1]",
    "[fd00::1]",
    "[ff02::1]",
    "[2001:db8::1]",
    "localhost",
    "LOCALHOST",
    "loopback.example",
    "private.example",
    "metadata.example",
    "mapped.example",
    "translated.example",
];

/// Other ways to write a host.
const INVALID: &[&str] = &[
    "2130706433",
    "017700000001",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "127.1",
    "127.0.0.1.",
    "localhost.",
    "a..example",
    "user@loopback.example",
    "b\u{fc}cher.example",
    "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
    "%31%32%37.0.0.1",
    "[fe80::1%25eth0]",
    "[127.0.0.1]",
    "[::1]a.example",
];

#[test]
fn neither_interface_reaches_what_is_nobodys_business() {
    let peer = Peer::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let port = peer.address.port();
    let names = Rebinding::start(&[
        ("localhost", &[&["127.0.0.1"]]),
        ("loopback.example", &[&["127.0.0.1"]]),
        ("private.example", &[&["10.0.0.1", "192.168.0.1"]]),
        ("metadata.example", &[&["169.254.169.254"]]),
        ("mapped.example", &[&["::ffff:127.0.0.1"]]),
        ("translated.example", &[&["64:ff9b::7f00:1"]]),
    ]);
    let allow = format!(
        "allow = [\"http://0.0.0.0/0:{port}\", \"http://[::/0]:{port}\", \"http://localhost:{port}\", \"http://*.example:{port}\"]"
    );
    for by in BOTH {
        let gateway = gateway(by, &allow, &setting(names.address));
        for host in PROHIBITED {
            let told = told(by, &gateway, "GET", &format!("{host}:{port}"));
            assert!(is_prohibited(by, &told), "{by:?} {host}: {told}");
        }
        for host in INVALID {
            let told = told(by, &gateway, "GET", &format!("{host}:{port}"));
            assert!(is_invalid(by, &told), "{by:?} {host}: {told}");
        }
        for authority in [format!("127.0.0.1:{}", port ^ 1), "a.example".to_owned(), format!("a.example.org:{port}")] {
            let told = told(by, &gateway, "GET", &authority);
            assert!(is_unlisted(by, &told), "{by:?} {authority}: {told}");
        }
    }
    assert!(peer.heads.lock().unwrap().is_empty());
}

/// The name is looked up once for a connection, and that answer is what is checked and dialled. At the second look-up it is another
/// address, where somebody listens too; at the third both, of which one may be dialled.
#[test]
fn a_name_that_changes_its_address_leads_nowhere_else() {
    for by in BOTH {
        let close = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
        let listed = Peer::answering(close);
        let port = listed.address.port();
        // A peer at another address and the same port.
        let other = TcpListener::bind(("127.0.0.2", port)).expect("all of 127.0.0.0/8 is ours");
        other.set_nonblocking(true).expect("a socket");
        let names = Rebinding::start(&[(
            "rebinding.example",
            &[&["127.0.0.1"], &["127.0.0.2"], &["127.0.0.2", "127.0.0.1"], &["127.0.0.2"]],
        )]);
        let http = format!("allow = [\"http://rebinding.example:{port}\"], private = [\"127.0.0.1\"]");
        let gateway = gateway(by, &http, &setting(names.address));
        let authority = format!("rebinding.example:{port}");
        for (turn, is_dialled) in [(1, true), (2, false), (3, true), (4, false)] {
            let told = told(by, &gateway, "GET", &authority);
            assert_eq!(told.starts_with("200 2 ok"), is_dialled, "{by:?} {turn}: {told}");
            assert!(is_dialled || is_prohibited(by, &told), "{by:?} {turn}: {told}");
            assert_eq!(names.lookups("rebinding.example"), turn, "one look-up for each connection");
        }
        assert_eq!(listed.heads.lock().unwrap().len(), 2);
        assert!(other.accept().is_err(), "somebody has connected to 127.0.0.2");
    }
}

/// A kept connection leads where it was dialled to; nothing is looked up for it.
#[test]
fn a_kept_connection_is_not_looked_up_again() {
    let peer = Peer::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let port = peer.address.port();
    let names = Rebinding::start(&[("kept.example", &[&["127.0.0.1"], &["127.0.0.2"]])]);
    let http = format!("allow = [\"http://kept.example:{port}\"], private = [\"127.0.0.1\"]");
    for by in BOTH {
        let before = names.lookups("kept.example");
        let gateway = gateway(by, &http, &setting(names.address));
        if before > 0 {
            let told = told(by, &gateway, "GET", &format!("kept.example:{port}"));
            assert!(is_prohibited(by, &told), "{told}");
            continue;
        }
        for _ in 0..3 {
            assert!(told(by, &gateway, "GET", &format!("kept.example:{port}")).starts_with("200 2 ok"));
        }
        assert_eq!(names.lookups("kept.example"), 1);
    }
}

/// The guest is told of a redirect, and nobody follows it. Where it leads is held against the grant if the guest follows it itself.
#[test]
fn redirects_are_not_followed() {
    let target = Peer::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let away = target.address;
    for (status, method, location) in [
        (301, "GET", "file:///etc/passwd".to_owned()),
        (302, "GET", format!("http://{away}/")),
        (302, "GET", format!("http://127.0.0.2:{}/", away.port())),
        (302, "GET", "http://169.254.169.254/latest/meta-data/".to_owned()),
        (303, "POST", format!("http://{away}/")),
        (307, "POST", format!("http://{away}/")),
        (308, "POST", format!("https://{away}/")),
        (302, "GET", format!("//{away}/")),
        (300, "GET", format!("gopher://{away}/")),
    ] {
        let response = format!("HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let peer = Peer::answering(response.leak());
        for by in BOTH {
            let http = format!("allow = [\"http://{}\"], private = [\"127.0.0.0/8\"]", peer.address);
            let gateway = gateway(by, &http, "");
            let told = told(by, &gateway, method, &peer.address.to_string());
            assert!(told.starts_with(&format!("{status} 0")), "{by:?} {location}: {told}");
            // And if the guest follows.
            let followed = self::told(by, &gateway, "GET", &away.to_string());
            assert!(is_unlisted(by, &followed), "{by:?} {location}: {followed}");
        }
        assert_eq!(peer.heads.lock().unwrap().len(), 2, "one request of each");
    }
    assert!(target.heads.lock().unwrap().is_empty());
}

/// The methods of the grant hold for both.
#[test]
fn methods_are_those_of_the_grant() {
    let peer = Peer::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    for by in BOTH {
        let http = format!("allow = [\"http://{}\"], private = [\"127.0.0.1\"], methods = [\"GET\"]", peer.address);
        let gateway = gateway(by, &http, "");
        for method in ["POST", "DELETE", "CONNECT", "get", "TRACE"] {
            let told = told(by, &gateway, method, &peer.address.to_string());
            let is_denied = match by {
                By::Fetch => told.starts_with("denied ") && told.contains("is not in `methods`"),
                By::WasiHttp => told == "ErrorCode::HttpRequestDenied",
            };
            assert!(is_denied, "{by:?} {method}: {told}");
        }
    }
    assert!(peer.heads.lock().unwrap().is_empty());
}
