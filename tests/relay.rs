//! Messages handed over to relays: a second gateway as the relay, with TLS and AUTH; servers that follow a script, for everything that goes wrong; and below,
//! counterparts that are not ours (aiosmtpd, Postfix and its sink), hostile servers, and the pool of connections.

pub(crate) mod counterparts;
mod hostile;
mod parameters;
pub(crate) mod pool;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::thread::JoinHandle;

use crate::support::certificates::Authority;
use crate::support::{Gateway, load, log, one_chain, plugin};

/// The table of a relay at this address.
fn relay(address: SocketAddr, settings: &str) -> String {
    format!(
        "[relay.upstream]\nhost = \"mx.example.org\"\naddresses = [\"{}\"]\nport = {}\n{settings}\n",
        address.ip(),
        address.port()
    )
}

/// A gateway that hands everything to the relay.
fn front(relay: &str, data: tempfile::TempDir) -> Gateway {
    let policy = plugin("policy", "policy", "[]");
    let delivery = plugin("delivery", "relay", "[\"log\", \"config\", { submit = [\"upstream\"] }]");
    let delivery = format!("{delivery}config = {{ relay = \"upstream\", domains = \"all\" }}\n");
    let text = one_chain("[\"policy\", \"delivery\"]", &format!("{policy}{delivery}{relay}"));
    let text = text.replacen("auth-in-clear = true", "auth-in-clear = true\nextensions-on = [\"DSN\"]", 1);
    Gateway::start_in(&text, data)
}

/// A gateway that delivers into Maildirs for whoever knows the password.
fn upstream(tls: &str, authority: &Authority) -> Gateway {
    let data = tempfile::tempdir().expect("a scratch directory");
    authority.issue(&["mx.example.org"]).write(data.path(), "mx");
    let policy = plugin("policy", "policy", "[]");
    let delivery = plugin("delivery", "maildir", "[\"log\", \"config\", { maildir = \"mail\" }]");
    let delivery = format!("{delivery}config = {{ domains = \"all\" }}\n");
    let text = one_chain("[\"policy\", \"delivery\"]", &format!("{policy}{delivery}"));
    let settings = "auth-in-clear = false\nauth-required = true\nextensions-on = [\"DSN\"]\n\
                    certificates = [{ chain = 'mx.pem', key = 'mx.key' }]\n";
    let text = text.replacen("auth-in-clear = true", &format!("{settings}{tls}"), 1);
    Gateway::start_in(&text, data)
}

fn password(folder: &Path) -> String {
    let file = folder.join("upstream.password");
    std::fs::write(&file, "wonderland\n").expect("a file");
    format!(
        "auth = {{ user = \"gateway\", password = {{ secret = \"upstream\" }} }}\n[secret.upstream]\nfile = {:?}",
        file.display().to_string()
    )
}

#[test]
fn a_second_gateway_takes_it() {
    for (listener, relay_tls) in [("tls = \"starttls\"", "required"), ("tls = \"implicit\"", "implicit")] {
        let authority = Authority::new();
        let upstream = upstream(listener, &authority);
        let data = tempfile::tempdir().unwrap();
        authority.write(data.path(), "ca.pem");
        let settings = format!("tls = \"{relay_tls}\"\nca = 'ca.pem'\n{}", password(data.path()));
        let front = front(&relay(upstream.address, &settings), data);
        let mut client = front.client();
        client.expect("EHLO client.example", "250");
        for n in 0..3 {
            let text = format!("Subject: Tea {n}\r\n\r\n..At six?\r\n..\r\nEnd");
            let reply = client.message("alice@example.com", &["bob@example.org", "carol@example.org"], &text);
            assert!(reply.starts_with("250 2.0.0 "), "{reply}");
        }
        let messages = upstream.messages("mail/example.org/bob");
        assert_eq!(messages.len(), 3);
        let message = &messages[0];
        assert!(
            message.starts_with("Return-Path: <alice@example.com>\r\nReceived: from mx.example.org ([127.0.0.1])"),
            "{message}"
        );
        assert!(message.contains("with ESMTPSA id "), "{message}");
        assert!(message.contains("Received: from client.example ([127.0.0.1])"), "{message}");
        assert!(message.ends_with("\r\n\r\n.At six?\r\n.\r\nEnd\r\n"), "{message}");
        let line = format!("{}\r\n", "0123456789".repeat(7));
        let body = line.repeat(30_000);
        let reply = client.message("", &["dora@example.org"], &format!("Subject: large\r\n\r\n{}", body.trim_end()));
        assert!(reply.starts_with("250 "), "{reply}");
        assert!(upstream.messages("mail/example.org/dora")[0].ends_with(&format!("Subject: large\r\n\r\n{body}")));
        drop(client);
        front.stop();
        assert!(log::lines(&["wonderland\""]).is_empty(), "passwords are not logged");
    }
}

