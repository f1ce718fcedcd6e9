//! The value of an Authentication-Results field (RFC 8601), written and, as far as its author goes, read.

use std::net::IpAddr;

use super::Signed;
use crate::bindings::postgate::mail::mail_authentication::{
    ArcResult, DmarcPolicy, DmarcResult, IprevResult, ResultCode, SpfResult,
};

/// All that is told.
pub(crate) struct Results {
    pub(crate) client: IpAddr,
    pub(crate) iprev: IprevResult,
    pub(crate) spf: SpfResult,
    pub(crate) dkim: Vec<Signed>,
    pub(crate) dmarc: DmarcResult,
    pub(crate) arc: ArcResult,
}

/// The value, folded, one result in a line. What others have written stands in it as a token or in quotes, never as it is.
pub(crate) fn results(hostname: &str, results: &Results) -> String {
    let Results { client, iprev, spf, dkim, dmarc, arc } = results;
    let mut parts = vec![value(hostname)];
    let mut part = |text: String| parts.push(text);
    let names = iprev.name.as_ref().map(|name| format!(" ({})", comment(name))).unwrap_or_default();
    part(format!("iprev={}{names} policy.iprev={}", word(iprev.code), value(&client.to_string())));
    let identity = if spf.is_hello { "smtp.helo" } else { "smtp.mailfrom" };
    part(format!("spf={} {identity}={}", word(spf.code), value(&spf.domain)));
    for Signed { result, begin } in dkim {
        let reason = result.reason.as_ref().map(|reason| format!(" ({})", comment(reason))).unwrap_or_default();
        let mut text = format!("dkim={}{reason}", word(result.code));
        if !result.domain.is_empty() {
            text.push_str(&format!(" header.d={}\r\n\t header.s={}", value(&result.domain), value(&result.selector)));
            text.push_str(&format!(" header.a={} header.b={}", value(&result.algorithm), value(begin)));
        }
        part(text);
    }
    if dkim.is_empty() {
        part("dkim=none".to_owned());
    }
    let policy = dmarc.policy.map(|policy| format!(" (p={})", policy_word(policy))).unwrap_or_default();
    let from = if dmarc.domain.is_empty() { String::new() } else { format!(" header.from={}", value(&dmarc.domain)) };
    part(format!("dmarc={}{policy}{from}", word(dmarc.code)));
    let sealer = arc.domain.as_ref().map(|domain| format!(" (as.{}.d={})", arc.sets, comment(domain)));
    let sealer = sealer.filter(|_| arc.code == ResultCode::Pass).unwrap_or_default();
    part(format!("arc={}{sealer}", word(arc.code)));
    parts.join(";\r\n\t")
}

fn word(code: ResultCode) -> &'static str {
    match code {
        ResultCode::None => "none",
        ResultCode::Pass => "pass",
        ResultCode::Fail => "fail",
        ResultCode::Softfail => "softfail",
        ResultCode::Neutral => "neutral",
        ResultCode::Policy => "policy",
        ResultCode::Temperror => "temperror",
        ResultCode::Permerror => "permerror",
    }
}

fn policy_word(policy: DmarcPolicy) -> &'static str {
    match policy {
        DmarcPolicy::None => "none",
        DmarcPolicy::Quarantine => "quarantine",
        DmarcPolicy::Reject => "reject",
    }
}

/// A token of RFC 2045, or a quoted string.
fn value(text: &str) -> String {
    let text: String = text.chars().map(printable).take(MAX_VALUE_CHARS).collect();
    if !text.is_empty() && text.bytes().all(is_token) {
        return text;
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The inside of a comment.
fn comment(text: &str) -> String {
    let inner = text.chars().map(printable).map(|c| if matches!(c, '(' | ')' | '\\') { '?' } else { c });
    inner.take(MAX_VALUE_CHARS).collect()
}

fn printable(character: char) -> char {
    if matches!(character, ' '..='~') { character } else { '?' }
}

fn is_token(octet: u8) -> bool {
    octet.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&octet)
}

/// Whether the value of an Authentication-Results field claims to be written by a host of that name. What can't be read does not.
pub(crate) fn is_ours(value: &[u8], hostname: &str) -> bool {
    let mut rest = skip_comments(value);
    let mut id = Vec::new();
    if let Some(quoted) = rest.strip_prefix(b"\"") {
        let mut octets = quoted.iter();
        while let Some(octet) = octets.next() {
            match octet {
                b'"' => break,
                b'\\' => id.extend(octets.next()),
                b'\r' | b'\n' => {}
                octet => id.push(*octet),
            }
        }
    } else {
        while let Some((octet, behind)) = rest.split_first() {
            if octet.is_ascii_whitespace() || matches!(octet, b';' | b'(') {
                break;
            }
            id.push(*octet);
            rest = behind;
        }
    }
    let id = id.strip_suffix(b".").unwrap_or(&id);
    id.trim_ascii().eq_ignore_ascii_case(hostname.as_bytes())
}

/// What stands behind comments and white space (RFC 5322 section 3.2.2).
fn skip_comments(value: &[u8]) -> &[u8] {
    let (mut depth, mut at) = (0_u32, 0);
    while let Some(octet) = value.get(at) {
        match octet {
            b'(' => depth += 1,
            b')' if depth > 0 => depth -= 1,
            b'\\' if depth > 0 => at += 1,
            octet if depth == 0 && !octet.is_ascii_whitespace() => break,
            _ => {}
        }
        at += 1;
    }
    value.get(at..).unwrap_or_default()
}

/// Of one value that others have written.
const MAX_VALUE_CHARS: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_break_out() {
        for (text, expected) in [
            ("example.org", "example.org"),
            ("2001:db8::1", "\"2001:db8::1\""),
            ("a;b", "\"a;b\""),
            ("a\r\nBcc: x", "\"a??Bcc: x\""),
            ("a\"b\\", "\"a\\\"b\\\\\""),
            ("caf\u{e9}", "\"caf?\""),
            ("", "\"\""),
        ] {
            assert_eq!(value(text), expected);
        }
        assert_eq!(comment("a) dkim=pass (\r\n"), "a? dkim=pass ???");
        assert_eq!(value(&"x".repeat(1000)).len(), MAX_VALUE_CHARS);
    }

    #[test]
    fn forgeries_are_recognised() {
        for ours in [
            "mx.example.org; dkim=pass",
            " MX.Example.ORG;none",
            "\r\n\tmx.example.org 1; none",
            "(a (nested\\)) comment) mx.example.org(x); spf=pass",
            "\"mx.example.org\"; none",
            "\"mx\\.example.org\"; none",
            "mx.example.org.; none",
            "mx.example.org",
        ] {
            assert!(is_ours(ours.as_bytes(), "mx.example.org"), "{ours:?}");
        }
        for other in
            ["", "mx.example.com; none", "smx.example.org;", "(mx.example.org) x.example;", "(unclosed mx.example.org"]
        {
            assert!(!is_ours(other.as_bytes(), "mx.example.org"), "{other:?}");
        }
    }
}
