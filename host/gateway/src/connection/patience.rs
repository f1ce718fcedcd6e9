//! For how long a client is waited for (RFC 5321 section 4.5.3.2), so that none holds a place for ever by sending an octet now and then.
//!
//! Silence has a bound in each state. What is under way has one of its own: a command line ends within the time that a command has, counted
//! from its first octet; mail data comes at a least rate; the session comes to an end. All of it is worked out when a wait begins, from
//! times that are handed in: no timer is set for it, and it costs an idle connection a few words.

use std::time::Duration;

use postgate_smtp::{Awaited, Late, Session};
use tokio::time::Instant;

use crate::config::ListenerLimits;

/// One client's time.
pub(super) struct Patience {
    /// When the session began.
    begun: Instant,
    /// The line that has begun and not ended, and when.
    line: Option<(u32, Instant)>,
    /// For how long mail data of the message was waited for.
    waited: Duration,
    /// Octets of the message that came.
    octets: u64,
}

/// What a wait is for.
#[derive(Clone, Copy)]
pub(super) struct Wait {
    awaited: Awaited,
    silence: Duration,
    in_transaction: bool,
}

impl Wait {
    pub(super) fn of(session: &Session) -> Self {
        Self { awaited: session.awaits(), silence: session.patience(), in_transaction: session.transaction_is_open() }
    }

    /// The wait is over, and so many octets have come.
    pub(super) fn came(self, patience: &mut Patience, octets: usize, waited: Duration) {
        match self.awaited {
            Awaited::MailData => {
                patience.octets = patience.octets.saturating_add(octets as u64);
                patience.waited = patience.waited.saturating_add(waited);
            }
            Awaited::Command | Awaited::Line { .. } => {}
        }
    }
}

impl Patience {
    pub(super) fn new(now: Instant) -> Self {
        Self { begun: now, line: None, waited: Duration::ZERO, octets: 0 }
    }

    /// Until when a wait that begins now may last, and why no longer.
    pub(super) fn until(&mut self, wait: Wait, limits: &ListenerLimits, now: Instant) -> (Instant, Late) {
        let Wait { awaited, silence, in_transaction } = wait;
        let quiet = match awaited {
            Awaited::Line { number } => (self.line_begun(number, now) + silence, Late::Slow),
            Awaited::Command | Awaited::MailData => {
                self.line = None;
                (now + silence, Late::Silent)
            }
        };
        let is_idle = !in_transaction && awaited != Awaited::MailData;
        if is_idle {
            // Between the chunks of a message the account goes on; behind the message there is another.
            (self.waited, self.octets) = (Duration::ZERO, 0);
        }
        // A transaction that is open when the session's time is over has as much time again.
        let session_time = limits.session_time.0 * if is_idle { 1 } else { 2 };
        let session = (self.begun + session_time, Late::Session);
        let rate = match awaited {
            Awaited::MailData => self.time_left(limits).map(|left| (now + left, Late::Slow)),
            Awaited::Command | Awaited::Line { .. } => None,
        };
        let first = if session.0 < quiet.0 { session } else { quiet };
        rate.filter(|rate| rate.0 < first.0).unwrap_or(first)
    }

    /// Since when the client has not moved: an octet more of a line that it has begun is no move.
    pub(super) fn still_since(&self, now: Instant) -> Instant {
        self.line.map_or(now, |(_, begun)| begun)
    }

    /// When the line began: now, if it is another than at the last wait.
    fn line_begun(&mut self, number: u32, now: Instant) -> Instant {
        match self.line {
            Some((known, begun)) if known == number => begun,
            Some(_) | None => {
                self.line = Some((number, now));
                now
            }
        }
    }

    /// For how much longer mail data may be waited for, so that it comes at the least rate; none where there is no such bound.
    fn time_left(&self, limits: &ListenerLimits) -> Option<Duration> {
        let earned_ms = self.octets.saturating_mul(1000).checked_div(limits.data_rate_min.0)?;
        // Nobody waits for longer than a session may last.
        let earned = Duration::from_millis(earned_ms).min(limits.session_time.0 * 2);
        Some(earned.max(limits.data_grace.0).saturating_sub(self.waited))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Period, Size};