#[test]
fn refusals_are_passed_on() {
    let authority = Authority::new();
    let upstream = upstream("tls = \"starttls\"", &authority);
    let data = tempfile::tempdir().unwrap();
    authority.write(data.path(), "ca.pem");
    let settings = format!("ca = 'ca.pem'\n{}", password(data.path()));
    let front = front(&relay(upstream.address, &settings), data);
    let mut client = front.client();
    client.expect("EHLO client.example", "250");
    // The front's own policy is the same guest: `late-` is for delivery, and the field for the message hook.
    for (text, expected) in
        [("Subject: x\r\n\r\nx", "250 "), ("X-Verdict: no-554\r\n\r\nx", "554 5.7.1 policy says no")]
    {
        let reply = client.message("a@example.com", &["bob@example.org"], text);
        assert!(reply.starts_with(expected), "{reply}");
    }
}

#[test]
fn whom_we_do_not_trust_gets_nothing() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let upstream = upstream("tls = \"starttls\"", &theirs);
    let try_with = |authority: &Authority, settings: &str, password: &str| {
        let data = tempfile::tempdir().unwrap();
        authority.write(data.path(), "ca.pem");
        std::fs::write(data.path().join("p"), password).unwrap();
        let auth = "auth = { user = \"gateway\", password = { secret = \"upstream\" } }\n[secret.upstream]\nfile = 'p'";
        let front = front(&relay(upstream.address, &format!("ca = 'ca.pem'\n{settings}\n{auth}")), data);
        let mut client = front.client();
        client.expect("EHLO client.example", "250");
        client.message("a@example.com", &["bob@example.org"], "Subject: x\r\n\r\nx")
    };
    let reply = try_with(&ours, "", "wonderland");
    assert!(reply.starts_with("451 4.7.5 "), "an authority that we do not believe: {reply}");
    let reply = try_with(&theirs, "server-name = \"other.example.org\"", "wonderland");
    assert!(reply.starts_with("451 4.7.5 "), "another name: {reply}");
    let reply = try_with(&theirs, "", "looking-glass");
    assert!(reply.starts_with("451 4.3.5 "), "a wrong password: {reply}");
    assert!(!log::lines(&["\"ERROR\"", "relay refuses us"]).is_empty());
    assert!(!log::lines(&["\"ERROR\"", "relay not secure"]).is_empty());
    assert!(log::lines(&["looking-glass"]).is_empty(), "passwords are not logged");
    assert!(upstream.messages("mail/example.org/bob").is_empty());
}

/// A server that takes one connection, and for each line of the client's that begins so says the reply beside it. `<close>` closes. It answers what it has heard.
fn scripted(script: &'static [(&'static str, &'static str)]) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
        let mut heard = String::new();
        let say = |stream: &mut std::net::TcpStream, reply: &str| {
            let octets = reply.strip_suffix("<close>").unwrap_or(reply);
            let _ = stream.write_all(octets.as_bytes());
            !reply.ends_with("<close>")
        };
        let mut script = script.iter();
        let Some((_, banner)) = script.next() else { return heard };
        if !say(&mut stream, banner) {
            return heard;
        }
        for (begin, reply) in script {
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 {
                    return heard;
                }
                heard.push_str(&line);
                if line.starts_with(begin) {
                    break;
                }
            }
            if !say(&mut stream, reply) {
                return heard;
            }
        }
        let _ = reader.read_to_string(&mut heard);
        heard
    });
    (address, heard)
}

