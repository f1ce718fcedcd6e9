//! A part written anew (RFC 2045 section 6.7 and 6.8): its header section with another media type, its content encoded.

use super::fields::raw_fields;

/// A part with this media type and content, from its header section on, without the line end before the next delimiter. Of its old
/// header section it keeps what is not about the old content; and its disposition, if the media type is the same but for the
/// parameters.
pub(crate) fn encoded_part(old_header: &[u8], old_media_type: &str, media_type: &str, content: &[u8]) -> Vec<u8> {
    let kind = kind(media_type).to_ascii_lowercase();
    let is_text = kind.starts_with("text/") && is_mostly_text(content);
    let mut part = Vec::with_capacity(content.len() / 2 * 3 + 500);
    for field in raw_fields(old_header) {
        let name = field.split(|octet| *octet == b':').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
        let is_about_content = REPLACED.contains(&name.as_slice());
        let is_about_kind = DROPPED_WITH_KIND.contains(&name.as_slice()) && kind != old_media_type;
        if is_about_content || is_about_kind || !field.contains(&b':') {
            continue;
        }
        let line = field.trim_ascii_end();
        match name.as_slice() {
            b"content-disposition" => part.extend_from_slice(&without_sizes(line)),
            _ => part.extend_from_slice(line),
        }
        part.extend_from_slice(b"\r\n");
    }
    part.extend_from_slice(b"Content-Type: ");
    part.extend_from_slice(media_type.as_bytes());
    let encoding = if is_text { "quoted-printable" } else { "base64" };
    part.extend_from_slice(format!("\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n").as_bytes());
    if is_text {
        quoted_printable(content, &mut part);
    } else {
        base64(content, &mut part);
    }
    part
}

/// A part that a multipart has instead of none (RFC 2046 section 5.1.1 wants at least one).
pub(crate) const EMPTY_PART: &[u8] = b"Content-Type: text/plain\r\n\r\n";

/// Why a media type with parameters can't be written into a header section, if so.
pub(crate) fn media_type_problem(media_type: &str) -> Option<&'static str> {
    let token = |text: &str| !text.is_empty() && text.bytes().all(is_token);
    let Some((main, sub)) = kind(media_type).split_once('/') else { return Some("no type/subtype") };
    if media_type.len() > MAX_MEDIA_TYPE_BYTES {
        return Some("too long");
    }
    if !media_type.bytes().all(|octet| matches!(octet, b' '..=b'~')) {
        return Some("not printable ASCII");
    }
    if !token(main) || !token(sub) {
        return Some("no type/subtype");
    }
    if main.eq_ignore_ascii_case("multipart") || main.eq_ignore_ascii_case("message") {
        return Some("a part that holds others can't be written");
    }
    None
}

