//! The stage of a session: what the protocol asks is put to the chain, and what the chain says is answered.
//!
//! Here is the way of a message from MAIL to its reply. 250 is said only when every recipient is delivered, or the message is
//! kept for a person, on disk; everything doubtful is deferred.

mod replies;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use postgate_plugin::{
    Authentication, ClientHello, ClientIdentity, Clock, Decision, Delivery, End, Event, Fate, Greeting,
    MessageDecision, MessageError, MessageWriter, Run, SessionFacts, TlsLayer,
};
use postgate_smtp::{Answer, Credentials, Forwarded, Mailbox, Protocol, Question, Recipient, Reply};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::chance::Chance;
use crate::figures::{Ended, Figures};
use crate::guesses::Watch;
use crate::{id, quarantine, received};

/// What the stages of a listener share.
#[derive(Debug)]
pub(crate) struct House {
    /// What is spoken.
    pub(crate) protocol: Protocol,
    /// What is counted.
    pub(crate) figures: Arc<Figures>,
    /// The time in Received.
    pub(crate) clock: Clock,
    /// What can't be guessed.
    pub(crate) chance: Chance,
    /// Our name in Received.
    pub(crate) hostname: String,
    /// Where parts of large messages are kept while they are received.
    pub(crate) scratch: PathBuf,
    /// Where messages are kept for a person.
    pub(crate) quarantine: PathBuf,
    /// Who guesses passwords.
    pub(crate) watch: Watch,
}

/// One session's stage.
pub(crate) struct Stage {
    house: Arc<House>,
    run: Run,
    transactions: u64,
    /// The open transaction.
    transaction: Option<Transaction>,
    /// Whether the gateway is stopping.
    stop: watch::Receiver<bool>,
}

struct Transaction {
    id: String,
    /// Whether mailboxes and header fields may be in UTF-8 (RFC 6531).
    utf8: bool,
    /// The accepted forward-paths, in order.
    recipients: Vec<Mailbox>,
    mail_data: MessageWriter,
    /// The disk did not take the mail data.
    broken: Option<MessageError>,
}

impl Stage {
    pub(crate) fn new(house: Arc<House>, run: Run, stop: watch::Receiver<bool>) -> Self {
        Self { house, run, transactions: 0, transaction: None, stop }
    }

    pub(crate) fn session(&mut self) -> &mut SessionFacts {
        self.run.session()
    }

    /// The connection is below TLS now, and the session begins anew (RFC 3207 section 4.2).
    pub(crate) fn secured(&mut self, layer: TlsLayer) {
        self.run.restart();
        self.run.session().tls = Some(layer);
    }

    /// Transactions that were begun.
    pub(crate) fn transactions(&self) -> u64 {
        self.transactions
    }

    /// Whether dropping instances would free anything.
    pub(crate) fn has_instances(&self) -> bool {
        self.run.has_instances()
    }

    /// The session is idle between transactions: gives back what plugins hold.
    pub(crate) fn rest(&mut self) {
        if self.transaction.is_none() {
            self.run.drop_instances();
        }
    }

    /// The client does not move. Gives back what plugins hold: between transactions at once, within one if others wait for it; then the
    /// transaction is given up, and the answer is yes.
    pub(crate) async fn release(&mut self) -> bool {
        if self.transaction.is_none() {
            self.run.drop_instances();
            return false;
        }
        let Some(yielding) = self.run.give_way() else { return false };
        tracing::warn!(session = self.run.session().id, "a silent transaction gives way to others");
        self.reset().await;
        self.run.drop_instances();
        drop(yielding);
        true
    }

