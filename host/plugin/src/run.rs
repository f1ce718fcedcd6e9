//! The run of one session through its chain: each hook is asked in order, and verdicts become decisions.
//!
//! The rules of a chain are here and nowhere else. The first verdict other than `next` ends a hook. A recipient that nobody
//! accepts is refused, a message that nobody takes is deferred. A plugin that fails is thrown away, and its policy speaks for
//! it.

mod authenticate;
mod directory;
mod message;
mod observe;

use std::sync::Arc;

use postgate_smtp::Reply;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio::time::error::Elapsed;

pub use self::authenticate::Authentication;
pub use self::message::{Delivery, Fate, MessageDecision};
pub use self::observe::{End, Event};
use crate::bindings::exports::postgate::mail::hello::HelloAnswer;
use crate::bindings::postgate::mail::types::Verdict;
use crate::chain::{Chain, Entry};
use crate::component::Plugin;
use crate::context::{Context, Mailbox, SessionFacts, Transaction, VerdictKind};
use crate::failure::{Cause, Consequence, Failure};
use crate::hook::Hook;
use crate::instance::{self, Instance};
use crate::limits::Keep;
use crate::message::Message;
use crate::places::{Places, Yielding};
use crate::pulse::Running;
use crate::reply::{Class, checked};
use crate::service::mail_authentication::Findings;
use crate::witness::{Answer, Call, Failed, Witness};

/// What the host makes of the verdicts of one hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nobody objected, and nobody accepted.
    Pass,
    /// A plugin accepted.
    Accept,
    /// Refuse with this reply.
    Refuse(Reply),
    /// Refuse with this reply and close the connection.
    Disconnect(Reply),
}

/// One session's run through its chain.
pub struct Run {
    chain: Arc<Chain>,
    /// Lent to an instance while it is called.
    context: Option<Box<Context>>,
    /// The live instances, by their entry in the chain; empty until the first call.
    instances: Vec<Option<Box<Instance>>>,
    /// Places in the pool for the instances of all plugins, while there is any.
    places: Option<OwnedSemaphorePermit>,
    /// Fuel that the last call used.
    fuel_used: u64,
    /// Whom a rehearsal tells what happens.
    witness: Option<Arc<dyn Witness>>,
}

/// An instance that is being called.
struct Called {
    instance: Box<Instance>,
    plugin: Arc<Plugin>,
    position: usize,
    /// Also for making the instance, and for waiting until there is room for one.
    deadline: Instant,
    /// Where a witness is told how long it took.
    begun: Option<std::time::Instant>,
    _running: Running,
}

/// Calls a function of a hook in the instance at one position of the chain.
macro_rules! call {
    ($run:expr, $position:expr, $hook:expr, $field:ident . $function:ident ($($argument:expr),*)) => {{
        match $run.enter($position, $hook).await {
            Ok(mut called) => {
                let live = &mut *called.instance;
                let answer = match live.guests.$field(&called.plugin.indices, &mut live.store, &live.instance) {
                    Ok(guest) => {
                        let call = guest.$function(&mut live.store, $($argument),*);
                        tokio::time::timeout_at(called.deadline, call).await
                    }
                    Err(error) => Ok(Err(error)),
                };
                $run.leave(called, answer)
            }
            Err(failure) => Err(failure),
        }
    }};
}

/// Asks the plugins of a hook in turn until one has an opinion.
macro_rules! decide {
    ($run:ident, $hook:expr, $recipient:expr, $field:ident . $function:ident ($($argument:expr),*)) => {{
        let mut decision = Decision::Pass;
        for turn in 0..$run.turns($hook) {
            let position = $run.position($hook, turn);
            let answer = call!($run, position, $hook, $field.$function($($argument),*));
            if let Some(found) = $run.judge(position, $hook, answer, $recipient) {
                decision = found;
                break;
            }
        }
        decision
    }};
}

pub(crate) use call;

