//! Plays a dialogue on a bare session, with the input cut as one likes.

use std::fmt;
use std::sync::Arc;

use super::{Action, Dialogue, Expected};
use crate::config::{Config, Protocol};
use crate::event::{Answer, Body, Credentials, Event, Question};
use crate::mailbox::Mailbox;
use crate::reply::Reply;
use crate::sasl::scram::ScramDecoy;
use crate::sasl::{Mechanism, Mechanisms};
use crate::session::Session;
use crate::tls::TlsFacts;

/// How the client's octets reach the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// As the client writes them.
    Nowhere,
    /// One octet at a time.
    Everywhere,
    /// Cut in two behind so many octets of the client, counted from the beginning of the dialogue.
    Behind(usize),
}

/// Where a dialogue went another way.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The line of the file, counted from 1.
    pub line: usize,
    /// What was found in place of what was expected.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for Failure {}

/// The configuration that dialogues are written for, before their own settings: the default extensions, for `mx.example.org`.
///
/// # Errors
/// The name of a setting of the dialogue's that is unknown.
pub fn config(dialogue: &Dialogue) -> Result<Config, String> {
    let hostname = "mx.example.org".parse().map_err(|_| "hostname")?;
    let mut config = Config::new(hostname);
    config.auth.mechanisms = Mechanisms::default().with(Mechanism::Plain).with(Mechanism::Login);
    config.auth.in_clear = true;
    config.auth.scram = Some(ScramDecoy { key: [0; 32], iterations: 4096, salt_octets: 16 });
    dialogue.apply(&mut config)?;
    Ok(config)
}

/// Plays the dialogue with the policy of the README.
///
/// # Errors
/// The first step that goes another way.
pub fn play(dialogue: &Dialogue, cut: Cut) -> Result<(), Failure> {
    let config = config(dialogue).map_err(|name| Failure { line: 0, message: format!("the setting {name}") })?;
    let policy = Policy { protocol: config.protocol, ..Policy::default() };
    let mut stage = Stage {
        session: Session::new(Arc::new(config)),
        policy,
        said: String::new(),
        closed: false,
        handshake: false,
        octets: 0,
        cut,
    };
    stage.session.set_seed([0; 32]);
    stage.give(&[]).map_err(|message| Failure { line: 1, message })?;
    for (n, step) in dialogue.steps.iter().enumerate() {
        let next = dialogue.steps.get(n + 1).map(|step| &step.action);
        stage.act(&step.action, next).map_err(|message| Failure { line: step.line, message })?;
    }
    let ends_closed = dialogue.steps.iter().any(|step| matches!(step.action, Action::Closed));
    if stage.closed != ends_closed {
        let line = dialogue.steps.last().map_or(0, |step| step.line);
        return Err(Failure { line, message: format!("closed at the end: {}", stage.closed) });
    }
    Ok(())
}

/// A dialogue under way.
struct Stage {
    session: Session,
    policy: Policy,
    /// What the server has said since the last `S:`.
    said: String,
    closed: bool,
    /// The session has asked for a handshake.
    handshake: bool,
    /// How many octets the client has sent.
    octets: usize,
    cut: Cut,
}

impl Stage {
    fn act(&mut self, action: &Action, next: Option<&Action>) -> Result<(), String> {
        match action {
            Action::Client(octets) => {
                self.client(octets)?;
                if !matches!(next, Some(Action::Server(_))) && !self.said.is_empty() {
                    return Err(format!("the server says {:?}", self.said));
                }
                Ok(())
            }
            Action::Server(expected) => self.server(expected),
            Action::Tls if self.handshake => {
                self.handshake = false;
                self.session.secured(TlsFacts::default());
                self.give(&[])
            }
            Action::Tls => Err("no handshake is due".to_owned()),
            Action::Closed if self.closed => Ok(()),
            Action::Closed => Err("the server has not closed".to_owned()),
            Action::Stored(count) if self.policy.accepted.len() == *count => Ok(()),
            Action::Stored(_) => Err(format!("{} messages were accepted", self.policy.accepted.len())),
            Action::Message(octets) if self.policy.accepted.last() == Some(octets) => Ok(()),
            Action::Message(_) => {
                let last = self.policy.accepted.last().map(|octets| String::from_utf8_lossy(octets));
                Err(format!("the last message accepted is {last:?}"))
            }
        }
    }

