//! What the session knows of time: how long its client is waited for, and what day it is. The clock is the caller's.

use std::time::Duration;

use super::{Session, Stage};
use crate::event::{Awaited, Close, Late};
use crate::replies;

impl Session {
    /// What the client is waited for now.
    pub fn awaits(&self) -> Awaited {
        match self.stage {
            Stage::Data(_) | Stage::Chunk { .. } | Stage::SkippedChunk { .. } => Awaited::MailData,
            Stage::Connected
            | Stage::Command
            | Stage::Exchange(_)
            | Stage::Asked(_)
            | Stage::ChunkAnnounced(_)
            | Stage::TlsAnnounced
            | Stage::Handshake
            | Stage::Closed(_) => match self.line.begun() {
                Some(number) => Awaited::Line { number },
                None => Awaited::Command,
            },
        }
    }

    /// How long the client may take for what [`awaits`](Session::awaits) says: to begin a command, to end the line that it has begun, to send
    /// the next octets of mail data (RFC 5321 section 4.5.3.2). While a question is open the time is the caller's own.
    pub fn patience(&self) -> Duration {
        let limits = &self.config.limits;
        match self.awaits() {
            Awaited::MailData => limits.data_patience,
            Awaited::Command | Awaited::Line { .. } if self.transaction.is_some() => limits.transaction_patience,
            Awaited::Command | Awaited::Line { .. } => limits.command_patience,
        }
    }

    /// The client is not waited for any longer: 421, and [`advance`](Session::advance) says Close.
    pub fn time_out(&mut self, late: Late) {
        let reply = match late {
            Late::Silent => &replies::TIMEOUT,
            Late::Slow => &replies::TOO_SLOW,
            Late::Session => &replies::SESSION_TOO_LONG,
            Late::Crowded => &replies::CROWDED,
        };
        self.close(reply, Close::Timeout);
    }

    /// The gateway stops: 421 4.3.2 and Close as soon as no transaction is open.
    pub fn stop(&mut self) {
        self.stopping = true;
        if matches!(self.stage, Stage::Exchange(_)) {
            self.close(&replies::SHUTDOWN, Close::Shutdown);
        }
    }

    /// Tells the date and time, in seconds since 1970, for FUTURERELEASE (RFC 4865): to be kept up to date by the caller. Without it
    /// HOLDUNTIL is only compared with [`Promises`](crate::Promises).
    pub fn set_date(&mut self, seconds: u64) {
        self.date = Some(seconds);
    }
}
