//! Lists of tags (RFC 6376 section 3.2), as signatures, seals and keys are written.

/// The tags of one list: names and values, without the white space around them.
pub(super) struct Tags<'a>(Vec<(&'a [u8], &'a [u8])>);

impl<'a> Tags<'a> {
    /// Takes a list apart; none if it is not one, has a name twice, or too many of them.
    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
        let mut tags: Vec<(&[u8], &[u8])> = Vec::new();
        let mut pieces = text.split(|octet| *octet == b';').peekable();
        while let Some(piece) = pieces.next() {
            if piece.trim_ascii().is_empty() && pieces.peek().is_none() && !tags.is_empty() {
                break;
            }
            let (name, value) = piece.split_at(memchr::memchr(b'=', piece)?);
            let (name, value) = (name.trim_ascii(), value.get(1..).unwrap_or_default().trim_ascii());
            let [first, rest @ ..] = name else { return None };
            let is_name = first.is_ascii_alphabetic() && rest.iter().all(|o| o.is_ascii_alphanumeric() || *o == b'_');
            let is_value = value.iter().all(|octet| *octet > b' ' && *octet != 0x7f || octet.is_ascii_whitespace());
            let is_known = tags.iter().any(|(known, _)| *known == name);
            if !is_name || !is_value || is_known || tags.len() >= MAX_TAGS {
                return None;
            }
            tags.push((name, value));
        }
        Some(Self(tags))
    }

    /// The value of a tag.
    pub(super) fn of(&self, name: &str) -> Option<&'a [u8]> {
        self.0.iter().find(|(known, _)| *known == name.as_bytes()).map(|(_, value)| *value)
    }

    /// As `of`, as text; empty where there is none, or it is not text.
    pub(super) fn text(&self, name: &str) -> &'a str {
        self.of(name).and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default()
    }

    /// A tag that is a number of 1 to 12 digits. None is there, or `Err`: it is something else.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, ()> {
        let Some(value) = self.of(name) else { return Ok(None) };
        let is_number = (1..=12).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
        let number = std::str::from_utf8(value).ok().filter(|_| is_number).and_then(|text| text.parse().ok());
        number.map(Some).ok_or(())
    }

    /// Octets in base64, with white space anywhere; none where there are none.
    pub(super) fn octets(&self, name: &str) -> Option<Vec<u8>> {
        let digits: Vec<u8> = self.of(name)?.iter().copied().filter(|octet| !octet.is_ascii_whitespace()).collect();
        postgate_smtp::base64::decode(&digits).filter(|octets| !octets.is_empty())
    }
}

/// The value of a field without that of its tag `b`, for which it stands in the signature (RFC 6376 section 3.7), and without the line
/// end behind it.
pub(super) fn without_signature(value: &[u8]) -> Vec<u8> {
    let value = value.strip_suffix(b"\r\n").unwrap_or(value);
    let mut out = Vec::with_capacity(value.len());
    for (n, piece) in value.split(|octet| *octet == b';').enumerate() {
        if n > 0 {
            out.push(b';');
        }
        match memchr::memchr(b'=', piece).map(|at| piece.split_at(at)) {
            Some((name, _)) if name.trim_ascii() == b"b" => {
                out.extend_from_slice(name);
                out.push(b'=');
            }
            Some(_) | None => out.extend_from_slice(piece),
        }
    }
    out
}

/// Of one list; those that there are use less than twenty.
const MAX_TAGS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let tags = Tags::parse(b" v=1;\r\n\ta = rsa-sha256 ; t=12;b=YW\r\n Jj; e=; x=1a ;").unwrap();
        assert_eq!(
            (tags.text("v"), tags.text("a"), tags.of("e"), tags.of("z")),
            ("1", "rsa-sha256", Some(&b""[..]), None)
        );
        assert_eq!((tags.number("t"), tags.number("x"), tags.number("e")), (Ok(Some(12)), Err(()), Err(())));
        assert_eq!((tags.number("z"), tags.octets("b"), tags.octets("e")), (Ok(None), Some(b"abc".to_vec()), None));
        for bad in ["", ";", "a=1;;b=2", "a=1; ;", "a", "=1", "1a=1", "a=1; a=2", "a=\x01", "a b=1"] {
            assert!(Tags::parse(bad.as_bytes()).is_none(), "{bad:?}");
        }
        let many: String = (0..=MAX_TAGS).map(|n| format!("t{n}=;")).collect();
        assert!(Tags::parse(many.as_bytes()).is_none());
    }

    #[test]
    fn signatures_are_taken_out() {
        let check = |value: &str, expected: &str| {
            assert_eq!(String::from_utf8(without_signature(value.as_bytes())).unwrap(), expected);
        };
        check(" v=1; b=abc\r\n d; bh=x=;\r\n", " v=1; b=; bh=x=;");
        check(" b = abc==\r\n", " b =");
        check("bh=b; b=\r\n", "bh=b; b=");
    }
}