    fn server(&mut self, expected: &[Expected]) -> Result<(), String> {
        let said = std::mem::take(&mut self.said);
        let lines: Vec<&str> = said.split_terminator("\r\n").collect();
        if Expected::all_match(expected, &lines) && said.ends_with("\r\n") {
            return Ok(());
        }
        let expected: Vec<String> = expected.iter().map(Expected::to_string).collect();
        Err(format!("the server says\n    {}\nand not\n    {}", lines.join("\n    "), expected.join("\n    ")))
    }

    fn client(&mut self, octets: &[u8]) -> Result<(), String> {
        let begun = self.octets;
        self.octets += octets.len();
        match self.cut {
            Cut::Nowhere => self.give(octets),
            Cut::Everywhere => octets.chunks(1).try_for_each(|octet| self.give(octet)),
            Cut::Behind(place) => {
                let place = place.saturating_sub(begun).min(octets.len());
                let (before, behind) = octets.split_at_checked(place).unwrap_or((octets, &[]));
                self.give(before)?;
                self.give(behind)
            }
        }
    }

    /// One read of the gateway.
    fn give(&mut self, input: &[u8]) -> Result<(), String> {
        let mut rest = input;
        loop {
            let (taken, event) = self.session.advance(rest);
            rest = rest.get(taken..).unwrap_or_default();
            match event {
                Event::Wait => break,
                Event::Ask(question) => {
                    let answer = self.policy.answer(&question);
                    self.session.answer(answer);
                }
                Event::MailData(piece) => self.policy.keep(piece)?,
                Event::Reset => self.policy.message.clear(),
                Event::StartTls => self.handshake = true,
                Event::Close(_) => {
                    self.closed = true;
                    rest = &[];
                    break;
                }
            }
        }
        if !rest.is_empty() {
            return Err(format!("{} octets were not taken", rest.len()));
        }
        let output = self.session.output();
        self.said.push_str(&String::from_utf8_lossy(output));
        self.session.sent(output.len());
        Ok(())
    }
}

/// The policy of the README, which decides by names alone, and what it has accepted.
#[derive(Debug, Default)]
pub struct Policy {
    /// The messages accepted.
    pub accepted: Vec<Vec<u8>>,
    /// In LMTP each recipient has its own reply.
    pub protocol: Protocol,
    /// The local parts of the recipients of the transaction.
    recipients: Vec<String>,
    message: Vec<u8>,
    /// The message was declared to be BINARYMIME.
    binary: bool,
}

