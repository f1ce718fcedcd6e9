//! Who guesses passwords: failures to authenticate, counted by network.
//!
//! A network's first failure begins a period. Each further one in it is answered later than the one before, and when there were too many
//! nobody there can authenticate until the period is over, not even with the right password: what is not verified tells nothing. Success
//! does not clear the count, or whoever has one account could guess at all others. Time is an argument.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use postgate_plugin::network;

use crate::config::ListenerLimits;

/// The failures of all networks, at all listeners.
#[derive(Debug, Default)]
pub(crate) struct Guesses(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    by_network: HashMap<IpAddr, Failures>,
    /// When periods began, in order; one that was begun anew stands here twice.
    begins: VecDeque<(Instant, IpAddr)>,
}

/// The failures of one network in one period.
#[derive(Clone, Copy, Debug)]
struct Failures {
    begin: Instant,
    count: u32,
}

/// What a listener makes of them.
#[derive(Debug)]
pub(crate) struct Watch {
    guesses: Arc<Guesses>,
    /// As many shut a network out.
    most: u32,
    period: Duration,
    /// Of the first failure.
    delay: Duration,
}

impl Watch {
    pub(crate) fn new(guesses: Arc<Guesses>, limits: &ListenerLimits) -> Self {
        Self {
            guesses,
            most: u32::try_from(limits.auth_failures_per_address.number()).unwrap_or(u32::MAX),
            period: limits.auth_failure_period.0,
            delay: limits.auth_failure_delay.0,
        }
    }

    /// Whether nobody of this client's network can authenticate now.
    pub(crate) fn is_shut(&self, client: IpAddr, now: Instant) -> bool {
        let table = self.guesses.table();
        table.by_network.get(&network(client)).is_some_and(|failures| self.counts(failures, now) >= self.most)
    }

    /// Counts a failure. Answers how long its reply is to be held back; none where the network was shut while the attempt was made, so
    /// that it is not to be told of.
    pub(crate) fn failed(&self, client: IpAddr, now: Instant) -> Option<Duration> {
        let network = network(client);
        let mut table = self.guesses.table();
        let known = table.by_network.get(&network).copied();
        let failures = match known.filter(|failures| self.counts(failures, now) > 0) {
            Some(Failures { count, .. }) if count >= self.most => return None,
            Some(Failures { begin, count }) => Failures { begin, count: count.saturating_add(1) },
            None => {
                table.make_room();
                table.begins.push_back((now, network));
                Failures { begin: now, count: 1 }
            }
        };
        table.by_network.insert(network, failures);
        drop(table);
        if failures.count == self.most {
            tracing::warn!(%network, failures = failures.count, "network shut out from authentication");
        }
        let doublings = (failures.count - 1).min(MAX_DOUBLINGS);
        Some(self.delay.saturating_mul(1 << doublings).min(MAX_DELAY))
    }

    /// Failures that are not forgotten.
    fn counts(&self, failures: &Failures, now: Instant) -> u32 {
        if now.saturating_duration_since(failures.begin) < self.period { failures.count } else { 0 }
    }
}

impl Guesses {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Forgets the oldest period where there are as many as are kept.
    fn make_room(&mut self) {
        while self.begins.len() >= MAX_PERIODS {
            let Some((begin, network)) = self.begins.pop_front() else { return };
            if self.by_network.get(&network).is_some_and(|failures| failures.begin == begin) {
                self.by_network.remove(&network);
            }
        }
    }
}

/// Periods that are remembered: some megabytes.
const MAX_PERIODS: usize = 65_536;

/// No reply is held back for longer: clients wait, and so does the end of the process.
const MAX_DELAY: Duration = Duration::from_secs(15);
const MAX_DOUBLINGS: u32 = 16;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn watch(most: u32) -> Watch {
        let (period, delay) = (Duration::from_secs(600), Duration::from_secs(1));
        Watch { guesses: Arc::default(), most, period, delay }
    }

    fn client(n: u32) -> IpAddr {
        Ipv4Addr::from_bits(n).into()
    }

    #[test]
    fn each_failure_is_answered_later() {
        let (watch, now) = (watch(100), Instant::now());
        let failed = |n| watch.failed(client(n), now).map(|delay| delay.as_secs());
        assert_eq!([(); 7].map(|()| failed(1)), [1, 2, 4, 8, 15, 15, 15].map(Some));
        assert_eq!(failed(2), Some(1));
        for _ in 7..100 {
            assert_eq!(failed(1), Some(15));
        }
        assert_eq!(failed(1), None);
    }

    #[test]
    fn a_network_is_shut_until_its_period_is_over() {
        let (watch, begin) = (watch(3), Instant::now());
        let at = |seconds: u64| begin + Duration::from_secs(seconds);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        watch.failed(address("2001:db8::1"), at(0));
        watch.failed(address("2001:db8::2"), at(500));
        assert!(!watch.is_shut(address("2001:db8::3"), at(500)));
        watch.failed(address("2001:db8::3"), at(599));
        assert!(watch.is_shut(address("2001:db8::4"), at(599)));
        assert_eq!(watch.failed(address("2001:db8::4"), at(599)), None);
        assert!(!watch.is_shut(address("2001:db8:0:1::"), at(599)));
        assert!(!watch.is_shut(address("2001:db8::4"), at(600)));
        // A new period begins at the next failure.
        assert_eq!(watch.failed(address("2001:db8::4"), at(700)), Some(Duration::from_secs(1)));
        assert!(!watch.is_shut(address("2001:db8::4"), at(700)));
    }

    #[test]
    fn listeners_share_what_they_count() {
        let (strict, now) = (watch(1), Instant::now());
        let mild = Watch { guesses: strict.guesses.clone(), ..watch(2) };
        mild.failed(client(1), now);
        assert!(strict.is_shut(client(1), now) && !mild.is_shut(client(1), now));
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let (watch, begin) = (watch(1), Instant::now());
        let at = |n: u32| begin + Duration::from_millis(n.into());
        let many = u32::try_from(MAX_PERIODS).unwrap();
        for n in 0..=many {
            watch.failed(client(n), at(n));
        }
        assert!(!watch.is_shut(client(0), at(many)) && watch.is_shut(client(1), at(many)));
        // One network over and over again takes no more room than others.
        for n in 0..3 * many {
            watch.failed(client(1), begin + Duration::from_secs(601 * u64::from(n)));
        }
        let table = watch.guesses.table();
        assert!(table.begins.len() <= MAX_PERIODS && table.by_network.len() == 1);
    }
}
