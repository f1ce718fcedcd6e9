//! Reads the file, and gathers everything that is wrong with it.

use std::fs;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use toml::de::DeTable;

use super::Config;
use super::file::File;
use super::name::nearest;
use super::origin::Origins;
use super::overrides;
use super::problem::{Origin, Problem, Problems, Sources, Span};
use super::reader::{Error, Kind, Reader};
use super::resolve::resolve;
use super::tree::{Node, Step};

/// Octets of the largest file.
const FILE_MAX_OCTETS: usize = 1 << 20;

/// After so many problems no more are looked for.
const PROBLEMS_MAX: usize = 50;

/// What defaults are taken from.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The machine's name.
    pub hostname: String,
    /// Processor cores that the process may use.
    pub cores: u32,
}

impl Machine {
    /// The one that we run on.
    pub fn here() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX));
        let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self { hostname, cores }
    }
}

impl Config {
    /// Reads the file, and puts the `--set`s on top.
    ///
    /// # Errors
    /// Everything that is wrong with them, or why the file could not be read.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, Problems> {
        let text = read(path).map_err(|problem| Problems::new(vec![problem]))?;
        Self::parse(path, text, overrides, &Machine::here())
    }

    /// As `load`, with the file's text at hand. Relative paths in it are relative to the directory of `path`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(path: &Path, text: String, overrides: &[String], machine: &Machine) -> Result<Self, Problems> {
        let mut sources = Sources::default();
        let mut root = parse_file(path, text, &mut sources).map_err(Problems::new)?;
        let mut problems = Vec::new();
        for argument in overrides {
            if let Err(problem) = overrides::apply(&mut root, &mut sources, argument) {
                problems.push(problem);
            }
        }
        let file = read_settings(&mut root, &sources, &mut problems);
        let Some(file) = file else {
            return Err(Problems::new(problems));
        };
        let origins = Origins { sources, root };
        let (config, more) = resolve(file, &origins, machine);
        problems.extend(more);
        if problems.is_empty() { Ok(config) } else { Err(Problems::new(problems)) }
    }
}

fn read(path: &Path) -> Result<String, Problem> {
    let wrong = |message: String| Problem::new(format!("{}: {message}", path.display()));
    let file = fs::File::open(path).map_err(|error| wrong(format!("can't be read: {error}")))?;
    let mut octets = Vec::new();
    let bound = u64::try_from(FILE_MAX_OCTETS + 1).unwrap_or(u64::MAX);
    file.take(bound).read_to_end(&mut octets).map_err(|error| wrong(format!("can't be read: {error}")))?;
    if octets.len() > FILE_MAX_OCTETS {
        return Err(wrong("larger than 1 MiB".to_owned()));
    }
    String::from_utf8(octets).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(good).filter(|octet| **octet == b'\n').count() + 1;
        wrong(format!("not UTF-8 in line {line}"))
    })
}

/// The file's tree, or its errors of syntax.
fn parse_file(path: &Path, text: String, sources: &mut Sources) -> Result<Node, Vec<Problem>> {
    let (table, errors) = DeTable::parse_recoverable(&text);
    let root = Node::root(table, 0);
    let end = text.len();
    let mut errors: Vec<(Span, String)> = errors
        .into_iter()
        .take(PROBLEMS_MAX)
        .map(|error| (error.span().unwrap_or(end..end), error.message().to_owned()))
        .collect();
    // What the parser says of a line after its first error in it is most often a guess.
    errors.sort_by_key(|(span, _)| span.start);
    errors.dedup_by_key(|(span, _)| text.bytes().take(span.start).filter(|octet| *octet == b'\n').count());
    sources.add(Origin::File(path.to_owned()), text);
    if errors.is_empty() {
        return Ok(root);
    }
    Err(errors.into_iter().map(|(span, message)| sources.problem(&span, message)).collect())
}

/// Reads the settings; what is wrong is told and taken out, until the rest can be read. None if there are too many errors.
fn read_settings(root: &mut Node, sources: &Sources, problems: &mut Vec<Problem>) -> Option<File> {
    for _ in 0..PROBLEMS_MAX {
        let error = match File::deserialize(Reader(root)) {
            Ok(file) => return Some(file),
            Err(error) => error,
        };
        let mut path = error.path();
        problems.extend(problem(&error, &path, root, sources));
        if let Kind::UnknownKey { key, known } = error.kind {
            // The key that was meant is then no news if it is missing.
            if let Some(meant) = nearest(&key, known.iter().copied()) {
                root.spoil_key(&path, meant);
            }
            path.push(Step::Key(key));
        }
        if !root.spoil(&path) {
            return None;
        }
    }
    None
}

/// The problem that an error is. None if it only follows from an earlier one: a key is missing because it was taken out.
fn problem(error: &Error, path: &[Step], root: &Node, sources: &Sources) -> Option<Problem> {
    let problem = match &error.kind {
        Kind::UnknownKey { key, known } => {
            let key_path = [path, &[Step::from(key.as_str())]].concat();
            let problem = sources.problem(&root.key_span(&key_path), error.to_string());
            match nearest(key, known.iter().copied()) {
                Some(word) => problem.meant(Some(word)),
                None => problem.note(format!("known here are: {}", known.join(", "))),
            }
        }
        Kind::MissingKey { key } => {
            if root.is_spoiled(&[path, &[Step::from(*key)]].concat()) {
                return None;
            }
            sources.problem(&root.span(path), error.to_string())
        }
        Kind::UnknownWord { word, known } => {
            sources.problem(&root.span(path), error.to_string()).meant(nearest(word, known.iter().copied()))
        }
        Kind::Wrong(_) if root.is_emptied(path) => return None,
        Kind::Wrong(message) => sources.problem(&root.span(path), message),
    };
    Some(problem)
}
