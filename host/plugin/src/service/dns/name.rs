//! Names as guests write them, made into names of the DNS (RFC 1035 section 2.3.4), and back.

use std::net::IpAddr;

use hickory_resolver::proto::rr::Name;

/// The absolute name that a text stands for, with or without the dot at its end.
pub(crate) fn absolute(name: &str) -> Result<Name, String> {
    let shown = || name.chars().take(MAX_SHOWN_CHARS).collect::<String>();
    let inner = name.strip_suffix('.').unwrap_or(name);
    if inner.is_empty() || inner.len() > MAX_NAME_BYTES {
        return Err(format!("{:?} is not a name: it has 1 to {MAX_NAME_BYTES} octets", shown()));
    }
    for label in inner.split('.') {
        if label.is_empty() || label.len() > MAX_LABEL_BYTES {
            return Err(format!("{:?} is not a name: a label has 1 to {MAX_LABEL_BYTES} octets", shown()));
        }
        if !label.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_/+=~:".contains(&octet)) {
            return Err(format!("{:?} is not a name; international ones are written as A-labels", shown()));
        }
    }
    let labels = inner.split('.').map(|label| label.to_ascii_lowercase().into_bytes());
    let mut found = Name::from_labels(labels.collect::<Vec<_>>().iter().map(Vec::as_slice))
        .map_err(|error| format!("{:?} is not a name: {error}", shown()))?;
    found.set_fqdn(true);
    Ok(found)
}

/// What a list is asked about a subject (RFC 5782 sections 2.1, 2.4 and 3.1): an address backwards, or a domain.
pub(super) fn listed(subject: &str, zone: &str) -> Result<Name, String> {
    let zone = zone.strip_suffix('.').unwrap_or(zone);
    let reversed = match subject.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}")
        }
        Ok(IpAddr::V6(address)) => {
            let nibbles = address.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}")).collect::<Vec<_>>().join(".")
        }
        Err(_) => subject.strip_suffix('.').unwrap_or(subject).to_owned(),
    };
    absolute(zone)?;
    absolute(&format!("{reversed}.{zone}"))
}

/// A name without the dot at its end, in lower case, with everything escaped that is not printable.
pub(crate) fn text(name: &Name) -> String {
    let text = name.to_lowercase().to_ascii();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

const MAX_NAME_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;
/// Of a name that is none, in the error about it.
const MAX_SHOWN_CHARS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_absolute_or_refused() {
        for (name, expected) in [
            ("example.org", "example.org."),
            ("Example.ORG.", "example.org."),
            ("_dmarc.example.org", "_dmarc.example.org."),
            ("localhost", "localhost."),
            ("1.0/25.2.0.192.in-addr.arpa", "1.0\\/25.2.0.192.in-addr.arpa."),
        ] {
            let found = absolute(name).unwrap();
            assert_eq!((found.to_ascii().as_str(), found.is_fqdn()), (expected, true));
        }
        let long = "x".repeat(64);
        let many = ["x"; 128].join(".");
        for bad in ["", ".", "..", "a..b", ".a", "a b", "a\\.b", "caf\u{e9}.example", "a\0", "a\r\n", &long, &many] {
            assert!(absolute(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn subjects_of_lists() {
        let check = |subject: &str, expected: &str| {
            assert_eq!(text(&listed(subject, "bl.example.").unwrap()), format!("{expected}.bl.example"), "{subject}");
        };
        check("192.0.2.99", "99.2.0.192");
        check("::ffff:192.0.2.99", "99.2.0.192");
        check("2001:db8:1:2:3:4:567:89ab", "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2");
        check("Invalid.example", "invalid.example");
        for (subject, zone) in [("", "bl.example"), ("x", ""), ("a b", "bl.example"), ("x", "."), ("x", "a..b")] {
            assert!(listed(subject, zone).is_err(), "{subject:?} {zone:?}");
        }
    }
}
