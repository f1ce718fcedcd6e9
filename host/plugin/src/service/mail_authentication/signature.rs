//! What DKIM signatures (RFC 6376 section 3.5) and the signatures and seals of ARC (RFC 8617 section 4.1) have in common, as types that
//! hold only what can be verified.

use std::collections::HashMap;

use hickory_resolver::proto::rr::Name;
use mail_auth::common::crypto::Algorithm;
use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::dkim::Canonicalization;

use super::spf::{Lookups, Unanswered};
use super::tags::{Tags, without_signature};
use super::{Hashed, quietly};
use crate::bindings::postgate::mail::mail_authentication::ResultCode;
use crate::message::RawField;
use crate::service::dns::absolute;

/// Why a signature does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) code: ResultCode,
    pub(super) reason: &'static str,
}

impl Flaw {
    /// It can't be read, and so proves nothing.
    pub(super) const fn neutral(reason: &'static str) -> Self {
        Self { code: ResultCode::Neutral, reason }
    }

    /// Nothing will make it good.
    pub(super) const fn permanent(reason: &'static str) -> Self {
        Self { code: ResultCode::Permerror, reason }
    }

    pub(super) const fn failed(reason: &'static str) -> Self {
        Self { code: ResultCode::Fail, reason }
    }
}

/// Nobody knows now.
pub(super) const UNANSWERED: Flaw = Flaw { code: ResultCode::Temperror, reason: "no answer of the DNS" };

/// Who has signed, how, and the signature itself.
pub(super) struct Signature {
    algorithm: Algorithm,
    /// `d=`, in lower case.
    pub(super) domain: String,
    octets: Vec<u8>,
    /// Where the key is.
    key: Name,
}

impl Signature {
    /// Reads what all of them have.
    pub(super) fn parse(tags: &Tags<'_>) -> Result<Self, Flaw> {
        let algorithm = match tags.text("a") {
            "rsa-sha256" => Algorithm::RsaSha256,
            "ed25519-sha256" => Algorithm::Ed25519Sha256,
            "rsa-sha1" => return Err(Flaw::permanent("rsa-sha1 is not acceptable (RFC 8301)")),
            _ => return Err(Flaw::neutral("unknown algorithm")),
        };
        let (domain, selector) = (tags.text("d").to_ascii_lowercase(), tags.text("s"));
        let name = |text: &str| absolute(text).ok().filter(|_| !text.ends_with('.'));
        if name(&domain).is_none() || !domain.contains('.') || name(selector).is_none() {
            return Err(Flaw::neutral("no domain or selector"));
        }
        let key = name(&format!("{selector}._domainkey.{domain}")).ok_or(Flaw::neutral("no domain or selector"))?;
        let octets = tags.octets("b").ok_or(Flaw::neutral("no signature in base64"))?;
        Ok(Self { algorithm, domain, octets, key })
    }

    /// Holds the signature against the key and these fields; the last one is the field that it stands in.
    pub(super) fn verify(
        &self,
        key: &PublicKey,
        form: Canonicalization,
        fields: &[(&[u8], &[u8])],
    ) -> Result<(), Flaw> {
        let verified = quietly(|| key.0.p.verify(&mut fields.iter().copied(), &self.octets, form, self.algorithm));
        match verified {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => Err(Flaw::failed("signature did not verify")),
        }
    }

    /// The public key. `identity` is the domain of the user or agent, where one is named.
    pub(super) async fn key(&self, dns: &impl Lookups, identity: Option<&str>) -> Result<PublicKey, Flaw> {
        // A chain of many seals is worked on in turns with other sessions, also where all keys are in the cache.
        tokio::task::yield_now().await;
        let records = dns.texts(&self.key).await.map_err(|Unanswered| UNANSWERED)?;
        let mut flaw = Flaw::permanent("no key for signature");
        for record in records.iter().take(MAX_KEYS) {
            match self.fitting(record, identity) {
                Ok(key) => return Ok(key),
                Err(why) => flaw = why,
            }
        }
        Err(flaw)
    }

    /// The key of a record, if it is one for this signature (RFC 6376 section 3.6.1).
    fn fitting(&self, record: &[u8], identity: Option<&str>) -> Result<PublicKey, Flaw> {
        let tags = Tags::parse(record).ok_or(Flaw::permanent("key syntax error"))?;
        let lists = |tag: &str, wanted: &[&str]| {
            let Some(value) = tags.of(tag) else { return true };
            let mut words = value.split(|octet| *octet == b':').map(<[u8]>::trim_ascii);
            words.any(|word| wanted.iter().any(|wanted| word == wanted.as_bytes()))
        };
        let kind = match self.algorithm {
            Algorithm::RsaSha1 | Algorithm::RsaSha256 => "rsa",
            Algorithm::Ed25519Sha256 => "ed25519",
        };
        if !lists("v", &["DKIM1"]) {
            return Err(Flaw::permanent("key syntax error"));
        }
        if tags.of("k").map_or(kind != "rsa", |found| found != kind.as_bytes()) {
            return Err(Flaw::permanent("key of another algorithm"));
        }
        if !lists("h", &["sha256"]) || !lists("s", &["*", "email"]) {
            return Err(Flaw::permanent("key is not for this"));
        }
        let is_strict = tags.of("t").is_some() && lists("t", &["s"]);
        if is_strict && identity.is_some_and(|identity| identity != self.domain) {
            return Err(Flaw::permanent("key is for its own domain only"));
        }
        if tags.of("p").is_some_and(<[u8]>::is_empty) {
            return Err(Flaw::permanent("key revoked"));
        }
        let key = quietly(|| DomainKey::parse(record)).and_then(Result::ok);
        key.map(PublicKey).ok_or(Flaw::permanent("key syntax error"))
    }
}

