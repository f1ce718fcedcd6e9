//! The imports of a component, natively: the types are the generated ones, the functions ask the scene that is being played.
//!
//! Those that answer only what a test has told are in `services`. A function that is in neither is the generated one, which panics: there is no
//! host behind it.

#![allow(missing_docs, unreachable_pub, reason = "the generated imports are what is documented")]

use super::state::with;

pub use super::services::{mail_authentication, signing, sqlite, submit};

pub mod session {
    use super::with;
    pub use crate::bindings::imports::postgate::mail::session::*;

    pub fn id() -> String {
        "session-1".to_owned()
    }
    pub fn listener() -> String {
        "smtp".to_owned()
    }
    pub fn remote() -> Endpoint {
        with(|state| state.remote.clone())
    }
    pub fn local() -> Endpoint {
        Endpoint { address: "192.0.2.25".to_owned(), port: 25 }
    }
    pub fn hello() -> Option<ClientHello> {
        with(|state| state.hello.clone())
    }
    pub fn tls() -> Option<TlsLayer> {
        with(|state| state.tls.clone())
    }
    pub fn identity() -> Option<ClientIdentity> {
        with(|state| state.identity.clone())
    }
    pub fn early_talker() -> bool {
        with(|state| state.early_talker)
    }
    pub fn illegal_pipelining() -> u32 {
        0
    }
    pub fn note(name: &str) -> Option<String> {
        with(|state| state.notes.get(name).cloned())
    }
    pub fn set_note(name: &str, value: &str) -> Result<(), NoteError> {
        if name.is_empty() || name.len() > 64 || value.len() > 4096 {
            return Err(NoteError::TooLong);
        }
        with(|state| drop(state.notes.insert(name.to_owned(), value.to_owned())));
        Ok(())
    }
}

pub mod transaction {
    use super::with;
    pub use crate::bindings::imports::postgate::mail::transaction::*;
    use crate::testing::state::Transaction;

    fn known<T>(ask: impl FnOnce(&Transaction) -> T) -> Result<T, ContextError> {
        with(|state| state.transaction.as_ref().map(ask)).ok_or(ContextError::NotNow)
    }

    pub fn id() -> Result<String, ContextError> {
        known(|_| "session-1-1".to_owned())
    }
    pub fn reverse_path() -> Result<Option<Mailbox>, ContextError> {
        known(|transaction| transaction.reverse_path.clone())
    }
    pub fn parameters() -> Result<Vec<Parameter>, ContextError> {
        known(|transaction| transaction.parameters.clone())
    }
    pub fn recipients() -> Result<Vec<AcceptedRecipient>, ContextError> {
        known(|transaction| transaction.recipients.clone())
    }
    pub fn declared_size() -> Result<Option<u64>, ContextError> {
        known(|transaction| {
            let size = transaction.parameters.iter().find(|parameter| parameter.keyword == "SIZE");
            size.and_then(|size| size.value.as_deref()).and_then(|size| size.parse().ok())
        })
    }
    pub fn verdicts() -> Result<Vec<EarlierVerdict>, ContextError> {
        known(|_| Vec::new())
    }
}

pub mod mail_data {
    use super::with;
    pub use crate::bindings::imports::postgate::mail::mail_data::*;
    use crate::testing::message::Message;

    fn known<T>(ask: impl FnOnce(&Message) -> T) -> Result<T, ContextError> {
        with(|state| state.message.as_ref().map(ask)).ok_or(ContextError::NotNow)
    }

    pub fn size() -> Result<u64, ContextError> {
        known(|message| message.octets().len() as u64)
    }
    pub fn body_offset() -> Result<u64, ContextError> {
        known(|message| message.header().len() as u64)
    }
    pub fn header() -> Result<Vec<HeaderField>, ContextError> {
        let field = |(name, value): &(String, Vec<u8>)| HeaderField { name: name.clone(), value: value.clone() };
        known(|message| message.fields.iter().map(field).collect())
    }
    pub fn field(name: &str) -> Result<Vec<Vec<u8>>, ContextError> {
        known(|message| message.values(name))
    }
    pub fn read(offset: u64, length: u32) -> Result<Vec<u8>, ContextError> {
        let (offset, length) = (usize::try_from(offset).unwrap_or(usize::MAX), (length as usize).min(1 << 20));
        known(|message| message.octets().into_iter().skip(offset).take(length).collect())
    }
}

pub mod parts {
    use super::{mail_data, with};
    pub use crate::bindings::imports::postgate::mail::parts::*;

