//! Plays the steps of a script, until one goes another way.

use std::net::SocketAddr;
use std::sync::Arc;

use postgate_plugin::{Run, SessionFacts, Stubs};
use postgate_smtp::dialogue::Expected;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::client::{Client, Followed, printable};
use super::line::{CLIENT_PORT, Own, Verdict};
use super::mismatch::Mismatch;
use super::outgoing;
use super::record::{Record, SeenCall};
use super::script::{Play, Script, Step};
use crate::connection::Connection;
use crate::proxy::Origin;
use crate::site::Door;
use crate::stage::Stage;
use crate::stream::Stream;
use crate::tls::authority::Authority;

/// A dialogue under way.
pub(super) struct Player<'a> {
    script: &'a Script,
    door: Arc<Door>,
    stubs: Arc<Stubs>,
    record: Arc<Record>,
    from: SocketAddr,
    /// The end that the client has connected to, where that is not the listener's.
    to: Option<SocketAddr>,
    authority: Arc<Authority>,
    /// Sessions that have begun.
    sessions: usize,
    session: Option<Session>,
}

struct Session {
    client: Client,
    /// The dialogue has said that the server closes.
    may_be_closed: bool,
    serving: JoinHandle<()>,
    /// Dropped, it would tell the session that the gateway stops.
    _stop: watch::Sender<bool>,
}

type Outcome = Result<(), Mismatch>;

impl<'a> Player<'a> {
    pub(super) fn new(
        script: &'a Script,
        door: Arc<Door>,
        stubs: Arc<Stubs>,
        record: Arc<Record>,
        authority: Arc<Authority>,
    ) -> Self {
        let from = SocketAddr::from(([192, 0, 2, 1], CLIENT_PORT));
        Self { script, door, stubs, record, from, to: None, authority, sessions: 0, session: None }
    }

    /// Plays all of it; where it goes another way is the answer.
    pub(super) async fn play(mut self) -> Option<Mismatch> {
        for step in &self.script.steps {
            self.record.seen().line = step.lines.first().copied().unwrap_or_default();
            if self.session.is_none() && !step.play.is_preparation() {
                self.connect();
            }
            if let Err(mismatch) = self.act(step).await {
                // What plugins are told at the end of the session is of no interest now.
                return Some(mismatch);
            }
        }
        self.end().await.err()
    }

    fn connect(&mut self) {
        self.sessions += 1;
        let (near, far) = tokio::io::duplex(IN_FLIGHT_BYTES);
        let bound = || self.door.settings.bind.first().copied().unwrap_or(([192, 0, 2, 25], 25).into());
        let local = self.to.unwrap_or_else(bound);
        let facts = SessionFacts {
            id: format!("test-{}", self.sessions),
            listener: self.door.name.clone(),
            hostname: self.door.settings.hostname.as_str().into(),
            remote: self.from,
            local,
            hello: None,
            tls: None,
            identity: None,
            early_talker: false,
            illegal_pipelining: 0,
        };
        let (stop, stopping) = watch::channel(false);
        let run = Run::rehearsal(self.door.chain.clone(), facts, self.record.clone());
        let stage = Stage::new(self.door.house.clone(), run, stopping.clone());
        let connection = Connection::new(Stream::Memory(far), self.door.clone(), stage, Origin::Known);
        let serving = tokio::spawn(connection.serve(stopping));
        self.session = Some(Session { client: Client::new(near), may_be_closed: false, serving, _stop: stop });
    }

    async fn act(&mut self, step: &Step) -> Outcome {
        match &step.play {
            Play::Client(octets) => {
                self.nothing_else(step).await?;
                if let Some(session) = &mut self.session {
                    session.client.write(octets).await;
                    // What is called now is called for these lines, the last of them most often.
                    self.record.seen().line = step.lines.last().copied().unwrap_or_default();
                    session.client.settle().await;
                }
                Ok(())
            }
            Play::Server(expected) => self.server(step, expected).await,
            Play::Tls(name) => {
                self.nothing_else(step).await?;
                let Some(session) = &mut self.session else { return Ok(()) };
                let secured = session.client.start_tls(&self.authority, name.as_deref()).await;
                secured.map_err(|error| self.mismatch(step, "the handshake fails", [error]))
            }
            Play::Closed => {
                self.nothing_else(step).await?;
                let Some(session) = &mut self.session else { return Ok(()) };
                session.may_be_closed = true;
                let is_closed = session.client.is_closed;
                self.holds(step, is_closed, "the server has not closed", Vec::new)
            }
            Play::Stored(count) => {
                self.settle().await;
                let found = self.record.seen().stored;
                self.holds(step, found == *count, "another number of messages was accepted", || {
                    vec![format!("stored: {found}")]
                })
            }
            Play::Message(octets) => {
                self.settle().await;
                let found = self.record.seen().message.clone();
                let is_right = found.as_ref() == Some(octets);
                self.holds(step, is_right, "the last message that was accepted is another", || shown(found))
            }
            Play::Own(own) => self.own(step, own).await,
        }
    }

