//! Relays: servers of the operator's choice that take messages by SMTP (RFC 5321) or LMTP (RFC 2033).
//!
//! The protocol is `postgate_smtp::client`; here are its sockets, TLS (RFC 3207, RFC 8314), clocks, and a pool of connections for each relay. The `submit` service uses it,
//! and whoever else delivers: nothing in it knows of guests.
//!
//! Whatever goes wrong with a relay defers: only what it says of a recipient or a message is final. A future of [`Relay::submit`] may be dropped at any time; its connection is
//! then closed, and its place is free.

mod connection;
mod content;
mod pool;
mod reach;
mod tls;
mod wire;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use postgate_smtp::client::{Config, Envelope, Outcome};
use rustls::pki_types::CertificateDer;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::stubs::{HandedOver, Stubs};
use connection::{Connection, Trouble};
pub use content::Content;
use pool::Pool;
use reach::Reach;
pub use tls::{ClientCertificate, Layer, RelayError, Trust};
pub use wire::{Told, Wire, WireError, Witness, dial};

/// A relay as the operator has set it up.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// Its name in the configuration and the logs.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// The port.
    pub port: u16,
    /// How TLS is used.
    pub tls: RelayTls,
    /// Authorities that are believed, in place of the system's.
    pub authorities: Option<Vec<CertificateDer<'static>>>,
    /// What we show of ourselves, if it asks for a certificate.
    pub certificate: Option<ClientCertificate>,
    /// The name that its certificate must have, if it is not the host's.
    pub server_name: Option<String>,
    /// What is said to it. Its wish for STARTTLS is set by `tls`.
    pub client: Config,
    /// Connections at the same time.
    pub connections: usize,
    /// How long a connection is kept that nobody uses.
    pub idle: Duration,
    /// Messages on one connection.
    pub messages: u32,
    /// How long it may take to connect, to each address, and to do the handshake of TLS; also how long a place in the pool is waited for.
    pub connect_patience: Duration,
}

/// Where a relay is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A name that is looked up for each connection.
    Host(String),
    /// Addresses, tried in order.
    Addresses(Vec<IpAddr>),
}

/// How TLS is used with a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayTls {
    /// By STARTTLS, with a certificate that is verified; else there is no mail.
    Required,
    /// From the first octet on, with a certificate that is verified.
    Implicit,
    /// By STARTTLS where it is offered, whatever the certificate (RFC 7435); else in clear.
    Opportunistic,
    /// In clear.
    None,
}

/// A relay with its connections.
#[derive(Debug)]
pub struct Relay {
    config: RelayConfig,
    client: Arc<Config>,
    layer: Option<tls::Layer>,
    places: Semaphore,
    pool: Pool,
    reach: Reach,
    /// Who answers in a rehearsal.
    stubs: Option<Arc<Stubs>>,
}

impl Relay {
    /// Makes ready what all connections share; connects to nobody.
    ///
    /// # Errors
    /// See [`RelayError`].
    pub fn new(config: RelayConfig) -> Result<Self, RelayError> {
        let layer = match config.tls {
            RelayTls::None => None,
            RelayTls::Required | RelayTls::Implicit | RelayTls::Opportunistic => Some(tls::layer(&config)?),
        };
        let mut client = config.client.clone();
        client.tls = tls::wish(config.tls);
        client.secrets_in_clear = config.tls == RelayTls::None;
        let places = Semaphore::new(config.connections.clamp(1, Semaphore::MAX_PERMITS));
        Ok(Self {
            client: Arc::new(client),
            layer,
            places,
            pool: Pool::new(config.idle),
            reach: Reach::default(),
            config,
            stubs: None,
        })
    }

