//! One connection to a relay: the sans-IO client with a socket below it, and a clock beside it.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use postgate_smtp::client::{Client, Config, Ending, Envelope, Event, Failure, Outcome};
use postgate_smtp::{Reply, replies};
use rustls::crypto::ring::default_provider;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::client::TlsStream;

use super::content::Content;
use super::tls::Layer;

/// A connection that was greeted.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    client: Client,
    input: Vec<u8>,
    /// Octets of the input that the client has taken.
    taken: usize,
    /// The server takes no more octets; what it has said before is still read.
    deaf: bool,
    messages: u32,
}

/// In clear or below TLS.
#[derive(Debug)]
enum Stream {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// While a handshake is under way.
    Nowhere,
}

/// Why there is no connection, or no longer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It could not be reached a moment ago, and somebody is trying.
    Away,
    /// All connections are in use.
    Busy,
    /// The name of the host.
    LookUp(io::Error),
    NoAddress,
    Connect {
        address: SocketAddr,
        error: io::Error,
    },
    /// TLS, or whom it shows.
    Handshake(io::Error),
    Dialogue(Failure),
}

impl Trouble {
    pub(super) fn reply(&self) -> Reply {
        match self {
            Self::Away | Self::Busy | Self::LookUp(_) | Self::NoAddress | Self::Connect { .. } => {
                replies::NEXT_HOP_AWAY.clone()
            }
            Self::Handshake(_) => replies::NEXT_HOP_WITHOUT_TLS.clone(),
            Self::Dialogue(failure) => failure.reply(),
        }
    }

    /// What the operator can do something about is an error, the rest a warning.
    pub(super) fn log(&self, relay: &str) {
        match self {
            Self::Away => tracing::debug!(relay, "relay is away"),
            Self::Busy => tracing::warn!(relay, "relay has no connection free"),
            Self::LookUp(error) => tracing::warn!(relay, %error, "relay not found"),
            Self::NoAddress => tracing::warn!(relay, "relay has no address"),
            Self::Connect { address, error } => tracing::warn!(relay, %address, %error, "relay not reached"),
            Self::Handshake(error) => tracing::error!(relay, %error, "relay not secure"),
            Self::Dialogue(failure) if failure.is_ours() => {
                tracing::error!(relay, %failure, "relay refuses us");
            }
            Self::Dialogue(failure) => tracing::warn!(relay, %failure, "relay failed"),
        }
    }
}

impl Connection {
    /// Goes through banner, EHLO, TLS and AUTH.
    pub(super) async fn open(
        stream: TcpStream,
        config: &Arc<Config>,
        layer: Option<&Layer>,
        implicit: bool,
    ) -> Result<Self, Trouble> {
        let (stream, client) = match layer.filter(|_| implicit) {
            Some(layer) => {
                let (stream, binding) = handshake(layer, stream, config).await?;
                (Stream::Tls(Box::new(stream)), Client::new_secured(config.clone(), seed(), binding))
            }
            None => (Stream::Clear(stream), Client::new(config.clone(), seed())),
        };
        let mut connection = Self { stream, client, input: Vec::new(), taken: 0, deaf: false, messages: 0 };
        loop {
            match connection.event().await {
                Event::Ready => return Ok(connection),
                Event::StartTls => connection.secure(layer, config).await?,
                Event::Close(ending) => return Err(over(ending)),
                // Nothing is under way.
                Event::Wait | Event::Work | Event::MailData | Event::Outcome(_) => {}
            }
        }
    }

    async fn secure(&mut self, layer: Option<&Layer>, config: &Config) -> Result<(), Trouble> {
        let (Some(layer), Stream::Clear(stream)) = (layer, std::mem::replace(&mut self.stream, Stream::Nowhere)) else {
            return Err(Trouble::Handshake(io::ErrorKind::Unsupported.into()));
        };
        let (stream, binding) = handshake(layer, stream, config).await?;
        self.stream = Stream::Tls(Box::new(stream));
        self.input.clear();
        self.taken = 0;
        self.client.secured(binding);
        Ok(())
    }

    /// Sees whether the server is still there. One that has said something meanwhile is not asked: nobody could tell which reply belongs to what.
    pub(super) async fn revive(&mut self) -> Result<(), Trouble> {
        if self.has_spoken() {
            return Err(Trouble::Dialogue(Failure::OutOfStep));
        }
        self.client.reset();
        match self.event().await {
            Event::Ready => Ok(()),
            Event::Close(ending) => Err(over(ending)),
            Event::Wait | Event::StartTls | Event::Work | Event::MailData | Event::Outcome(_) => {
                Err(Trouble::Dialogue(Failure::OutOfStep))
            }
        }
    }

    /// Whether there is something to read, or an end.
    fn has_spoken(&mut self) -> bool {
        let mut octet = [0];
        let mut buffer = ReadBuf::new(&mut octet);
        let mut context = Context::from_waker(std::task::Waker::noop());
        self.taken < self.input.len() || Pin::new(&mut self.stream).poll_read(&mut context, &mut buffer).is_ready()
    }

