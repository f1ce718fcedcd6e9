//! One connection: octets between the socket, the session and its stage.
//!
//! An idle connection is what there is most of, so it costs little: no buffer (they are borrowed from a pool for as long as octets
//! are worked on), one timer that is looked at when it rings, and a small future, because the work on a batch of octets is a
//! future of its own that exists only while it lasts.

mod patience;

use std::io;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use postgate_plugin::End;
use postgate_smtp::{Close, Event, Extension, Late, Mechanism, Session, TlsFacts};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, timeout, timeout_at};

use self::patience::{Patience, Wait};
use crate::banner;
use crate::buffer::Buffer;
use crate::proxy::Origin;
use crate::site::Door;
use crate::stage::Stage;
use crate::stream::Stream;
use crate::tls::Peer;

/// One client's connection.
pub(crate) struct Connection {
    stream: Stream,
    door: Arc<Door>,
    session: Session,
    stage: Stage,
    patience: Patience,
    origin: Origin,
}

/// How a batch of octets ended.
enum Flow {
    /// The client may go on.
    Open,
    /// TLS begins.
    StartTls,
    /// The session is over, and its last reply is written.
    Closed(End),
}

/// Why there are no octets.
enum Silence {
    /// The client closed, or the connection broke.
    Lost,
    /// The client has taken longer than it may.
    Late(Late),
    /// The gateway is stopping.
    Stopping,
}

impl Connection {
    pub(crate) fn new(stream: Stream, door: Arc<Door>, mut stage: Stage, origin: Origin) -> Self {
        let mut session = Session::new(door.smtp.clone());
        prepare(&mut session, &door, &mut stage, origin);
        let patience = Patience::new(Instant::now());
        Self { stream, door, session, stage, patience, origin }
    }

    /// Serves the client until the session is over. `stop` asks it to come to an end soon.
    pub(crate) async fn serve(mut self, mut stop: watch::Receiver<bool>) {
        if self.door.begins_with_tls() && Box::pin(self.begin(&mut stop)).await.is_err() {
            // Nobody has been asked about this client, so there is nobody to tell.
            return;
        }
        let early = match Box::pin(self.before_banner(&mut stop)).await {
            Ok(early) => early,
            Err(error) => {
                tracing::info!(session = self.stage.session().id, %error, "connection lost before the banner");
                return;
            }
        };
        let end = match self.dialogue(early, &mut stop).await {
            Ok(end) => end,
            Err(error) => {
                tracing::debug!(session = self.stage.session().id, %error, "connection lost");
                End::Lost
            }
        };
        match end {
            End::Refused | End::Timeout | End::Shutdown => self.linger().await,
            End::Quit | End::Lost => self.stream.part(LINGER).await,
        }
        self.stage.session().illegal_pipelining = self.session.illegal_pipelining();
        Box::pin(self.stage.end(end)).await;
        let transactions = self.stage.transactions();
        let session = self.stage.session();
        tracing::info!(
            session = session.id,
            listener = &*session.listener,
            remote = %session.remote,
            tls = session.tls.as_ref().map(|layer| layer.version.as_str()),
            cipher = session.tls.as_ref().map(|layer| layer.cipher_suite.as_str()),
            transactions,
            end = end_name(end),
            "session ended"
        );
    }

    /// Where TLS comes first: the handshake, and a session that knows of it.
    async fn begin(&mut self, stop: &mut watch::Receiver<bool>) -> io::Result<()> {
        let facts = tokio::select! {
            facts = self.handshake() => facts?,
            _ = stop.wait_for(|stop| *stop) => return Err(io::ErrorKind::Interrupted.into()),
        };
        self.session = Session::new_secured(self.door.smtp.clone(), facts);
        prepare(&mut self.session, &self.door, &mut self.stage, self.origin);
        Ok(())
    }

    /// The handshake, after which the stream is another. Where it fails there is no stream any more.
    async fn handshake(&mut self) -> io::Result<TlsFacts> {
        let handshake = match (&self.door.tls, std::mem::replace(&mut self.stream, Stream::Gone)) {
            (Some(tls), Stream::Plain(stream)) => {
                tls.handshake(stream).await.map(|(stream, peer)| (Stream::Tls(stream), peer))
            }
            (Some(tls), Stream::Memory(stream)) => {
                let secured = Box::pin(tls.handshake(stream)).await;
                secured.map(|(stream, peer)| (Stream::MemoryTls(stream), peer))
            }
            (Some(_) | None, _) => Err(io::Error::other("there is no TLS to begin")),
        };
        let session = self.stage.session();
        match handshake {
            Ok((stream, Peer { layer, facts })) => {
                tracing::debug!(
                    session = session.id,
                    version = layer.version,
                    cipher = layer.cipher_suite,
                    server_name = ?layer.server_name,
                    client = ?facts.client_certificate,
                    "TLS begins"
                );
                self.stream = stream;
                self.stage.secured(layer);
                Ok(facts)
            }
            Err(error) => {
                let (listener, remote) = (&*session.listener, session.remote);
                let error = error.to_string();
                tracing::info!(session = session.id, listener, %remote, ?error, "TLS handshake failed");
                Err(io::ErrorKind::ConnectionAborted.into())
            }
        }
    }

