//! Mailboxes and paths (RFC 5321 sections 4.1.2 and 4.1.1.3).

use std::fmt;
use std::str::FromStr;

use crate::domain::write_canonical;

/// A mailbox: a local part and a domain.
///
/// The local part is without quoting, in the case that the client used; `Display` quotes it again where it must be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mailbox {
    /// The local part, and right behind it the domain.
    text: Box<str>,
    /// Octets of the local part.
    at: usize,
}

impl Mailbox {
    /// A mailbox of a local part without quoting and a domain or address literal.
    ///
    /// Either may have characters beyond ASCII (RFC 6531 section 3.3). The domain may be empty for `Postmaster` alone (RFC 5321 section
    /// 4.1.1.3).
    ///
    /// # Errors
    /// See [`AddressError`].
    pub fn new(local_part: &str, domain: &str) -> Result<Mailbox, AddressError> {
        if local_part.chars().any(char::is_control) {
            return Err(AddressError::LocalPart);
        }
        if local_part.len() > LOCAL_PART_OCTETS_MAX {
            return Err(AddressError::LocalPartTooLong);
        }
        let mut text = String::with_capacity(local_part.len() + domain.len());
        text.push_str(local_part);
        if domain.is_empty() {
            if !is_postmaster(local_part) {
                return Err(AddressError::Domain);
            }
        } else {
            write_canonical(domain, &mut text)?;
        }
        Ok(Mailbox { text: text.into_boxed_str(), at: local_part.len() })
    }

    /// Whether it can be written where SMTPUTF8 (RFC 6531) was not said.
    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }

    /// The local part, unquoted and unescaped, without control characters.
    pub fn local_part(&self) -> &str {
        self.text.split_at(self.at).0
    }

    /// The domain in lower case, or an address literal with its brackets; empty for the bare `Postmaster`.
    pub fn domain(&self) -> &str {
        self.text.split_at(self.at).1
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local_part = self.local_part();
        if is_dot_string(local_part) {
            f.write_str(local_part)?;
        } else {
            f.write_str("\"")?;
            for character in local_part.chars() {
                if matches!(character, '"' | '\\') {
                    f.write_str("\\")?;
                }
                write!(f, "{character}")?;
            }
            f.write_str("\"")?;
        }
        if !self.domain().is_empty() {
            write!(f, "@{}", self.domain())?;
        }
        Ok(())
    }
}

impl FromStr for Mailbox {
    type Err = AddressError;

    /// Reads `local-part@domain` as it stands in a path, quoted where it must be.
    fn from_str(text: &str) -> Result<Mailbox, AddressError> {
        let (local_part, rest) = read_local_part(text)?;
        let domain = rest.strip_prefix('@').ok_or(AddressError::Domain)?;
        if domain.is_empty() {
            return Err(AddressError::Domain);
        }
        Mailbox::new(&local_part, domain)
    }
}

/// What is wrong with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// Something stands where a bracket of the path is expected.
    Bracket,
    /// The source route.
    Route,
    /// The local part is neither a dot-string nor a quoted string.
    LocalPart,
    /// More octets than a bound.
    LocalPartTooLong,
    /// The domain's labels.
    Domain,
    /// More octets than a bound.
    DomainTooLong,
    /// The address literal.
    Literal,
    /// More octets than a bound.
    PathTooLong,
}

impl AddressError {
    /// Whether a bound is the reason.
    pub(crate) fn is_bound(self) -> bool {
        match self {
            AddressError::LocalPartTooLong | AddressError::DomainTooLong | AddressError::PathTooLong => true,
            AddressError::Bracket
            | AddressError::Route
            | AddressError::LocalPart
            | AddressError::Domain
            | AddressError::Literal => false,
        }
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddressError::Bracket => "a path stands in angle brackets",
            AddressError::Route => "the source route is malformed",
            AddressError::LocalPart => "the local part is malformed",
            AddressError::LocalPartTooLong => "the local part is too long",
            AddressError::Domain => "the domain is malformed",
            AddressError::DomainTooLong => "the domain is too long",
            AddressError::Literal => "the address literal is malformed",
            AddressError::PathTooLong => "the path is too long",
        })
    }
}

impl std::error::Error for AddressError {}

/// A path of a command line: `<>`, `<Postmaster>`, `<mailbox>`, or `<@route:mailbox>`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Path {
    Null,
    Mailbox(Mailbox),
}

