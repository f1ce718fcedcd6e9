//! Macro strings (RFC 7208 section 7): parsed once, then expanded with what is known of the client and the sender.

use std::net::IpAddr;

use super::Inquiry;

/// A macro string that follows the grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MacroString(Vec<Part>);

/// A macro string that names a domain (section 7.1, `domain-spec`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DomainSpec(MacroString);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// As it stands there.
    Literal(String),
    /// `%%`, `%_` and `%-`, which stand for this.
    Escape(&'static str),
    Expand(Expand),
}

/// `%{` letter transformers delimiters `}`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Expand {
    letter: Letter,
    /// The letter was in upper case: the value is to be used in a URL.
    is_escaped: bool,
    /// So many parts on the right are kept.
    keep: Option<usize>,
    is_reversed: bool,
    /// Where the value is split; empty is at dots.
    delimiters: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Letter {
    Sender,
    LocalPart,
    SenderDomain,
    Domain,
    Client,
    ClientName,
    Family,
    Hello,
    ReadableClient,
    Receiver,
    Time,
}

/// What macros stand for.
pub(super) struct Values<'a> {
    pub(super) inquiry: &'a Inquiry,
    /// The client, never an IPv4 address in the form of an IPv6 one.
    pub(super) client: IpAddr,
    /// The domain whose record is evaluated.
    pub(super) domain: &'a str,
    /// The confirmed name of the client, for `p`; `unknown` where there is none.
    pub(super) client_name: &'a str,
}

impl MacroString {
    /// The parts of a macro string. None if it breaks the grammar.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::with_literals(text, |octet| matches!(octet, b'!'..=b'~'))
    }

    /// As the text of an explanation, which may have spaces (section 6.2).
    pub(super) fn explanation(text: &str) -> Option<Self> {
        Self::with_literals(text, |octet| matches!(octet, b' '..=b'~'))
    }

    fn with_literals(text: &str, is_literal: impl Fn(u8) -> bool) -> Option<Self> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while !rest.is_empty() {
            let Some(behind) = rest.strip_prefix('%') else {
                let (literal, behind) = rest.split_at(rest.find('%').unwrap_or(rest.len()));
                if !literal.bytes().all(&is_literal) {
                    return None;
                }
                parts.push(Part::Literal(literal.to_owned()));
                rest = behind;
                continue;
            };
            let mut characters = behind.chars();
            let part = match characters.next()? {
                '%' => Part::Escape("%"),
                '_' => Part::Escape(" "),
                '-' => Part::Escape("%20"),
                '{' => {
                    let (inside, after) = characters.as_str().split_once('}')?;
                    characters = after.chars();
                    Part::Expand(Expand::parse(inside)?)
                }
                _ => return None,
            };
            parts.push(part);
            rest = characters.as_str();
        }
        Some(Self(parts))
    }

    fn has(&self, wanted: impl Fn(Letter) -> bool) -> bool {
        self.0.iter().any(|part| match part {
            Part::Literal(_) | Part::Escape(_) => false,
            Part::Expand(expand) => wanted(expand.letter),
        })
    }

    /// Whether the name of the client is needed, which has to be looked up.
    pub(super) fn needs_client_name(&self) -> bool {
        self.has(|letter| letter == Letter::ClientName)
    }

    /// What it stands for. None if that is longer than a text may be.
    pub(super) fn expand(&self, values: &Values<'_>) -> Option<String> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Escape(escape) => text.push_str(escape),
                Part::Expand(expand) => text.push_str(&expand.value(values)),
            }
            if text.len() > MAX_EXPANDED_BYTES {
                return None;
            }
        }
        Some(text)
    }
}