impl Run {
    /// A run through `chain` for one session.
    pub fn new(chain: Arc<Chain>, session: SessionFacts) -> Self {
        Self {
            chain,
            context: Some(Box::new(Context::new(session))),
            instances: Vec::new(),
            places: None,
            fuel_used: 0,
            witness: None,
        }
    }

    /// A run of which nothing real depends, and in which the witness is told of everything. Recipients and messages that no plugin of the
    /// chain could decide about, because none has the hook, are taken.
    pub fn rehearsal(chain: Arc<Chain>, session: SessionFacts, witness: Arc<dyn Witness>) -> Self {
        Self { witness: Some(witness), ..Self::new(chain, session) }
    }

    /// Whether the rehearsal decides where no plugin could.
    fn stands_in(&self, hook: Hook) -> bool {
        self.witness.is_some() && self.turns(hook) == 0
    }

    /// The chain.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// What is known of the session; the gateway keeps it up to date.
    pub fn session(&mut self) -> &mut SessionFacts {
        &mut self.context_mut().session
    }

    /// The session begins anew (RFC 3207 section 4.2): what was learned before is forgotten.
    pub fn restart(&mut self) {
        self.close_transaction();
        self.drop_instances();
        let context = self.context_mut();
        context.notes.clear();
        context.session.hello = None;
        context.session.identity = None;
        if let Some(witness) = &self.witness {
            witness.restarted();
        }
    }

    /// Drops the live instances. Allowed between two mail transactions, when the session is idle.
    pub fn drop_instances(&mut self) {
        self.instances.clear();
        self.places = None;
    }

    /// Whether others wait for places that this session holds, and it is the one that should give them back.
    pub fn give_way(&self) -> Option<Yielding> {
        self.places.as_ref()?;
        let plugins = || self.chain.entries().iter().map(|entry| &entry.plugin);
        let held = plugins().zip(&self.instances).filter(|(_, instance)| instance.is_some());
        let all = plugins().next().and_then(|plugin| plugin.engine.places().give_way());
        all.or_else(|| held.map(|(plugin, _)| &plugin.places).find_map(Places::give_way))
    }

    /// Whether any instance is alive.
    pub fn has_instances(&self) -> bool {
        self.places.is_some()
    }

    /// A client has connected.
    pub async fn connect(&mut self) -> Decision {
        decide!(self, Hook::Connect, None, connect.call_on_connect())
    }

    /// The client has greeted; `session().hello` is what it said. Also the EHLO lines that plugins have added.
    pub async fn hello(&mut self) -> (Decision, Vec<String>) {
        let mut lines = Vec::new();
        for turn in 0..self.turns(Hook::Hello) {
            let position = self.position(Hook::Hello, turn);
            let answer = call!(self, position, Hook::Hello, hello.call_on_hello());
            let verdict = answer.and_then(|HelloAnswer { verdict, keywords }| {
                check_keywords(&keywords).map_err(|detail| self.bad_answer(detail))?;
                lines.extend(keywords);
                Ok(verdict)
            });
            if let Some(decision) = self.judge(position, Hook::Hello, verdict, None) {
                return (decision, lines);
            }
        }
        (Decision::Pass, lines)
    }

    /// STARTTLS, before the handshake.
    pub async fn starttls(&mut self) -> Decision {
        decide!(self, Hook::Starttls, None, starttls.call_on_starttls())
    }

