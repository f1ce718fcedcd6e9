//! Every function of the editor, with what must be seen at once through the context, and undone at the end.

use postgate_sdk::editor::EditError;
use postgate_sdk::{Mailbox, editor, mail_data, transaction};

/// What differed from the contract.
pub(crate) fn use_editor() -> Vec<String> {
    let mut surprises = Vec::new();
    for (what, result) in
        [("fields", fields()), ("body", body()), ("reverse-path", reverse_path()), ("recipients", recipients())]
    {
        match result {
            Ok(true) => {}
            Ok(false) => surprises.push(format!("{what}: not as edited")),
            Err(problem) => surprises.push(format!("{what}: {problem}")),
        }
    }
    surprises
}

fn fields() -> Result<bool, String> {
    let size = mail_data::size().map_err(debug)?;
    let values = || -> Result<Vec<Vec<u8>>, String> { mail_data::field("x-edited").map_err(debug) };
    editor::append_field("X-Edited", b"last").map_err(debug)?;
    editor::prepend_field("X-EDITED", b"first,\r\n\tfolded").map_err(debug)?;
    let added = values()? == [&b"first,\r\n\tfolded"[..], b"last"];
    let on_top = mail_data::header().map_err(debug)?.first().is_some_and(|field| field.name == "X-EDITED");
    let replaced = editor::replace_field("X-Edited", 1, b"replaced").map_err(debug)?;
    let missed = !editor::replace_field("X-Edited", 2, b"there is none").map_err(debug)?;
    let changed = values()? == [&b"first,\r\n\tfolded"[..], b"replaced"];
    let refused = matches!(editor::append_field("X-Edited", b"a\r\nBcc: b"), Err(EditError::Invalid(_)));
    let removed = editor::remove_fields("x-edited").map_err(debug)? == 2;
    let gone = values()?.is_empty() && mail_data::size().map_err(debug)? == size;
    Ok(added && on_top && replaced && missed && changed && refused && removed && gone)
}

fn body() -> Result<bool, String> {
    let (size, offset) = (mail_data::size().map_err(debug)?, mail_data::body_offset().map_err(debug)?);
    let length = size.checked_sub(offset).ok_or("the body begins behind the end")?;
    if length == 0 || length > BODY_MAX {
        return Ok(true);
    }
    let mut body = Vec::new();
    while (body.len() as u64) < length {
        let octets = mail_data::read(offset + body.len() as u64, WINDOW).map_err(debug)?;
        if octets.is_empty() {
            return Err(format!("mail-data ends {} octets into a body of {length}", body.len()));
        }
        body.extend(octets);
    }
    editor::replace_body(b"replaced\r\n").map_err(debug)?;
    let offset = mail_data::body_offset().map_err(debug)?;
    let changed = mail_data::read(offset, WINDOW).map_err(debug)? == b"replaced\r\n";
    editor::replace_body(&body).map_err(debug)?;
    let restored = mail_data::size().map_err(debug)? == size && body.len() as u64 == length;
    Ok(changed && restored)
}

fn reverse_path() -> Result<bool, String> {
    let before = transaction::reverse_path().map_err(debug)?;
    let other = mailbox("edited");
    editor::set_reverse_path(Some(&other)).map_err(debug)?;
    let changed = transaction::reverse_path().map_err(debug)?.as_ref() == Some(&other);
    editor::set_reverse_path(None).map_err(debug)?;
    let is_null = transaction::reverse_path().map_err(debug)?.is_none();
    editor::set_reverse_path(before.as_ref()).map_err(debug)?;
    Ok(changed && is_null && transaction::reverse_path().map_err(debug)? == before)
}

fn recipients() -> Result<bool, String> {
    let count = || transaction::recipients().map(|recipients| recipients.len()).map_err(debug);
    let before = count()?;
    let other = mailbox("edited");
    editor::add_recipient(&other).map_err(debug)?;
    editor::add_recipient(&other).map_err(debug)?;
    let added = count()? == before + 1;
    let removed = editor::remove_recipient(&other).map_err(debug)?;
    let missed = !editor::remove_recipient(&other).map_err(debug)?;
    Ok(added && removed && missed && count()? == before)
}

fn mailbox(local_part: &str) -> Mailbox {
    Mailbox { local_part: local_part.to_owned(), domain: "recorder.example".to_owned() }
}

fn debug(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}

/// Larger bodies are left alone.
const BODY_MAX: u64 = 1 << 20;
/// Octets in one call.
const WINDOW: u32 = 64 << 10;
