//! The client side of SMTP (RFC 5321) and LMTP (RFC 2033), without input or output: octets in, events and octets out.
//!
//! As the server's side (`session.rs`): the caller owns the connection and the clock. It gives what it reads to [`Client::advance`], does what the
//! [`Event`] says, and writes [`Client::output`]. [`Client::patience`] says how long the server may take.
//!
//! Standards besides: RFC 2920 (PIPELINING), 3207 (STARTTLS), 4954 (AUTH) with the mechanisms of `client/sasl.rs`, 1870, 3030, 3461, 6152, 6531, 6710, 8689 and
//! 9422 (`client/envelope.rs`), Postfix's XCLIENT, 1047 (a reply that does not come is no refusal).
//!
//! Nothing of the server's is believed: replies have bounds and must be asked for (`client/reader.rs`), and whatever does not fit ends the connection,
//! with every recipient that has no answer yet deferred.

mod connect;
mod envelope;
mod failure;
mod journal;
mod mail_data;
mod offer;
mod reader;
mod sasl;
mod settings;
mod transaction;

use std::sync::Arc;
use std::time::Duration;

pub use envelope::{Addressee, DeliverBy, Envelope, Hold, International, is_parameter};
pub use failure::{Ending, Failure, Malformed, Outcome};
pub use journal::{Entry, Noted};
pub use sasl::{Work, Worked};
pub use settings::{Config, Credentials, Patience, Pipelining, Stop, TlsWish};

use crate::sasl::scram::Seed;
use journal::Journal;
use offer::Offer;
use reader::{Heard, Reader};
use sasl::Exchange;
use transaction::Transaction;

/// What is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The input is used up: send the output, read more.
    Wait,
    /// Send the output, do the handshake of TLS, and call [`Client::secured`]. If it fails, just close.
    StartTls,
    /// Take [`Client::work`], run it where it keeps nobody waiting, and give what came of it to [`Client::worked`].
    Work,
    /// Nothing is under way: [`Client::begin`] a transaction, [`Client::reset`], or [`Client::quit`].
    Ready,
    /// Give the next octets of the message, by [`Client::mail_data`], or [`Client::end_mail_data`] if there are none; best when the output is sent.
    MailData,
    /// What became of the recipients of the transaction, in their order. It is over.
    Outcome(Vec<Outcome>),
    /// Send the output and close.
    Close(Ending),
}

/// The client's side of one connection.
#[derive(Debug)]
pub struct Client {
    config: Arc<Config>,
    seed: Seed,
    stage: Stage,
    tls: Layer,
    offer: Offer,
    reader: Reader,
    output: Vec<u8>,
    /// An outcome that the caller has not been told.
    outcome: Option<Vec<Outcome>>,
    /// RSET has to come before the next MAIL.
    dirty: bool,
    transactions: u32,
    /// The server knows who we are.
    authenticated: bool,
    /// Whole replies so far.
    replies: u64,
    /// XCLIENT has been said and taken.
    presented: bool,
    journal: Journal,
}

/// What is expected next.
#[derive(Debug)]
enum Stage {
    Banner,
    Ehlo,
    Helo,
    StartTls,
    TlsAnnounced,
    Handshake,
    XClient,
    Auth(Box<Exchange>),
    /// A challenge, still to be answered; empty while somebody works on it. Input stays where it is.
    Work(Option<Box<Work>>),
    Ready,
    Reset,
    Transaction(Box<Transaction>),
    Quit,
    Closed(Ending),
}

/// What is below the dialogue.
#[derive(Debug)]
enum Layer {
    Clear,
    Tls {
        /// `tls-exporter` (RFC 9266).
        binding: Option<Vec<u8>>,
    },
}

impl Client {
    /// A connection that has been made. `seed` are random octets of its own, of which nonces are made.
    pub fn new(config: Arc<Config>, seed: [u8; 32]) -> Client {
        Client {
            config,
            seed: Seed::new(seed),
            stage: Stage::Banner,
            tls: Layer::Clear,
            offer: Offer::default(),
            reader: Reader::default(),
            output: Vec::new(),
            outcome: None,
            dirty: false,
            transactions: 0,
            authenticated: false,
            replies: 0,
            presented: false,
            journal: Journal::default(),
        }
    }

    /// The same, below TLS from its first octet on (RFC 8314). `binding` is the channel binding `tls-exporter` (RFC 9266).
    pub fn new_secured(config: Arc<Config>, seed: [u8; 32], binding: Option<Vec<u8>>) -> Client {
        Client { tls: Layer::Tls { binding }, ..Client::new(config, seed) }
    }