    /// MAIL: opens the transaction, unless a plugin objects.
    pub async fn mail(&mut self, id: String, mail: postgate_smtp::Mail) -> Decision {
        let reverse_path: Option<Mailbox> = mail.reverse_path.map(Into::into);
        let parameters: Vec<_> = mail.parameters.into_iter().map(Into::into).collect();
        let asked = self.turns(Hook::Mail) > 0;
        let arguments = if asked { (reverse_path.clone(), parameters.clone()) } else { Default::default() };
        let quarantine = self.context_mut().quarantine_session.then(|| FAILURE_LABEL.to_owned());
        let authentication = Findings::of(reverse_path.clone());
        self.context_mut().transaction = Some(Transaction {
            id,
            since: std::time::Instant::now(),
            reverse_path,
            parameters,
            declared_size: mail.size,
            recipients: Vec::new(),
            verdicts: Vec::new(),
            quarantine,
            edit_bytes: 0,
            edits: 0,
            undo: None,
            stored: Vec::new(),
            authentication,
        });
        let (reverse_path, parameters) = &arguments;
        let decision = decide!(self, Hook::Mail, None, mail.call_on_mail(reverse_path.as_ref(), parameters));
        match decision {
            Decision::Pass | Decision::Accept => {}
            Decision::Refuse(_) | Decision::Disconnect(_) => self.close_transaction(),
        }
        decision
    }

    /// RCPT. Closed world: a recipient that nobody accepts is refused. Answers `Accept`, `Refuse` or `Disconnect`.
    pub async fn recipient(&mut self, recipient: postgate_smtp::Recipient) -> Decision {
        let mailbox: Mailbox = recipient.mailbox.into();
        let parameters: Vec<_> = recipient.parameters.into_iter().map(Into::into).collect();
        let decision =
            decide!(self, Hook::Recipient, Some(&mailbox), recipient.call_on_recipient(&mailbox, &parameters));
        let is_taken = decision == Decision::Pass && self.stands_in(Hook::Recipient);
        let decision = if is_taken { Decision::Accept } else { decision };
        match decision {
            Decision::Accept => {
                if let Some(transaction) = &mut self.context_mut().transaction {
                    let accepted =
                        crate::bindings::postgate::mail::transaction::AcceptedRecipient { mailbox, parameters };
                    transaction.recipients.push(accepted);
                }
                Decision::Accept
            }
            Decision::Pass => Decision::Refuse(NOBODY_ACCEPTS),
            Decision::Refuse(_) | Decision::Disconnect(_) => decision,
        }
    }

    /// DATA or the first BDAT.
    pub async fn data(&mut self) -> Decision {
        decide!(self, Hook::Data, None, data.call_on_data())
    }

    /// A BDAT chunk.
    pub async fn chunk(&mut self, size: u64, last: bool) -> Decision {
        decide!(self, Hook::Chunk, None, chunk.call_on_chunk(size, last))
    }

    /// The transaction is over, or was given up.
    pub fn close_transaction(&mut self) {
        let context = self.context_mut();
        context.transaction = None;
        context.message = None;
    }

    fn turns(&self, hook: Hook) -> usize {
        self.chain.order(hook).len()
    }

    fn position(&self, hook: Hook, turn: usize) -> usize {
        self.chain.order(hook).get(turn).copied().unwrap_or_default()
    }

    fn entry(&self, position: usize) -> &Entry {
        self.chain.entries().get(position).expect("invariant: positions come from the chain itself")
    }

    fn context_mut(&mut self) -> &mut Context {
        self.context.as_deref_mut().expect("invariant: the context is lent only while a call is awaited")
    }

    /// Gets the instance for a call, makes it if need be, and lends it the context.
    async fn enter(&mut self, position: usize, hook: Hook) -> Result<Called, Failure> {
        if self.instances.is_empty() {
            self.instances.resize_with(self.chain.entries().len(), || None);
        }
        let plugin = self.entry(position).plugin.clone();
        if let Some(cause) = self.witness.as_ref().and_then(|witness| witness.fails(plugin.name(), hook)) {
            // As after any failure the next call has an instance of its own.
            self.instances.get_mut(position).and_then(Option::take);
            return Err(Failure::rehearsed(cause));
        }
        let deadline = Instant::now() + plugin.facts.limits.deadline;
        if self.places.is_none() {
            self.places = Some(instance::places(&plugin.engine, self.chain.entries().len(), deadline).await?);
        }
        let mut instance = match self.instances.get_mut(position).and_then(Option::take) {
            Some(instance) => instance,
            None => Box::new(Instance::new(&plugin, deadline).await?),
        };
        let mut context = self.context.take().expect("invariant: the context is lent only while a call is awaited");
        context.hook = hook;
        instance.begin(context);
        let _running = plugin.engine.pulse().run();
        let begun = self.witness.is_some().then(std::time::Instant::now);
        Ok(Called { instance, deadline, plugin, position, begun, _running })
    }