impl DomainSpec {
    /// A macro string that ends in a top label or a macro, without the letters that are for explanations alone (section 7.2).
    pub(super) fn parse(text: &str) -> Option<Self> {
        let parsed = MacroString::parse(text)?;
        let is_for_explanations = |letter| matches!(letter, Letter::ReadableClient | Letter::Receiver | Letter::Time);
        let ends = match parsed.0.last()? {
            Part::Escape(_) | Part::Expand(_) => true,
            Part::Literal(literal) => {
                let literal = literal.strip_suffix('.').unwrap_or(literal);
                literal.rsplit_once('.').is_some_and(|(_, label)| is_top_label(label))
            }
        };
        (ends && !parsed.has(is_for_explanations)).then_some(Self(parsed))
    }

    /// The macro string.
    pub(super) fn text(&self) -> &MacroString {
        &self.0
    }
}

/// Letters and digits, hyphens between them, and not digits alone (section 7.1).
fn is_top_label(label: &str) -> bool {
    let is_edge = |octet: Option<u8>| octet.is_some_and(|octet| octet.is_ascii_alphanumeric());
    is_edge(label.bytes().next())
        && is_edge(label.bytes().last())
        && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
        && !label.bytes().all(|octet| octet.is_ascii_digit())
}

impl Expand {
    fn parse(inside: &str) -> Option<Self> {
        let mut characters = inside.chars();
        let written = characters.next()?;
        let rest = characters.as_str();
        let (digits, rest) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        let keep = match digits {
            "" => None,
            // More parts than a name has are all of them.
            digits => Some(digits.parse::<usize>().unwrap_or(usize::MAX)),
        };
        let behind = rest.strip_prefix(['r', 'R']);
        let delimiters = behind.unwrap_or(rest);
        let is_valid = keep != Some(0) && delimiters.chars().all(|character| DELIMITERS.contains(character));
        is_valid.then_some(())?;
        Some(Self {
            letter: Letter::parse(written)?,
            is_escaped: written.is_ascii_uppercase(),
            keep,
            is_reversed: behind.is_some(),
            delimiters: delimiters.to_owned(),
        })
    }

    fn value(&self, values: &Values<'_>) -> String {
        let value = self.letter.value(values);
        let is_delimiter = |c: char| if self.delimiters.is_empty() { c == '.' } else { self.delimiters.contains(c) };
        let mut parts: Vec<&str> = value.split(is_delimiter).collect();
        if self.is_reversed {
            parts.reverse();
        }
        let left_out = parts.len().saturating_sub(self.keep.unwrap_or(usize::MAX));
        let value = parts.get(left_out..).unwrap_or_default().join(".");
        if self.is_escaped { escaped(&value) } else { value }
    }
}

impl Letter {
    fn parse(written: char) -> Option<Self> {
        Some(match written.to_ascii_lowercase() {
            's' => Self::Sender,
            'l' => Self::LocalPart,
            'o' => Self::SenderDomain,
            'd' => Self::Domain,
            'i' => Self::Client,
            'p' => Self::ClientName,
            'v' => Self::Family,
            'h' => Self::Hello,
            'c' => Self::ReadableClient,
            'r' => Self::Receiver,
            't' => Self::Time,
            _ => return None,
        })
    }

    fn value(self, values: &Values<'_>) -> String {
        let Values { inquiry, client, domain, client_name } = values;
        match self {
            Self::Sender => format!("{}@{}", inquiry.local_part(), inquiry.domain()),
            Self::LocalPart => inquiry.local_part().to_owned(),
            Self::SenderDomain => inquiry.domain().to_owned(),
            Self::Domain => (*domain).to_owned(),
            Self::Client => dotted(*client),
            Self::ClientName => (*client_name).to_owned(),
            Self::Family => if client.is_ipv4() { "in-addr" } else { "ip6" }.to_owned(),
            Self::Hello => inquiry.hello.clone(),
            Self::ReadableClient => client.to_string(),
            Self::Receiver => inquiry.hostname.to_string(),
            Self::Time => inquiry.now_s.to_string(),
        }
    }
}

/// An IPv6 address is the sequence of its nibbles (section 7.3).
fn dotted(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().flat_map(|octet| [octet >> 4, octet & 15]);
            nibbles.map(|nibble| format!("{nibble:X}")).collect::<Vec<_>>().join(".")
        }
    }
}

