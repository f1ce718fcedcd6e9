//! Domains that SPF asks about: names of the DNS, and as they are written, which macros repeat.

use hickory_resolver::proto::rr::Name;

/// A domain that can be asked about.
#[derive(Clone, Debug)]
pub(super) struct Domain {
    text: String,
    name: Name,
}

impl Domain {
    /// The domain of a sender. None where it is not one: RFC 7208 section 4.3 asks for several labels, of which none is empty or
    /// too long. An international one is asked about by its A-labels.
    pub(super) fn of_sender(text: &str) -> Option<Self> {
        let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
        if !text.chars().all(|character| is_plain(character) || !character.is_ascii()) {
            return None;
        }
        if text.is_ascii() {
            return Self::new(text).filter(|domain| domain.name.num_labels() > 1);
        }
        let name = Name::from_utf8(text).ok()?;
        Self::new(&name.to_ascii()).filter(|domain| domain.name.num_labels() > 1)
    }

    /// What a macro string has been expanded to. Labels on the left are left out until it is no longer than a name may be (section
    /// 7.3). None where it is no name even so.
    pub(super) fn expanded(text: &str) -> Option<Self> {
        let mut text = text.strip_suffix('.').unwrap_or(text);
        while text.len() > MAX_NAME_BYTES {
            text = text.split_once('.')?.1;
        }
        Self::new(text)
    }

    fn new(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let labels: Vec<Vec<u8>> = text.split('.').map(|label| label.to_ascii_lowercase().into_bytes()).collect();
        let is_label = |label: &Vec<u8>| (1..=MAX_LABEL_BYTES).contains(&label.len());
        if text.len() > MAX_NAME_BYTES || !labels.iter().all(is_label) {
            return None;
        }
        let mut name = Name::from_labels(labels.iter().map(Vec::as_slice)).ok()?;
        name.set_fqdn(true);
        Some(Self { text: text.to_owned(), name })
    }

    /// As it is written, without a dot at its end.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn name(&self) -> &Name {
        &self.name
    }
}

const MAX_NAME_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_of_senders() {
        for (text, expected) in [
            ("example.org", Some("example.org.")),
            ("Example.ORG.", Some("example.org.")),
            ("_x.example", Some("_x.example.")),
            ("b\u{fc}cher.example", Some("xn--bcher-kva.example.")),
            ("", None),
            (".", None),
            ("localhost", None),
            ("a..b", None),
            ("[192.0.2.1]", None),
            ("a b.example", None),
            ("a\\.b.example", None),
        ] {
            let found = Domain::of_sender(text).map(|domain| domain.name.to_ascii());
            assert_eq!(found.as_deref(), expected, "{text:?}");
        }
        assert!(Domain::of_sender(&format!("{}.example", "x".repeat(64))).is_none());
        assert!(Domain::of_sender(&["x"; 128].join(".")).is_none());
    }

    #[test]
    fn long_names_lose_labels_on_the_left() {
        let long = ["abcdefghi"; 40].join(".");
        let domain = Domain::expanded(&long).unwrap();
        assert!(domain.text.len() <= MAX_NAME_BYTES && long.ends_with(&domain.text), "{}", domain.text);
        assert!(Domain::expanded(&"x".repeat(1000)).is_none());
    }
}