    /// Takes the context back. An instance that failed is thrown away.
    fn leave<T: Answer>(&mut self, called: Called, answer: Result<wasmtime::Result<T>, Elapsed>) -> Result<T, Failure> {
        let Called { mut instance, plugin, position, deadline, begun: seen, .. } = called;
        self.context = instance.take_context();
        self.fuel_used = plugin.facts.limits.fuel.saturating_sub(instance.store.get_fuel().unwrap_or_default());
        let answer = instance.outcome(answer);
        if let Some(context) = &self.context {
            let begun = called_at(deadline, &plugin);
            plugin.facts.calls.ended(context.hook, begun.elapsed(), self.fuel_used);
        }
        if let (Some(witness), Some(context), Some(begun)) = (&self.witness, &self.context, seen) {
            witness.called(Call {
                plugin: plugin.name(),
                hook: context.hook,
                said: answer.as_ref().ok().map(Answer::said),
                fuel: self.fuel_used,
                memory_bytes: instance.store.data().meter.memory_bytes(),
                time: begun.elapsed(),
                notes: context.notes.entries(),
            });
        }
        tracing::trace!(plugin = plugin.name(), fuel_used = self.fuel_used, failed = answer.is_err(), "hook called");
        let keep = match plugin.keep() {
            Keep::Session => answer.is_ok(),
            Keep::Call => false,
        };
        if let (true, Some(slot)) = (keep, self.instances.get_mut(position)) {
            *slot = Some(instance);
        }
        answer
    }

    /// What a verdict means; none for `next`.
    fn judge(
        &mut self,
        position: usize,
        hook: Hook,
        answer: Result<Verdict, Failure>,
        recipient: Option<&Mailbox>,
    ) -> Option<Decision> {
        let answer = answer.and_then(|verdict| match verdict {
            Verdict::Next => Ok(None),
            Verdict::Accept => Ok(Some((Decision::Accept, VerdictKind::Accepted))),
            Verdict::Reject(reply) => {
                let reply = checked(&reply, Class::Negative).map_err(|detail| self.bad_answer(detail))?;
                Ok(Some((Decision::Refuse(reply), VerdictKind::Rejected)))
            }
            Verdict::Defer(reply) => {
                let reply = checked(&reply, Class::Temporary).map_err(|detail| self.bad_answer(detail))?;
                Ok(Some((Decision::Refuse(reply), VerdictKind::Deferred)))
            }
            Verdict::Disconnect(reply) => {
                let reply = checked(&reply, Class::Negative).map_err(|detail| self.bad_answer(detail))?;
                Ok(Some((Decision::Disconnect(reply), VerdictKind::Disconnected)))
            }
        });
        match answer {
            Ok(None) => None,
            Ok(Some((decision, kind))) => {
                self.record(position, hook, kind, recipient);
                Some(decision)
            }
            Err(failure) => match self.consequence(position, hook, &failure, recipient) {
                Consequence::Next => None,
                Consequence::Refuse(reply) => Some(Decision::Refuse(reply)),
                Consequence::Disconnect(reply) => Some(Decision::Disconnect(reply)),
                Consequence::Quarantine => (hook == Hook::Recipient).then_some(Decision::Accept),
            },
        }
    }

