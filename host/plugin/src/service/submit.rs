//! `postgate:mail/submit`: messages handed over to relays (`relay.rs`) that the operator has set up and granted.
//!
//! `relay` passes the current message on with the envelope parameters of its client; `send` a message of the plugin's own, to which nothing is added.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use postgate_smtp::client::{Addressee, DeliverBy, Envelope, Hold, International, Outcome};
use postgate_smtp::{Body, Reply, decode_xtext, replies};

use super::ServiceId;
use crate::bindings::postgate::mail::submit::{Host, Submission};
use crate::bindings::postgate::mail::types::{self, EnhancedStatus, Mailbox, Parameter, ServiceError};
use crate::context::Transaction;
use crate::hook::Hook;
use crate::relay::{Content, Relay};
use crate::state::State;

/// What the operator has granted.
#[derive(Clone, Debug, Default)]
pub struct Grant {
    relays: BTreeMap<String, Arc<Relay>>,
    sent: Arc<Mutex<Sent>>,
}

/// Messages of a plugin's own within a minute.
#[derive(Debug, Default)]
struct Sent {
    minute: Option<Instant>,
    messages: u32,
}

impl Grant {
    /// These relays.
    pub fn new(relays: impl IntoIterator<Item = Arc<Relay>>) -> Self {
        let relays = relays.into_iter().map(|relay| (relay.name().to_owned(), relay)).collect();
        Self { relays, sent: Arc::default() }
    }

    fn relay(&self, name: &str) -> Result<Arc<Relay>, ServiceError> {
        let relay = self.relays.get(name).cloned();
        relay.ok_or_else(|| ServiceError::Denied(format!("the grant names no relay {name:?}")))
    }

    /// One more message of the plugin's own.
    fn count(&self) -> Result<(), ServiceError> {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.minute.is_none_or(|minute| minute.elapsed() >= Duration::from_secs(60)) {
            *sent = Sent { minute: Some(Instant::now()), messages: 0 };
        }
        if sent.messages >= SENT_A_MINUTE_MAX {
            return Err(ServiceError::Quota(format!("{SENT_A_MINUTE_MAX} messages of its own in a minute")));
        }
        sent.messages += 1;
        Ok(())
    }
}

impl PartialEq for Grant {
    fn eq(&self, other: &Self) -> bool {
        self.relays.keys().eq(other.relays.keys())
    }
}

impl Eq for Grant {}

impl Host for State {
    async fn relay(
        &mut self,
        name: String,
        recipients: Vec<Mailbox>,
    ) -> wasmtime::Result<Result<Vec<Submission>, ServiceError>> {
        let metered = match self.metered(ServiceId::Submit) {
            Ok(metered) => metered,
            Err(error) => return Ok(Err(error)),
        };
        let relay = self.facts.grants.submit.as_ref().map(|grant| grant.relay(&name));
        let relay = match relay.unwrap_or_else(|| Err(ServiceError::Denied("submit is not granted".to_owned()))) {
            Ok(relay) => relay,
            Err(error) => return Ok(Err(error)),
        };
        let disk = self.facts.disk.clone();
        // There is none while a plugin is asked about its configuration.
        let Some(context) = self.context.as_deref() else { return Ok(Err(ServiceError::NotNow)) };
        let (Hook::Deliver, Some(message), Some(transaction)) = (context.hook, &context.message, &context.transaction)
        else {
            return Ok(Err(ServiceError::NotNow));
        };
        if message.fields().filter(|(name, _)| name.eq_ignore_ascii_case(b"Received")).count() > HOPS_MAX {
            return Ok(Ok(recipients
                .iter()
                .map(|_| submission(&Outcome::Failed(replies::TOO_MANY_HOPS.clone())))
                .collect()));
        }
        let content = Content::Received(message.clone(), disk);
        let identity = context.session.identity.as_ref().map(|identity| identity.name.as_str());
        let envelope = match envelope(transaction, identity, &recipients, &content) {
            Ok(envelope) => envelope,
            Err(error) => return Ok(Err(error)),
        };
        metered.octets(usize::try_from(content.size()).unwrap_or(usize::MAX));
        Ok(Ok(relay.submit(envelope, &content).await.iter().map(submission).collect()))
    }