    /// A relay that is never connected to: a rehearsal answers.
    pub fn rehearse(self, stubs: Arc<Stubs>) -> Self {
        Self { stubs: Some(stubs), ..self }
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// What a rehearsal shows of a message; what can't be read is missing.
    async fn handed_over(&self, envelope: &Envelope, content: &Content) -> HandedOver {
        let text = |mailbox: &postgate_smtp::Mailbox| mailbox.to_string();
        let mut message = Vec::new();
        while let Ok(piece) = content.piece(message.len() as u64).await {
            if piece.is_empty() {
                break;
            }
            message.extend(piece);
        }
        HandedOver {
            relay: self.config.name.clone(),
            reverse_path: envelope.reverse_path.as_ref().map(text).unwrap_or_default(),
            recipients: envelope.recipients.iter().map(|recipient| text(&recipient.mailbox)).collect(),
            message,
        }
    }

    /// Hands a message over. One outcome for each recipient, in their order.
    ///
    /// Where all places are taken it waits for one, unless too many others do; and where the relay is away and somebody is trying already, it does not wait at all.
    pub async fn submit(&self, envelope: Envelope, content: &Content) -> Vec<Outcome> {
        if let Some(stubs) = &self.stubs {
            return stubs.relayed(self.handed_over(&envelope, content).await);
        }
        let mut outcomes = Vec::with_capacity(envelope.recipients.len());
        if let Err(trouble) = self.send(&envelope, content, &mut outcomes).await {
            trouble.log(&self.config.name);
            outcomes.resize(envelope.recipients.len(), Outcome::Deferred(trouble.reply()));
        }
        outcomes
    }

    /// In as many transactions as the relay wants. An error is about the recipients that have no outcome yet.
    async fn send(&self, envelope: &Envelope, content: &Content, outcomes: &mut Vec<Outcome>) -> Result<(), Trouble> {
        let _place = self.place().await?;
        let mut connection = self.connection().await?;
        let _open = self.reach.open();
        let mut rest = envelope.recipients.as_slice();
        loop {
            let (now, later) = rest.split_at(rest.len().min(connection.recipients_max()));
            let portion = Envelope { recipients: now.to_vec(), ..envelope.clone() };
            match connection.send(portion, content).await {
                Ok(portion) => outcomes.extend(portion),
                Err((portion, trouble)) => {
                    outcomes.extend(portion);
                    return Err(trouble);
                }
            }
            rest = later;
            match (connection.may_go_on(self.config.messages), rest.is_empty()) {
                (true, true) => {
                    self.pool.put(connection);
                    return Ok(());
                }
                (true, false) => {}
                (false, true) => {
                    connection.say_goodbye();
                    return Ok(());
                }
                (false, false) => {
                    connection.say_goodbye();
                    connection = self.connection().await?;
                }
            }
        }
    }

    /// A place among the connections.
    async fn place(&self) -> Result<SemaphorePermit<'_>, Trouble> {
        if self.pool.is_empty() && self.reach.is_away() {
            return Err(Trouble::Away);
        }
        if let Ok(place) = self.places.try_acquire() {
            return Ok(place);
        }
        let waiting_max = self.config.connections.saturating_mul(WAITING_FOR_A_CONNECTION_MAX);
        let _waiting = self.reach.wait(waiting_max).ok_or(Trouble::Busy)?;
        let place = timeout(self.config.connect_patience, self.places.acquire()).await;
        place.ok().and_then(Result::ok).ok_or(Trouble::Busy)
    }

    /// A connection that is ready: one that was left idle and still answers, or a new one.
    async fn connection(&self) -> Result<Connection, Trouble> {
        while let Some(mut connection) = self.pool.take() {
            if connection.revive().await.is_ok() {
                return Ok(connection);
            }
        }
        let attempt = self.reach.attempt().ok_or(Trouble::Away)?;
        let connection = match self.connect(&self.client).await {
            // RFC 7435: with a server whose TLS is broken mail goes on in clear, where nobody has asked for more.
            Err(Trouble::Wire(WireError::Handshake(_))) if self.config.tls == RelayTls::Opportunistic => {
                let mut clear = (*self.client).clone();
                clear.tls = postgate_smtp::client::TlsWish::Never;
                self.connect(&Arc::new(clear)).await?
            }
            connected => connected?,
        };
        attempt.succeeded();
        Ok(connection)
    }

    async fn connect(&self, client: &Arc<Config>) -> Result<Connection, Trouble> {
        let (stream, _) = dial(&self.config.place, self.config.port, self.config.connect_patience).await?;
        let implicit = self.config.tls == RelayTls::Implicit;
        Connection::open(stream, client, self.layer.as_ref(), implicit).await
    }
}

/// Messages that wait for each of the connections; those beyond are deferred at once.
const WAITING_FOR_A_CONNECTION_MAX: usize = 10;