    pub fn field(name: &str) -> Result<Vec<String>, ContextError> {
        let unfolded = |value: Vec<u8>| String::from_utf8_lossy(&value).replace("\r\n", "");
        Ok(mail_data::field(name)?.into_iter().map(unfolded).collect())
    }
    pub fn all() -> Result<Vec<Part>, PartError> {
        mail_data::size().map_err(|_| PartError::NotNow)?;
        let told = with(|state| state.parts.clone());
        assert!(!told.is_empty(), "the scene was not told that: Scene::part");
        let whole = Part {
            number: 0,
            parent: None,
            media_type: "multipart/mixed".to_owned(),
            charset: None,
            file_name: None,
            attachment: false,
            content_id: None,
            size: 0,
        };
        let numbered = (1..).zip(told).map(|(number, (part, _))| Part { number, ..part });
        Ok(std::iter::once(whole).chain(numbered).collect())
    }
    pub fn content(part: u32, offset: u64, length: u32) -> Result<Vec<u8>, PartError> {
        all()?;
        let place = (part as usize).checked_sub(1).ok_or(PartError::NoSuchPart)?;
        let content = with(|state| state.parts.get(place).map(|(_, content)| content.clone()));
        let content = content.ok_or(PartError::NoSuchPart)?.into_iter();
        Ok(content.skip(usize::try_from(offset).unwrap_or(usize::MAX)).take(length as usize).collect())
    }
    pub fn text(part: u32) -> Result<String, PartError> {
        Ok(String::from_utf8_lossy(&content(part, 0, u32::MAX)?).into_owned())
    }
    pub fn addresses(name: &str) -> Result<Vec<NamedAddress>, ContextError> {
        let is_there = !mail_data::field(name)?.is_empty();
        let known = with(|state| state.addresses.clone()).into_iter();
        let known: Vec<_> =
            known.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, named)| named).collect();
        assert!(!is_there || !known.is_empty(), "the scene was not told that: Scene::address({name:?}, …)");
        Ok(known)
    }
}

pub mod editor {
    use super::with;
    pub use crate::bindings::imports::postgate::mail::editor::*;
    use crate::bindings::imports::postgate::mail::parts::Part;
    use crate::bindings::imports::postgate::mail::transaction::AcceptedRecipient;
    use crate::testing::message::Message;

    fn edit<T>(act: impl FnOnce(&mut Message) -> T) -> Result<T, EditError> {
        with(|state| state.message.as_mut().map(act)).ok_or(EditError::NotNow)
    }

    fn checked(name: &str, value: &[u8]) -> Result<(String, Vec<u8>), EditError> {
        let is_name = !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_graphic() && octet != b':');
        let lines = String::from_utf8_lossy(value).replace("\r\n ", "").replace("\r\n\t", "");
        if is_name && !lines.contains(['\r', '\n', '\0']) {
            Ok((name.to_owned(), value.to_owned()))
        } else {
            Err(EditError::Invalid(format!("not a field: {name}")))
        }
    }

    pub fn prepend_field(name: &str, value: &[u8]) -> Result<(), EditError> {
        insert_field(0, name, value)
    }
    pub fn append_field(name: &str, value: &[u8]) -> Result<(), EditError> {
        insert_field(u32::MAX, name, value)
    }
    pub fn insert_field(n: u32, name: &str, value: &[u8]) -> Result<(), EditError> {
        let field = checked(name, value)?;
        edit(|message| message.fields.insert((n as usize).min(message.fields.len()), field))
    }
    pub fn replace_field(name: &str, n: u32, value: &[u8]) -> Result<bool, EditError> {
        let (_, value) = checked(name, value)?;
        edit(|message| {
            let mut fields = message.fields.iter_mut().filter(|(known, _)| known.eq_ignore_ascii_case(name));
            fields.nth(n as usize).map(|(_, old)| *old = value).is_some()
        })
    }
    pub fn remove_fields(name: &str) -> Result<u32, EditError> {
        edit(|message| {
            let before = message.fields.len();
            message.fields.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            u32::try_from(before - message.fields.len()).unwrap_or(u32::MAX)
        })
    }
    pub fn replace_body(body: &[u8]) -> Result<(), EditError> {
        edit(|message| message.body = body.to_owned())
    }
    pub fn replace_part(part: u32, media_type: &str, content: &[u8]) -> Result<bool, EditError> {
        changed_part(part, |parts, place| {
            if let Some((part, old)) = parts.get_mut(place) {
                (part.media_type, part.size) = (media_type.to_owned(), content.len() as u64);
                *old = content.to_owned();
            }
        })
    }
    pub fn remove_part(part: u32) -> Result<bool, EditError> {
        changed_part(part, |parts, place| drop(parts.remove(place)))
    }

    fn changed_part(part: u32, change: impl FnOnce(&mut Vec<(Part, Vec<u8>)>, usize)) -> Result<bool, EditError> {
        edit(|_| ())?;
        with(|state| {
            assert!(!state.parts.is_empty(), "the scene was not told that: Scene::part");
            let place = (part as usize).checked_sub(1).filter(|place| *place < state.parts.len());
            if let Some(place) = place {
                change(&mut state.parts, place);
            }
            Ok(place.is_some())
        })
    }
    pub fn set_reverse_path(reverse_path: Option<&Mailbox>) -> Result<(), EditError> {
        edit(|_| ())?;
        with(|state| state.transaction().reverse_path = reverse_path.cloned());
        Ok(())
    }
    pub fn add_recipient(recipient: &Mailbox) -> Result<(), EditError> {
        edit(|_| ())?;
        with(|state| {
            let recipients = &mut state.transaction().recipients;
            if !recipients.iter().any(|known| known.mailbox == *recipient) {
                recipients.push(AcceptedRecipient { mailbox: recipient.clone(), parameters: Vec::new() });
            }
        });
        Ok(())
    }
    pub fn remove_recipient(recipient: &Mailbox) -> Result<bool, EditError> {
        edit(|_| ())?;
        with(|state| {
            let recipients = &mut state.transaction().recipients;
            let before = recipients.len();
            recipients.retain(|known| known.mailbox != *recipient);
            Ok(recipients.len() < before)
        })
    }
}