    /// Takes octets from the front of `input`. Answers how many, and what is to be done now.
    ///
    /// To be called again with the rest, until it says something else than to go on.
    pub fn advance(&mut self, input: &[u8]) -> (usize, Event) {
        let mut rest = input;
        loop {
            if let Some(event) = self.step(&mut rest) {
                return (input.len() - rest.len(), event);
            }
        }
    }

    fn step(&mut self, input: &mut &[u8]) -> Option<Event> {
        if let Some(outcome) = self.outcome.take() {
            return Some(Event::Outcome(outcome));
        }
        match &mut self.stage {
            Stage::Closed(ending) => {
                let ending = ending.clone();
                *input = &[];
                Some(Event::Close(ending))
            }
            Stage::TlsAnnounced => {
                self.stage = Stage::Handshake;
                Some(Event::StartTls)
            }
            Stage::Handshake => {
                *input = &[];
                Some(Event::Wait)
            }
            Stage::Work(Some(_)) => Some(Event::Work),
            Stage::Work(None) => Some(Event::Wait),
            Stage::Banner
            | Stage::Ehlo
            | Stage::Helo
            | Stage::StartTls
            | Stage::XClient
            | Stage::Auth(_)
            | Stage::Ready
            | Stage::Reset
            | Stage::Transaction(_)
            | Stage::Quit => {
                if input.is_empty() {
                    return Some(self.idle());
                }
                match self.reader.read(input) {
                    Ok(None) => None,
                    Ok(Some(heard)) => {
                        self.hear(heard, input.len());
                        None
                    }
                    Err(malformed) => {
                        self.fail(Failure::Malformed(malformed));
                        None
                    }
                }
            }
        }
    }

    /// What is to be done while there is no input.
    fn idle(&self) -> Event {
        match &self.stage {
            Stage::Ready => Event::Ready,
            Stage::Transaction(transaction) if transaction.wants_mail_data(self.pipelines()) => Event::MailData,
            Stage::Banner
            | Stage::Ehlo
            | Stage::Helo
            | Stage::StartTls
            | Stage::TlsAnnounced
            | Stage::Handshake
            | Stage::XClient
            | Stage::Auth(_)
            | Stage::Work(_)
            | Stage::Reset
            | Stage::Transaction(_)
            | Stage::Quit
            | Stage::Closed(_) => Event::Wait,
        }
    }

    /// A whole reply. `behind` octets of input are left.
    fn hear(&mut self, heard: Heard, behind: usize) {
        self.replies = self.replies.saturating_add(1);
        self.journal.heard(&heard);
        if heard.code == 421 && !matches!(self.stage, Stage::Quit) {
            return self.fail(Failure::Closing(heard.reply()));
        }
        match std::mem::replace(&mut self.stage, Stage::Ready) {
            Stage::Banner => self.banner(&heard),
            Stage::Ehlo => self.ehlo(&heard),
            Stage::Helo => self.helo(&heard),
            Stage::StartTls => self.starttls(&heard, behind),
            Stage::XClient => self.xclient(&heard),
            Stage::Auth(exchange) => self.auth(*exchange, &heard),
            // Nobody has asked.
            Stage::Ready => self.fail(Failure::OutOfStep),
            Stage::Reset if heard.is_positive() => self.dirty = false,
            Stage::Reset => self.fail(Failure::Refused(heard.reply())),
            Stage::Transaction(transaction) => self.transact(transaction, &heard),
            Stage::Quit => self.stage = Stage::Closed(Ending::Quit),
            stage @ (Stage::TlsAnnounced | Stage::Handshake | Stage::Work(_) | Stage::Closed(_)) => self.stage = stage,
        }
    }

    /// RSET, to see whether the server is still there and what it thinks: [`Event::Ready`] follows. Where something is under way nothing happens.
    pub fn reset(&mut self) {
        if matches!(self.stage, Stage::Ready) {
            self.say("RSET");
            self.stage = Stage::Reset;
        }
    }

    /// QUIT, unless a transaction is under way.
    pub fn quit(&mut self) {
        if matches!(self.stage, Stage::Ready) {
            self.say("QUIT");
            self.stage = Stage::Quit;
        }
    }