/// What is not unreserved in a URL (RFC 3986 section 2.3) is escaped.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            out.push(char::from(octet));
        } else {
            out.push_str(&format!("%{octet:02X}"));
        }
    }
    out
}

const DELIMITERS: &str = ".-+,/_=";
/// Of an expanded text: the names of the DNS in it are far shorter.
const MAX_EXPANDED_BYTES: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::postgate::mail::types::Mailbox;

    /// The examples of section 7.4, and more.
    #[test]
    fn expansions() {
        let mailbox = Mailbox { local_part: "strong-bad".into(), domain: "email.example.com".into() };
        let inquiry = Inquiry {
            client: "192.0.2.3".parse().unwrap(),
            hello: "mx.example.org".into(),
            reverse_path: Some(mailbox),
            hostname: "receiver.example".into(),
            now_s: 1_700_000_000,
        };
        let check = |client: &str, text: &str, expected: &str| {
            let client = client.parse().unwrap();
            let values = Values { inquiry: &inquiry, client, domain: "email.example.com", client_name: "unknown" };
            let found = MacroString::explanation(text).unwrap().expand(&values);
            assert_eq!(found.as_deref(), Some(expected), "{text}");
        };
        for (text, expected) in [
            ("%{s}", "strong-bad@email.example.com"),
            ("%{o}", "email.example.com"),
            ("%{d4}", "email.example.com"),
            ("%{d2}", "example.com"),
            ("%{d1}", "com"),
            ("%{dr}", "com.example.email"),
            ("%{d2r}", "example.email"),
            ("%{d99999999999999999999999}", "email.example.com"),
            ("%{l}", "strong-bad"),
            ("%{l-}", "strong.bad"),
            ("%{lr}", "strong-bad"),
            ("%{lr-}", "bad.strong"),
            ("%{l1r-}", "strong"),
            ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
            (
                "%{S} %{r} %{t} %{p} %{c} %{h}",
                "strong-bad%40email.example.com receiver.example 1700000000 unknown 192.0.2.3 mx.example.org",
            ),
            ("%%%_%-", "% %20"),
        ] {
            check("192.0.2.3", text, expected);
        }
        let reversed = "1.0.B.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6";
        check("2001:db8::cb01", "%{ir}.%{v}", reversed);
    }

    #[test]
    fn what_breaks_the_grammar() {
        for bad in [
            "%",
            "%a",
            "%{",
            "%{}",
            "%{x}",
            "%{d0}",
            "%{d2x}",
            "%{dr2}",
            "%{d.r}",
            "a b",
            "caf\u{e9}",
            "\r",
            "%{\u{e9}}",
        ] {
            assert!(MacroString::parse(bad).is_none(), "{bad:?}");
        }
        for bad in ["", "a", "a.", ".", "a.1", "a.-b", "a.b-", "%{c}.a.b", "a.%{r}", "%{d}x", "a.b:8", "a..", "a.b/24"]
        {
            assert!(DomainSpec::parse(bad).is_none(), "{bad:?}");
        }
        for good in ["a.b", "a.b.", "%{d}", "a%%", "x.%{l1r+-,/_=}", "foo:bar/baz.example", "a.1a", "a.1-1", ".b"] {
            assert!(DomainSpec::parse(good).is_some(), "{good:?}");
        }
    }

    #[test]
    fn expansions_are_bounded() {
        let mailbox = Mailbox { local_part: "x".repeat(64), domain: "a.example".into() };
        let inquiry = Inquiry {
            client: "192.0.2.3".parse().unwrap(),
            hello: String::new(),
            reverse_path: Some(mailbox),
            hostname: "receiver.example".into(),
            now_s: 0,
        };
        let values = Values { inquiry: &inquiry, client: inquiry.client, domain: "a.example", client_name: "unknown" };
        assert_eq!(MacroString::parse(&"%{l}".repeat(10_000)).unwrap().expand(&values), None);
    }
}