pub mod log {
    use super::with;
    pub use crate::bindings::imports::postgate::mail::log::*;

    pub fn write(level: Level, message: &str, fields: &[(String, String)]) {
        let level = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        let mut line = format!("{level} {message}");
        fields.iter().for_each(|(name, value)| line += &format!(" {name}={value}"));
        with(|state| state.log.push(line));
    }
}

pub mod config {
    use super::with;

    /// The whole table as a JSON object.
    pub fn table() -> String {
        with(|state| state.config.to_string())
    }
    /// One value, by its keys from the outside in.
    pub fn value(path: &[String]) -> Option<String> {
        with(|state| {
            let found = path.iter().try_fold(&state.config, |value, key| match key.parse::<usize>() {
                Ok(place) if value.is_array() => value.get(place),
                Ok(_) | Err(_) => value.get(key),
            })?;
            Some(found.as_str().map_or_else(|| found.to_string(), str::to_owned))
        })
    }
}

pub mod passwords {
    use super::with;
    pub use crate::bindings::imports::postgate::mail::passwords::*;

    pub fn verify(password: &str, hash: &str) -> Result<bool, PasswordError> {
        Ok(with(|state| state.passwords.get(hash).is_some_and(|right| right == password)))
    }
}

pub mod maildir {
    use super::with;
    pub use crate::bindings::imports::postgate::mail::maildir::*;

    pub fn store(path: &[String]) -> Result<(), MaildirError> {
        with(|state| {
            if state.message.is_none() {
                return Err(MaildirError::NotNow);
            }
            state.stored.push(path.join("/"));
            Ok(())
        })
    }
}

pub mod metrics {
    use crate::ServiceError;

    /// Adds to a counter.
    pub fn count(_name: &str, _labels: &[(String, String)], _by: u64) -> Result<(), ServiceError> {
        Ok(())
    }
    /// Sets a gauge.
    pub fn gauge(_name: &str, _labels: &[(String, String)], _value: f64) -> Result<(), ServiceError> {
        Ok(())
    }
    /// Adds one observation.
    pub fn observe(_name: &str, _labels: &[(String, String)], _value: f64) -> Result<(), ServiceError> {
        Ok(())
    }
}

pub mod secrets {
    use super::with;
    use crate::ServiceError;

    /// A secret that may be read.
    pub fn value(name: &str) -> Result<String, ServiceError> {
        with(|state| state.secrets.get(name).cloned()).ok_or_else(|| ServiceError::Denied(name.to_owned()))
    }
    /// HMAC-SHA-256 with a secret.
    pub fn hmac_sha256(name: &str, data: &[u8]) -> Result<Vec<u8>, ServiceError> {
        with(|state| {
            let known = state.hmacs.get(name).cloned();
            let known =
                known.ok_or_else(|| ServiceError::Denied(format!("the scene has no Scene::hmac({name:?}, …)")))?;
            state.hmac_signed.push((name.to_owned(), data.to_owned()));
            Ok(known)
        })
    }
}

