//! The end of mail data: filters, then delivery with an outcome for each recipient.

use std::sync::Arc;

use postgate_smtp::Reply;

use super::{Run, call};
use crate::bindings::exports::postgate::mail::deliver::Outcome;
use crate::bindings::exports::postgate::mail::message::MessageVerdict;
use crate::context::{Context, Mailbox, VerdictKind};
use crate::failure::{Consequence, Failure};
use crate::hook::Hook;
use crate::message::Message;
use crate::reply::{Class, checked};

/// What becomes of a message before delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageDecision {
    /// Deliver it.
    Deliver,
    /// Refuse it with this reply.
    Refuse(Reply),
    /// Refuse it with this reply and close the connection.
    Disconnect(Reply),
    /// Say 250 and throw it away.
    Discard {
        /// Who said so.
        plugin: String,
        /// And why, for the log.
        reason: String,
    },
    /// Say 250 and keep it for a person.
    Quarantine {
        /// Letters, digits and `-`.
        label: String,
    },
}

/// What became of one recipient.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The recipient.
    pub recipient: Mailbox,
    /// Its fate.
    pub fate: Fate,
    /// The plugin that decided it; none where the host did.
    pub plugin: Option<String>,
}

/// The fate of a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Delivered.
    Delivered,
    /// It can't be, ever.
    Failed(Reply),
    /// It can't be now.
    Deferred(Reply),
    /// To be kept for a person, under this label.
    Quarantined(String),
}

impl Run {
    /// The message is complete: asks the filters. The message stays in the context until the transaction is closed.
    pub async fn message(&mut self, message: Message) -> MessageDecision {
        self.context_mut().message = Some(Arc::new(message));
        for turn in 0..self.turns(Hook::Message) {
            let position = self.position(Hook::Message, turn);
            let edits = self.edits();
            let answer = call!(self, position, Hook::Message, message.call_on_message());
            if self.edits() != edits {
                self.record(position, Hook::Message, VerdictKind::Edited, None);
            }
            let decision = self.judge_message(position, answer);
            if let Some(transaction) = &mut self.context_mut().transaction {
                transaction.undo = None;
            }
            if let Some(decision) = decision {
                match decision {
                    MessageDecision::Deliver => break,
                    MessageDecision::Refuse(_)
                    | MessageDecision::Disconnect(_)
                    | MessageDecision::Discard { .. }
                    | MessageDecision::Quarantine { .. } => return decision,
                }
            }
        }
        match self.context_mut().transaction.as_mut().and_then(|transaction| transaction.quarantine.take()) {
            Some(label) => MessageDecision::Quarantine { label },
            None => MessageDecision::Deliver,
        }
    }

    fn edits(&self) -> u32 {
        let transaction = self.context.as_deref().and_then(|context| context.transaction.as_ref());
        transaction.map_or(0, |transaction| transaction.edits)
    }

    fn judge_message(&mut self, position: usize, answer: Result<MessageVerdict, Failure>) -> Option<MessageDecision> {
        let plugin = self.entry(position).plugin.name().to_owned();
        let reply = |run: &Self, reply, class| checked(&reply, class).map_err(|detail| run.bad_answer(detail));
        let answer = answer.and_then(|verdict| match verdict {
            MessageVerdict::Next => Ok(None),
            MessageVerdict::Accept => Ok(Some((MessageDecision::Deliver, VerdictKind::Accepted))),
            MessageVerdict::Reject(given) => {
                let reply = reply(self, given, Class::Negative)?;
                Ok(Some((MessageDecision::Refuse(reply), VerdictKind::Rejected)))
            }
            MessageVerdict::Defer(given) => {
                let reply = reply(self, given, Class::Temporary)?;
                Ok(Some((MessageDecision::Refuse(reply), VerdictKind::Deferred)))
            }
            MessageVerdict::Disconnect(given) => {
                let reply = reply(self, given, Class::Negative)?;
                Ok(Some((MessageDecision::Disconnect(reply), VerdictKind::Disconnected)))
            }
            MessageVerdict::Discard(reason) => {
                let reason = reason.chars().take(MAX_REASON_CHARS).collect();
                Ok(Some((MessageDecision::Discard { plugin, reason }, VerdictKind::Discarded)))
            }
            MessageVerdict::Quarantine(label) if is_label(&label) => {
                Ok(Some((MessageDecision::Quarantine { label }, VerdictKind::Quarantined)))
            }
            MessageVerdict::Quarantine(label) => {
                Err(self.bad_answer(format!("{label:?} is not a label of letters, digits and '-'")))
            }
        });
        match answer {
            Ok(None) => None,
            Ok(Some((decision, kind))) => {
                self.record(position, Hook::Message, kind, None);
                Some(decision)
            }
            Err(failure) => match self.failed_message(position, &failure) {
                Consequence::Next | Consequence::Quarantine => None,
                Consequence::Refuse(reply) => Some(MessageDecision::Refuse(reply)),
                Consequence::Disconnect(reply) => Some(MessageDecision::Disconnect(reply)),
            },
        }
    }