/// Reads a path at the front of `text`. Answers it, and what stands behind its `>`.
///
/// A source route is read and ignored (RFC 5321 section 4.1.1.3 and appendix F.2).
pub(crate) fn read_path(text: &str) -> Result<(Path, &str), AddressError> {
    let inside = text.strip_prefix('<').ok_or(AddressError::Bracket)?;
    if let Some(rest) = inside.strip_prefix('>') {
        return Ok((Path::Null, rest));
    }
    let (local_part, rest) = read_local_part(skip_route(inside)?)?;
    let (domain, rest) = rest.split_once('>').ok_or(AddressError::Bracket)?;
    let domain = match domain.strip_prefix('@') {
        // Mailbox::new takes an empty domain to be the bare Postmaster, which is written without the @.
        Some("") => return Err(AddressError::Domain),
        Some(domain) => domain,
        None if domain.is_empty() => "",
        None => return Err(AddressError::LocalPart),
    };
    Ok((Path::Mailbox(Mailbox::new(&local_part, domain)?), rest))
}

/// What stands behind `@a,@b:`, where such a route is there.
fn skip_route(path: &str) -> Result<&str, AddressError> {
    if !path.starts_with('@') {
        return Ok(path);
    }
    // A literal in a route has colons of its own, so hop by hop.
    let mut rest = path;
    loop {
        let hop = rest.strip_prefix('@').ok_or(AddressError::Route)?;
        let end = match hop.strip_prefix('[') {
            Some(_) => hop.find(']').map(|bracket| bracket + 1),
            None => hop.find([',', ':']),
        };
        let (domain, behind) = hop.split_at_checked(end.ok_or(AddressError::Route)?).ok_or(AddressError::Route)?;
        write_canonical(domain, &mut String::new()).map_err(|_| AddressError::Route)?;
        if let Some(mailbox) = behind.strip_prefix(':') {
            return Ok(mailbox);
        }
        rest = behind.strip_prefix(',').ok_or(AddressError::Route)?;
    }
}

/// Reads a local part, and answers it unquoted, and what stands behind it.
fn read_local_part(text: &str) -> Result<(std::borrow::Cow<'_, str>, &str), AddressError> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(['@', '>']).unwrap_or(text.len());
        let (local_part, rest) = text.split_at_checked(end).ok_or(AddressError::LocalPart)?;
        if !is_dot_string(local_part) {
            return Err(AddressError::LocalPart);
        }
        return Ok((local_part.into(), rest));
    };
    let mut local_part = String::new();
    let mut characters = quoted.chars();
    loop {
        let character = match characters.next().ok_or(AddressError::LocalPart)? {
            '"' => return Ok((local_part.into(), characters.as_str())),
            // RFC 6531 section 3.3 adds nothing to what may be escaped.
            '\\' => characters.next().filter(char::is_ascii).ok_or(AddressError::LocalPart)?,
            character => character,
        };
        local_part.push(character);
    }
}

/// RFC 5321 section 4.1.2, `Dot-string`.
fn is_dot_string(text: &str) -> bool {
    text.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atext))
}

/// RFC 5322 section 3.2.3; and any octet of a character beyond ASCII (RFC 6531 section 3.3).
fn is_atext(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || !octet.is_ascii() || b"!#$%&'*+-/=?^_`{|}~".contains(&octet)
}

/// RFC 5321 section 4.1.1.3: in any case of letters.
fn is_postmaster(local_part: &str) -> bool {
    local_part.eq_ignore_ascii_case("postmaster")
}

