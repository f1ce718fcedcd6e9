//! A dialogue as `postgate test` plays it: the lines of `postgate_smtp::dialogue`, and those about plugins, services and time.
//!
//! `plugins/testing.md` describes all of them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use postgate_smtp::dialogue::{Action, Expected, Line, read_line};

use super::line::{self, Own, Stub};
use crate::config::nearest;

/// A dialogue with its file.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// As it was named.
    pub(crate) path: PathBuf,
    /// Its lines, to be shown.
    pub(crate) lines: Vec<String>,
    /// When it begins.
    pub(crate) begin: SystemTime,
    /// Settings, with the lines where they stand.
    pub(crate) settings: Vec<(usize, String, String)>,
    /// By name.
    pub(crate) secrets: Vec<(String, String)>,
    /// What happens, in order.
    pub(crate) steps: Vec<Step>,
    /// Files that it names.
    pub(crate) files: Vec<PathBuf>,
}

/// A part of a dialogue.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// The lines of the file that say so, counted from 1; one or more.
    pub(crate) lines: Vec<usize>,
    /// What happens.
    pub(crate) play: Play,
}

/// What happens in a dialogue.
#[derive(Clone, Debug)]
pub(crate) enum Play {
    /// The client writes these octets at once.
    Client(Vec<u8>),
    /// The server says this, one for each line of the file, and nothing else before the client goes on.
    Server(Vec<Expected>),
    /// The handshake of TLS; the client shows a certificate with this name, if there is one.
    Tls(Option<String>),
    /// The server has closed.
    Closed,
    /// So many messages have been accepted.
    Stored(usize),
    /// The last message accepted is this.
    Message(Vec<u8>),
    /// One of our own lines.
    Own(Own),
}

/// A line that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScriptError {
    path: PathBuf,
    /// Counted from 1; 0 is the whole file.
    line: usize,
    message: String,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.line {
            0 => write!(f, "{path}: {}", self.message),
            line => write!(f, "{path}:{line}: {}", self.message),
        }
    }
}

impl Script {
    /// Reads a dialogue file and the files that it names.
    pub(crate) fn load(path: &Path) -> Result<Self, ScriptError> {
        let wrong = |message| ScriptError { path: path.to_path_buf(), line: 0, message };
        let octets = line::read_file(path).map_err(wrong)?;
        let text = String::from_utf8(octets).map_err(|_| wrong("not UTF-8".to_owned()))?;
        Self::read(path, &text)
    }

    /// Reads the text of a dialogue file.
    pub(crate) fn read(path: &Path, text: &str) -> Result<Self, ScriptError> {
        let mut script = Self {
            path: path.to_path_buf(),
            lines: text.lines().map(str::to_owned).collect(),
            begin: line::default_begin(),
            settings: Vec::new(),
            secrets: Vec::new(),
            steps: Vec::new(),
            files: Vec::new(),
        };
        let folder = path.parent().unwrap_or(Path::new(""));
        for (n, line) in text.lines().enumerate() {
            let read = script.add(n + 1, line, folder);
            read.map_err(|message| ScriptError { path: path.to_path_buf(), line: n + 1, message })?;
        }
        Ok(script)
    }

    fn add(&mut self, number: usize, line: &str, folder: &Path) -> Result<(), String> {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        if let Some(own) = line::read(kind, rest.trim(), folder)? {
            return self.add_own(number, kind, own);
        }
        if kind == "tls" && !rest.trim().is_empty() {
            self.push(number, Play::Tls(Some(rest.trim().to_owned())));
            return Ok(());
        }
        if !line.trim().is_empty() && !line.starts_with('#') && !SMTP_KINDS.contains(&kind) {
            return Err(unknown(kind));
        }
        let play = match read_line(line)? {
            Line::Nothing => return Ok(()),
            Line::Setting(name, value) => {
                self.only_first("set:")?;
                self.settings.push((number, name, value));
                return Ok(());
            }
            Line::Action(action) => match action {
                Action::Client(octets) => Play::Client(octets),
                Action::Server(expected) => Play::Server(expected),
                Action::Tls => Play::Tls(None),
                Action::Closed => Play::Closed,
                Action::Stored(count) => Play::Stored(count),
                Action::Message(octets) => Play::Message(octets),
            },
        };
        self.push(number, play);
        Ok(())
    }

    fn add_own(&mut self, number: usize, kind: &str, own: Own) -> Result<(), String> {
        match own {
            Own::Clock(begin) => {
                self.only_first(kind)?;
                self.begin = begin;
            }
            Own::Secret { name, value } => {
                self.only_first(kind)?;
                self.secrets.push((name, value));
            }
            Own::File { path, octets } => {
                self.files.push(path);
                self.push(number, Play::Client(octets));
            }
            own @ (Own::From { .. }
            | Own::Wait(_)
            | Own::Stub(_)
            | Own::Fail { .. }
            | Own::Verdict(_)
            | Own::Log { .. }
            | Own::Note { .. }
            | Own::Calls { .. }
            | Own::Fate { .. }
            | Own::Request { .. }
            | Own::RequestField { .. }
            | Own::Requests(_)
            | Own::HandOver { .. }
            | Own::HandOverText(_)) => self.push(number, Play::Own(own)),
        }
        Ok(())
    }

