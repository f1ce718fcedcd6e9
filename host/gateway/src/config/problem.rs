//! Where a setting was written, and what is wrong with it: `FILE:LINE:COLUMN: what`, the line, and a mark under the text.
//!
//! The file and each `--set` are a source of their own. A span counts octets over all of them, one behind the other, so
//! that a value knows by its span alone who wrote it.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Octets of the sources, counted over all of them.
pub(super) type Span = Range<usize>;

/// Who wrote a setting.
#[derive(Debug)]
pub(super) enum Origin {
    /// The file of this name.
    File(PathBuf),
    /// `--set` on the command line; the text is its argument.
    Set,
}

#[derive(Debug)]
struct Source {
    origin: Origin,
    text: String,
    /// Where its spans begin.
    start: usize,
}

/// The file and the `--set`s, in this order.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources(Vec<Arc<Source>>);

impl Sources {
    /// Adds a source, and says where its spans begin.
    pub(super) fn add(&mut self, origin: Origin, text: String) -> usize {
        // One more than the text is long, so that its end is not the beginning of the next.
        let start = self.0.last().map_or(0, |source| source.start + source.text.len() + 1);
        self.0.push(Arc::new(Source { origin, text, start }));
        start
    }

    /// The directory that a relative path of this source is relative to.
    pub(super) fn directory(&self, span: &Span) -> &Path {
        match self.source(span.start).map(|source| &source.origin) {
            Some(Origin::File(path)) => path.parent().unwrap_or(Path::new("")),
            Some(Origin::Set) | None => Path::new(""),
        }
    }

    /// A problem with what stands there.
    pub(super) fn problem(&self, span: &Span, message: impl Into<String>) -> Problem {
        let place = self.source(span.start).map(|source| Place {
            source: Arc::clone(source),
            start: span.start - source.start,
            end: span.end.saturating_sub(source.start),
        });
        Problem { place, message: message.into(), notes: Vec::new() }
    }

    /// A problem of the file as a whole.
    pub(super) fn problem_of_file(&self, message: impl fmt::Display) -> Problem {
        let file = self.0.iter().find_map(|source| match &source.origin {
            Origin::File(path) => Some(path.display()),
            Origin::Set => None,
        });
        match file {
            Some(file) => Problem::new(format!("{file}: {message}")),
            None => Problem::new(message.to_string()),
        }
    }

    fn source(&self, at: usize) -> Option<&Arc<Source>> {
        self.0.iter().rfind(|source| source.start <= at)
    }
}

/// Something wrong with the configuration. Its text says where, shows the line, and what may help.
#[derive(Clone, Debug)]
pub struct Problem {
    place: Option<Place>,
    message: String,
    notes: Vec<String>,
}

#[derive(Clone, Debug)]
struct Place {
    source: Arc<Source>,
    /// Octets of the source's text.
    start: usize,
    end: usize,
}

impl Problem {
    /// A problem without a place; the message names what it is about.
    pub fn new(message: impl Into<String>) -> Self {
        Self { place: None, message: message.into(), notes: Vec::new() }
    }

    /// Adds a line that helps.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds `did you mean "…"?` if there is a known word to mean.
    #[must_use]
    pub(super) fn meant(self, nearest: Option<&str>) -> Self {
        match nearest {
            Some(word) => self.note(format!("did you mean \"{word}\"?")),
            None => self,
        }
    }

    /// The order of the text.
    fn order(&self) -> (usize, usize) {
        self.place.as_ref().map_or((0, 0), |place| (place.source.start, place.start))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut indent = 0;
        match &self.place {
            None => f.write_str(&self.message)?,
            Some(place) => match &place.source.origin {
                Origin::Set => write!(f, "--set {}: {}", shown(&place.source.text), self.message)?,
                Origin::File(path) => {
                    let line = place.line();
                    write!(f, "{}:{}:{}: {}", path.display(), line.number, line.column(), self.message)?;
                    indent = line.write(f)?;
                }
            },
        }
        for note in &self.notes {
            write!(f, "\n{:indent$} = {note}", "")?;
        }
        Ok(())
    }
}

/// One line of a source, and what is meant in it.
struct Line<'a> {
    number: usize,
    before: &'a str,
    marked: &'a str,
    after: &'a str,
}

