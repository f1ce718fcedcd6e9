//! nodemailer, the mail client of Node.js: AUTH below TLS, a pool of connections, attachments.

use std::process::Command;

use super::{BOTH, expect_subjects};
use crate::support::program::{program, run};
use crate::support::{root, skip, target};

#[test]
fn nodemailer_sends() {
    let Some(program) = program("node", "nodejs") else { return };
    let modules = target().join("tools").join(NODEMAILER).join("node_modules");
    if !modules.is_dir() {
        return skip(&format!("there is no {NODEMAILER} of npm; `cargo xtask test` installs it"));
    }
    for tls in BOTH {
        let (gateway, authority) = tls.gateway();
        let ended = run(Command::new(&program)
            .env("NODE_PATH", &modules)
            .arg(root().join("tests/clients/nodemailer.js"))
            .args([&gateway.address.port().to_string(), &format!("{tls:?}")])
            .arg(authority));
        ended.expect(0, &[]);
        let said: Vec<&str> = ended.stdout.lines().collect();
        assert_eq!(
            said,
            [
                "PLAIN bob@example.org carol@example.org 550 250 2.0.0",
                "LOGIN bob@example.org carol@example.org 550 250 2.0.0",
                "EAUTH 535",
                "pool 12",
            ]
        );
        expect_subjects(&gateway, "bob", &["LOGIN", "PLAIN"]);
        let messages = gateway.messages("mail/example.org/alice");
        assert_eq!(messages.len(), 12);
        // The attachment's 200,000 octets, as base64.
        assert!(messages.iter().all(|message| message.matches("BwcH").count() > 66_000));
    }
}

/// As `host/xtask/src/tools.rs` pins it.
const NODEMAILER: &str = "nodemailer-7.0.10";
