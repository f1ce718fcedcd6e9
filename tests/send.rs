//! `postgate send`: each of its options against our own gateway, what it says of what went wrong, and sessions that it has written down and `postgate test` plays.

mod hostile;
mod others;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::certificates::Authority;
use crate::support::process::{Ended, binary};
use crate::support::program::{run, run_with_input};
use crate::support::{Gateway, one_chain, plugin, recorded, target};

/// A command that is ready, but for what is told about the server.
fn command(folder: &Path, server: &str, arguments: &str) -> Command {
    let mut command = Command::new(binary());
    command.current_dir(folder).args(["send", "--server", server]).args(arguments.split_whitespace());
    command
}

/// Sends from Alice to Bob, and answers what was said.
fn send(folder: &Path, server: &str, arguments: &str) -> Ended {
    let mut command = command(folder, server, "--from alice@example.com --to bob@example.org --helo client.example");
    run(command.args(arguments.split_whitespace()))
}

#[track_caller]
fn check(ended: &Ended, code: i32, said: &[&str], error: &str) {
    assert_eq!(ended.code, Some(code), "{}\n{}", ended.stdout, ended.stderr);
    for text in said {
        assert!(ended.stdout.contains(text), "{text:?} is not in:\n{}", ended.stdout);
    }
    assert!(ended.stderr.contains(error) && ended.stderr.is_empty() == error.is_empty(), "{}", ended.stderr);
}

fn configuration(listener: &str) -> String {
    let plugins = [
        plugin("policy", "policy", "[]"),
        plugin("delivery", "maildir", "['log', 'config', { maildir = 'mail' }]"),
        "config.domains = 'all'\n".to_owned(),
    ];
    let text = one_chain("['policy', 'delivery']", &plugins.concat());
    text.replacen("auth-in-clear = true\n", &format!("auth-in-clear = true\n{listener}\n"), 1)
}

fn gateway(listener: &str) -> Gateway {
    Gateway::start(&configuration(listener))
}

/// The octets behind our trace fields.
#[track_caller]
fn delivered(gateway: &Gateway, first: &str) -> String {
    let messages = gateway.messages("mail/example.org/bob");
    let found = messages.iter().find_map(|message| message.find(first).map(|at| message[at..].to_owned()));
    found.unwrap_or_else(|| panic!("no message begins with {first:?}: {messages:#?}"))
}

#[test]
fn a_composed_message() {
    let (gateway, folder) = (gateway(""), tempfile::tempdir().unwrap());
    let server = gateway.address.to_string();
    let ended = send(folder.path(), &server, "--subject Tea --body Sechs");
    check(
        &ended,
        0,
        &["\nS: 220 mx.example.org ", "\nC: EHLO client.example\n", "\nC: Subject: Tea\n", "\nC: .\n"],
        "",
    );
    assert!(ended.stdout.ends_with("\n") && ended.stdout.contains("\nbob@example.org: taken: 250 2.0.0 Taken as "));
    let message = delivered(&gateway, "Date: ");
    let fields: Vec<&str> = message.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name).collect();
    assert_eq!(fields[..5], ["Date", "Message-ID", "From", "To", "Subject"], "{message}");
    assert!(message.ends_with("\r\n\r\nSechs\r\n"), "{message}");
    // Of a size, by DATA and by BDAT; of mail data the beginning is shown.
    for (n, way) in ["", "--bdat", "--bdat 1000", "--bdat 7KiB --no-pipelining"].iter().enumerate() {
        let ended = send(folder.path(), &server, &format!("--size 25000 --subject size-{n} {way}"));
        check(&ended, 0, &["# …\n"], "");
        assert!(ended.stdout.len() < 4000, "{}", ended.stdout);
        let messages = gateway.messages("mail/example.org/bob");
        let message = messages.iter().find(|message| message.contains(&format!("Subject: size-{n}\r\n")));
        let message = message.unwrap_or_else(|| panic!("{way}"));
        assert_eq!(message.len() - message.find("Date: ").unwrap(), 25_000, "{way}");
        let chunks = ended.stdout.lines().filter(|line| line.starts_with("C: BDAT ")).count();
        assert_eq!(chunks, [0, 1, 25, 4][n], "{}", ended.stdout);
    }
}

