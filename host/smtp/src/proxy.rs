//! What a proxy in front says of the connection before the first octet of SMTP: the PROXY protocol, versions 1 and 2, as HAProxy's
//! `proxy-protocol.txt` describes it.
//!
//! Only of a listed peer is there anything to be read here: who else could say so would be whoever he likes.

mod vectors;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub use vectors::{ProxiedTls, ProxyFacts};

/// What the header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyHeader {
    /// The proxy speaks for itself (`LOCAL`), as in a health check: the ends of the connection hold.
    Local,
    /// The proxy speaks for a client, and does not say whence that has come (`UNKNOWN`, or not by TCP): who the client is, nobody
    /// knows, and above all it is not the proxy.
    Unknown,
    /// The connection that the proxy has taken.
    Proxied(Box<Proxied>),
}

/// A connection that a proxy has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxied {
    /// The client's end.
    pub source: SocketAddr,
    /// The proxy's end.
    pub destination: SocketAddr,
    /// What else the proxy has told.
    pub facts: ProxyFacts,
}

impl Proxied {
    /// The header of version 1 that says so; without the facts, for which it has no room.
    pub fn write_text(&self) -> Vec<u8> {
        let (source, destination) = self.alike();
        let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
        let (from, to) = (self.source.port(), self.destination.port());
        format!("PROXY {family} {source} {destination} {from} {to}\r\n").into_bytes()
    }

    /// The header of version 2 that says so, without the facts.
    pub fn write_binary(&self) -> Vec<u8> {
        let (family, addresses) = match self.alike() {
            (IpAddr::V4(source), IpAddr::V4(destination)) => (0x11, [source.octets(), destination.octets()].concat()),
            (source, destination) => (0x21, [v6_octets(source), v6_octets(destination)].concat()),
        };
        let ports = [self.source.port().to_be_bytes(), self.destination.port().to_be_bytes()].concat();
        // 36 at the most.
        let length = u16::try_from(addresses.len() + ports.len()).unwrap_or_default();
        [SIGNATURE, &[PROXY, family], &length.to_be_bytes(), &addresses, &ports].concat()
    }

    /// Both addresses of one family: of two, IPv4 is written as IPv6.
    fn alike(&self) -> (IpAddr, IpAddr) {
        let (source, destination) = (self.source.ip(), self.destination.ip());
        if source.is_ipv4() == destination.is_ipv4() {
            return (source, destination);
        }
        (IpAddr::from(v6_octets(source)), IpAddr::from(v6_octets(destination)))
    }
}

fn v6_octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// Why there is no header. The connection is to be closed without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyError {
    /// What has come does not begin as a header does.
    NotAHeader,
    /// A part of it is not what it must be.
    Malformed,
    /// It is longer than it may be, or shorter than it says.
    Length,
    /// Its checksum is another.
    Checksum,
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProxyError::NotAHeader => "no PROXY header",
            ProxyError::Malformed => "the PROXY header is malformed",
            ProxyError::Length => "the PROXY header has a wrong length",
            ProxyError::Checksum => "the PROXY header has a wrong checksum",
        })
    }
}

impl std::error::Error for ProxyError {}

impl ProxyHeader {
    /// The most octets of a header: more need not be kept.
    pub const OCTETS_MAX: usize = FIXED_OCTETS + 4096;

    /// Reads a header at the beginning of all that has come. Answers it and its octets, or none while more must come.
    ///
    /// # Errors
    /// See [`ProxyError`]. They are told as soon as they can be known.
    pub fn read(input: &[u8]) -> Result<Option<(ProxyHeader, usize)>, ProxyError> {
        if begins(input, SIGNATURE) {
            return binary(input);
        }
        if begins(input, b"PROXY ") {
            return text(input);
        }
        Err(ProxyError::NotAHeader)
    }
}

/// Whether the input begins so, as far as it goes.
fn begins(input: &[u8], start: &[u8]) -> bool {
    input.iter().zip(start).all(|(found, expected)| found == expected)
}

