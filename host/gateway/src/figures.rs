//! What a listener does, counted as it happens, and told in the exposition format of Prometheus when somebody asks.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use postgate_plugin::Fate;

/// The counters of one listener.
#[derive(Debug)]
pub(crate) struct Figures {
    listener: Arc<str>,
    sessions: AtomicU64,
    sessions_ended: AtomicU64,
    turned_away: AtomicU64,
    transactions: [AtomicU64; TRANSACTIONS.len()],
    recipients: [AtomicU64; FATES.len()],
    replies: [AtomicU64; CODES],
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ended {
    Accepted,
    Deferred,
    Refused,
    GivenUp,
}

/// A session while it lasts.
pub(crate) struct Session(Arc<Figures>);

impl Drop for Session {
    fn drop(&mut self) {
        add(&self.0.sessions_ended);
    }
}

impl Figures {
    pub(crate) fn new(listener: Arc<str>) -> Self {
        let counters = || AtomicU64::new(0);
        Self {
            listener,
            sessions: counters(),
            sessions_ended: counters(),
            turned_away: counters(),
            transactions: std::array::from_fn(|_| counters()),
            recipients: std::array::from_fn(|_| counters()),
            replies: std::array::from_fn(|_| counters()),
        }
    }

    pub(crate) fn session(self: &Arc<Self>) -> Session {
        add(&self.sessions);
        Session(self.clone())
    }

    pub(crate) fn turned_away(&self) {
        add(&self.turned_away);
    }

    pub(crate) fn transaction(&self, ended: Ended) {
        add(&self.transactions[ended as usize]);
    }

    pub(crate) fn recipient(&self, fate: &Fate) {
        let at = match fate {
            Fate::Delivered => 0,
            Fate::Failed(_) => 1,
            Fate::Deferred(_) => 2,
            Fate::Quarantined(_) => 3,
        };
        add(&self.recipients[at]);
    }

    /// Whole replies as they are sent: the last line of each has a space behind its code.
    pub(crate) fn replies(&self, output: &[u8]) {
        for line in output.split(|octet| *octet == b'\n') {
            if let [a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', b' ' | b'\r', ..] = line {
                let code = [a, b, c].iter().fold(0, |code, digit| code * 10 + usize::from(**digit - b'0'));
                if let Some(counter) = self.replies.get(code) {
                    add(counter);
                }
            }
        }
    }
}

/// The figures of these listeners.
pub(crate) fn exposition(listeners: &[Arc<Figures>]) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_all(&mut text, listeners);
    text
}

fn write_all(text: &mut String, listeners: &[Arc<Figures>]) -> fmt::Result {
    family(text, "postgate_sessions_total", "counter", "Sessions that were begun.")?;
    for listener in listeners {
        row(text, "postgate_sessions_total", listener, "", load(&listener.sessions))?;
    }
    family(text, "postgate_connections", "gauge", "Sessions that last.")?;
    for listener in listeners {
        let ended = load(&listener.sessions_ended);
        row(text, "postgate_connections", listener, "", load(&listener.sessions).saturating_sub(ended))?;
    }
    family(text, "postgate_turned_away_total", "counter", "Connections beyond the listener's bounds.")?;
    for listener in listeners {
        row(text, "postgate_turned_away_total", listener, "", load(&listener.turned_away))?;
    }
    family(text, "postgate_transactions_total", "counter", "Mail transactions by their end.")?;
    for listener in listeners {
        for (word, counter) in TRANSACTIONS.iter().zip(&listener.transactions) {
            row(text, "postgate_transactions_total", listener, &format!(",result=\"{word}\""), load(counter))?;
        }
    }
    family(text, "postgate_recipients_total", "counter", "What became of recipients.")?;
    for listener in listeners {
        for (word, counter) in FATES.iter().zip(&listener.recipients) {
            row(text, "postgate_recipients_total", listener, &format!(",outcome=\"{word}\""), load(counter))?;
        }
    }
    family(text, "postgate_replies_total", "counter", "Replies by their code.")?;
    for listener in listeners {
        for (code, counter) in listener.replies.iter().enumerate().filter(|(_, counter)| load(counter) > 0) {
            row(text, "postgate_replies_total", listener, &format!(",code=\"{code}\""), load(counter))?;
        }
    }
    Ok(())
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n")
}

fn row(text: &mut String, name: &str, of: &Figures, labels: &str, value: u64) -> fmt::Result {
    writeln!(text, "{name}{{listener=\"{}\"{labels}}} {value}", of.listener)
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// In the order of [`Ended`].
const TRANSACTIONS: [&str; 4] = ["accepted", "deferred", "refused", "given-up"];
const FATES: [&str; 4] = ["delivered", "failed", "deferred", "quarantined"];
/// Codes are less than this.
const CODES: usize = 600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_counted_once() {
        let figures = Arc::new(Figures::new("smtp".into()));
        figures.replies(b"250-mx.example.org\r\n250-SIZE 1\r\n250 HELP\r\n354 go\r\n550 5.1.1 no\r\n999 x\r\n");
        let session = figures.session();
        let text = exposition(std::slice::from_ref(&figures));
        for row in ["code=\"250\"} 1\n", "code=\"354\"} 1\n", "code=\"550\"} 1\n", "connections{listener=\"smtp\"} 1\n"]
        {
            assert!(text.contains(row), "{text}");
        }
        drop(session);
        assert!(exposition(&[figures]).contains("connections{listener=\"smtp\"} 0\n"));
    }
}
