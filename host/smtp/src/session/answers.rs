//! What the caller's answers lead to.

use super::{Asked, Identity, Reason, Refusal, Session, Stage, Standing};
use crate::chunk::Chunk;
use crate::data;
use crate::event::{Answer, Greeting};
use crate::replies;
use crate::reply::Reply;
use crate::transaction::Transaction;

/// An answer to a question that is about yes or no.
enum Verdict {
    Yes,
    Default,
    No(Refusal),
}

impl From<Answer> for Verdict {
    fn from(answer: Answer) -> Verdict {
        match answer {
            Answer::Yes => Verdict::Yes,
            Answer::Default => Verdict::Default,
            Answer::No(reply) if reply.is_negative() => Verdict::No(Refusal { reply, reason: Reason::Answer }),
            Answer::Close(reply) if reply.is_negative() => Verdict::No(Refusal { reply, reason: Reason::Close }),
            Answer::Close(_) => Verdict::No(Refusal { reply: replies::SHUTDOWN.clone(), reason: Reason::Close }),
            Answer::No(_)
            | Answer::Greet { .. }
            | Answer::Authenticated
            | Answer::AuthenticationFailed
            | Answer::AuthenticationUnavailable
            | Answer::Reply(_) => Verdict::mismatch(),
        }
    }
}

impl Verdict {
    /// An answer that does not fit its question.
    fn mismatch() -> Verdict {
        Verdict::No(Refusal { reply: replies::LOCAL_ERROR.clone(), reason: Reason::Answer })
    }
}

impl Session {
    /// Carries on with the answer; the stage is `Command` unless it says otherwise.
    pub(super) fn take_answer(&mut self, asked: Asked, answer: Answer) {
        match asked {
            Asked::Connect => self.connect_answered(answer.into()),
            Asked::Hello(greeting) => self.hello_answered(greeting, answer),
            Asked::Authenticate => self.authenticate_answered(answer),
            Asked::Mail => self.mail_answered(answer.into()),
            Asked::Recipient => self.recipient_answered(answer.into()),
            Asked::Data => self.data_answered(answer.into()),
            Asked::FirstChunk(chunk) => self.first_chunk_answered(chunk, answer.into()),
            Asked::Chunk(chunk) => self.chunk_answered(chunk, answer.into()),
            Asked::Message => self.message_answered(answer),
            Asked::Verify => self.text_answered(answer, &replies::CANNOT_VERIFY),
            Asked::Expand => self.text_answered(answer, &replies::NOT_IMPLEMENTED),
            Asked::Command { default } => self.text_answered(answer, default),
        }
    }