    /// What the site is loaded with can't come later.
    fn only_first(&self, kind: &str) -> Result<(), String> {
        if self.steps.iter().all(|step| step.play.is_preparation()) {
            return Ok(());
        }
        Err(format!("{kind} stands before the first line of the dialogue"))
    }

    /// Adds something that happens; what continues the last one becomes a part of it.
    fn push(&mut self, number: usize, play: Play) {
        let last = self.steps.last_mut();
        match (last, play) {
            (Some(Step { lines, play: Play::Client(octets) }), Play::Client(more))
            | (Some(Step { lines, play: Play::Message(octets) }), Play::Message(more)) => {
                lines.push(number);
                octets.extend(more);
            }
            (Some(Step { lines, play: Play::Server(expected) }), Play::Server(more)) => {
                lines.push(number);
                expected.extend(more);
            }
            (_, play) => self.steps.push(Step { lines: vec![number], play }),
        }
    }

    /// What the services answer with at any time, for a configuration that is made for this dialogue.
    pub(crate) fn stubs(&self) -> impl Iterator<Item = &Stub> {
        self.steps.iter().filter_map(|step| match &step.play {
            Play::Own(Own::Stub(stub)) => Some(stub),
            Play::Client(_)
            | Play::Server(_)
            | Play::Tls(_)
            | Play::Closed
            | Play::Stored(_)
            | Play::Message(_)
            | Play::Own(_) => None,
        })
    }
}

impl Play {
    /// Whether it can come before the client connects.
    pub(crate) fn is_preparation(&self) -> bool {
        matches!(self, Play::Own(Own::Stub(_) | Own::From { .. } | Own::Fail { .. }))
    }
}

fn unknown(kind: &str) -> String {
    let kinds = || SMTP_KINDS.iter().chain(line::KINDS).copied();
    match nearest(kind, kinds()) {
        Some(meant) => format!("{kind:?} begins no line; {meant:?} was meant, perhaps"),
        None => format!("{kind:?} begins no line; a line begins with #, {}", kinds().collect::<Vec<_>>().join(", ")),
    }
}

/// The dialogue files in a folder, sorted.
pub(crate) fn in_folder(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "dlg") && path.is_file());
    files.sort();
    Ok(files)
}

/// Those of `postgate_smtp::dialogue`.
const SMTP_KINDS: &[&str] = &["C:", "C~", "C*", "S:", "S+", "=:", "=~", "=*", "tls", "closed", "stored:", "set:"];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Script, ScriptError> {
        Script::read(Path::new("d/x.dlg"), text)
    }

    #[test]
    fn lines_that_follow_each_other_are_one_step() {
        let script = read("# c\n\nset: tls=\"starttls\"\nS: 220 *\nC: EHLO a\nC~ NO\nC: OP\nS+ 250\nS: x\n").unwrap();
        assert_eq!(script.settings.len(), 1);
        let lines: Vec<_> = script.steps.iter().map(|step| step.lines.clone()).collect();
        assert_eq!(lines, [vec![4], vec![5, 6, 7], vec![8, 9]]);
    }

    #[test]
    fn wrong_lines_say_what_would_be_right() {
        for (text, expected) in [
            ("S: 220 *\nverdct: mail next", "d/x.dlg:2: \"verdct:\" begins no line; \"verdict:\" was meant, perhaps"),
            ("S: 220 *\nset: a=b", "d/x.dlg:2: set: stands before the first line of the dialogue"),
            ("wait: 6", "d/x.dlg:1: wait: a period needs a unit: expected a period such as"),
            ("from: nowhere", "d/x.dlg:1: from: wants an address, such as 192.0.2.7"),
            (
                "clock: yesterday",
                "d/x.dlg:1: clock: wants a date and time before the year 9999, such as 2026-01-01T00:00:00Z",
            ),
            ("verdict: recpient next", "d/x.dlg:1: verdict: \"recpient\" is no hook; \"recipient\" was meant, perhaps"),
            ("verdict: mail agree", "d/x.dlg:1: verdict: \"agree\" is no verdict; known are next, accept"),
            ("fail: a mail fule", "d/x.dlg:1: fail: \"fule\" is no cause; \"fuel\" was meant, perhaps"),
            ("log: loud x", "d/x.dlg:1: log: wants LEVEL TEXT, with the level debug, info, warn or error"),
            ("calls: mail", "d/x.dlg:1: calls: wants HOOK N [by PLUGIN]"),
            ("fate: a@example.org lost", "d/x.dlg:1: fate: \"lost\" is no fate; known are delivered"),
            ("dns: a.example SRV x", "d/x.dlg:1: dns: \"SRV\" is none of A"),
            ("http: GET https://a.example", "d/x.dlg:1: http: wants METHOD URL => CODE [body], or => fails"),
            ("relay: up => 250", ""),
            ("relay: up => 999 x", "d/x.dlg:1: relay: "),
            ("C< nothing.eml", "d/x.dlg:1: C< d/nothing.eml can't be read: No such file"),
            ("stored: many", "d/x.dlg:1: stored: wants a number"),
        ] {
            let found = read(text).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(found.starts_with(expected) && found.is_empty() == expected.is_empty(), "{text}: {found}");
        }
    }
}