impl Place {
    fn line(&self) -> Line<'_> {
        let text = self.source.text.as_str();
        let start = floor(text, self.start);
        let (head, tail) = text.split_at_checked(start).unwrap_or((text, ""));
        let begin = head.rfind('\n').map_or(0, |at| at + 1);
        let rest_of_line = tail.split('\n').next().unwrap_or("");
        let rest_of_line = rest_of_line.strip_suffix('\r').unwrap_or(rest_of_line);
        let length = floor(rest_of_line, self.end.saturating_sub(start));
        let (marked, after) = rest_of_line.split_at_checked(length).unwrap_or((rest_of_line, ""));
        Line { number: head.matches('\n').count() + 1, before: head.get(begin..).unwrap_or(""), marked, after }
    }
}

impl Line<'_> {
    /// The column of the marked text, in characters, from 1.
    fn column(&self) -> usize {
        self.before.chars().count() + 1
    }

    /// Writes the line and the mark, and says how far notes are to be indented.
    fn write(&self, f: &mut fmt::Formatter<'_>) -> Result<usize, fmt::Error> {
        let number = self.number.to_string();
        let width = number.len();
        let before = last_characters(self.before, SHOWN_BEFORE);
        let marked = first_characters(self.marked, SHOWN_BEHIND);
        let after = first_characters(self.after, SHOWN_BEHIND.saturating_sub(marked.chars().count()));
        let mark = "^".repeat(marked.chars().count().max(1));
        // The tabs of the line stand in the line of the mark too, so that the mark is under its text.
        let space: String = before.chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        write!(f, "\n{:width$} |", "")?;
        write!(f, "\n{number} | {}{}{}", shown(before), shown(marked), shown(after))?;
        write!(f, "\n{:width$} | {space}{mark}", "")?;
        Ok(width)
    }
}

/// Characters of a line that are shown before the marked text, and from there on.
const SHOWN_BEFORE: usize = 100;
const SHOWN_BEHIND: usize = 100;

/// Control characters but tab as `?`, each as one column, so that a file can't write to the terminal.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '?' } else { c }).collect()
}

/// The nearest boundary of a character, not behind `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn first_characters(text: &str, n: usize) -> &str {
    text.char_indices().nth(n).and_then(|(at, _)| text.get(..at)).unwrap_or(text)
}

fn last_characters(text: &str, n: usize) -> &str {
    let skipped = text.chars().count().saturating_sub(n);
    text.char_indices().nth(skipped).and_then(|(at, _)| text.get(at..)).unwrap_or("")
}

/// All that is wrong with a configuration, in the order of its text.
#[derive(Clone, Debug)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Puts the problems in order.
    pub fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(Problem::order);
        Self(problems)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, marked: &str, expected: &str) {
        let mut sources = Sources::default();
        sources.add(Origin::File(PathBuf::from("f.toml")), text.to_owned());
        let start = text.find(marked).unwrap();
        let problem = sources.problem(&(start..start + marked.len()), "wrong").note("help");
        assert_eq!(problem.to_string(), expected);
    }

    #[test]
    fn a_mark_stands_under_its_text() {
        check("a = 1\nb = 2\n", "2", "f.toml:2:5: wrong\n  |\n2 | b = 2\n  |     ^\n  = help");
        check("\tä = ü", "ü", "f.toml:1:6: wrong\n  |\n1 | \tä = ü\n  | \t    ^\n  = help");
        check("a = [\r\n1]\r\n", "[\r\n1]", "f.toml:1:5: wrong\n  |\n1 | a = [\n  |     ^\n  = help");
        check("a = \u{1b}[2J", "a", "f.toml:1:1: wrong\n  |\n1 | a = ?[2J\n  | ^\n  = help");
        check("a", "", "f.toml:1:1: wrong\n  |\n1 | a\n  | ^\n  = help");
        check(&"\n".repeat(99), "", "f.toml:1:1: wrong\n  |\n1 | \n  | ^\n  = help");
    }

    #[test]
    fn a_long_line_is_cut() {
        let text = format!("{}b{}", "a".repeat(500_000), "c".repeat(500_000));
        let expected = format!(
            "f.toml:1:500001: wrong\n  |\n1 | {}b{}\n  | {}^\n  = help",
            "a".repeat(100),
            "c".repeat(99),
            " ".repeat(100)
        );
        check(&text, "b", &expected);
    }

    #[test]
    fn a_span_that_no_source_has_is_no_panic() {
        let mut sources = Sources::default();
        assert_eq!(sources.problem(&(5..9), "wrong").to_string(), "wrong");
        sources.add(Origin::File(PathBuf::from("f.toml")), "ü".to_owned());
        assert!(sources.problem(&(1..900), "wrong").to_string().starts_with("f.toml:1:1: wrong"));
        assert!(sources.problem(&Span { start: 900, end: 1 }, "wrong").to_string().starts_with("f.toml:1:2: wrong"));
    }
}
