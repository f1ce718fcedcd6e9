//! Dialogue files (`tests/dialogues`, whose README describes them): their reader here, and in [`player`] what plays them on a bare session.
//!
//! The same files are played over sockets against the gateway, and by `postgate test`, which is why the reader is a part of this crate.

pub mod player;

use std::fmt;

use crate::config::{Config, MixedOutcomes, Protocol};
use crate::extension::Extension;
use crate::sasl::{Mechanism, Mechanisms};

/// A dialogue, as its file tells it.
#[derive(Clone, Debug, Default)]
pub struct Dialogue {
    /// The settings that it is played with, by name and value.
    pub settings: Vec<(String, String)>,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// A part of a dialogue, and the line of the file where it begins.
#[derive(Clone, Debug)]
pub struct Step {
    /// Counted from 1.
    pub line: usize,
    /// What happens.
    pub action: Action,
}

/// What happens in a dialogue.
#[derive(Clone, Debug)]
pub enum Action {
    /// The client writes these octets at once.
    Client(Vec<u8>),
    /// The server says this, and nothing else, before the client goes on.
    Server(Vec<Expected>),
    /// Client and server do the handshake that STARTTLS has announced.
    Tls,
    /// The server has closed the connection.
    Closed,
    /// So many messages have been accepted since the beginning.
    Stored(usize),
    /// The last message accepted has exactly these octets.
    Message(Vec<u8>),
}

/// What the server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A line.
    Line(Pattern),
    /// A whole reply with this code, of as many lines as it likes.
    Reply(String),
}

impl Expected {
    /// Whether these lines, without their CRLF, are what is expected, and all of it.
    pub fn all_match(expected: &[Expected], lines: &[&str]) -> bool {
        let mut lines = lines.iter();
        let all = expected.iter().all(|expected| match expected {
            Expected::Line(pattern) => lines.next().is_some_and(|line| pattern.matches(line)),
            Expected::Reply(code) => loop {
                match lines.next().and_then(|line| line.strip_prefix(code.as_str())) {
                    Some(rest) if rest.starts_with('-') => {}
                    rest => break rest.is_some_and(|rest| rest.starts_with(' ')),
                }
            },
        });
        all && lines.next().is_none()
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expected::Line(Pattern(text)) => f.write_str(text),
            Expected::Reply(code) => write!(f, "{code} in any number of lines"),
        }
    }
}

/// A line that the server says, or another text, where `*` stands for any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// `*` stands for any text.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Whether the line, without its CRLF, is as expected.
    pub fn matches(&self, line: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = parts.next().and_then(|start| line.strip_prefix(start)) else {
            return false;
        };
        let mut parts = parts.peekable();
        if parts.peek().is_none() {
            return rest.is_empty();
        }
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return rest.ends_with(part);
            }
            match rest.split_once(part) {
                Some((_, behind)) => rest = behind,
                None => return false,
            }
        }
        true
    }
}

/// What one line of a dialogue file says.
#[derive(Clone, Debug)]
pub enum Line {
    /// A comment, or nothing.
    Nothing,
    /// A setting that the dialogue is played with: its name and value.
    Setting(String, String),
    /// Something happens.
    Action(Action),
}

/// Reads one line, without its end.
///
/// # Errors
/// What would be right.
pub fn read_line(line: &str) -> Result<Line, &'static str> {
    if line.trim().is_empty() || line.starts_with('#') {
        return Ok(Line::Nothing);
    }
    let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
    if kind == "set:" {
        let (name, value) = rest.split_once('=').ok_or("set: wants NAME=VALUE")?;
        return Ok(Line::Setting(name.trim().to_owned(), value.trim().to_owned()));
    }
    read_action(kind, rest).map(Line::Action)
}

/// A line of a dialogue file that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    pub message: &'static str,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for SyntaxError {}

impl Dialogue {
    /// Reads a dialogue file.
    ///
    /// # Errors
    /// The first line that is none of those that the README describes.
    pub fn read(text: &str) -> Result<Dialogue, SyntaxError> {
        let mut dialogue = Dialogue::default();
        for (n, line) in text.lines().enumerate() {
            match read_line(line).map_err(|message| SyntaxError { line: n + 1, message })? {
                Line::Nothing => {}
                Line::Setting(name, value) => dialogue.settings.push((name, value)),
                Line::Action(action) => dialogue.push(n + 1, action),
            }
        }
        Ok(dialogue)
    }

    /// Adds an action; one that continues the last one becomes a part of it.
    fn push(&mut self, line: usize, action: Action) {
        match (self.steps.last_mut().map(|step| &mut step.action), action) {
            (Some(Action::Client(octets)), Action::Client(more))
            | (Some(Action::Message(octets)), Action::Message(more)) => {
                octets.extend(more);
            }
            (Some(Action::Server(lines)), Action::Server(more)) => lines.extend(more),
            (_, action) => self.steps.push(Step { line, action }),
        }
    }

