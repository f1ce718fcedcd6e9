//! Real clients against the quickstart's gateway, in clear and below TLS; each of them finds its message in the Maildir. A file for
//! each.

mod curl;
mod msmtp;
mod nail;
mod nodemailer;
pub(crate) mod postfix;
mod python;
mod smtp_source;
mod sslscan;
mod swaks;

use std::path::PathBuf;

use crate::support::Gateway;
use crate::support::certificates::Authority;
use crate::tls::{OWN, gateway};

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tls {
    /// With STARTTLS (RFC 3207).
    Later,
    /// With the first octet (RFC 8314).
    Implicit,
}

const BOTH: [Tls; 2] = [Tls::Later, Tls::Implicit];

impl Tls {
    /// The quickstart's gateway with TLS, and the file with the authority that a client has to believe. Its certificate is for
    /// mx.example.org, localhost and 127.0.0.1.
    fn gateway(self) -> (Gateway, PathBuf) {
        let settings = match self {
            Self::Later => OWN.to_owned(),
            Self::Implicit => format!("{OWN}tls = \"implicit\"\n"),
        };
        let (gateway, _) = gateway(&settings);
        let authority = gateway.data.path().join("ca.pem");
        (gateway, authority)
    }
}

/// An authority that has nothing to do with the gateway's.
fn strange_authority(gateway: &Gateway) -> PathBuf {
    Authority::new().write(gateway.data.path(), "strange.pem");
    gateway.data.path().join("strange.pem")
}

/// All messages of a mailbox of example.org came by a user who had logged in below TLS, and their subjects are these.
#[track_caller]
fn expect_subjects(gateway: &Gateway, mailbox: &str, expected: &[&str]) {
    let messages = gateway.messages(&format!("mail/example.org/{mailbox}"));
    let mut subjects: Vec<_> = messages
        .iter()
        .map(|message| {
            assert!(message.starts_with("Return-Path: <alice@example.org>\r\n"), "{message}");
            assert!(message.contains(" (Postgate) with ESMTPSA id "), "{message}");
            message.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap_or("none")
        })
        .collect();
    subjects.sort_unstable();
    assert_eq!(subjects, expected);
}
