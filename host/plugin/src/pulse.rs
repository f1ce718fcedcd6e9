//! The pulse: a thread that tells running guests every two milliseconds that time has passed.
//!
//! A guest gives way when it has burnt [`YIELD_FUEL`](crate::instance) units; but a guest that does nothing but call the host burns
//! little fuel in much time. The pulse reaches it between two instructions. While no guest runs the thread sleeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::EngineWeak;

/// The thread, and who needs it.
#[derive(Debug)]
pub(crate) struct Pulse {
    needed: Arc<Needed>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Needed {
    /// Guests that are running.
    running: AtomicUsize,
    asleep: AtomicBool,
    stop: AtomicBool,
}

/// A guest that is running, until this is dropped.
#[derive(Debug)]
pub(crate) struct Running(Arc<Needed>);

impl Pulse {
    /// The pulse of an engine.
    pub(crate) fn new(engine: EngineWeak) -> std::io::Result<Self> {
        let needed = Arc::new(Needed::default());
        let watched = needed.clone();
        let thread = thread::Builder::new().name("pulse".to_owned()).spawn(move || beat(&engine, &watched))?;
        Ok(Self { needed, thread: Some(thread) })
    }

    /// A guest begins to run.
    pub(crate) fn run(&self) -> Running {
        self.needed.running.fetch_add(1, Ordering::SeqCst);
        if self.needed.asleep.load(Ordering::SeqCst) {
            self.wake();
        }
        Running(self.needed.clone())
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.needed.stop.store(true, Ordering::SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // It does not panic; and if it did, there would be nothing left to do here.
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

fn beat(engine: &EngineWeak, needed: &Needed) {
    let mut idle = 0;
    while !needed.stop.load(Ordering::SeqCst) {
        let Some(engine) = engine.upgrade() else { return };
        engine.increment_epoch();
        drop(engine);
        idle = if needed.running.load(Ordering::SeqCst) == 0 { idle + 1 } else { 0 };
        if idle < IDLE_BEATS {
            thread::sleep(BEAT);
            continue;
        }
        // Whoever begins to run after this sees that we sleep; whoever began before is seen here.
        needed.asleep.store(true, Ordering::SeqCst);
        if needed.running.load(Ordering::SeqCst) == 0 && !needed.stop.load(Ordering::SeqCst) {
            thread::park();
        }
        needed.asleep.store(false, Ordering::SeqCst);
        idle = 0;
    }
}

const BEAT: Duration = Duration::from_millis(2);

/// After so many beats without a guest the thread sleeps.
const IDLE_BEATS: u32 = 100;

/// Beats that a call may last before it gives way the first time: one is the rest of the running beat.
pub(crate) const FIRST_BEATS: u64 = 2;

/// And then each time.
pub(crate) const FURTHER_BEATS: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_beats_while_a_guest_runs_and_ends_with_its_owner() {
        let mut settings = wasmtime::Config::new();
        settings.epoch_interruption(true);
        let engine = wasmtime::Engine::new(&settings).unwrap();
        let pulse = Pulse::new(engine.weak()).unwrap();
        let needed = pulse.needed.clone();
        while !needed.asleep.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        let running = pulse.run();
        while needed.asleep.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        drop(running);
        assert_eq!(needed.running.load(Ordering::SeqCst), 0);
        drop(pulse);
        assert_eq!(Arc::strong_count(&needed), 1);
    }
}
