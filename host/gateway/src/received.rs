//! The Received field that the host puts on every message (RFC 5321 section 4.4).

use std::fmt::Write;
use std::net::IpAddr;

use postgate_plugin::{ClientHello, Greeting, SessionFacts};
use postgate_smtp::Mailbox;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// The field, folded, with its CRLF.
pub(crate) fn field(
    session: &SessionFacts,
    hostname: &str,
    transaction: &str,
    only_recipient: Option<&Mailbox>,
    utf8: Option<Utf8>,
    now: OffsetDateTime,
) -> Vec<u8> {
    let name = session.hello.as_ref().map_or("unknown", |hello| hello.name.as_str());
    let mut field = format!("Received: from {name} ({})\r\n", address_literal(session.remote.ip()));
    // Writing to a string does not fail.
    let _ = write!(field, "\tby {hostname} (Postgate) with {} id {transaction}", protocol(session, utf8));
    if let Some(recipient) = only_recipient {
        let _ = write!(field, "\r\n\tfor <{recipient}>");
    }
    // Every date of this era can be written so.
    let date = now.format(&Rfc2822).unwrap_or_default();
    let _ = write!(field, ";\r\n\t{date}\r\n");
    field.into_bytes()
}

/// That mailboxes and header fields may be in UTF-8.
#[derive(Clone, Copy)]
pub(crate) struct Utf8;

/// RFC 3848: ESMTP, and what was added to it; RFC 6531 section 4.3 for the names of SMTPUTF8.
fn protocol(session: &SessionFacts, utf8: Option<Utf8>) -> String {
    let greeting = session.hello.as_ref().map(|ClientHello { greeting, .. }| greeting);
    let name = match (greeting, utf8) {
        (None | Some(Greeting::Helo), _) => return "SMTP".to_owned(),
        (Some(Greeting::Ehlo), None) => "ESMTP",
        (Some(Greeting::Ehlo), Some(Utf8)) => "UTF8SMTP",
        (Some(Greeting::Lhlo), None) => "LMTP",
        (Some(Greeting::Lhlo), Some(Utf8)) => "UTF8LMTP",
    };
    let tls = if session.tls.is_some() { "S" } else { "" };
    let authenticated = if session.identity.is_some() { "A" } else { "" };
    format!("{name}{tls}{authenticated}")
}

/// RFC 5321 section 4.1.3.
fn address_literal(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("[{address}]"),
        IpAddr::V6(address) => format!("[IPv6:{address}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postgate_plugin::ClientIdentity;

    fn session(greeting: Greeting, remote: &str) -> SessionFacts {
        SessionFacts {
            id: "1".into(),
            listener: "smtp".into(),
            hostname: "mx.example.org".into(),
            remote: remote.parse().unwrap(),
            local: "127.0.0.1:25".parse().unwrap(),
            hello: Some(ClientHello { greeting, name: "client.example".into() }),
            tls: None,
            identity: None,
            early_talker: false,
            illegal_pipelining: 0,
        }
    }

    #[test]
    fn fields() {
        let mut facts = session(Greeting::Ehlo, "192.0.2.1:1000");
        facts.identity = Some(ClientIdentity { name: "alice".into(), mechanism: "PLAIN".into() });
        let to = "\"a b\"@example.org".parse().unwrap();
        let field = field(&facts, "mx.example.org", "1-1", Some(&to), None, OffsetDateTime::UNIX_EPOCH);
        assert_eq!(
            String::from_utf8(field).unwrap(),
            "Received: from client.example ([192.0.2.1])\r\n\tby mx.example.org (Postgate) with ESMTPA id 1-1\r\n\tfor \
             <\"a b\"@example.org>;\r\n\tThu, 01 Jan 1970 00:00:00 +0000\r\n"
        );
    }

    #[test]
    fn addresses_and_protocols() {
        let facts = session(Greeting::Helo, "[::ffff:192.0.2.7]:1");
        let of = |facts: &SessionFacts| {
            String::from_utf8(field(facts, "mx", "1", None, None, OffsetDateTime::UNIX_EPOCH)).unwrap()
        };
        assert!(of(&facts).contains("([192.0.2.7])"));
        assert!(of(&facts).contains("with SMTP id 1;"));
        assert!(
            of(&session(Greeting::Lhlo, "[2001:db8::1]:1"))
                .contains("([IPv6:2001:db8::1])\r\n\tby mx (Postgate) with LMTP ")
        );
    }
}
