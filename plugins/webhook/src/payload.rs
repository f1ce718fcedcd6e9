//! What is posted: a JSON object. Octets that are not UTF-8 survive, in base64 (RFC 4648).

use postgate_sdk::{Mailbox, mail_data, parts, session, transaction};
use serde_json::{Value, json};

use crate::settings::Settings;

/// The body of the request; none where the message can't be read.
pub(crate) fn payload(settings: &Settings, id: &str, now: u64, recipients: &[&Mailbox]) -> Option<Vec<u8>> {
    let from = transaction::reverse_path().ok()?;
    let header = mail_data::header().ok()?;
    let fields: Vec<Value> = header.iter().map(|field| self::field(&field.name, &field.value)).collect();
    let subject = parts::field("Subject").ok().and_then(|values| values.into_iter().next());
    let subject = subject.or_else(|| {
        let found = header.iter().find(|field| field.name.eq_ignore_ascii_case("Subject"))?;
        Some(String::from_utf8_lossy(&found.value).into_owned())
    });
    let (text, html, attachments) = readable();
    let remote = session::remote();
    let body = json!({
        "version": 1,
        "id": id,
        "timestamp": now,
        "listener": session::listener(),
        "remote": { "address": remote.address, "port": remote.port },
        "hello": session::hello().map(|hello| hello.name),
        "identity": session::identity().map(|identity| identity.name),
        "tls": session::tls().map(|tls| tls.version),
        "from": from.map(|mailbox| mailbox.to_string()),
        "to": recipients.iter().map(|mailbox| mailbox.to_string()).collect::<Vec<_>>(),
        "subject": subject,
        "headers": fields,
        "text": text,
        "html": html,
        "attachments": attachments,
        "size": mail_data::size().ok()?,
        "raw": if settings.raw { Some(base64(&whole()?)) } else { None },
    });
    serde_json::to_vec(&body).ok()
}

/// A field of the header section; where its value is not UTF-8, the octets stand beside it.
fn field(name: &str, value: &[u8]) -> Value {
    match std::str::from_utf8(value) {
        Ok(text) => json!({ "name": name, "value": text }),
        Err(_) => json!({ "name": name, "value": String::from_utf8_lossy(value), "base64": base64(value) }),
    }
}

/// The first plain text, the first HTML, and what is attached. Nothing of a message that can't be taken apart: it is in `raw`.
fn readable() -> (Option<String>, Option<String>, Vec<Value>) {
    let all = parts::all().unwrap_or_default();
    let first = |media_type: &str| {
        let part = all.iter().find(|part| part.media_type == media_type && !part.attachment)?;
        parts::text(part.number).ok()
    };
    let attachments = all
        .iter()
        .filter(|part| part.attachment)
        .map(|part| json!({ "part": part.number, "type": part.media_type, "name": part.file_name, "size": part.size }));
    (first("text/plain"), first("text/html"), attachments.collect())
}

/// All octets of the message.
fn whole() -> Option<Vec<u8>> {
    let size = mail_data::size().ok()?;
    let mut octets = Vec::with_capacity(usize::try_from(size).ok()?);
    while (octets.len() as u64) < size {
        let piece = mail_data::read(octets.len() as u64, READ_OCTETS).ok()?;
        if piece.is_empty() {
            return None;
        }
        octets.extend(piece);
    }
    Some(octets)
}

/// The transaction, and which of its recipients: a message with many is posted in portions.
pub(crate) fn key(id: &str, recipients: &[&Mailbox]) -> String {
    // FNV-1a: the same recipients have the same key, and nothing more is asked of it.
    let octets = recipients.iter().flat_map(|mailbox| format!("{mailbox}\n").into_bytes());
    let hash = octets
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{id}-{hash:016x}")
}

fn base64(octets: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(octets.len().div_ceil(3) * 4);
    for three in octets.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, octet| bits << 8 | u32::from(*octet)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

/// Octets that are read at once.
const READ_OCTETS: u32 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648 section 10.
    #[test]
    fn base64_of() {
        for (octets, expected) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(octets.as_bytes()), expected);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfd]), "//79");
    }

    #[test]
    fn fields_that_are_not_text_survive() {
        assert_eq!(field("A", b"b"), json!({"name": "A", "value": "b"}));
        assert_eq!(field("A", b"\xff"), json!({"name": "A", "value": "\u{fffd}", "base64": "/w=="}));
    }

    #[test]
    fn a_key_for_each_portion() {
        let [alice, bob] =
            ["alice@example.org", "bob@example.org"].map(|text| Mailbox::parse(text).expect("invariant: right"));
        assert_eq!(key("1-1", &[&alice]), key("1-1", &[&alice]));
        assert_ne!(key("1-1", &[&alice]), key("1-1", &[&bob]));
        assert!(key("1-1", &[&alice]).starts_with("1-1-"));
    }
}
