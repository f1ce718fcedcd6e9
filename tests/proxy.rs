//! Behind a proxy: whom a PROXY header is believed, what it changes, and HAProxy as one that writes it.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use crate::support::certificates::Authority;
use crate::support::client::Client;
use crate::support::program::program;
use crate::support::{Gateway, log, recorded};

const FROM_HERE: &str = "proxy-from = [\"127.0.0.1\"]\n";

/// A header of version 1.
fn line(address: &str) -> Vec<u8> {
    format!("PROXY TCP4 {address} 192.0.2.25 4711 25\r\n").into_bytes()
}

/// A header of version 2, with this command and these octets behind the addresses.
fn octets(command: u8, source: [u8; 4], vectors: &[u8]) -> Vec<u8> {
    let body = [&source[..], &[192, 0, 2, 25], &4711_u16.to_be_bytes(), &25_u16.to_be_bytes(), vectors].concat();
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, 0x11][..], &length, &body].concat()
}

/// A client for whom the proxy has said this, behind its banner.
fn announced(gateway: &Gateway, header: &[u8]) -> Client {
    let mut client = Client::silent(gateway.address);
    client.send(header);
    let banner = client.reply();
    assert!(banner.starts_with("220 "), "{banner}");
    client
}

#[test]
fn headers_are_believed_of_the_proxy() {
    let gateway = Gateway::start(&recorded::configuration(FROM_HERE));
    let long = octets(0x21, [192, 0, 2, 9], &[&[0x04, 4, 0][..], &[0; 1024]].concat());
    for (name, header, address) in [
        ("line.example", line("192.0.2.7"), "192.0.2.7"),
        ("octets.example", octets(0x21, [192, 0, 2, 8], b""), "192.0.2.8"),
        ("long.example", long, "192.0.2.9"),
    ] {
        let behind = format!("EHLO {name}\r\n");
        // Octet by octet, and in one go with what stands behind it.
        for torn in [true, false] {
            let mut client = Client::silent(gateway.address);
            let whole = [&header[..], behind.as_bytes()].concat();
            let pieces: Vec<&[u8]> = if torn { whole.chunks(1).collect() } else { vec![&whole[..]] };
            pieces.into_iter().for_each(|piece| client.send(piece));
            assert!(client.reply().starts_with("220 ") && client.reply().starts_with("250-"), "{name}");
            client.expect("MAIL FROM:<a@example.org>", "250 ");
            let session = recorded::session(name, "mail");
            assert_eq!((&session["remote"]["address"], &session["remote"]["port"]), (&address.into(), &4711.into()));
            assert_eq!(session["local"]["address"], "192.0.2.25");
            client.expect("QUIT", "221 ");
        }
    }
}

#[test]
fn headers_of_others_are_bad_commands() {
    let gateway = Gateway::start(&recorded::configuration(FROM_HERE));
    let mut client = Client::silent_from([127, 0, 0, 2].into(), gateway.address);
    client.send(&line("192.0.2.7"));
    assert!(client.reply().starts_with("220 "));
    assert!(client.reply().starts_with("500 "));
    client.expect("EHLO stranger.example", "250");
    client.expect("MAIL FROM:<a@example.org>", "250");
    assert_eq!(recorded::session("stranger.example", "mail")["remote"]["address"], "127.0.0.2");
}

#[test]
fn what_is_no_header_is_cut_off() {
    let gateway = Gateway::start(
        &(recorded::configuration(FROM_HERE) + "[listener.smtp.limits]\nhandshake-patience = \"200 ms\"\n"),
    );
    let wrong_sum = octets(0x21, [192, 0, 2, 7], &[3, 0, 4, 0, 0, 0, 0]);
    let lying = octets(0x21, [192, 0, 2, 7], &[1, 0, 9, 0]);
    for header in [&b"EHLO x\r\n"[..], b"PROXY TCP4 192.0.2.7\r\n", &wrong_sum, &lying, b"PROXY TCP4", b""] {
        let mut client = Client::silent(gateway.address);
        client.send(header);
        client.expect_closed();
    }
    for error in ["no PROXY header\"", "is malformed", "a wrong checksum", "a wrong length", "no PROXY header in time"]
    {
        assert!(!log::lines(&["\"WARN\"", "proxy not understood", error]).is_empty(), "{error}");
    }
}

/// Who is behind the proxy is not the proxy: what the proxy's address may do, its clients may not.
#[test]
fn xclient_is_for_the_address_of_the_header() {
    let settings = format!("{FROM_HERE}xclient-from = [\"127.0.0.0/8\", \"192.0.2.7\"]\n");
    let gateway = Gateway::start(&recorded::configuration(&settings));
    for (header, is_offered) in [
        (line("198.51.100.1"), false),
        (line("192.0.2.7"), true),
        (octets(0x21, [192, 0, 2, 7], b""), true),
        (b"PROXY UNKNOWN\r\n".to_vec(), false),
        (octets(0x20, [192, 0, 2, 8], b""), true),
    ] {
        let mut client = announced(&gateway, &header);
        let keywords = client.expect("EHLO relay.example", "250");
        assert_eq!(keywords.contains("XCLIENT"), is_offered, "{}: {keywords}", header.escape_ascii());
    }
}

