//! s-nail, the mail(1) of many systems, with an SMTP client of its own (OpenSSL).

use std::path::Path;
use std::process::Command;

use super::{BOTH, Tls, expect_subjects, strange_authority};
use crate::support::Gateway;
use crate::support::process::Ended;
use crate::support::program::{program, run_with_input};

/// `s-nail` from Alice to Bob, with this mechanism as the subject.
fn nail(program: &Path, gateway: &Gateway, tls: Tls, authority: &Path, mechanism: &str, password: &str) -> Ended {
    let (scheme, start) = match tls {
        Tls::Later => ("smtp", "smtp-use-starttls"),
        Tls::Implicit => ("smtps", "nosmtp-use-starttls"),
    };
    let port = gateway.address.port();
    let settings = [
        // Its certificates are for names, not for addresses.
        format!("mta={scheme}://alice%40example.org:{password}@localhost:{port}"),
        format!("smtp-auth={mechanism}"),
        format!("tls-ca-file={}", authority.display()),
        // What is not sent goes there.
        format!("DEAD={}", gateway.data.path().join("dead.letter").display()),
    ];
    let more = ["v15-compat", start, "tls-ca-no-defaults", "tls-verify=strict", "from=alice@example.org"];
    let more = more.into_iter().chain(["hostname=client.example", "sendwait"]);
    let mut command = Command::new(program);
    command.env("HOME", gateway.data.path()).arg("-:/");
    for setting in settings.iter().map(String::as_str).chain(more) {
        command.args(["-S", setting]);
    }
    command.args(["-s", mechanism, "-.", "bob@example.org"]);
    run_with_input(&mut command, ".\n..two\nGr\u{fc}\u{df}e\n")
}

#[test]
fn nail_sends() {
    let Some(program) = program("s-nail", "s-nail") else { return };
    for tls in BOTH {
        let (gateway, authority) = tls.gateway();
        for mechanism in ["plain", "login"] {
            nail(&program, &gateway, tls, &authority, mechanism, "wonderland").expect(0, &[]);
        }
        expect_subjects(&gateway, "bob", &["login", "plain"]);
        for message in gateway.messages("mail/example.org/bob") {
            // It sends quoted-printable.
            assert!(message.ends_with("\r\n\r\n=2E\r\n..two\r\nGr=C3=BC=C3=9Fe\r\n"), "{message}");
        }
        let ended = nail(&program, &gateway, tls, &authority, "plain", "looking-glass");
        assert!(ended.code != Some(0) && ended.stderr.contains("535 5.7.8 "), "{ended:#?}");
        let ended = nail(&program, &gateway, tls, &strange_authority(&gateway), "plain", "wonderland");
        assert!(ended.code != Some(0) && ended.stderr.contains("could not initiate TLS connection"), "{ended:#?}");
        assert_eq!(gateway.messages("mail/example.org/bob").len(), 2);
    }
}
