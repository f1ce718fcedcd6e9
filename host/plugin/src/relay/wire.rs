//! The sans-IO client of SMTP with a socket below it, and a clock beside it: what relays and `postgate send` have in common.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use postgate_smtp::client::{Client, Config, Ending, Entry, Event, Failure};
use rustls::crypto::ring::default_provider;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::client::TlsStream;

use super::Place;
use super::tls::{Layer, Secured};

/// A connection to a server, with our side of the dialogue.
pub struct Wire {
    stream: Stream,
    client: Client,
    input: Vec<u8>,
    /// Octets of the input that the client has taken.
    taken: usize,
    /// The server takes no more octets; what it has said before is still read.
    deaf: bool,
    witness: Option<Box<Witness>>,
}

/// Who is told what is said.
pub type Witness = dyn FnMut(Told) + Send;

/// What a witness of a connection is told.
#[derive(Clone, Debug)]
pub enum Told {
    /// Somebody has said something.
    Said(Entry),
    /// The handshake of TLS is done: version and cipher suite.
    Secured(String),
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("client", &self.client).field("deaf", &self.deaf).finish_non_exhaustive()
    }
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
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The name of the host.
    #[error("the host's name can't be looked up")]
    LookUp(#[source] io::Error),
    /// The name of the host has no address.
    #[error("the host has no address")]
    NoAddress,
    /// The last address that was tried.
    #[error("{address} can't be reached")]
    Connect {
        /// Where it was.
        address: SocketAddr,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// TLS, or whom it shows.
    #[error("the handshake of TLS has failed")]
    Handshake(#[source] io::Error),
    /// What was said.
    #[error(transparent)]
    Dialogue(Failure),
}

impl WireError {
    /// Whether the handshake has failed because the server's certificate is not believed.
    pub fn is_about_certificate(&self) -> bool {
        let Self::Handshake(error) = self else { return false };
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
        matches!(cause, Some(rustls::Error::InvalidCertificate(_)))
    }
}

/// Connects to the first address that can be reached.
///
/// # Errors
/// The last one's, or that of the look-up.
pub async fn dial(place: &Place, port: u16, patience: Duration) -> Result<(TcpStream, SocketAddr), WireError> {
    let mut last = WireError::NoAddress;
    for address in addresses(place, port, patience).await?.into_iter().take(ADDRESSES_MAX) {
        match timeout(patience, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Where it can't be set mail is slower, and no less sure.
                let _ = stream.set_nodelay(true);
                return Ok((stream, address));
            }
            Ok(Err(error)) => last = WireError::Connect { address, error },
            Err(_elapsed) => last = WireError::Connect { address, error: io::ErrorKind::TimedOut.into() },
        }
    }
    Err(last)
}

async fn addresses(place: &Place, port: u16, patience: Duration) -> Result<Vec<SocketAddr>, WireError> {
    match place {
        Place::Addresses(addresses) => Ok(addresses.iter().map(|address: &IpAddr| (*address, port).into()).collect()),
        Place::Host(host) => {
            let looked_up = timeout(patience, lookup_host((host.as_str(), port))).await;
            let found = looked_up.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()));
            found.map(Iterator::collect).map_err(WireError::LookUp)
        }
    }
}

impl Wire {
    /// Goes through banner, EHLO, TLS and AUTH, until a transaction may begin. `implicit` is for TLS from the first octet on.
    ///
    /// # Errors
    /// Whatever keeps it from that.
    pub async fn open(
        stream: TcpStream,
        config: &Arc<Config>,
        layer: Option<&Layer>,
        implicit: bool,
        mut witness: Option<Box<Witness>>,
    ) -> Result<Self, WireError> {
        let (stream, mut client) = match layer.filter(|_| implicit) {
            Some(layer) => {
                let secured = handshake(layer, stream, config).await?;
                if let Some(witness) = &mut witness {
                    witness(Told::Secured(secured.facts));
                }
                let client = Client::new_secured(config.clone(), seed(), secured.binding);
                (Stream::Tls(Box::new(secured.stream)), client)
            }
            None => (Stream::Clear(stream), Client::new(config.clone(), seed())),
        };
        if witness.is_some() {
            client.keep_journal();
        }
        let mut wire = Self { stream, client, input: Vec::new(), taken: 0, deaf: false, witness };
        loop {
            match wire.event().await {
                Event::Ready => return Ok(wire),
                Event::StartTls => wire.secure(layer, config).await?,
                Event::Close(ending) => return Err(over(ending)),
                // Nothing is under way.
                Event::Wait | Event::Work | Event::MailData | Event::Outcome(_) => {}
            }
        }
    }

    async fn secure(&mut self, layer: Option<&Layer>, config: &Config) -> Result<(), WireError> {
        let (Some(layer), Stream::Clear(stream)) = (layer, std::mem::replace(&mut self.stream, Stream::Nowhere)) else {
            return Err(WireError::Handshake(io::ErrorKind::Unsupported.into()));
        };
        let secured = handshake(layer, stream, config).await?;
        self.stream = Stream::Tls(Box::new(secured.stream));
        if let Some(witness) = &mut self.witness {
            witness(Told::Secured(secured.facts));
        }
        self.input.clear();
        self.taken = 0;
        self.client.secured(secured.binding);
        Ok(())
    }

    /// Our side: to begin transactions and to give mail data.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Whether another transaction may be begun on it.
    pub fn may_go_on(&self) -> bool {
        !self.deaf && self.client.has_transactions_left()
    }

    /// The most recipients of a transaction.
    pub fn recipients_max(&self) -> usize {
        self.client.recipients_max().max(1)
    }

    /// Whether there is something to read, or an end.
    pub(super) fn has_spoken(&mut self) -> bool {
        let mut octet = [0];
        let mut buffer = ReadBuf::new(&mut octet);
        let mut context = Context::from_waker(std::task::Waker::noop());
        self.taken < self.input.len() || Pin::new(&mut self.stream).poll_read(&mut context, &mut buffer).is_ready()
    }

    /// QUIT, and its answer, which is not waited for long; then the connection is closed.
    pub async fn part(mut self) {
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
    pub async fn event(&mut self) -> Event {
        let mut wait: Option<(u64, Instant)> = None;
        loop {
            let (taken, event) = self.client.advance(self.input.get(self.taken..).unwrap_or_default());
            self.taken += taken;
            self.tell();
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

    /// Tells the witness what was said.
    fn tell(&mut self) {
        if let Some(witness) = &mut self.witness {
            self.client.journal().into_iter().for_each(|entry| witness(Told::Said(entry)));
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

async fn handshake(layer: &Layer, stream: TcpStream, config: &Config) -> Result<Secured, WireError> {
    let handshake = timeout(config.patience.command, layer.handshake(stream)).await;
    handshake.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into())).map_err(WireError::Handshake)
}

/// The end of a connection, where it was to go on.
pub(super) fn over(ending: Ending) -> WireError {
    match ending {
        Ending::Quit => WireError::Dialogue(Failure::Lost),
        Ending::Failed(failure) => WireError::Dialogue(failure),
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
/// Addresses of one host that are tried for one connection.
const ADDRESSES_MAX: usize = 8;