#[test]
fn a_message_of_ones_own() {
    let (gateway, folder) = (gateway(""), tempfile::tempdir().unwrap());
    let server = gateway.address.to_string();
    fs::write(folder.path().join("mail.eml"), "Subject: own\n\n.\n..two\r\nGr\u{fc}\u{df}e").unwrap();
    for way in ["", "--bdat 5"] {
        let ended = send(folder.path(), &server, &format!("--message mail.eml {way}"));
        check(&ended, 0, &["# 3 lines ended with LF alone, and are sent with CRLF\n", " BODY=8BITMIME"], "");
    }
    let found = gateway.messages("mail/example.org/bob");
    let mut ends: Vec<&str> = found.iter().map(|text| &text[text.find("Subject: own").unwrap()..]).collect();
    ends.sort_unstable();
    let text = "Subject: own\r\n\r\n.\r\n..two\r\nGr\u{fc}\u{df}e";
    assert_eq!(ends, [text, &format!("{text}\r\n")]);
    // From standard input; and octets that only BDAT can carry.
    let mut command = command(folder.path(), &server, "--from <> --to bob@example.org --message -");
    check(&run_with_input(&mut command, "Subject: input\n\nx\n"), 0, &["MAIL FROM:<>"], "");
    assert_eq!(delivered(&gateway, "Subject: input"), "Subject: input\r\n\r\nx\r\n");
    fs::write(folder.path().join("odd.eml"), "Subject: odd\r\n\r\na\rb\r\n").unwrap();
    let ended = send(folder.path(), &server, "--message odd.eml");
    check(&ended, 65, &[], "odd.eml: line 3 has a bare CR, which DATA can't carry; --bdat sends it as it is");
    check(&send(folder.path(), &server, "--message odd.eml --bdat"), 77, &["refused: 550 5.6.0 "], "");
    fs::write(folder.path().join("odd.eml"), "Subject: odd\r\n\r\n\0\n\r").unwrap();
    let ended = send(folder.path(), &server, "--message odd.eml --mail-parameter BODY=BINARYMIME --bdat 3");
    check(&ended, 0, &[" BODY=BINARYMIME", "C: BDAT 3\n"], "");
    assert_eq!(delivered(&gateway, "Subject: odd"), "Subject: odd\r\n\r\n\0\n\r");
}

#[test]
fn recipients_have_each_their_outcome() {
    let (gateway, folder) = (gateway("limits.recipients = 2"), tempfile::tempdir().unwrap());
    let server = gateway.address.to_string();
    let ended = send(folder.path(), &server, "--to no-550@example.org --quiet");
    check(&ended, 77, &["no-550@example.org: refused: 550 5.7.1 policy says no\n"], "");
    assert!(ended.stdout.starts_with("bob@example.org: taken: 250 2.0.0 "), "{}", ended.stdout);
    check(&send(folder.path(), &server, "--to no-450@example.org"), 75, &["no-450@example.org: deferred: 450 "], "");
    // The server says how many it takes at once: RFC 9422.
    fs::write(folder.path().join("list"), "# some\n\nzoe@example.org\n<yan@example.org>\npostmaster@example.org\n")
        .unwrap();
    let ended = send(folder.path(), &server, "--recipients list");
    check(&ended, 0, &["postmaster@example.org: taken: 250 "], "");
    assert_eq!(ended.stdout.matches("C: MAIL FROM").count(), 2, "{}", ended.stdout);
    let ended = send(folder.path(), &server, "--to no-450@example.org --json");
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(told["recipients"][1]["outcome"], "deferred");
    assert_eq!((&told["recipients"][1]["code"], &told["exit"]), (&json!(450), &json!(75)));
    assert!(told["transcript"].as_array().unwrap().contains(&json!({"by": "client", "text": "DATA"})), "{told}");
    // Nothing but a refusal.
    check(&send(folder.path(), &server, "--from no-550@example.org"), 64, &[], "--from");
}