/// The media type without parameters.
fn kind(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

/// RFC 2045 section 5.1.
fn is_token(octet: u8) -> bool {
    octet.is_ascii_graphic() && !br#"()<>@,;:\"/[]?="#.contains(&octet)
}

/// Whether quoted-printable is not the longer one.
fn is_mostly_text(content: &[u8]) -> bool {
    let other = content.iter().filter(|octet| !matches!(octet, b' '..=b'~' | b'\t' | b'\r' | b'\n')).count();
    other * 6 <= content.len().max(SHORT_BYTES)
}

/// Content-Disposition without the parameters that told about the old content (RFC 2183 section 2).
fn without_sizes(field: &[u8]) -> Vec<u8> {
    let mut kept: Vec<u8> = Vec::with_capacity(field.len());
    let mut is_quoted = false;
    let mut is_escaped = false;
    let mut pieces = Vec::new();
    let mut start = 0;
    for (at, octet) in field.iter().enumerate() {
        match octet {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b';' if !is_quoted => {
                pieces.push(field.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(field.get(start..).unwrap_or_default());
    for (n, piece) in pieces.into_iter().enumerate() {
        let name = piece.split(|octet| *octet == b'=').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
        if n > 0 && SIZES.contains(&name.as_slice()) {
            continue;
        }
        if n > 0 {
            kept.push(b';');
        }
        kept.extend_from_slice(piece);
    }
    kept
}

/// CRLF stays a line break; everything else comes back octet by octet. No line begins with `-` or `.`, or is taken for a mailbox's `From `.
fn quoted_printable(content: &[u8], out: &mut Vec<u8>) {
    let mut column = 0;
    let mut at = 0;
    while let Some(octet) = content.get(at).copied() {
        let next = content.get(at + 1).copied();
        if octet == b'\r' && next == Some(b'\n') {
            out.extend_from_slice(b"\r\n");
            column = 0;
            at += 2;
            continue;
        }
        let ends_line = matches!(next, None | Some(b'\r'));
        let is_plain = match octet {
            b'=' => false,
            b'-' | b'.' | b'F' if column == 0 => false,
            b' ' | b'\t' => !ends_line,
            b'!'..=b'~' => true,
            _ => false,
        };
        let width = if is_plain { 1 } else { 3 };
        if column + width > LINE_BYTES - 1 {
            out.extend_from_slice(b"=\r\n");
            column = 0;
            // What may not begin a line is looked at again.
            continue;
        }
        if is_plain {
            out.push(octet);
        } else {
            out.extend([b'=', HEX[usize::from(octet >> 4)], HEX[usize::from(octet & 15)]]);
        }
        column += width;
        at += 1;
    }
}

fn base64(content: &[u8], out: &mut Vec<u8>) {
    for (n, line) in content.chunks(LINE_BYTES / 4 * 3).enumerate() {
        if n > 0 {
            out.extend_from_slice(b"\r\n");
        }
        for group in line.chunks(3) {
            let octet = |n: usize| u32::from(group.get(n).copied().unwrap_or_default());
            let bits = octet(0) << 16 | octet(1) << 8 | octet(2);
            for n in 0..4 {
                let is_there = n <= group.len();
                let value = bits >> (18 - 6 * n) & 63;
                out.push(if is_there { ALPHABET[value as usize] } else { b'=' });
            }
        }
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Texts up to here are always quoted-printable, which a person can read.
const SHORT_BYTES: usize = 600;

/// Octets of an encoded line.
const LINE_BYTES: usize = 76;

const MAX_MEDIA_TYPE_BYTES: usize = 500;

/// Fields that are written anew, or are no longer true.
const REPLACED: [&[u8]; 5] =
    [b"content-type", b"content-transfer-encoding", b"content-md5", b"content-length", b"content-language"];

/// Fields that say what a thing is, and go with it when another takes its place.
const DROPPED_WITH_KIND: [&[u8]; 2] = [b"content-disposition", b"content-description"];

/// Parameters of Content-Disposition about the content.
const SIZES: [&[u8]; 4] = [b"size", b"creation-date", b"modification-date", b"read-date"];

#[cfg(test)]
mod tests {
    use super::super::{Decoder, Encoding};
    use super::*;

    fn decoded(encoding: Encoding, octets: &[u8]) -> Vec<u8> {
        let mut decoder = Decoder::of(encoding);
        let mut out = Vec::new();
        decoder.feed(octets, &mut out);
        decoder.finish(&mut out);
        out
    }

    #[test]
    fn what_is_encoded_comes_back() {
        let every: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let text = "From me\r\n-- \r\n.\r\n caf\u{e9}= \r\n\tlast \n\r".repeat(9);
        for content in [b"".as_slice(), b"a", b"ab", b"abc", &every, text.as_bytes(), &[b' '; 200], &[b'-'; 200]] {
            for (encoding, encode) in
                [(Encoding::Base64, base64 as fn(&[u8], &mut Vec<u8>)), (Encoding::QuotedPrintable, quoted_printable)]
            {
                let mut out = Vec::new();
                encode(content, &mut out);
                assert_eq!(decoded(encoding, &out), content);
                assert!(out.split(|octet| *octet == b'\n').all(|line| {
                    line.len() <= 77 && !line.starts_with(b"-") && !line.starts_with(b".") && !line.ends_with(b" ")
                }));
            }
        }
    }

    #[test]
    fn headers_are_rewritten() {
        let old = b"content-type: image/png;\r\n\tname=x\r\nContent-Disposition: attachment; filename=\"a;size=1\"; size=7\r\n\
            X-Own: kept\r\nContent-MD5: abc\r\nContent-Description: d\r\n\r\n";
        let check = |media_type: &str, content: &[u8], expected: &str| {
            let part = encoded_part(old, "image/png", media_type, content);
            assert_eq!(String::from_utf8_lossy(&part), expected);
        };
        check(
            "image/png",
            b"\x89PNG\x00\x01",
            "Content-Disposition: attachment; filename=\"a;size=1\"\r\nX-Own: kept\r\nContent-Description: d\r\n\
             Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORwAB",
        );
        check(
            "text/plain; charset=utf-8",
            "Gone: caf\u{e9}".as_bytes(),
            "X-Own: kept\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: quoted-printable\r\n\r\nGone: caf=C3=A9",
        );
    }

    #[test]
    fn media_types_are_checked() {
        for good in ["text/plain", "text/plain; charset=utf-8", "application/vnd.x+json"] {
            assert_eq!(media_type_problem(good), None, "{good}");
        }
        for bad in
            ["", "text", "text/", "/x", "te xt/plain", "text/plain\r\nBcc: x", "multipart/mixed", "Message/rfc822"]
        {
            assert!(media_type_problem(bad).is_some(), "{bad}");
        }
        assert!(media_type_problem(&format!("text/{}", "x".repeat(500))).is_some());
    }
}
