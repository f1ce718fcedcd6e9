//! Where each setting of a configuration comes from: the tree of values and its sources, asked by path.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use super::problem::{Problem, Sources};
use super::tree::{Node, Step};

/// The settings as they were written.
#[derive(Clone, Debug)]
pub(super) struct Origins {
    pub(super) sources: Sources,
    pub(super) root: Node,
}

impl Origins {
    /// A problem with a value; where it is not written, with the innermost table around it, or with the file as a whole.
    pub(super) fn problem_with_value(&self, path: &[Step], message: impl Into<String>) -> Problem {
        match path.get(..1) {
            Some(outermost) if self.has(outermost) => self.sources.problem(&self.root.span(path), message),
            Some(_) | None => self.sources.problem_of_file(message.into()),
        }
    }

    /// A problem with a key.
    pub(super) fn problem_with_key(&self, path: &[Step], message: impl Into<String>) -> Problem {
        self.sources.problem(&self.root.key_span(path), message)
    }

    /// A problem of the file as a whole.
    pub(super) fn problem_of_file(&self, message: impl fmt::Display) -> Problem {
        self.sources.problem_of_file(message)
    }

    /// The directory that a relative path at this place is relative to: the file's; none for one set on the command line.
    pub(super) fn directory(&self, path: &[Step]) -> &Path {
        self.sources.directory(&self.root.span(path))
    }

    /// The keys of a table, with those that were wrong.
    pub(super) fn keys(&self, path: &[Step]) -> BTreeSet<&str> {
        self.root.keys(path)
    }

    /// Whether something is written there.
    pub(super) fn has(&self, path: &[Step]) -> bool {
        self.root.at(path).is_some()
    }

    /// Whether something there was wrong, so that what it lacks is no news.
    pub(super) fn is_spoiled(&self, path: &[Step]) -> bool {
        self.root.is_spoiled(path)
    }
}
