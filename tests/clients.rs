//! Real clients against the quickstart's gateway: swaks, curl, Python's smtplib and Postfix's smtp-source, each of which finds its
//! message in the Maildir.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::process::Ended;
use crate::support::program::{program, run};
use crate::support::{Gateway, quickstart};

/// `swaks` with these arguments, to the gateway.
fn swaks(program: &Path, gateway: &Gateway, arguments: &[&str]) -> Ended {
    let server = gateway.address.to_string();
    run(Command::new(program)
        .args(["--server", &server, "--helo", "client.example", "--timeout", "60"])
        .args(arguments))
}

const AS_ALICE: [&str; 6] =
    ["--from", "alice@example.org", "--auth-user", "alice@example.org", "--auth-password", "wonderland"];

#[test]
fn swaks_authenticates() {
    let Some(program) = program("swaks", "swaks") else { return };
    let gateway = Gateway::start(&quickstart());
    for mechanism in ["PLAIN", "LOGIN"] {
        let subject = format!("Subject: by {mechanism}");
        let arguments = ["--to", "bob@example.org", "--auth", mechanism, "--header", &subject];
        let ended = swaks(&program, &gateway, &[&AS_ALICE[..], &arguments].concat());
        ended.expect(0, &[&format!("AUTH {mechanism}"), "<-  235 2.7.0 ", "<-  250 2.0.0 Taken as "]);
        let messages = gateway.messages("mail/example.org/bob");
        let found: Vec<_> = messages.iter().filter(|message| message.contains(&subject)).collect();
        let [message] = found[..] else { panic!("{subject}: {messages:#?}") };
        assert!(message.starts_with("Return-Path: <alice@example.org>\r\n"), "{message}");
        assert!(message.contains(" (Postgate) with ESMTPA id "), "{message}");
    }
}

#[test]
fn swaks_with_a_wrong_password() {
    let Some(program) = program("swaks", "swaks") else { return };
    let gateway = Gateway::start(&quickstart());
    for mechanism in ["PLAIN", "LOGIN"] {
        let password = ["--auth-password", "looking-glass"];
        let arguments = ["--to", "bob@example.org", "--auth", mechanism];
        let ended = swaks(&program, &gateway, &[&AS_ALICE[..], &password, &arguments].concat());
        // 28: authentication failed.
        assert_eq!(ended.code, Some(28), "{ended:#?}");
        assert!(ended.stdout.contains("<** 535 5.7.8 "), "{}", ended.stdout);
    }
    assert_eq!(gateway.messages("mail/example.org/bob").len(), 0);
}

#[test]
fn swaks_pipelines() {
    let Some(program) = program("swaks", "swaks") else { return };
    let gateway = Gateway::start(&quickstart());
    let to = ["--to", "alice@example.org,bob@example.org", "--header", "Subject: in one go", "--pipeline"];
    let ended = swaks(&program, &gateway, &[&["--from", "<>"][..], &to].concat());
    ended.expect(0, &["<-  250 2.1.5 ", "<-  354 ", "<-  250 2.0.0 Taken as "]);
    for mailbox in ["alice", "bob"] {
        let messages = gateway.messages(&format!("mail/example.org/{mailbox}"));
        let [message] = &messages[..] else { panic!("{mailbox}: {messages:#?}") };
        assert!(message.starts_with("Return-Path: <>\r\n") && message.contains("Subject: in one go"), "{message}");
    }
    let ended = swaks(&program, &gateway, &["--from", "<>", "--to", "nobody@example.org", "--pipeline"]);
    // 24: no recipient was accepted.
    assert_eq!(ended.code, Some(24), "{ended:#?}");
    assert!(ended.stdout.contains("<** 550 5.1.1 "), "{}", ended.stdout);
}

/// `curl` from Alice to Bob with this file and these further arguments.
fn curl(program: &Path, gateway: &Gateway, file: &Path, arguments: &[&str]) -> Ended {
    let url = format!("smtp://{}/client.example", gateway.address);
    let envelope = ["--mail-from", "alice@example.org", "--mail-rcpt", "bob@example.org", "--upload-file"];
    run(Command::new(program)
        .args(["--silent", "--show-error", "--verbose", &url])
        .args(envelope)
        .arg(file)
        .args(arguments))
}

