//! Servers that are not ours behind a relay: aiosmtpd, Postfix, and Postfix's sink. What they get is octet for octet what we got.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use super::{front, password, relay};
use crate::clients::postfix::Postfix;
use crate::support::certificates::Authority;
use crate::support::program::program;
use crate::support::{Gateway, skip, target};

/// A server of aiosmtpd's, ended with the test.
pub(crate) struct Aiosmtpd {
    pub address: SocketAddr,
    child: Child,
    told: Receiver<String>,
}

impl Aiosmtpd {
    pub(crate) fn start(settings: &Value) -> Option<Self> {
        let python = target().join("tools/aiosmtpd-1.4.6/bin/python3");
        if !python.is_file() {
            skip("there is no aiosmtpd; `cargo xtask test` installs it");
            return None;
        }
        let mut command = Command::new(python);
        command.args(["-I", "-c", include_str!("aiosmtpd.py"), &settings.to_string()]).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).spawn().expect("Python runs");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let (sender, told) = channel();
        // Reads also while nobody listens: the server waits for whoever reads its output.
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let port = told.recv_timeout(PATIENCE).expect("its port");
        let address = SocketAddr::from(([127, 0, 0, 1], port.parse().expect("a port")));
        Some(Self { address, child, told })
    }

    /// The next message that it has taken.
    pub(crate) fn told(&self) -> Value {
        let line = self.told.recv_timeout(PATIENCE).expect("a message");
        serde_json::from_str(&line).expect("JSON")
    }
}

impl Drop for Aiosmtpd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The octets of a message, behind the field that the front has put on top.
#[track_caller]
fn content(told: &Value) -> Vec<u8> {
    let content = told["content"].as_str().expect("a text");
    let content = postgate_smtp::base64::decode(content.as_bytes()).expect("base64");
    assert!(content.starts_with(b"Received: from client.example "), "{}", String::from_utf8_lossy(&content));
    let end = content.windows(11).position(|octets| octets == b"\r\nSubject: ").expect("a subject");
    content[end + 2..].to_vec()
}

/// Dots, long lines, eight bits, control characters, empty lines at the end.
pub(crate) fn difficult() -> Vec<u8> {
    let mut message = b"Subject: odd\r\nX-Fold: a\r\n \tb\r\n\r\n".to_vec();
    for line in [&b"."[..], b"..", b".x", b"x.", b"", b"a\tb\x0c\x1b\x7f", b"Gr\xc3\xbc\xc3\x9fe \xff\xfe", b" \t "] {
        message.extend_from_slice(line);
        message.extend_from_slice(b"\r\n");
    }
    for octets in [76, 998, 999, 5000, 65_000] {
        message.extend_from_slice(&vec![b'x'; octets]);
        message.extend_from_slice(b"\r\n.\r\n");
    }
    message.extend_from_slice(b"\r\n\r\n");
    message
}

/// Sends octets by BDAT, so that nothing has to be done to dots here.
fn bdat(front: &Gateway, mail: &str, to: &[&str], message: &[u8]) -> String {
    let mut client = front.client();
    client.expect("EHLO client.example", "250");
    client.expect(&format!("MAIL FROM:{mail}"), "250");
    for to in to {
        client.expect(&format!("RCPT TO:<{to}>"), "250");
    }
    client.send(format!("BDAT {} LAST\r\n", message.len()).as_bytes());
    client.send(message);
    client.reply()
}

pub(crate) fn tls(settings: Value, kind: &str, folder: &Path, authority: &Authority) -> Value {
    authority.issue(&["mx.example.org"]).write(folder, "mx");
    let file = |name: &str| folder.join(name).display().to_string();
    let Value::Object(mut settings) = settings else { panic!("an object") };
    settings.extend([
        ("tls".to_owned(), json!(kind)),
        ("chain".to_owned(), json!(file("mx.pem"))),
        ("key".to_owned(), json!(file("mx.key"))),
    ]);
    Value::Object(settings)
}

