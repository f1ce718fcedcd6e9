//! The replies to mail data.

use std::io;

use postgate_plugin::{Delivery, Fate, MessageError, maildir};
use postgate_smtp::{Answer, Enhanced, Mailbox, Reply};

/// Nobody knows what became of it: the client is to send it again.
pub(super) const NOT_DELIVERED: Reply =
    Reply::fixed(451, (4, 3, 0), "The message could not be delivered, try again later");
const DISK_FULL: Reply = Reply::fixed(452, (4, 3, 1), "Not enough room on disk, try again later");
const HEADER_CONTINUES: Reply = Reply::fixed(550, (5, 6, 0), "The first line of the message begins with white space");
const HEADER_BARE: Reply = Reply::fixed(550, (5, 6, 0), "Bare CR, bare LF or NUL in the header section");
const HEADER_TOO_LONG: Reply = Reply::fixed(552, (5, 3, 4), "The header section is too long");

/// The message is safe.
pub(super) fn taken(id: &str) -> Reply {
    let text = format!("Taken as {id}");
    Reply::new(250, Enhanced::new(2, 0, 0), &[text]).unwrap_or(NOT_DELIVERED)
}

/// Mail data could not be kept while it came in.
pub(super) fn not_kept(error: &MessageError) -> Reply {
    match error {
        MessageError::HeaderTooLong => HEADER_TOO_LONG,
        MessageError::HeaderContinues => HEADER_CONTINUES,
        MessageError::HeaderBare => HEADER_BARE,
        MessageError::Disk(error) => not_written(error),
    }
}

/// A disk did not take the message.
pub(super) fn not_written(error: &io::Error) -> Reply {
    if maildir::is_full(error) { DISK_FULL } else { NOT_DELIVERED }
}

/// One reply for all recipients.
pub(super) fn of_deliveries(id: &str, deliveries: &[Delivery]) -> Answer {
    match worst(id, deliveries) {
        Ok(reply) => Answer::Reply(reply),
        Err(refusal) => Answer::No(refusal),
    }
}

/// The worst outcome speaks; an error refuses. A message without any recipient left is nobody's, and deferred.
fn worst(id: &str, deliveries: &[Delivery]) -> Result<Reply, Reply> {
    let mut failed = None;
    let mut delivered = false;
    for Delivery { fate, .. } in deliveries {
        match fate {
            Fate::Deferred(reply) => return Err(reply.clone()),
            Fate::Failed(reply) => failed = failed.or(Some(reply)),
            Fate::Delivered | Fate::Quarantined(_) => delivered = true,
        }
    }
    match (failed, delivered) {
        (Some(reply), _) => Err(reply.clone()),
        (None, true) => Ok(taken(id)),
        (None, false) => Err(NOT_DELIVERED),
    }
}

/// A reply for each accepted recipient (RFC 2033 section 4.2). One that a plugin has put others in the place of hears the worst of
/// all.
pub(super) fn of_recipients(id: &str, accepted: &[Mailbox], deliveries: &[Delivery]) -> Answer {
    let own = |mailbox: &Mailbox| {
        let is_own = |delivery: &&Delivery| Mailbox::try_from(&delivery.recipient).is_ok_and(|own| own == *mailbox);
        let own: Vec<_> = deliveries.iter().filter(is_own).cloned().collect();
        worst(id, if own.is_empty() { deliveries } else { &own }).unwrap_or_else(|refusal| refusal)
    };
    Answer::PerRecipient(accepted.iter().map(own).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_outcome_speaks() {
        let failed = Fate::Failed(Reply::fixed(550, (5, 1, 1), "No"));
        let deferred = Fate::Deferred(Reply::fixed(450, (4, 2, 1), "Later"));
        for (fates, code) in [
            (vec![Fate::Delivered], 250),
            (vec![Fate::Delivered, Fate::Quarantined("x".into())], 250),
            (vec![Fate::Delivered, failed.clone()], 550),
            (vec![failed, Fate::Delivered, deferred], 450),
            (vec![], 451),
        ] {
            let recipient = postgate_plugin::Mailbox { local_part: "a".into(), domain: "example.org".into() };
            let delivery = |fate| Delivery { recipient: recipient.clone(), fate, plugin: None };
            let deliveries: Vec<_> = fates.into_iter().map(delivery).collect();
            let answer = of_deliveries("1", &deliveries);
            let (Answer::No(reply) | Answer::Reply(reply)) = answer else { panic!("{answer:?}") };
            assert_eq!(reply.code(), code, "{deliveries:?}");
        }
    }
}