/// Version 1: a line of at most 107 octets.
fn text(input: &[u8]) -> Result<Option<(ProxyHeader, usize)>, ProxyError> {
    let window = input.get(..TEXT_OCTETS_MAX).unwrap_or(input);
    let Some(end) = window.iter().position(|octet| matches!(octet, b'\r' | b'\n')) else {
        return if input.len() < TEXT_OCTETS_MAX { Ok(None) } else { Err(ProxyError::Length) };
    };
    match window.get(end..) {
        Some([b'\r', b'\n', ..]) => {}
        Some([b'\r']) if input.len() < TEXT_OCTETS_MAX => return Ok(None),
        Some(_) | None => return Err(ProxyError::Malformed),
    }
    let line = window.get(..end).and_then(|line| std::str::from_utf8(line).ok()).ok_or(ProxyError::Malformed)?;
    let header = line_header(line).ok_or(ProxyError::Malformed)?;
    Ok(Some((header, end + 2)))
}

fn line_header(line: &str) -> Option<ProxyHeader> {
    let rest = line.strip_prefix("PROXY ")?;
    // Whatever stands behind UNKNOWN is to be ignored.
    if rest == "UNKNOWN" || rest.starts_with("UNKNOWN ") {
        return Some(ProxyHeader::Unknown);
    }
    let mut words = rest.split(' ');
    let read: fn(&str) -> Option<IpAddr> = match words.next()? {
        "TCP4" => |word| Some(IpAddr::V4(word.parse().ok()?)),
        "TCP6" => |word| Some(IpAddr::V6(word.parse().ok()?)),
        _ => return None,
    };
    let (source, destination) = (read(words.next()?)?, read(words.next()?)?);
    let (from, to) = (port(words.next()?)?, port(words.next()?)?);
    let ends = Ends { source: SocketAddr::new(source, from), destination: SocketAddr::new(destination, to) };
    words.next().is_none().then(|| ends.with(ProxyFacts::default()))
}

/// 0 to 65535, without leading zeros or a sign.
fn port(word: &str) -> Option<u16> {
    let port: u16 = word.parse().ok()?;
    let is_plain = word.bytes().all(|octet| octet.is_ascii_digit()) && (word.len() == 1 || !word.starts_with('0'));
    is_plain.then_some(port)
}

/// Version 2: 16 octets, and as many more as they say.
fn binary(input: &[u8]) -> Result<Option<(ProxyHeader, usize)>, ProxyError> {
    let mut behind = input.get(SIGNATURE.len()..).unwrap_or_default().iter();
    let command = behind.next().copied();
    if command.is_some_and(|command| !matches!(command, LOCAL | PROXY)) {
        return Err(ProxyError::Malformed);
    }
    let family = behind.next().copied();
    if family.is_some_and(|family| family >> 4 > 3 || family & 15 > 2) {
        return Err(ProxyError::Malformed);
    }
    let (Some(command), Some(family), Some(high), Some(low)) = (command, family, behind.next(), behind.next()) else {
        return Ok(None);
    };
    let octets = FIXED_OCTETS + usize::from(u16::from_be_bytes([*high, *low]));
    if octets > ProxyHeader::OCTETS_MAX {
        return Err(ProxyError::Length);
    }
    let Some(header) = input.get(..octets) else {
        return Ok(None);
    };
    if command == LOCAL {
        return Ok(Some((ProxyHeader::Local, octets)));
    }
    let header = match family {
        0x11 => {
            let (ends, begin) = addresses(header, v4)?;
            ends.with(vectors::read(header, begin)?)
        }
        0x21 => {
            let (ends, begin) = addresses(header, v6)?;
            ends.with(vectors::read(header, begin)?)
        }
        0x31 | 0x32 => {
            vectors::read(header, FIXED_OCTETS + PATHS_OCTETS)?;
            ProxyHeader::Unknown
        }
        // Not a stream of ours: to be ignored with all that is there.
        _ => ProxyHeader::Unknown,
    };
    Ok(Some((header, octets)))
}

/// The ends of a connection.
struct Ends {
    source: SocketAddr,
    destination: SocketAddr,
}

impl Ends {
    fn with(self, facts: ProxyFacts) -> ProxyHeader {
        let Ends { source, destination } = self;
        ProxyHeader::Proxied(Box::new(Proxied { source, destination, facts }))
    }
}

type Address<'a> = (IpAddr, &'a [u8]);