    /// A plugin that failed has said nothing: its edits are taken back, too.
    fn failed_message(&mut self, position: usize, failure: &Failure) -> Consequence {
        let Context { transaction, message, .. } = self.context_mut();
        if let (Some(transaction), Some(message)) = (transaction, message.as_mut().map(Arc::make_mut))
            && let Some(undo) = transaction.undo.take()
        {
            message.restore(undo.edits);
            transaction.reverse_path = undo.reverse_path;
            transaction.recipients = undo.recipients;
            transaction.edit_bytes = undo.edit_bytes;
        }
        self.consequence(position, Hook::Message, failure, None)
    }

    /// Hands the message over: each plugin is asked about the recipients that nobody took before it, some at a time, so that each
    /// call has a deadline that it can keep. Closed world: who is left at the end is deferred.
    pub async fn deliver(&mut self) -> Vec<Delivery> {
        let mut waiting = self.recipients();
        let mut deliveries = Vec::with_capacity(waiting.len());
        for turn in 0..self.turns(Hook::Deliver) {
            if waiting.is_empty() {
                break;
            }
            let position = self.position(Hook::Deliver, turn);
            let fates = self.deliver_to(position, &waiting).await;
            let plugin = self.entry(position).plugin.name().to_owned();
            let mut left = Vec::new();
            for (recipient, fate) in waiting.into_iter().zip(fates) {
                match fate {
                    None => left.push(recipient),
                    Some(fate) => deliveries.push(Delivery { recipient, fate, plugin: Some(plugin.clone()) }),
                }
            }
            waiting = left;
        }
        let fate = if self.stands_in(Hook::Deliver) { Fate::Delivered } else { Fate::Deferred(NOBODY_DELIVERS) };
        let nobody = |recipient| Delivery { recipient, fate: fate.clone(), plugin: None };
        deliveries.extend(waiting.into_iter().map(nobody));
        deliveries
    }

    /// Asks one plugin about all of these recipients. When it fails, that is the fate of those that it has not answered for.
    async fn deliver_to(&mut self, position: usize, recipients: &[Mailbox]) -> Vec<Option<Fate>> {
        let mut fates = Vec::with_capacity(recipients.len());
        for portion in recipients.chunks(RECIPIENTS_A_CALL) {
            let answer = call!(self, position, Hook::Deliver, deliver.call_on_deliver(portion));
            match answer.and_then(|outcomes| self.fates(&outcomes, portion.len())) {
                Ok(portion) => fates.extend(portion),
                Err(failure) => {
                    let fate = self.fate_of_failure(position, &failure);
                    fates.resize(recipients.len(), fate);
                    break;
                }
            }
        }
        fates
    }

    /// The recipients of the open transaction, with the changes that plugins have made.
    pub fn recipients(&self) -> Vec<Mailbox> {
        let transaction = self.context.as_deref().and_then(|context| context.transaction.as_ref());
        let recipients = transaction.map(|transaction| transaction.recipients.as_slice()).unwrap_or_default();
        recipients.iter().map(|recipient| recipient.mailbox.clone()).collect()
    }

    /// The reverse-path of the open transaction, with the changes that plugins have made.
    pub fn reverse_path(&self) -> Option<&Mailbox> {
        self.context.as_deref()?.transaction.as_ref()?.reverse_path.as_ref()
    }

    /// One fate for each recipient; none where the next plugin is to be asked.
    fn fates(&self, outcomes: &[Outcome], recipients: usize) -> Result<Vec<Option<Fate>>, Failure> {
        if outcomes.len() != recipients {
            let detail = format!("{} outcomes for {recipients} recipients", outcomes.len());
            return Err(self.bad_answer(detail));
        }
        let reply = |reply, class| checked(reply, class).map_err(|detail| self.bad_answer(detail));
        let fates = outcomes.iter().map(|outcome| match outcome {
            Outcome::Next => Ok(None),
            Outcome::Delivered => Ok(Some(Fate::Delivered)),
            Outcome::Failed(given) => reply(given, Class::Permanent).map(|reply| Some(Fate::Failed(reply))),
            Outcome::Deferred(given) => reply(given, Class::Temporary).map(|reply| Some(Fate::Deferred(reply))),
        });
        fates.collect()
    }

    fn fate_of_failure(&mut self, position: usize, failure: &Failure) -> Option<Fate> {
        match self.consequence(position, Hook::Deliver, failure, None) {
            Consequence::Next => None,
            Consequence::Refuse(reply) if reply.code() >= 500 => Some(Fate::Failed(reply)),
            Consequence::Refuse(reply) | Consequence::Disconnect(reply) => Some(Fate::Deferred(reply)),
            Consequence::Quarantine => Some(Fate::Quarantined(super::FAILURE_LABEL.to_owned())),
        }
    }
}

fn is_label(label: &str) -> bool {
    (1..=64).contains(&label.len()) && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
}

/// Recipients that a plugin is asked about in one call: a delivery may take some ten milliseconds for each.
const RECIPIENTS_A_CALL: usize = 20;

const MAX_REASON_CHARS: usize = 200;

/// Closed world.
const NOBODY_DELIVERS: Reply = Reply::fixed(451, (4, 3, 0), "Nothing here delivers to this recipient now");
