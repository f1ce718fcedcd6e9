//! A session (RFC 5321 section 3): the state between two octets of the client, and what moves it.

mod answers;
pub(crate) mod command;
mod group;
mod lines;
mod mail_data;
mod stray;
mod waiting;

use std::sync::Arc;

use crate::chunk::Chunk;
use crate::config::{Config, Protocol};
use crate::data;
use crate::event::{Answer, Body, Close, Event, Greeting, Question};
use crate::extension::Extension;
use crate::line;
use crate::replies;
use crate::reply::{EnhancedCodes, Reply};
use crate::sasl::{Exchange, Mechanism, scram};
use crate::tls::TlsFacts;
use crate::transaction::Transaction;

/// The server's side of one connection.
///
/// Loop: give input to [`advance`](Session::advance) and do what the event says until it is [`Event::Wait`] or [`Event::Close`]; then send
/// the [`output`](Session::output). A new session has a question at once, so advance it before the first read.
#[derive(Debug)]
pub struct Session {
    config: Arc<Config>,
    stage: Stage,
    standing: Standing,
    identity: Identity,
    peer: Peer,
    /// None while the connection is in clear.
    tls: Option<Box<TlsFacts>>,
    /// Without it there is no SCRAM.
    seed: Option<Box<scram::Seed>>,
    transaction: Option<Transaction>,
    /// The transaction was given up, and the caller has not been told.
    reset: bool,
    /// `stop` was called.
    stopping: bool,
    /// Seconds since 1970, if the caller has told.
    date: Option<u64>,
    /// DATA was refused, and nothing has come behind it that is a command.
    data_refused: bool,
    line: line::Reader,
    output: Vec<u8>,
    errors: u32,
    auth_failures: u32,
    idle_commands: u32,
    transactions: u32,
    illegal_pipelining: u32,
}

/// What is expected next.
#[derive(Debug)]
enum Stage {
    /// Nothing has happened: the caller is to be asked about the client.
    Connected,
    /// A command.
    Command,
    /// A message of the client in an AUTH exchange.
    Exchange(Exchange),
    /// An answer.
    Asked(Asked),
    /// The caller is to be asked about a chunk, behind its answer about the mail data.
    ChunkAnnounced(Chunk),
    /// Mail data of DATA.
    Data(data::Reader),
    /// Octets of a chunk.
    Chunk { left: u64, last: bool },
    /// Octets of a chunk that is refused, and how often to say so.
    SkippedChunk { left: u64, refusal: Refusal, copies: u32 },
    /// The caller is to be told to begin TLS.
    TlsAnnounced,
    /// The end of the handshake.
    Handshake,
    /// Nothing any more.
    Closed(Close),
}

/// The question that is open, with what its answer needs.
#[derive(Debug)]
enum Asked {
    Connect,
    Hello(Greeting),
    Starttls,
    Authenticate(Attempt),
    Proved(Box<scram::Proof>),
    Mail {
        body: Body,
        utf8: bool,
    },
    Recipient,
    Data,
    FirstChunk(Chunk),
    Chunk(Chunk),
    Message,
    /// `utf8`: the reply may be beyond ASCII.
    Verify {
        utf8: bool,
    },
    Expand {
        utf8: bool,
    },
    Xclient {
        has_login: bool,
    },
    Xforward,
    Command {
        default: &'static Reply,
    },
}

/// What the answer about credentials leads to.
#[derive(Debug)]
enum Attempt {
    /// To the end.
    Last,
    /// To the end, but for a word about a token that is not good.
    Token(Mechanism),
    /// To the client's proof.
    Keys(Box<scram::First>),
    /// To failure.
    Unproved,
}

/// How the client has introduced itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// The banner has refused it.
    Unwelcome,
    New,
    Helo,
    Ehlo,
}

/// Whether the client has authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Identity {
    Unknown,
    Proved,
}

/// Whether the peer is a proxy that is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Stranger,
    Trusted,
}

/// A reply that says no, and what else it means.
#[derive(Debug)]
struct Refusal {
    reply: Reply,
    reason: Reason,
}

