//! The shipped plugins in a chain: authentication, recipient policy, delivery into Maildirs; and what is said when a disk is full or
//! a mailbox is not there.

use std::fs;
use std::process::Command;

use crate::misbehaviour::base64;
use crate::support::mailbox::{Stored, new_files};
use crate::support::{Client, Gateway, log, one_chain, plugin, quickstart, skip};

fn authenticate(client: &mut Client, user: &str, password: &str) -> String {
    client.say(&format!("AUTH PLAIN {}", base64(format!("\0{user}\0{password}").as_bytes())))
}

#[test]
fn the_quickstart_delivers() {
    let gateway = Gateway::start(&quickstart());
    let mut client = gateway.client();
    let greeting = client.expect("EHLO client.example", "250-mx.example.org");
    assert!(greeting.contains("AUTH PLAIN LOGIN"), "{greeting}");
    let reply = authenticate(&mut client, "alice@example.org", "wonderland");
    assert!(reply.starts_with("235 2.7.0"), "{reply}");
    let reply = client.message("alice@example.org", &["bob@example.org"], "Subject: Tea\r\n\r\nAt six?");
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    let messages = gateway.messages("mail/example.org/bob");
    assert_eq!(messages.len(), 1);
    let lines: Vec<_> = messages[0].split("\r\n").collect();
    assert_eq!(lines[0], "Return-Path: <alice@example.org>");
    assert_eq!(lines[1], "Received: from client.example ([127.0.0.1])");
    assert!(lines[2].starts_with("\tby mx.example.org (Postgate) with ESMTPA id "), "{}", lines[2]);
    assert_eq!(lines[3], "\tfor <bob@example.org>;");
    assert!(lines[4].ends_with(" +0000"), "{}", lines[4]);
    assert_eq!(lines[5..], ["Subject: Tea", "", "At six?", ""]);
}

#[test]
fn wrong_passwords_and_unknown_users_hear_the_same() {
    let gateway = Gateway::start(&quickstart());
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    let wrong = authenticate(&mut client, "alice@example.org", "looking-glass");
    let unknown = authenticate(&mut client, "nobody@example.org", "wonderland");
    assert!(wrong.starts_with("535 5.7.8 "), "{wrong}");
    assert_eq!(wrong, unknown);
    assert!(log::lines(&["looking-glass"]).is_empty(), "passwords are not logged");
    assert!(authenticate(&mut client, "bob@example.org", "wonderland").starts_with("235 "));
}

#[test]
fn who_is_not_ours_is_refused() {
    let gateway = Gateway::start(&quickstart());
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    client.expect("MAIL FROM:<>", "250");
    client.expect("RCPT TO:<carol@example.org>", "550 5.1.1");
    client.expect("RCPT TO:<alice@elsewhere.example>", "550 5.7.1");
    client.expect("RCPT TO:<@example.org:alice@elsewhere.example>", "550 5.7.1");
    client.expect("RCPT TO:<alice%elsewhere.example@example.org>", "550 5.1.1");
    client.expect("RCPT TO:<elsewhere.example!alice@example.org>", "550 5.1.1");
    client.expect("DATA", "5");
    client.expect("RCPT TO:<Alice@EXAMPLE.org>", "250");
    client.expect("RCPT TO:<postmaster@example.org>", "250");
    client.expect("RCPT TO:<Postmaster>", "250");
    client.expect("DATA", "354");
    client.expect("Subject: x\r\n\r\nx\r\n.", "250");
    assert!(!gateway.messages("mail/example.org/alice").is_empty());
    assert!(fs::read_dir(gateway.data.path().join("mail/elsewhere.example")).is_err());
}

#[test]
fn a_message_that_nobody_delivers_is_deferred() {
    let gateway = Gateway::start(&one_chain("[\"policy\"]", &plugin("policy", "one-hook-rust", "[]")));
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    let reply = client.message("a@example.org", &["bob@example.org"], "Subject: x\r\n\r\nx");
    assert!(reply.starts_with("451 4.3.0 "), "{reply}");
}

#[test]
fn a_large_message_arrives_whole() {
    let gateway = Gateway::start(&quickstart());
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    let line = format!("{}\r\n", "0123456789".repeat(7));
    let body = line.repeat(30_000);
    let reply = client.message("", &["bob@example.org"], &format!("Subject: large\r\n\r\n{}", body.trim_end()));
    assert!(reply.starts_with("250 "), "{reply}");
    let messages = gateway.messages("mail/example.org/bob");
    assert!(messages[0].ends_with(&format!("Subject: large\r\n\r\n{body}")));
    assert_eq!(fs::read_dir(gateway.data.path().join("tmp")).unwrap().count(), 0);
}