    /// One transaction. Where the connection is over, its outcomes come with why.
    pub(super) async fn send(
        &mut self,
        envelope: Envelope,
        content: &Content,
    ) -> Result<Vec<Outcome>, (Vec<Outcome>, Trouble)> {
        self.messages = self.messages.saturating_add(1);
        self.client.begin(envelope);
        let mut offset = 0;
        let mut outcomes = Vec::new();
        loop {
            match self.event().await {
                Event::MailData => match content.piece(offset).await {
                    Ok(piece) if piece.is_empty() => self.client.end_mail_data(),
                    Ok(piece) => {
                        offset += piece.len() as u64;
                        self.client.mail_data(&piece);
                    }
                    Err(error) => {
                        tracing::error!(%error, "mail data could not be read");
                        self.client.abort_mail_data();
                    }
                },
                Event::Outcome(found) => outcomes = found,
                Event::Ready => return Ok(outcomes),
                Event::Close(ending) => return Err((outcomes, over(ending))),
                Event::Wait | Event::StartTls | Event::Work => {}
            }
        }
    }

    pub(super) fn recipients_max(&self) -> usize {
        self.client.recipients_max()
    }

    /// Whether another message may be sent on it.
    pub(super) fn may_go_on(&self, messages_max: u32) -> bool {
        !self.deaf && self.messages < messages_max && self.client.has_transactions_left()
    }

    /// QUIT, and its answer, which is not waited for long; then the connection is closed.
    pub(super) async fn part(mut self) {
        self.client.quit();
        self.event().await;
    }

    /// QUIT, as far as it can be written at once; nobody waits for the answer.
    pub(super) fn say_goodbye(&mut self) {
        self.client.quit();
        let mut context = Context::from_waker(std::task::Waker::noop());
        let written = Pin::new(&mut self.stream).poll_write(&mut context, self.client.output());
        if matches!(written, Poll::Ready(Ok(_))) {
            // It is closed anyway.
            let _ = Pin::new(&mut self.stream).poll_shutdown(&mut context);
        }
    }

    /// Reads and writes until there is something to be done. Each whole reply has its time, and no octet of it gives it more.
    async fn event(&mut self) -> Event {
        let mut wait: Option<(u64, Instant)> = None;
        loop {
            let (taken, event) = self.client.advance(self.input.get(self.taken..).unwrap_or_default());
            self.taken += taken;
            match event {
                Event::Wait => {}
                Event::Work => {
                    self.work().await;
                    continue;
                }
                Event::MailData if self.deaf || !self.client.output().is_empty() => {}
                event @ (Event::StartTls | Event::Ready | Event::MailData | Event::Outcome(_) | Event::Close(_)) => {
                    return event;
                }
            }
            let replies = self.client.replies();
            let due = match wait {
                Some((before, due)) if before == replies => due,
                Some(_) | None => Instant::now() + self.client.patience(),
            };
            wait = Some((replies, due));
            match timeout_at(due, poll_fn(|context| self.poll_turn(context))).await {
                Ok(Ok(())) => {}
                Ok(Err(_lost)) => self.client.lost(),
                Err(_elapsed) => self.client.time_out(),
            }
        }
    }

    /// The proof of SCRAM takes a good part of a second: not on a thread that serves sessions.
    async fn work(&mut self) {
        let Some(work) = self.client.work() else { return };
        match tokio::task::spawn_blocking(|| work.run()).await {
            Ok(worked) => self.client.worked(worked),
            // The threads are being shut down.
            Err(_) => self.client.lost(),
        }
    }

    /// Writes what there is, and reads what comes. Ready when something was read, or mail data may follow.
    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let had_output = !self.client.output().is_empty();
        while !self.deaf && !self.client.output().is_empty() {
            match Pin::new(&mut self.stream).poll_write(context, self.client.output()) {
                Poll::Ready(Ok(octets)) if octets > 0 => self.client.sent(octets),
                // A refusal may have come before.
                Poll::Ready(_) => self.deaf = true,
                Poll::Pending => break,
            }
        }
        let flushed = self.deaf || Pin::new(&mut self.stream).poll_flush(context).is_ready();
        if self.taken >= self.input.len() {
            self.input.resize(READ_BYTES, 0);
            self.taken = 0;
            let mut buffer = ReadBuf::new(&mut self.input);
            let read = Pin::new(&mut self.stream).poll_read(context, &mut buffer);
            let octets = buffer.filled().len();
            self.input.truncate(octets);
            match read {
                Poll::Ready(Ok(())) if octets > 0 => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {}
            }
        }
        let may_go_on = had_output && flushed && !self.deaf && self.client.output().is_empty();
        if may_go_on { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

async fn handshake(
    layer: &Layer,
    stream: TcpStream,
    config: &Config,
) -> Result<(TlsStream<TcpStream>, Option<Vec<u8>>), Trouble> {
    let handshake = timeout(config.patience.command, layer.handshake(stream)).await;
    handshake.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into())).map_err(Trouble::Handshake)
}

fn over(ending: Ending) -> Trouble {
    match ending {
        Ending::Quit => Trouble::Dialogue(Failure::Lost),
        Ending::Failed(failure) => Trouble::Dialogue(failure),
    }
}

/// Octets for the nonces of one connection.
fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    default_provider().secure_random.fill(&mut seed).expect("invariant: the system has random octets");
    seed
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Nowhere => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_write(context, octets),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, octets),
            Self::Nowhere => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            Self::Nowhere => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Nowhere => Poll::Ready(Ok(())),
        }
    }
}

const READ_BYTES: usize = 4096;