    /// The silence before the banner, where the operator wants one, and what was said in it.
    async fn before_banner(&mut self, stop: &mut watch::Receiver<bool>) -> io::Result<Option<Buffer>> {
        let delay = self.door.settings.banner_delay.0;
        if delay.is_zero() {
            return Ok(None);
        }
        let early = banner::delay(&mut self.stream, delay, stop).await?;
        self.stage.session().early_talker = early.is_some();
        Ok(early)
    }

    async fn dialogue(&mut self, early: Option<Buffer>, stop: &mut watch::Receiver<bool>) -> io::Result<End> {
        let timer = tokio::time::sleep(REST_AFTER);
        let stopping = async { drop(stop.wait_for(|stop| *stop).await) };
        tokio::pin!(timer, stopping);
        let mut is_stopping = false;
        let mut flow = Box::pin(self.work(early.as_ref().map_or(&[][..], Buffer::as_slice))).await?;
        drop(early);
        loop {
            match flow {
                Flow::Open => {}
                Flow::Closed(end) => return Ok(end),
                Flow::StartTls => {
                    // The session begins anew behind the handshake, for as long as that may take.
                    self.stage.rest();
                    let facts = tokio::select! {
                        facts = Box::pin(self.handshake()) => facts?,
                        () = &mut stopping, if !is_stopping => return Ok(End::Shutdown),
                    };
                    self.session.secured(facts);
                    flow = Box::pin(self.work(&[])).await?;
                    continue;
                }
            }
            let wait = async {
                tokio::select! {
                    biased;
                    read = self.read(timer.as_mut()) => read,
                    () = &mut stopping, if !is_stopping => Ok(Err(Silence::Stopping)),
                }
            };
            flow = match wait.await? {
                Ok(octets) => Box::pin(self.work(octets.as_slice())).await?,
                Err(Silence::Lost) => return Ok(End::Lost),
                Err(Silence::Late(late)) => {
                    self.session.time_out(late);
                    Box::pin(self.work(&[])).await?
                }
                Err(Silence::Stopping) => {
                    is_stopping = true;
                    self.session.stop();
                    Box::pin(self.work(&[])).await?
                }
            };
        }
    }

    /// Waits for octets. The timer is not set for each wait: it rings now and then, and is then set to what is due next.
    async fn read(&mut self, mut timer: std::pin::Pin<&mut Sleep>) -> io::Result<Result<Buffer, Silence>> {
        let begin = Instant::now();
        let wait = Wait::of(&self.session);
        let (late_at, late) = self.patience.until(wait, &self.door.settings.limits, begin);
        if late_at <= begin {
            return Ok(Err(Silence::Late(late)));
        }
        // When what is held for the client is looked at.
        let still_since = self.patience.still_since(begin);
        let mut look_at = self.stage.has_instances().then(|| still_since + self.unused_after());
        loop {
            let due = look_at.unwrap_or(late_at).min(late_at);
            if timer.deadline() > due {
                timer.as_mut().reset(due);
            }
            tokio::select! {
                biased;
                read = self.stream.read() => {
                    let buffer = read?;
                    wait.came(&mut self.patience, buffer.as_slice().len(), begin.elapsed());
                    return Ok(if buffer.as_slice().is_empty() { Err(Silence::Lost) } else { Ok(buffer) });
                }
                () = timer.as_mut() => {
                    let now = Instant::now();
                    if now >= late_at {
                        return Ok(Err(Silence::Late(late)));
                    }
                    if look_at.is_some_and(|at| now >= at) {
                        if Box::pin(self.stage.release()).await {
                            return Ok(Err(Silence::Late(Late::Crowded)));
                        }
                        look_at = self.stage.has_instances().then(|| now + REST_AFTER);
                    }
                    timer.as_mut().reset(look_at.unwrap_or(late_at).min(late_at));
                }
            }
        }
    }

    /// After what silence instances are not in use: they may be dropped between transactions, and given to others within one.
    fn unused_after(&self) -> Duration {
        if self.session.transaction_is_open() { self.door.settings.limits.crowded_patience.0 } else { REST_AFTER }
    }

