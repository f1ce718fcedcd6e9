//! Addresses and networks of peers that are believed more than others.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// One address, or all that begin with the same bits: `"192.0.2.1"`, `"10.0.0.0/8"`, `"2001:db8::/32"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The first address.
    first: IpAddr,
    /// How many bits are the same.
    bits: u8,
}

impl Network {
    /// Whether the address is in it. An IPv4 address that came in as an IPv6 one (RFC 4291 section 2.5.5.2) is what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        first(address.to_canonical(), self.bits) == Some(self.first)
    }
}

/// The first address of the network of so many bits around this one.
fn first(address: IpAddr, bits: u8) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            let rest = 32_u32.checked_sub(bits.into())?;
            let mask = u32::MAX.checked_shl(rest).unwrap_or_default();
            Some(Ipv4Addr::from_bits(address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let rest = 128_u32.checked_sub(bits.into())?;
            let mask = u128::MAX.checked_shl(rest).unwrap_or_default();
            Some(Ipv6Addr::from_bits(address.to_bits() & mask).into())
        }
    }
}

const fn all_bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "\"{}\" is no address and no network, such as \"192.0.2.1\", \"10.0.0.0/8\" or \"2001:db8::/32\"",
                text.escape_debug()
            )
        };
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) if bits.bytes().all(|octet| octet.is_ascii_digit()) => (address, Some(bits)),
            Some(_) => return Err(wrong()),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let Some(bits) = bits else {
            let address = address.to_canonical();
            return Ok(Self { first: address, bits: all_bits(address) });
        };
        let bits = bits.parse().map_err(|_| wrong())?;
        let first = first(address, bits).ok_or_else(wrong)?;
        let network = Self { first, bits };
        if first != address {
            return Err(format!("{address} is not the first address of its network: did you mean \"{network}\"?"));
        }
        match address.to_canonical() {
            // What a peer's address would never be found in.
            IpAddr::V4(plain) if address.is_ipv6() => {
                Err(format!("a network of IPv4 addresses is written as such: \"{plain}/{}\"", bits.saturating_sub(96)))
            }
            IpAddr::V4(_) | IpAddr::V6(_) => Ok(network),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, bits } = self;
        if *bits == all_bits(*first) { write!(f, "{first}") } else { write!(f, "{first}/{bits}") }
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_in_it() {
        let check = |network: &str, inside: &[&str], outside: &[&str]| {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.to_string().parse(), Ok(network));
            for address in inside {
                assert!(network.contains(address.parse().unwrap()), "{address} is not in {network}");
            }
            for address in outside {
                assert!(!network.contains(address.parse().unwrap()), "{address} is in {network}");
            }
        };
        check("192.0.2.1", &["192.0.2.1", "::ffff:192.0.2.1"], &["192.0.2.2", "::192.0.2.1", "::1"]);
        check("::ffff:192.0.2.1", &["192.0.2.1"], &["192.0.2.2"]);
        check(
            "10.0.0.0/8",
            &["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"],
            &["11.0.0.0", "9.255.255.255", "a00::"],
        );
        check("192.0.2.128/25", &["192.0.2.128", "192.0.2.255"], &["192.0.2.127"]);
        check("0.0.0.0/0", &["0.0.0.0", "255.255.255.255"], &["::", "2001:db8::1"]);
        check("::1", &["::1"], &["::2", "127.0.0.1"]);
        check("2001:db8::/32", &["2001:db8::", "2001:db8:ffff::1"], &["2001:db9::", "32.1.13.184"]);
        check("::/0", &["::", "ffff::"], &["192.0.2.1"]);
    }

    #[test]
    fn what_is_none() {
        let texts = [
            "",
            "/",
            "localhost",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "::/129",
            "10/8",
            "1.2.3.4:25",
        ];
        for text in texts {
            let error = text.parse::<Network>().unwrap_err();
            assert!(error.contains("is no address and no network"), "{text}: {error}");
        }
        let error = "10.1.2.3/8".parse::<Network>().unwrap_err();
        assert_eq!(error, "10.1.2.3 is not the first address of its network: did you mean \"10.0.0.0/8\"?");
        let error = "::ffff:10.0.0.0/104".parse::<Network>().unwrap_err();
        assert_eq!(error, "a network of IPv4 addresses is written as such: \"10.0.0.0/8\"");
    }
}
