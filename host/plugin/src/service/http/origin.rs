//! Whom a plugin may speak to: the entries of a grant's `allow`, and the origin of a URL (RFC 6454) that is held against them.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use hyper::Uri;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::network::Network;

/// An entry of `allow`: `https://api.example.org`, `http://*.example.net:8080`, `https://192.0.2.0/24`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    is_tls: bool,
    host: Pattern,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Name(String),
    /// `*.` before it: names below this one, and not itself.
    Below(String),
    Addresses(Network),
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) is_tls: bool,
    pub(crate) host: Host,
    pub(crate) port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// In lower case.
    Name(String),
    Address(IpAddr),
}

impl Origin {
    /// The origin of an absolute URL.
    pub(crate) fn of(uri: &Uri) -> Result<Self, &'static str> {
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) | None => return Err("a URL begins with http:// or https://"),
        };
        let authority = uri.authority().ok_or("the URL has no host")?;
        if authority.as_str().contains('@') {
            return Err("no user name and password in a URL");
        }
        let host = authority.host();
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => Host::Address(IpAddr::V6(address.parse().map_err(|_| "not an IPv6 address")?)),
            None => match host.parse() {
                Ok(address) => Host::Address(IpAddr::V4(address)),
                Err(_) if is_name(host) => Host::Name(host.to_ascii_lowercase()),
                Err(_) => return Err("the URL has no host name"),
            },
        };
        // Behind the host stands a port or nothing.
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => default_port(is_tls),
            Some(rest) => rest.strip_prefix(':').and_then(port).ok_or("not a port")?,
            None => return Err("the URL has no host name"),
        };
        Ok(Self { is_tls, host, port })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        match &self.host {
            Host::Name(name) => write!(f, "{scheme}://{name}:{}", self.port),
            Host::Address(IpAddr::V4(address)) => write!(f, "{scheme}://{address}:{}", self.port),
            Host::Address(IpAddr::V6(address)) => write!(f, "{scheme}://[{address}]:{}", self.port),
        }
    }
}

impl Allowed {
    /// Whether the entry is about this origin.
    pub(crate) fn covers(&self, origin: &Origin) -> bool {
        self.is_tls == origin.is_tls
            && self.port == origin.port
            && match (&self.host, &origin.host) {
                (Pattern::Name(name), Host::Name(asked)) => name == asked,
                (Pattern::Below(parent), Host::Name(asked)) => {
                    asked.strip_suffix(parent.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
                }
                (Pattern::Addresses(network), Host::Address(address)) => {
                    network.contains(*address) || network.contains(address.to_canonical())
                }
                (Pattern::Name(_) | Pattern::Below(_), Host::Address(_)) | (Pattern::Addresses(_), Host::Name(_)) => {
                    false
                }
            }
    }

    /// Whether requests go below TLS.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }
}

impl FromStr for Allowed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shown = text.escape_debug();
        let (is_tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(format!("\"{shown}\" begins with neither \"https://\" nor \"http://\"")),
        };
        if rest.contains('@') {
            return Err(format!("\"{shown}\" has a user name; a secret header goes into `headers`"));
        }
        let (host, port) = split(rest).ok_or_else(|| format!("\"{shown}\" has no port behind its colon"))?;
        let port = match port {
            None => default_port(is_tls),
            Some(digits) => self::port(digits).ok_or_else(|| format!("\"{shown}\" has a port that is none"))?,
        };
        Ok(Self { is_tls, host: pattern(host, &shown.to_string())?, port })
    }
}

/// Host and port; none if nothing stands behind the colon.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    let behind = text.rfind(']').unwrap_or(0);
    match text.get(behind..).and_then(|rest| rest.rfind(':')).map(|at| at + behind) {
        None => Some((text, None)),
        Some(at) => Some((text.get(..at)?, Some(text.get(at + 1..).filter(|port| !port.is_empty())?))),
    }
}

fn pattern(host: &str, shown: &str) -> Result<Pattern, String> {
    if let Some(inner) = host.strip_prefix('[') {
        let network = inner.strip_suffix(']').and_then(|inner| {
            let is_v6 = inner.split('/').next().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
            inner.parse::<Network>().ok().filter(|_| is_v6)
        });
        return network
            .map(Pattern::Addresses)
            .ok_or_else(|| format!("\"{shown}\" has no IPv6 address or network in its brackets"));
    }
    if host.starts_with(|c: char| c.is_ascii_digit())
        && let Ok(network) = host.parse()
    {
        return Ok(Pattern::Addresses(network));
    }
    if host.contains(['/', '?', '#']) {
        return Err(format!("\"{shown}\" has a path; an entry allows a whole host"));
    }
    let (parent, wildcard) = match host.strip_prefix("*.") {
        Some(parent) => (parent, true),
        None => (host, false),
    };
    if parent.contains('*') {
        return Err(format!("\"{shown}\": a star stands for all names below one, as in \"https://*.example.org\""));
    }
    if !is_name(parent) {
        return Err(format!("\"{shown}\" has no host name"));
    }
    let name = parent.to_ascii_lowercase();
    Ok(if wildcard { Pattern::Below(name) } else { Pattern::Name(name) })
}