    async fn server(&mut self, step: &Step, expected: &[Expected]) -> Outcome {
        let Some(session) = &mut self.session else { return Ok(()) };
        let followed = session.client.expect(expected).await;
        let lines = session.client.lines();
        session.client.forget();
        let is_closed = session.client.is_closed;
        let (from, line, what) = match followed {
            Followed::Whole(_) => return Ok(()),
            Followed::Strayed { expected: from, .. } if from == expected.len() => {
                (from, expected.len(), "the server says more")
            }
            Followed::Strayed { expected, line } => (expected, line, "the server says something else"),
            Followed::Partly => {
                let what = if is_closed { "the server has closed" } else { "the server says nothing more" };
                (lines.len().min(expected.len() - 1), lines.len(), what)
            }
        };
        let said = lines.get(line.min(lines.len())..).unwrap_or_default();
        let said: Vec<String> = said.iter().map(|line| format!("S: {line}")).collect();
        let unmet = step.lines.get(from..).unwrap_or_default();
        let behind = step.lines.get(from.saturating_sub(1)).copied();
        Err(Mismatch::new(self.script, unmet, behind, what, said))
    }

    async fn own(&mut self, step: &Step, own: &Own) -> Outcome {
        match own {
            Own::From { client, to } => {
                self.end().await?;
                (self.from, self.to) = (*client, *to);
            }
            Own::Wait(time) => {
                self.settle().await;
                sleep(*time).await;
            }
            Own::Stub(stub) => {
                self.settle().await;
                // What is wrong with it was told when it was read.
                let _ = stub.apply(&self.stubs);
            }
            Own::Fail { plugin, hook, cause } => {
                self.settle().await;
                self.record.order_failure(plugin, *hook, *cause);
            }
            Own::Verdict(verdict) => return self.verdict(step, verdict).await,
            Own::Log { level, text } => {
                self.settle().await;
                let seen = self.record.seen();
                let is_right = seen.log().any(|line| line.level == *level && text.matches(&line.text));
                let lines = || seen.log().map(|line| format!("log: {} {}", line.level, line.text)).collect();
                return self.holds(step, is_right, "no plugin has written that", lines);
            }
            Own::Note { name, value } => {
                self.settle().await;
                let seen = self.record.seen();
                let is_right = seen.notes.iter().any(|(known, found)| known == name && value.matches(found));
                let notes = || seen.notes.iter().map(|(name, value)| format!("note: {name}={value}")).collect();
                return self.holds(step, is_right, "the session's notes are others", notes);
            }
            Own::Calls { hook, count, by } => {
                self.settle().await;
                let found = self.record.seen().calls_of(*hook, by.as_deref()).count();
                let behind = by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
                let line = || vec![format!("calls: {hook} {found}{behind}")];
                return self.holds(step, found == *count, "it was called another number of times", line);
            }
            Own::Fate { mailbox, fate } => {
                self.settle().await;
                let seen = self.record.seen();
                let is_right = seen.fates.iter().any(|(known, found)| known == mailbox && found == fate);
                let fates = || seen.fates.iter().map(|(mailbox, fate)| format!("fate: {mailbox} {fate}")).collect();
                return self.holds(step, is_right, "it fared otherwise", fates);
            }
            Own::Request { .. }
            | Own::RequestField { .. }
            | Own::Requests(_)
            | Own::HandOver { .. }
            | Own::HandOverText(_) => return self.outgoing(step, own).await,
            Own::Clock(_) | Own::Secret { .. } | Own::File { .. } => {}
        }
        Ok(())
    }

    /// What has left by a service.
    async fn outgoing(&mut self, step: &Step, own: &Own) -> Outcome {
        self.settle().await;
        match outgoing::holds(own, &self.stubs) {
            Ok(()) => Ok(()),
            Err((what, found)) => Err(self.mismatch(step, what, found)),
        }
    }