/// What the client of the front hears, and the server has heard.
fn through(script: &'static [(&'static str, &'static str)], to: &[&str], settings: &str) -> (String, String) {
    let (address, heard) = scripted(script);
    let front = front(&relay(address, settings), tempfile::tempdir().unwrap());
    let mut client = front.client();
    client.expect("EHLO client.example", "250");
    let reply = client.message("a@example.com", to, "Subject: x\r\n\r\nx");
    drop(client);
    front.stop();
    (reply, heard.join().expect("the server does not panic"))
}

const BANNER: (&str, &str) = ("", "220 mx ESMTP\r\n");
const PLAIN: (&str, &str) = ("EHLO", "250-mx\r\n250 8BITMIME\r\n");

#[test]
fn servers_that_follow_a_script() {
    const CLEAR: &str = "tls = \"none\"";
    let check = |script: &'static [(&'static str, &'static str)], settings: &str, expected: &str| {
        let (reply, heard) = through(script, &["bob@example.org"], settings);
        assert!(reply.starts_with(expected), "expected {expected}, got {reply} of {script:?} after {heard}");
    };
    check(&[BANNER, ("EHLO", "250-mx\r\n250 PIPELINING\r\n")], "", "451 4.7.5 ");
    check(
        &[BANNER, ("EHLO", "250-mx\r\n250 STARTTLS\r\n"), ("STARTTLS", "454 4.7.0 not now\r\n")],
        "",
        "451 4.7.0 not now",
    );
    check(&[BANNER, ("EHLO", "250-mx\r\n250 STARTTLS\r\n"), ("STARTTLS", "220 go\r\n250 injected\r\n")], "", "451 4.");
    check(&[("", "554 5.7.1 go away\r\n")], CLEAR, "451 4.7.1 go away");
    check(&[("", "HTTP/1.1 400 Bad Request\r\n")], CLEAR, "451 4.5.0 ");
    check(&[("", "<close>")], CLEAR, "451 4.4.2 ");
    check(&[BANNER, PLAIN, ("MAIL", "452 4.3.1 full\r\n")], CLEAR, "452 4.3.1 full");
    check(
        &[BANNER, PLAIN, ("MAIL", "250 ok\r\n"), ("RCPT", "550 5.1.1 no such user\r\n")],
        CLEAR,
        "550 5.1.1 no such user",
    );
    check(
        &[BANNER, PLAIN, ("MAIL", "250 ok\r\n"), ("RCPT", "421 4.3.2 closing\r\n<close>")],
        CLEAR,
        "451 4.3.2 closing",
    );
    check(&[BANNER, PLAIN, ("MAIL", "250 ok\r\n"), ("RCPT", "250 ok\r\n"), ("DATA", "<close>")], CLEAR, "451 4.4.2 ");
    check(
        &[BANNER, PLAIN, ("MAIL", "250 ok\r\n"), ("RCPT", "250 ok\r\n"), ("DATA", "354 go\r\n"), (".", "<close>")],
        CLEAR,
        "451 4.4.2 The next host has not confirmed",
    );
    check(
        &[
            BANNER,
            PLAIN,
            ("MAIL", "250 ok\r\n"),
            ("RCPT", "250 ok\r\n"),
            ("DATA", "354 go\r\n"),
            (".", "554 5.6.0 spam\r\n"),
        ],
        CLEAR,
        "554 5.6.0 spam",
    );
    check(
        &[BANNER, PLAIN, ("MAIL", "250 ok\r\n"), ("RCPT", "250 ok\r\n"), ("DATA", "354 go\r\n250 early\r\n")],
        CLEAR,
        "451 4.",
    );
    check(
        &[
            BANNER,
            ("EHLO", "502 what\r\n"),
            ("HELO", "250 mx\r\n"),
            ("MAIL", "250\r\n"),
            ("RCPT", "250\r\n"),
            ("DATA", "354\r\n"),
            (".", "250\r\n"),
        ],
        CLEAR,
        "250 2.0.0 ",
    );
    check(&[BANNER], &format!("{CLEAR}\ncommand-patience = \"200 ms\""), "451 4.4.1 ");
}

