//! DKIM-Signature fields (RFC 6376, RFC 8463), and what the message signature of ARC shares with them.

use mail_auth::dkim::Canonicalization;

use super::{Field, Key, base64};
use crate::bindings::postgate::mail::types::ServiceError;
use crate::message::Message;
use crate::service::canonical::{BodyHash, relax_field};

/// A DKIM-Signature of the message by the key, made at that time.
pub(super) fn signature(key: &Key, message: &Message, now: u64) -> Result<Field, ServiceError> {
    let fields = chosen(key, message, &[]);
    if !fields.iter().any(|field| field.value.is_some() && field.name.eq_ignore_ascii_case("from")) {
        return Err(ServiceError::Invalid(
            "the message has no From field to be signed (RFC 6376 section 5.4)".to_owned(),
        ));
    }
    signed(key, message, NAME, "v=1; ", &fields, now)
}

/// One name of `h=`, and the field that it stands for; none where there is no such field, and none may be added (RFC 6376 section 8.15).
pub(super) struct Chosen<'a> {
    name: &'a str,
    value: Option<(&'a [u8], &'a [u8])>,
}

/// The fields to be signed, those of a name from the bottom up (RFC 6376 section 5.4.2).
pub(super) fn chosen<'a>(key: &'a Key, message: &'a Message, more: &[&'static str]) -> Vec<Chosen<'a>> {
    let present: Vec<(&[u8], &[u8])> = message.fields().collect();
    let mut chosen = Vec::new();
    let is_oversigned = |name: &str| key.oversigned().iter().any(|known| known.eq_ignore_ascii_case(name));
    for name in key.fields().iter().map(String::as_str).chain(more.iter().copied()) {
        let named = present.iter().rev().filter(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()));
        chosen.extend(named.take(MAX_OF_A_NAME).map(|field| Chosen { name, value: Some(*field) }));
        if is_oversigned(name) {
            chosen.push(Chosen { name, value: None });
        }
    }
    chosen
}

/// A field that signs the chosen ones and the body: `begin` is what stands before its algorithm.
pub(super) fn signed(
    key: &Key,
    message: &Message,
    name: &'static str,
    begin: &str,
    fields: &[Chosen<'_>],
    now: u64,
) -> Result<Field, ServiceError> {
    let mut body = BodyHash::new(Canonicalization::Relaxed);
    let unreadable = |error| ServiceError::Unavailable(format!("the message can't be read: {error}"));
    message.write_body_to(&mut body).map_err(unreadable)?;
    let mut value = format!(
        "{begin}a={}; c=relaxed/relaxed; d={};\r\n\ts={}; t={now};",
        key.algorithm().name(),
        key.domain(),
        key.selector()
    );
    if let Some(expires) = key.expires() {
        value.push_str(&format!(" x={};", now.saturating_add(expires.as_secs())));
    }
    value.push_str("\r\n\th=");
    let mut column = 10;
    for (n, field) in fields.iter().enumerate() {
        if n > 0 {
            value.push(':');
        }
        if column + field.name.len() > MAX_COLUMN {
            value.push_str("\r\n\t ");
            column = 9;
        }
        value.push_str(field.name);
        column += field.name.len() + 1;
    }
    value.push_str(&format!(";\r\n\tbh={};\r\n\tb=", base64(&body.finish())));
    let mut input = Vec::with_capacity(4096);
    for (name, value) in fields.iter().filter_map(|field| field.value) {
        relax_field(name, value, &mut input);
        input.extend_from_slice(b"\r\n");
    }
    relax_field(name.as_bytes(), value.as_bytes(), &mut input);
    push_signature(&mut value, &key.sign(input)?);
    Ok(Field { name, value: value.into_bytes() })
}

/// Puts a signature behind `b=`, folded.
pub(super) fn push_signature(value: &mut String, signature: &[u8]) {
    let text = base64(signature);
    let mut rest = text.as_str();
    while let Some((line, behind)) = rest.split_at_checked(MAX_COLUMN - 10) {
        value.push_str(line);
        value.push_str("\r\n\t ");
        rest = behind;
    }
    value.push_str(rest);
}

const NAME: &str = "DKIM-Signature";
const MAX_COLUMN: usize = 76;

/// Fields of one name that are signed; more than one is unusual.
const MAX_OF_A_NAME: usize = 100;
