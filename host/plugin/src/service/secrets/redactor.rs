//! Takes the values of a plugin's secrets out of what the host writes down: its log lines, what it printed before it failed, the texts of its replies.
//!
//! A guest that may read a secret can write it in any other way, and no host could tell. What is found here is the value as it is, and as Rust's and
//! JSON's escapes write it: that is how values get into messages by accident.

use std::ops::Range;
use std::sync::Arc;

use memchr::memmem::Finder;

use super::Secret;

/// The values of one plugin, or of all of a chain.
#[derive(Clone, Default)]
pub(crate) struct Redactor {
    /// Longest first.
    finders: Arc<[Finder<'static>]>,
}

impl Redactor {
    /// For these secrets.
    pub(crate) fn new<'a>(secrets: impl Iterator<Item = &'a Secret>) -> Self {
        let mut forms: Vec<String> = secrets.flat_map(|secret| forms(secret.expose())).collect();
        forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        Self { finders: forms.iter().map(|form| Finder::new(form.as_bytes()).into_owned()).collect() }
    }

    /// Those of several plugins together.
    pub(crate) fn union<'a>(redactors: impl Iterator<Item = &'a Self>) -> Self {
        Self { finders: redactors.flat_map(|redactor| redactor.finders.iter().cloned()).collect() }
    }

    /// The octets of the longest form of a value.
    pub(crate) fn longest(&self) -> usize {
        self.finders.iter().map(|finder| finder.needle().len()).max().unwrap_or_default()
    }

    /// A text with `***` in place of the values.
    pub(crate) fn text(&self, text: String) -> String {
        if self.finders.is_empty() {
            return text;
        }
        // Values are text, so what is around them is too.
        String::from_utf8(self.octets(text.as_bytes(), 0)).unwrap_or_else(|_| REDACTED.to_owned())
    }

    /// The octets behind the first `skipped`, with `***` in place of the values. Nothing is told of a value that begins among those that are
    /// skipped.
    pub(crate) fn octets(&self, octets: &[u8], skipped: usize) -> Vec<u8> {
        let mut redacted = Vec::with_capacity(octets.len());
        let mut at = skipped;
        for Range { start, end } in self.found(octets) {
            if end <= at {
                continue;
            }
            redacted.extend_from_slice(octets.get(at..start).unwrap_or_default());
            redacted.extend_from_slice(REDACTED.as_bytes());
            at = end;
        }
        redacted.extend_from_slice(octets.get(at..).unwrap_or_default());
        redacted
    }

    /// Where the values are, in order; those that overlap are one.
    fn found(&self, octets: &[u8]) -> Vec<Range<usize>> {
        let mut all: Vec<Range<usize>> = Vec::new();
        for finder in self.finders.iter() {
            let length = finder.needle().len();
            let mut from = 0;
            while let Some(at) = octets.get(from..).and_then(|rest| finder.find(rest)) {
                all.push(from + at..from + at + length);
                from += at + 1;
            }
        }
        all.sort_by_key(|range| range.start);
        let mut merged: Vec<Range<usize>> = Vec::new();
        for range in all {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                Some(_) | None => merged.push(range),
            }
        }
        merged
    }
}

/// A value as it is, as it is escaped, and as a reply has it (RFC 5321: ASCII, where the client has not asked for more).
fn forms(value: &str) -> Vec<String> {
    let json = serde_json::to_string(value).unwrap_or_default();
    let json = json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or_default().to_owned();
    let octets = value.as_bytes().escape_ascii().to_string();
    let ascii: String = value.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
    // What has no character left that is its own would take question marks out of every text.
    let ascii = if ascii.bytes().all(|octet| octet == b'?') { String::new() } else { ascii };
    let (debug, default) = (value.escape_debug().to_string(), value.escape_default().to_string());
    let forms = [value.to_owned(), ascii, debug, default, json, octets];
    forms.into_iter().filter(|form| !form.is_empty()).collect()
}

const REDACTED: &str = "***";

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(values: &[&str]) -> Redactor {
        let secrets: Vec<Secret> = values.iter().map(|value| Secret::new(value)).collect();
        Redactor::new(secrets.iter())
    }

    #[test]
    fn values_are_taken_out() {
        let check = |values: &[&str], text: &str, expected: &str| {
            assert_eq!(redactor(values).text(text.to_owned()), expected, "{values:?}");
        };
        check(&[], "nothing is secret", "nothing is secret");
        check(&["key"], "", "");
        check(&["key"], "key", "***");
        check(&["key"], "a key, a keykey, a kekey", "a ***, a ***, a ke***");
        check(&["s3cr\"et"], "a s3cr\"et b \"s3cr\\\"et\"", "a *** b \"***\"");
        check(&["two\nlines"], "two\nlines two\\nlines", "*** ***");
        check(&["caf\u{e9}"], "caf\u{e9} caf\\u{e9} caf\\xc3\\xa9 caf? caf", "*** *** *** *** caf");
        check(&["\u{e9}"], "\u{e9}?", "***?");
        // One in another, one that begins in another, one that overlaps with itself.
        check(&["key", "monkey"], "monkeys keys", "***s ***s");
        check(&["abc", "bcd"], "abcd", "***");
        check(&["aa"], "aaa b", "*** b");
    }

    #[test]
    fn what_is_skipped_tells_nothing() {
        let redactor = redactor(&["secret"]);
        assert_eq!(redactor.longest(), 6);
        for (octets, skipped, expected) in [
            (&b"a secret b"[..], 0, &b"a *** b"[..]),
            (b"a secret b", 1, b" *** b"),
            (b"a secret b", 4, b"*** b"),
            (b"a secret b", 8, b" b"),
            (b"\xffsecret", 0, b"\xff***"),
            (b"secret", 9, b""),
        ] {
            assert_eq!(redactor.octets(octets, skipped), expected);
        }
    }
}