    /// Logs a failure and applies its policy. Quarantine marks the transaction, or the session where there is none.
    fn consequence(
        &mut self,
        position: usize,
        hook: Hook,
        failure: &Failure,
        recipient: Option<&Mailbox>,
    ) -> Consequence {
        let entry = self.entry(position);
        let policy = entry.on_failure.policy(failure.cause);
        let plugin = entry.plugin.clone();
        if let Some(witness) = &self.witness {
            witness.failed(Failed::new(plugin.name(), hook, failure, policy));
        }
        let context = self.context_mut();
        failure.log(&plugin, hook, &context.session.id, policy);
        if let Some(transaction) = &mut context.transaction {
            transaction.record(plugin.name(), hook, VerdictKind::Failed, recipient);
        }
        plugin.facts.calls.failed(hook, failure.cause);
        let consequence = failure.consequence(policy);
        if matches!(consequence, Consequence::Quarantine) {
            match &mut context.transaction {
                Some(transaction) => transaction.quarantine = Some(FAILURE_LABEL.to_owned()),
                None => context.quarantine_session = true,
            }
        }
        consequence
    }

    /// Remembers a verdict, and tells it to the log.
    fn record(&mut self, position: usize, hook: Hook, kind: VerdictKind, recipient: Option<&Mailbox>) {
        let plugin = self.entry(position).plugin.clone();
        let context = self.context_mut();
        tracing::debug!(
            plugin = plugin.name(),
            hook = hook.name(),
            session = context.session.id,
            verdict = ?kind,
            "verdict"
        );
        if let Some(transaction) = &mut context.transaction {
            transaction.record(plugin.name(), hook, kind, recipient);
        }
    }

    /// A failure that the host has found in the answer of the last call.
    fn bad_answer(&self, detail: String) -> Failure {
        Failure { cause: Cause::Reply, detail, fuel_used: self.fuel_used, memory_bytes: 0, stderr: String::new() }
    }

    /// A text that may be a plugin's, for the log: without the secrets of the chain's plugins.
    pub fn redacted(&self, text: String) -> String {
        self.chain.redactor().text(text)
    }

    /// The message of the open transaction.
    pub fn mail_data(&self) -> Option<Arc<Message>> {
        self.context.as_deref().and_then(|context| context.message.clone())
    }
}

/// When a call began that has to end by `deadline`.
fn called_at(deadline: Instant, plugin: &Plugin) -> Instant {
    deadline.checked_sub(plugin.facts.limits.deadline).unwrap_or(deadline)
}

/// EHLO lines of a plugin: `wit/hooks.wit`, `hello-answer`.
fn check_keywords(lines: &[String]) -> Result<(), String> {
    if lines.len() > MAX_KEYWORDS {
        return Err(format!("{} EHLO keywords; {MAX_KEYWORDS} is the most", lines.len()));
    }
    let printable = |line: &str| line.bytes().all(|octet| matches!(octet, b' '..=b'~'));
    let keyword = |line: &str| {
        let word = line.split(' ').next().unwrap_or_default();
        word.starts_with(|first: char| first.is_ascii_alphanumeric())
            && word.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
            && !postgate_smtp::is_reserved_keyword(word)
    };
    match lines.iter().find(|line| line.len() > MAX_KEYWORD_BYTES || !printable(line) || !keyword(line)) {
        Some(line) => Err(format!("{line:?} is not an EHLO keyword of a plugin's own, with parameters")),
        None => Ok(()),
    }
}

/// The label of what a failure policy has sent into quarantine.
const FAILURE_LABEL: &str = "plugin-failed";

const MAX_KEYWORDS: usize = 8;
const MAX_KEYWORD_BYTES: usize = 64;

/// Closed world.
const NOBODY_ACCEPTS: Reply = Reply::fixed(550, (5, 7, 1), "Relaying denied, no such mailbox here");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ehlo_keywords() {
        let check = |lines: &[&str]| check_keywords(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>());
        assert!(check(&[]).is_ok());
        assert!(check(&["XPLAN gold", "X-1"]).is_ok());
        for bad in ["", " X", "X\r\nY", "-X", "X_Y", "XCAF\u{c9}", "SIZE 1", "starttls", &"X".repeat(65)] {
            assert!(check(&[bad]).is_err(), "{bad:?}");
        }
        assert!(check(&["X"; 9]).is_err());
    }
}
