//! Delivers to nowhere: every recipient of every message is answered for, and the message is gone.
//!
//! For tests and measurements. It needs no grant and has no configuration.

use postgate_sdk::hook::{Deliver, Outcome};
use postgate_sdk::{Mailbox, export};

struct Discard;

export!(Discard: deliver);

impl Deliver for Discard {
    fn on_deliver(recipients: Vec<Mailbox>) -> Vec<Outcome> {
        recipients.iter().map(|_gone| Outcome::Delivered).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_outcome_for_each_recipient() {
        let recipient = Mailbox { local_part: "alice".to_owned(), domain: "example.org".to_owned() };
        assert_eq!(Discard::on_deliver(vec![recipient.clone(), recipient]), [Outcome::Delivered, Outcome::Delivered]);
        assert!(Discard::on_deliver(Vec::new()).is_empty());
    }
}