    /// Changes a configuration as the settings say.
    ///
    /// # Errors
    /// The name of a setting that is unknown, or whose value can't be read.
    pub fn apply(&self, config: &mut Config) -> Result<(), String> {
        for (name, value) in &self.settings {
            set(config, name, value).ok_or_else(|| name.clone())?;
        }
        Ok(())
    }
}

fn read_action(kind: &str, rest: &str) -> Result<Action, &'static str> {
    Ok(match kind {
        "C:" => Action::Client(with_crlf(unescape(rest)?)),
        "C~" => Action::Client(unescape(rest)?),
        "C*" => Action::Client(repeat(rest)?),
        "S:" => Action::Server(vec![Expected::Line(Pattern(rest.to_owned()))]),
        "S+" => Action::Server(vec![Expected::Reply(rest.trim().to_owned())]),
        "=:" => Action::Message(with_crlf(unescape(rest)?)),
        "=~" => Action::Message(unescape(rest)?),
        "=*" => Action::Message(repeat(rest)?),
        "tls" => Action::Tls,
        "closed" => Action::Closed,
        "stored:" => Action::Stored(rest.trim().parse().map_err(|_| "stored: wants a number")?),
        _ => {
            return Err("a line begins with C:, C~, C*, S:, S+, =:, =~, =*, tls, closed, stored:, set: or #");
        }
    })
}

fn with_crlf(mut octets: Vec<u8>) -> Vec<u8> {
    octets.extend_from_slice(b"\r\n");
    octets
}

/// `N TEXT`: the text N times.
fn repeat(rest: &str) -> Result<Vec<u8>, &'static str> {
    let (times, text) = rest.split_once(' ').ok_or("a repetition wants a number and a text")?;
    let times = times.parse().map_err(|_| "a repetition wants a number and a text")?;
    Ok(unescape(text)?.repeat(times))
}

/// `\r`, `\n`, `\0`, `\t`, `\s` (space), `\\` and `\xHH`.
fn unescape(text: &str) -> Result<Vec<u8>, &'static str> {
    let mut octets = Vec::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            octets.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        octets.push(match characters.next() {
            Some('r') => b'\r',
            Some('n') => b'\n',
            Some('0') => 0,
            Some('t') => b'\t',
            Some('s') => b' ',
            Some('\\') => b'\\',
            Some('x') => {
                let digits: String = characters.by_ref().take(2).collect();
                u8::from_str_radix(&digits, 16).map_err(|_| "\\x wants two hexadecimal digits")?
            }
            _ => return Err("an escape is one of \\r \\n \\0 \\t \\s \\\\ \\xHH"),
        });
    }
    Ok(octets)
}

/// Sets what the configuration of a listener calls by the same name.
fn set(config: &mut Config, name: &str, value: &str) -> Option<()> {
    let limits = &mut config.limits;
    match name {
        "limits.command-line-octets" => limits.command_line_octets = value.parse().ok()?,
        "limits.auth-line-octets" => limits.auth_line_octets = value.parse().ok()?,
        "limits.local-part-octets" => limits.local_part_octets = value.parse().ok()?,
        "limits.domain-octets" => limits.domain_octets = value.parse().ok()?,
        "limits.path-octets" => limits.path_octets = value.parse().ok()?,
        "limits.text-line-octets" => limits.text_line_octets = value.parse().ok()?,
        "limits.message-octets" => limits.message_octets = value.parse().ok()?,
        "limits.discarded-octets" => limits.discarded_octets = value.parse().ok()?,
        "limits.recipients" => limits.recipients = value.parse().ok()?,
        "limits.transactions" => limits.transactions = value.parse().ok()?,
        "limits.errors" => limits.errors = value.parse().ok()?,
        "limits.auth-failures" => limits.auth_failures = value.parse().ok()?,
        "limits.idle-commands" => limits.idle_commands = value.parse().ok()?,
        "mixed-outcomes" => {
            config.mixed_outcomes = match value {
                "\"worst\"" => MixedOutcomes::Worst,
                "\"one-recipient\"" => MixedOutcomes::OneRecipient,
                _ => return None,
            };
        }
        "auth-in-clear" => config.auth.in_clear = value.parse().ok()?,
        "tls" => config.tls.starttls = value == "\"starttls\"",
        "protocol" => config.protocol = if value == "\"lmtp\"" { Protocol::Lmtp } else { Protocol::Smtp },
        "auth-mechanisms" => {
            let mut names = value.split_whitespace().map(Mechanism::from_name);
            config.auth.mechanisms =
                names.try_fold(Mechanisms::default(), |set, name| name.map(|name| set.with(name)))?;
        }
        "require-tls" => config.tls.required = value.parse().ok()?,
        "auth-required" => config.auth.required = value.parse().ok()?,
        "extensions-on" => {
            for keyword in value.split_whitespace() {
                config.extensions = config.extensions.with(Extension::from_keyword(keyword)?);
            }
        }
        "extensions-off" => {
            for keyword in value.split_whitespace() {
                config.extensions = config.extensions.without(Extension::from_keyword(keyword)?);
            }
        }
        _ => return None,
    }
    Some(())
}
