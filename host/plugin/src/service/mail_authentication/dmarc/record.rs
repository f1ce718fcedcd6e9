//! DMARC records (RFC 7489 section 6.3, RFC 9091), read as section 6.6.3 of RFC 7489 wants it: what can't be understood has its default.

use crate::bindings::postgate::mail::mail_authentication::DmarcPolicy;

/// What a domain asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// `p=`, for the domain itself.
    pub(super) own: DmarcPolicy,
    /// `sp=`, for those below it.
    pub(super) below: DmarcPolicy,
    /// `np=`, for those below it that are not there.
    pub(super) missing: DmarcPolicy,
    pub(super) dkim: Alignment,
    pub(super) spf: Alignment,
    /// `pct=`; 0 where it is only being tried, `t=y`.
    pub(super) percent: u8,
    pub(super) suffix: Suffix,
}

/// How alike two domains must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alignment {
    Relaxed,
    Strict,
}

/// `psd=`: whether names below belong to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suffix {
    Public,
    Own,
    Unsaid,
}

impl Record {
    /// Reads a text record; none if it asks for nothing.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(text);
        let mut tags = text.split(';').filter_map(|tag| {
            let (name, value) = tag.split_once('=')?;
            Some((name.trim(), value.trim()))
        });
        if tags.next()? != ("v", "DMARC1") {
            return None;
        }
        let tags: Vec<(&str, &str)> = tags.take(MAX_TAGS).collect();
        let of =
            |name: &str| tags.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_ascii_lowercase());
        let policy = |name: &str| of(name).map(|value| self::policy(&value));
        let (own, below) = (policy("p").flatten(), policy("sp"));
        let (own, below) = match (own, below) {
            (Some(own), None) => (own, own),
            (Some(own), Some(Some(below))) => (own, below),
            // Without a policy that can be read it asks for reports, if for anything (RFC 7489 section 6.6.3).
            (Some(_), Some(None)) | (None, _) => {
                of("rua").filter(|addresses| addresses.contains("mailto:"))?;
                (DmarcPolicy::None, DmarcPolicy::None)
            }
        };
        let alignment =
            |name: &str| if of(name).as_deref() == Some("s") { Alignment::Strict } else { Alignment::Relaxed };
        let percent = of("pct").and_then(|value| value.parse().ok()).filter(|percent| *percent <= 100).unwrap_or(100);
        Some(Self {
            own,
            below,
            missing: policy("np").flatten().unwrap_or(below),
            dkim: alignment("adkim"),
            spf: alignment("aspf"),
            percent: if of("t").as_deref() == Some("y") { 0 } else { percent },
            suffix: match of("psd").as_deref() {
                Some("y") => Suffix::Public,
                Some("n") => Suffix::Own,
                Some(_) | None => Suffix::Unsaid,
            },
        })
    }

    /// The record among the texts at a name: the only one, or none (RFC 7489 section 6.6.3).
    pub(super) fn only(texts: &[Vec<u8>]) -> Option<Self> {
        let is_record = |text: &&Vec<u8>| {
            let (first, _) = text.split_at(memchr::memchr(b';', text).unwrap_or(text.len()));
            first.split(|octet| *octet == b'=').map(<[u8]>::trim_ascii).eq([&b"v"[..], b"DMARC1"])
        };
        let mut records = texts.iter().filter(is_record);
        match (records.next(), records.next()) {
            (Some(record), None) => Self::parse(record),
            (Some(_), Some(_)) | (None, _) => None,
        }
    }
}

fn policy(word: &str) -> Option<DmarcPolicy> {
    match word {
        "none" => Some(DmarcPolicy::None),
        "quarantine" => Some(DmarcPolicy::Quarantine),
        "reject" => Some(DmarcPolicy::Reject),
        _ => None,
    }
}

/// Of one record.
const MAX_TAGS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        use DmarcPolicy::{None as Nothing, Quarantine, Reject};
        let check = |text: &str, expected: Option<(DmarcPolicy, DmarcPolicy, DmarcPolicy, u8)>| {
            let found = Record::parse(text.as_bytes());
            assert_eq!(found.map(|r| (r.own, r.below, r.missing, r.percent)), expected, "{text}");
        };
        check("v=DMARC1; p=reject", Some((Reject, Reject, Reject, 100)));
        check("v=DMARC1;p=REJECT;sp=none;", Some((Reject, Nothing, Nothing, 100)));
        check(" v = DMARC1 ; p = none ; np = reject ", Some((Nothing, Nothing, Reject, 100)));
        // RFC 9091 appendix A.1: what a public suffix asks for.
        check("v=DMARC1; p=reject; sp=none; np=quarantine", Some((Reject, Nothing, Quarantine, 100)));
        check("v=DMARC1; p=reject; np=oops", Some((Reject, Reject, Reject, 100)));
        check("v=DMARC1; p=quarantine; pct=20; x=y; junk", Some((Quarantine, Quarantine, Quarantine, 20)));
        check("v=DMARC1; p=reject; pct=101", Some((Reject, Reject, Reject, 100)));
        check("v=DMARC1; p=reject; t=y", Some((Reject, Reject, Reject, 0)));
        check("v=DMARC1; p=oops; rua=mailto:a@example.org", Some((Nothing, Nothing, Nothing, 100)));
        check("v=DMARC1; p=reject; sp=oops; rua=mailto:a@example.org", Some((Nothing, Nothing, Nothing, 100)));
        for bad in [
            "",
            "v=DMARC1",
            "v=DMARC1; p=oops",
            "v=dmarc1; p=reject",
            "p=reject; v=DMARC1",
            "v=DMARC2; p=reject",
            "v=spf1",
        ] {
            check(bad, None);
        }
        let strict = Record::parse(b"v=DMARC1; p=none; adkim=s; aspf=r; psd=y").unwrap();
        assert_eq!((strict.dkim, strict.spf, strict.suffix), (Alignment::Strict, Alignment::Relaxed, Suffix::Public));
    }

    #[test]
    fn two_records_are_none() {
        let only =
            |texts: &[&str]| Record::only(&texts.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>());
        assert!(only(&["v=DMARC1; p=reject", "something else"]).is_some());
        assert!(only(&["v=DMARC1; p=reject", "v=DMARC1; p=none"]).is_none());
        assert!(only(&["v=DMARC1; p=reject", "v=DMARC1"]).is_none());
        assert!(only(&["v=DMARC10; p=none"]).is_none());
    }
}
