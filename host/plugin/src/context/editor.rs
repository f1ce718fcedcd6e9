//! `postgate:mail/editor`: changing the message and its envelope, in the `message` hook.
//!
//! Nothing that a guest writes may break the message for those who read it later: names, values and bodies are checked
//! here, and an edit that is not made says why.

use std::ops::Range;
use std::sync::Arc;

use super::{Transaction, Undo};
use crate::bindings::postgate::mail::editor::{EditError, Host};
use crate::bindings::postgate::mail::transaction::AcceptedRecipient;
use crate::bindings::postgate::mail::types::Mailbox;
use crate::hook::Hook;
use crate::message::{Message, Place, Rewrite};
use crate::mime::{self, Kind, Structure};
use crate::state::State;

type Edited<T> = wasmtime::Result<Result<T, EditError>>;

impl State {
    /// Makes one edit of so many octets, if it is the time for it and there is room.
    pub(crate) fn edit<T>(
        &mut self,
        octets: usize,
        make: impl FnOnce(&mut Transaction, &mut Message) -> Result<T, EditError>,
    ) -> Edited<T> {
        let limit_bytes = self.facts.limits.edit_bytes;
        let context = self.context()?;
        if context.hook != Hook::Message {
            return Ok(Err(EditError::NotNow));
        }
        let (Some(transaction), Some(message)) =
            (&mut context.transaction, context.message.as_mut().map(Arc::make_mut))
        else {
            return Ok(Err(EditError::NotNow));
        };
        if transaction.edits >= MAX_EDITS || transaction.edit_bytes.saturating_add(octets) > limit_bytes {
            return Ok(Err(EditError::Quota));
        }
        if transaction.undo.is_none() {
            transaction.undo = Some(Box::new(Undo {
                edits: message.edits(),
                reverse_path: transaction.reverse_path.clone(),
                recipients: transaction.recipients.clone(),
                edit_bytes: transaction.edit_bytes,
            }));
        }
        Ok(make(transaction, message).inspect(|_| {
            transaction.edits += 1;
            transaction.edit_bytes += octets;
        }))
    }

    /// The parts of the message, if it is the time for edits and they can be told.
    async fn parts_to_edit(&mut self) -> wasmtime::Result<Option<Arc<Structure>>> {
        if self.context()?.hook != Hook::Message {
            return Ok(None);
        }
        Ok(self.structure().await?.ok())
    }

    /// Why there are none.
    fn no_parts<T>(&mut self) -> Edited<T> {
        self.edit(0, |_, _| Err(EditError::Invalid("the message can't be taken apart".to_owned())))
    }

    /// Octets of the body, from the disk.
    async fn header_of(&mut self, range: Range<u64>) -> wasmtime::Result<Vec<u8>> {
        let message = self.context()?.message.as_deref().cloned();
        let permit = self.facts.disk.clone().acquire_owned().await?;
        let header = tokio::task::spawn_blocking(move || {
            let _held = permit;
            let mut header = Vec::new();
            message.map_or(Ok(()), |message| message.read_body(range, &mut header)).map(|()| header)
        });
        Ok(header.await??)
    }

    fn add_field(&mut self, name: &str, value: &[u8], place: Place) -> Edited<()> {
        self.edit(name.len() + value.len(), |_, message| {
            check_name(name)?;
            check_value(value)?;
            message.add_field(name, value, place);
            Ok(())
        })
    }
}

impl Host for State {
    fn prepend_field(&mut self, name: String, value: Vec<u8>) -> Edited<()> {
        self.add_field(&name, &value, Place::Top)
    }

    fn append_field(&mut self, name: String, value: Vec<u8>) -> Edited<()> {
        self.add_field(&name, &value, Place::End)
    }

    fn insert_field(&mut self, n: u32, name: String, value: Vec<u8>) -> Edited<()> {
        self.add_field(&name, &value, Place::Before(n))
    }

    async fn replace_part(&mut self, part: u32, media_type: String, content: Vec<u8>) -> Edited<bool> {
        if let Some(problem) = mime::media_type_problem(&media_type) {
            return Ok(Err(EditError::Invalid(format!("{media_type:?} is no media type for a part: {problem}"))));
        }
        let Some(structure) = self.parts_to_edit().await? else { return self.no_parts() };
        let Some(part) = structure.part(part).filter(|part| part.kind == Kind::Leaf && part.parent.is_some()) else {
            return self.edit(0, |_, _| Ok(false));
        };
        let Some(message) = self.context()?.message.as_deref() else { return Ok(Err(EditError::NotNow)) };
        let mut header = Vec::new();
        if message.is_in_memory() {
            message.read_body(part.header.clone(), &mut header)?;
        } else {
            header = self.header_of(part.header.clone()).await?;
        }
        let octets = mime::encoded_part(&header, &part.facts.media_type, &media_type, &content);
        self.edit(octets.len(), |_, message| {
            message.splice_body(part.header.start..part.content.end, octets);
            Ok(true)
        })
    }

    async fn remove_part(&mut self, part: u32) -> Edited<bool> {
        let Some(structure) = self.parts_to_edit().await? else { return self.no_parts() };
        let (Some(whole), Some(parent)) = (
            structure.part(part).and_then(|part| part.whole.clone()),
            structure.part(part).and_then(|part| part.parent),
        ) else {
            return self.edit(0, |_, _| Ok(false));
        };
        let header_start = structure.part(part).map_or(whole.end, |part| part.header.start);
        let content_end = structure.part(part).map_or(whole.end, |part| part.content.end);
        let (range, instead) = match structure.children(parent) {
            1 => (header_start..content_end, mime::EMPTY_PART.to_vec()),
            _ => (whole, Vec::new()),
        };
        self.edit(instead.len(), |_, message| {
            message.splice_body(range, instead);
            Ok(true)
        })
    }

