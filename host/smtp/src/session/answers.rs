//! What the caller's answers lead to.

use super::{Asked, Attempt, Identity, Reason, Refusal, Session, Stage, Standing};
use crate::chunk::Chunk;
use crate::config::Protocol;
use crate::data;
use crate::event::{Answer, Close, Greeting};
use crate::replies;
use crate::reply::Reply;
use crate::sasl::Exchange;
use crate::sasl::scram::{self, ScramKeys};
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
            | Answer::ScramKeys(_)
            | Answer::PerRecipient(_)
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
            Asked::Starttls => self.starttls_answered(answer.into()),
            Asked::Authenticate(attempt) => self.authenticate_answered(attempt, answer),
            Asked::Proved(proof) => self.proof_answered(proof, answer),
            Asked::Mail { body, utf8 } => self.mail_answered(Transaction::new(body, utf8), answer.into()),
            Asked::Recipient => self.recipient_answered(answer.into()),
            Asked::Data => self.data_answered(answer.into()),
            Asked::FirstChunk(chunk) => self.first_chunk_answered(chunk, answer.into()),
            Asked::Chunk(chunk) => self.chunk_answered(chunk, answer.into()),
            Asked::Message => self.message_answered(answer),
            Asked::Verify { utf8 } => self.text_answered(permitted(answer, utf8), &replies::CANNOT_VERIFY),
            Asked::Expand { utf8 } => self.text_answered(permitted(answer, utf8), &replies::NOT_IMPLEMENTED),
            Asked::Xclient { has_login } => self.xclient_answered(has_login, answer.into()),
            Asked::Xforward => self.xforward_answered(answer.into()),
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
                let greeting: &[u8] = match self.config.protocol {
                    Protocol::Smtp => b" ESMTP Postgate\r\n",
                    Protocol::Lmtp => b" LMTP Postgate\r\n",
                };
                self.output.extend_from_slice(greeting);
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
            | Answer::ScramKeys(_)
            | Answer::PerRecipient(_)
            | Answer::Reply(_)
            | Answer::Default => (answer.into(), Vec::new()),
        };
        match verdict {
            Verdict::Yes | Verdict::Default => {
                // RFC 5321 section 4.1.4: a greeting within a session is also a RSET.
                self.reset();
                self.standing = match greeting {
                    Greeting::Helo => Standing::Helo,
                    Greeting::Ehlo | Greeting::Lhlo => Standing::Ehlo,
                };
                self.greet(greeting, &keywords);
            }
            Verdict::No(Refusal { reply, reason }) => {
                let code = reply.code();
                self.refuse(&Refusal { reply: reply.with_plain_code(code), reason });
            }
        }
    }

    fn starttls_answered(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Yes | Verdict::Default => {
                self.reply(&replies::READY_FOR_TLS);
                self.stage = Stage::TlsAnnounced;
            }
            Verdict::No(refusal) => self.refuse(&refusal),
        }
    }

    /// Another client has come, so to speak: it is asked about, and greeted by a banner.
    fn xclient_answered(&mut self, has_login: bool, verdict: Verdict) {
        match verdict {
            Verdict::Yes | Verdict::Default => {
                self.stage = Stage::Connected;
                self.standing = Standing::New;
                self.illegal_pipelining = 0;
                self.identity = if has_login { Identity::Proved } else { Identity::Unknown };
            }
            Verdict::No(refusal) => self.refuse(&refusal),
        }
    }

    fn xforward_answered(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Yes | Verdict::Default => self.reply(&replies::OK),
            Verdict::No(refusal) => self.refuse(&refusal),
        }
    }

    fn authenticate_answered(&mut self, attempt: Attempt, answer: Answer) {
        let unavailable = || Refusal { reply: replies::AUTHENTICATION_UNAVAILABLE.clone(), reason: Reason::Answer };
        let refusal = match (attempt, answer) {
            (Attempt::Last | Attempt::Token(_), Answer::Authenticated) => {
                self.identity = Identity::Proved;
                return self.reply(&replies::AUTHENTICATED);
            }
            (Attempt::Keys(first), Answer::ScramKeys(keys)) if keys.are_fit() => match self.prove(*first, Some(keys)) {
                Some(()) => return,
                None => unavailable(),
            },
            (Attempt::Keys(_), Answer::ScramKeys(_)) => unavailable(),
            (Attempt::Keys(first), Answer::AuthenticationFailed | Answer::Default) => match self.prove(*first, None) {
                Some(()) => return,
                None => unavailable(),
            },
            (Attempt::Token(mechanism), Answer::AuthenticationFailed | Answer::Default) => {
                return self.challenge(Exchange::TokenRefused(mechanism));
            }
            (Attempt::Last, Answer::AuthenticationFailed | Answer::Default)
            | (Attempt::Unproved, Answer::Authenticated | Answer::AuthenticationFailed | Answer::Default) => {
                Refusal { reply: replies::AUTHENTICATION_FAILED.clone(), reason: Reason::Error }
            }
            (_, Answer::AuthenticationUnavailable) => unavailable(),
            (
                Attempt::Last | Attempt::Token(_) | Attempt::Keys(_) | Attempt::Unproved,
                answer @ (Answer::Yes
                | Answer::No(_)
                | Answer::Close(_)
                | Answer::Greet { .. }
                | Answer::Authenticated
                | Answer::ScramKeys(_)
                | Answer::PerRecipient(_)
                | Answer::Reply(_)),
            ) => match Verdict::from(answer) {
                Verdict::No(refusal) => refusal,
                Verdict::Yes | Verdict::Default => {
                    Refusal { reply: replies::LOCAL_ERROR.clone(), reason: Reason::Answer }
                }
            },
        };
        self.refuse(&refusal);
    }

    /// Tells the client that its proof is right, by ours (RFC 5802 section 3); it takes note, and then has authenticated.
    fn proof_answered(&mut self, proof: Box<scram::Proof>, answer: Answer) {
        if answer == Answer::AuthenticationUnavailable {
            return self.reply(&replies::AUTHENTICATION_UNAVAILABLE);
        }
        match answer.into() {
            Verdict::Yes | Verdict::Default => self.challenge(Exchange::ScramProved(proof)),
            Verdict::No(refusal) => self.refuse(&refusal),
        }
    }

    /// Asks the client for its proof, with the keys of the user or made-up ones.
    fn prove(&mut self, first: scram::First, keys: Option<ScramKeys>) -> Option<()> {
        let nonce = self.seed.as_mut()?.nonce();
        let proving = first.challenge(keys, &self.config.auth.scram?, &nonce);
        self.challenge(Exchange::ScramProof(proving.into()));
        Some(())
    }

    fn mail_answered(&mut self, transaction: Transaction, verdict: Verdict) {
        match verdict {
            Verdict::Yes | Verdict::Default => {
                self.transaction = Some(transaction);
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
            Verdict::No(refusal) => {
                self.data_refused = true;
                self.give_up(&refusal, 1);
            }
        }
    }

    fn first_chunk_answered(&mut self, chunk: Chunk, verdict: Verdict) {
        match verdict {
            Verdict::Yes | Verdict::Default => self.stage = Stage::ChunkAnnounced(chunk),
            Verdict::No(refusal) => self.skip(chunk, refusal),
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
            Verdict::No(refusal) => self.skip(chunk, refusal),
        }
    }

    fn message_answered(&mut self, answer: Answer) {
        match answer {
            Answer::Yes => self.message_accepted(&replies::MESSAGE_OK),
            Answer::Reply(reply) if reply.is_positive() => self.message_accepted(&reply),
            Answer::Reply(reply) => self.refuse_message(&Refusal { reply, reason: Reason::Answer }),
            Answer::PerRecipient(replies)
                if self.config.protocol == Protocol::Lmtp && replies.len() == self.replies_to_message() as usize =>
            {
                self.recipients_answered(&replies);
            }
            Answer::No(_)
            | Answer::Close(_)
            | Answer::Greet { .. }
            | Answer::Authenticated
            | Answer::AuthenticationFailed
            | Answer::AuthenticationUnavailable
            | Answer::ScramKeys(_)
            | Answer::PerRecipient(_)
            | Answer::Default => match Verdict::from(answer) {
                Verdict::No(refusal) => self.refuse_message(&refusal),
                // Nobody's opinion must not become a promise to deliver.
                Verdict::Yes | Verdict::Default => {
                    self.refuse_message(&Refusal { reply: replies::LOCAL_ERROR.clone(), reason: Reason::Answer });
                }
            },
        }
    }

    fn message_accepted(&mut self, reply: &Reply) {
        self.idle_commands = 0;
        let copies = self.replies_to_message();
        self.transaction = None;
        for _ in 0..copies {
            self.reply(reply);
        }
    }

    /// RFC 2033 section 4.2: each recipient has a reply of its own, and a 421 among them still says that the connection is closed.
    fn recipients_answered(&mut self, replies: &[Reply]) {
        if replies.iter().any(Reply::is_positive) {
            self.idle_commands = 0;
            self.transaction = None;
        } else {
            self.reset();
        }
        for reply in replies {
            self.reply(reply);
        }
        if replies.iter().any(|reply| reply.code() == 421) {
            self.reset = false;
            self.stage = Stage::Closed(Close::Refused);
        }
    }

    /// Refuses a message whose end has come, and gives the transaction up.
    pub(super) fn refuse_message(&mut self, refusal: &Refusal) {
        let copies = self.replies_to_message();
        self.give_up(refusal, copies);
    }

    /// Refuses in so many copies of the same reply, and gives the transaction up.
    pub(super) fn give_up(&mut self, refusal: &Refusal, copies: u32) {
        self.reset();
        for _ in 1..copies {
            self.reply(&refusal.reply);
        }
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
            | Answer::AuthenticationUnavailable
            | Answer::ScramKeys(_)
            | Answer::PerRecipient(_) => match Verdict::from(answer) {
                Verdict::No(refusal) => self.refuse(&refusal),
                Verdict::Yes | Verdict::Default => self.reply(&replies::LOCAL_ERROR),
            },
        }
    }
}

/// RFC 6531 section 3.7.4.2: a reply beyond ASCII is for a client that has said SMTPUTF8 with this very command; others hear that there
/// is one.
fn permitted(answer: Answer, utf8: bool) -> Answer {
    match &answer {
        Answer::Reply(reply) if !utf8 && !reply.is_ascii() => Answer::Reply(replies::UTF8_REPLY_NEEDED.clone()),
        Answer::Reply(_)
        | Answer::Yes
        | Answer::No(_)
        | Answer::Close(_)
        | Answer::Greet { .. }
        | Answer::Authenticated
        | Answer::AuthenticationFailed
        | Answer::AuthenticationUnavailable
        | Answer::ScramKeys(_)
        | Answer::PerRecipient(_)
        | Answer::Default => answer,
    }
}