#[test]
fn aiosmtpd_takes_it_as_it_is() {
    let (authority, files) = (Authority::new(), tempfile::tempdir().unwrap());
    for (kind, mechanism, relay_tls) in
        [("starttls", "PLAIN", "required"), ("starttls", "LOGIN", "required"), ("implicit", "", "implicit")]
    {
        let settings = if mechanism.is_empty() { json!({}) } else { json!({"auth": mechanism}) };
        let Some(server) = Aiosmtpd::start(&tls(settings, kind, files.path(), &authority)) else { return };
        let data = tempfile::tempdir().unwrap();
        authority.write(data.path(), "ca.pem");
        let auth = if mechanism.is_empty() { String::new() } else { password(data.path()) };
        let settings = format!("tls = \"{relay_tls}\"\nca = 'ca.pem'\n{auth}");
        let front = front(&relay(server.address, &settings), data);
        let message = difficult();
        for _ in 0..2 {
            let reply = bdat(&front, "<a@example.com> BODY=8BITMIME", &["bob@example.org"], &message);
            assert!(reply.starts_with("250 2.0.0 "), "{kind} {mechanism}: {reply}");
            let told = server.told();
            assert!(content(&told) == message, "the message is another");
            assert_eq!(told["tls"], true);
            assert_eq!(told["user"], if mechanism.is_empty() { json!(null) } else { json!("gateway") });
            assert!(told["options"].as_array().unwrap().contains(&json!("BODY=8BITMIME")), "{told}");
        }
    }
}

#[test]
fn aiosmtpd_says_no() {
    let Some(server) = Aiosmtpd::start(&json!({"size": 10_000})) else { return };
    let front = front(&relay(server.address, "tls = \"none\""), tempfile::tempdir().unwrap());
    let small = b"Subject: x\r\n\r\nx\r\n";
    let check = |mail: &str, to: &[&str], message: &[u8], expected: &str| {
        let reply = bdat(&front, mail, to, message);
        assert!(reply.starts_with(expected), "{mail} {to:?}: {reply}");
    };
    check("<a@example.com>", &["no-bob@example.org"], small, "550 5.1.1 not here");
    check("<a@example.com>", &["later-bob@example.org"], small, "450 4.2.1 not now");
    check("<a@example.com>", &["bob@example.org"], &difficult(), "552 5.3.4 Message too large for the next host");
    // One is there; of the worst of the others the client hears.
    check("<a@example.com>", &["bob@example.org", "no-bob@example.org"], small, "550 5.1.1 not here");
    assert_eq!(server.told()["to"], json!(["bob@example.org"]));
    // It offers neither of these, and nothing is converted.
    let binary = b"Subject: x\r\n\r\n\0\n\r";
    check("<a@example.com> BODY=BINARYMIME", &["bob@example.org"], binary, "554 5.6.3 ");
    check("<z\u{f6}@example.com> SMTPUTF8", &["bob@example.org"], small, "553 5.6.7 ");
    // Our trace field names the recipient.
    check("<a@example.com> SMTPUTF8", &["z\u{f6}@example.org"], small, "550 5.6.7 ");
    let header = "Subject: gr\u{fc}n\r\n\r\nx\r\n".as_bytes();
    check("<a@example.com> SMTPUTF8", &["bob@example.org"], header, "550 5.6.7 ");
    check("<a@example.com> SMTPUTF8", &["bob@example.org"], small, "250 2.0.0 ");
    assert_eq!(server.told()["utf8"], false);
}

#[test]
fn aiosmtpd_takes_internationalized_mail() {
    let Some(server) = Aiosmtpd::start(&json!({"utf8": true})) else { return };
    let front = front(&relay(server.address, "tls = \"none\""), tempfile::tempdir().unwrap());
    let message = "Subject: gr\u{fc}n\r\n\r\n.x\r\n".as_bytes();
    let reply = bdat(&front, "<z\u{f6}@example.com> SMTPUTF8", &["b\u{f6}b@example.org"], message);
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    let told = server.told();
    assert!(content(&told) == message);
    assert_eq!(
        (&told["from"], &told["to"], &told["utf8"]),
        (&json!("z\u{f6}@example.com"), &json!(["b\u{f6}b@example.org"]), &json!(true))
    );
}

#[test]
fn aiosmtpd_speaks_lmtp() {
    let Some(server) = Aiosmtpd::start(&json!({"lmtp": true})) else { return };
    let front = front(&relay(server.address, "tls = \"none\"\nprotocol = \"lmtp\""), tempfile::tempdir().unwrap());
    let message = difficult();
    let reply = bdat(&front, "<a@example.com>", &["a@example.org", "b@example.org"], &message);
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    assert!(content(&server.told()) == message);
    let reply = bdat(&front, "<a@example.com>", &["a@example.org", "full-b@example.org", "c@example.org"], &message);
    assert!(reply.starts_with("452 4.2.2 full"), "{reply}");
    assert_eq!(server.told()["to"].as_array().map(Vec::len), Some(3));
}

