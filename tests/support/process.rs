//! The gateway as a process of its own, ended with the test.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{component, target};

/// The binary as users have it.
pub(crate) fn binary() -> PathBuf {
    let path = target().join("debug/postgate");
    assert!(path.exists(), "{} is not built: run the tests by `cargo xtask test`", path.display());
    path
}

/// Runs a command of the binary to its end, with this on standard input.
pub(crate) fn postgate(arguments: &[&str], input: &str) -> Ended {
    let mut command = Command::new(binary());
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    // A command that does not read may be gone already.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("it ends").into()
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |octets| String::from_utf8(octets).expect("UTF-8");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Ended {
    /// It ended with this exit code, and wrote all of these texts to standard output, or where it failed to standard error;
    /// and nothing to the other.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        let (said, other) = if code == 0 { (&self.stdout, &self.stderr) } else { (&self.stderr, &self.stdout) };
        for text in texts {
            assert!(said.contains(text), "{text:?} is not in:\n{said}");
        }
        assert!(other.is_empty(), "{other}");
    }
}

/// `postgate run` with the quickstart's configuration, on a free port, with a JSON log.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    reader: Option<JoinHandle<()>>,
    pub address: SocketAddr,
}

impl Process {
    /// Starts, and waits until it listens. `settings` are further ones for `--set`.
    pub(crate) fn start(data: &Path, settings: &[&str]) -> Self {
        let mut command = Command::new(binary());
        command.args(["run", "--config"]).arg(super::root().join("examples/quickstart/postgate.toml"));
        for setting in quickstart_settings(data).iter().map(String::as_str).chain(settings.iter().copied()) {
            command.args(["--set", setting]);
        }
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let log = BufReader::new(child.stderr.take().expect("a pipe"));
        let (sender, lines) = mpsc::channel();
        // Reads to the end even if nobody listens, so that the gateway never waits for its log.
        let reader = std::thread::spawn(move || {
            for line in log.lines() {
                let _ = sender.send(line.expect("the log is UTF-8"));
            }
        });
        let address = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut process = Self { child, lines, reader: Some(reader), address };
        let address = process.wait_log("listening")["address"].as_str().and_then(|address| address.parse().ok());
        process.address = address.expect("the address that it listens on");
        process
    }

    /// Waits for a line of the log that says this.
    #[track_caller]
    pub(crate) fn wait_log(&self, message: &str) -> Value {
        let mut before = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => match serde_json::from_str::<Value>(&line) {
                    Ok(value) if value["message"] == message => return value,
                    _ => before.push(line),
                },
                Err(error) => panic!("{message:?} is not logged: {error}\n{}", before.join("\n")),
            }
        }
    }

    /// The most memory that it has had so far.
    pub(crate) fn peak_memory_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line of the peak");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kib << 10
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, signal).expect("the process takes signals");
    }

    /// Waits until it ends by itself; answers how, and what it logged since it was last asked.
    #[track_caller]
    pub(crate) fn wait(mut self) -> (ExitStatus, Vec<String>) {
        let mut log = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => log.push(line),
                // The process has closed its standard error.
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end:\n{}", log.join("\n")),
            }
        }
        (self.child.wait().expect("it ends"), log)
    }

    /// Ends it as a power failure would.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// What the quickstart's configuration needs where it is not started by `cargo xtask run`.
pub(crate) fn quickstart_settings(data: &Path) -> Vec<String> {
    let plugins = component("maildir").parent().expect("a directory").to_path_buf();
    vec![
        format!("data-dir={}", data.display()),
        format!("plugin-dir={}", plugins.display()),
        format!("cache-dir={}", target().join("tmp/compiled").display()),
        "hostname=mx.example.org".to_owned(),
        "engine.instances=50".to_owned(),
        "listener.smtp.bind=127.0.0.1:0".to_owned(),
        "log.format=json".to_owned(),
    ]
}

/// Longer than anything takes on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);