/// Two addresses and two ports, and where in the header they end.
fn addresses(header: &[u8], read: fn(&[u8]) -> Option<Address<'_>>) -> Result<(Ends, usize), ProxyError> {
    let body = header.get(FIXED_OCTETS..).ok_or(ProxyError::Length)?;
    let (source, rest) = read(body).ok_or(ProxyError::Length)?;
    let (destination, rest) = read(rest).ok_or(ProxyError::Length)?;
    let ([a, b, c, d], behind) = rest.split_first_chunk::<4>().ok_or(ProxyError::Length)?;
    let source = SocketAddr::new(source, u16::from_be_bytes([*a, *b]));
    let destination = SocketAddr::new(destination, u16::from_be_bytes([*c, *d]));
    Ok((Ends { source, destination }, header.len() - behind.len()))
}

fn v4(octets: &[u8]) -> Option<Address<'_>> {
    octets.split_first_chunk::<4>().map(|(address, rest)| (IpAddr::V4(Ipv4Addr::from(*address)), rest))
}

fn v6(octets: &[u8]) -> Option<Address<'_>> {
    octets.split_first_chunk::<16>().map(|(address, rest)| (IpAddr::V6(Ipv6Addr::from(*address)), rest))
}

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Version and command.
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
/// What stands before the addresses of version 2.
const FIXED_OCTETS: usize = 16;
/// Sockets of the file system have 108 octets for each path.
const PATHS_OCTETS: usize = 216;
const TEXT_OCTETS_MAX: usize = 107;

#[cfg(test)]
mod tests {
    use super::{Proxied, ProxyError, ProxyFacts, ProxyHeader, SIGNATURE};

    const LOCAL: Result<Found<'_>, ProxyError> = Ok(Found::Local);
    const UNKNOWN: Result<Found<'_>, ProxyError> = Ok(Found::Unknown);

