//! The stages in which octets of a message come: DATA (RFC 5321 section 4.1.1.4) and BDAT (RFC 3030).

use super::{Asked, Reason, Refusal, Session, Stage};
use crate::chunk::{Chunk, ChunkError};
use crate::content::Fault;
use crate::data::Read;
use crate::event::{Close, Event, Question};
use crate::replies;
use crate::reply::Reply;

impl Session {
    pub(super) fn read_data<'a>(&mut self, input: &mut &'a [u8]) -> Option<Event<'a>> {
        let Stage::Data(reader) = &mut self.stage else {
            return None;
        };
        let read = reader.read(input, &self.config.limits);
        if matches!(read, Read::End(_)) {
            self.look_behind_octets(input);
        }
        match read {
            Read::Piece(piece) => Some(Event::MailData(piece)),
            Read::More => Some(Event::Wait),
            Read::End(None) => Some(self.ask(Asked::Message, Question::Message)),
            Read::End(Some(fault)) => {
                self.stage = Stage::Command;
                self.refuse_message(&Refusal::of(fault));
                None
            }
            Read::Endless(fault) => {
                self.close(fault.reply(), Close::TooManyErrors);
                None
            }
        }
    }

    pub(super) fn read_chunk<'a>(&mut self, input: &mut &'a [u8]) -> Option<Event<'a>> {
        let (Stage::Chunk { left, last }, Some(transaction)) = (&mut self.stage, &mut self.transaction) else {
            self.stage = Stage::Command;
            return None;
        };
        let message = transaction.begin_chunks();
        if *left > 0 {
            if input.is_empty() {
                return Some(Event::Wait);
            }
            return message.read(left, input, &self.config.limits).map(Event::MailData);
        }
        let last = *last;
        let fault = if last { message.end() } else { message.fault() };
        self.look_behind_octets(input);
        self.stage = Stage::Command;
        match fault {
            Some(fault) if last => self.refuse_message(&Refusal::of(fault)),
            Some(fault) => self.give_up(&Refusal::of(fault), 1),
            None if last => return Some(self.ask(Asked::Message, Question::Message)),
            None => self.reply(&replies::CHUNK_OK),
        }
        None
    }

    pub(super) fn skip_chunk<'a>(&mut self, input: &mut &'a [u8]) -> Option<Event<'a>> {
        let Stage::SkippedChunk { left, .. } = &mut self.stage else {
            return None;
        };
        let room = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
        *left -= room as u64;
        *input = input.get(room..).unwrap_or_default();
        if *left > 0 {
            return Some(Event::Wait);
        }
        self.look_behind_octets(input);
        if let Stage::SkippedChunk { refusal, copies, .. } = std::mem::replace(&mut self.stage, Stage::Command) {
            self.give_up(&refusal, copies);
        }
        None
    }

    /// Refuses a BDAT command, behind its octets.
    ///
    /// Where nobody knows how many these are, or where they are more than anyone should send in vain, the connection is closed: what follows
    /// would be taken for commands, and who wrote the message is not always who sends it.
    pub(super) fn refuse_chunk(&mut self, argument: &str, reply: &'static Reply) {
        let chunk = match Chunk::read(argument) {
            Ok(chunk) => chunk,
            Err(ChunkError::Keyword { octets }) => Chunk { octets, last: false },
            Err(ChunkError::Size) => return self.close(&replies::CHUNK_SIZE, Close::OutOfStep),
        };
        self.skip(chunk, Refusal { reply: reply.clone(), reason: Reason::Error });
    }

    /// Skips the octets of a refused chunk; the refusal follows (RFC 3030 section 2).
    pub(super) fn skip(&mut self, chunk: Chunk, refusal: Refusal) {
        let Chunk { octets, last } = chunk;
        if octets > self.config.limits.discarded_octets {
            return self.close(&refusal.reply, Close::OutOfStep);
        }
        // The last chunk of a transaction with recipients is replied to as the message is.
        let copies = if last { self.replies_to_message() } else { 1 };
        self.stage = Stage::SkippedChunk { left: octets, refusal, copies };
    }
}

impl Refusal {
    fn of(fault: Fault) -> Refusal {
        Refusal { reply: fault.reply().clone(), reason: Reason::Error }
    }
}