#[test]
fn below_tls() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    authority.write(folder.path(), "ca.pem");
    Authority::new().write(folder.path(), "other.pem");
    let start = |tls: &str| {
        let data = tempfile::tempdir().unwrap();
        authority.issue(&["mx.example.org"]).write(data.path(), "mx");
        let certificates = "certificates = [{ chain = 'mx.pem', key = 'mx.key' }]";
        Gateway::start_in(&configuration(&format!("tls = '{tls}'\n{certificates}")), data)
    };
    let (first, second) = (start("starttls"), start("implicit"));
    for (gateway, tls) in [(&first, "starttls"), (&second, "implicit")] {
        let server = gateway.address.to_string();
        let ended = send(folder.path(), &server, &format!("--tls {tls} --ca ca.pem --server-name mx.example.org"));
        check(&ended, 0, &["# TLS: TLSv1.3, TLS13_", "taken: 250 "], "");
        check(&send(folder.path(), &server, &format!("--tls {tls} --insecure")), 0, &["taken: 250 "], "");
        let ended = send(folder.path(), &server, &format!("--tls {tls} --ca ca.pem"));
        check(&ended, 76, &["bob@example.org: not tried"], "the handshake of TLS has failed: ");
        let ended = send(folder.path(), &server, &format!("--tls {tls} --ca other.pem --server-name mx.example.org"));
        check(&ended, 76, &[], "--insecure believes everybody");
    }
    // Without a word STARTTLS is used where it is offered, and nobody is verified.
    let server = first.address.to_string();
    check(&send(folder.path(), &server, ""), 0, &["C: STARTTLS\n", "# TLS: TLSv1.3"], "");
    check(&send(folder.path(), &server, "--quit-after tls"), 0, &["# TLS: TLSv1.3", "C: QUIT"], "");
    assert!(!send(folder.path(), &server, "--tls none").stdout.contains("STARTTLS\nS: 220"));
    // What is not offered, and who does not speak it.
    let clear = gateway("");
    let server = clear.address.to_string();
    let ended = send(folder.path(), &server, "--tls starttls --insecure");
    check(&ended, 76, &[], "TLS is required, and the server does not offer it");
    let ended = send(folder.path(), &server, "--tls implicit --insecure");
    check(&ended, 76, &[], "a server that speaks in clear first wants --tls starttls");
    let ended = send(folder.path(), &second.address.to_string(), "--tls starttls --insecure --timeout 2s");
    check(&ended, 69, &[], "the server was silent for too long");
}

#[test]
fn each_mechanism() {
    let (gateway, authority) = crate::auth::gateway("limits.auth-failure-delay = '0 s'\n");
    let folder = tempfile::tempdir().unwrap();
    authority.write(folder.path(), "ca.pem");
    authority
        .issue_with(&[], |certificate| {
            let mailbox = "alice@example.org".try_into().unwrap();
            certificate.subject_alt_names.push(rcgen::SanType::Rfc822Name(mailbox));
        })
        .write(folder.path(), "own");
    fs::write(folder.path().join("password"), "wonderland\nmore\n").unwrap();
    let (clear, tls) = (gateway.addresses["clear"].to_string(), gateway.addresses["tls"].to_string());
    let verified = "--tls starttls --ca ca.pem --user alice@example.org --password-file password";
    for (mechanism, begin) in [
        ("", "C: AUTH SCRAM-SHA-256-PLUS ***"),
        ("--auth scram-sha-256", "C: AUTH SCRAM-SHA-256 ***"),
        ("--auth PLAIN", "C: AUTH PLAIN ***\n"),
        ("--auth LOGIN", "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: ***\n"),
    ] {
        let ended = send(folder.path(), &tls, &format!("{verified} {mechanism}"));
        check(&ended, 0, &[begin, "S: 235 2.7.0 "], "");
        assert!(!ended.stdout.contains("d29uZGVybGFuZ") && !ended.stdout.contains("wonderland"), "{}", ended.stdout);
    }
    let own = "--tls starttls --ca ca.pem --client-certificate own.pem --client-key own.key --auth EXTERNAL";
    check(&send(folder.path(), &tls, own), 0, &["C: AUTH EXTERNAL ***", "S: 235 "], "");
    // In clear to this machine; and from standard input.
    let mut command = command(folder.path(), &clear, "--from a@example.com --to b@example.org --auth PLAIN");
    command.args(["--user", "bob@example.org", "--password-file", "-"]);
    check(&run_with_input(&mut command, "wonderland"), 0, &["AUTH PLAIN ***"], "");
    check(
        &run_with_input(&mut command, "looking-glass"),
        77,
        &["S: 535 "],
        "the server refuses the credentials: 535 5.7.8",
    );
    check(&run_with_input(&mut command, ""), 65, &[], "there is no password");
    for (arguments, error) in [
        ("--auth CRAM-MD5 --user a --password-file password", "is no mechanism that is known"),
        ("--auth PLAIN", "--auth wants --user"),
        ("--user a", "--user wants --password-file"),
        ("--user a --password-file - --message -", "standard input can be one thing only"),
    ] {
        check(&send(folder.path(), &clear, arguments), 64, &[], error);
    }
    let ended = send(folder.path(), "mx.example.org:25", "--user a --password-file password");
    check(&ended, 64, &[], "say --tls starttls, implicit or none");
    let ended = send(folder.path(), &clear, "--tls none --auth EXTERNAL");
    check(&ended, 76, &[], "the server offers no AUTH mechanism that can be used here");
}

