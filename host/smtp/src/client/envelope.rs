//! What a message needs of the server, and the commands that say so: MAIL and RCPT with their parameters.
//!
//! A parameter goes along where the server offers its extension. Where it does not:
//!
//! | what | standard | without the extension |
//! |---|---|---|
//! | SIZE | RFC 1870 | left out; a message beyond the server's bound fails at once, 552 5.3.4 |
//! | BODY=8BITMIME | RFC 6152 | left out; if an octet beyond ASCII then comes up, the message fails, 554 5.6.3: nothing is converted |
//! | BODY=BINARYMIME | RFC 3030 | fails, 554 5.6.3 |
//! | SMTPUTF8 | RFC 6531 | left out if neither a mailbox nor the header section needs it; else 553 or 550 5.6.7 |
//! | RET, ENVID, NOTIFY, ORCPT | RFC 3461 | left out; an ORCPT beyond ASCII is written in ASCII where SMTPUTF8 is missing (RFC 6533 section 3) |
//! | MT-PRIORITY | RFC 6710 | left out |
//! | AUTH | RFC 4954 | left out; so it is where we have not authenticated |
//! | BY | RFC 2852 | left out with mode N, where nobody then warns of a delay; fails with mode R, 550 5.3.3, and where its time has passed, 550 5.4.7 |
//! | HOLDFOR, HOLDUNTIL | RFC 4865 | fails, 550 5.3.3: it would be released at once |
//! | REQUIRETLS | RFC 8689 | fails, 550 5.7.30; so it does in clear, and where the server's certificate was not verified |

use super::failure::Outcome;
use super::offer::Offer;
use super::settings::Config;
use crate::event::Body;
use crate::mailbox::Mailbox;
use crate::replies;
use crate::reply::Reply;

/// The envelope of a message to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// None is the null reverse-path.
    pub reverse_path: Option<Mailbox>,
    /// One or more.
    pub recipients: Vec<Addressee>,
    /// Octets of the message, for SIZE.
    pub size: Option<u64>,
    /// What kind of octets the message has. `SevenBit` promises that there are none beyond ASCII.
    pub body: Body,
    /// Whether the message is internationalized.
    pub utf8: International,
    /// REQUIRETLS.
    pub require_tls: bool,
    /// The value of MT-PRIORITY.
    pub priority: Option<String>,
    /// The value of RET.
    pub ret: Option<String>,
    /// The value of ENVID.
    pub envelope_id: Option<String>,
    /// The value of AUTH: who has submitted the message, as far as we can vouch for it, or `<>`.
    pub submitter: Option<String>,
    /// BY.
    pub deliver_by: Option<DeliverBy>,
    /// HOLDFOR or HOLDUNTIL.
    pub hold: Option<Hold>,
    /// Further parameters of MAIL, each as it is written, whatever the server offers. What they name is not said a second time.
    pub parameters: Vec<String>,
}

/// By when a message is to be delivered (RFC 2852 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliverBy {
    /// Seconds that are left; fewer than none where it is late.
    seconds: i64,
    /// Mode R: what is late comes back. Else, mode N, its sender is told.
    returns: bool,
    /// The flag T: each relay tells the sender.
    trace: bool,
}

impl DeliverBy {
    /// The value of BY, as a client wrote it.
    pub fn read(value: &str) -> Option<DeliverBy> {
        let (time, mode) = value.split_once(';')?;
        let seconds = time.parse().ok().filter(|seconds: &i64| seconds.abs() <= BY_SECONDS_MAX)?;
        let mode = mode.to_ascii_uppercase();
        let (returns, trace) = match mode.as_str() {
            "R" => (true, false),
            "RT" => (true, true),
            "N" => (false, false),
            "NT" => (false, true),
            _ => return None,
        };
        Some(DeliverBy { seconds, returns, trace })
    }

    /// What is left of it so many seconds later.
    #[must_use]
    pub fn after(self, seconds: u64) -> DeliverBy {
        let passed = i64::try_from(seconds).unwrap_or(BY_SECONDS_MAX);
        DeliverBy { seconds: self.seconds.saturating_sub(passed).max(-BY_SECONDS_MAX), ..self }
    }

    fn is_over(self) -> bool {
        self.returns && self.seconds <= 0
    }

    fn value(self) -> String {
        let mode = if self.returns { "R" } else { "N" };
        let trace = if self.trace { "T" } else { "" };
        format!("{};{mode}{trace}", self.seconds)
    }
}

