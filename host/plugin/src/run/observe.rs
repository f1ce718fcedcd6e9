//! Telling plugins what has happened.

pub use crate::bindings::exports::postgate::mail::observe::End;

use super::{Delivery, Fate, Run, call};
use crate::bindings::exports::postgate::mail::observe as wit;
use crate::failure::Policy;
use crate::hook::Hook;
use crate::witness::Failed;

/// Something that has happened and can't be changed.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The transaction was given up.
    TransactionReset,
    /// The transaction ended with these outcomes.
    TransactionOutcome(&'a [Delivery]),
    /// The message was taken and thrown away: every recipient's fate is `discarded`.
    TransactionDiscarded,
    /// The message was taken and kept for a person: every recipient's fate is `quarantined`.
    TransactionQuarantined,
    /// The session has ended.
    SessionEnd(End),
}

impl Run {
    /// Tells all plugins of the chain that observe. Failures go to the log and change nothing.
    pub async fn observe(&mut self, event: Event<'_>) {
        if let Some(witness) = &self.witness {
            let message = self.mail_data();
            witness.happened(event, message.as_deref(), &self.recipients());
        }
        if self.turns(Hook::Observe) == 0 {
            return;
        }
        let event = self.told(event);
        for turn in 0..self.turns(Hook::Observe) {
            let position = self.position(Hook::Observe, turn);
            if let Err(failure) = call!(self, position, Hook::Observe, observe.call_on_event(&event)) {
                let plugin = self.entry(position).plugin.clone();
                if let Some(witness) = &self.witness {
                    witness.failed(Failed::new(plugin.name(), Hook::Observe, &failure, Policy::Skip));
                }
                plugin.facts.calls.failed(Hook::Observe, failure.cause);
                failure.log(&plugin, Hook::Observe, &self.context_mut().session.id, Policy::Skip);
            }
        }
    }

    fn told(&self, event: Event<'_>) -> wit::Event {
        match event {
            Event::TransactionReset => wit::Event::TransactionReset,
            Event::SessionEnd(end) => wit::Event::SessionEnd(end),
            Event::TransactionDiscarded => self.all(wit::Fate::Discarded),
            Event::TransactionQuarantined => self.all(wit::Fate::Quarantined),
            Event::TransactionOutcome(deliveries) => {
                let fates = deliveries.iter().map(|delivery| wit::RecipientFate {
                    recipient: delivery.recipient.clone(),
                    fate: match delivery.fate {
                        Fate::Delivered => wit::Fate::Delivered,
                        Fate::Failed(_) => wit::Fate::Failed,
                        Fate::Deferred(_) => wit::Fate::Deferred,
                        Fate::Quarantined(_) => wit::Fate::Quarantined,
                    },
                    plugin: delivery.plugin.clone(),
                });
                wit::Event::TransactionOutcome(fates.collect())
            }
        }
    }

    fn all(&self, fate: wit::Fate) -> wit::Event {
        let recipients = self.recipients().into_iter();
        let fates = recipients.map(|recipient| wit::RecipientFate { recipient, fate, plugin: None });
        wit::Event::TransactionOutcome(fates.collect())
    }
}