#[test]
fn curl_uploads() {
    let Some(program) = program("curl", "curl") else { return };
    let gateway = Gateway::start(&quickstart());
    let (text, lines) = (gateway.data.path().join("text.eml"), gateway.data.path().join("lines.eml"));
    fs::write(&text, "Subject: by curl\r\n\r\n.\r\n..two\r\n.three\r\nend\r\n").unwrap();
    fs::write(&lines, "Subject: by curl\n\nLF only\n").unwrap();

    let user = ["--user", "alice@example.org:wonderland"];
    let ended = curl(&program, &gateway, &text, &user);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.stderr.contains("< 235 2.7.0 "), "{}", ended.stderr);
    let messages = gateway.messages("mail/example.org/bob");
    let [message] = &messages[..] else { panic!("{messages:#?}") };
    assert!(message.contains(" with ESMTPA id "), "{message}");
    assert!(message.ends_with("\r\nSubject: by curl\r\n\r\n.\r\n..two\r\n.three\r\nend\r\n"), "{message}");

    // 67: the user was not let in.
    let ended = curl(&program, &gateway, &text, &["--user", "alice@example.org:looking-glass"]);
    assert_eq!(ended.code, Some(67), "{ended:#?}");
    // A bare LF is refused, unless curl is told to make it CRLF.
    let ended = curl(&program, &gateway, &lines, &user);
    assert!(ended.code != Some(0) && ended.stderr.contains("< 550 5.6.0 "), "{ended:#?}");
    assert_eq!(gateway.messages("mail/example.org/bob").len(), 1);
    let ended = curl(&program, &gateway, &lines, &["--crlf"]);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let messages = gateway.messages("mail/example.org/bob");
    assert!(
        messages.iter().any(|message| message.ends_with("\r\nSubject: by curl\r\n\r\nLF only\r\n")),
        "{messages:#?}"
    );
}

/// Logs in, sends a message to one who is there and one who is not, then to nobody who is there.
const SMTPLIB: &str = r#"
import smtplib, sys
from email.message import EmailMessage

message = EmailMessage()
message["Subject"] = "by smtplib"
message["From"] = "alice@example.org"
message["To"] = "bob@example.org, carol@example.org"
message.set_content("Gr\u00fc\u00dfe\n.\n.dot\n")
with smtplib.SMTP("127.0.0.1", int(sys.argv[1]), local_hostname="client.example", timeout=60) as smtp:
    try:
        smtp.login("alice@example.org", "looking-glass")
        print("let in")
    except smtplib.SMTPAuthenticationError as error:
        print("not let in", error.smtp_code)
    print("let in", smtp.login("alice@example.org", "wonderland")[0])
    for name, (code, text) in smtp.send_message(message).items():
        print("refused", name, code, text.decode())
    try:
        smtp.sendmail("alice@example.org", ["carol@example.org"], "Subject: x\n\nx\n")
        print("sent")
    except smtplib.SMTPRecipientsRefused as error:
        print("all refused", *error.recipients)
    print("then", smtp.noop()[0])
"#;

#[test]
fn smtplib_sends() {
    let Some(program) = program("python3", "python3") else { return };
    let gateway = Gateway::start(&quickstart());
    let ended = run(Command::new(program).args(["-I", "-c", SMTPLIB, &gateway.address.port().to_string()]));
    ended.expect(0, &[]);
    let said: Vec<&str> = ended.stdout.lines().collect();
    let [wrong, right, refused, all_refused, then] = said[..] else { panic!("{said:#?}") };
    assert_eq!((wrong, right, then), ("not let in 535", "let in 235", "then 250"));
    assert!(refused.starts_with("refused carol@example.org 550 5.1.1 "), "{refused}");
    assert_eq!(all_refused, "all refused carol@example.org");
    let messages = gateway.messages("mail/example.org/bob");
    let [message] = &messages[..] else { panic!("{messages:#?}") };
    assert!(message.contains(" with ESMTPA id ") && message.contains("\r\nSubject: by smtplib\r\n"), "{message}");
    assert!(message.ends_with("\r\n\r\nGr\u{fc}\u{df}e\r\n.\r\n.dot\r\n"), "{message}");
}

/// Each message by a session of its own, or many in each of a few sessions: all are found, and none twice.
#[test]
fn smtp_source_sends_many() {
    let Some(program) = program("smtp-source", "postfix") else { return };
    let gateway = Gateway::start(&quickstart());
    let mut found = 0;
    for (messages, arguments) in [(100, &["-s", "5"][..]), (200, &["-s", "5", "-d"])] {
        let (many, server) = (messages.to_string(), gateway.address.to_string());
        let envelope = ["-f", "alice@example.org", "-t", "bob@example.org", "-M", "client.example", "-l", "4096"];
        run(Command::new(&program).args(arguments).args(["-m", &many]).args(envelope).arg(&server)).expect(0, &[]);
        let stored = gateway.messages("mail/example.org/bob");
        let ids: BTreeSet<&str> = stored.iter().map(|message| message_id(message)).collect();
        found += messages;
        assert_eq!((stored.len(), ids.len()), (found, found), "{arguments:?}");
    }
}

fn message_id(message: &str) -> &str {
    let field = message.lines().find_map(|line| line.strip_prefix("Message-Id: "));
    field.unwrap_or_else(|| panic!("no Message-Id in {message}"))
}
