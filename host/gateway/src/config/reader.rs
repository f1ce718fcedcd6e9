//! Reads typed settings out of the tree with serde, and says precisely what could not be read.
//!
//! Serde stops at the first error. This reader's errors say where they are as a path, and the caller takes the wrong
//! value out of the tree and reads again; so all errors of a file can be told at once.

use std::collections::btree_map;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, Unexpected, VariantAccess,
    Visitor,
};

use super::tree::{Entry, Node, Step, Value};

/// Why a value could not be read.
#[derive(Debug)]
pub(super) struct Error {
    /// From the innermost step outwards.
    pub(super) steps: Vec<Step>,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// The table at the path has a key that nobody knows.
    UnknownKey { key: String, known: &'static [&'static str] },
    /// The table at the path lacks a key.
    MissingKey { key: &'static str },
    /// The text at the path is none of those known.
    UnknownWord { word: String, known: &'static [&'static str] },
    /// Something else about the value at the path.
    Wrong(String),
}

impl Error {
    fn wrong(message: impl Into<String>) -> Self {
        Self { steps: Vec::new(), kind: Kind::Wrong(message.into()) }
    }

    fn at(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// From the root inwards.
    pub(super) fn path(&self) -> Vec<Step> {
        self.steps.iter().rev().cloned().collect()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::UnknownKey { key, known: _ } => {
                write!(f, "unknown setting \"{}\"", key.escape_debug())
            }
            Kind::MissingKey { key } => write!(f, "\"{key}\" is missing"),
            Kind::UnknownWord { word, known } => {
                write!(f, "\"{}\" is none of {}", word.escape_debug(), known.join(", "))
            }
            Kind::Wrong(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::wrong(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::wrong(format!("expected {}, found {}", wanted(expected), kind(&found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::wrong(format!("expected {}, found {}", wanted(expected), content(&found)))
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        Self { steps: Vec::new(), kind: Kind::UnknownKey { key: key.to_owned(), known } }
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Self { steps: Vec::new(), kind: Kind::UnknownWord { word: word.to_owned(), known } }
    }

    fn missing_field(key: &'static str) -> Self {
        Self { steps: Vec::new(), kind: Kind::MissingKey { key } }
    }
}

/// Serde's words for kinds of values, in the words of this configuration.
fn wanted(expected: &dyn de::Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        "a string" | "path string" => "a text in quotes".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "u64" => "a whole number, 0 or more".to_owned(),
        _ => text,
    }
}

fn kind(found: &Unexpected<'_>) -> String {
    let kinds = [
        (matches!(found, Unexpected::Str(_)), "a text"),
        (matches!(found, Unexpected::Seq), "a list"),
        (matches!(found, Unexpected::Map), "a table"),
        (matches!(found, Unexpected::Bool(_)), "a boolean"),
        (matches!(found, Unexpected::Signed(_) | Unexpected::Unsigned(_)), "an integer"),
    ];
    let known = kinds.into_iter().find(|(is, _)| *is).map(|(_, kind)| kind.to_owned());
    known.unwrap_or_else(|| found.to_string())
}

fn content(found: &Unexpected<'_>) -> String {
    if let Unexpected::Signed(n) = found {
        return n.to_string();
    }
    if let Unexpected::Unsigned(n) = found {
        return n.to_string();
    }
    kind(found)
}

/// A node, to be deserialized.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a Node);

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.value {
            Value::Text(text) | Value::Time(text) => visitor.visit_borrowed_str(text),
            Value::Integer(n) => visitor.visit_i64(*n),
            Value::HugeInteger => Err(Error::wrong("too large a number")),
            Value::Float(n) if n.is_finite() => visitor.visit_f64(*n),
            Value::Float(_) => Err(Error::wrong("expected a finite number")),
            Value::Boolean(b) => visitor.visit_bool(*b),
            Value::List(list) => visitor.visit_seq(Items { items: list.items.iter(), at: 0 }),
            Value::Table(table) => visitor.visit_map(Entries { entries: table.entries.iter(), last: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.0.value {
            Value::Text(word) => visitor.visit_enum(Choice { word, argument: None }),
            Value::Table(table) => {
                let mut entries = table.entries.iter();
                match (entries.next(), entries.next()) {
                    (Some((word, entry)), None) => visitor.visit_enum(Choice { word, argument: Some(&entry.node) }),
                    _ => Err(Error::wrong("expected a table with one key")),
                }
            }
            Value::Integer(_)
            | Value::HugeInteger
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Time(_)
            | Value::List(_) => {
                Err(Error::wrong(format!("expected one of {}, found {}", words.join(", "), self.0.value.kind())))
            }
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

struct Items<'a> {
    items: std::slice::Iter<'a, Node>,
    at: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(node) = self.items.next() else {
            return Ok(None);
        };
        let at = self.at;
        self.at += 1;
        seed.deserialize(Reader(node)).map(Some).map_err(|error| error.at(Step::Item(at)))
    }
}

struct Entries<'a> {
    entries: btree_map::Iter<'a, String, Entry>,
    last: Option<(&'a String, &'a Node)>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((key, entry)) = self.entries.next() else {
            return Ok(None);
        };
        self.last = Some((key, &entry.node));
        seed.deserialize(text(key)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        let (key, node) = self.last.take().ok_or_else(|| Error::wrong("a value without a key"))?;
        seed.deserialize(Reader(node)).map_err(|error| error.at(Step::Key(key.clone())))
    }
}

/// A word out of several, with an argument where it is the only key of a table.
struct Choice<'a> {
    word: &'a str,
    argument: Option<&'a Node>,
}

impl<'de> EnumAccess<'de> for Choice<'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Error> {
        Ok((seed.deserialize(text(self.word))?, self))
    }
}

impl<'de> VariantAccess<'de> for Choice<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.argument {
            None => Ok(()),
            Some(_) => Err(Error::wrong(format!("\"{}\" takes no value: write it as a text", self.word))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        match self.argument {
            Some(node) => seed.deserialize(Reader(node)).map_err(|error| error.at(Step::Key(self.word.to_owned()))),
            None => seed.deserialize(Absent { word: self.word }),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Error> {
        Err(Error::wrong(format!("\"{}\" can't be written here", self.word)))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        match self.argument {
            Some(node) => {
                Reader(node).deserialize_any(visitor).map_err(|error| error.at(Step::Key(self.word.to_owned())))
            }
            None => Err(Error::wrong(format!("\"{0}\" needs a table: {{ {0} = {{ … }} }}", self.word))),
        }
    }
}

/// The value of a word that stands alone: none, where there need not be any.
struct Absent<'a> {
    word: &'a str,
}

impl<'de> Deserializer<'de> for Absent<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::wrong(format!("\"{0}\" needs a value: {{ {0} = … }}", self.word)))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_none()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

fn text(word: &str) -> StrDeserializer<'_, Error> {
    word.into_deserializer()
}
