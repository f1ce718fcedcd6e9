//! Who is next to have a password verified: each network has a line of its own, and workers take from the lines by turns.
//!
//! However many attempts come from one network, they wait for each other, and another network's attempt is one of the next.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The workers, and those that wait for one.
#[derive(Debug)]
pub(super) struct Queue(Mutex<Lines>);

#[derive(Debug)]
struct Lines {
    /// Workers that do nothing; while there are any, nobody waits.
    idle: usize,
    /// Those that wait, in all lines.
    waiting: usize,
    /// Networks with a line, the next one first.
    turns: VecDeque<IpAddr>,
    /// No line is empty.
    by_network: HashMap<IpAddr, VecDeque<oneshot::Sender<()>>>,
}

/// A worker, taken; when dropped it goes to whoever is next.
#[derive(Debug)]
pub(super) struct Worker(Arc<Queue>);

/// A place in a line. A worker that comes when nobody waits for it any more goes on to the next.
struct Place {
    queue: Arc<Queue>,
    turn: oneshot::Receiver<()>,
}

impl Queue {
    pub(super) fn new(workers: usize) -> Arc<Self> {
        let lines = Lines { idle: workers, waiting: 0, turns: VecDeque::new(), by_network: HashMap::new() };
        Arc::new(Self(Mutex::new(lines)))
    }

    /// A worker for a client of this network, as soon as it is its turn. None where too many wait.
    pub(super) async fn worker(self: &Arc<Self>, network: IpAddr) -> Option<Worker> {
        let turn = {
            let mut lines = self.lines();
            if lines.idle > 0 {
                lines.idle -= 1;
                return Some(Worker(self.clone()));
            }
            lines.join(network)?
        };
        let mut place = Place { queue: self.clone(), turn };
        (&mut place.turn).await.ok().map(|()| Worker(self.clone()))
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.lines().waiting
    }

    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        self.lines().idle
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    /// A place at the end of the network's line.
    fn join(&mut self, network: IpAddr) -> Option<oneshot::Receiver<()>> {
        let is_full = |lines: &Self| {
            lines.waiting >= MAX_WAITING
                || lines.by_network.get(&network).is_some_and(|line| line.len() >= MAX_WAITING_EACH)
        };
        if is_full(self) {
            self.forget_those_gone();
        }
        if is_full(self) {
            return None;
        }
        let (sender, turn) = oneshot::channel();
        let line = self.by_network.entry(network).or_default();
        if line.is_empty() {
            self.turns.push_back(network);
        }
        line.push_back(sender);
        self.waiting += 1;
        Some(turn)
    }

    /// Calls that were given up no longer wait.
    fn forget_those_gone(&mut self) {
        for line in self.by_network.values_mut() {
            line.retain(|waiting| !waiting.is_closed());
        }
        self.by_network.retain(|_, line| !line.is_empty());
        self.turns.retain(|network| self.by_network.contains_key(network));
        self.waiting = self.by_network.values().map(VecDeque::len).sum();
    }

    /// Gives a worker to the first of the next line that still waits; that line is then the last one.
    fn hand_over(&mut self) {
        while let Some(network) = self.turns.pop_front() {
            let Some(line) = self.by_network.get_mut(&network) else { continue };
            let next = line.pop_front();
            if line.is_empty() {
                self.by_network.remove(&network);
            } else {
                self.turns.push_back(network);
            }
            let Some(next) = next else { continue };
            self.waiting -= 1;
            if next.send(()).is_ok() {
                return;
            }
        }
        self.idle += 1;
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.lines().hand_over();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.turn.close();
        if self.turn.try_recv().is_ok() {
            drop(Worker(self.queue.clone()));
        }
    }
}

/// Attempts that may wait, in all.
pub(super) const MAX_WAITING: usize = 1024;
/// Attempts of one network that may wait.
pub(super) const MAX_WAITING_EACH: usize = 16;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::task::JoinSet;

    use super::*;

    fn network(n: u32) -> IpAddr {
        Ipv4Addr::from_bits(n).into()
    }

    /// Lets so many of a network join, and answers those who had to wait together with what came of it.
    async fn flood(queue: &Arc<Queue>, set: &mut JoinSet<(IpAddr, Option<Worker>)>, network: IpAddr, many: usize) {
        for _ in 0..many {
            let queue = queue.clone();
            set.spawn(async move { (network, queue.worker(network).await) });
        }
        tokio::task::yield_now().await;
    }

    #[tokio::test]
    async fn networks_take_turns() {
        let queue = Queue::new(1);
        let held = queue.worker(network(1)).await.unwrap();
        let mut waiting = JoinSet::new();
        flood(&queue, &mut waiting, network(1), 200).await;
        for _ in MAX_WAITING_EACH..200 {
            let (network_of, worker) = waiting.join_next().await.unwrap().unwrap();
            assert!(network_of == network(1) && worker.is_none());
        }
        flood(&queue, &mut waiting, network(2), 3).await;
        assert_eq!(queue.waiting(), MAX_WAITING_EACH + 3);
        drop(held);
        let mut order = Vec::new();
        while let Some(served) = waiting.join_next().await {
            let (network, worker) = served.unwrap();
            assert!(worker.is_some());
            order.push(network);
        }
        // Whoever came late was served in turn, and nobody was forgotten.
        let expected = [1, 2, 1, 2, 1, 2, 1, 1].map(network);
        assert_eq!(order.get(..8), Some(&expected[..]));
        assert_eq!((order.len(), queue.waiting(), queue.idle()), (MAX_WAITING_EACH + 3, 0, 1));
    }

    #[tokio::test]
    async fn all_together_are_bounded() {
        let queue = Queue::new(1);
        let held = queue.worker(network(0)).await.unwrap();
        let mut waiting = JoinSet::new();
        for n in 0..MAX_WAITING / MAX_WAITING_EACH {
            flood(&queue, &mut waiting, network(u32::try_from(n).unwrap()), MAX_WAITING_EACH).await;
        }
        assert_eq!(queue.waiting(), MAX_WAITING);
        assert!(queue.worker(network(9999)).await.is_none());
        // Those who have gone make room.
        waiting.shutdown().await;
        let newcomer = tokio::spawn({
            let queue = queue.clone();
            async move { queue.worker(network(9999)).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(queue.waiting(), 1);
        drop(held);
        assert!(newcomer.await.unwrap().is_some());
        assert_eq!(queue.idle(), 1);
    }

    #[tokio::test]
    async fn a_worker_that_nobody_waits_for_is_not_lost() {
        let queue = Queue::new(1);
        let held = queue.worker(network(1)).await.unwrap();
        let mut place = Box::pin(queue.worker(network(1)));
        assert!(futures_poll(&mut place).is_none());
        // It is handed over, and not taken.
        drop(held);
        assert_eq!(queue.idle(), 0);
        drop(place);
        assert_eq!(queue.idle(), 1);
    }

    fn futures_poll<F: Future>(future: &mut std::pin::Pin<Box<F>>) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }
}