/// Any octets, in more chunks than are under way at the same time, to a server that offers BINARYMIME: another gateway.
#[test]
fn binary_octets_go_by_chunks() {
    let authority = Authority::new();
    let upstream = super::upstream("tls = \"starttls\"", &authority);
    let data = tempfile::tempdir().unwrap();
    authority.write(data.path(), "ca.pem");
    let settings = format!("ca = 'ca.pem'\n{}", password(data.path()));
    let front = front(&relay(upstream.address, &settings), data);
    let message = format!("Subject: odd\r\n\r\n{}\r\n.\r\nend", "a\nb\rc\0.\r\n.\n\u{fc}".repeat(100_000));
    let reply = bdat(&front, "<a@example.com> BODY=BINARYMIME", &["bob@example.org"], message.as_bytes());
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    let delivered = upstream.messages("mail/example.org/bob");
    assert!(delivered[0].ends_with(&message), "the message is another");
}

/// Postfix's sink with these options, if there is one. Another program may take the port before it does; then it ends, and another port is tried.
pub(crate) fn sink(options: &[&str]) -> Option<(SocketAddr, Sink)> {
    let program = program("smtp-sink", "postfix")?;
    for _ in 0..10 {
        let address = free_port();
        let mut command = Command::new(&program);
        command.args(options).args([&address.to_string(), "100"]).stdin(Stdio::null()).stderr(Stdio::null());
        let mut sink = Sink(command.spawn().expect("it runs"));
        while matches!(sink.0.try_wait(), Ok(None)) {
            if TcpStream::connect(address).is_ok() {
                return Some((address, sink));
            }
        }
    }
    panic!("smtp-sink does not start");
}

pub(crate) struct Sink(Child);

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port")
}

#[test]
fn the_sink_refuses() {
    let root = ["-u", "root"];
    for (options, settings, expected) in [
        (&[][..], "", "250 2.0.0 "),
        (&["-e"], "", "250 2.0.0 "),
        (&["-p"], "", "250 2.0.0 "),
        (&["-8"], "", "250 2.0.0 "),
        (&["-L"], "protocol = \"lmtp\"", "250 2.0.0 "),
        (&["-r", "connect"], "", "451 4."),
        (&["-f", "connect"], "", "451 4."),
        (&["-r", "ehlo"], "", "451 4."),
        (&["-f", "ehlo,helo"], "", "451 4."),
        (&["-r", "mail"], "", "450 4."),
        (&["-f", "mail"], "", "500 5."),
        (&["-r", "rcpt"], "", "450 4."),
        (&["-f", "rcpt"], "", "500 5."),
        (&["-r", "data"], "", "450 4."),
        (&["-f", "data"], "", "500 5."),
        (&["-r", "."], "", "450 4."),
        (&["-f", "."], "", "500 5."),
        (&["-q", "ehlo"], "", "451 4.4.2 "),
        (&["-q", "mail"], "", "451 4.4.2 "),
        (&["-q", "rcpt"], "", "451 4.4.2 "),
        (&["-q", "data"], "", "451 4.4.2 "),
        (&["-q", "."], "", "451 4.4.2 "),
    ] {
        let Some((address, _sink)) = sink(&[options, &root].concat()) else { return };
        let front = front(&relay(address, &format!("tls = \"none\"\n{settings}")), tempfile::tempdir().unwrap());
        let reply = bdat(&front, "<a@example.com>", &["bob@example.org"], b"Subject: x\r\n\r\n.x\r\n");
        assert!(reply.starts_with(expected), "{options:?}: expected {expected}, got {reply}");
    }
}

/// A server without 8BITMIME gets no octet beyond ASCII, and no message in part.
#[test]
fn the_sink_without_eight_bits() {
    let Some((address, _sink)) = sink(&["-8", "-u", "root"]) else { return };
    let front = front(&relay(address, "tls = \"none\""), tempfile::tempdir().unwrap());
    let eight = b"Subject: x\r\n\r\n\xfc\r\n";
    let reply = bdat(&front, "<a@example.com> BODY=8BITMIME", &["bob@example.org"], eight);
    assert!(reply.starts_with("554 5.6.3 "), "{reply}");
}

