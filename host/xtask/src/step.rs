//! One step of a command: a child process, announced by one line, and told of by one line when it fails.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// A child process with the line that announces it.
pub(crate) struct Step {
    what: String,
    command: Command,
}

impl Step {
    pub(crate) fn new(what: &str, program: impl AsRef<OsStr>) -> Self {
        Self { what: what.to_owned(), command: Command::new(program) }
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub(crate) fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Without variables that we have.
    pub(crate) fn without_env(mut self, names: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        for name in names {
            self.command.env_remove(name);
        }
        self
    }

    pub(crate) fn directory(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// Its output goes to standard error only when it fails.
    pub(crate) fn quiet(mut self) -> Self {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        self
    }

    /// Runs it once.
    pub(crate) fn run(mut self) -> Result<()> {
        say(&self.what);
        let status = self.attempt()?;
        if status.success() { Ok(()) } else { bail!("{} failed: {:?}, {status}", self.what, self.command) }
    }

    /// Runs what depends on the network, a few times if need be.
    pub(crate) fn run_with_retries(mut self) -> Result<()> {
        say(&self.what);
        for pause in PAUSES {
            if self.attempt()?.success() {
                return Ok(());
            }
            complain(&format!("{} failed; once more in {} s", self.what, pause.as_secs()));
            thread::sleep(pause);
        }
        let status = self.attempt()?;
        if status.success() {
            Ok(())
        } else {
            bail!("{} failed {} times, last with {status}: {:?}", self.what, PAUSES.len() + 1, self.command)
        }
    }

    /// Puts it in the place of this process.
    #[cfg(unix)]
    pub(crate) fn become_it(mut self) -> Result<()> {
        use std::os::unix::process::CommandExt;

        say(&self.what);
        let error = self.command.exec();
        Err(error).with_context(|| format!("{} failed: {:?}", self.what, self.command))
    }

    fn attempt(&mut self) -> Result<ExitStatus> {
        let child = self.command.spawn().with_context(|| format!("{} failed: {:?}", self.what, self.command))?;
        let output = child.wait_with_output().with_context(|| format!("{} was not waited for", self.what))?;
        if !output.status.success() {
            for text in [output.stdout, output.stderr] {
                if !text.is_empty() {
                    complain(&String::from_utf8_lossy(&text));
                }
            }
        }
        Ok(output.status)
    }
}

/// Whether a program is there and ends well with these arguments.
pub(crate) fn answers(program: impl AsRef<OsStr>, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// One line of what is done.
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

/// What must not be overlooked.
pub(crate) fn complain(text: &str) {
    eprintln!("xtask: {text}");
}

/// Between attempts.
const PAUSES: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(8)];
