//! sslscan, which tries what a gateway must not offer: old versions, weak ciphers, compression, renegotiation, Heartbleed.

use std::process::Command;

use super::{BOTH, Tls};
use crate::support::program::{program, run};

#[test]
fn sslscan_finds_nothing_weak() {
    let Some(program) = program("sslscan", "sslscan") else { return };
    for tls in BOTH {
        let (gateway, _) = tls.gateway();
        let mut command = Command::new(&program);
        command.args(["--no-colour", "--xml=-"]);
        match tls {
            Tls::Later => command.arg("--starttls-smtp"),
            Tls::Implicit => &mut command,
        };
        let ended = run(command.arg(gateway.address.to_string()));
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        expect_sound(&ended.stdout);
    }
}

#[track_caller]
fn expect_sound(report: &str) {
    let elements = |name: &str| -> Vec<&str> {
        let begin = format!("<{name} ");
        report.lines().filter_map(|line| line.trim().strip_prefix(begin.as_str())).collect()
    };
    let versions = elements("protocol");
    let enabled: Vec<_> = versions.iter().filter(|line| line.contains("enabled=\"1\"")).collect();
    assert!(
        matches!(enabled[..], [older, newer] if older.starts_with("type=\"tls\" version=\"1.2\"")
            && newer.starts_with("type=\"tls\" version=\"1.3\"")),
        "{versions:#?}"
    );
    // It has tried the others.
    assert_eq!(versions.len(), 6, "{versions:#?}");

    let ciphers = elements("cipher");
    let is_sound = |line: &&str| {
        let strong = line.contains("strength=\"strong\"") || line.contains("strength=\"acceptable\"");
        let forward = line.contains("sslversion=\"TLSv1.3\"") || line.contains("cipher=\"ECDHE-");
        strong && forward && (line.contains("GCM") || line.contains("CHACHA20"))
    };
    assert!(ciphers.len() == 6 && ciphers.iter().all(is_sound), "{ciphers:#?}");

    let [renegotiation] = elements("renegotiation")[..] else { panic!("{report}") };
    assert!(renegotiation.starts_with("supported=\"0\""), "{renegotiation}");
    let bleeding = elements("heartbleed");
    assert!(bleeding.len() == 2 && bleeding.iter().all(|line| line.contains("vulnerable=\"0\"")), "{bleeding:#?}");
    // A scanner whose library has no compression does not ask.
    assert!(!report.contains("<compression supported=\"1\""), "{report}");
}