#[test]
fn each_recipient_has_its_own_outcome() {
    let script: &[(&str, &str)] = &[
        BANNER,
        ("EHLO", "250-mx\r\n250-DSN\r\n250 PIPELINING\r\n"),
        ("MAIL", "250 ok\r\n"),
        ("RCPT TO:<a@", "250 ok\r\n"),
        ("RCPT TO:<b@", "550 5.1.1 no b\r\n"),
        ("DATA", "354 go\r\n"),
        (".", "250 2.0.0 taken\r\n"),
    ];
    let (reply, heard) = through(script, &["a@example.org", "b@example.org"], "tls = \"none\"");
    assert!(reply.starts_with("550 5.1.1 no b"), "{reply}");
    assert!(
        heard.starts_with("EHLO mx.example.org\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<a@example.org>\r\n"),
        "{heard}"
    );
    assert!(heard.contains("Subject: x\r\n\r\nx\r\n.\r\n"), "{heard}");
}

#[test]
fn a_relay_that_is_not_there() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let front = front(&relay(gone, "tls = \"none\""), tempfile::tempdir().unwrap());
    let mut client = front.client();
    client.expect("EHLO client.example", "250");
    let reply = client.message("a@example.com", &["bob@example.org"], "Subject: x\r\n\r\nx");
    assert!(reply.starts_with("451 4.4.1 "), "{reply}");
    // A loop is one whoever the relay is.
    let hops = "Received: from x by y\r\n".repeat(51);
    let reply = client.message("a@example.com", &["bob@example.org"], &format!("{hops}Subject: x\r\n\r\nx"));
    assert!(reply.starts_with("554 5.4.6 "), "{reply}");
}

#[test]
fn a_guest_that_sends_too_much() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let guest = plugin("guest", "submit", "[{ submit = [\"upstream\"] }]");
    let gateway = Gateway::start(&one_chain("[\"guest\"]", &format!("{guest}{}", relay(gone, "tls = \"none\""))));
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    let reply = client.message("a@example.com", &["flood@example.org"], "Subject: x\r\n\r\nx");
    assert_eq!(reply, "450 4.2.0 quota 60 messages of its own in a minute");
}

/// What the guest is told.
#[test]
fn a_guest_and_the_service() {
    let script: &[(&str, &str)] = &[
        BANNER,
        PLAIN,
        ("MAIL FROM:<>", "250 ok\r\n"),
        ("RCPT TO:<bob@example.org>", "250 ok\r\n"),
        ("DATA", "354 go\r\n"),
        (".", "250 taken\r\n"),
    ];
    let (address, heard) = scripted(script);
    let guest = plugin("guest", "submit", "[{ submit = [\"upstream\"] }]");
    let gateway = Gateway::start(&one_chain("[\"guest\"]", &format!("{guest}{}", relay(address, "tls = \"none\""))));
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    client.expect("MAIL FROM:<>", "250");
    client.expect("RCPT TO:<early@example.org>", "450 4.2.0 not-now");
    client.expect("RSET", "250");
    for (local_part, expected) in [
        ("other", "450 4.2.0 denied the grant names no relay \"other\""),
        ("nobody", "450 4.2.0 invalid 1 to 100 recipients"),
        ("smuggle", "450 4.2.0 invalid a bare LF"),
        ("notice", "450 4.2.0 taken 250"),
    ] {
        let reply = client.message("a@example.com", &[&format!("{local_part}@example.org")], "Subject: x\r\n\r\nx");
        assert_eq!(reply, expected);
    }
    drop(client);
    gateway.stop();
    let heard = heard.join().unwrap();
    assert!(heard.contains("DATA\r\nSubject: notice\r\n\r\nof its own\r\n..\r\n.\r\n"), "{heard}");
}

#[test]
fn a_guest_that_was_not_granted_it() {
    let problem = load(&one_chain("[\"guest\"]", &plugin("guest", "submit", "[]"))).unwrap_err();
    assert!(problem.contains("{ submit = [\"upstream\"] }"), "{problem}");
    let problem =
        load(&one_chain("[\"guest\"]", &plugin("guest", "submit", "[{ submit = [\"upstream\"] }]"))).unwrap_err();
    assert!(problem.contains("there is no relay \"upstream\""), "{problem}");
    let address = "127.0.0.1:25".parse().unwrap();
    let guest = plugin("guest", "relay", "[\"log\", \"config\", { submit = [\"upstream\"] }]");
    let problem = load(&one_chain("[\"guest\"]", &format!("{guest}{}", relay(address, "tls = \"none\"")))).unwrap_err();
    assert!(problem.contains("missing field `relay`"), "{problem}");
}
