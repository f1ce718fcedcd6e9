//! One connection to a relay: transactions on it, and whether it may be used again.

use std::sync::Arc;

use postgate_smtp::client::{Config, Envelope, Event, Failure, Outcome};
use postgate_smtp::{Reply, replies};
use tokio::net::TcpStream;

use super::content::Content;
use super::tls::Layer;
use super::wire::{Wire, WireError, over};

/// A connection that was greeted.
#[derive(Debug)]
pub(super) struct Connection {
    wire: Wire,
    messages: u32,
}

/// Why there is no connection, or no longer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It could not be reached a moment ago, and somebody is trying.
    Away,
    /// All connections are in use.
    Busy,
    /// It was tried.
    Wire(WireError),
}

impl From<WireError> for Trouble {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl Trouble {
    pub(super) fn reply(&self) -> Reply {
        match self {
            Self::Away | Self::Busy => replies::NEXT_HOP_AWAY.clone(),
            Self::Wire(WireError::LookUp(_) | WireError::NoAddress | WireError::Connect { .. }) => {
                replies::NEXT_HOP_AWAY.clone()
            }
            Self::Wire(WireError::Handshake(_)) => replies::NEXT_HOP_WITHOUT_TLS.clone(),
            Self::Wire(WireError::Dialogue(failure)) => failure.reply(),
        }
    }

    /// What the operator can do something about is an error, the rest a warning.
    pub(super) fn log(&self, relay: &str) {
        let error = match self {
            Self::Away => return tracing::debug!(relay, "relay is away"),
            Self::Busy => return tracing::warn!(relay, "relay has no connection free"),
            Self::Wire(error) => error,
        };
        match error {
            WireError::LookUp(error) => tracing::warn!(relay, %error, "relay not found"),
            WireError::NoAddress => tracing::warn!(relay, "relay has no address"),
            WireError::Connect { address, error } => tracing::warn!(relay, %address, %error, "relay not reached"),
            WireError::Handshake(error) => tracing::error!(relay, %error, "relay not secure"),
            WireError::Dialogue(failure) if failure.is_ours() => {
                tracing::error!(relay, %failure, "relay refuses us");
            }
            WireError::Dialogue(failure) => tracing::warn!(relay, %failure, "relay failed"),
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
        let wire = Wire::open(stream, config, layer, implicit, None).await?;
        Ok(Self { wire, messages: 0 })
    }

    /// Sees whether the server is still there. One that has said something meanwhile is not asked: nobody could tell which reply belongs to what.
    pub(super) async fn revive(&mut self) -> Result<(), Trouble> {
        if self.wire.has_spoken() {
            return Err(WireError::Dialogue(Failure::OutOfStep).into());
        }
        self.wire.client().reset();
        match self.wire.event().await {
            Event::Ready => Ok(()),
            Event::Close(ending) => Err(over(ending).into()),
            Event::Wait | Event::StartTls | Event::Work | Event::MailData | Event::Outcome(_) => {
                Err(WireError::Dialogue(Failure::OutOfStep).into())
            }
        }
    }

    /// One transaction. Where the connection is over, its outcomes come with why.
    pub(super) async fn send(
        &mut self,
        envelope: Envelope,
        content: &Content,
    ) -> Result<Vec<Outcome>, (Vec<Outcome>, Trouble)> {
        self.messages = self.messages.saturating_add(1);
        self.wire.client().begin(envelope);
        let mut offset = 0;
        let mut outcomes = Vec::new();
        loop {
            match self.wire.event().await {
                Event::MailData => match content.piece(offset).await {
                    Ok(piece) if piece.is_empty() => self.wire.client().end_mail_data(),
                    Ok(piece) => {
                        offset += piece.len() as u64;
                        self.wire.client().mail_data(&piece);
                    }
                    Err(error) => {
                        tracing::error!(%error, "mail data could not be read");
                        self.wire.client().abort_mail_data();
                    }
                },
                Event::Outcome(found) => outcomes = found,
                Event::Ready => return Ok(outcomes),
                Event::Close(ending) => return Err((outcomes, over(ending).into())),
                Event::Wait | Event::StartTls | Event::Work => {}
            }
        }
    }

    pub(super) fn recipients_max(&self) -> usize {
        self.wire.recipients_max()
    }

    /// Whether another message may be sent on it.
    pub(super) fn may_go_on(&self, messages_max: u32) -> bool {
        self.messages < messages_max && self.wire.may_go_on()
    }

    /// QUIT, and its answer, which is not waited for long; then the connection is closed.
    pub(super) async fn part(self) {
        self.wire.part().await;
    }

    /// QUIT, as far as it can be written at once; nobody waits for the answer.
    pub(super) fn say_goodbye(&mut self) {
        self.wire.say_goodbye();
    }
}
