//! One connection: octets between the socket, the session and its stage.
//!
//! An idle connection is what there is most of, so it costs little: no buffer (they are borrowed from a pool for as long as octets
//! are worked on), one timer that is looked at when it rings, and a small future, because the work on a batch of octets is a
//! future of its own that exists only while it lasts.

use std::io;
use std::time::Duration;

use postgate_plugin::End;
use postgate_smtp::{Close, Event, Session};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, timeout};

use crate::buffer::Buffer;
use crate::stage::Stage;

/// One client's connection.
pub(crate) struct Connection {
    stream: TcpStream,
    session: Session,
    stage: Stage,
}

/// How a batch of octets ended.
enum Flow {
    /// The client may go on.
    Open,
    /// The session is over, and its last reply is written.
    Closed(End),
}

/// Why there are no octets.
enum Silence {
    /// The client closed, or the connection broke.
    Lost,
    /// The client was silent for longer than it may be.
    TimedOut,
    /// The gateway is stopping.
    Stopping,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, session: Session, stage: Stage) -> Self {
        Self { stream, session, stage }
    }

    /// Serves the client until the session is over. `stop` asks it to come to an end soon.
    pub(crate) async fn serve(mut self, mut stop: watch::Receiver<bool>) {
        let end = match self.dialogue(&mut stop).await {
            Ok(end) => end,
            Err(error) => {
                tracing::debug!(session = self.stage.session().id, %error, "connection lost");
                End::Lost
            }
        };
        match end {
            End::Refused | End::Timeout | End::Shutdown => self.linger().await,
            End::Quit | End::Lost => {}
        }
        Box::pin(self.stage.end(end)).await;
        let transactions = self.stage.transactions();
        let session = self.stage.session();
        tracing::info!(
            session = session.id,
            listener = &*session.listener,
            remote = %session.remote,
            transactions,
            end = end_name(end),
            "session ended"
        );
    }

    async fn dialogue(&mut self, stop: &mut watch::Receiver<bool>) -> io::Result<End> {
        let timer = tokio::time::sleep(REST_AFTER);
        let stopping = async { drop(stop.wait_for(|stop| *stop).await) };
        tokio::pin!(timer, stopping);
        let mut is_stopping = false;
        let mut flow = Box::pin(self.work(&[])).await?;
        loop {
            if let Flow::Closed(end) = flow {
                return Ok(end);
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
                Err(Silence::TimedOut) => {
                    self.session.time_out();
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
        let lost_at = begin + self.session.patience();
        let mut rest_at = self.stage.has_instances().then(|| begin + REST_AFTER);
        loop {
            let due = rest_at.unwrap_or(lost_at).min(lost_at);
            if timer.deadline() > due {
                timer.as_mut().reset(due);
            }
            tokio::select! {
                biased;
                ready = self.stream.readable() => ready?,
                () = timer.as_mut() => {
                    let now = Instant::now();
                    if now >= lost_at {
                        return Ok(Err(Silence::TimedOut));
                    }
                    if rest_at.is_some_and(|at| now >= at) {
                        self.stage.rest();
                        rest_at = None;
                    }
                    timer.as_mut().reset(rest_at.unwrap_or(lost_at).min(lost_at));
                    continue;
                }
            }
            let mut buffer = Buffer::take();
            match self.stream.try_read(buffer.room()) {
                Ok(0) => return Ok(Err(Silence::Lost)),
                Ok(octets) => {
                    buffer.filled(octets);
                    return Ok(Ok(buffer));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Works on octets until they are used up, and writes what there is to say.
    async fn work(&mut self, mut input: &[u8]) -> io::Result<Flow> {
        loop {
            let (taken, event) = self.session.advance(input);
            let flow = match event {
                Event::Wait => Some(Flow::Open),
                Event::Ask(question) => {
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
            self.stream.shutdown().await?;
            while left > 0 {
                self.stream.readable().await?;
                let mut buffer = Buffer::take();
                match self.stream.try_read(buffer.room()) {
                    Ok(0) => break,
                    Ok(octets) => left = left.saturating_sub(octets),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
            io::Result::Ok(())
        };
        // Whatever comes of it, the connection is closed now.
        let _ = timeout(LINGER, drain).await;
    }

    /// Writes the output. A client that does not read is waited for as long as one that does not write.
    async fn write(&mut self) -> io::Result<()> {
        while !self.session.output().is_empty() {
            match self.stream.try_write(self.session.output()) {
                Ok(octets) => self.session.sent(octets),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let writable = timeout(self.session.patience(), self.stream.writable()).await;
                    writable.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
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

const fn end_name(end: End) -> &'static str {
    match end {
        End::Quit => "quit",
        End::Lost => "lost",
        End::Timeout => "timeout",
        End::Refused => "refused",
        End::Shutdown => "shutdown",
    }
}

/// A session that is idle for so long between transactions gives its instances back.
const REST_AFTER: Duration = Duration::from_secs(1);

/// How long, and for how many octets, a client that we close is listened to.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1 << 20;

/// Replies are written together, up to so many octets.
const MAX_OUTPUT_BYTES: usize = 16 << 10;
