//! What a plugin has used of each service: calls, time and octets, for the bill and for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{SERVICES, ServiceId};
use crate::bindings::postgate::mail::types::ServiceError;
use crate::component::Facts;
use crate::state::State;

/// The counters of one plugin.
#[derive(Debug, Default)]
pub struct Usage {
    rows: [Row; SERVICES.len()],
}

#[derive(Debug, Default)]
struct Row {
    calls: AtomicU64,
    nanoseconds: AtomicU64,
    octets: AtomicU64,
    refused: AtomicU64,
}

/// What was used of one service since the plugin was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Calls, those included that were refused.
    pub calls: u64,
    /// Wall-clock time within them.
    pub time: Duration,
    /// Octets that went in and out.
    pub octets: u64,
    /// Calls that were over the plugin's bound of calls.
    pub refused: u64,
}

impl Usage {
    /// What was used of one service.
    pub fn of(&self, service: ServiceId) -> Used {
        let row = self.row(service);
        Used {
            calls: row.calls.load(Ordering::Relaxed),
            time: Duration::from_nanos(row.nanoseconds.load(Ordering::Relaxed)),
            octets: row.octets.load(Ordering::Relaxed),
            refused: row.refused.load(Ordering::Relaxed),
        }
    }

    /// Counts octets that go out of a call that has ended.
    pub(crate) fn count(&self, service: ServiceId, octets: usize) {
        self.row(service).octets.fetch_add(octets as u64, Ordering::Relaxed);
    }

    /// A call begins.
    pub(crate) fn begin(&self, service: ServiceId, facts: &std::sync::Arc<Facts>) -> Metered {
        self.row(service).calls.fetch_add(1, Ordering::Relaxed);
        Metered { facts: facts.clone(), service, since: Instant::now() }
    }

    /// A call is over the plugin's bound of calls.
    pub(crate) fn refuse(&self, service: ServiceId) {
        self.row(service).refused.fetch_add(1, Ordering::Relaxed);
    }

    fn row(&self, service: ServiceId) -> &Row {
        // The table has a row for every service, in the order of the enum.
        &self.rows[service as usize]
    }
}

/// One call of a service while it lasts. What is cancelled is counted too.
pub(crate) struct Metered {
    facts: std::sync::Arc<Facts>,
    service: ServiceId,
    since: Instant,
}

impl Metered {
    /// Counts octets that go in or out.
    pub(crate) fn octets(&self, octets: usize) {
        self.facts.usage.row(self.service).octets.fetch_add(octets as u64, Ordering::Relaxed);
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        let nanoseconds = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.facts.usage.row(self.service).nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

impl State {
    /// A call of a service begins: counted, and refused if this call of the hook has had its share of them.
    pub(crate) fn metered(&mut self, service: ServiceId) -> Result<Metered, ServiceError> {
        self.settle_http();
        let row = self.facts.usage.row(service);
        row.calls.fetch_add(1, Ordering::Relaxed);
        match self.service_calls_left.checked_sub(1) {
            Some(left) => {
                self.service_calls_left = left;
                Ok(Metered { facts: self.facts.clone(), service, since: Instant::now() })
            }
            None => {
                row.refused.fetch_add(1, Ordering::Relaxed);
                Err(ServiceError::Quota("service-calls: one call of a hook has so many".to_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_has_its_row() {
        for (at, service) in SERVICES.iter().enumerate() {
            assert_eq!(service.id as usize, at, "{}", service.name);
        }
    }
}