pub mod key_value {
    use super::with;
    use crate::ServiceError;

    /// The value of a key.
    pub fn get(key: &str) -> Result<Option<Vec<u8>>, ServiceError> {
        Ok(with(|state| state.entries.get(key).cloned()))
    }
    /// Sets a value.
    pub fn set(key: &str, value: &[u8], _expires_after: Option<u32>) -> Result<(), ServiceError> {
        with(|state| drop(state.entries.insert(key.to_owned(), value.to_owned())));
        Ok(())
    }
    /// Deletes a key.
    pub fn delete(key: &str) -> Result<bool, ServiceError> {
        Ok(with(|state| state.entries.remove(key).is_some()))
    }
    /// Adds to a number.
    pub fn increment(key: &str, by: i64, _expires_after: Option<u32>) -> Result<i64, ServiceError> {
        with(|state| {
            let entry = state.entries.entry(key.to_owned()).or_insert_with(|| b"0".to_vec());
            let number = std::str::from_utf8(entry).ok().and_then(|text| text.parse::<i64>().ok());
            let number = number.and_then(|number| number.checked_add(by));
            let number = number.ok_or_else(|| ServiceError::Invalid("not a number".to_owned()))?;
            *entry = number.to_string().into_bytes();
            Ok(number)
        })
    }
    /// Sets a value if the old one is that which is expected.
    pub fn replace(
        key: &str,
        expected: Option<&[u8]>,
        value: &[u8],
        expires: Option<u32>,
    ) -> Result<bool, ServiceError> {
        if get(key)?.as_deref() != expected {
            return Ok(false);
        }
        set(key, value, expires).map(|()| true)
    }
    /// Keys in their order.
    pub fn keys(prefix: &str, after: Option<&str>) -> Result<Vec<String>, ServiceError> {
        let wanted = |key: &&String| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after);
        Ok(with(|state| state.entries.keys().filter(wanted).take(1000).cloned().collect()))
    }
}

pub mod fetch {
    use super::with;
    pub use crate::bindings::imports::postgate::mail::fetch::*;

    pub fn send(request: &Request) -> Result<Response, FetchError> {
        let answer = with(|state| state.fetch.take());
        let mut answer = answer.expect("the scene has no Scene::on_fetch");
        let response = answer(request);
        with(|state| state.fetch = Some(answer));
        response
    }
}

pub mod dns {
    use super::with;
    pub use crate::bindings::imports::postgate::mail::dns::*;

    fn records(name: &str, kinds: &[&str]) -> Result<Vec<String>, DnsError> {
        let name = name.to_ascii_lowercase();
        with(|state| {
            let mut known = state.records.iter().filter(|[known, _, _]| *known == name).peekable();
            if known.peek().is_none() {
                return Err(DnsError::NoSuchName);
            }
            Ok(known.filter(|[_, kind, _]| kinds.contains(&kind.as_str())).map(|[_, _, value]| value.clone()).collect())
        })
    }

    pub fn addresses(name: &str) -> Result<Vec<String>, DnsError> {
        records(name, &["A", "AAAA"])
    }
    pub fn texts(name: &str) -> Result<Vec<Vec<u8>>, DnsError> {
        Ok(records(name, &["TXT"])?.into_iter().map(String::into_bytes).collect())
    }
    pub fn mail_exchanges(name: &str) -> Result<Vec<MailExchange>, DnsError> {
        let exchange = |value: String| {
            let (preference, exchange) = value.split_once(' ').expect("an MX such as `10 mx.example.org`");
            MailExchange { preference: preference.parse().expect("a preference"), exchange: exchange.to_owned() }
        };
        Ok(records(name, &["MX"])?.into_iter().map(exchange).collect())
    }
    pub fn names(address: &str) -> Result<Vec<String>, DnsError> {
        records(address, &["PTR"])
    }
    pub fn confirmed_names(address: &str) -> Result<Vec<String>, DnsError> {
        let leads_back = |name: &String| addresses(name).is_ok_and(|found| found.iter().any(|found| found == address));
        Ok(names(address)?.into_iter().filter(leads_back).collect())
    }
    pub fn listings(subject: &str, zone: &str) -> Result<Vec<String>, DnsError> {
        match records(&format!("{subject}.{zone}"), &["LISTED"]) {
            Err(DnsError::NoSuchName) => Ok(Vec::new()),
            found => found,
        }
    }
}
