//! One mail transaction: commands in groups (RFC 2920), their replies in order, the mail data, and an outcome for each recipient.

use std::collections::VecDeque;
use std::time::Duration;

use super::envelope::Envelope;
use super::failure::{Failure, Outcome};
use super::mail_data::{Form, Writer};
use super::reader::Heard;
use super::{Client, Patience, Stage, Stop};
use crate::config::Protocol;
use crate::event::Body;
use crate::replies;
use crate::reply::Reply;

/// A transaction under way.
#[derive(Debug)]
pub(super) struct Transaction {
    envelope: Envelope,
    /// Commands that are not said yet.
    to_say: VecDeque<Step>,
    /// Commands without a reply, the oldest first.
    asked: VecDeque<Step>,
    /// None while a recipient's fate is open.
    outcomes: Vec<Option<Outcome>>,
    /// Recipients that the server has accepted.
    accepted: Vec<usize>,
    mail_data: MailData,
    /// Mail data goes by BDAT.
    in_chunks: bool,
}

/// What a reply is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Reset,
    Mail,
    Recipient(usize),
    Data,
    /// A chunk that is not the last.
    Chunk,
    /// The end of mail data; for one recipient where LMTP is spoken.
    End,
    EndFor(usize),
    /// The end of mail data that nobody is to get.
    Nothing,
}

/// Where the mail data stands.
#[derive(Debug)]
enum MailData {
    NotYet,
    Sending(Writer),
    Sent,
}

impl Transaction {
    /// Whether the caller is to give mail data. Without PIPELINING each chunk is waited for.
    pub(super) fn wants_mail_data(&self, pipelining: bool) -> bool {
        let is_room = self.asked.is_empty() || (pipelining && self.asked.len() < CHUNKS_ASKED_MAX);
        matches!(self.mail_data, MailData::Sending(_)) && is_room
    }

    pub(super) fn patience(&self, patience: &Patience) -> Duration {
        match (&self.mail_data, self.asked.front()) {
            (MailData::Sending(_), _) => patience.piece,
            (MailData::Sent, _) => patience.end,
            (MailData::NotYet, Some(Step::Data)) => patience.data,
            (MailData::NotYet, _) => patience.command,
        }
    }

    /// The outcomes where the connection ends here. RFC 1047: without a reply to the end of mail data nobody knows whether the server has the message; it is sent again, and
    /// perhaps twice.
    pub(super) fn broken_off(self, failure: &Failure) -> Vec<Outcome> {
        let reply = match (&self.mail_data, failure) {
            (MailData::Sent, Failure::Lost | Failure::Timeout) => replies::NEXT_HOP_UNKNOWN.clone(),
            (MailData::NotYet | MailData::Sending(_) | MailData::Sent, _) => failure.reply(),
        };
        self.outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|| Outcome::of(reply.clone()))).collect()
    }

    /// Recipients whose fate is open get this one.
    fn settle(&mut self, reply: &Reply) {
        for outcome in self.outcomes.iter_mut().filter(|outcome| outcome.is_none()) {
            *outcome = Some(Outcome::of(reply.clone()));
        }
    }

    fn settle_one(&mut self, n: usize, reply: Reply) {
        if let Some(outcome @ None) = self.outcomes.get_mut(n) {
            *outcome = Some(Outcome::of(reply));
        }
    }

    fn is_settled(&self) -> bool {
        self.outcomes.iter().all(Option::is_some)
    }

    /// A chunk was refused: no further ones are wanted, and the replies to those that are under way change nothing.
    fn drop_mail_data(&mut self) {
        if matches!(self.mail_data, MailData::Sending(_)) {
            self.mail_data = MailData::Sent;
        }
    }
}

