//! What happens in a rehearsal: the calls of plugins, their lines in the log, and what became of messages.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postgate_plugin::{Call, Cause, Event, Failed, Fate, Hook, Mailbox, Message, Policy, Saying, Witness};
use tracing::field::{Field, Visit};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::client::printable;

/// Everything that was seen; shared by the run, which tells, and by whoever plays the dialogue.
#[derive(Debug, Default)]
pub(crate) struct Record(Mutex<Seen>);

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The line of the dialogue that is being played.
    pub(crate) line: usize,
    /// In order.
    pub(crate) calls: Vec<SeenCall>,
    /// The session's notes.
    pub(crate) notes: Vec<(String, String)>,
    /// What became of the recipients of the last transaction.
    pub(crate) fates: Vec<(String, &'static str)>,
    /// Messages that were accepted.
    pub(crate) stored: usize,
    /// The last of them, without the host's trace field.
    pub(crate) message: Option<Vec<u8>>,
    /// Calls that are to fail.
    failures: VecDeque<(String, Hook, Cause)>,
    /// Lines of the log before the call that they belong to has ended.
    log: Vec<LogLine>,
    /// Calls that were not remembered, over the bound.
    pub(crate) forgotten: usize,
}

/// A call of a plugin.
#[derive(Clone, Debug)]
pub(crate) struct SeenCall {
    /// The line of the dialogue.
    pub(crate) line: usize,
    /// The plugin.
    pub(crate) plugin: String,
    /// What it was asked.
    pub(crate) hook: Hook,
    /// What it said; none where it failed.
    pub(crate) said: Option<Vec<Saying>>,
    /// Fuel that was burnt.
    pub(crate) fuel: u64,
    /// Octets of memory that its instance has.
    pub(crate) memory_bytes: usize,
    /// Wall-clock time.
    pub(crate) time: Duration,
    /// Why a policy speaks for it.
    pub(crate) failure: Option<SeenFailure>,
    /// What it wrote into the log.
    pub(crate) log: Vec<LogLine>,
}

/// Why a plugin did not answer.
#[derive(Clone, Debug)]
pub(crate) struct SeenFailure {
    /// The cause.
    pub(crate) cause: Cause,
    /// What was done.
    pub(crate) policy: Policy,
    /// What happened, with a backtrace where there is one.
    pub(crate) detail: String,
    /// The end of its standard error.
    pub(crate) stderr: String,
}

/// A line of a plugin in the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogLine {
    /// `debug`, `info`, `warn` or `error`.
    pub(crate) level: String,
    /// The message, and the fields behind it.
    pub(crate) text: String,
}

impl Record {
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next call of that hook is to fail.
    pub(crate) fn order_failure(&self, plugin: &str, hook: Hook, cause: Cause) {
        self.seen().failures.push_back((plugin.to_owned(), hook, cause));
    }

    /// Everything, at the end.
    pub(crate) fn take(&self) -> Seen {
        std::mem::take(&mut *self.seen())
    }
}

impl Seen {
    fn push(&mut self, call: SeenCall) {
        if self.calls.len() < MAX_CALLS {
            self.calls.push(call);
        } else {
            self.forgotten += 1;
        }
    }

    /// Calls of a hook, of one plugin or of all.
    pub(crate) fn calls_of<'a>(
        &'a self,
        hook: Hook,
        by: Option<&'a str>,
    ) -> impl DoubleEndedIterator<Item = &'a SeenCall> {
        self.calls.iter().filter(move |call| call.hook == hook && by.is_none_or(|by| by == call.plugin))
    }

    /// All lines of the log, in order.
    pub(crate) fn log(&self) -> impl Iterator<Item = &LogLine> {
        self.calls.iter().flat_map(|call| &call.log).chain(&self.log)
    }
}

impl SeenCall {
    /// What it came to: words of `wit/hooks.wit`, or `fails`; each with what belongs to it.
    pub(crate) fn outcomes(&self) -> Vec<(&str, &str)> {
        match (&self.failure, &self.said) {
            (Some(failure), _) => vec![("fails", failure.cause.name())],
            (None, Some(said)) => said.iter().map(|saying| (saying.word, saying.detail.as_str())).collect(),
            (None, None) => Vec::new(),
        }
    }
}

impl fmt::Display for SeenCall {
    /// The outcomes in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (word, detail)) in self.outcomes().into_iter().enumerate() {
            let gap = if n > 0 { ", " } else { "" };
            write!(f, "{gap}{word}")?;
            if !detail.is_empty() {
                write!(f, " {}", printable(detail))?;
            }
        }
        Ok(())
    }
}

