//! `postgate run`: serves until SIGTERM or SIGINT; at SIGHUP certificates are loaded anew.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Config, LogFormat, LogLevel, Problems};
use crate::server::Server;
use crate::site::Site;

/// Why serving did not begin.
pub(crate) enum RunError {
    /// The configuration asks for what can't be done.
    Config(Problems),
    /// Addresses that can't be listened on.
    Bind(Problems),
    /// The system does not let us.
    System(anyhow::Error),
}

/// Serves. Returns when it was told to stop, and has stopped.
pub(crate) fn run(config: &Config) -> Result<(), RunError> {
    log_to_stderr(config);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.engine.workers.number())
        .event_interval(TASKS_BETWEEN_POLLS)
        .enable_all()
        .build()
        .context("the threads that serve sessions can't be started")
        .map_err(RunError::System)?;
    let served = runtime.block_on(async {
        // Before anything is promised: whoever starts us may stop us at once.
        let stop = stop_signals(1).map_err(RunError::System)?;
        let hurry = stop_signals(2).map_err(RunError::System)?;
        let mut hangup =
            signal(SignalKind::hangup()).context("SIGHUP can't be waited for").map_err(RunError::System)?;
        let site = Site::load(config).await.map_err(RunError::Config)?;
        let server = Server::bind(config, site).await.map_err(RunError::Bind)?;
        let reloader = server.reloader();
        let reload = async {
            while hangup.recv().await.is_some() {
                reloader.reload();
            }
            std::future::pending().await
        };
        tokio::select! {
            _ = server.run(stop, hurry) => {}
            () = reload => {}
        }
        Ok(())
    });
    // Work that blocks on a disk that hangs is not waited for.
    runtime.shutdown_timeout(LAST_WAIT);
    served
}

/// Ready when so many SIGTERMs or SIGINTs have come.
fn stop_signals(count: usize) -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM can't be waited for")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT can't be waited for")?;
    Ok(async move {
        for _ in 0..count {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
    })
}

fn log_to_stderr(config: &Config) {
    let level = match config.log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let log = tracing_subscriber::registry().with(ours(level));
    let lines = tracing_subscriber::fmt::layer().with_writer(|| OneLine(io::stderr()));
    let set = match config.log.format {
        LogFormat::Text => log.with(lines.with_ansi(io::stderr().is_terminal())).try_init(),
        LogFormat::Json => log.with(lines.json().flatten_event(true)).try_init(),
    };
    // Only a program that has this library in it and a log of its own.
    if set.is_err() {
        tracing::debug!("a log is already there");
    }
}

/// Our own lines at this level. Those of the libraries hold what peers say, as they say it: of them only warnings.
fn ours(level: LevelFilter) -> Targets {
    Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("postgate", level)
}

/// Writes each event as one line, whatever stands in it: it comes in one piece, with a line end behind it.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let (text, end) = match event.strip_suffix(b"\n") {
            Some(text) => (text, &b"\n"[..]),
            None => (event, &b""[..]),
        };
        let mut line = Vec::with_capacity(event.len());
        for octet in text {
            match octet {
                b'\n' => line.extend_from_slice(b"\\n"),
                b'\r' => line.extend_from_slice(b"\\r"),
                octet => line.push(*octet),
            }
        }
        line.extend_from_slice(end);
        self.0.write_all(&line)?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// How long the threads are waited for at the end.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// Tasks that a thread runs before it looks for new input. A guest in a loop gives way every 0.1 ms, and one that keeps the host
/// busy every two milliseconds: octets of others wait for that times this at most.
const TASKS_BETWEEN_POLLS: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn whose_lines_are_told() {
        let debug = ours(LevelFilter::DEBUG);
        for target in ["postgate", "postgate::plugin", "postgate_plugin::run", "postgate_smtp"] {
            assert!(debug.would_enable(target, &Level::DEBUG) && !debug.would_enable(target, &Level::TRACE));
        }
        assert!(!debug.would_enable("hickory_net", &Level::INFO) && debug.would_enable("hickory_net", &Level::WARN));
        assert!(!ours(LevelFilter::ERROR).would_enable("hickory_net", &Level::WARN));
    }

    #[test]
    fn an_event_is_one_line() {
        let mut written = OneLine(Vec::new());
        written.write_all(b"answer: a\r\n2026 INFO forged\n").unwrap();
        assert_eq!(written.0, b"answer: a\\r\\n2026 INFO forged\n");
    }
}