/// A file system of 256 KiB is mounted for this: that takes the rights of root, which CI has.
#[test]
fn a_full_disk_is_452() {
    let data = tempfile::tempdir().unwrap();
    let mail = data.path().join("mail");
    fs::create_dir(&mail).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(&mail).status();
    if !mounted.is_ok_and(|status| status.success()) {
        return skip("a full disk is not tested without the right to mount a small file system");
    }
    let gateway = Gateway::start_in(&quickstart(), data);
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    let body = "0123456789\r\n".repeat(40_000);
    let reply = client.message("", &["bob@example.org"], &format!("Subject: x\r\n\r\n{}", body.trim_end()));
    let small = client.message("", &["bob@example.org"], "Subject: small\r\n\r\nfits");
    let kept = gateway.messages("mail/example.org/bob");
    let drafts = fs::read_dir(mail.join("example.org/bob/tmp")).unwrap().count();
    client.expect("QUIT", "221");
    gateway.stop();
    // Lazily: the directory is about to be removed anyway.
    let unmounted = Command::new("umount").arg("-l").arg(&mail).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
    assert!(reply.starts_with("452 4.3.1 "), "{reply}");
    assert!(small.starts_with("250 "), "{small}");
    assert_eq!((kept.len(), drafts), (1, 0));
}

#[test]
fn a_mailbox_that_cannot_be_written_defers() {
    let gateway = Gateway::start(&quickstart());
    fs::create_dir_all(gateway.data.path().join("mail/example.org")).unwrap();
    fs::write(gateway.data.path().join("mail/example.org/bob"), "in the way").unwrap();
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    let reply = client.message("", &["bob@example.org"], "Subject: x\r\n\r\nx");
    assert!(reply.starts_with("451 4.3.0 "), "{reply}");
    let logged = log::lines(&["writing to a maildir failed", &gateway.data.path().display().to_string()]);
    assert_eq!(logged.len(), 1);
    // The other recipient has it already; the client that sends again makes it two. Twice is better than never.
    let reply = client.message("", &["alice@example.org", "bob@example.org"], "Subject: both\r\n\r\nx");
    assert!(reply.starts_with("451 4.3.0 "), "{reply}");
    assert_eq!(gateway.messages("mail/example.org/alice").len(), 1);
}

#[test]
fn an_open_transaction_may_finish_when_the_gateway_stops() {
    let gateway = Gateway::start(&quickstart());
    let address = gateway.address;
    let mut idle = gateway.client();
    let mut busy = gateway.client();
    idle.expect("EHLO client.example", "250");
    busy.expect("EHLO client.example", "250");
    busy.expect("MAIL FROM:<>", "250");
    busy.expect("RCPT TO:<bob@example.org>", "250");
    let data = gateway.data.path().to_path_buf();
    let stopping = std::thread::spawn(move || gateway.stop_keeping_data());
    assert!(idle.reply().starts_with("421 4.3.2 "));
    assert!(idle.is_closed());
    busy.expect("DATA", "354");
    busy.expect("Subject: last\r\n\r\nx\r\n.", "250");
    assert!(busy.reply().starts_with("421 4.3.2 "));
    assert!(busy.is_closed());
    let (cut_off, _data) = stopping.join().unwrap();
    assert_eq!(cut_off, 0);
    assert_eq!(fs::read_dir(data.join("mail/example.org/bob/new")).unwrap().count(), 1);
    assert!(std::net::TcpStream::connect(address).is_err());
}

/// A client that is closed while it is still sending hears the last reply, and no broken connection.
#[test]
fn the_last_reply_arrives_although_the_client_goes_on_sending() {
    use std::io::{Read, Write};
    let gateway = Gateway::start(&quickstart());
    let mut stream = std::net::TcpStream::connect(gateway.address).unwrap();
    stream.write_all(&b"NONSENSE\r\n".repeat(50_000)).unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).expect("an end, not a reset");
    assert!(heard.lines().last().is_some_and(|line| line.starts_with("421 4.7.0 ")), "{heard}");
}

/// A first line that begins with white space would continue the field that is put on top of it: ours, or a filter's verdict.
#[test]
fn nobody_continues_our_own_fields() {
    let gateway = Gateway::start(&quickstart());
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    let reply = client.message("", &["bob@example.org"], " (forged)\r\nSubject: x\r\n\r\nx");
    assert!(reply.starts_with("550 5.6.0 "), "{reply}");
    client.expect("MAIL FROM:<>", "250");
    client.expect("RCPT TO:<bob@example.org>", "250");
    client.send(b"BDAT 9 LAST\r\n\tforged\r\n");
    let reply = client.reply();
    assert!(reply.starts_with("550 5.6.0 "), "{reply}");
    assert!(gateway.messages("mail/example.org/bob").is_empty());
}

