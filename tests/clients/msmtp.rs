//! msmtp (GnuTLS, GNU SASL): PLAIN and LOGIN, below TLS only.

use std::path::Path;
use std::process::Command;

use super::{BOTH, Tls, expect_subjects, strange_authority};
use crate::support::Gateway;
use crate::support::process::Ended;
use crate::support::program::{program, run_with_input};

/// `msmtp` from Alice to these recipients.
fn msmtp(program: &Path, gateway: &Gateway, tls: Tls, authority: &Path, further: &[&str], text: &str) -> Ended {
    let start = match tls {
        Tls::Later => "on",
        Tls::Implicit => "off",
    };
    let mut command = Command::new(program);
    command
        .args(["--host=127.0.0.1", "--from=alice@example.org", "--user=alice@example.org", "--tls=on"])
        .arg(format!("--port={}", gateway.address.port()))
        .arg(format!("--tls-trust-file={}", authority.display()))
        .arg(format!("--tls-starttls={start}"))
        .args(further);
    run_with_input(&mut command, text)
}

#[test]
fn msmtp_sends() {
    let Some(program) = program("msmtp", "msmtp") else { return };
    for tls in BOTH {
        let (gateway, authority) = tls.gateway();
        for (mechanism, auth) in [("PLAIN", "--auth=plain"), ("LOGIN", "--auth=login")] {
            let text = format!("Subject: {mechanism}\n\n.\n..two\nGr\u{fc}\u{df}e\n");
            let further = [auth, "--passwordeval=echo wonderland", "bob@example.org"];
            msmtp(&program, &gateway, tls, &authority, &further, &text).expect(0, &[]);
            // 77: no permission.
            let further = [auth, "--passwordeval=echo looking-glass", "bob@example.org"];
            let ended = msmtp(&program, &gateway, tls, &authority, &further, &text);
            ended.expect(77, &["server message: 535 5.7.8 "]);
        }
        expect_subjects(&gateway, "bob", &["LOGIN", "PLAIN"]);
        for message in gateway.messages("mail/example.org/bob") {
            assert!(message.ends_with("\r\n\r\n.\r\n..two\r\nGr\u{fc}\u{df}e\r\n"), "{message}");
        }
    }
}

#[test]
fn msmtp_gives_up() {
    let Some(program) = program("msmtp", "msmtp") else { return };
    for tls in BOTH {
        let (gateway, authority) = tls.gateway();
        let text = "Subject: x\n\nx\n";
        // 65: the data are wrong; it sends to all or to none.
        let both = ["bob@example.org", "carol@example.org"];
        let ended = msmtp(&program, &gateway, tls, &authority, &both, text);
        ended.expect(65, &["carol@example.org not accepted", "550 5.1.1 "]);
        // 69: not available.
        let strange = strange_authority(&gateway);
        let ended = msmtp(&program, &gateway, tls, &strange, &["bob@example.org"], text);
        ended.expect(69, &["TLS certificate verification failed"]);
        assert_eq!(gateway.messages("mail/example.org/bob").len(), 0);
    }
}