    fn replace_field(&mut self, name: String, n: u32, value: Vec<u8>) -> Edited<bool> {
        self.edit(value.len(), |_, message| {
            check_name(&name)?;
            check_value(&value)?;
            let mut value = Some(value);
            let changed = message.rewrite_fields(&name, |at| match value.take_if(|_| at == n) {
                Some(value) => Rewrite::Value(value),
                None => Rewrite::Keep,
            });
            Ok(changed > 0)
        })
    }

    fn remove_fields(&mut self, name: String) -> Edited<u32> {
        self.edit(0, |_, message| {
            check_name(&name)?;
            Ok(message.rewrite_fields(&name, |_| Rewrite::Remove))
        })
    }

    fn replace_body(&mut self, body: Vec<u8>) -> Edited<()> {
        self.edit(body.len(), |transaction, message| {
            // What may have any octets when it comes may have them when it is edited (RFC 3030 section 3).
            if !transaction.is_binary() {
                check_lines(&body)?;
            }
            message.replace_body(body);
            Ok(())
        })
    }

    fn set_reverse_path(&mut self, reverse_path: Option<Mailbox>) -> Edited<()> {
        self.edit(0, |transaction, _| {
            transaction.reverse_path = reverse_path.map(checked).transpose()?;
            Ok(())
        })
    }

    fn add_recipient(&mut self, recipient: Mailbox) -> Edited<()> {
        self.edit(recipient.local_part.len() + recipient.domain.len(), |transaction, _| {
            let mailbox = checked(recipient)?;
            if transaction.recipients.len() >= MAX_RECIPIENTS {
                return Err(EditError::Quota);
            }
            if !transaction.recipients.iter().any(|known| same(&known.mailbox, &mailbox)) {
                transaction.recipients.push(AcceptedRecipient { mailbox, parameters: Vec::new() });
            }
            Ok(())
        })
    }

    fn remove_recipient(&mut self, recipient: Mailbox) -> Edited<bool> {
        self.edit(0, |transaction, _| {
            let before = transaction.recipients.len();
            transaction.recipients.retain(|known| !same(&known.mailbox, &recipient));
            Ok(transaction.recipients.len() < before)
        })
    }
}

/// Local parts are compared as they are (RFC 5321 section 2.4), domains without regard to case.
fn same(one: &Mailbox, other: &Mailbox) -> bool {
    one.local_part == other.local_part && one.domain.eq_ignore_ascii_case(&other.domain)
}

fn checked(mailbox: Mailbox) -> Result<Mailbox, EditError> {
    match postgate_smtp::Mailbox::try_from(&mailbox) {
        Ok(mailbox) => Ok(mailbox.into()),
        Err(error) => Err(EditError::Invalid(error.to_string())),
    }
}

fn check_name(name: &str) -> Result<(), EditError> {
    let legal = |octet: u8| (33..=126).contains(&octet) && octet != b':';
    if name.is_empty() || name.len() > MAX_FIELD_NAME_BYTES || !name.bytes().all(legal) {
        return Err(EditError::Invalid(format!("{name:?} is not the name of a header field")));
    }
    Ok(())
}

/// A field value: no NUL, and each CRLF is a fold (RFC 5322 section 2.2.3).
fn check_value(value: &[u8]) -> Result<(), EditError> {
    check_lines(value)?;
    let folds = memchr::memmem::find_iter(value, b"\r\n");
    for at in folds {
        if !matches!(value.get(at + 2), Some(b' ' | b'\t')) {
            return Err(EditError::Invalid("a CRLF in a field value has no white space behind it".to_owned()));
        }
    }
    Ok(())
}

/// No NUL, and CR and LF only together.
fn check_lines(octets: &[u8]) -> Result<(), EditError> {
    for at in memchr::memchr3_iter(b'\r', b'\n', 0, octets) {
        let before = at.checked_sub(1).and_then(|before| octets.get(before));
        let fault = match octets.get(at) {
            Some(b'\r') if octets.get(at + 1) != Some(&b'\n') => "a bare CR",
            Some(b'\n') if before != Some(&b'\r') => "a bare LF",
            Some(0) => "a NUL",
            _ => continue,
        };
        return Err(EditError::Invalid(format!("{fault} at octet {at}")));
    }
    Ok(())
}

/// Edits of one message.
const MAX_EDITS: u32 = 10_000;
/// Recipients of one message, those included that plugins add.
const MAX_RECIPIENTS: usize = 10_000;
const MAX_FIELD_NAME_BYTES: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_break_the_header_section() {
        for good in ["", "plain", "folded\r\n here", "folded\r\n\ttwice\r\n  over", "caf\u{e9}"] {
            assert!(check_value(good.as_bytes()).is_ok(), "{good:?}");
        }
        for bad in ["x\r\nBcc: y", "x\r\n", "x\ny", "x\ry", "x\0", "\r\n\r\n body", "x\r\r\n y"] {
            assert!(check_value(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_are_names() {
        assert!(check_name("X-Spam-Score").is_ok());
        for bad in ["", "a b", "a:", "a\r\nb", "caf\u{e9}", &"n".repeat(201)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