impl Client {
    /// Begins a transaction, where [`Event::Ready`](super::Event::Ready) was said; else nothing happens. Its outcome follows.
    pub fn begin(&mut self, envelope: Envelope) {
        if !matches!(self.stage, Stage::Ready) {
            return;
        }
        let recipients_max = self.recipients_max();
        let mut transaction = Transaction {
            to_say: VecDeque::new(),
            asked: VecDeque::new(),
            outcomes: vec![None; envelope.recipients.len()],
            accepted: Vec::new(),
            mail_data: MailData::NotYet,
            in_chunks: self.config.chunks || envelope.body == Body::BinaryMime,
            envelope,
        };
        if let Some(obstacle) = transaction.envelope.obstacle(&self.offer, &self.config, self.is_verified()) {
            transaction.settle(obstacle);
        }
        for (n, outcome) in transaction.outcomes.iter_mut().enumerate().filter(|(_, outcome)| outcome.is_none()) {
            *outcome = transaction.envelope.obstacle_for(n, &self.offer, recipients_max);
        }
        if transaction.is_settled() {
            return self.finish(transaction);
        }
        if self.dirty {
            transaction.to_say.push_back(Step::Reset);
        }
        transaction.to_say.push_back(Step::Mail);
        let open = transaction.outcomes.iter().enumerate().filter(|(_, outcome)| outcome.is_none());
        if self.config.stop != Some(Stop::Mail) {
            transaction.to_say.extend(open.map(|(n, _)| Step::Recipient(n)));
        }
        if !transaction.in_chunks && self.goes_on_to_mail_data() {
            transaction.to_say.push_back(Step::Data);
        }
        self.dirty = true;
        self.transactions = self.transactions.saturating_add(1);
        self.go_on(Box::new(transaction));
    }

    /// Says what may be said now.
    fn go_on(&mut self, mut transaction: Box<Transaction>) {
        while transaction.asked.is_empty() || self.pipelines() {
            let Some(step) = transaction.to_say.pop_front() else { break };
            match step {
                Step::Reset => self.say("RSET"),
                Step::Mail => self.say(&transaction.envelope.mail(&self.offer, self.authenticated)),
                Step::Recipient(n) => self.say(&transaction.envelope.rcpt(n, &self.offer)),
                Step::Data => self.say("DATA"),
                // Those are said where their octets are.
                Step::Chunk | Step::End | Step::EndFor(_) | Step::Nothing => {}
            }
            transaction.asked.push_back(step);
        }
        if transaction.asked.is_empty() && matches!(transaction.mail_data, MailData::NotYet | MailData::Sent) {
            // Nothing is left to say and to hear: BDAT needs no question, or it is over.
            if transaction.in_chunks && !transaction.is_settled() && matches!(transaction.mail_data, MailData::NotYet) {
                transaction.mail_data = MailData::Sending(Writer::new(Form::Chunks));
            } else {
                transaction.settle(&replies::NEXT_HOP_PROTOCOL);
                return self.finish(*transaction);
            }
        }
        self.stage = Stage::Transaction(transaction);
    }

