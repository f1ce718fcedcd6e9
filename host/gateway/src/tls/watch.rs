//! Certificates are loaded anew when their files have changed, or when the operator says so, without a restart.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

use super::{Reason, Tls};

/// Looks after the files of all listeners.
pub(crate) struct Watch {
    all: Vec<Arc<Tls>>,
    period: Duration,
    reloader: Reloader,
}

/// Has certificates loaded anew.
#[derive(Clone, Debug, Default)]
pub struct Reloader(Arc<Notify>);

impl Reloader {
    /// Soon all files are loaded, whether they have changed or not.
    pub fn reload(&self) {
        self.0.notify_one();
    }
}

impl Watch {
    pub(crate) fn new(all: Vec<Arc<Tls>>, period: Duration) -> Self {
        Self { all, period, reloader: Reloader::default() }
    }

    pub(crate) fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// Does not end by itself.
    pub(crate) async fn run(self) {
        let mut ticks = interval(self.period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let reason = tokio::select! {
                _ = ticks.tick() => Reason::Period,
                () = self.reloader.0.notified() => Reason::Told,
            };
            for tls in &self.all {
                let tls = tls.clone();
                let reloaded = tokio::task::spawn_blocking(move || tls.reload(reason)).await;
                if let Err(error) = reloaded {
                    tracing::error!(%error, "certificates not loaded, the former stay");
                }
            }
        }
    }
}
