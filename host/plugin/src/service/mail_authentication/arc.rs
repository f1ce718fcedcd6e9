//! Chains of ARC sets (RFC 8617 section 5.2), verified.

use std::collections::BTreeMap;

use mail_auth::dkim::Canonicalization;

use super::Hashed;
use super::signature::{Cover, Fields, Flaw, Signature, check_times};
use super::spf::Lookups;
use super::tags::{Tags, without_signature};
use crate::bindings::postgate::mail::mail_authentication::{ArcResult, ResultCode};
use crate::message::RawField;

/// What one intermediary has put on top.
struct Set<'a> {
    results: RawField<'a>,
    signature: RawField<'a>,
    seal: RawField<'a>,
}

/// The signatures of the message in it.
pub(super) fn signatures<'a>(fields: &Fields<'a>) -> impl Iterator<Item = RawField<'a>> {
    fields.named(SIGNATURE).take(MAX_SETS as usize)
}

/// What the sets of a message claim, before anything of it is verified.
struct Chain<'a>(Vec<Set<'a>>);

/// How many sets there are, to be counted by the kind of field of which there are the most; 0 where there is no chain.
fn count(fields: &Fields<'_>) -> usize {
    [RESULTS, SIGNATURE, SEAL].map(|name| fields.named(name).count()).into_iter().max().unwrap_or_default()
}

/// The result for the chain of a message.
pub(super) async fn verify(fields: &Fields<'_>, bodies: &[Hashed], dns: &impl Lookups, now_s: u64) -> ArcResult {
    let outcome = match count(fields) {
        0 => ResultCode::None,
        _ => match walk(fields, bodies, dns, now_s).await {
            Ok(()) => ResultCode::Pass,
            Err(Flaw { code: ResultCode::Temperror, .. }) => ResultCode::Temperror,
            // A chain has passed or failed, unless the DNS keeps us from knowing.
            Err(_) => ResultCode::Fail,
        },
    };
    described(fields, outcome)
}

/// The result where nothing could be found out in time.
pub(super) fn unknown(fields: &Fields<'_>) -> ArcResult {
    described(fields, if count(fields) == 0 { ResultCode::None } else { ResultCode::Temperror })
}

fn described(fields: &Fields<'_>, code: ResultCode) -> ArcResult {
    let chain = Chain::of(fields).ok();
    let last = chain.as_ref().and_then(|chain| chain.0.last());
    let domain = last.and_then(|set| {
        let domain = Tags::parse(set.seal.value)?.text("d").to_ascii_lowercase();
        (!domain.is_empty()).then(|| domain.chars().take(MAX_DOMAIN_CHARS).collect())
    });
    // Where From is not covered, what was found of it is not about this message.
    let covers = |set: &&Set<'_>| {
        let cover = Tags::parse(set.signature.value).and_then(|tags| Cover::parse(&tags).ok());
        code == ResultCode::Pass && cover.is_some_and(|cover| cover.names("from"))
    };
    let dmarc = last.filter(covers).and_then(|set| reported(set.results.value));
    ArcResult { code, sets: u32::try_from(count(fields)).unwrap_or(u32::MAX), domain, dmarc }
}

impl<'a> Chain<'a> {
    /// The sets in order: each instance has each field once, and none is missing.
    fn of(fields: &Fields<'a>) -> Result<Self, Flaw> {
        let broken = Flaw::failed("a set is not whole");
        let sorted = |name: &str, instance: fn(&[u8]) -> Option<u64>| {
            let mut sorted = BTreeMap::new();
            for field in fields.named(name) {
                let instance = instance(field.value).filter(|n| (1..=MAX_SETS).contains(n)).ok_or(broken)?;
                if sorted.insert(instance, field).is_some() {
                    return Err(broken);
                }
            }
            Ok(sorted)
        };
        let tagged = |value: &[u8]| Tags::parse(value)?.number("i").ok().flatten();
        let (seals, mut signatures) = (sorted(SEAL, tagged)?, sorted(SIGNATURE, tagged)?);
        let mut results = sorted(RESULTS, leading_instance)?;
        if seals.len() != signatures.len() || seals.len() != results.len() {
            return Err(broken);
        }
        let mut sets = Vec::new();
        for (n, (instance, seal)) in (1..).zip(seals) {
            let (signature, results) = (signatures.remove(&instance), results.remove(&instance));
            match (signature, results) {
                (Some(signature), Some(results)) if instance == n => sets.push(Set { results, signature, seal }),
                _ => return Err(broken),
            }
        }
        Ok(Self(sets))
    }
}