/// RFC 3030: a body of any octets is stored as it came, behind a header section that plugins have edited, and edited back.
#[test]
fn binary_mail_is_stored_octet_for_octet() {
    let plugins = [
        plugin("recorder", "recorder", "[\"log\"]"),
        plugin("policy", "policy", "[]"),
        plugin("delivery", "maildir", "[\"log\", \"config\", { maildir = \"mail\" }]") + "config.domains = \"all\"\n",
    ];
    let gateway = Gateway::start(&one_chain("[\"recorder\", \"policy\", \"delivery\"]", &plugins.concat()));
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    let mut send = |message: &[u8], expected: &str| {
        client.expect("MAIL FROM:<a@client.example> BODY=BINARYMIME", "250");
        client.expect("RCPT TO:<bob@example.org>", "250");
        let (first, last) = message.split_at(10);
        client.send(&[format!("BDAT {}\r\n", first.len()).as_bytes(), first].concat());
        let reply = client.reply();
        assert!(reply.starts_with("250 "), "{reply}");
        client.send(&[format!("BDAT {} LAST\r\n", last.len()).as_bytes(), last].concat());
        let reply = client.reply();
        assert!(reply.starts_with(expected), "{reply}");
    };
    // Every pair of octets, so every CR and LF without the other, and no CRLF at the end.
    let mut body: Vec<u8> = (0..=255_u8).flat_map(|one| (0..=255_u8).flat_map(move |other| [one, other])).collect();
    body.extend(b".\r\n.\r\n\n.\r");
    let header = b"Subject: octets\r\nContent-Transfer-Encoding: binary\r\n";
    send(&[&header[..], b"\r\n", &body].concat(), "250 2.0.0 ");
    let files = new_files(&gateway.data.path().join("mail"));
    let [file] = &files[..] else { panic!("{files:?}") };
    let octets = Stored::read(file).octets;
    let at = octets.windows(4).position(|window| window == b"\r\n\r\n").expect("an empty line");
    assert!(octets[at + 4..] == body, "another body of {} octets", octets.len() - at - 4);
    let header_stored = String::from_utf8(octets[..at].to_vec()).expect("the header section is text");
    assert!(header_stored.contains("Subject: octets\r\nContent-Transfer-Encoding: binary"), "{header_stored}");
    assert!(header_stored.contains("X-Recorder: "), "{header_stored}");
    // Only the body may be so: a reader that ends lines at a bare LF would find fields that no filter has seen.
    for header in [&b"Subject: x\nBcc: y"[..], b"Subject: x\rBcc: y", b"Subject: \0", b"\nBcc: y"] {
        send(&[header, b"\r\n\r\nx"].concat(), "550 5.6.0 Bare CR, bare LF or NUL in the header section");
    }
    send(b"no header section\n at all", "550 5.6.0 ");
    assert_eq!(new_files(&gateway.data.path().join("mail")).len(), 1);
}

/// More recipients than one call to a plugin takes: each gets the message once.
#[test]
fn a_message_for_many_is_delivered_to_all() {
    let accept_all = quickstart().replace("users = [\"alice\", \"bob\"]", "reject-unknown = false");
    let gateway = Gateway::start(&accept_all);
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    let recipients: Vec<_> = (0..70).map(|n| format!("user-{n}@example.org")).collect();
    let recipients: Vec<_> = recipients.iter().map(String::as_str).collect();
    let reply = client.message("", &recipients, "Subject: all\r\n\r\nx");
    assert!(reply.starts_with("250 "), "{reply}");
    for n in 0..70 {
        assert_eq!(gateway.messages(&format!("mail/example.org/user-{n}")).len(), 1, "user-{n}");
    }
}

/// What an alias leads to and nobody delivers is deferred, and does not end in a mailbox that nobody reads.
#[test]
fn an_alias_to_another_host_is_not_swallowed() {
    let alias =
        quickstart().replace("users = [\"alice\", \"bob\"]", "aliases = { info = \"carol@elsewhere.example\" }");
    let gateway = Gateway::start(&alias);
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    let reply = client.message("", &["info@example.org"], "Subject: x\r\n\r\nx");
    assert!(reply.starts_with("451 4.3.0 "), "{reply}");
    assert!(!gateway.data.path().join("mail/elsewhere.example").exists());
}
