//! Rehearsals: a dialogue of a script against a chain, with the engine, limits, session and stage that serve clients, and without the
//! world. `postgate test` plays them.
//!
//! The connection is in memory. Time is that of a runtime whose clock stands still while anybody has something to do, and goes on to the
//! next timer when nobody has: so whatever waits does so at once, and the same dialogue has the same end on every machine. Services are
//! answered by the script; what is kept is kept in a folder that lives as long as the dialogue.

mod client;
mod line;
mod mismatch;
mod outgoing;
mod player;
mod record;
pub(crate) mod report;
pub(crate) mod script;
pub(crate) mod setting;

use std::sync::Arc;
use std::time::{Duration, Instant};

use postgate_plugin::secrets::Secret;
use postgate_plugin::{Clock, Stubs};
use tempfile::TempDir;
use tracing_subscriber::layer::SubscriberExt;

use self::mismatch::Mismatch;
use self::player::Player;
use self::record::{PluginLog, Record, Seen};
use self::script::Script;
use self::setting::Setting;
use crate::site::{Rehearsal, Site};
use crate::tls::authority::Authority;

/// A dialogue that was played.
#[derive(Debug)]
pub(crate) struct Played {
    /// Where it went another way.
    pub(crate) mismatch: Option<Mismatch>,
    /// What was seen of it.
    pub(crate) seen: Seen,
    /// Wall-clock time, loading of plugins included.
    pub(crate) time: Duration,
}

/// Plays a dialogue; an error is why there was nothing to play it with.
pub(crate) fn play(script: &Script, setting: &Setting) -> Result<Played, String> {
    let begun = Instant::now();
    let folder = TempDir::new().map_err(|error| format!("no folder for what plugins keep: {error}"))?;
    let authority = Arc::new(Authority::new(folder.path())?);
    let config = setting.config(script, folder.path())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    let record = Arc::new(Record::default());
    let log = tracing_subscriber::registry().with(PluginLog(record.clone()));
    let _captured = tracing::subscriber::set_default(log);
    let mismatch = runtime.block_on(async {
        let stubs = Arc::new(Stubs::default());
        let secret = |(name, value): &(String, String)| (name.clone(), Secret::new(value));
        let rehearsal = Rehearsal { stubs: stubs.clone(), secrets: script.secrets.iter().map(secret).collect() };
        let clock = Clock::rehearsed(script.begin);
        let site = Site::rehearse(&config, clock, &rehearsal).await.map_err(|problems| problems.to_string())?;
        let door = site.doors.into_iter().next().ok_or("there is no listener")?;
        Ok::<_, String>(Player::new(script, Arc::new(door), stubs, record.clone(), authority).play().await)
    });
    // A thread that hangs is not waited for.
    runtime.shutdown_timeout(LAST_WAIT);
    Ok(Played { mismatch: mismatch?, seen: record.take(), time: begun.elapsed() })
}

const LAST_WAIT: Duration = Duration::from_secs(5);
