//! The SQLite database of the plugin's own. Grant: `sqlite`.
//!
//! The functions are those of the contract. Beside them values are made of Rust's types and taken apart again, so that a query
//! reads as what it means:
//!
//! ```no_run
//! use postgate_sdk::sqlite::{self, SqliteError, values};
//!
//! fn quota(user: &str) -> Result<Option<i64>, SqliteError> {
//!     sqlite::query("SELECT quota FROM users WHERE address = ?", &values![user])?.first()
//! }
//! ```
//!
//! | Rust | SQLite |
//! |---|---|
//! | `i64`, and what fits into it | INTEGER |
//! | `bool` | INTEGER 0 or 1 |
//! | `f64` | REAL; also made of an INTEGER, because a column may keep `1.0` as one |
//! | `&str`, `String` | TEXT |
//! | `&[u8]`, `Vec<u8>` | BLOB |
//! | `Option` | NULL for none |

use std::fmt;

pub use crate::bindings::database::postgate::mail::sqlite::*;
// Natively those that a test plays: a name takes precedence over a star.
#[cfg(not(any(target_arch = "wasm32", doc)))]
pub use crate::testing::host::sqlite::{begin, commit, execute, query, rollback, run_script};

/// Parameters of a statement: each becomes a [`Value`].
#[macro_export]
#[doc(hidden)]
macro_rules! sqlite_values {
    ($($value:expr),* $(,)?) => { [$($crate::sqlite::Value::from($value)),*] };
}
#[doc(inline)]
pub use crate::sqlite_values as values;

impl Table {
    /// The value in the first column of the first row; none if there is no row.
    pub fn first<T>(self) -> Result<Option<T>, SqliteError>
    where
        T: TryFrom<Value, Error = WrongType>,
    {
        let first = self.rows.into_iter().next().and_then(|row| row.into_iter().next());
        Ok(first.map(T::try_from).transpose()?)
    }

    /// The values in the first column of all rows.
    pub fn column<T>(self) -> Result<Vec<T>, SqliteError>
    where
        T: TryFrom<Value, Error = WrongType>,
    {
        let first = self.rows.into_iter().filter_map(|row| row.into_iter().next());
        Ok(first.map(T::try_from).collect::<Result<_, _>>()?)
    }
}

/// A value is of another type than was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongType {
    /// What was asked for.
    pub wanted: &'static str,
    /// What it is.
    pub found: &'static str,
}

impl WrongType {
    fn of(value: &Value, wanted: &'static str) -> Self {
        let found = match value {
            Value::Null => "NULL",
            Value::Integer(_) => "INTEGER",
            Value::Real(_) => "REAL",
            Value::Text(_) => "TEXT",
            Value::Blob(_) => "BLOB",
        };
        Self { wanted, found }
    }
}

impl fmt::Display for WrongType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} where {} was wanted", self.found, self.wanted)
    }
}

impl std::error::Error for WrongType {}

/// The statement asks for something else than the plugin thinks.
impl From<WrongType> for SqliteError {
    fn from(error: WrongType) -> Self {
        Self::Statement(error.to_string())
    }
}

macro_rules! from {
    ($($type:ty => $variant:ident($value:ident => $made:expr),)*) => {
        $(impl From<$type> for Value {
            fn from($value: $type) -> Self {
                Self::$variant($made)
            }
        })*
    };
}

from! {
    i64 => Integer(value => value),
    i32 => Integer(value => value.into()),
    u32 => Integer(value => value.into()),
    bool => Integer(value => value.into()),
    f64 => Real(value => value),
    &str => Text(value => value.to_owned()),
    &String => Text(value => value.clone()),
    String => Text(value => value),
    &[u8] => Blob(value => value.to_vec()),
    Vec<u8> => Blob(value => value),
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

macro_rules! try_from {
    ($($type:ty, $wanted:literal: $($pattern:pat => $taken:expr),+;)*) => {
        $(
            impl TryFrom<Value> for $type {
                type Error = WrongType;

                fn try_from(value: Value) -> Result<Self, WrongType> {
                    let wrong = WrongType::of(&value, $wanted);
                    $(if let $pattern = value {
                        return Ok($taken);
                    })+
                    Err(wrong)
                }
            }

            impl TryFrom<Value> for Option<$type> {
                type Error = WrongType;

                fn try_from(value: Value) -> Result<Self, WrongType> {
                    if value == Value::Null { Ok(None) } else { <$type>::try_from(value).map(Some) }
                }
            }
        )*
    };
}

try_from! {
    i64, "INTEGER": Value::Integer(integer) => integer;
    bool, "INTEGER 0 or 1": Value::Integer(0) => false, Value::Integer(1) => true;
    f64, "REAL": Value::Real(real) => real, Value::Integer(integer) => integer as f64;
    String, "TEXT": Value::Text(text) => text;
    Vec<u8>, "BLOB": Value::Blob(blob) => blob;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        fn check<T>(value: T, expected: Value)
        where
            T: Clone + fmt::Debug + PartialEq + Into<Value> + TryFrom<Value, Error = WrongType>,
        {
            assert_eq!(value.clone().into(), expected);
            assert_eq!(T::try_from(expected), Ok(value));
        }
        check(i64::MIN, Value::Integer(i64::MIN));
        check(true, Value::Integer(1));
        check(-0.5, Value::Real(-0.5));
        check("Gr\u{fc}\u{df}e".to_owned(), Value::Text("Gr\u{fc}\u{df}e".to_owned()));
        check(vec![0_u8, 255], Value::Blob(vec![0, 255]));
        check(None::<i64>, Value::Null);
        check(Some(7_i64), Value::Integer(7));
        check(Some("x".to_owned()), Value::Text("x".to_owned()));
        assert_eq!(
            values![1_u32, -1, "x", b"x".as_slice(), None::<&str>, Some(0.5)],
            [
                Value::Integer(1),
                Value::Integer(-1),
                Value::Text("x".to_owned()),
                Value::Blob(b"x".to_vec()),
                Value::Null,
                Value::Real(0.5),
            ]
        );
    }

    #[test]
    fn what_is_of_another_type_is_told() {
        let told = |error: WrongType| error.to_string();
        assert_eq!(i64::try_from(Value::Null).map_err(told).unwrap_err(), "NULL where INTEGER was wanted");
        assert_eq!(i64::try_from(Value::Real(1.0)).map_err(told).unwrap_err(), "REAL where INTEGER was wanted");
        assert_eq!(f64::try_from(Value::Integer(1)), Ok(1.0));
        assert!(bool::try_from(Value::Integer(2)).is_err());
        assert!(String::try_from(Value::Blob(Vec::new())).is_err());
        assert!(<Option<Vec<u8>>>::try_from(Value::Text(String::new())).is_err());
    }

    #[test]
    fn tables() {
        let table = |rows: &[Value]| Table {
            columns: vec!["a".to_owned(), "b".to_owned()],
            rows: rows.iter().map(|value| vec![value.clone(), Value::Null]).collect(),
        };
        assert_eq!(table(&[]).first::<i64>(), Ok(None));
        assert_eq!(table(&values![1, 2]).first(), Ok(Some(1_i64)));
        assert_eq!(table(&values![1, 2]).column(), Ok(vec![1_i64, 2]));
        assert_eq!(table(&values![1, None::<i64>]).column(), Ok(vec![Some(1_i64), None]));
        assert_eq!(
            table(&values!["x"]).first::<i64>(),
            Err(SqliteError::Statement("TEXT where INTEGER was wanted".to_owned()))
        );
    }
}
