//! The programs of toolchains: where they are, what installs one that is missing, and how one is run.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use crate::build::{BuildError, Job};

/// A program that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What, and what for.
    pub what: String,
    /// The commands that install it, in the folder of the project.
    pub install: Vec<String>,
}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{} is missing; this installs it:", self.what)?;
        self.install.iter().try_for_each(|command| write!(formatter, "\n    {command}"))
    }
}

impl std::error::Error for Missing {}

/// Where a program is, as a shell would find it.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|program| is_program(program))
}

/// Whether it is a file that can be run.
pub(crate) fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Whether a program ends well with these arguments; what it says is not shown.
pub(crate) fn answers(program: impl AsRef<OsStr>, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A command of a toolchain, in the folder of the project. What it says is shown as it is.
pub(crate) struct Step {
    program: OsString,
    arguments: Vec<OsString>,
    variables: Vec<(&'static str, OsString)>,
    stdout: Option<PathBuf>,
}

impl Step {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref().to_owned();
        Self { program, arguments: Vec::new(), variables: Vec::new(), stdout: None }
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    pub(crate) fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.variables.push((name, value.as_ref().to_owned()));
        self
    }

    /// A file for what it says, relative to the folder of the project.
    pub(crate) fn stdout(mut self, file: impl AsRef<Path>) -> Self {
        self.stdout = Some(file.as_ref().to_owned());
        self
    }

    /// Tells the command, and runs it.
    ///
    /// # Errors
    ///
    /// It can't be run, or does not end well.
    pub(crate) fn run(self, job: &mut Job<'_>) -> Result<(), BuildError> {
        let written = self.to_string();
        job.tell(&format!("$ {written}"));
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&job.project.folder).stdin(Stdio::null());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if let Some(file) = &self.stdout {
            let path = job.project.folder.join(file);
            let file = File::create(&path).map_err(|error| BuildError::File { path, what: "written", error })?;
            command.stdout(file);
        }
        match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(BuildError::Failed { command: written, status: told(status) }),
            Err(error) => Err(BuildError::Run { command: written, error }),
        }
    }
}

/// As one would type it.
impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.variables {
            write!(formatter, "{name}={} ", quoted(value))?;
        }
        formatter.write_str(&quoted(&self.program))?;
        self.arguments.iter().try_for_each(|argument| write!(formatter, " {}", quoted(argument)))?;
        self.stdout.iter().try_for_each(|file| write!(formatter, " > {}", quoted(file.as_os_str())))
    }
}

/// In quotes where a shell would need them.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=+:,@%".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn told(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exit code {code}"),
        None => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_one_would_type_it() {
        let step = Step::new("go").args(["build", "-ldflags=-s -w"]).env("GOOS", "wasip1").arg("it's");
        assert_eq!(step.to_string(), r"GOOS=wasip1 go build '-ldflags=-s -w' 'it'\''s'");
    }

    #[test]
    fn what_is_missing_is_told_with_what_installs_it() {
        let missing = Missing { what: "zig".to_owned(), install: vec!["pip install ziglang".to_owned()] };
        assert_eq!(missing.to_string(), "zig is missing; this installs it:\n\n    pip install ziglang");
        assert_eq!(on_path("a-program-that-nobody-has"), None);
        assert!(on_path("sh").is_some() && answers("sh", &["-c", "exit 0"]) && !answers("sh", &["-c", "exit 1"]));
    }
}