    /// The last call of that hook, perhaps of one plugin.
    async fn verdict(&mut self, step: &Step, verdict: &Verdict) -> Outcome {
        self.settle().await;
        let Verdict { hook, word, detail, by } = verdict;
        let seen = self.record.seen();
        let last = seen.calls_of(*hook, by.as_deref()).next_back();
        let fits = |call: &SeenCall| {
            let mut outcomes = call.outcomes().into_iter();
            outcomes.any(|(found, text)| found == word && detail.as_ref().is_none_or(|detail| detail.matches(text)))
        };
        // Where no plugin is named, one of those that were asked at the same time may have said it.
        let line = last.map(|call| call.line);
        let mut asked = seen.calls_of(*hook, by.as_deref()).filter(|call| Some(call.line) == line);
        let is_right = match by {
            Some(_) => last.is_some_and(fits),
            None => asked.any(fits),
        };
        let found = || {
            let asked = seen.calls_of(*hook, by.as_deref()).filter(|call| Some(call.line) == line);
            asked.map(|call| format!("verdict: {hook} {call} by {}", call.plugin)).collect()
        };
        let what = if last.is_some() { "the verdict is another" } else { "this hook was not called" };
        self.holds(step, is_right, what, found)
    }

    fn holds(&self, step: &Step, is_right: bool, what: &str, found: impl FnOnce() -> Vec<String>) -> Outcome {
        if is_right { Ok(()) } else { Err(self.mismatch(step, what, found())) }
    }

    async fn settle(&mut self) {
        if let Some(session) = &mut self.session {
            session.client.settle().await;
        }
    }

    /// The server has said nothing that was not expected.
    async fn nothing_else(&mut self, step: &Step) -> Outcome {
        self.settle().await;
        let Some(session) = &mut self.session else { return Ok(()) };
        let lines = session.client.lines();
        if lines.is_empty() {
            return Ok(());
        }
        let first = step.lines.first().copied().unwrap_or_default();
        let said = lines.iter().map(|line| format!("S: {line}")).collect();
        Err(Mismatch::new(self.script, &[], Some(first.saturating_sub(1)), "the server says something", said))
    }

    /// The client goes: the server has nothing more to say, and has not closed unless that was expected.
    async fn end(&mut self) -> Outcome {
        self.settle().await;
        let Some(mut session) = self.session.take() else { return Ok(()) };
        let last = self.record.seen().line;
        let said = session.client.lines();
        let is_closed = session.client.is_closed;
        session.client.close().await;
        // It has ended, or never will.
        let _ = tokio::time::timeout(LAST_WAIT, session.serving).await;
        let behind = self.script.steps.iter().filter(|step| step.lines.first().is_some_and(|line| *line <= last));
        let behind = behind.filter_map(|step| step.lines.last().copied()).next_back();
        if !said.is_empty() || (is_closed && !session.may_be_closed) {
            let mut said: Vec<String> = said.iter().map(|line| format!("S: {line}")).collect();
            if is_closed {
                said.push("closed".to_owned());
            }
            return Err(Mismatch::new(self.script, &[], behind, "the server goes on", said));
        }
        Ok(())
    }

    fn mismatch(&self, step: &Step, what: &str, found: impl IntoIterator<Item = String>) -> Mismatch {
        Mismatch::new(self.script, &step.lines, None, what, found.into_iter().collect())
    }
}

/// The message as `=` lines.
fn shown(message: Option<Vec<u8>>) -> Vec<String> {
    let Some(message) = message else { return vec!["no message was accepted".to_owned()] };
    let text = String::from_utf8_lossy(&message).into_owned();
    let mut lines: Vec<String> = text
        .split_inclusive("\r\n")
        .take(MAX_SHOWN_LINES)
        .map(|line| match line.strip_suffix("\r\n") {
            Some(line) => format!("=: {}", printable(&line.replace('\\', "\\\\"))),
            None => format!("=~ {}", printable(&line.replace('\\', "\\\\"))),
        })
        .collect();
    if text.split_inclusive("\r\n").count() > MAX_SHOWN_LINES {
        lines.push(format!("… {} octets in all", message.len()));
    }
    lines
}

/// What both sides may have written and not read: more than a session ever has.
const IN_FLIGHT_BYTES: usize = 16 << 20;

/// Lines of a message that are shown.
const MAX_SHOWN_LINES: usize = 40;

/// How long, in the rehearsal's time, a session may take to end.
const LAST_WAIT: std::time::Duration = std::time::Duration::from_secs(3600);
