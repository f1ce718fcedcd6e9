//! Periods, sizes and networks as an operator writes them in a plugin's configuration.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// A period of whole seconds, such as `30 s`, `5 min`, `1 h` or `2 d`; never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(u32);

impl Period {
    /// So many seconds; 1 for 0.
    #[must_use]
    pub const fn seconds(seconds: u32) -> Self {
        Self(if seconds == 0 { 1 } else { seconds })
    }

    /// The number of seconds, as services want it.
    #[must_use]
    pub const fn as_secs(self) -> u32 {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let seconds = amount(text, PERIODS)?;
        u32::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Self)
    }
}

impl From<Period> for Duration {
    fn from(period: Period) -> Self {
        Self::from_secs(period.0.into())
    }
}

/// Octets, such as `10 MiB`, `10 MB`, or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// An address, or a network such as `192.0.2.0/24` or `2001:db8::/32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: u128,
    bits: u32,
    is_v4: bool,
}

impl Network {
    /// Reads a network; none where it is malformed, or has more bits than its length says.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let (number, is_v4) = number(address);
        let most = if is_v4 { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        (bits <= most && masked(number, bits, is_v4) == number).then_some(Self { address: number, bits, is_v4 })
    }

    /// The network of so many bits that an address is in.
    #[must_use]
    pub fn of(address: IpAddr, v4_bits: u32, v6_bits: u32) -> Self {
        let (number, is_v4) = number(address);
        let bits = if is_v4 { v4_bits.min(32) } else { v6_bits.min(128) };
        Self { address: masked(number, bits, is_v4), bits, is_v4 }
    }

    /// Whether an address is in it. An IPv4 address in IPv6 form is an IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (number, is_v4) = number(address);
        is_v4 == self.is_v4 && masked(number, self.bits, is_v4) == self.address
    }
}

/// Whether an address, as the session tells it, is in one of the networks.
#[must_use]
pub fn contain(networks: &[Network], address: &str) -> bool {
    address.parse().is_ok_and(|address| networks.iter().any(|network| network.contains(address)))
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = match u32::try_from(self.address) {
            Ok(v4) if self.is_v4 => IpAddr::V4(v4.into()),
            Ok(_) | Err(_) => IpAddr::V6(self.address.into()),
        };
        write!(formatter, "{address}/{}", self.bits)
    }
}

fn number(address: IpAddr) -> (u128, bool) {
    match address.to_canonical() {
        IpAddr::V4(v4) => (u32::from(v4).into(), true),
        IpAddr::V6(v6) => (v6.into(), false),
    }
}

fn masked(number: u128, bits: u32, is_v4: bool) -> u128 {
    let rest = (if is_v4 { 32_u32 } else { 128 }).saturating_sub(bits);
    number.checked_shr(rest).and_then(|high| high.checked_shl(rest)).unwrap_or(0)
}

/// A number and its unit.
fn amount(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim();
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

struct Words<T>(&'static str, fn(&str) -> Option<T>, fn(u64) -> Option<T>);

impl<T> Visitor<'_> for Words<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        (self.2)(number).ok_or_else(|| E::invalid_type(de::Unexpected::Unsigned(number), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.1)(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Words(
            "a period such as \"30 s\", \"5 min\", \"1 h\" or \"2 d\"",
            Self::parse,
            |_| None,
        ))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parse = |text: &str| amount(text, SIZES).map(Self);
        deserializer
            .deserialize_any(Words("a size such as \"10 MiB\", or a number of octets", parse, |n| Some(Self(n))))
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wanted = "an address, or a network such as \"192.0.2.0/24\" or \"2001:db8::/32\"";
        deserializer.deserialize_any(Words(wanted, Self::parse, |_| None))
    }
}

/// A bare number is no period: of what?
const PERIODS: &[(&str, u64)] = &[("s", 1), ("min", 60), ("h", 3600), ("d", 86_400)];

/// No unit is octets.
const SIZES: &[(&str, u64)] = &[
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
    fn periods() {
        for (text, seconds) in [("30 s", 30), ("5 min", 300), ("1h", 3600), ("36 d", 3_110_400)] {
            assert_eq!(Period::parse(text), Some(Period(seconds)), "{text}");
        }
        for malformed in ["", "30", "0 s", "5 m", "-1 s", "1.5 h", "99999999999 d"] {
            assert_eq!(Period::parse(malformed), None, "{malformed:?}");
        }
    }

    #[test]
    fn networks() {
        let contains =
            |network: &str, address: &str| Network::parse(network).unwrap().contains(address.parse().unwrap());
        assert!(contains("192.0.2.0/24", "192.0.2.255") && contains("192.0.2.0/24", "::ffff:192.0.2.1"));
        assert!(!contains("192.0.2.0/24", "192.0.3.0") && !contains("192.0.2.0/24", "2001:db8::1"));
        assert!(contains("0.0.0.0/0", "203.0.113.9") && !contains("0.0.0.0/0", "2001:db8::1"));
        assert!(contains("2001:db8::/32", "2001:db8:ffff::1") && contains("::1", "::1"));
        for malformed in ["", "192.0.2.1/24", "192.0.2.0/33", "192.0.2", "2001:db8::1/64", "example.org", "::/129"] {
            assert_eq!(Network::parse(malformed), None, "{malformed:?}");
        }
        let of = |address: &str| Network::of(address.parse().unwrap(), 24, 64).to_string();
        assert_eq!(of("192.0.2.77"), "192.0.2.0/24");
        assert_eq!(of("2001:db8::77:1"), "2001:db8::/64");
        assert_eq!(of("::ffff:192.0.2.77"), "192.0.2.0/24");
    }
}
