//! XCLIENT and XFORWARD: what a listed proxy says of the client that it speaks for, as Postfix's XCLIENT_README and XFORWARD_README
//! describe it.

use std::net::IpAddr;

use crate::parameter::decode_xtext;
use crate::replies;
use crate::reply::Reply;

/// What a proxy has said of its client. None is what it has not said, or does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// The client's host name.
    pub name: Option<String>,
    /// Its address.
    pub address: Option<IpAddr>,
    /// Its port.
    pub port: Option<u16>,
    /// The name of its HELO or EHLO.
    pub helo: Option<String>,
    /// `SMTP` or `ESMTP`.
    pub protocol: Option<String>,
    /// Whom it has authenticated as (XCLIENT).
    pub login: Option<String>,
    /// The address that it has connected to (XCLIENT).
    pub destination_address: Option<IpAddr>,
    /// The port that it has connected to (XCLIENT).
    pub destination_port: Option<u16>,
    /// The identifier that the proxy has for the message (XFORWARD).
    pub ident: Option<String>,
    /// `LOCAL` or `REMOTE` (XFORWARD).
    pub source: Option<String>,
}

/// The attributes of XCLIENT, as the EHLO reply names them.
pub(crate) const XCLIENT: [&str; 8] = ["NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT"];
/// The attributes of XFORWARD, as the EHLO reply names them.
pub(crate) const XFORWARD: [&str; 7] = ["NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE"];

impl Forwarded {
    /// Reads attributes with their values as xtext; each of them once at most.
    pub(crate) fn read(argument: &str, known: &[&'static str]) -> Result<Forwarded, &'static Reply> {
        let malformed = &replies::ARGUMENT;
        let mut forwarded = Forwarded::default();
        let mut seen: Vec<&str> = Vec::new();
        for word in argument.split(' ').filter(|word| !word.is_empty()) {
            let (name, value) = word.split_once('=').ok_or(malformed)?;
            let name = known.iter().find(|known| known.eq_ignore_ascii_case(name)).ok_or(malformed)?;
            if seen.contains(name) {
                return Err(malformed);
            }
            seen.push(name);
            if value.eq_ignore_ascii_case("[UNAVAILABLE]") || value.eq_ignore_ascii_case("[TEMPUNAVAIL]") {
                continue;
            }
            let value = decode_xtext(value).filter(|value| !value.is_empty()).ok_or(malformed)?;
            forwarded.set(name, value).ok_or(malformed)?;
        }
        if seen.is_empty() { Err(malformed) } else { Ok(forwarded) }
    }

    fn set(&mut self, name: &str, value: String) -> Option<()> {
        match name {
            "NAME" => self.name = Some(value),
            "ADDR" => self.address = Some(address(&value)?),
            "PORT" => self.port = Some(value.parse().ok()?),
            "PROTO" => self.protocol = Some(value),
            "HELO" => self.helo = Some(value),
            "LOGIN" => self.login = Some(value),
            "DESTADDR" => self.destination_address = Some(address(&value)?),
            "DESTPORT" => self.destination_port = Some(value.parse().ok()?),
            "IDENT" => self.ident = Some(value),
            "SOURCE" => self.source = Some(value),
            _ => return None,
        }
        Some(())
    }
}

/// IPv6 has `IPV6:` in front.
fn address(text: &str) -> Option<IpAddr> {
    match text.split_at_checked(5).filter(|(tag, _)| tag.eq_ignore_ascii_case("IPV6:")) {
        Some((_, address)) => Some(IpAddr::V6(address.parse().ok()?)),
        None => Some(IpAddr::V4(text.parse().ok()?)),
    }
}