    /// RFC 5321 section 3.1: the banner is 220, or 554 with a client that is left with QUIT, or 421. RFC 2034 section 4: it has no
    /// enhanced code.
    fn connect_answered(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Yes | Verdict::Default => {
                self.output.extend_from_slice(b"220 ");
                self.output.extend_from_slice(self.config.hostname.as_str().as_bytes());
                self.output.extend_from_slice(b" ESMTP Postgate\r\n");
            }
            Verdict::No(Refusal { reply, reason }) => {
                let code = if reply.code() < 500 { 421 } else { 554 };
                self.standing = Standing::Unwelcome;
                self.refuse(&Refusal { reply: reply.with_plain_code(code), reason });
            }
        }
    }

    fn hello_answered(&mut self, greeting: Greeting, answer: Answer) {
        let (verdict, keywords) = match answer {
            Answer::Greet { keywords } => (Verdict::Yes, keywords),
            Answer::Yes
            | Answer::No(_)
            | Answer::Close(_)
            | Answer::Authenticated
            | Answer::AuthenticationFailed
            | Answer::AuthenticationUnavailable
            | Answer::Reply(_)
            | Answer::Default => (answer.into(), Vec::new()),
        };
        match verdict {
            Verdict::Yes | Verdict::Default => {
                // RFC 5321 section 4.1.4: a greeting within a session is also a RSET.
                self.reset();
                self.standing = match greeting {
                    Greeting::Helo => Standing::Helo,
                    Greeting::Ehlo => Standing::Ehlo,
                };
                self.greet(greeting, &keywords);
            }
            Verdict::No(Refusal { reply, reason }) => {
                let code = reply.code();
                self.refuse(&Refusal { reply: reply.with_plain_code(code), reason });
            }
        }
    }

    fn authenticate_answered(&mut self, answer: Answer) {
        let refusal = match answer {
            Answer::Authenticated => {
                self.identity = Identity::Proved;
                return self.reply(&replies::AUTHENTICATED);
            }
            Answer::AuthenticationFailed | Answer::Default => {
                Refusal { reply: replies::AUTHENTICATION_FAILED.clone(), reason: Reason::Error }
            }
            Answer::AuthenticationUnavailable => {
                Refusal { reply: replies::AUTHENTICATION_UNAVAILABLE.clone(), reason: Reason::Answer }
            }
            Answer::Yes | Answer::No(_) | Answer::Close(_) | Answer::Greet { .. } | Answer::Reply(_) => {
                match Verdict::from(answer) {
                    Verdict::No(refusal) => refusal,
                    Verdict::Yes | Verdict::Default => {
                        Refusal { reply: replies::LOCAL_ERROR.clone(), reason: Reason::Answer }
                    }
                }
            }
        };
        self.refuse(&refusal);
    }

    fn mail_answered(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Yes | Verdict::Default => {
                self.transaction = Some(Transaction::default());
                self.transactions = self.transactions.saturating_add(1);
                self.reply(&replies::SENDER_OK);
            }
            // A refused MAIL leads to no mail, and must not be repeated for ever.
            Verdict::No(refusal) if self.count_idle_command() => self.refuse(&refusal),
            Verdict::No(_) => {}
        }
    }

    fn recipient_answered(&mut self, verdict: Verdict) {
        let refusal = match verdict {
            Verdict::Yes => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.accept_recipient();
                }
                return self.reply(&replies::RECIPIENT_OK);
            }
            Verdict::Default => Refusal { reply: replies::RECIPIENT_REFUSED.clone(), reason: Reason::Answer },
            Verdict::No(refusal) => refusal,
        };
        if let Some(transaction) = &mut self.transaction {
            transaction.refuse_recipient();
        }
        // Whoever asks for one mailbox after the other is not sending mail.
        if self.count_idle_command() {
            self.refuse(&refusal);
        }
    }

    fn data_answered(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Yes | Verdict::Default => {
                self.reply(&replies::START_MAIL_DATA);
                self.stage = Stage::Data(data::Reader::new());
            }
            Verdict::No(refusal) => self.give_up(&refusal),
        }
    }

    fn first_chunk_answered(&mut self, chunk: Chunk, verdict: Verdict) {
        match verdict {
            Verdict::Yes | Verdict::Default => self.stage = Stage::ChunkAnnounced(chunk),
            Verdict::No(refusal) => self.skip(chunk.octets, refusal),
        }
    }

    fn chunk_answered(&mut self, chunk: Chunk, verdict: Verdict) {
        match verdict {
            Verdict::Yes | Verdict::Default => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.begin_chunks();
                }
                self.stage = Stage::Chunk { left: chunk.octets, last: chunk.last };
            }
            Verdict::No(refusal) => self.skip(chunk.octets, refusal),
        }
    }

    fn message_answered(&mut self, answer: Answer) {
        match answer {
            Answer::Yes => self.message_accepted(&replies::MESSAGE_OK),
            Answer::Reply(reply) if reply.is_positive() => self.message_accepted(&reply),
            Answer::Reply(reply) => self.give_up(&Refusal { reply, reason: Reason::Answer }),
            Answer::No(_)
            | Answer::Close(_)
            | Answer::Greet { .. }
            | Answer::Authenticated
            | Answer::AuthenticationFailed
            | Answer::AuthenticationUnavailable
            | Answer::Default => match Verdict::from(answer) {
                Verdict::No(refusal) => self.give_up(&refusal),
                // Nobody's opinion must not become a promise to deliver.
                Verdict::Yes | Verdict::Default => {
                    self.give_up(&Refusal { reply: replies::LOCAL_ERROR.clone(), reason: Reason::Answer });
                }
            },
        }
    }

    fn message_accepted(&mut self, reply: &Reply) {
        self.idle_commands = 0;
        self.transaction = None;
        self.reply(reply);
    }

    /// Refuses, and gives the transaction up.
    pub(super) fn give_up(&mut self, refusal: &Refusal) {
        self.reset();
        self.refuse(refusal);
    }

    fn text_answered(&mut self, answer: Answer, default: &'static Reply) {
        match answer {
            Answer::Reply(reply) if reply.code() != 421 => self.reply(&reply),
            Answer::Reply(reply) => self.refuse(&Refusal { reply, reason: Reason::Answer }),
            Answer::Default if default.is_positive() => self.reply(default),
            Answer::Default => self.error(default),
            Answer::Yes
            | Answer::No(_)
            | Answer::Close(_)
            | Answer::Greet { .. }
            | Answer::Authenticated
            | Answer::AuthenticationFailed
            | Answer::AuthenticationUnavailable => match Verdict::from(answer) {
                Verdict::No(refusal) => self.refuse(&refusal),
                Verdict::Yes | Verdict::Default => self.reply(&replies::LOCAL_ERROR),
            },
        }
    }
}