    async fn send(
        &mut self,
        name: String,
        reverse_path: Option<Mailbox>,
        recipients: Vec<Mailbox>,
        message: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<Submission>, ServiceError>> {
        let metered = match self.metered(ServiceId::Submit) {
            Ok(metered) => metered,
            Err(error) => return Ok(Err(error)),
        };
        // While it is asked about its configuration a plugin has nothing to say to anybody.
        if self.context.is_none() {
            return Ok(Err(ServiceError::NotNow));
        }
        let Some(grant) = self.facts.grants.submit.clone() else {
            return Ok(Err(ServiceError::Denied("submit is not granted".to_owned())));
        };
        let ready = || -> Result<(Arc<Relay>, Envelope, Content), ServiceError> {
            let relay = grant.relay(&name)?;
            check_own(&message).map_err(|what| ServiceError::Invalid(what.to_owned()))?;
            let content = Content::Own(Arc::new(message));
            let envelope = own_envelope(reverse_path.as_ref(), &recipients, &content)?;
            grant.count()?;
            Ok((relay, envelope, content))
        };
        let (relay, envelope, content) = match ready() {
            Ok(ready) => ready,
            Err(error) => return Ok(Err(error)),
        };
        metered.octets(usize::try_from(content.size()).unwrap_or(usize::MAX));
        Ok(Ok(relay.submit(envelope, &content).await.iter().map(submission).collect()))
    }
}

/// The envelope of the current message, with the parameters that its client gave.
fn envelope(
    transaction: &Transaction,
    identity: Option<&str>,
    recipients: &[Mailbox],
    content: &Content,
) -> Result<Envelope, ServiceError> {
    let value = |parameters: &[Parameter], keyword: &str| {
        parameters.iter().find(|parameter| parameter.keyword == keyword).and_then(|parameter| parameter.value.clone())
    };
    let has = |keyword: &str| transaction.parameters.iter().any(|parameter| parameter.keyword == keyword);
    let body = value(&transaction.parameters, "BODY").unwrap_or_default().to_ascii_uppercase();
    let mut envelope = own_envelope(transaction.reverse_path.as_ref(), recipients, content)?;
    if body == "BINARYMIME" {
        envelope.body = Body::BinaryMime;
    }
    envelope.utf8 = match (has("SMTPUTF8"), content.has_ascii_header()) {
        (false, _) => International::No,
        (true, true) => International::Declared,
        (true, false) => International::Needed,
    };
    envelope.require_tls = has("REQUIRETLS");
    envelope.priority = value(&transaction.parameters, "MT-PRIORITY");
    envelope.ret = value(&transaction.parameters, "RET");
    envelope.envelope_id = value(&transaction.parameters, "ENVID");
    envelope.submitter = value(&transaction.parameters, "AUTH").map(|value| vouched_for(value, identity));
    let by = value(&transaction.parameters, "BY").and_then(|value| DeliverBy::read(&value));
    envelope.deliver_by = by.map(|by| by.after(transaction.since.elapsed().as_secs()));
    let hold_for = value(&transaction.parameters, "HOLDFOR").map(Hold::For);
    envelope.hold = hold_for.or_else(|| value(&transaction.parameters, "HOLDUNTIL").map(Hold::Until));
    for (addressee, recipient) in envelope.recipients.iter_mut().zip(recipients) {
        let same = |known: &Mailbox| known.local_part == recipient.local_part && known.domain == recipient.domain;
        if let Some(accepted) = transaction.recipients.iter().find(|accepted| same(&accepted.mailbox)) {
            addressee.notify = value(&accepted.parameters, "NOTIFY");
            addressee.original = value(&accepted.parameters, "ORCPT");
        }
    }
    Ok(envelope)
}

/// The value of AUTH as we may pass it on (RFC 4954 section 5): nobody is believed who speaks of others than himself.
fn vouched_for(value: String, identity: Option<&str>) -> String {
    let is_own = identity.is_some() && decode_xtext(&value).as_deref() == identity;
    if is_own { value } else { "<>".to_owned() }
}

/// An envelope without parameters but those that the octets ask for.
fn own_envelope(
    reverse_path: Option<&Mailbox>,
    recipients: &[Mailbox],
    content: &Content,
) -> Result<Envelope, ServiceError> {
    if recipients.is_empty() || recipients.len() > RECIPIENTS_MAX {
        return Err(ServiceError::Invalid(format!("1 to {RECIPIENTS_MAX} recipients")));
    }
    let mailbox = |mailbox: &Mailbox| {
        let read = postgate_smtp::Mailbox::try_from(mailbox);
        read.map_err(|error| ServiceError::Invalid(format!("not a mailbox: {error:?}")))
    };
    Ok(Envelope {
        reverse_path: reverse_path.map(mailbox).transpose()?,
        recipients: recipients.iter().map(|known| mailbox(known).map(Addressee::new)).collect::<Result<_, _>>()?,
        size: Some(content.size()),
        body: if content.is_ascii() { Body::SevenBit } else { Body::EightBitMime },
        utf8: if content.has_ascii_header() { International::No } else { International::Needed },
        ..Envelope::default()
    })
}

/// RFC 5322 section 2.1: fields, an empty line, and lines that end with CRLF.
fn check_own(message: &[u8]) -> Result<(), &'static str> {
    if message.len() > OWN_BYTES_MAX {
        return Err("a message of more than 1 MiB");
    }
    if !message.ends_with(b"\r\n") {
        return Err("the last line does not end with CRLF");
    }
    let mut in_header = true;
    let mut fields = 0;
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        let Some(text) = line.strip_suffix(b"\r\n") else { return Err("a bare LF") };
        if text.iter().any(|octet| matches!(octet, b'\r' | 0)) {
            return Err("a bare CR or a NUL");
        }
        if text.len() > LINE_BYTES_MAX {
            return Err("a line of more than 998 octets");
        }
        match text {
            [] => in_header = false,
            [b' ' | b'\t', ..] if in_header && fields == 0 => return Err("the header section begins with white space"),
            [b' ' | b'\t', ..] => {}
            text if in_header => {
                let name = text.split(|octet| *octet == b':').next().unwrap_or_default();
                if name.is_empty() || name.len() == text.len() || !name.iter().all(|octet| matches!(octet, b'!'..=b'~'))
                {
                    return Err("a line of the header section is not a field");
                }
                fields += 1;
            }
            _ => {}
        }
    }
    if fields == 0 { Err("there is no header section") } else { Ok(()) }
}