    const COMMAND: Awaited = Awaited::Command;
    const SECOND: Duration = Duration::from_secs(1);

    fn limits() -> ListenerLimits {
        ListenerLimits {
            session_time: Period::seconds(1000),
            data_grace: Period::seconds(60),
            data_rate_min: Size(100),
            ..ListenerLimits::default()
        }
    }

    fn wait(awaited: Awaited, silence_s: u32, in_transaction: bool) -> Wait {
        Wait { awaited, silence: SECOND * silence_s, in_transaction }
    }

    /// What each wait of a session comes to: its beginning and what it is for, and when it ends and why, in seconds.
    fn check(waits: &[(u32, Wait, u32, Late)]) {
        let begun = Instant::now();
        let mut patience = Patience::new(begun);
        for (n, (now, wait, until, late)) in waits.iter().enumerate() {
            let found = patience.until(*wait, &limits(), begun + SECOND * *now);
            assert_eq!(found, (begun + SECOND * *until, *late), "wait {n}");
        }
    }

    #[test]
    fn silence() {
        check(&[
            (0, wait(COMMAND, 300, false), 300, Late::Silent),
            (200, wait(COMMAND, 300, false), 500, Late::Silent),
            (300, wait(COMMAND, 20, true), 320, Late::Silent),
            (310, wait(Awaited::MailData, 30, true), 340, Late::Silent),
        ]);
    }

    #[test]
    fn a_line_ends_in_time() {
        let line = |number| wait(Awaited::Line { number }, 300, false);
        check(&[
            (0, wait(COMMAND, 300, false), 300, Late::Silent),
            (100, line(1), 400, Late::Slow),
            (399, line(1), 400, Late::Slow),
            // In one read it has ended, and the next has begun.
            (399, line(2), 699, Late::Slow),
            (400, wait(COMMAND, 300, false), 700, Late::Silent),
            (401, line(3), 701, Late::Slow),
        ]);
    }

    #[test]
    fn the_session_ends() {
        check(&[
            (800, wait(COMMAND, 300, false), 1000, Late::Session),
            (800, wait(COMMAND, 300, true), 1100, Late::Silent),
            (1001, wait(COMMAND, 300, true), 1301, Late::Silent),
            (1800, wait(COMMAND, 300, true), 2000, Late::Session),
            (1900, wait(COMMAND, 300, false), 1000, Late::Session),
        ]);
    }

    #[test]
    fn mail_data_comes_at_a_rate() {
        let begun = Instant::now();
        let mut patience = Patience::new(begun);
        let data = wait(Awaited::MailData, 300, true);
        let at = |patience: &mut Patience, now: u32, wait: Wait, until: u32, late: Late| {
            let found = patience.until(wait, &limits(), begun + SECOND * now);
            assert_eq!(found, (begun + SECOND * until, late), "at {now}");
        };
        at(&mut patience, 0, data, 60, Late::Slow);
        data.came(&mut patience, 1, SECOND * 50);
        at(&mut patience, 50, data, 60, Late::Slow);
        // What we do with the octets is not the client's time.
        at(&mut patience, 55, data, 65, Late::Slow);
        // 9,999 octets more are 100 seconds in all, of which 50 are used up.
        data.came(&mut patience, 9_999, Duration::ZERO);
        at(&mut patience, 60, data, 110, Late::Slow);
        // Between chunks the account goes on; where much has come silence is the nearer bound.
        at(&mut patience, 70, wait(COMMAND, 300, true), 370, Late::Silent);
        data.came(&mut patience, 100_000, Duration::ZERO);
        at(&mut patience, 80, data, 380, Late::Silent);
        // It is too late already when as much time was taken as the octets have earned.
        data.came(&mut patience, 0, SECOND * 1050);
        at(&mut patience, 90, data, 90, Late::Slow);
        // The next message has its own.
        at(&mut patience, 95, wait(COMMAND, 300, false), 395, Late::Silent);
        at(&mut patience, 96, data, 156, Late::Slow);
    }
}
