//! Who is connected to a listener, and how many that may be.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use postgate_plugin::network;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Who is connected to a listener.
#[derive(Debug)]
pub(crate) struct Callers {
    counts: Mutex<Counts>,
    /// For clients that are listened to although they were turned away.
    lingering: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_network: HashMap<IpAddr, usize>,
}

/// A place among the connections; given back when dropped.
pub(crate) struct Place {
    callers: Arc<Callers>,
    /// Where the client is counted, too. Of one behind a proxy that is known later, or never.
    network: Option<IpAddr>,
}

impl Default for Callers {
    fn default() -> Self {
        Self { counts: Mutex::default(), lingering: Arc::new(Semaphore::new(LINGERING_MAX)) }
    }
}

impl Callers {
    /// A place for one more, of so many in all.
    pub(crate) fn enter(callers: &Arc<Self>, all: usize) -> Option<Place> {
        let mut counts = callers.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.all >= all {
            return None;
        }
        counts.all += 1;
        Some(Place { callers: callers.clone(), network: None })
    }

    /// A place for one that was turned away.
    pub(crate) fn linger(&self) -> Option<OwnedSemaphorePermit> {
        self.lingering.clone().try_acquire_owned().ok()
    }

    /// How many are connected.
    pub(crate) fn count(&self) -> usize {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}

impl Place {
    /// Among whom it is.
    pub(crate) fn callers(&self) -> Arc<Callers> {
        self.callers.clone()
    }

    /// The place of a client with this address, if there are not so many from its network already.
    pub(crate) fn of(mut self, address: IpAddr, each: usize) -> Option<Self> {
        let network = network(address);
        {
            let mut counts = self.callers.counts.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.by_network.get(&network).copied().unwrap_or_default();
            if count < each {
                counts.by_network.insert(network, count + 1);
                self.network = Some(network);
            }
        }
        self.network.is_some().then_some(self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.callers.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all -= 1;
        let Some(network) = self.network else { return };
        if let Some(count) = counts.by_network.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                counts.by_network.remove(&network);
            }
        }
    }
}

/// Clients of a listener that are listened to although they were turned away.
const LINGERING_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_counted_by_network() {
        let callers = Arc::new(Callers::default());
        let enter = |address: &str| Callers::enter(&callers, 3)?.of(address.parse().unwrap(), 2);
        let one = enter("192.0.2.1").unwrap();
        let _two = enter("::ffff:192.0.2.1").unwrap();
        assert!(enter("192.0.2.1").is_none());
        let _three = enter("2001:db8::1").unwrap();
        assert!(enter("192.0.2.2").is_none());
        drop(one);
        let _four = enter("2001:db8::ffff:1").unwrap();
        assert!(enter("192.0.2.1").is_none());
        assert_eq!(callers.counts.lock().unwrap().by_network.len(), 2);
    }

    #[test]
    fn a_proxy_is_counted_in_all_only() {
        let callers = Arc::new(Callers::default());
        let places: Vec<_> = (0..3).map(|_| Callers::enter(&callers, 3).unwrap()).collect();
        assert!(Callers::enter(&callers, 3).is_none());
        let client = "192.0.2.1".parse().unwrap();
        let behind: Vec<_> = places.into_iter().filter_map(|place| place.of(client, 2)).collect();
        assert_eq!((behind.len(), callers.count()), (2, 2));
        drop(behind);
        assert!(callers.counts.lock().unwrap().by_network.is_empty());
        assert_eq!(callers.count(), 0);
    }
}