    /// The outcome of a transaction is known, and the connection may go on.
    fn finish(&mut self, transaction: Transaction) {
        let unknown = || Outcome::of(replies::NEXT_HOP_PROTOCOL.clone());
        self.outcome = Some(transaction.outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(unknown)).collect());
        self.stage = Stage::Ready;
    }

    /// A reply within a transaction.
    pub(super) fn transact(&mut self, mut transaction: Box<Transaction>, heard: &Heard) {
        let Some(step) = transaction.asked.pop_front() else { return self.early(transaction, heard) };
        let is_intermediate = (300..400).contains(&heard.code);
        if is_intermediate && (step != Step::Data || heard.code != 354) {
            return self.out_of_step(transaction);
        }
        match step {
            Step::Reset if heard.is_positive() => {}
            Step::Reset => {
                self.stage = Stage::Transaction(transaction);
                return self.fail(Failure::Refused(heard.reply()));
            }
            Step::Mail if heard.is_positive() => {
                if self.config.stop == Some(Stop::Mail) {
                    transaction.settle(&heard.reply());
                }
            }
            Step::Mail | Step::Chunk if !heard.is_positive() => {
                transaction.settle(&heard.reply());
                transaction.to_say.clear();
                transaction.drop_mail_data();
            }
            Step::Recipient(n) if heard.is_positive() => {
                if self.config.stop == Some(Stop::Recipient) {
                    transaction.settle_one(n, heard.reply());
                } else if transaction.outcomes.get(n).is_some_and(Option::is_none) {
                    transaction.accepted.push(n);
                }
            }
            Step::Recipient(n) => {
                transaction.settle_one(n, heard.reply());
                if transaction.is_settled() {
                    transaction.to_say.clear();
                }
            }
            Step::Data if heard.code == 354 => return self.data_accepted(transaction),
            Step::Data if heard.is_positive() => return self.out_of_step(transaction),
            Step::Data | Step::End => transaction.settle(&heard.reply()),
            Step::EndFor(n) => transaction.settle_one(n, heard.reply()),
            Step::Mail | Step::Chunk | Step::Nothing => {}
        }
        self.go_on(transaction);
    }

    /// Whether mail data follows the recipients.
    fn goes_on_to_mail_data(&self) -> bool {
        !matches!(self.config.stop, Some(Stop::Mail | Stop::Recipient))
    }

    fn out_of_step(&mut self, transaction: Box<Transaction>) {
        self.stage = Stage::Transaction(transaction);
        self.fail(Failure::OutOfStep);
    }

    /// A reply while mail data is being sent. A refusal holds, for the server has not heard the end; anything else can't be, for the same reason. Either way nobody
    /// knows what the server would take the rest for, and the connection ends.
    fn early(&mut self, mut transaction: Box<Transaction>, heard: &Heard) {
        if heard.code < 400 {
            return self.out_of_step(transaction);
        }
        transaction.settle(&heard.reply());
        self.stage = Stage::Transaction(transaction);
        self.fail(Failure::Refused(heard.reply()));
    }

    fn data_accepted(&mut self, mut transaction: Box<Transaction>) {
        if transaction.accepted.is_empty() || transaction.is_settled() {
            // RFC 2920 section 3.1: an empty message, which the server has nobody to give to.
            self.output.extend_from_slice(b".\r\n");
            self.journal.end(1);
            transaction.asked.push_back(Step::Nothing);
        } else {
            let form = match self.offer.eight_bit_mime || self.offer.smtp_utf8 {
                true => Form::Lines,
                false => Form::SevenBitLines,
            };
            transaction.mail_data = MailData::Sending(Writer::new(form));
        }
        self.stage = Stage::Transaction(transaction);
    }

    /// The next octets of the message. What can't be sent ends the connection: the message must not arrive in part.
    pub fn mail_data(&mut self, octets: &[u8]) {
        let Stage::Transaction(transaction) = &mut self.stage else { return };
        let is_chunk = transaction.in_chunks && !octets.is_empty();
        let MailData::Sending(writer) = &mut transaction.mail_data else { return };
        match writer.write(octets, &mut self.output) {
            Ok(()) if is_chunk => {
                transaction.asked.push_back(Step::Chunk);
                self.journal.chunk(octets.len(), false, 1);
            }
            Ok(()) => self.journal.mail_data(octets.len()),
            Err(reply) => self.give_up(reply),
        }
    }

    /// The message is whole.
    pub fn end_mail_data(&mut self) {
        self.last_mail_data(&[]);
    }

    /// The last octets of the message, which is then whole. In chunks, those are the last one.
    pub fn last_mail_data(&mut self, octets: &[u8]) {
        let Stage::Transaction(transaction) = &mut self.stage else { return };
        let MailData::Sending(writer) = &mut transaction.mail_data else { return };
        if let Err(reply) = writer.last(octets, &mut self.output) {
            return self.give_up(reply);
        }
        let is_chunked = writer.is_chunked();
        transaction.mail_data = MailData::Sent;
        let asked = transaction.asked.len();
        match self.config.protocol {
            Protocol::Smtp => transaction.asked.push_back(Step::End),
            // RFC 2033 section 4.2: one for each that was accepted, in their order.
            Protocol::Lmtp => transaction.asked.extend(transaction.accepted.iter().map(|n| Step::EndFor(*n))),
        }
        let replies = transaction.asked.len() - asked;
        if is_chunked {
            self.journal.chunk(octets.len(), true, replies);
        } else {
            self.journal.mail_data(octets.len());
            self.journal.end(replies);
        }
    }

    /// The caller can't read the message any further.
    pub fn abort_mail_data(&mut self) {
        self.give_up(&replies::LOCAL_ERROR);
    }

    /// The message can't be sent to its end, and the server must not take what it has got for the whole.
    fn give_up(&mut self, reply: &Reply) {
        if let Stage::Transaction(transaction) = &mut self.stage {
            transaction.settle(reply);
            self.output.clear();
            self.fail(Failure::Abandoned(reply.clone()));
        }
    }
}

/// Chunks that are under way at the same time.
const CHUNKS_ASKED_MAX: usize = 8;
