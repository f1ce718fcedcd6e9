//! Messages that are kept for a person: a Maildir for each label below `quarantine` in the data directory.
//!
//! On top of the message stand its envelope and its identifier, so that it can be delivered by hand: `X-Postgate-Id`,
//! `X-Postgate-Reverse-Path`, and `X-Postgate-Recipient` for each recipient. Only those above the first Received are ours: below
//! it a sender may have written what he likes.

use std::fmt::Write;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use postgate_plugin::{Mailbox, Message, maildir};

/// Writes a message with its envelope on top; durable when it answers.
pub(crate) async fn keep(root: PathBuf, label: String, top: Vec<u8>, message: Arc<Message>) -> io::Result<()> {
    let write = move || maildir::store(&root, &root.join(label), &top, &message).map(drop);
    tokio::task::spawn_blocking(write).await.unwrap_or_else(|panicked| Err(io::Error::other(panicked)))
}

/// The fields that stand on top of a message that is kept.
pub(crate) fn envelope(id: &str, reverse_path: Option<&Mailbox>, recipients: &[Mailbox]) -> Vec<u8> {
    let path = |mailbox: &Mailbox| postgate_smtp::Mailbox::try_from(mailbox).map(|mailbox| mailbox.to_string());
    let reverse_path = reverse_path.and_then(|mailbox| path(mailbox).ok()).unwrap_or_default();
    // Writing to a string does not fail.
    let mut top = format!("X-Postgate-Id: {id}\r\nX-Postgate-Reverse-Path: <{reverse_path}>\r\n");
    for recipient in recipients.iter().filter_map(|mailbox| path(mailbox).ok()) {
        let _ = write!(top, "X-Postgate-Recipient: <{recipient}>\r\n");
    }
    top.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_stands_on_top() {
        let mailbox = |local_part: &str| Mailbox { local_part: local_part.into(), domain: "example.org".into() };
        let top = envelope("7", None, &[mailbox("a"), mailbox("b c")]);
        assert_eq!(
            String::from_utf8(top).unwrap(),
            "X-Postgate-Id: 7\r\nX-Postgate-Reverse-Path: <>\r\nX-Postgate-Recipient: <a@example.org>\r\n\
             X-Postgate-Recipient: <\"b c\"@example.org>\r\n"
        );
    }
}
