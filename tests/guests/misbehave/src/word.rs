//! What a hook without an argument of its own is told to do, by what the client has said earlier.

use postgate_sdk::{session, transaction};

/// The word behind the name of the hook and `-`, in the HELO name, the reverse-path or a recipient.
pub(crate) fn word_for(hook: &str) -> Option<String> {
    let hello = session::hello().map(|hello| hello.name.split('.').next().unwrap_or_default().to_owned());
    let reverse_path = transaction::reverse_path().ok().flatten().map(|mailbox| mailbox.local_part);
    let recipients = transaction::recipients().unwrap_or_default();
    let recipients = recipients.into_iter().map(|recipient| recipient.mailbox.local_part);
    hello
        .into_iter()
        .chain(reverse_path)
        .chain(recipients)
        .find_map(|said| said.strip_prefix(hook)?.strip_prefix('-').map(str::to_owned))
}
