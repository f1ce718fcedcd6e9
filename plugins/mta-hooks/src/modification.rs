//! Modifications become edits. The first that can't be made ends it, and the host takes the others back with the deferral that follows.

use postgate_sdk::{Mailbox, editor, mail_data};

use crate::protocol::Modification;

/// Makes all of them, in order; an error says which could not be.
pub(crate) fn apply(modifications: &[Modification]) -> Result<(), String> {
    modifications
        .iter()
        .try_for_each(|modification| one(modification).map_err(|why| format!("{modification:?}: {why}")))
}

fn one(modification: &Modification) -> Result<(), String> {
    let shown = |error: editor::EditError| format!("{error:?}");
    match modification {
        Modification::ChangeFrom { value } => {
            let reverse_path = bare(value);
            let mailbox = if reverse_path.is_empty() { None } else { Some(mailbox(reverse_path)?) };
            editor::set_reverse_path(mailbox.as_ref()).map_err(shown)
        }
        Modification::AddRecipient { value } => editor::add_recipient(&mailbox(bare(value))?).map_err(shown),
        Modification::DeleteRecipient { value } => {
            editor::remove_recipient(&mailbox(bare(value))?).map(drop).map_err(shown)
        }
        Modification::ReplaceContents { value } => editor::replace_body(crlf(value).as_bytes()).map_err(shown),
        Modification::AddHeader { name, value } => editor::append_field(name, folded(value).as_bytes()).map_err(shown),
        Modification::InsertHeader { index, name, value } => {
            editor::insert_field(*index, name, folded(value).as_bytes()).map_err(shown)
        }
        // As in milter, the first of a name is 1, and an empty value removes it.
        Modification::ChangeHeader { index, name, value } if value.trim().is_empty() => remove(name, *index),
        Modification::ChangeHeader { index, name, value } => {
            editor::replace_field(name, index.saturating_sub(1), folded(value).as_bytes()).map(drop).map_err(shown)
        }
        Modification::DeleteHeader { index, name } => remove(name, *index),
    }
}

/// Removes the n-th field of a name, and puts the others of that name back where they were.
fn remove(name: &str, n: u32) -> Result<(), String> {
    let header = mail_data::header().map_err(|error| format!("{error:?}"))?;
    let named = header.iter().enumerate().filter(|(_, field)| field.name.eq_ignore_ascii_case(name));
    let named: Vec<_> = named.map(|(place, field)| (place, field.name.clone(), field.value.clone())).collect();
    let removed = (n.max(1) - 1) as usize;
    let Some((gap, _, _)) = named.get(removed).cloned() else { return Ok(()) };
    editor::remove_fields(name).map_err(|error| format!("{error:?}"))?;
    for (at, (place, name, value)) in named.into_iter().enumerate() {
        if at == removed {
            continue;
        }
        let place = if place > gap { place - 1 } else { place };
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        editor::insert_field(place, &name, &value).map_err(|error| format!("{error:?}"))?;
    }
    Ok(())
}

fn bare(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text)
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    Mailbox::parse(text).ok_or_else(|| "not a mailbox".to_owned())
}

/// Lines of a body end in CRLF, whatever the filter wrote.
fn crlf(text: &str) -> String {
    let mut lines = text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
    if !lines.is_empty() && !lines.ends_with("\r\n") {
        lines.push_str("\r\n");
    }
    lines
}

/// A value in lines that continue it.
fn folded(value: &str) -> String {
    let lines = value.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\r\n\t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_and_values() {
        for (text, expected) in [("", ""), ("a", "a\r\n"), ("a\nb\r\nc\r", "a\r\nb\r\nc\r\n")] {
            assert_eq!(crlf(text), expected);
        }
        for (text, expected) in
            [("a", "a"), (" a\r\n", "a"), ("a\nEvil: x", "a\r\n\tEvil: x"), ("a\r\n\r\nb", "a\r\n\tb")]
        {
            assert_eq!(folded(text), expected);
        }
        assert_eq!(bare(" <a@b> "), "a@b");
    }
}
