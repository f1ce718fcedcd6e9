//! Programs of Debian packages that the tests run: mail clients.

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
    for variable in ["all_proxy", "ALL_PROXY", "http_proxy", "https_proxy", "HTTPS_PROXY"] {
        command.env_remove(variable);
    }
    command.env("LC_ALL", "C.UTF-8").stdin(Stdio::null()).output().expect("the program runs").into()
}