/// More than any listener allows; [`Limits`](crate::Limits) has the bound of a session.
const LOCAL_PART_OCTETS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::{AddressError, Mailbox, Path, read_path};

    #[test]
    fn paths() {
        let check = |text: &str, expected: Result<(&str, &str, &str), AddressError>| {
            let found = read_path(text);
            let found = found.as_ref().map_err(|error| *error).map(|(path, rest)| match path {
                Path::Null => ("", "", *rest),
                Path::Mailbox(mailbox) => (mailbox.local_part(), mailbox.domain(), *rest),
            });
            assert_eq!(found, expected, "{text}");
        };
        check("<>", Ok(("", "", "")));
        check("<> SIZE=1", Ok(("", "", " SIZE=1")));
        check("<a.B+c@Example.ORG>x", Ok(("a.B+c", "example.org", "x")));
        check("<postMASTER>", Ok(("postMASTER", "", "")));
        check("<\"a>b@c\"@d>", Ok(("a>b@c", "d", "")));
        check("<\"\"@d>", Ok(("", "d", "")));
        check("<\"\\\"\\\\\"@d>", Ok(("\"\\", "d", "")));
        check("<@a,@[IPv6:::1],@b:c@d>", Ok(("c", "d", "")));
        check("<c@[1.2.3.4]>", Ok(("c", "[1.2.3.4]", "")));
        check("<c@[IPV6:2001:DB8:0::1]>", Ok(("c", "[IPv6:2001:db8::1]", "")));
        check("<Andr\u{e9}@EXAMPL\u{c9}.org>", Ok(("Andr\u{e9}", "exampl\u{e9}.org", "")));
        check("<\"\u{e9} \"@c>", Ok(("\u{e9} ", "c", "")));
        check("<\"\\\u{e9}\"@c>", Err(AddressError::LocalPart));
        check("<a@b\u{3002}c>", Err(AddressError::Domain));
        check("<a@b\u{a0}c>", Err(AddressError::Domain));
        check("<a@-\u{e9}>", Err(AddressError::Domain));
        check(&format!("<a@{}>", "\u{e9}".repeat(60)), Err(AddressError::Domain));
        check("<a%b@c>", Ok(("a%b", "c", "")));
        check("", Err(AddressError::Bracket));
        check("a@b", Err(AddressError::Bracket));
        check("<a@b", Err(AddressError::Bracket));
        check("<a", Err(AddressError::Bracket));
        check("<\"a", Err(AddressError::LocalPart));
        check("<\"a\\", Err(AddressError::LocalPart));
        check("<\"a\"b@c>", Err(AddressError::LocalPart));
        check("<a..b@c>", Err(AddressError::LocalPart));
        check("<@a>", Err(AddressError::Route));
        check("<@a,b:c@d>", Err(AddressError::Route));
        check("<@:c@d>", Err(AddressError::Route));
        check("<@[1.2.3.4:c@d>", Err(AddressError::Route));
        check("<a@>", Err(AddressError::Domain));
        check("<a>", Err(AddressError::Domain));
        check("<a@b@c>", Err(AddressError::Domain));
        check("<a@b_c>", Err(AddressError::Domain));
        check("<a@b..c>", Err(AddressError::Domain));
        check("<a@b->", Err(AddressError::Domain));
        check("<a@[]>", Err(AddressError::Literal));
        check("<a@[::1]>", Err(AddressError::Literal));
        check("<a@[IPv6:1.2.3.4]>", Err(AddressError::Literal));
        check("<a@[1.2.3.4]x>", Err(AddressError::Literal));
        check(&format!("<a@{}b>", "a.".repeat(127)), Ok(("a", &format!("{}b", "a.".repeat(127)), "")));
        check(&format!("<a@{}bc>", "a.".repeat(127)), Err(AddressError::DomainTooLong));
    }

    #[test]
    fn display_quotes_what_it_must() {
        for text in [
            "a@b",
            "\"a b\"@c",
            "\"a\\\"b\\\\\"@c",
            "\"\"@c",
            "\".a\"@c",
            "a@[192.0.2.1]",
            "a@[IPv6:2001:db8::1]",
            "\u{e9}@c",
            "\"\u{e9} \"@c",
        ] {
            assert_eq!(text.parse::<Mailbox>().unwrap().to_string(), text);
        }
        assert_eq!("\"plain\"@C".parse::<Mailbox>().unwrap().to_string(), "plain@c");
        assert_eq!(Mailbox::new("Postmaster", "").unwrap().to_string(), "Postmaster");
    }

    #[test]
    fn new_takes_nothing_that_could_not_be_written() {
        for local_part in ["a\r\nb", "a\0", "\u{85}", "\x7f", "\t"] {
            assert_eq!(Mailbox::new(local_part, "example.org"), Err(AddressError::LocalPart), "{local_part:?}");
        }
        assert_eq!(Mailbox::new("alice", ""), Err(AddressError::Domain));
        assert_eq!(Mailbox::new("alice", "a b"), Err(AddressError::Domain));
        assert_eq!(Mailbox::new("alice", "[1.2.3.4"), Err(AddressError::Literal));
    }
}