impl Witness for Record {
    fn fails(&self, plugin: &str, hook: Hook) -> Option<Cause> {
        let mut seen = self.seen();
        let at = seen.failures.iter().position(|(of, at, _)| of == plugin && *at == hook)?;
        seen.failures.remove(at).map(|(_, _, cause)| cause)
    }

    fn called(&self, call: Call<'_>) {
        let mut seen = self.seen();
        seen.notes = call.notes.to_vec();
        let log = std::mem::take(&mut seen.log);
        let line = seen.line;
        seen.push(SeenCall {
            line,
            plugin: call.plugin.to_owned(),
            hook: call.hook,
            said: call.said,
            fuel: call.fuel,
            memory_bytes: call.memory_bytes,
            time: call.time,
            failure: None,
            log,
        });
    }

    fn failed(&self, failed: Failed<'_>) {
        let mut seen = self.seen();
        let failure = SeenFailure {
            cause: failed.cause,
            policy: failed.policy,
            detail: failed.detail.to_owned(),
            stderr: failed.stderr.to_owned(),
        };
        // What the host finds wrong in an answer is told behind the call; a call that was not made has not been told.
        let is_answer = failed.cause == Cause::Reply;
        let line = seen.line;
        let last = seen.calls.last_mut().filter(|call| {
            call.plugin == failed.plugin && call.hook == failed.hook && call.failure.is_none() && call.line == line
        });
        match last.filter(|call| call.said.is_none() || is_answer) {
            Some(call) => call.failure = Some(failure),
            None => seen.push(SeenCall {
                line,
                plugin: failed.plugin.to_owned(),
                hook: failed.hook,
                said: None,
                fuel: 0,
                memory_bytes: 0,
                time: Duration::ZERO,
                failure: Some(failure),
                log: Vec::new(),
            }),
        }
    }

    fn restarted(&self) {
        self.seen().notes.clear();
    }

    fn happened(&self, event: Event<'_>, message: Option<&Message>, recipients: &[Mailbox]) {
        let all = |fate| recipients.iter().map(|recipient| (text(recipient), fate)).collect::<Vec<_>>();
        let fates = match event {
            Event::TransactionReset => Vec::new(),
            Event::SessionEnd(_) => return,
            Event::TransactionDiscarded => all("discarded"),
            Event::TransactionQuarantined => all("quarantined"),
            Event::TransactionOutcome(deliveries) => {
                let fates = deliveries.iter().map(|delivery| (text(&delivery.recipient), word(&delivery.fate)));
                fates.collect()
            }
        };
        let is_accepted = fates.iter().any(|(_, fate)| !matches!(*fate, "failed" | "deferred"));
        let octets = message.filter(|_| is_accepted).and_then(|message| {
            let mut octets = Vec::new();
            // What can't be read back compares as nothing, and the dialogue says so.
            message.read(0, usize::try_from(message.size()).ok()?, &mut octets).ok()?;
            Some(octets)
        });
        let mut seen = self.seen();
        if is_accepted {
            seen.stored += 1;
            seen.message = octets;
        }
        seen.fates = fates;
    }
}

fn word(fate: &Fate) -> &'static str {
    match fate {
        Fate::Delivered => "delivered",
        Fate::Failed(_) => "failed",
        Fate::Deferred(_) => "deferred",
        Fate::Quarantined(_) => "quarantined",
    }
}

fn text(mailbox: &Mailbox) -> String {
    format!("{}@{}", mailbox.local_part, mailbox.domain)
}

/// Takes the lines that plugins write out of the log.
pub(crate) struct PluginLog(pub(crate) Arc<Record>);

impl<S: tracing::Subscriber> Layer<S> for PluginLog {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _context: Context<'_, S>) -> bool {
        metadata.target() == TARGET
    }

    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let text =
            if fields.facts.is_empty() { fields.message } else { format!("{} {}", fields.message, fields.facts) };
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        let mut seen = self.0.seen();
        if seen.log.len() < MAX_LOG_LINES {
            seen.log.push(LogLine { level, text });
        }
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    facts: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "facts" => self.facts = format!("{value:?}"),
            _ => {}
        }
    }
}

/// The log target of lines that plugins write.
const TARGET: &str = "postgate::plugin";

/// Calls of one dialogue that are remembered.
const MAX_CALLS: usize = 100_000;
/// Lines of one call.
const MAX_LOG_LINES: usize = 10_000;