/// Whom the gateway takes the client for.
#[test]
fn for_somebody_else() {
    let folder = tempfile::tempdir().unwrap();
    let proxied = Gateway::start(&recorded::configuration("proxy-from = [\"127.0.0.1\"]\n"));
    for (version, name, source) in [("v1", "one.example", "192.0.2.7"), ("v2", "two.example", "2001:db8::7")] {
        let address = if source.contains(':') { format!("[{source}]:4711") } else { format!("{source}:4711") };
        let arguments = format!("--proxy {version} --proxy-source {address} --helo {name}");
        let mut command =
            command(folder.path(), &proxied.address.to_string(), "--from a@example.org --to b@example.org");
        let ended = run(command.args(arguments.split(' ')));
        check(&ended, 0, &[&format!("# PROXY header of a connection from {address}\n")], "");
        let session = recorded::session(name, "mail");
        assert_eq!((&session["remote"]["address"], &session["remote"]["port"]), (&source.into(), &4711.into()));
    }
    let presented = Gateway::start(&recorded::configuration("xclient-from = [\"127.0.0.1\"]\n"));
    let arguments = "--xclient ADDR=192.0.2.9 --xclient name=ada.example --helo three.example";
    let mut command = command(folder.path(), &presented.address.to_string(), "--from a@example.org --to b@example.org");
    let ended = run(command.args(arguments.split(' ')));
    check(&ended, 0, &["\nC: XCLIENT ADDR=192.0.2.9 NAME=ada.example\nS: 220 "], "");
    assert_eq!(recorded::session("three.example", "mail")["remote"]["address"], "192.0.2.9");
    let ended = send(folder.path(), &gateway("").address.to_string(), "--xclient ADDR=192.0.2.9");
    check(&ended, 76, &[], "the server does not offer XCLIENT");
}

