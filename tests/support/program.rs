//! Programs that the tests run, most of them of Debian packages: mail clients.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::process::Ended;
use super::skip;

/// Where a program is. Without it the test is skipped loudly, and in CI it fails.
#[track_caller]
pub(crate) fn program(name: &str, package: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        skip(&format!("there is no {name} (Debian package {package}); `cargo xtask test` installs it"));
    }
    found
}

/// Runs a program to its end. It knows no proxies, and speaks no other language than English.
pub(crate) fn run(command: &mut Command) -> Ended {
    alone(command).stdin(Stdio::null()).output().expect("the program runs").into()
}

/// As `run`, with this on standard input.
pub(crate) fn run_with_input(command: &mut Command, input: &str) -> Ended {
    let command = alone(command).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program runs");
    // One that does not read may be gone already.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("it ends").into()
}

fn alone(command: &mut Command) -> &mut Command {
    for variable in ["all_proxy", "ALL_PROXY", "http_proxy", "https_proxy", "HTTPS_PROXY"] {
        command.env_remove(variable);
    }
    command.env("LC_ALL", "C.UTF-8")
}