/// Until when a message is to be held (RFC 4865 section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The value of HOLDFOR.
    For(String),
    /// The value of HOLDUNTIL.
    Until(String),
}

/// A recipient of a message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addressee {
    /// Who it is.
    pub mailbox: Mailbox,
    /// The value of NOTIFY.
    pub notify: Option<String>,
    /// The value of ORCPT.
    pub original: Option<String>,
    /// Further parameters of RCPT, each as it is written, whatever the server offers.
    pub parameters: Vec<String>,
}

impl Addressee {
    /// Without parameters.
    pub fn new(mailbox: Mailbox) -> Addressee {
        Addressee { mailbox, notify: None, original: None, parameters: Vec::new() }
    }
}

/// Whether a message is internationalized (RFC 6531). Mailboxes speak for themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum International {
    /// Nobody has said so.
    #[default]
    No,
    /// Its sender has said so, but its header section is ASCII.
    Declared,
    /// Its header section is in UTF-8.
    Needed,
}

impl Envelope {
    /// Why the message can't be sent to anybody on that server.
    pub(super) fn obstacle(&self, offer: &Offer, config: &Config, is_verified: bool) -> Option<&'static Reply> {
        let is_too_large = |max: u64| max > 0 && self.size.is_some_and(|size| size > max);
        if self.require_tls && !(offer.require_tls && is_verified) {
            Some(&replies::NEXT_HOP_WITHOUT_REQUIRETLS)
        } else if self.deliver_by.is_some_and(DeliverBy::is_over) {
            Some(&replies::DELIVER_BY_PASSED)
        } else if !offer.deliver_by && self.deliver_by.is_some_and(|by| by.returns) {
            Some(&replies::NEXT_HOP_WITHOUT_DELIVERBY)
        } else if !offer.future_release && self.hold.is_some() {
            Some(&replies::NEXT_HOP_WITHOUT_FUTURERELEASE)
        } else if !config.oversize && offer.size.is_some_and(is_too_large) {
            Some(&replies::NEXT_HOP_SIZE)
        } else if self.body == Body::BinaryMime && !(offer.binary_mime && offer.chunking) {
            Some(&replies::NEXT_HOP_CONVERSION)
        } else if !offer.smtp_utf8 && !self.reverse_path.as_ref().is_none_or(Mailbox::is_ascii) {
            Some(&replies::NEXT_HOP_UTF8_MAILBOX)
        } else if !offer.smtp_utf8 && self.utf8 == International::Needed {
            Some(&replies::NEXT_HOP_UTF8)
        } else {
            None
        }
    }

    /// Why it can't be sent to this recipient.
    pub(super) fn obstacle_for(&self, n: usize, offer: &Offer, recipients_max: usize) -> Option<Outcome> {
        let recipient = self.recipients.get(n)?;
        if !offer.smtp_utf8 && !recipient.mailbox.is_ascii() {
            Some(Outcome::of(replies::NEXT_HOP_UTF8_MAILBOX.clone()))
        } else if n >= recipients_max {
            Some(Outcome::of(replies::TOO_MANY_RECIPIENTS.clone()))
        } else {
            None
        }
    }

    fn needs_utf8(&self) -> bool {
        self.utf8 != International::No
            || !self.reverse_path.as_ref().is_none_or(Mailbox::is_ascii)
            || self.recipients.iter().any(|recipient| !recipient.mailbox.is_ascii())
    }

    /// The MAIL command.
    pub(super) fn mail(&self, offer: &Offer, is_authenticated: bool) -> String {
        let mut line = match &self.reverse_path {
            Some(mailbox) => format!("MAIL FROM:<{mailbox}>"),
            None => "MAIL FROM:<>".to_owned(),
        };
        if let Some(size) = self.size.filter(|_| offer.size.is_some() && !self.names("SIZE")) {
            line.push_str(&format!(" SIZE={size}"));
        }
        if !self.names("BODY") {
            match self.body {
                Body::BinaryMime => line.push_str(" BODY=BINARYMIME"),
                Body::EightBitMime if offer.eight_bit_mime => line.push_str(" BODY=8BITMIME"),
                Body::EightBitMime | Body::SevenBit => {}
            }
        }
        if offer.smtp_utf8 && self.needs_utf8() && !self.names("SMTPUTF8") {
            line.push_str(" SMTPUTF8");
        }
        if self.require_tls {
            line.push_str(" REQUIRETLS");
        }
        parameter(&mut line, "MT-PRIORITY", self.priority.as_deref().filter(|_| offer.mt_priority));
        parameter(&mut line, "RET", self.ret.as_deref().filter(|_| offer.dsn));
        parameter(&mut line, "ENVID", self.envelope_id.as_deref().filter(|_| offer.dsn));
        parameter(&mut line, "AUTH", self.submitter.as_deref().filter(|_| is_authenticated));
        let by = self.deliver_by.filter(|_| offer.deliver_by).map(DeliverBy::value);
        parameter(&mut line, "BY", by.as_deref());
        match &self.hold {
            Some(Hold::For(value)) => parameter(&mut line, "HOLDFOR", Some(value)),
            Some(Hold::Until(value)) => parameter(&mut line, "HOLDUNTIL", Some(value)),
            None => {}
        }
        further(&mut line, &self.parameters);
        line
    }

    /// Whether one of the further parameters is this one.
    fn names(&self, keyword: &str) -> bool {
        self.parameters.iter().any(|word| word.split('=').next().is_some_and(|name| name.eq_ignore_ascii_case(keyword)))
    }

    /// The RCPT command of a recipient.
    pub(super) fn rcpt(&self, n: usize, offer: &Offer) -> String {
        let Some(recipient) = self.recipients.get(n) else { return "NOOP".to_owned() };
        let mut line = format!("RCPT TO:<{}>", recipient.mailbox);
        parameter(&mut line, "NOTIFY", recipient.notify.as_deref().filter(|_| offer.dsn));
        let original = recipient.original.as_deref().filter(|_| offer.dsn);
        match original {
            Some(original) if !offer.smtp_utf8 && !original.is_ascii() => {
                parameter(&mut line, "ORCPT", Some(&in_ascii(original)));
            }
            Some(_) | None => parameter(&mut line, "ORCPT", original),
        }
        further(&mut line, &recipient.parameters);
        line
    }
}