/// Why a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// The client has made an error, which is counted.
    Error,
    /// The caller has said no.
    Answer,
    /// The caller has said no, and wants the connection closed.
    Close,
}

/// What a command leads to: a question, or nothing more, or a reply that counts as an error.
pub(crate) type Step = Result<Option<Question>, &'static Reply>;

impl Session {
    /// The session of a client that has connected.
    pub fn new(config: Arc<Config>) -> Session {
        Session {
            config,
            stage: Stage::Connected,
            standing: Standing::New,
            identity: Identity::Unknown,
            peer: Peer::Stranger,
            tls: None,
            seed: None,
            transaction: None,
            reset: false,
            stopping: false,
            date: None,
            data_refused: false,
            line: line::Reader::default(),
            output: Vec::new(),
            errors: 0,
            auth_failures: 0,
            idle_commands: 0,
            transactions: 0,
            illegal_pipelining: 0,
        }
    }

    /// The session of a client that has connected, and whose connection was below TLS from the first octet on (RFC 8314).
    pub fn new_secured(config: Arc<Config>, facts: TlsFacts) -> Session {
        Session { tls: Some(Box::new(facts)), ..Session::new(config) }
    }

    /// The peer is a proxy that the operator has listed: it is offered XCLIENT and XFORWARD. To be called before the first `advance`.
    pub fn trust_peer(&mut self) {
        self.peer = Peer::Trusted;
    }

    /// Gives the session random octets of its own, of which SCRAM makes its nonces: to be called before the first `advance`, and never twice
    /// with the same. Without them SCRAM is not offered.
    pub fn set_seed(&mut self, seed: [u8; 32]) {
        self.seed = Some(Box::new(scram::Seed::new(seed)));
    }

    /// The handshake that [`Event::StartTls`] has asked for is done. RFC 3207 section 4.2: what was learned before it is forgotten, and the
    /// client has to greet again; there is no banner. Nothing happens where no handshake is due.
    pub fn secured(&mut self, facts: TlsFacts) {
        if !matches!(self.stage, Stage::Handshake) {
            return;
        }
        self.stage = Stage::Command;
        self.standing = Standing::New;
        self.identity = Identity::Unknown;
        self.line = line::Reader::default();
        self.tls = Some(Box::new(facts));
    }