#[test]
fn clients_are_counted_and_not_their_proxy() {
    let limits = "[listener.smtp.limits]\nconnections = 3\nconnections-per-address = 1\n";
    let gateway = Gateway::start(&(recorded::configuration(FROM_HERE) + limits));
    let _one = announced(&gateway, &line("192.0.2.1"));
    let mut again = Client::silent(gateway.address);
    again.send(&line("192.0.2.1"));
    assert!(again.reply().starts_with("421 "));
    assert!(again.is_closed());
    let _two = announced(&gateway, &line("192.0.2.2"));
    let _three = announced(&gateway, b"PROXY UNKNOWN\r\n");
    // In all there are no more, and that is known without a header.
    assert!(Client::silent(gateway.address).reply().starts_with("421 "));
}

#[test]
fn tls_begins_behind_the_header() {
    let data = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.issue(&["mx.example.org"]).write(data.path(), "mx");
    let settings = format!(
        "{FROM_HERE}banner-delay = \"1 ms\"\ntls = \"implicit\"\ncertificates = [{{ chain = 'mx.pem', key = 'mx.key' }}]\n"
    );
    let gateway = Gateway::start_in(&recorded::configuration(&settings), data);
    let mut client = Client::silent(gateway.address);
    client.send(&octets(0x21, [192, 0, 2, 7], b""));
    let (mut client, _) = client.secure(&Arc::new(authority.client()), "mx.example.org").unwrap();
    assert!(client.reply().starts_with("220 "));
    client.expect("EHLO below-tls.example", "250");
    client.expect("MAIL FROM:<a@example.org>", "250");
    let session = recorded::session("below-tls.example", "mail");
    assert_eq!(session["remote"]["address"], "192.0.2.7");
    assert!(session["tls"]["version"].is_string(), "{session}");
}

#[test]
fn a_missing_header_does_not_hold_the_end_up() {
    let gateway = Gateway::start(&recorded::configuration(FROM_HERE));
    let mut client = Client::silent(gateway.address);
    client.send(b"PROXY ");
    assert_eq!(gateway.stop(), 0);
    client.expect_closed();
}

/// HAProxy between a socket of the test's own and the gateway, ended with the test.
struct HaProxy {
    child: Child,
    address: SocketAddr,
}

impl HaProxy {
    /// It inherits the socket as its standard input, so that the system chooses the port, and clients can connect before it runs.
    fn start(program: &Path, folder: &Path, gateway: SocketAddr, bind: &str, server: &str) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let file = folder.join("haproxy.cfg");
        let text = format!(
            "defaults\n    mode tcp\n    timeout connect 60s\n    timeout client 60s\n    timeout server 60s\n\
             listen mail\n    bind fd@0 {bind}\n    unique-id-format %ci:%cp\n    server postgate {gateway} {server}\n"
        );
        fs::write(&file, text).unwrap();
        let mut command = Command::new(program);
        command.arg("-db").arg("-f").arg(&file).stdin(OwnedFd::from(socket)).stdout(Stdio::null());
        Self { child: command.spawn().unwrap(), address }
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn haproxy_speaks_for_its_clients() {
    let Some(program) = program("haproxy", "haproxy") else { return };
    let gateway = Gateway::start(&recorded::configuration(FROM_HERE));
    let facts = "send-proxy-v2 proxy-v2-options crc32c,unique-id";
    for (name, server) in [("one.example", "send-proxy"), ("two.example", "send-proxy-v2"), ("facts.example", facts)] {
        let haproxy = HaProxy::start(&program, gateway.data.path(), gateway.address, "", server);
        let mut client = Client::silent_from([127, 0, 0, 3].into(), haproxy.address);
        assert!(client.reply().starts_with("220 "), "{server}");
        client.expect(&format!("EHLO {name}"), "250");
        client.expect("MAIL FROM:<a@example.org>", "250");
        let session = recorded::session(name, "mail");
        let expected = (&"127.0.0.3".into(), &client.address().port().into());
        assert_eq!((&session["remote"]["address"], &session["remote"]["port"]), expected, "{server}");
        client.expect("QUIT", "221 ");
    }
    assert!(
        !log::lines(&["proxy speaks for a client", "127.0.0.3:", "\"unique_id\":\"Some(\\\"127.0.0.3:"]).is_empty()
    );
}

/// TLS that ends at the proxy is told in the log, and is no TLS of the gateway's.
#[test]
fn haproxy_ends_tls() {
    let Some(program) = program("haproxy", "haproxy") else { return };
    let gateway = Gateway::start(&recorded::configuration(FROM_HERE));
    let (authority, folder) = (Authority::new(), gateway.data.path());
    authority.issue(&["mx.example.org"]).write(folder, "mx");
    let both = ["mx.pem", "mx.key"].map(|file| fs::read_to_string(folder.join(file)).unwrap()).concat();
    fs::write(folder.join("both.pem"), both).unwrap();
    let bind = format!("ssl crt {}", folder.join("both.pem").display());
    let server = "send-proxy-v2-ssl-cn proxy-v2-options ssl,authority,crc32c";
    let haproxy = HaProxy::start(&program, folder, gateway.address, &bind, server);
    let client = Client::silent_from([127, 0, 0, 4].into(), haproxy.address);
    let (mut client, _) = client.secure(&Arc::new(authority.client()), "mx.example.org").unwrap();
    assert!(client.reply().starts_with("220 "));
    let keywords = client.expect("EHLO ended.example", "250");
    assert!(!keywords.contains("AUTH"), "{keywords}");
    client.expect("MAIL FROM:<a@example.org>", "250");
    let session = recorded::session("ended.example", "mail");
    assert_eq!(session["remote"]["address"], "127.0.0.4");
    assert!(session["tls"].is_null(), "{session}");
    let lines = log::lines(&["proxy speaks for a client", "127.0.0.4:", "TLSv1.3", "mx.example.org"]);
    assert_eq!(lines.len(), 1, "{lines:#?}");
}