/// Postfix itself: STARTTLS, PIPELINING, SIZE, DSN with a report that shows what was passed on, SMTPUTF8.
#[test]
fn postfix_delivers_and_reports() {
    let authority = Authority::new();
    let address = free_port();
    let master = format!("127.0.0.1:{} inet n - n - - smtpd\n{POSTFIX_MASTER}", address.port());
    let prepare = |home: &Path| authority.issue(&["mx.example.org"]).write(home, "mx");
    let Some(postfix) = Postfix::run(POSTFIX_MAIN, &master, prepare) else { return };
    let data = tempfile::tempdir().unwrap();
    authority.write(data.path(), "ca.pem");
    let front = front(&relay(address, "ca = 'ca.pem'"), data);
    let message = "Subject: one\r\n\r\n.\r\n..two\r\nGr\u{fc}\u{df}e\r\n\r\n";
    let reply = {
        let mut client = front.client();
        client.expect("EHLO client.example", "250");
        client.expect("MAIL FROM:<alice@example.org> BODY=8BITMIME RET=HDRS ENVID=tea+3Dsix", "250");
        client.expect("RCPT TO:<bob@example.org> NOTIFY=SUCCESS ORCPT=rfc822;Robert@example.org", "250");
        client.expect("RCPT TO:<stranger@elsewhere.example>", "250");
        client.send(format!("BDAT {} LAST\r\n{message}", message.len()).as_bytes());
        client.reply()
    };
    // It relays for nobody.
    assert!(reply.starts_with("554 5.7.1 ") && reply.contains("<stranger@elsewhere.example>"), "{reply}");
    postfix.wait_log("status=sent", 2);
    let delivered = mail(&postfix);
    let found =
        delivered.iter().find(|found| found.contains("\nSubject: one\n") && !found.contains("multipart/report"));
    let found = found.unwrap_or_else(|| panic!("{delivered:#?}"));
    assert!(found.contains("Original-To") || found.contains("Delivered-To: bob@example.org"), "{found}");
    // It adds the fields that every message should have.
    let body = message.replace("\r\n", "\n").split_off("Subject: one\n".len());
    assert!(found.ends_with(&body), "{found:?}");
    assert!(found.contains("(using TLSv1.3 "), "{found}");
    let report = delivered.iter().find(|found| found.contains("multipart/report")).expect("a report");
    assert!(report.contains("\nOriginal-Envelope-Id: tea=six\n"), "{report}");
    assert!(report.contains("\nOriginal-Recipient: rfc822;Robert@example.org\n"), "{report}");
    // SIZE: it is not even asked.
    let large = format!("Subject: x\r\n\r\n{}", "0123456789\r\n".repeat(5000));
    let reply = bdat(&front, "<alice@example.org>", &["bob@example.org"], large.as_bytes());
    assert!(reply.starts_with("552 5.3.4 Message too large for the next host"), "{reply}");
    let reply = bdat(
        &front,
        "<alice@example.org> SMTPUTF8",
        &["b\u{f6}b@example.org"],
        "Subject: gr\u{fc}n\r\n\r\n".as_bytes(),
    );
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    postfix.wait_log("status=sent", 1);
    assert!(mail(&postfix).iter().any(|found| found.contains("\nSubject: gr\u{fc}n\n")));
    let reply = bdat(&front, "<alice@example.org> BODY=BINARYMIME", &["bob@example.org"], b"Subject: x\r\n\r\n\0");
    assert!(reply.starts_with("554 5.6.3 "), "it has CHUNKING without BINARYMIME: {reply}");
}

const PATIENCE: Duration = Duration::from_secs(60);

/// All messages that Postfix has delivered.
pub(crate) fn mail(postfix: &Postfix) -> Vec<String> {
    let folder = postfix.home.path().join("mail/box/new");
    let entries = std::fs::read_dir(folder).expect("a mailbox");
    entries.map(|entry| std::fs::read_to_string(entry.expect("an entry").path()).expect("UTF-8")).collect()
}

/// Everybody's mail is one mailbox's.
pub(crate) const POSTFIX_MAIN: &str = "\
compatibility_level = 3.6
myhostname = mx.example.org
mydestination =
local_recipient_maps =
inet_protocols = ipv4
queue_directory = HOME/queue
data_directory = HOME/data
maillog_file = /dev/stdout
alias_maps =
alias_database =
mynetworks =
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions =
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_restrictions =
smtpd_peername_lookup = no
message_size_limit = 40000
smtputf8_enable = yes
smtpd_tls_security_level = encrypt
smtpd_tls_received_header = yes
smtpd_tls_key_file = HOME/mx.key
smtpd_tls_cert_file = HOME/mx.pem
virtual_mailbox_domains = example.org
virtual_mailbox_base = HOME/mail
virtual_mailbox_maps = static:box/
virtual_minimum_uid = 1
virtual_uid_maps = static:OWNER
virtual_gid_maps = static:OWNER
virtual_mailbox_limit = 0
";

pub(crate) const POSTFIX_MASTER: &str = "\
cleanup unix n - n - 0 cleanup
qmgr    unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce  unix - - n - 0 bounce
defer   unix - - n - 0 bounce
trace   unix - - n - 0 bounce
virtual unix - n n - - virtual
error   unix - - n - - error
retry   unix - - n - - error
tlsmgr  unix - - n 1000? 1 tlsmgr
proxymap unix - - n - - proxymap
anvil   unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
";