/// Steps 2 to 6 of RFC 8617 section 5.2.
async fn walk(fields: &Fields<'_>, bodies: &[Hashed], dns: &impl Lookups, now_s: u64) -> Result<(), Flaw> {
    let Chain(sets) = Chain::of(fields)?;
    let illegible = Flaw::failed("not a list of tags");
    let mut seals = Vec::new();
    for (n, set) in sets.iter().enumerate() {
        let tags = Tags::parse(set.seal.value).ok_or(illegible)?;
        let expected: &[u8] = if n == 0 { b"none" } else { b"pass" };
        if tags.of("cv") != Some(expected) || tags.of("h").is_some() {
            return Err(Flaw::failed("a seal says that the chain has failed before, or nothing of it"));
        }
        check_times(&tags, now_s)?;
        seals.push(Signature::parse(&tags)?);
    }
    let Some(last) = sets.last() else { return Err(illegible) };
    let tags = Tags::parse(last.signature.value).ok_or(illegible)?;
    let (signature, cover) = (Signature::parse(&tags)?, Cover::parse(&tags)?);
    if cover.names(SEAL) || tags.of("l").is_some() {
        return Err(Flaw::failed("a signature covers what it must not"));
    }
    check_times(&tags, now_s)?;
    cover.check_body(bodies)?;
    let key = signature.key(dns, None).await?;
    cover.check_fields(&signature, &key, fields, last.signature)?;
    for (n, seal) in seals.iter().enumerate().rev() {
        let key = seal.key(dns, None).await?;
        let covered = sets.get(..=n).unwrap_or_default();
        let own = covered.last().map(|set| without_signature(set.seal.value)).unwrap_or_default();
        let mut chosen: Vec<(&[u8], &[u8])> = covered
            .iter()
            .flat_map(|set| [set.results, set.signature, set.seal])
            .map(|field| (field.name, field.value))
            .collect();
        if let Some(last) = chosen.last_mut() {
            last.1 = &own;
        }
        seal.verify(&key, Canonicalization::Relaxed, &chosen)?;
    }
    Ok(())
}

/// `i=1;` at the beginning of an ARC-Authentication-Results field (RFC 8617 section 4.1.1).
fn leading_instance(value: &[u8]) -> Option<u64> {
    let (tag, _) = value.split_at_checked(memchr::memchr(b';', value)?)?;
    Tags::parse(tag)?.number("i").ok().flatten()
}

/// What the author of a field with results says of DMARC.
fn reported(value: &[u8]) -> Option<ResultCode> {
    let text = bare(value);
    let mut parts = text.split(';').filter_map(|part| {
        let (method, rest) = part.split_once('=')?;
        let word = rest.trim_start().split(|c: char| !c.is_ascii_alphabetic()).next()?;
        method.trim().eq_ignore_ascii_case("dmarc").then(|| word.to_ascii_lowercase())
    });
    let word = parts.next()?;
    // Two that disagree say nothing.
    if parts.any(|other| other != word) {
        return None;
    }
    match word.as_str() {
        "pass" => Some(ResultCode::Pass),
        "fail" => Some(ResultCode::Fail),
        "none" => Some(ResultCode::None),
        "temperror" => Some(ResultCode::Temperror),
        "permerror" => Some(ResultCode::Permerror),
        _ => None,
    }
}

/// The text without comments and quoted strings, in which anything may stand.
fn bare(value: &[u8]) -> String {
    let (mut out, mut depth, mut quoted, mut escaped) = (String::new(), 0_u32, false, false);
    for character in String::from_utf8_lossy(value).chars() {
        let inside = depth > 0 || quoted;
        match character {
            _ if std::mem::take(&mut escaped) => {}
            '\\' if inside => escaped = true,
            '"' if depth == 0 => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if depth > 0 => depth -= 1,
            _ if inside => {}
            character => out.push(character),
        }
    }
    out
}

const RESULTS: &str = "arc-authentication-results";
const SIGNATURE: &str = "arc-message-signature";
const SEAL: &str = "arc-seal";

/// RFC 8617 section 4.2.1.
const MAX_SETS: u64 = 50;
const MAX_DOMAIN_CHARS: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sealer_says_of_dmarc() {
        let check =
            |value: &str, expected: Option<ResultCode>| assert_eq!(reported(value.as_bytes()), expected, "{value}");
        check(" i=1; mx.example; spf=fail; dmarc=pass (p=reject) header.from=a.example", Some(ResultCode::Pass));
        check(" i=1; mx.example;\r\n\tDMARC = fail", Some(ResultCode::Fail));
        check(" i=1; mx.example; spf=pass (dmarc=pass)", None);
        check(
            " i=1; mx.example; spf=pass (\\); ; dmarc=pass;) x=\"; dmarc=pass;\"; dmarc=fail",
            Some(ResultCode::Fail),
        );
        check(" i=1; mx.example; dmarc=pass; dmarc=fail", None);
        check(" i=1; mx.example; x-dmarc=pass", None);
        check(" i=1; mx.example", None);
    }

    #[test]
    fn instances_stand_in_front() {
        assert_eq!(leading_instance(b" i=3; mx.example; none"), Some(3));
        for bad in [" mx.example; i=1", " i=; x", " i=1", " i=x; y", ""] {
            assert_eq!(leading_instance(bad.as_bytes()), None, "{bad}");
        }
    }
}
