//! The load: Postfix's smtp-source, which ends with a failure as soon as anything is not accepted.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::placement::Placement;
use crate::tools;

/// What smtp-source sends.
pub(super) struct Load {
    /// Sessions at a time.
    pub(super) at_a_time: u32,
    /// Of mail data, without the header.
    pub(super) octets: u32,
    pub(super) sessions: Sessions,
}

/// How long a session lasts.
#[derive(Clone, Copy)]
pub(super) enum Sessions {
    OneForEachMessage,
    Kept,
}

impl Load {
    /// Sends so many messages, and answers how long it took. Fails unless all were accepted.
    pub(super) fn send(
        &self,
        address: SocketAddr,
        messages: u32,
        placement: &Placement,
        seconds_max: u64,
    ) -> Result<Duration> {
        let mut command = placement.load(seconds_max, tools::postfix_program("smtp-source")?);
        command.args(["-4", "-M", "client.example.net", "-f", "alice@example.net", "-t", RECIPIENT]);
        command.args(["-s", &self.at_a_time.to_string(), "-l", &self.octets.to_string(), "-m", &messages.to_string()]);
        match self.sessions {
            Sessions::OneForEachMessage => {}
            Sessions::Kept => {
                command.arg("-d");
            }
        }
        command.arg(address.to_string()).stdin(Stdio::null());
        let begin = Instant::now();
        let output = command.output().with_context(|| format!("{command:?} does not run"))?;
        let took = begin.elapsed();
        if output.status.success() {
            return Ok(took);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        match output.status.code() {
            Some(TIMED_OUT) => bail!("{messages} messages were not accepted within {seconds_max} s"),
            Some(_) | None => bail!("{messages} messages were not all accepted: {}: {}", output.status, said.trim()),
        }
    }
}

/// Whom every chain that is measured knows.
pub(super) const RECIPIENT: &str = "bob@example.org";
/// What timeout(1) ends with when it had to end the other.
const TIMED_OUT: i32 = 124;