/// A key that somebody has published.
pub(super) struct PublicKey(DomainKey);

/// What a signature of a message covers.
pub(super) struct Cover {
    pub(super) header: Canonicalization,
    pub(super) body: Canonicalization,
    body_hash: Vec<u8>,
    /// Names of fields, as often as there are some to be taken.
    pub(super) names: Vec<Vec<u8>>,
}

impl Cover {
    pub(super) fn parse(tags: &Tags<'_>) -> Result<Self, Flaw> {
        let forms = match tags.of("c") {
            Some(forms) => forms,
            None => b"simple/simple",
        };
        let mut forms = forms.splitn(2, |octet| *octet == b'/').map(|form| match form {
            b"simple" => Some(Canonicalization::Simple),
            b"relaxed" => Some(Canonicalization::Relaxed),
            _ => None,
        });
        let unknown = Flaw::neutral("unknown canonicalization");
        let header = forms.next().flatten().ok_or(unknown)?;
        let body = forms.next().unwrap_or(Some(Canonicalization::Simple)).ok_or(unknown)?;
        let body_hash = tags.octets("bh").ok_or(Flaw::neutral("no body hash in base64"))?;
        let list = tags.of("h").ok_or(Flaw::neutral("no list of fields"))?;
        let names = list.split(|octet| *octet == b':').map(|name| name.trim_ascii().to_ascii_lowercase());
        Ok(Self { header, body, body_hash, names: names.filter(|name| !name.is_empty()).collect() })
    }

    /// Whether a field of that name is among those that are signed.
    pub(super) fn names(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name.as_bytes())
    }

    pub(super) fn check_body(&self, bodies: &[Hashed]) -> Result<(), Flaw> {
        let hash = bodies.iter().find(|(form, _)| *form == self.body).map(|(_, hash)| hash);
        if hash == Some(&self.body_hash) { Ok(()) } else { Err(Flaw::failed("body hash did not verify")) }
    }

    /// Holds a signature against the fields that it covers.
    pub(super) fn check_fields(
        &self,
        signature: &Signature,
        key: &PublicKey,
        fields: &Fields<'_>,
        own: RawField<'_>,
    ) -> Result<(), Flaw> {
        let value = without_signature(own.value);
        let mut chosen = fields.chosen(&self.names);
        chosen.push((own.name, &value));
        signature.verify(key, self.header, &chosen)
    }
}

/// Checks the times of a signature: when it was made, and when it ends.
pub(super) fn check_times(tags: &Tags<'_>, now_s: u64) -> Result<(), Flaw> {
    let wrong = |()| Flaw::neutral("no number of seconds");
    let (made, ends) = (tags.number("t").map_err(wrong)?, tags.number("x").map_err(wrong)?);
    match ends {
        Some(ends) if ends < now_s || made.is_some_and(|made| ends <= made) => Err(Flaw::failed("signature expired")),
        Some(_) | None => Ok(()),
    }
}

/// The fields of a header section, to be chosen by their names.
pub(super) struct Fields<'a> {
    pub(super) all: Vec<RawField<'a>>,
    /// By their names in lower case, the places from the top.
    places: HashMap<Vec<u8>, Vec<usize>>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(all: impl Iterator<Item = RawField<'a>>) -> Self {
        let all: Vec<_> = all.collect();
        let mut places: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        for (at, field) in all.iter().enumerate() {
            places.entry(field.name.trim_ascii_end().to_ascii_lowercase()).or_default().push(at);
        }
        Self { all, places }
    }

    /// Those of a name, from the top.
    pub(super) fn named(&self, name: &str) -> impl Iterator<Item = RawField<'a>> {
        let places = self.places.get(name.as_bytes()).map(Vec::as_slice).unwrap_or_default();
        places.iter().filter_map(|at| self.all.get(*at).copied())
    }

    /// The fields of a list of names in lower case, those of one name from the bottom up (RFC 6376 section 5.4.2).
    fn chosen(&self, names: &[Vec<u8>]) -> Vec<(&'a [u8], &'a [u8])> {
        let mut left: HashMap<&[u8], &[usize]> = HashMap::new();
        let mut chosen = Vec::new();
        for name in names {
            let places =
                left.entry(name).or_insert_with(|| self.places.get(name).map(Vec::as_slice).unwrap_or_default());
            if let Some((at, above)) = places.split_last() {
                *places = above;
                chosen.extend(self.all.get(*at).map(|field| (field.name, field.value)));
            }
        }
        chosen
    }
}

/// Records at one name that are tried; there should be one (RFC 6376 section 3.6.2.2).
const MAX_KEYS: usize = 4;
