//! ARC sets (RFC 8617): what was found, the message that it was found of, and a seal over the whole chain.

use super::dkim::{chosen, push_signature, signed};
use super::{Field, Key};
use crate::bindings::postgate::mail::mail_authentication::ResultCode;
use crate::bindings::postgate::mail::types::ServiceError;
use crate::message::Message;
use crate::service::canonical::relax_field;

/// The fields of a new set, in the order in which they are put on top.
pub(super) fn set(
    key: &Key,
    message: &Message,
    results: &str,
    chain: ResultCode,
    now: u64,
) -> Result<Vec<Field>, ServiceError> {
    let earlier = earlier(message);
    let instance = earlier.last().map_or(0, |set| set.instance) + 1;
    if instance > MAX_INSTANCE {
        return Err(ServiceError::Invalid(format!("the chain has {MAX_INSTANCE} sets already")));
    }
    if earlier.last().is_some_and(|set| tag(set.seal, b"cv").is_some_and(|cv| cv.eq_ignore_ascii_case("fail"))) {
        return Err(ServiceError::Invalid("the chain was found broken by the last one who sealed it".to_owned()));
    }
    let validation = match chain {
        ResultCode::Pass => "pass",
        ResultCode::None if earlier.is_empty() => "none",
        ResultCode::None
        | ResultCode::Fail
        | ResultCode::Softfail
        | ResultCode::Neutral
        | ResultCode::Policy
        | ResultCode::Temperror
        | ResultCode::Permerror => "fail",
    };
    let findings = Field { name: RESULTS, value: format!("i={instance}; {results}").into_bytes() };
    // Neither seals nor results are signed here (RFC 8617 section 4.1.2).
    let fields = chosen(key, message, &["DKIM-Signature"]);
    let signature = signed(key, message, SIGNATURE, &format!("i={instance}; "), &fields, now)?;
    let mut seal = format!(
        "i={instance}; a={}; t={now}; cv={validation};\r\n\td={}; s={};\r\n\tb=",
        key.algorithm().name(),
        key.domain(),
        key.selector()
    );
    let mut input = Vec::with_capacity(4096);
    let mut relax = |name: &str, value: &[u8]| {
        relax_field(name.as_bytes(), value, &mut input);
        input.extend_from_slice(b"\r\n");
    };
    // A broken chain is sealed as if this set were the only one (section 5.1.2).
    for set in earlier.iter().filter(|_| validation != "fail") {
        relax(RESULTS, set.results);
        relax(SIGNATURE, set.signature);
        relax(SEAL, set.seal);
    }
    relax(RESULTS, &findings.value);
    relax(SIGNATURE, &signature.value);
    relax_field(SEAL.as_bytes(), seal.as_bytes(), &mut input);
    push_signature(&mut seal, &key.sign(input)?);
    Ok(vec![findings, signature, Field { name: SEAL, value: seal.into_bytes() }])
}

/// One set of the chain.
struct Set<'a> {
    instance: u32,
    results: &'a [u8],
    signature: &'a [u8],
    seal: &'a [u8],
}

/// The whole sets of a message, the first one first; the others are no part of a chain that could be vouched for.
fn earlier(message: &Message) -> Vec<Set<'_>> {
    let of = |name: &'static str| {
        message.fields().filter(move |(known, _)| known.eq_ignore_ascii_case(name.as_bytes())).filter_map(
            |(_, value)| {
                let instance: u32 = tag(value, b"i")?.parse().ok()?;
                Some((instance, value))
            },
        )
    };
    let with = |name, instance| of(name).find(|(found, _)| *found == instance).map(|(_, value)| value);
    let mut sets: Vec<Set<'_>> = of(SEAL)
        .take(MAX_INSTANCE as usize)
        .filter_map(|(instance, seal)| {
            Some(Set { instance, seal, results: with(RESULTS, instance)?, signature: with(SIGNATURE, instance)? })
        })
        .collect();
    sets.sort_by_key(|set| set.instance);
    sets
}

/// The value of a tag (RFC 6376 section 3.2).
fn tag(value: &[u8], name: &[u8]) -> Option<String> {
    let tags = value.split(|octet| *octet == b';');
    let mut pairs = tags.filter_map(|tag| {
        let at = memchr::memchr(b'=', tag)?;
        let (known, rest) = tag.split_at(at);
        (known.trim_ascii() == name).then(|| rest.get(1..).unwrap_or_default().trim_ascii())
    });
    pairs.next().map(|value| String::from_utf8_lossy(value).into_owned())
}

const RESULTS: &str = "ARC-Authentication-Results";
const SIGNATURE: &str = "ARC-Message-Signature";
const SEAL: &str = "ARC-Seal";

/// RFC 8617 section 4.2.1.
const MAX_INSTANCE: u32 = 50;
