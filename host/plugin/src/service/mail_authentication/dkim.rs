//! DKIM signatures (RFC 6376, RFC 8301, RFC 8463), verified. The arithmetic of the keys is mail-auth's.

use super::signature::{Cover, Fields, Flaw, Signature, UNANSWERED, check_times};
use super::spf::Lookups;
use super::tags::Tags;
use super::{Hashed, MAX_SIGNATURES, Signed};
use crate::bindings::postgate::mail::mail_authentication::{DkimResult, ResultCode};
use crate::message::RawField;

/// The signatures that are looked at, from the top.
pub(super) fn signatures<'a>(fields: &Fields<'a>) -> impl Iterator<Item = RawField<'a>> {
    fields.named(NAME).take(MAX_SIGNATURES)
}

/// One result for each signature, from the top.
pub(super) async fn verify(fields: &Fields<'_>, bodies: &[Hashed], dns: &impl Lookups, now_s: u64) -> Vec<Signed> {
    let mut results = Vec::new();
    for field in signatures(fields) {
        let found = match Tags::parse(field.value) {
            Some(tags) => described(&tags, one(&tags, field, fields, bodies, dns, now_s).await),
            None => illegible(),
        };
        results.push(found);
    }
    results
}

/// The results where nothing could be found out in time.
pub(super) fn unknown(fields: &Fields<'_>) -> Vec<Signed> {
    let tags = signatures(fields).map(|field| Tags::parse(field.value));
    tags.map(|tags| tags.map_or_else(illegible, |tags| described(&tags, Err(UNANSWERED)))).collect()
}

async fn one(
    tags: &Tags<'_>,
    field: RawField<'_>,
    fields: &Fields<'_>,
    bodies: &[Hashed],
    dns: &impl Lookups,
    now_s: u64,
) -> Result<(), Flaw> {
    if tags.text("v") != "1" {
        return Err(Flaw::neutral("unknown version"));
    }
    let (signature, cover) = (Signature::parse(tags)?, Cover::parse(tags)?);
    if !cover.names("from") {
        return Err(Flaw::permanent("From is not signed"));
    }
    if tags.of("l").is_some() {
        return Err(Flaw { code: ResultCode::Policy, reason: "a part of the body is not signed" });
    }
    let methods = tags.of("q").unwrap_or(b"dns/txt");
    if !methods.split(|octet| *octet == b':').any(|method| method.trim_ascii() == b"dns/txt") {
        return Err(Flaw::neutral("unknown query method"));
    }
    let identity = tags.of("i").map(|identity| String::from_utf8_lossy(identity).to_ascii_lowercase());
    let identity = identity.as_ref().map(|identity| identity.rsplit_once('@').map_or("", |(_, domain)| domain));
    let is_below = |domain: &str| {
        domain == signature.domain || domain.strip_suffix(&signature.domain).is_some_and(|rest| rest.ends_with('.'))
    };
    if identity.is_some_and(|domain| !is_below(domain)) {
        return Err(Flaw::permanent("domain mismatch"));
    }
    check_times(tags, now_s)?;
    cover.check_body(bodies)?;
    let key = signature.key(dns, identity).await?;
    cover.check_fields(&signature, &key, fields, field)
}

fn illegible() -> Signed {
    let reason = Some("not a list of tags".to_owned());
    let result = DkimResult {
        code: ResultCode::Neutral,
        domain: String::new(),
        selector: String::new(),
        algorithm: String::new(),
        reason,
    };
    Signed { result, begin: String::new() }
}

fn described(tags: &Tags<'_>, outcome: Result<(), Flaw>) -> Signed {
    let text = |name: &str| tags.text(name).chars().take(MAX_TAG_CHARS).collect::<String>();
    let (code, reason) = match outcome {
        Ok(()) => (ResultCode::Pass, None),
        Err(flaw) => (flaw.code, Some(flaw.reason.to_owned())),
    };
    let (domain, algorithm) = (text("d").to_ascii_lowercase(), text("a"));
    let result = DkimResult { code, domain, selector: text("s"), algorithm, reason };
    let begin = tags.text("b").chars().filter(|digit| !digit.is_ascii_whitespace()).take(BEGIN_CHARS).collect();
    Signed { result, begin }
}

const NAME: &str = "dkim-signature";
/// Of a tag's value.
const MAX_TAG_CHARS: usize = 255;
/// Of `b=`, to tell signatures apart (RFC 6008 section 4).
const BEGIN_CHARS: usize = 8;