#[test]
fn the_dialogue_as_it_is_wanted() {
    let (gateway, folder) = (gateway("limits.message-octets = 1000"), tempfile::tempdir().unwrap());
    let server = gateway.address.to_string();
    for (stage, last) in
        [("banner", "220 "), ("helo", "250 HELP"), ("auth", "250 HELP"), ("mail", "250 2.1.0 "), ("rcpt", "250 2.1.5 ")]
    {
        let ended = send(folder.path(), &server, &format!("--quit-after {stage}"));
        check(&ended, 0, &["C: QUIT\nS: 221 "], "");
        let before = ended.stdout.split("\nC: QUIT").next().unwrap().lines().next_back().unwrap();
        assert!(before.starts_with(&format!("S: {last}")), "{stage}: {}", ended.stdout);
    }
    let ended = send(folder.path(), &server, "--quit-after rcpt --to no-550@example.org");
    check(&ended, 77, &["bob@example.org: accepted, and nothing sent: 250 2.1.5", "refused: 550 "], "");
    check(&run(&mut command(folder.path(), &server, "--quit-after helo")), 0, &["C: QUIT"], "");
    // One by one, and all at once.
    let is_one_by_one = |ended: &Ended| ended.stdout.contains("SIZE=") && !ended.stdout.contains("\nC: DATA\nS: 250");
    assert!(is_one_by_one(&send(folder.path(), &server, "--no-pipelining")));
    let ended = send(folder.path(), &server, "--pipelining");
    assert!(ended.code == Some(0) && ended.stdout.contains("\nC: DATA\nS: 250 "), "{}", ended.stdout);
    // Parameters go as they are, and a message that is too large is offered all the same.
    let ended =
        send(folder.path(), &server, "--mail-parameter MT-PRIORITY=3 --mail-parameter SIZE=1 --rcpt-parameter X=Y");
    check(&ended, 77, &["> MT-PRIORITY=3 SIZE=1\n", "RCPT TO:<bob@example.org> X=Y\n", "refused: 5"], "");
    let ended = send(folder.path(), &server, "--size 2000");
    check(&ended, 77, &["SIZE=2000\n", "S: 552 5.3.4 "], "");
    for (arguments, error) in [
        ("--mail-parameter a\u{1}b", "can't be a parameter"),
        ("--size 3", "--size: this message has "),
        ("--bdat 0", "--bdat: a chunk has 1 to "),
        ("--message x --subject y", "cannot be used with"),
        ("--recipients missing", "missing can't be read: "),
        ("--message missing", "missing can't be read: "),
        ("--to nobody", "--to \"nobody\": "),
        ("--count 0", "0 is not in 1..=1000000"),
        ("--count 2 --record x", "--record and --quit-after are about one message"),
        ("--ca x", "say --tls starttls or --tls implicit"),
    ] {
        let ended = send(folder.path(), &server, arguments);
        let code = if error.contains("can't be read") { 66 } else { 64 };
        check(&ended, code, &[], error);
    }
    check(
        &run(&mut command(folder.path(), &server, "--quit-after helo --helo a..b")),
        64,
        &[],
        "--helo \"a..b\": the domain",
    );
    check(&run(&mut command(folder.path(), &server, "--to a@example.org")), 64, &[], "--from says whom");
    check(&run(&mut command(folder.path(), &server, "--from a@example.org")), 64, &[], "--to or --recipients says");
}

#[test]
fn by_lmtp() {
    let (gateway, folder) = (gateway("protocol = 'lmtp'"), tempfile::tempdir().unwrap());
    let server = gateway.address.to_string();
    for way in ["", "--bdat 200"] {
        let ended = send(folder.path(), &server, &format!("--lmtp --to late-452@example.org {way}"));
        check(
            &ended,
            75,
            &["C: LHLO client.example", "bob@example.org: taken: 250 ", "late-452@example.org: deferred: 452 "],
            "",
        );
    }
    let ended = send(folder.path(), &server, "");
    check(&ended, 77, &["not tried"], "the server refuses: 500 ");
}

#[test]
fn many_messages() {
    let (gateway, folder) = (gateway(""), tempfile::tempdir().unwrap());
    let server = gateway.address.to_string();
    let ended = send(folder.path(), &server, "--count 60 --connections 4");
    check(
        &ended,
        0,
        &["60 messages over 4 connections in ", ": 60 accepted, 0 deferred, 0 refused, 0 failed\n", "(p99)\n"],
        "",
    );
    let messages = gateway.messages("mail/example.org/bob");
    let ids: std::collections::BTreeSet<&str> =
        messages.iter().filter_map(|message| message.lines().find(|line| line.starts_with("Message-ID: "))).collect();
    assert_eq!((messages.len(), ids.len()), (60, 60));
    let ended = send(folder.path(), &server, "--count 10 --to no-550@example.org --json");
    assert_eq!(ended.code, Some(77));
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&told["refused"], &told["reasons"]["550 5.7.1 policy says no"]), (&json!(10), &json!(10)));
    // A server that is not there is not tried for each message.
    drop(gateway);
    let ended = send(folder.path(), &server, "--count 1000 --connections 2");
    check(
        &ended,
        69,
        &["0 accepted, 0 deferred, 0 refused, 6 failed, 994 not tried"],
        "can't be reached: Connection refused",
    );
}