    /// Asks the chain.
    pub(crate) async fn decide(&mut self, question: Question) -> Answer {
        match question {
            Question::Connect => verdict(self.run.connect().await),
            Question::Hello(hello) => self.hello(hello).await,
            Question::Starttls => verdict(self.run.starttls().await),
            Question::Authenticate { mechanism, credentials } => self.authenticate(mechanism, credentials).await,
            Question::Proved { .. } if self.is_shut() => Answer::AuthenticationUnavailable,
            Question::Proved { .. } => Answer::Yes,
            Question::Mail(mail) => self.mail(mail).await,
            Question::Recipient(recipient) => self.recipient(recipient).await,
            Question::Data => verdict(self.run.data().await),
            Question::Chunk { size, last } => verdict(self.run.chunk(size, last).await),
            Question::Message => self.message().await,
            Question::Verify(argument) => replied(self.run.verify(&argument).await),
            Question::Expand(argument) => replied(self.run.expand(&argument).await),
            Question::Xclient(forwarded) => self.speak_for(forwarded),
            Question::Xforward(forwarded) => {
                let session = self.run.session();
                tracing::info!(session = session.id, client = ?forwarded, "forwarded");
                Answer::Yes
            }
            Question::Command { verb, argument } => replied(self.run.command(&verb, &argument).await),
        }
    }

    /// A proxy whom we trust speaks for this client from now on: the session begins anew.
    fn speak_for(&mut self, client: Forwarded) -> Answer {
        self.transaction = None;
        self.run.restart();
        let session = self.run.session();
        tracing::info!(session = session.id, proxy = %session.remote, client = ?client, "proxy speaks for a client");
        if let Some(address) = client.address {
            session.remote = SocketAddr::new(address, client.port.unwrap_or_default());
        }
        if let Some(address) = client.destination_address {
            session.local = SocketAddr::new(address, client.destination_port.unwrap_or_default());
        }
        session.early_talker = false;
        session.illegal_pipelining = 0;
        session.hello = client.helo.map(|name| ClientHello { greeting: Greeting::Ehlo, name });
        session.identity = client.login.map(|name| ClientIdentity { name, mechanism: "XCLIENT".to_owned() });
        Answer::Yes
    }

    async fn hello(&mut self, hello: postgate_smtp::Hello) -> Answer {
        let greeting = match hello.greeting {
            postgate_smtp::Greeting::Helo => Greeting::Helo,
            postgate_smtp::Greeting::Ehlo => Greeting::Ehlo,
            postgate_smtp::Greeting::Lhlo => Greeting::Lhlo,
        };
        let before = self.run.session().hello.replace(ClientHello { greeting, name: hello.name });
        match self.run.hello().await {
            (Decision::Pass | Decision::Accept, keywords) => Answer::Greet { keywords },
            (refused @ (Decision::Refuse(_) | Decision::Disconnect(_)), _) => {
                self.run.session().hello = before;
                verdict(refused)
            }
        }
    }

    /// Asks who the client is, unless its network has guessed too much. A failure is answered after a while, in which the session
    /// holds its connection and nothing else.
    async fn authenticate(&mut self, mechanism: postgate_smtp::Mechanism, credentials: Credentials) -> Answer {
        let client = self.run.session().remote.ip();
        let is_guess = !matches!(credentials, Credentials::Scram { .. });
        if self.is_shut() {
            return Answer::AuthenticationUnavailable;
        }
        let answer = self.ask_who(mechanism, credentials).await;
        if !is_guess || answer != Answer::AuthenticationFailed {
            return answer;
        }
        let Some(delay) = self.house.watch.failed(client, Instant::now().into_std()) else {
            return Answer::AuthenticationUnavailable;
        };
        if delay > Duration::ZERO {
            self.run.drop_instances();
            tokio::select! {
                () = sleep(delay) => {}
                // Behind the reply the session is over.
                _ = self.stop.wait_for(|stop| *stop) => {}
            }
        }
        answer
    }

    /// Whether nobody of the client's network can authenticate now.
    fn is_shut(&mut self) -> bool {
        let client = self.run.session().remote.ip();
        self.house.watch.is_shut(client, Instant::now().into_std())
    }