fn submission(outcome: &Outcome) -> Submission {
    match outcome {
        Outcome::Taken(said) => Submission::Taken(reply(said)),
        Outcome::Failed(said) => Submission::Failed(reply(said)),
        Outcome::Deferred(said) => Submission::Deferred(reply(said)),
    }
}

/// As much of it as a plugin may answer with.
fn reply(said: &Reply) -> types::Reply {
    types::Reply {
        code: said.code(),
        enhanced: said.enhanced().map(|enhanced| EnhancedStatus {
            class: enhanced.class(),
            subject: enhanced.subject(),
            detail: enhanced.detail(),
        }),
        text: said.lines().take(LINES_MAX).map(str::to_owned).collect(),
    }
}

/// RFC 5321 section 6.3: a message that has seen more hosts is in a loop.
const HOPS_MAX: usize = 50;
const RECIPIENTS_MAX: usize = 100;
const OWN_BYTES_MAX: usize = 1 << 20;
/// RFC 5322 section 2.1.1.
const LINE_BYTES_MAX: usize = 998;
/// Messages of a plugin's own in a minute.
const SENT_A_MINUTE_MAX: u32 = 60;
/// What `types.reply` allows.
const LINES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_its_own() {
        for good in ["Subject: x\r\n\r\n", "Subject: x\r\n\ty\r\n\r\nbody\r\n.\r\n", "A:\r\n"] {
            assert_eq!(check_own(good.as_bytes()), Ok(()), "{good:?}");
        }
        let long = format!("Subject: {}\r\n\r\n", "x".repeat(1000));
        for bad in [
            "",
            "Subject: x",
            "Subject: x\n\r\n",
            "Subject: x\r\r\n",
            "\r\nbody\r\n",
            " a: b\r\n",
            "no field\r\n",
            "a b: c\r\n",
            "a: \0\r\n",
            &long,
        ] {
            assert!(check_own(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn whom_we_vouch_for() {
        let check = |value: &str, identity: Option<&str>, expected: &str| {
            assert_eq!(vouched_for(value.to_owned(), identity), expected, "{value} {identity:?}");
        };
        check("alice@example.org", Some("alice@example.org"), "alice@example.org");
        check("e+3Dmc2@example.org", Some("e=mc2@example.org"), "e+3Dmc2@example.org");
        check("bob@example.org", Some("alice@example.org"), "<>");
        check("alice@example.org", None, "<>");
        check("<>", Some("alice@example.org"), "<>");
    }

    #[test]
    fn so_many_in_a_minute() {
        let grant = Grant::default();
        assert!((0..SENT_A_MINUTE_MAX).all(|_| grant.count().is_ok()));
        assert!(matches!(grant.count(), Err(ServiceError::Quota(_))));
    }
}
