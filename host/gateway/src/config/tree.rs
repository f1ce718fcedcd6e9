//! The settings as they stand in the file and in the `--set`s: a tree of values that know where they were written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use toml::Spanned;
use toml::de::{DeInteger, DeString, DeTable, DeValue};

use super::problem::Span;

/// A value, and where it stands. The span of a table with a header is the header's.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) value: Value,
}

/// What a setting was set to.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    /// An integer that does not fit: no setting is as large.
    HugeInteger,
    Float(f64),
    Boolean(bool),
    /// A date or time in the form of RFC 3339.
    Time(String),
    List(List),
    Table(Table),
}

/// Values in order.
#[derive(Clone, Debug, Default)]
pub(super) struct List {
    pub(super) items: Vec<Node>,
    /// Some have been taken out because they were wrong.
    pub(super) spoiled: bool,
}

/// Values by key.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub(super) entries: BTreeMap<String, Entry>,
    /// Keys that have been taken out because something was wrong with them.
    pub(super) spoiled: BTreeSet<String>,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Where the key stands.
    pub(super) key: Span,
    pub(super) node: Node,
}

/// One step from a table or list inwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Item(usize),
}

/// A way from the root inwards, as it is written in `--set`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path<'a>(pub(super) &'a [Step]);

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(item: usize) -> Self {
        Self::Item(item)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, step) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str(".")?;
            }
            match step {
                Step::Item(item) => write!(f, "{item}")?,
                Step::Key(key) if is_bare(key) => f.write_str(key)?,
                Step::Key(key) => write!(f, "\"{}\"", key.escape_debug())?,
            }
        }
        Ok(())
    }
}

/// Whether TOML needs no quotes around this key.
fn is_bare(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

impl Node {
    /// A document's root.
    pub(super) fn root(table: Spanned<DeTable<'_>>, start: usize) -> Self {
        Self { span: start..start, value: Value::Table(Table::new(table.into_inner(), start)) }
    }

    /// A value of a source whose spans begin at `start`.
    pub(super) fn new(value: Spanned<DeValue<'_>>, start: usize) -> Self {
        let span = moved(&value.span(), start);
        let value = match value.into_inner() {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Integer(integer) => integer_value(&integer),
            DeValue::Float(float) => float.as_str().parse().map_or(Value::HugeInteger, Value::Float),
            DeValue::Boolean(boolean) => Value::Boolean(boolean),
            DeValue::Datetime(time) => Value::Time(time.to_string()),
            DeValue::Array(array) => Value::List(List {
                items: array.into_iter().map(|item| Node::new(item, start)).collect(),
                spoiled: false,
            }),
            DeValue::Table(table) => Value::Table(Table::new(table, start)),
        };
        Self { span, value }
    }

    /// What stands at the end of the path.
    pub(super) fn at(&self, path: &[Step]) -> Option<&Node> {
        path.iter().try_fold(self, |node, step| match (&node.value, step) {
            (Value::Table(table), Step::Key(key)) => table.entries.get(key).map(|entry| &entry.node),
            (Value::List(list), Step::Item(item)) => list.items.get(*item),
            _ => None,
        })
    }

    fn at_mut(&mut self, path: &[Step]) -> Option<&mut Node> {
        path.iter().try_fold(self, |node, step| match (&mut node.value, step) {
            (Value::Table(table), Step::Key(key)) => table.entries.get_mut(key).map(|entry| &mut entry.node),
            (Value::List(list), Step::Item(item)) => list.items.get_mut(*item),
            _ => None,
        })
    }

    /// Where the value at the end of the path stands; where there is none, the innermost that there is around it.
    pub(super) fn span(&self, path: &[Step]) -> Span {
        let nodes = (0..=path.len()).rev().filter_map(|length| self.at(path.get(..length)?));
        nodes.map(|node| node.span.clone()).next().unwrap_or_else(|| self.span.clone())
    }

    /// Where the last key of the path stands; where it has none, the value.
    pub(super) fn key_span(&self, path: &[Step]) -> Span {
        let key = path.split_last().and_then(|(last, outer)| match (&self.at(outer)?.value, last) {
            (Value::Table(table), Step::Key(key)) => table.entries.get(key).map(|entry| entry.key.clone()),
            _ => None,
        });
        key.unwrap_or_else(|| self.span(path))
    }

    /// The keys of the table at the end of the path, with those that have been taken out.
    pub(super) fn keys(&self, path: &[Step]) -> BTreeSet<&str> {
        match self.at(path).map(|node| &node.value) {
            Some(Value::Table(table)) => table.entries.keys().chain(&table.spoiled).map(String::as_str).collect(),
            _ => BTreeSet::new(),
        }
    }

    /// Whether the list or table at the end of the path, or a key of its outer table, has been taken out or thinned out.
    pub(super) fn is_spoiled(&self, path: &[Step]) -> bool {
        let inside = match self.at(path).map(|node| &node.value) {
            Some(Value::List(list)) => list.spoiled,
            Some(Value::Table(table)) => !table.spoiled.is_empty(),
            _ => false,
        };
        let outside = path.split_last().is_some_and(|(last, outer)| {
            matches!((self.at(outer).map(|node| &node.value), last),
                (Some(Value::Table(table)), Step::Key(key)) if table.spoiled.contains(key))
        });
        inside || outside
    }

    /// Whether the table at the end of the path has nothing left, because what was in it was wrong.
    pub(super) fn is_emptied(&self, path: &[Step]) -> bool {
        matches!(self.at(path).map(|node| &node.value),
            Some(Value::Table(table)) if table.entries.is_empty() && !table.spoiled.is_empty())
    }

    /// Marks a key of the table at the end of the path as one that was meant to be there.
    pub(super) fn spoil_key(&mut self, path: &[Step], key: &str) {
        if let Some(Value::Table(table)) = self.at_mut(path).map(|node| &mut node.value) {
            table.spoiled.insert(key.to_owned());
        }
    }

    /// Takes a value out because it is wrong. Answers whether it was there.
    pub(super) fn spoil(&mut self, path: &[Step]) -> bool {
        let Some((last, outer)) = path.split_last() else {
            return false;
        };
        match (self.at_mut(outer).map(|node| &mut node.value), last) {
            (Some(Value::Table(table)), Step::Key(key)) => {
                table.spoiled.insert(key.clone());
                table.entries.remove(key).is_some()
            }
            (Some(Value::List(list)), Step::Item(item)) if *item < list.items.len() => {
                list.spoiled = true;
                list.items.remove(*item);
                true
            }
            _ => false,
        }
    }
}

impl Table {
    fn new(table: DeTable<'_>, start: usize) -> Self {
        let entry = |(key, value): (Spanned<DeString<'_>>, Spanned<DeValue<'_>>)| {
            let span = moved(&key.span(), start);
            (key.into_inner().into_owned(), Entry { key: span, node: Node::new(value, start) })
        };
        Self { entries: table.into_iter().map(entry).collect(), spoiled: BTreeSet::new() }
    }
}

impl Value {
    /// What kind of value it is, with its article.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "a text",
            Value::Integer(_) | Value::HugeInteger => "an integer",
            Value::Float(_) => "a floating-point number",
            Value::Boolean(_) => "a boolean",
            Value::Time(_) => "a date or time",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

fn integer_value(integer: &DeInteger<'_>) -> Value {
    i64::from_str_radix(integer.as_str(), integer.radix()).map_or(Value::HugeInteger, Value::Integer)
}

fn moved(span: &Span, start: usize) -> Span {
    span.start + start..span.end + start
}
