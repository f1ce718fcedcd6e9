//! curl as a mail client.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::process::Ended;
use crate::support::program::{program, run};
use crate::support::{Gateway, quickstart};

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