/// A host name as RFC 1123 has it, and underscores. What ends in a number is none, but what some resolvers take for an IPv4 address:
/// `127.1`, `0x7f000001`, `2130706433`.
fn is_name(text: &str) -> bool {
    let last = text.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let is_number = last.bytes().all(|c| c.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|c| c.is_ascii_hexdigit()));
    (1..=253).contains(&text.len())
        && !is_number
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

/// Digits, and not 0.
fn port(digits: &str) -> Option<u16> {
    let is_number = digits.bytes().all(|c| c.is_ascii_digit());
    digits.parse().ok().filter(|port| is_number && *port > 0)
}

const fn default_port(is_tls: bool) -> u16 {
    if is_tls { 443 } else { 80 }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_tls { "https://" } else { "http://" })?;
        match &self.host {
            Pattern::Name(name) => f.write_str(name)?,
            Pattern::Below(name) => write!(f, "*.{name}")?,
            Pattern::Addresses(network) if network.to_string().contains(':') => write!(f, "[{network}]")?,
            Pattern::Addresses(network) => write!(f, "{network}")?,
        }
        if self.port == default_port(self.is_tls) { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

impl Serialize for Allowed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Allowed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_parsed_strictly() {
        for (text, expected) in [
            ("https://API.example.org", "https://api.example.org"),
            ("https://api.example.org:443", "https://api.example.org"),
            ("http://*.example.net:8080", "http://*.example.net:8080"),
            ("http://127.0.0.1:80", "http://127.0.0.1/32"),
            ("https://192.0.2.0/24:8443", "https://192.0.2.0/24:8443"),
            ("https://[2001:db8::1]", "https://[2001:db8::1/128]"),
            ("https://[2001:db8::/32]:1", "https://[2001:db8::/32]:1"),
            ("http://localhost", "http://localhost"),
        ] {
            assert_eq!(text.parse::<Allowed>().unwrap().to_string(), expected);
        }
        for (text, expected) in [
            ("api.example.org", "neither"),
            ("ftp://example.org", "neither"),
            ("https://", "no host name"),
            ("https://*foo.example.org", "a star stands for"),
            ("https://*", "a star stands for"),
            ("https://a.*.org", "a star stands for"),
            ("https://*.*.org", "a star stands for"),
            ("https://*.", "no host name"),
            ("https://example.org/", "a path"),
            ("https://example.org/hook", "a path"),
            ("https://example.org?x", "a path"),
            ("https://user@example.org", "a user name"),
            ("https://user:pass@example.org", "a user name"),
            ("https://example.org:", "no port"),
            ("https://example.org:0", "a port that is none"),
            ("https://example.org:+1", "a port that is none"),
            ("https://example.org:70000", "a port that is none"),
            ("https://exa mple.org", "no host name"),
            ("https://-example.org", "no host name"),
            ("https://[::1", "no IPv6 address"),
            ("https://[127.0.0.1]", "no IPv6 address"),
            ("https://10.0.0.1/8", "a path"),
            ("https://127.1", "no host name"),
            ("https://0x7f000001", "no host name"),
            ("https://2130706433", "no host name"),
            ("https://*.1", "no host name"),
        ] {
            let error = text.parse::<Allowed>().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn urls_against_entries() {
        let check = |entry: &str, url: &str, expected: bool| {
            let origin = Origin::of(&url.parse().unwrap()).unwrap();
            assert_eq!(entry.parse::<Allowed>().unwrap().covers(&origin), expected, "{entry} {url}");
        };
        check("https://api.example.org", "https://API.example.org/x?y", true);
        check("https://api.example.org", "https://api.example.org:443/", true);
        check("https://api.example.org", "http://api.example.org/", false);
        check("https://api.example.org", "https://api.example.org:8443/", false);
        check("https://api.example.org", "https://api.example.org.evil.test/", false);
        check("https://*.example.org", "https://a.b.example.org/", true);
        check("https://*.example.org", "https://example.org/", false);
        check("https://*.example.org", "https://evilexample.org/", false);
        check("http://127.0.0.0/8:80", "http://127.1.2.3/", true);
        check("http://127.0.0.0/8", "http://[::ffff:127.0.0.1]/", true);
        check("http://127.0.0.0/8", "http://localhost/", false);
        check("http://localhost", "http://127.0.0.1/", false);
    }

    #[test]
    fn urls_that_are_none() {
        for url in [
            "/path",
            "example.org",
            "ftp://example.org/",
            "http://user@example.org/",
            "http://user:p@example.org/",
            "http://example.org:0/",
            "http://example.org:99999/",
            "http://[::1/",
            "http://exa%6dple.org/",
            "http://a..b/",
            "http://example.org./",
            "http:///x",
        ] {
            let origin = url.parse::<Uri>().map_err(|_| "not a URL").and_then(|uri| Origin::of(&uri));
            assert!(origin.is_err(), "{url}: {origin:?}");
        }
    }
}
