//! Where a dialogue went another way: what was expected and what came, with the lines around.

use super::client::printable;
use super::script::Script;

/// A difference, in rows that are to be shown one below the other.
#[derive(Clone, Debug)]
pub(crate) struct Mismatch {
    /// The line of the file that it is about.
    pub(crate) line: usize,
    /// What is different, in a few words.
    pub(crate) what: String,
    /// In the order of the file.
    pub(crate) rows: Vec<Row>,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// What it is.
    pub(crate) kind: Kind,
    /// The line's number in the file.
    pub(crate) number: Option<usize>,
    /// As it stands there, or as it would have to.
    pub(crate) text: String,
}

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It stands around the difference.
    Around,
    /// It was expected.
    Expected,
    /// It came.
    Found,
}

impl Mismatch {
    /// `expected` are lines of the file that did not come true; without any, `found` came behind the line `behind`.
    pub(crate) fn new(
        script: &Script,
        expected: &[usize],
        behind: Option<usize>,
        what: &str,
        found: Vec<String>,
    ) -> Self {
        let first = expected.first().copied().unwrap_or_else(|| behind.unwrap_or_default() + 1);
        let last = expected.last().copied().unwrap_or(first.saturating_sub(1));
        let mut rows = Vec::new();
        let around = |number: usize| {
            let text = script.lines.get(number.checked_sub(1)?)?.clone();
            Some(Row { kind: Kind::Around, number: Some(number), text })
        };
        rows.extend((first.saturating_sub(AROUND)..first).filter_map(around));
        // What begins and ends alike is no difference.
        let text = |number: usize| script.lines.get(number.saturating_sub(1)).map_or("", String::as_str);
        let is_alike = |(number, found): &(&usize, &String)| text(**number) == **found;
        let front = expected.iter().zip(&found).take_while(is_alike).count();
        let (expected, found) = (expected.get(front..).unwrap_or_default(), found.get(front..).unwrap_or_default());
        let alike = expected.iter().rev().zip(found.iter().rev()).take_while(is_alike).count();
        let (unmet, met) = expected.split_at(expected.len() - alike);
        let kept = found.len() - alike;
        rows.extend((first..=last).filter(|number| !met.contains(number)).filter_map(|number| {
            let kind = if unmet.contains(&number) { Kind::Expected } else { Kind::Around };
            around(number).map(|row| Row { kind, ..row })
        }));
        let more = kept.saturating_sub(MAX_FOUND);
        // Notes are as plugins have set them, perhaps of what was in a message.
        let came = found.iter().take(kept.min(MAX_FOUND)).map(|text| printable(text));
        rows.extend(came.map(|text| Row { kind: Kind::Found, number: None, text }));
        if more > 0 {
            rows.push(Row { kind: Kind::Found, number: None, text: format!("… {more} more") });
        }
        rows.extend(met.iter().copied().filter_map(around));
        rows.extend((last + 1..=last + AROUND).filter_map(around));
        let line = expected.first().copied().or(behind).unwrap_or(first);
        Self { line, what: what.to_owned(), rows }
    }

    /// The rows with their marks: `-` was expected, `+` came.
    pub(crate) fn diff(&self) -> String {
        let row = |row: &Row| {
            let mark = match row.kind {
                Kind::Around => ' ',
                Kind::Expected => '-',
                Kind::Found => '+',
            };
            let number = row.number.map(|number| number.to_string()).unwrap_or_default();
            format!("{mark} {number:>5} | {}", row.text).trim_end().to_owned() + "\n"
        };
        self.rows.iter().map(row).collect()
    }
}

/// Lines that are shown before and behind.
const AROUND: usize = 3;
/// Lines that came and are shown.
const MAX_FOUND: usize = 50;