    /// What a header is expected to say.
    enum Found<'a> {
        Local,
        Unknown,
        Ends(&'a str, &'a str),
    }

    /// A header, cut at every octet, says so only when it is whole, and takes nothing of what follows.
    fn check(header: &[u8], expected: Result<Found<'_>, ProxyError>) {
        let input = [header, b"EHLO x\r\n"].concat();
        let found = ProxyHeader::read(&input);
        let expected = match expected {
            Ok(Found::Local) => ProxyHeader::Local,
            Ok(Found::Unknown) => ProxyHeader::Unknown,
            Ok(Found::Ends(source, destination)) => ProxyHeader::Proxied(Box::new(Proxied {
                source: source.parse().unwrap(),
                destination: destination.parse().unwrap(),
                facts: ProxyFacts::default(),
            })),
            Err(error) => return assert_eq!(found, Err(error), "{header:?}"),
        };
        assert_eq!(found, Ok(Some((expected, header.len()))), "{header:?}");
        for end in 0..header.len() {
            assert_eq!(ProxyHeader::read(&input[..end]), Ok(None), "{header:?} {end}");
        }
    }

    #[test]
    fn lines() {
        let v4 = Ok(Found::Ends("192.0.2.1:1111", "192.0.2.2:25"));
        check(b"PROXY TCP4 192.0.2.1 192.0.2.2 1111 25\r\n", v4);
        check(b"PROXY TCP6 2001:db8::1 ::1 65535 0\r\n", Ok(Found::Ends("[2001:db8::1]:65535", "[::1]:0")));
        check(b"PROXY UNKNOWN\r\n", UNKNOWN);
        check(b"PROXY UNKNOWN ffff::1 what ever\r\n", UNKNOWN);
        for header in [
            "PROXY TCP4 192.0.2.1 192.0.2.2 1111\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1111 25 1\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1111 025\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1111 +25\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1111 65536\r\n",
            "PROXY TCP4 192.0.2.1  192.0.2.2 1111 25\r\n",
            "PROXY TCP4 192.0.2.256 192.0.2.2 1111 25\r\n",
            "PROXY TCP4 ::1 ::1 1111 25\r\n",
            "PROXY TCP6 192.0.2.1 192.0.2.2 1111 25\r\n",
            "PROXY UNKNOWNX\r\n",
            "PROXY UDP4 192.0.2.1 192.0.2.2 1111 25\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1111 25\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1111 25\rX\n",
            "PROXY \r\n",
        ] {
            check(header.as_bytes(), Err(ProxyError::Malformed));
        }
        check(format!("PROXY UNKNOWN {}\r\n", "x".repeat(91)).as_bytes(), UNKNOWN);
        check(format!("PROXY UNKNOWN {}\r\n", "x".repeat(93)).as_bytes(), Err(ProxyError::Length));
        for text in ["EHLO x\r\n", "proxy TCP4", "PROXYTCP4", "\r\n\r\nEHLO"] {
            check(text.as_bytes(), Err(ProxyError::NotAHeader));
        }
        assert_eq!(ProxyHeader::read(&[b'P'; 1]), Ok(None));
        assert_eq!(
            ProxyHeader::read(format!("PROXY UNKNOWN {}\r", "x".repeat(92)).as_bytes()),
            Err(ProxyError::Malformed)
        );
    }

    #[test]
    fn what_is_written_is_read() {
        for (source, destination) in [
            ("192.0.2.1:1111", "192.0.2.2:25"),
            ("[2001:db8::1]:65535", "[::1]:0"),
            ("192.0.2.1:1", "[::1]:25"),
            ("[::1]:1", "127.0.0.1:25"),
        ] {
            let ends = (source.parse().unwrap(), destination.parse().unwrap());
            let proxied = Proxied { source: ends.0, destination: ends.1, facts: ProxyFacts::default() };
            for header in [proxied.write_text(), proxied.write_binary()] {
                let Ok(Some((ProxyHeader::Proxied(found), octets))) = ProxyHeader::read(&header) else { panic!() };
                let plain = |address: std::net::SocketAddr| (address.ip().to_canonical(), address.port());
                assert_eq!(octets, header.len());
                assert_eq!((plain(found.source), plain(found.destination)), (plain(ends.0), plain(ends.1)));
            }
        }
    }

    #[test]
    fn octets() {
        let header = |command: u8, family: u8, length: u16, body: &[u8]| {
            [SIGNATURE, &[command, family], &length.to_be_bytes(), body].concat()
        };
        let v4 = [192, 0, 2, 1, 192, 0, 2, 2, 0x04, 0x57, 0, 25];
        let expected = || Ok(Found::Ends("192.0.2.1:1111", "192.0.2.2:25"));
        check(&header(0x21, 0x11, 12, &v4), expected());
        check(&header(0x21, 0x11, 17, &[&v4[..], &[4, 0, 2, 5, 5]].concat()), expected());
        let v6 = [&[0; 15][..], &[1], &[0; 15], &[2], &[0, 1, 0, 2]].concat();
        check(&header(0x21, 0x21, 36, &v6), Ok(Found::Ends("[::1]:1", "[::2]:2")));
        check(&header(0x20, 0x00, 0, b""), LOCAL);
        check(&header(0x20, 0x11, 12, &v4), LOCAL);
        check(&header(0x21, 0x00, 3, b"xyz"), UNKNOWN);
        check(&header(0x21, 0x12, 12, &v4), UNKNOWN);
        check(&header(0x21, 0x31, 216, &[0; 216]), UNKNOWN);
        // Lengths that lie.
        check(&header(0x21, 0x11, 11, &v4[..11]), Err(ProxyError::Length));
        check(&header(0x21, 0x11, 0, b""), Err(ProxyError::Length));
        check(&header(0x21, 0x21, 12, &v4), Err(ProxyError::Length));
        check(&header(0x21, 0x31, 215, &[0; 215]), Err(ProxyError::Length));
        check(&header(0x21, 0x11, 14, &[&v4[..], &[1, 0]].concat()), Err(ProxyError::Length));
        check(&header(0x21, 0x11, 17, &[&v4[..], &[1, 0, 3, 5, 5]].concat()), Err(ProxyError::Length));
        check(&header(0x21, 0x11, 17, &[&v4[..], &[1, 0xff, 0xff, 5, 5]].concat()), Err(ProxyError::Length));
        check(&header(0x21, 0x11, 4097, &v4), Err(ProxyError::Length));
        check(&header(0x21, 0x11, u16::MAX, &v4), Err(ProxyError::Length));
        // Versions, commands and families that are none.
        for (command, family) in [(0x11, 0x11), (0x22, 0x11), (0x00, 0x11), (0x21, 0x41), (0x21, 0x13)] {
            check(&header(command, family, 12, &v4), Err(ProxyError::Malformed));
        }
    }
}
