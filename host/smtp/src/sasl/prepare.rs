//! SASLprep (RFC 4013): names and passwords that look the same become the same.
//!
//! Code points that Unicode 3.2 has not assigned are refused, as RFC 3454 section 7 asks of what is stored, and what was not stored can't be
//! right either. RFC 8265, which replaces SASLprep, is not what RFC 5802 and the clients in use ask for.

/// The name or password as it is stored and compared; none where it has characters that are not allowed, is in two directions at once,
/// or has nothing left.
pub fn prepared(text: &str) -> Option<String> {
    let prepared = stringprep::saslprep(text).ok()?;
    (!prepared.is_empty()).then(|| prepared.into_owned())
}

#[cfg(test)]
mod tests {
    use super::prepared;

    #[test]
    fn names_and_passwords() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(prepared(text).as_deref(), expected, "{text:?}");
        // RFC 4013 section 3.
        check("I\u{ad}X", Some("IX"));
        check("user", Some("user"));
        check("USER", Some("USER"));
        check("\u{aa}", Some("a"));
        check("\u{2168}", Some("IX"));
        check("\u{7}", None);
        check("\u{627}\u{31}", None);
        // Spaces beyond ASCII, letters made of two characters, and none at all.
        check("a\u{a0}b", Some("a b"));
        check("u\u{308}", Some("\u{fc}"));
        check("", None);
        check("\u{ad}", None);
        // Not assigned in Unicode 3.2, for private use, and not a character.
        check("\u{221}", None);
        check("\u{1f600}", None);
        check("\u{e000}", None);
        check("\u{fffe}", None);
    }
}
