//! Which addresses are anybody's on the Internet, and which are not: this machine, its network, or reserved.
//!
//! The registries of special-purpose addresses (RFC 6890), and the IPv6 addresses that stand for an IPv4 one: mapped and compatible (RFC
//! 4291), translated (RFC 7915), NAT64 (RFC 6052, RFC 8215), 6to4 (RFC 3056), Teredo (RFC 4380). What they stand for is looked at too.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A network: `127.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether the address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                (base.to_bits() ^ address.to_bits()) & mask == 0
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                (base.to_bits() ^ address.to_bits()) & mask == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    const fn v4(a: u8, b: u8, c: u8, prefix: u8) -> Self {
        Self { base: IpAddr::V4(Ipv4Addr::new(a, b, c, 0)), prefix }
    }

    const fn v6(high: [u16; 4], prefix: u8) -> Self {
        Self { base: IpAddr::V6(Ipv6Addr::new(high[0], high[1], high[2], high[3], 0, 0, 0, 0)), prefix }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{}\" is not a network such as \"10.0.0.0/8\"", text.escape_debug());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let base: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits = if base.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            Some(digits) if digits.bytes().all(|c| c.is_ascii_digit()) => digits.parse().map_err(|_| wrong())?,
            Some(_) => return Err(wrong()),
        };
        if prefix > bits {
            return Err(wrong());
        }
        let network = Self { base, prefix };
        let zero = match base {
            IpAddr::V4(base) => base.to_bits().checked_shl(u32::from(prefix)).unwrap_or(0) == 0,
            IpAddr::V6(base) => base.to_bits().checked_shl(u32::from(prefix)).unwrap_or(0) == 0,
        };
        if zero { Ok(network) } else { Err(format!("{address} has bits behind the {prefix} of the network")) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Whether an address may be dialled: it is global, or in one of the networks that the operator lists.
pub(crate) fn may_dial(address: IpAddr, listed: &[Network]) -> bool {
    let plain = address.to_canonical();
    listed.iter().any(|network| network.contains(address) || network.contains(plain)) || is_global(address)
}

/// Whether an address is somebody's on the Internet.
fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => !SPECIAL_V4.iter().any(|network| network.contains(address)),
        IpAddr::V6(v6) => {
            let nat64 = NAT64.contains(address);
            (nat64 || UNICAST_V6.contains(address))
                && !SPECIAL_V6.iter().any(|network| network.contains(address))
                && embedded(v6, nat64).into_iter().flatten().all(|v4| is_global(IpAddr::V4(v4)))
        }
    }
}

/// The IPv4 addresses that a global IPv6 address stands for.
fn embedded(address: Ipv6Addr, nat64: bool) -> [Option<Ipv4Addr>; 2] {
    let bits = address.to_bits();
    let at = |shift: u32| Ipv4Addr::from_bits((bits >> shift) as u32);
    if nat64 {
        [Some(at(0)), None]
    } else if SIX_TO_FOUR.contains(IpAddr::V6(address)) {
        [Some(at(80)), None]
    } else if TEREDO.contains(IpAddr::V6(address)) {
        // The client's is written inverted (RFC 4380 section 4), the server's as it is.
        [Some(Ipv4Addr::from_bits(!((bits & 0xffff_ffff) as u32))), Some(at(64))]
    } else {
        [None, None]
    }
}

const SPECIAL_V4: &[Network] = &[
    Network::v4(0, 0, 0, 8),
    Network::v4(10, 0, 0, 8),
    Network::v4(100, 64, 0, 10),
    Network::v4(127, 0, 0, 8),
    Network::v4(169, 254, 0, 16),
    Network::v4(172, 16, 0, 12),
    Network::v4(192, 0, 0, 24),
    Network::v4(192, 0, 2, 24),
    Network::v4(192, 88, 99, 24),
    Network::v4(192, 168, 0, 16),
    Network::v4(198, 18, 0, 15),
    Network::v4(198, 51, 100, 24),
    Network::v4(203, 0, 113, 24),
    Network::v4(224, 0, 0, 4),
    Network::v4(240, 0, 0, 4),
];

/// All that is assigned; loopback, mapped, compatible and translated IPv4, unique local, link-local, multicast and 64:ff9b:1::/48 are outside.
const UNICAST_V6: Network = Network::v6([0x2000, 0, 0, 0], 3);
const NAT64: Network = Network::v6([0x64, 0xff9b, 0, 0], 96);
const SIX_TO_FOUR: Network = Network::v6([0x2002, 0, 0, 0], 16);
const TEREDO: Network = Network::v6([0x2001, 0, 0, 0], 32);

const SPECIAL_V6: &[Network] = &[
    // Benchmarking, ORCHID, documentation.
    Network::v6([0x2001, 2, 0, 0], 48),
    Network::v6([0x2001, 0x10, 0, 0], 28),
    Network::v6([0x2001, 0x20, 0, 0], 28),
    Network::v6([0x2001, 0xdb8, 0, 0], 32),
    Network::v6([0x3fff, 0, 0, 0], 20),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_nobodys_business() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:8.8.8.8",
            "::ffff:0:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "64:ff9b:1::808:808",
            "100::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2002:a9fe:a9fe::",
            "2001:0:7f00:1::",
            "2001:0:808:808::80ff:fffe",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
        ] {
            assert!(!may_dial(address.parse().unwrap(), &[]), "{address}");
        }
        for address in [
            "8.8.8.8",
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
            "2001:0:808:808::f7f7:f7f7",
            "2001:200::1",
        ] {
            assert!(may_dial(address.parse().unwrap(), &[]), "{address}");
        }
    }

    #[test]
    fn what_the_operator_lists_may_be_dialled() {
        let listed: Vec<Network> =
            ["127.0.0.0/8", "fd00::/8", "10.1.2.3"].iter().map(|text| text.parse().unwrap()).collect();
        for (address, expected) in [
            ("127.0.0.1", true),
            ("::ffff:127.0.0.1", true),
            ("::1", false),
            ("fd00::1", true),
            ("fc00::1", false),
            ("10.1.2.3", true),
            ("10.1.2.4", false),
            // A translator may stand anywhere: its address is listed by itself, or not at all.
            ("64:ff9b::7f00:1", false),
            ("2002:7f00:1::", false),
        ] {
            assert_eq!(may_dial(address.parse().unwrap(), &listed), expected, "{address}");
        }
    }

    #[test]
    fn networks() {
        for (text, expected) in [("10.0.0.0/8", "10.0.0.0/8"), ("::1", "::1/128"), ("0.0.0.0/0", "0.0.0.0/0")] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), expected);
        }
        for text in ["", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/", "10.0.0.0/+8", "10.0.0/8", "::/129", "a/8", "1/8/8"]
        {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