/// What was recorded is played by `postgate test`, against the same configuration.
#[test]
fn a_record_is_a_dialogue() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let certificates = "certificates = [{ chain = 'mx.pem', key = 'mx.key' }]";
    authority.issue(&["mx.example.org"]).write(folder.path(), "mx");
    fs::write(folder.path().join("password"), "wonderland").unwrap();
    fs::write(folder.path().join("mail.eml"), "Subject: odd \n\n.\n..\n\t\\r \u{fc} \n\x0b").unwrap();
    fs::write(folder.path().join("binary.eml"), b"Subject: x\r\n\r\n\0\r\xff\n \n").unwrap();
    for (n, (listener, arguments, code)) in [
        ("", "", 0),
        ("", "--message mail.eml", 0),
        ("", "--message mail.eml --bdat 7 --no-pipelining", 0),
        ("", "--message mail.eml --bdat 3", 0),
        ("", "--message binary.eml --mail-parameter BODY=BINARYMIME --bdat 5", 0),
        ("", "--size 40000", 0),
        ("", "--size 40000 --bdat 1000", 0),
        ("", "--size 40000 --bdat 1000 --no-pipelining", 0),
        ("", "--to no-550@example.org --to nobody@example.org", 77),
        (
            "limits.recipients = 1\nlimits.transactions = 2",
            "--to a@example.org --to b@example.org --to c@example.org --to d@example.org",
            0,
        ),
        ("", "--quit-after rcpt", 0),
        ("", "--user alice --password-file password --auth LOGIN", 0),
        ("tls = 'starttls'", "--user alice --password-file password --tls starttls --insecure --bdat 100", 0),
        ("tls = 'implicit'", "--user alice --password-file password --tls implicit --insecure", 0),
        ("protocol = 'lmtp'", "--lmtp --to late-450@example.org --bdat 100", 75),
        ("proxy-from = ['127.0.0.1']", "--proxy v2 --proxy-source 192.0.2.99:1", 0),
    ]
    .iter()
    .enumerate()
    {
        let tls = if listener.contains("tls") { certificates } else { "" };
        let text = configuration(&format!("{listener}\n{tls}"));
        let data = tempfile::tempdir().unwrap();
        authority.issue(&["mx.example.org"]).write(data.path(), "mx");
        let gateway = Gateway::start_in(&text, data);
        let record = format!("record-{n}.dlg");
        let ended = send(folder.path(), &gateway.address.to_string(), &format!("{arguments} --record {record}"));
        assert_eq!(ended.code, Some(*code), "{arguments}\n{}\n{}", ended.stdout, ended.stderr);
        // A dialogue in memory comes from no proxy.
        let text = text.replace("proxy-from = ['127.0.0.1']", "");
        fs::write(folder.path().join("postgate.toml"), text).unwrap();
        let mut test = Command::new(binary());
        test.args(["test", "--config", "postgate.toml", &record]).current_dir(folder.path()).stdin(Stdio::null());
        let played = run(test.env("XDG_CACHE_HOME", target().join("tmp/rehearsal")));
        let dialogue = fs::read_to_string(folder.path().join(&record)).unwrap();
        assert_eq!(played.code, Some(0), "{arguments}\n{}{}\n{dialogue}", played.stdout, played.stderr);
        let several = dialogue.contains("\nclosed\nfrom: 192.0.2.1\nS: 220 *\n");
        assert_eq!(several, listener.contains("limits.transactions"), "{dialogue}");
        assert!(dialogue.len() < 8000, "a large message stands beside:\n{dialogue}");
    }
    // What can't be written is told.
    let gateway = gateway("");
    let ended = send(folder.path(), &gateway.address.to_string(), "--record missing/x.dlg --quiet");
    check(&ended, 73, &[], "missing/x.dlg can't be written: ");
}
