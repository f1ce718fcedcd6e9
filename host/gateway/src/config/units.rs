//! Amounts in the configuration: sizes, periods of time and counts, each with its unit.
//!
//! Every type reads and writes the same text, so that what `explain` prints can be put into the file. An amount without a
//! unit is understood only where nothing can be mistaken: a bare number is a size in octets, never a period.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of octets: `"64 MiB"`, `"10 MB"`, or an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// A period of time: `"500 ms"`, `"10 s"`, `"5 min"`, `"1 h"`, `"2 d"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

/// How many of something, 1 to 4,294,967,295.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Count(u32);

impl Size {
    /// So many KiB.
    pub const fn kib(n: u64) -> Self {
        Self(n << 10)
    }

    /// So many MiB.
    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }

    /// The size in octets; the largest of the machine where it is larger.
    pub fn octets(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Period {
    /// No time at all.
    pub(super) const fn none() -> Self {
        Self::seconds(0)
    }

    /// So many seconds.
    pub const fn seconds(n: u64) -> Self {
        Self(Duration::from_secs(n))
    }
}

impl Count {
    /// `None` for 0.
    pub const fn new(n: u32) -> Option<Self> {
        if n == 0 { None } else { Some(Self(n)) }
    }

    /// For constants: 1 where 0 is given.
    pub(super) const fn at_least_one(n: u32) -> Self {
        if n == 0 { Self(1) } else { Self(n) }
    }

    /// The number, 1 or more.
    pub fn number(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// Units of sizes; where two fit, the first is written.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Units of periods in milliseconds, largest first.
const PERIOD_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)];

const SIZE_WANTED: &str = "a size such as \"64 MiB\", \"10 MB\" or a number of octets";
const PERIOD_WANTED: &str = "a period such as \"500 ms\", \"10 s\", \"5 min\", \"1 h\" or \"2 d\"";

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_amount(f, self.0, &SIZE_UNITS, "B")
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        write_amount(f, milliseconds, &PERIOD_UNITS, "s")
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn write_amount(f: &mut fmt::Formatter<'_>, n: u64, units: &[(&str, u64)], unit_of_zero: &str) -> fmt::Result {
    let fits = units.iter().find(|(_, factor)| n != 0 && n.is_multiple_of(*factor));
    match fits {
        Some((unit, factor)) => f.pad(&format!("{} {unit}", n / factor)),
        None => f.pad(&format!("{n} {unit_of_zero}")),
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (n, unit) = split_amount(text).ok_or_else(|| format!("expected {SIZE_WANTED}"))?;
        let factor = match unit {
            "" => 1,
            // What people write for kB.
            "KB" | "k" | "K" => 1_000,
            _ => factor(unit, &SIZE_UNITS)?,
        };
        n.checked_mul(factor).map(Self).ok_or_else(|| "too large a size".to_owned())
    }
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (n, unit) = split_amount(text).ok_or_else(|| format!("expected {PERIOD_WANTED}"))?;
        if unit.is_empty() {
            return Err(format!("a period needs a unit: expected {PERIOD_WANTED}"));
        }
        let factor = factor(unit, &PERIOD_UNITS)?;
        let milliseconds = n.checked_mul(factor).filter(|ms| *ms <= LONGEST_MS);
        milliseconds.map(|ms| Self(Duration::from_millis(ms))).ok_or_else(|| "more than 1000 days".to_owned())
    }
}

/// Longer periods are a slip of the pen, and would overflow a clock somewhere.
const LONGEST_MS: u64 = 1000 * 86_400_000;

fn factor(unit: &str, units: &[(&str, u64)]) -> Result<u64, String> {
    units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor).ok_or_else(|| {
        let names: Vec<&str> = units.iter().rev().map(|(name, _)| *name).collect();
        format!("unknown unit \"{unit}\": expected one of {}", names.join(", "))
    })
}

/// `64 MiB` or `64MiB` as 64 and `MiB`; the digits may be grouped by `_` as in TOML.
fn split_amount(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    let n = digits.replace('_', "").parse().ok()?;
    let unit = unit.trim_start();
    unit.chars().all(char::is_alphabetic).then_some((n, unit))
}

struct SizeVisitor;
struct PeriodVisitor;
struct CountVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SIZE_WANTED)
    }

    fn visit_i64<E: de::Error>(self, n: i64) -> Result<Size, E> {
        u64::try_from(n).map(Size).map_err(|_| E::invalid_value(de::Unexpected::Signed(n), &self))
    }

    fn visit_u64<E: de::Error>(self, n: u64) -> Result<Size, E> {
        Ok(Size(n))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
        text.parse().map_err(E::custom)
    }
}

impl Visitor<'_> for PeriodVisitor {
    type Value = Period;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PERIOD_WANTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Period, E> {
        text.parse().map_err(E::custom)
    }
}

impl Visitor<'_> for CountVisitor {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number, 1 or more")
    }

    fn visit_i64<E: de::Error>(self, n: i64) -> Result<Count, E> {
        let count = u32::try_from(n).ok().and_then(Count::new);
        count.ok_or_else(|| E::invalid_value(de::Unexpected::Signed(n), &self))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PeriodVisitor)
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, octets, written) in [
            ("64 MiB", 64 << 20, "64 MiB"),
            ("64MiB", 64 << 20, "64 MiB"),
            ("10 MB", 10_000_000, "10 MB"),
            ("2048", 2048, "2 KiB"),
            ("1_000", 1000, "1 kB"),
            ("1234 B", 1234, "1234 B"),
            ("0", 0, "0 B"),
            ("1024 GiB", 1 << 40, "1 TiB"),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!(size, Size(octets), "{text}");
            assert_eq!(size.to_string(), written, "{text}");
            assert_eq!(size.to_string().parse(), Ok(size), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5 GiB", "1 mib", "99999999999 TiB", "_", "١ B"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn periods() {
        for (text, milliseconds, written) in [
            ("500 ms", 500, "500 ms"),
            ("10s", 10_000, "10 s"),
            ("90 s", 90_000, "90 s"),
            ("300 s", 300_000, "5 min"),
            ("24 h", 86_400_000, "1 d"),
            ("0 ms", 0, "0 s"),
        ] {
            let period: Period = text.parse().unwrap();
            assert_eq!(period, Period(Duration::from_millis(milliseconds)), "{text}");
            assert_eq!(period.to_string(), written, "{text}");
            assert_eq!(period.to_string().parse(), Ok(period), "{text}");
        }
        for text in ["", "10", "10 sec", "5 m", "-1 s", "1001 d", "99999999999999999999 s"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }
}
