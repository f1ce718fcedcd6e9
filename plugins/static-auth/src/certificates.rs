//! Client certificates that stand for a user (EXTERNAL, RFC 4422 appendix A): by fingerprint, or by a name that the authority has verified.

use std::collections::BTreeMap;

use postgate_sdk::hook::CertificateCredentials;
use serde::Deserialize;

/// From the folded fingerprint or name to the identity.
#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub(crate) struct Certificates(BTreeMap<String, String>);

impl Certificates {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who the certificate stands for, if that is who the client wants to be. Its fingerprint goes before its names, and they in their
    /// order. A name that reads like a fingerprint is none: an authority may certify whatever common name somebody asks for.
    pub(crate) fn identity(&self, shown: &CertificateCredentials) -> Option<&str> {
        let names = shown.names.iter().filter(|name| !is_fingerprint(name));
        let mut keys = std::iter::once(&shown.fingerprint).chain(names);
        let identity = keys.find_map(|key| self.0.get(&key.to_lowercase()))?;
        (shown.user.is_empty() || shown.user == *identity).then_some(identity)
    }
}

impl TryFrom<BTreeMap<String, String>> for Certificates {
    type Error = String;

    fn try_from(table: BTreeMap<String, String>) -> Result<Self, String> {
        let mut folded = BTreeMap::new();
        for (key, identity) in table {
            if !super::users::is_name(&identity) {
                return Err(format!("the identity {identity:?} is not 1 to 255 octets without control characters"));
            }
            if key.is_empty() {
                return Err("an empty fingerprint or name".to_owned());
            }
            if folded.insert(key.to_lowercase(), identity).is_some() {
                return Err(format!("{key:?} is there twice, but for the case of its letters"));
            }
        }
        Ok(Self(folded))
    }
}

/// Whether it has the form of a SHA-256 in hexadecimal.
fn is_fingerprint(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|octet| octet.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use postgate_sdk::config;

    use super::*;

    #[test]
    fn a_certificate_is_its_user() {
        let certificates: Certificates =
            config::parse(r#"{"AB12": "alice@example.org", "Carol@example.org": "carol", "mx.example.net": "relay"}"#)
                .expect("invariant: the sample is right");
        let check = |user: &str, fingerprint: &str, names: &[&str], expected: Option<&str>| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            let shown = CertificateCredentials { user: user.to_owned(), fingerprint: fingerprint.to_owned(), names };
            assert_eq!(certificates.identity(&shown), expected, "{shown:?}");
        };
        check("", "ab12", &[], Some("alice@example.org"));
        check("alice@example.org", "ab12", &["mx.example.net"], Some("alice@example.org"));
        check("", "cd34", &["x", "carol@example.org", "mx.example.net"], Some("carol"));
        // Another's name, though the certificate has it too.
        check("relay", "ab12", &["mx.example.net"], None);
        check("bob@example.org", "ab12", &[], None);
        check("", "cd34", &["example.net"], None);
    }

    #[test]
    fn a_name_is_no_fingerprint() {
        let alice = "0f".repeat(32);
        let certificates: Certificates =
            config::parse(&format!(r#"{{"{alice}": "alice", "{}": "bob"}}"#, "0f".repeat(31)))
                .expect("invariant: the sample is right");
        let shown = |fingerprint: &str, name: String| CertificateCredentials {
            user: String::new(),
            fingerprint: fingerprint.to_owned(),
            names: vec![name],
        };
        assert_eq!(certificates.identity(&shown(&alice, "x".to_owned())), Some("alice"));
        for name in [alice.clone(), alice.to_uppercase()] {
            assert_eq!(certificates.identity(&shown("cd", name)), None);
        }
        assert_eq!(certificates.identity(&shown("cd", "0f".repeat(31))), Some("bob"));
    }

    #[test]
    fn wrong_tables() {
        for table in [r#"{"ab": ""}"#, r#"{"": "alice"}"#, r#"{"ab": "alice", "AB": "bob"}"#, r#"{"ab": "a\nb"}"#] {
            assert!(config::parse::<Certificates>(table).is_err(), "{table}");
        }
    }
}
