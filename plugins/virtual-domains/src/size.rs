//! Sizes as an operator writes them.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// Octets: an integer, or a text such as `10 MiB` or `500 kB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(pub(crate) u64);

impl Size {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim();
        let (_, octets) = UNITS.iter().find(|(name, _)| *name == unit)?;
        number.parse::<u64>().ok()?.checked_mul(*octets).map(Self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Octets;

        impl Visitor<'_> for Octets {
            type Value = Size;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a size such as \"10 MiB\", or a number of octets")
            }

            fn visit_u64<E: de::Error>(self, octets: u64) -> Result<Size, E> {
                Ok(Size(octets))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                Size::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_any(Octets)
    }
}

/// No unit is octets.
const UNITS: &[(&str, u64)] = &[
    ("", 1),
    ("B", 1),
    ("kB", 1000),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(Size::parse(text), expected.map(Size), "{text:?}");
        check("0", Some(0));
        check("1024", Some(1024));
        check("10 MiB", Some(10 * 1024 * 1024));
        check("10MB", Some(10_000_000));
        check("1 GiB", Some(1 << 30));
        for malformed in
            ["", "MiB", "10 mib", "1.5 MiB", "-1", "10 MiB!", "99999999999999999999", "18446744073709551615 kB"]
        {
            check(malformed, None);
        }
    }
}
