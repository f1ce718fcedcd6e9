//! `postgate send` against servers that are not ours: aiosmtpd, Postfix and its sink.

use std::fs;

use serde_json::{Value, json};

use super::{check, send};
use crate::clients::postfix::Postfix;
use crate::relay::counterparts::{Aiosmtpd, POSTFIX_MAIN, POSTFIX_MASTER, difficult, free_port, mail, sink, tls};
use crate::support::certificates::Authority;

fn content(told: &Value) -> Vec<u8> {
    postgate_smtp::base64::decode(told["content"].as_str().expect("a text").as_bytes()).expect("base64")
}

#[test]
fn aiosmtpd() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    authority.write(folder.path(), "ca.pem");
    fs::write(folder.path().join("password"), "wonderland\n").unwrap();
    fs::write(folder.path().join("mail.eml"), difficult()).unwrap();
    let auth = "--user gateway --password-file password --server-name mx.example.org --ca ca.pem";
    for (settings, arguments) in [
        (json!({}), String::new()),
        (json!({"lmtp": true}), "--lmtp".to_owned()),
        (tls(json!({"auth": "PLAIN"}), "starttls", folder.path(), &authority), format!("--tls starttls {auth}")),
        (tls(json!({"auth": "LOGIN"}), "starttls", folder.path(), &authority), format!("--tls starttls {auth}")),
        (tls(json!({}), "implicit", folder.path(), &authority), "--tls implicit --insecure".to_owned()),
    ] {
        let Some(server) = Aiosmtpd::start(&settings) else { return };
        let ended = send(folder.path(), &server.address.to_string(), &format!("--message mail.eml {arguments}"));
        check(&ended, 0, &["bob@example.org: taken: 250 2.0.0 taken\n"], "");
        let told = server.told();
        assert!(content(&told) == difficult(), "the message is another: {arguments}");
        assert_eq!(told["tls"], arguments.contains("--tls"));
        assert_eq!(told["user"], if arguments.contains("--user") { json!("gateway") } else { json!(null) });
    }
    let Some(server) = Aiosmtpd::start(&json!({})) else { return };
    let address = server.address.to_string();
    check(&send(folder.path(), &address, "--bdat"), 76, &["not tried"], "the server does not offer CHUNKING");
    let ended = send(folder.path(), &address, "--to no-carol@example.org --to later-dora@example.org");
    check(
        &ended,
        77,
        &["no-carol@example.org: refused: 550 5.1.1 ", "later-dora@example.org: deferred: 450 4.2.1 "],
        "",
    );
}

/// BDAT, STARTTLS, DSN, and what it refuses.
#[test]
fn postfix() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    authority.write(folder.path(), "ca.pem");
    fs::write(folder.path().join("mail.eml"), "Subject: one\n\n.\n..two\nGr\u{fc}\u{df}e\n").unwrap();
    let address = free_port();
    let master = format!("127.0.0.1:{} inet n - n - - smtpd\n{POSTFIX_MASTER}", address.port());
    let prepare = |home: &std::path::Path| authority.issue(&["mx.example.org"]).write(home, "mx");
    let Some(postfix) = Postfix::run(POSTFIX_MAIN, &master, prepare) else { return };
    let address = address.to_string();
    let verified = "--tls starttls --ca ca.pem --server-name mx.example.org --message mail.eml";
    for way in ["", "--bdat 10", "--bdat", "--no-pipelining"] {
        let ended = send(folder.path(), &address, &format!("{verified} {way}"));
        check(&ended, 0, &["# TLS: TLSv1.3", "bob@example.org: taken: 250 2.0.0 Ok"], "");
        postfix.wait_log("status=sent", 1);
    }
    let found = mail(&postfix);
    let messages = found.iter().filter(|message| message.ends_with("\n\n.\n..two\nGr\u{fc}\u{df}e\n"));
    assert!(messages.count() == 4, "{found:#?}");
    let ended = send(folder.path(), &address, "--to stranger@elsewhere.example");
    check(&ended, 77, &["stranger@elsewhere.example: refused: 554 5.7.1 "], "");
    let ended = send(folder.path(), &address, "--size 60000");
    check(&ended, 77, &["S: 552 5.3.4 "], "");
    let ended = send(folder.path(), &address, "--mail-parameter RET=HDRS --rcpt-parameter NOTIFY=WRONG");
    check(&ended, 77, &[" RET=HDRS\n", " NOTIFY=WRONG\n", "refused: 501 "], "");
}

#[test]
fn the_sink() {
    let folder = tempfile::tempdir().unwrap();
    let root = ["-u", "root"];
    for (options, arguments, code, said) in [
        (&[][..], "", 0, "taken: 250 2.0.0 Ok"),
        (&["-e"], "", 0, "taken: 250"),
        (&["-p"], "--no-pipelining", 0, "taken: 250"),
        (&["-p"], "--pipelining", 0, "taken: 250"),
        (&["-L"], "--lmtp", 0, "taken: 250"),
        (&["-f", "connect"], "", 77, "not tried"),
        (&["-r", "mail"], "", 75, "deferred: 450 "),
        (&["-f", "rcpt"], "", 77, "refused: 500 "),
        (&["-f", "."], "", 77, "refused: 500 "),
        (&["-q", "."], "", 69, "deferred: 451 4.4.2 "),
    ] {
        let Some((address, _sink)) = sink(&[options, &root].concat()) else { return };
        let ended = send(folder.path(), &address.to_string(), arguments);
        assert_eq!(ended.code, Some(code), "{options:?}: {}{}", ended.stdout, ended.stderr);
        assert!(ended.stdout.contains(said), "{options:?}: {}", ended.stdout);
    }
    let Some((address, _sink)) = sink(&root) else { return };
    let ended = send(folder.path(), &address.to_string(), "--count 500 --connections 10 --size 2000");
    check(&ended, 0, &["500 accepted"], "");
    eprintln!("{}", ended.stdout);
}
