//! The way of one message: a connection, as many transactions as the server wants for its recipients, and what became of each.

use std::io;
use std::net::SocketAddr;

use postgate_plugin::{Wire, WireError, WireWitness, dial};
use postgate_smtp::client::{Event, Failure, Outcome, Stop};
use postgate_smtp::{Mailbox, Proxied, ProxyFacts};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::arguments::Proxy;
use super::message::Copy;
use super::plan::Plan;

/// What became of a message.
pub(super) struct Delivery {
    /// Of recipients, in their order; fewer than there are where the connection failed before.
    pub(super) outcomes: Vec<Outcome>,
    /// Why the connection failed.
    pub(super) error: Option<WireError>,
}

/// What has happened before anything is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// There is a connection.
    Connected(SocketAddr),
    /// The PROXY header has said whose it is.
    Proxied(SocketAddr),
}

/// Whom connections are shown to.
pub(super) struct Ways<'a> {
    pub(super) witness: &'a (dyn Fn() -> Option<Box<WireWitness>> + Sync),
    /// Told of each connection that is made, and what is said on it in front of everything.
    pub(super) reached: &'a (dyn Fn(Reached) + Sync),
}

/// Sends a message to all of its recipients. `wire` is a connection that may be used, and afterwards the one that still may.
pub(super) async fn deliver(plan: &Plan, wire: &mut Option<Wire>, copy: &Copy, ways: &Ways<'_>) -> Delivery {
    let mut delivery = Delivery { outcomes: Vec::new(), error: None };
    if let Err(error) = all(plan, wire, copy, ways, &mut delivery.outcomes).await {
        *wire = None;
        delivery.error = Some(error);
    }
    delivery
}

async fn all(
    plan: &Plan,
    wire: &mut Option<Wire>,
    copy: &Copy,
    ways: &Ways<'_>,
    outcomes: &mut Vec<Outcome>,
) -> Result<(), WireError> {
    let has_transaction = plan.client.stop.is_none_or(|stop| matches!(stop, Stop::Mail | Stop::Recipient));
    let mut rest = plan.recipients.as_slice();
    loop {
        let wire = match wire {
            Some(open) if open.may_go_on() => open,
            Some(_) | None => {
                if let Some(used_up) = wire.take() {
                    used_up.part().await;
                }
                wire.insert(open(plan, ways).await?)
            }
        };
        if !has_transaction {
            return Ok(());
        }
        let (now, later) = rest.split_at(rest.len().min(wire.recipients_max()));
        transaction(plan, wire, now, copy, outcomes).await?;
        rest = later;
        if rest.is_empty() {
            return Ok(());
        }
    }
}

async fn open(plan: &Plan, ways: &Ways<'_>) -> Result<Wire, WireError> {
    let (mut stream, address) = dial(&plan.place, plan.port, plan.patience).await?;
    (ways.reached)(Reached::Connected(address));
    if let Some((version, source)) = plan.proxy {
        let sent = timeout(plan.patience, stream.write_all(&header(version, source, &stream, address))).await;
        let sent = sent.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()));
        sent.map_err(|error| WireError::Connect { address, error })?;
        (ways.reached)(Reached::Proxied(source));
    }
    Wire::open(stream, &plan.client, plan.layer.as_ref(), plan.implicit, (ways.witness)()).await
}

fn header(version: Proxy, source: SocketAddr, stream: &TcpStream, peer: SocketAddr) -> Vec<u8> {
    let proxied = Proxied { source, destination: stream.peer_addr().unwrap_or(peer), facts: ProxyFacts::default() };
    match version {
        Proxy::V1 => proxied.write_text(),
        Proxy::V2 => proxied.write_binary(),
    }
}

/// One transaction for these recipients.
async fn transaction(
    plan: &Plan,
    wire: &mut Wire,
    recipients: &[Mailbox],
    copy: &Copy,
    outcomes: &mut Vec<Outcome>,
) -> Result<(), WireError> {
    wire.client().begin(plan.envelope(recipients, copy));
    let mut offset = 0;
    loop {
        match wire.event().await {
            Event::MailData => {
                let piece = copy.piece(offset, plan.piece_bytes);
                offset += piece.len();
                match offset < copy.len() {
                    true => wire.client().mail_data(&piece),
                    false => wire.client().last_mail_data(&piece),
                }
            }
            Event::Outcome(found) => outcomes.extend(found),
            Event::Ready => return Ok(()),
            Event::Close(ending) => {
                return Err(WireError::Dialogue(match ending {
                    postgate_smtp::client::Ending::Quit => Failure::Lost,
                    postgate_smtp::client::Ending::Failed(failure) => failure,
                }));
            }
            // Nothing that could be wanted within a transaction.
            Event::Wait | Event::StartTls | Event::Work => {}
        }
    }
}