    async fn ask_who(&mut self, mechanism: postgate_smtp::Mechanism, credentials: Credentials) -> Answer {
        // At the end of SCRAM nobody needs to be asked: the client has proved to have the keys, or it has not.
        let authentication = match credentials {
            Credentials::ScramProof { identity, .. } => {
                identity.map_or(Authentication::Failure, Authentication::Identity)
            }
            credentials @ (Credentials::Password { .. }
            | Credentials::Scram { .. }
            | Credentials::Token { .. }
            | Credentials::Certificate { .. }) => self.run.authenticate(mechanism.name(), credentials).await,
        };
        match authentication {
            Authentication::Keys(keys) => Answer::ScramKeys(keys),
            // Attempts that were made at the same time as those that shut the network out are not answered either.
            Authentication::Identity(_) if self.is_shut() => Answer::AuthenticationUnavailable,
            Authentication::Identity(name) => {
                let identity = self.run.redacted(name.clone());
                tracing::info!(session = self.run.session().id, ?identity, "authenticated");
                let mechanism = mechanism.name().to_owned();
                self.run.session().identity = Some(ClientIdentity { name, mechanism });
                Answer::Authenticated
            }
            Authentication::Failure => {
                let session = self.run.session();
                tracing::info!(session = session.id, remote = %session.remote, "authentication failed");
                Answer::AuthenticationFailed
            }
            Authentication::TemporaryFailure => Answer::AuthenticationUnavailable,
            Authentication::Disconnect(reply) => Answer::Close(reply),
        }
    }

    async fn mail(&mut self, mail: postgate_smtp::Mail) -> Answer {
        self.transactions += 1;
        let id = id::transaction(&self.run.session().id, self.transactions);
        let utf8 = mail.utf8;
        let answer = verdict(self.run.mail(id.clone(), mail).await);
        if answer == Answer::Yes {
            self.transaction = Some(Transaction {
                id,
                utf8,
                recipients: Vec::new(),
                mail_data: MessageWriter::default(),
                broken: None,
            });
        }
        answer
    }

    async fn recipient(&mut self, recipient: Recipient) -> Answer {
        let mailbox = recipient.mailbox.clone();
        let answer = verdict(self.run.recipient(recipient).await);
        if let (Answer::Yes, Some(transaction)) = (&answer, &mut self.transaction) {
            transaction.recipients.push(mailbox);
        }
        answer
    }

    /// The next octets of the message.
    pub(crate) async fn mail_data(&mut self, octets: &[u8]) {
        let Some(transaction) = &mut self.transaction else { return };
        if transaction.broken.is_some() {
            return;
        }
        transaction.mail_data.push(octets);
        if transaction.mail_data.wants_flush() {
            let mut writer = std::mem::take(&mut transaction.mail_data);
            let scratch = self.house.scratch.clone();
            let flushed = tokio::task::spawn_blocking(move || writer.flush(&scratch).map(|()| writer)).await;
            match flushed {
                Ok(Ok(writer)) => transaction.mail_data = writer,
                Ok(Err(error)) => transaction.broken = Some(error),
                Err(panicked) => transaction.broken = Some(MessageError::Disk(std::io::Error::other(panicked))),
            }
        }
    }

    /// The transaction was given up.
    pub(crate) async fn reset(&mut self) {
        if let Some(transaction) = self.transaction.take() {
            let size = transaction.mail_data.size();
            self.house.figures.transaction(Ended::GivenUp);
            tracing::info!(
                transaction = transaction.id,
                recipients = transaction.recipients.len(),
                size,
                "transaction given up"
            );
            self.run.observe(Event::TransactionReset).await;
        }
        self.run.close_transaction();
    }

    /// The session is over.
    pub(crate) async fn end(&mut self, end: End) {
        self.reset().await;
        self.run.observe(Event::SessionEnd(end)).await;
    }

