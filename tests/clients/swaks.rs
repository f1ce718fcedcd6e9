//! swaks, the Swiss army knife of SMTP: AUTH, pipelining, TLS by OpenSSL.

use std::path::Path;
use std::process::Command;

use super::{BOTH, Tls, expect_subjects, strange_authority};
use crate::support::process::Ended;
use crate::support::program::{program, run};
use crate::support::{Gateway, quickstart, skip};

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

#[test]
fn swaks_below_tls() {
    let Some(program) = program("swaks", "swaks") else { return };
    // swaks does without it, and then has no TLS.
    let has_tls =
        Command::new("perl").args(["-MNet::SSLeay", "-e", "1"]).output().is_ok_and(|ended| ended.status.success());
    if !has_tls {
        return skip("there is no Net::SSLeay (Debian package libnet-ssleay-perl); `cargo xtask test` installs it");
    }
    for tls in BOTH {
        let (gateway, authority) = tls.gateway();
        let authority = authority.display().to_string();
        let begin = match tls {
            Tls::Later => "--tls",
            Tls::Implicit => "--tls-on-connect",
        };
        for (mechanism, protocol) in [("PLAIN", "tlsv1_2"), ("LOGIN", "tlsv1_3")] {
            let subject = format!("Subject: {mechanism}");
            let arguments = [begin, "--tls-verify", "--tls-ca-path", &authority, "--tls-protocol", protocol];
            let further = ["--to", "bob@example.org", "--auth", mechanism, "--header", &subject];
            let ended = swaks(&program, &gateway, &[&AS_ALICE[..], &arguments, &further].concat());
            ended.expect(0, &["=== TLS started with cipher TLSv1.", "<~  235 2.7.0 ", "<~  250 2.0.0 Taken as "]);
        }
        expect_subjects(&gateway, "bob", &["LOGIN", "PLAIN"]);
        let strange = strange_authority(&gateway).display().to_string();
        let arguments = [begin, "--tls-verify", "--tls-ca-path", &strange, "--to", "bob@example.org"];
        let ended = swaks(&program, &gateway, &[&AS_ALICE[..], &arguments].concat());
        // 29: TLS did not begin as it was asked for.
        assert_eq!(ended.code, Some(29), "{ended:#?}");
        assert_eq!(gateway.messages("mail/example.org/bob").len(), 2);
    }
}