/// An address of type `utf-8` in its form for servers without SMTPUTF8 (RFC 6533 section 3, `utf-8-addr-xtext`).
fn in_ascii(original: &str) -> String {
    let mut text = String::with_capacity(original.len());
    for character in original.chars() {
        match character.is_ascii() {
            true => text.push(character),
            false => text.push_str(&format!("\\x{{{:X}}}", u32::from(character))),
        }
    }
    text
}

/// Adds parameters as they are. What could be taken for another command is left out.
fn further(line: &mut String, words: &[String]) {
    for word in words.iter().filter(|word| is_parameter(word)) {
        line.push(' ');
        line.push_str(word);
    }
}

/// Whether this can stand in a command as a parameter: printable, without spaces, and of a bounded length.
pub fn is_parameter(word: &str) -> bool {
    let is_part = |character: char| matches!(character, '!'..='~') || character > '\u{9f}';
    !word.is_empty() && word.len() <= VALUE_OCTETS_MAX && word.chars().all(is_part)
}

/// Adds a parameter. A value that could be taken for something else (RFC 5321 section 4.1.2, `esmtp-value`) is left out.
fn parameter(line: &mut String, keyword: &str, value: Option<&str>) {
    let is_part = |character: char| matches!(character, '!'..='<' | '>'..='~') || character > '\u{9f}';
    let value =
        value.filter(|value| !value.is_empty() && value.len() <= VALUE_OCTETS_MAX && value.chars().all(is_part));
    if let Some(value) = value {
        line.push_str(&format!(" {keyword}={value}"));
    }
}

/// RFC 3461 section 4.2: 500 of ORCPT are the most of any.
const VALUE_OCTETS_MAX: usize = 500;
/// RFC 2852 section 4: nine digits.
const BY_SECONDS_MAX: i64 = 999_999_999;

#[cfg(test)]
mod tests {
    use super::DeliverBy;

    #[test]
    fn by_when() {
        let check = |value: &str, after: u64, expected: Option<&str>| {
            let found = DeliverBy::read(value).map(|by| by.after(after).value());
            assert_eq!(found.as_deref(), expected, "{value}");
        };
        check("120;R", 0, Some("120;R"));
        check("120;rt", 30, Some("90;RT"));
        check("+10;N", 11, Some("-1;N"));
        check("-999999999;NT", u64::MAX, Some("-999999999;NT"));
        for bad in ["", "120", "120;", "120;X", "x;R", "1000000000;R", "120;R;T"] {
            check(bad, 0, None);
        }
        assert!(DeliverBy::read("5;R").is_some_and(|by| by.after(5).is_over() && !by.after(4).is_over()));
        assert!(DeliverBy::read("5;N").is_some_and(|by| !by.after(9).is_over()));
    }
}