    /// The end of mail data: filters, delivery, reply.
    async fn message(&mut self) -> Answer {
        let Some(transaction) = self.transaction.take() else { return Answer::No(replies::NOT_DELIVERED) };
        let id = transaction.id.clone();
        let size = transaction.mail_data.size();
        let answer = self.dispose(transaction).await;
        let ended = |reply: Option<&Reply>| match reply.map(Reply::code) {
            Some(400..500) => Ended::Deferred,
            Some(500..) => Ended::Refused,
            Some(_) | None => Ended::Accepted,
        };
        let figures = self.house.figures.clone();
        let session = self.run.session();
        let reply = match &answer {
            Answer::No(reply) | Answer::Close(reply) | Answer::Reply(reply) => Some(reply),
            Answer::PerRecipient(replies) => replies.iter().max_by_key(|reply| reply.code()),
            Answer::Yes
            | Answer::Greet { .. }
            | Answer::Authenticated
            | Answer::ScramKeys(_)
            | Answer::AuthenticationFailed
            | Answer::AuthenticationUnavailable
            | Answer::Default => None,
        };
        tracing::info!(
            session = session.id,
            transaction = id,
            listener = &*session.listener,
            size,
            code = reply.map(Reply::code),
            "transaction ended"
        );
        figures.transaction(ended(reply));
        self.run.close_transaction();
        answer
    }

    async fn dispose(&mut self, transaction: Transaction) -> Answer {
        let Transaction { id, utf8, recipients, mail_data, broken } = transaction;
        let finished = match broken {
            Some(error) => Err(error),
            None => finish(mail_data, &self.house.scratch).await,
        };
        let mut message = match finished {
            Ok(message) => message,
            Err(error) => {
                match &error {
                    MessageError::Disk(cause) => {
                        tracing::error!(transaction = id, %cause, "mail data could not be kept");
                    }
                    MessageError::HeaderTooLong | MessageError::HeaderContinues | MessageError::HeaderBare => {
                        tracing::info!(transaction = id, reason = error.to_string(), "mail data refused");
                    }
                }
                self.run.observe(Event::TransactionReset).await;
                return Answer::No(replies::not_kept(&error));
            }
        };
        let only = recipients.first().filter(|_| recipients.len() == 1);
        let house = &self.house;
        let (now, utf8) = (OffsetDateTime::from(house.clock.time()), utf8.then_some(received::Utf8));
        let trace = received::field(self.run.session(), &house.hostname, &id, only, utf8, now);
        message.set_trace(trace);
        match self.run.message(message).await {
            MessageDecision::Deliver => self.deliver(&id, &recipients).await,
            MessageDecision::Refuse(reply) => {
                self.run.observe(Event::TransactionReset).await;
                Answer::No(reply)
            }
            MessageDecision::Disconnect(reply) => {
                self.run.observe(Event::TransactionReset).await;
                Answer::Close(reply)
            }
            MessageDecision::Discard { plugin, reason } => {
                let reason = self.run.redacted(reason);
                tracing::info!(transaction = id, plugin, ?reason, "message discarded");
                self.run.observe(Event::TransactionDiscarded).await;
                Answer::Reply(replies::taken(&id))
            }
            MessageDecision::Quarantine { label } => {
                let recipients = self.run.recipients();
                if let Err(reply) = self.quarantine(&id, label, &recipients).await {
                    self.run.observe(Event::TransactionReset).await;
                    return Answer::No(reply);
                }
                self.run.observe(Event::TransactionQuarantined).await;
                Answer::Reply(replies::taken(&id))
            }
        }
    }