    /// Takes octets from the front of `input`. Answers how many, and what is to be done now.
    ///
    /// To be called again with the rest, until it says [`Event::Wait`] or [`Event::Close`].
    pub fn advance<'a>(&mut self, input: &'a [u8]) -> (usize, Event<'a>) {
        let mut rest = input;
        loop {
            if let Some(event) = self.step(&mut rest) {
                return (input.len() - rest.len(), event);
            }
        }
    }

    /// Does one thing: takes input, or moves to another stage. An event ends the turn.
    fn step<'a>(&mut self, input: &mut &'a [u8]) -> Option<Event<'a>> {
        if std::mem::take(&mut self.reset) {
            return Some(Event::Reset);
        }
        match self.stage {
            Stage::Connected => Some(self.ask(Asked::Connect, Question::Connect)),
            Stage::Command if self.stopping && self.transaction.is_none() => {
                self.close(&replies::SHUTDOWN, Close::Shutdown);
                None
            }
            Stage::Command => self.read_command(input),
            Stage::Exchange(_) => self.read_response(input),
            Stage::Asked(_) => Some(Event::Wait),
            Stage::ChunkAnnounced(chunk) => Some(self.ask_chunk(chunk)),
            Stage::Data(_) => self.read_data(input),
            Stage::Chunk { .. } => self.read_chunk(input),
            Stage::SkippedChunk { .. } => self.skip_chunk(input),
            Stage::TlsAnnounced => {
                *input = &[];
                self.stage = Stage::Handshake;
                Some(Event::StartTls)
            }
            Stage::Handshake => {
                *input = &[];
                Some(Event::Wait)
            }
            Stage::Closed(close) => Some(Event::Close(close)),
        }
    }

    /// The answer to the question that was asked last. Without an open question nothing happens.
    pub fn answer(&mut self, answer: Answer) {
        match std::mem::replace(&mut self.stage, Stage::Command) {
            Stage::Asked(asked) => self.take_answer(asked, answer),
            stage @ (Stage::Connected
            | Stage::Command
            | Stage::Exchange(_)
            | Stage::ChunkAnnounced(_)
            | Stage::Data(_)
            | Stage::Chunk { .. }
            | Stage::SkippedChunk { .. }
            | Stage::TlsAnnounced
            | Stage::Handshake
            | Stage::Closed(_)) => self.stage = stage,
        }
    }

    /// Octets for the client. Say [`sent`](Session::sent) when they are.
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// The first `octets` of the output have been sent, or will be: they are forgotten.
    pub fn sent(&mut self, octets: usize) {
        if octets < self.output.len() {
            self.output.drain(..octets);
        } else if self.output.capacity() > KEPT_OUTPUT_OCTETS {
            self.output = Vec::new();
        } else {
            self.output.clear();
        }
    }

    /// Whether MAIL was accepted, and its mail data has not been replied to.
    pub fn transaction_is_open(&self) -> bool {
        self.transaction.is_some()
    }

    /// Whether the client has authenticated.
    pub fn is_authenticated(&self) -> bool {
        self.identity == Identity::Proved
    }

    /// Whether the connection is below TLS.
    pub fn is_secured(&self) -> bool {
        self.tls.is_some()
    }

    fn ask<'a>(&mut self, asked: Asked, question: Question) -> Event<'a> {
        self.stage = Stage::Asked(asked);
        Event::Ask(question)
    }

    fn ask_chunk<'a>(&mut self, chunk: Chunk) -> Event<'a> {
        self.ask(Asked::Chunk(chunk), Question::Chunk { size: chunk.octets, last: chunk.last })
    }

    /// Replies to an error of the client's; when there were too many, the session is over.
    fn error(&mut self, reply: &Reply) {
        self.errors = self.errors.saturating_add(1);
        // Whoever guesses is not heard for long.
        if *reply == replies::AUTHENTICATION_FAILED {
            self.auth_failures = self.auth_failures.saturating_add(1);
            if self.auth_failures > self.config.limits.auth_failures {
                return self.close(&replies::TOO_MANY_AUTH_FAILURES, Close::TooManyErrors);
            }
        }
        if self.errors <= self.config.limits.errors {
            self.reply(reply);
        } else {
            self.close(&replies::TOO_MANY_ERRORS, Close::TooManyErrors);
        }
    }

    /// Sends a refusal. A 421 says that the connection is closed, and so it is (RFC 5321 section 4.2.3).
    fn refuse(&mut self, refusal: &Refusal) {
        match refusal.reason {
            Reason::Error => self.error(&refusal.reply),
            Reason::Answer if refusal.reply.code() != 421 => self.reply(&refusal.reply),
            Reason::Answer | Reason::Close => self.close(&refusal.reply, Close::Refused),
        }
    }

    /// How many replies a message gets: in LMTP one for each accepted recipient (RFC 2033 section 4.2).
    fn replies_to_message(&self) -> u32 {
        match (self.config.protocol, &self.transaction) {
            (Protocol::Lmtp, Some(transaction)) => transaction.accepted().max(1),
            (Protocol::Lmtp, None) | (Protocol::Smtp, _) => 1,
        }
    }

    fn reply(&mut self, reply: &Reply) {
        let codes = match self.config.extensions.contains(Extension::EnhancedStatusCodes) {
            true => EnhancedCodes::Written,
            false => EnhancedCodes::LeftOut,
        };
        reply.write(codes, &mut self.output);
    }

    /// Sends a last reply.
    fn close(&mut self, reply: &Reply, close: Close) {
        if matches!(self.stage, Stage::Closed(_)) {
            return;
        }
        // In the midst of a handshake nobody would understand it.
        if !matches!(self.stage, Stage::Handshake) {
            self.reply(reply);
        }
        self.transaction = None;
        self.reset = false;
        self.stage = Stage::Closed(close);
    }

    /// Gives the transaction up, if one is open.
    fn reset(&mut self) {
        if self.transaction.take().is_some() {
            self.reset = true;
        }
    }
}

/// A buffer no larger than this stays with an idle session.
const KEPT_OUTPUT_OCTETS: usize = 256;