impl Policy {
    /// Decides.
    pub fn answer(&mut self, question: &Question) -> Answer {
        match question {
            Question::Connect
            | Question::Starttls
            | Question::Proved { .. }
            | Question::Data
            | Question::Xclient(_)
            | Question::Xforward(_) => Answer::Yes,
            Question::Hello(hello) => by_name(hello.name.split('.').next().unwrap_or_default()).unwrap_or(Answer::Yes),
            Question::Authenticate { credentials, .. } => {
                let is_right = match credentials {
                    Credentials::Password { password: secret, .. } | Credentials::Token { token: secret, .. } => {
                        secret == "wonderland"
                    }
                    Credentials::Scram { .. } => false,
                    Credentials::ScramProof { identity, .. } => identity.is_some(),
                    Credentials::Certificate { user, names, .. } => user.is_empty() || names.contains(user),
                };
                if is_right { Answer::Authenticated } else { Answer::AuthenticationFailed }
            }
            Question::Mail(mail) => {
                self.recipients.clear();
                self.binary = mail.body == Body::BinaryMime;
                mail.reverse_path.as_ref().map(Mailbox::local_part).and_then(by_name).unwrap_or(Answer::Yes)
            }
            Question::Recipient(recipient) => match recipient.mailbox.local_part() {
                "nobody" => Answer::Default,
                local_part => by_name(local_part).unwrap_or_else(|| {
                    self.recipients.push(local_part.to_owned());
                    Answer::Yes
                }),
            },
            Question::Chunk { size: 13, .. } => refusal(554).map_or(Answer::Default, Answer::No),
            Question::Chunk { .. } => Answer::Yes,
            Question::Message => self.message_verdict(),
            Question::Verify(text) | Question::Expand(text) if text == "alice" => {
                Answer::reply(250, "<alice@example.org>")
            }
            Question::Verify(text) | Question::Expand(text) if ["zoe", "zo\u{eb}"].contains(&text.as_str()) => {
                Reply::beyond_ascii(250, None, &["<zo\u{eb}@example.org>"]).map_or(Answer::Default, Answer::Reply)
            }
            Question::Verify(_) | Question::Expand(_) => Answer::Default,
            Question::Command { verb, .. } if verb == "XCOFFEE" => Answer::reply(250, "policy says yes"),
            Question::Command { .. } => Answer::Default,
        }
    }

    /// Keeps mail data.
    ///
    /// # Errors
    /// A bare CR or LF, or a NUL, in this very piece.
    pub fn keep(&mut self, piece: &[u8]) -> Result<(), String> {
        let text = String::from_utf8_lossy(piece).replace("\r\n", "");
        if text.contains(['\r', '\n', '\0']) && !self.binary || piece.is_empty() {
            return Err(format!("mail data in the piece {:?}", String::from_utf8_lossy(piece)));
        }
        self.message.extend_from_slice(piece);
        Ok(())
    }

    fn message_verdict(&mut self) -> Answer {
        let message = std::mem::take(&mut self.message);
        let text = String::from_utf8_lossy(&message);
        let header = text.split("\r\n\r\n").next().unwrap_or_default();
        let verdict = header.split("\r\n").find_map(|field| field.strip_prefix("X-Verdict: ")).and_then(by_name);
        verdict.unwrap_or_else(|| {
            let outcomes: Vec<Reply> = self.recipients.iter().filter_map(|name| outcome(name)).collect();
            let worst = outcomes.iter().find(|reply| reply.is_negative()).cloned();
            if outcomes.iter().any(Reply::is_positive) {
                self.accepted.push(message);
            }
            match (self.protocol, worst) {
                (Protocol::Smtp, None) => Answer::Yes,
                (Protocol::Smtp, Some(reply)) => Answer::No(reply),
                (Protocol::Lmtp, _) => Answer::PerRecipient(outcomes),
            }
        })
    }
}

/// `no-CODE` refuses, `bye-CODE` refuses and closes.
fn by_name(name: &str) -> Option<Answer> {
    if let Some(code) = name.strip_prefix("no-") {
        return Some(Answer::No(refusal(code.parse().ok()?)?));
    }
    let code = name.strip_prefix("bye-")?;
    Some(Answer::Close(Reply::new(code.parse().ok()?, None, &["policy says bye"]).ok()?))
}

/// `late-CODE` is refused behind the mail data, everybody else gets the message.
fn outcome(local_part: &str) -> Option<Reply> {
    match local_part.strip_prefix("late-") {
        Some(code) => refusal(code.parse().ok()?),
        None => Reply::new(250, None, &["delivered"]).ok(),
    }
}

fn refusal(code: u16) -> Option<Reply> {
    Reply::new(code, None, &["policy says no"]).ok()
}

impl Answer {
    fn reply(code: u16, text: &str) -> Answer {
        Reply::new(code, None, &[text]).map_or(Answer::Default, Answer::Reply)
    }
}