    /// Hands the message over, and makes one reply of the outcomes: the worst of them; in LMTP one for each recipient. A client that
    /// hears a 4yz although some recipients have got the message sends it again, to them too: twice is better than never.
    async fn deliver(&mut self, id: &str, accepted: &[Mailbox]) -> Answer {
        let mut deliveries = self.run.deliver().await;
        self.quarantine_failed(id, &mut deliveries).await;
        for delivery in &deliveries {
            let Delivery { recipient, fate, plugin } = delivery;
            self.house.figures.recipient(fate);
            let plugin = plugin.as_deref();
            let recipient = Mailbox::try_from(recipient).map(|mailbox| mailbox.to_string()).unwrap_or_default();
            match fate {
                Fate::Delivered => tracing::info!(transaction = id, recipient, plugin, "delivered"),
                Fate::Quarantined(label) => tracing::info!(transaction = id, recipient, plugin, label, "quarantined"),
                Fate::Failed(reply) => {
                    let reply = self.run.redacted(reply.to_string());
                    tracing::info!(transaction = id, recipient, plugin, reply, "delivery failed")
                }
                Fate::Deferred(reply) => {
                    let reply = self.run.redacted(reply.to_string());
                    tracing::info!(transaction = id, recipient, plugin, reply, "delivery deferred")
                }
            }
        }
        self.run.observe(Event::TransactionOutcome(&deliveries)).await;
        match self.house.protocol {
            Protocol::Smtp => replies::of_deliveries(id, &deliveries),
            Protocol::Lmtp => replies::of_recipients(id, accepted, &deliveries),
        }
    }

    /// Keeps the message for the recipients whose plugin's failure policy says so; who can't be kept is deferred.
    async fn quarantine_failed(&mut self, id: &str, deliveries: &mut [Delivery]) {
        let label = deliveries.iter().find_map(|delivery| match &delivery.fate {
            Fate::Quarantined(label) => Some(label.clone()),
            Fate::Delivered | Fate::Failed(_) | Fate::Deferred(_) => None,
        });
        let Some(label) = label else { return };
        let quarantined = |delivery: &&mut Delivery| matches!(delivery.fate, Fate::Quarantined(_));
        let recipients: Vec<_> =
            deliveries.iter_mut().filter(quarantined).map(|delivery| delivery.recipient.clone()).collect();
        if let Err(reply) = self.quarantine(id, label, &recipients).await {
            deliveries
                .iter_mut()
                .filter(quarantined)
                .for_each(|delivery| delivery.fate = Fate::Deferred(reply.clone()));
        }
    }

    async fn quarantine(
        &mut self,
        id: &str,
        label: String,
        recipients: &[postgate_plugin::Mailbox],
    ) -> Result<(), Reply> {
        let message = self.run.mail_data().ok_or(replies::NOT_DELIVERED)?;
        let root = self.house.quarantine.clone();
        let top = quarantine::envelope(id, self.run.reverse_path(), recipients);
        let kept = quarantine::keep(root, label.clone(), top, message).await;
        match kept {
            Ok(()) => {
                tracing::warn!(transaction = id, label, "message quarantined");
                Ok(())
            }
            Err(error) => {
                tracing::error!(transaction = id, label, %error, "message could not be quarantined");
                Err(replies::not_written(&error))
            }
        }
    }
}

async fn finish(mail_data: MessageWriter, scratch: &Path) -> Result<postgate_plugin::Message, MessageError> {
    if !mail_data.needs_disk() {
        return mail_data.finish(scratch);
    }
    let scratch = scratch.to_path_buf();
    let finished = tokio::task::spawn_blocking(move || mail_data.finish(&scratch)).await;
    finished.unwrap_or_else(|panicked| Err(MessageError::Disk(std::io::Error::other(panicked))))
}

fn verdict(decision: Decision) -> Answer {
    match decision {
        Decision::Pass | Decision::Accept => Answer::Yes,
        Decision::Refuse(reply) => Answer::No(reply),
        Decision::Disconnect(reply) => Answer::Close(reply),
    }
}

fn replied(decision: Decision) -> Answer {
    match decision {
        Decision::Pass | Decision::Accept => Answer::Default,
        Decision::Refuse(reply) => Answer::Reply(reply),
        Decision::Disconnect(reply) => Answer::Close(reply),
    }
}