    /// Works on octets until they are used up, and writes what there is to say.
    async fn work(&mut self, mut input: &[u8]) -> io::Result<Flow> {
        if self.door.smtp.extensions.contains(Extension::FutureRelease) {
            let since = self.door.house.clock.time().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.session.set_date(since.as_secs());
        }
        loop {
            let (taken, event) = self.session.advance(input);
            let flow = match event {
                Event::Wait => Some(Flow::Open),
                Event::Ask(question) => {
                    self.stage.session().illegal_pipelining = self.session.illegal_pipelining();
                    let answer = self.stage.decide(question).await;
                    self.session.answer(answer);
                    None
                }
                Event::MailData(octets) => {
                    self.stage.mail_data(octets).await;
                    None
                }
                Event::Reset => {
                    self.stage.reset().await;
                    None
                }
                // What is left of the input was read in clear, and may have been put there by somebody else (CVE-2011-0411): it is
                // dropped with the buffer.
                Event::StartTls => Some(Flow::StartTls),
                Event::Close(close) => Some(Flow::Closed(end(close))),
            };
            input = input.get(taken..).unwrap_or_default();
            if flow.is_some() || self.session.output().len() > MAX_OUTPUT_BYTES {
                self.write().await?;
            }
            if let Some(flow) = flow {
                return Ok(flow);
            }
        }
    }

    /// We close, and the client may still be sending: were the socket dropped with octets unread, the system would tell the client
    /// that the connection broke, and might throw our last reply away. So what it sends is read for a little while.
    async fn linger(&mut self) {
        let mut left = LINGER_BYTES;
        let drain = async {
            self.stream.end().await?;
            while left > 0 {
                match self.stream.read().await?.as_slice().len() {
                    0 => break,
                    octets => left = left.saturating_sub(octets),
                }
            }
            io::Result::Ok(())
        };
        // Whatever comes of it, the connection is closed now.
        let _ = timeout(LINGER, drain).await;
    }

    /// Writes the output. A client that does not read is waited for as long as one that does not write, and for all of it once; what is
    /// held for it is given back as soon as if it were silent.
    async fn write(&mut self) -> io::Result<()> {
        self.door.house.figures.replies(self.session.output());
        let begin = Instant::now();
        let late_at = begin + self.session.patience();
        let mut look_at = begin + self.unused_after();
        loop {
            if let Ok(written) = timeout_at(look_at.min(late_at), self.write_all()).await {
                return written;
            }
            let now = Instant::now();
            if now >= late_at || Box::pin(self.stage.release()).await {
                return Err(io::ErrorKind::TimedOut.into());
            }
            look_at = now + REST_AFTER;
        }
    }

    /// Nothing is lost where this is given up.
    async fn write_all(&mut self) -> io::Result<()> {
        while !self.session.output().is_empty() {
            match self.stream.write(self.session.output()).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                octets => self.session.sent(octets),
            }
        }
        self.stream.flush().await
    }
}

fn end(close: Close) -> End {
    match close {
        Close::Quit => End::Quit,
        Close::Refused | Close::TooManyErrors | Close::OutOfStep => End::Refused,
        Close::Timeout => End::Timeout,
        Close::Shutdown => End::Shutdown,
    }
}

/// What a session can't know by itself: random octets for SCRAM, and whether its peer may speak for others.
fn prepare(session: &mut Session, door: &Door, stage: &mut Stage, origin: Origin) {
    let scram = [Mechanism::ScramSha256, Mechanism::ScramSha256Plus];
    if scram.iter().any(|mechanism| door.smtp.auth.mechanisms.contains(*mechanism)) {
        session.set_seed(door.house.chance.seed());
    }
    // Behind a proxy it is the client who must be listed: whom the proxy forwards is not therefore one.
    let remote = stage.session().remote.ip();
    if origin == Origin::Known && door.settings.xclient_from.iter().any(|network| network.contains(remote)) {
        session.trust_peer();
    }
}

const fn end_name(end: End) -> &'static str {
    match end {
        End::Quit => "quit",
        End::Lost => "lost",
        End::Timeout => "timeout",
        End::Refused => "refused",
        End::Shutdown => "shutdown",
    }
}

/// A session that is idle for so long between transactions gives its instances back; and so often one within a transaction looks whether
/// others wait.
const REST_AFTER: Duration = Duration::from_secs(1);

/// How long, and for how many octets, a client that we close is listened to.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1 << 20;

/// Replies are written together, up to so many octets.
const MAX_OUTPUT_BYTES: usize = 16 << 10;