    /// Octets for the server. Say [`sent`](Client::sent) when they are.
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// The first `octets` of the output have been sent.
    pub fn sent(&mut self, octets: usize) {
        if octets < self.output.len() {
            self.output.drain(..octets);
        } else {
            self.output.clear();
            self.output.shrink_to(KEPT_OUTPUT_OCTETS);
        }
    }

    /// How long the server may take now, to answer or to read what it is sent. It begins anew with each piece of mail data, with
    /// each whole reply ([`replies`](Client::replies)) and with nothing less: a reply that trickles in is as late as one that does not come.
    pub fn patience(&self) -> Duration {
        let patience = &self.config.patience;
        match &self.stage {
            Stage::Transaction(transaction) => transaction.patience(patience),
            // Whoever waits for an answer to QUIT waits for nothing of matter.
            Stage::Quit => patience.command.min(QUIT_PATIENCE),
            Stage::Banner
            | Stage::Ehlo
            | Stage::Helo
            | Stage::StartTls
            | Stage::TlsAnnounced
            | Stage::Handshake
            | Stage::XClient
            | Stage::Auth(_)
            | Stage::Work(_)
            | Stage::Ready
            | Stage::Reset
            | Stage::Closed(_) => patience.command,
        }
    }

    /// Whole replies so far.
    pub fn replies(&self) -> u64 {
        self.replies
    }

    /// The server has taken longer than that.
    pub fn time_out(&mut self) {
        self.fail(Failure::Timeout);
    }

    /// The server has closed the connection, or it broke.
    pub fn lost(&mut self) {
        match self.stage {
            Stage::Quit => self.stage = Stage::Closed(Ending::Quit),
            Stage::Banner
            | Stage::Ehlo
            | Stage::Helo
            | Stage::StartTls
            | Stage::TlsAnnounced
            | Stage::Handshake
            | Stage::XClient
            | Stage::Auth(_)
            | Stage::Work(_)
            | Stage::Ready
            | Stage::Reset
            | Stage::Transaction(_)
            | Stage::Closed(_) => self.fail(Failure::Lost),
        }
    }

    /// Whether the connection is below TLS.
    pub fn is_secured(&self) -> bool {
        matches!(self.tls, Layer::Tls { .. })
    }

    /// Whether it is below TLS, with a server whose certificate was asked for.
    fn is_verified(&self) -> bool {
        self.is_secured() && self.config.tls != TlsWish::IfOffered
    }

    /// The most recipients of a transaction: what the server says (RFC 9422), or 100 (RFC 5321 section 4.5.3.1.8).
    pub fn recipients_max(&self) -> usize {
        self.offer.recipients_max.unwrap_or(RECIPIENTS_MAX)
    }

    /// Whether the server takes another transaction on this connection (RFC 9422).
    pub fn has_transactions_left(&self) -> bool {
        self.offer.transactions_max.is_none_or(|max| self.transactions < max)
    }

    /// Whether commands go out before the replies to earlier ones have come.
    fn pipelines(&self) -> bool {
        match self.config.pipelining {
            Pipelining::IfOffered => self.offer.pipelining,
            Pipelining::Never => false,
            Pipelining::Always => true,
        }
    }

    /// A command line.
    fn say(&mut self, line: &str) {
        self.journal.said(line);
        self.output.extend_from_slice(line.as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }

    /// The connection is of no use any more; an open transaction ends with it.
    fn fail(&mut self, failure: Failure) {
        self.journal.unread(&self.reader);
        match std::mem::replace(&mut self.stage, Stage::Ready) {
            Stage::Closed(ending) => self.stage = Stage::Closed(ending),
            Stage::Transaction(transaction) => {
                self.outcome = Some(transaction.broken_off(&failure));
                self.stage = Stage::Closed(Ending::Failed(failure));
            }
            Stage::Banner
            | Stage::Ehlo
            | Stage::Helo
            | Stage::StartTls
            | Stage::TlsAnnounced
            | Stage::Handshake
            | Stage::XClient
            | Stage::Auth(_)
            | Stage::Work(_)
            | Stage::Ready
            | Stage::Reset
            | Stage::Quit => self.stage = Stage::Closed(Ending::Failed(failure)),
        }
    }
}

/// Where the server does not say (RFC 5321 section 4.5.3.1.8).
const RECIPIENTS_MAX: usize = 100;
/// Of a buffer that was larger no more is kept for the next output.
const KEPT_OUTPUT_OCTETS: usize = 16 << 10;
const QUIT_PATIENCE: Duration = Duration::from_secs(5);
