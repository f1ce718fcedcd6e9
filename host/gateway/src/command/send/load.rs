//! Many messages over many connections, and a summary of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use postgate_smtp::client::Outcome;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::super::Exit;
use super::delivery::{Delivery, Ways, deliver};
use super::plan::Plan;
use super::report::{exit, explained, milliseconds};

/// What came of all messages.
#[derive(Default)]
pub(super) struct Summary {
    /// Messages that were wanted.
    count: u32,
    connections: u32,
    /// All recipients were taken.
    accepted: u32,
    /// Some were deferred, and none refused.
    deferred: u32,
    /// Some were refused.
    refused: u32,
    /// The connection failed.
    failed: u32,
    /// Of messages that were accepted, from MAIL or the connection to the last reply.
    latencies: Vec<Duration>,
    /// How often something else than acceptance was said.
    reasons: BTreeMap<String, u32>,
    /// The first connection that failed.
    first_failure: Option<(Exit, String)>,
    time: Duration,
}

/// Sends them all.
pub(super) async fn run(plan: &Arc<Plan>, count: u32, connections: u32) -> Summary {
    let begin = Instant::now();
    let next = Arc::new(AtomicU32::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..connections.min(count) {
        let (plan, next) = (plan.clone(), next.clone());
        workers.spawn(async move { work(&plan, &next, count).await });
    }
    let mut summary = Summary { count, connections, ..Summary::default() };
    while let Some(done) = workers.join_next().await {
        // A worker does not panic, and nobody aborts it.
        if let Ok(part) = done {
            summary.add(part);
        }
    }
    summary.time = begin.elapsed();
    summary.latencies.sort_unstable();
    summary
}

/// One connection after the other, until there is no message left or the server can't be reached.
async fn work(plan: &Plan, next: &AtomicU32, count: u32) -> Summary {
    let mut summary = Summary::default();
    let nobody = Ways { witness: &|| None, reached: &|_| {} };
    let (mut wire, mut failures) = (None, 0);
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if n >= count || failures >= FAILURES_MAX {
            break;
        }
        let copy = plan.message.copy(n);
        let begin = Instant::now();
        let delivery = deliver(plan, &mut wire, &copy, &nobody).await;
        failures = if delivery.error.is_some() { failures + 1 } else { 0 };
        summary.count(plan, &delivery, begin.elapsed());
    }
    if let Some(wire) = wire {
        wire.part().await;
    }
    summary
}

impl Summary {
    fn count(&mut self, plan: &Plan, delivery: &Delivery, latency: Duration) {
        let mut reasons: Vec<String> = Vec::new();
        match (&delivery.error, exit(delivery)) {
            (Some(error), ended) => {
                self.failed += 1;
                let text = explained(plan, error);
                if let (None, Some(ended)) = (&self.first_failure, ended) {
                    self.first_failure = Some((ended, text.clone()));
                }
                reasons.push(text);
            }
            (None, None) => {
                self.accepted += 1;
                self.latencies.push(latency);
            }
            (None, Some(Exit::Refused)) => self.refused += 1,
            (None, Some(_)) => self.deferred += 1,
        }
        let others = delivery.outcomes.iter().filter(|outcome| !matches!(outcome, Outcome::Taken(_)));
        reasons.extend(others.filter(|_| delivery.error.is_none()).map(|outcome| outcome.reply().to_string()));
        reasons.into_iter().for_each(|reason| self.reason(reason, 1));
    }

    fn reason(&mut self, reason: String, times: u32) {
        if self.reasons.len() < REASONS_MAX || self.reasons.contains_key(&reason) {
            *self.reasons.entry(reason).or_default() += times;
        } else {
            *self.reasons.entry(OTHERS.to_owned()).or_default() += times;
        }
    }

    fn add(&mut self, part: Self) {
        self.accepted += part.accepted;
        self.deferred += part.deferred;
        self.refused += part.refused;
        self.failed += part.failed;
        self.latencies.extend(part.latencies);
        part.reasons.into_iter().for_each(|(reason, times)| self.reason(reason, times));
        self.first_failure = self.first_failure.take().or(part.first_failure);
    }

    /// Messages that nobody has tried, because the server could not be reached several times.
    fn not_tried(&self) -> u32 {
        self.count.saturating_sub(self.accepted + self.deferred + self.refused + self.failed)
    }

    fn rate(&self) -> f64 {
        let seconds = self.time.as_secs_f64();
        if seconds > 0.0 { f64::from(self.accepted) / seconds } else { 0.0 }
    }

    /// So many percent of the messages were accepted within this time.
    fn percentile(&self, percent: usize) -> Option<Duration> {
        let rank = (self.latencies.len() * percent).div_ceil(100);
        self.latencies.get(rank.saturating_sub(1)).copied()
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "{} messages over {} connections in {:.2} s: {} accepted, {} deferred, {} refused, {} failed",
            self.count,
            self.connections,
            self.time.as_secs_f64(),
            self.accepted,
            self.deferred,
            self.refused,
            self.failed
        );
        if self.not_tried() > 0 {
            text.push_str(&format!(", {} not tried", self.not_tried()));
        }
        text.push('\n');
        if let (Some(half), Some(most)) = (self.percentile(50), self.percentile(99)) {
            text.push_str(&format!(
                "{:.1} accepted messages/s; a message takes {:.1} ms (p50), {:.1} ms (p99)\n",
                self.rate(),
                milliseconds(half),
                milliseconds(most)
            ));
        }
        let mut reasons: Vec<_> = self.reasons.iter().collect();
        reasons.sort_by_key(|(_, times)| std::cmp::Reverse(**times));
        for (reason, times) in reasons {
            text.push_str(&format!("{times:>7} × {reason}\n"));
        }
        text
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        json!({
            "messages": self.count,
            "connections": self.connections,
            "accepted": self.accepted,
            "deferred": self.deferred,
            "refused": self.refused,
            "failed": self.failed,
            "not-tried": self.not_tried(),
            "time-ms": milliseconds(self.time),
            "accepted-per-second": (self.rate() * 10.0).round() / 10.0,
            "p50-ms": self.percentile(50).map(milliseconds),
            "p99-ms": self.percentile(99).map(milliseconds),
            "reasons": self.reasons,
            "exit": self.exit().map_or(0, |exit| exit as u8),
        })
    }

    /// None where everything was accepted.
    pub(super) fn exit(&self) -> Option<Exit> {
        match &self.first_failure {
            Some((exit, _)) => Some(*exit),
            None if self.refused > 0 => Some(Exit::Refused),
            None if self.deferred > 0 => Some(Exit::TemporaryFailure),
            None => None,
        }
    }

    /// Why the first connection failed.
    pub(super) fn error(&self) -> Option<String> {
        self.first_failure.as_ref().map(|(_, text)| text.clone())
    }
}

/// Connections that failed one after the other, until a worker gives up.
const FAILURES_MAX: u32 = 3;
/// Different ones that are told.
const REASONS_MAX: usize = 20;
const OTHERS: &str = "(others)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        let check = |n: u64, percent, expected: Option<u64>| {
            let latencies = (1..=n).map(Duration::from_millis).collect();
            let summary = Summary { latencies, ..Summary::default() };
            assert_eq!(summary.percentile(percent), expected.map(Duration::from_millis), "{n} {percent}");
        };
        check(0, 50, None);
        check(1, 50, Some(1));
        check(1, 99, Some(1));
        check(100, 50, Some(50));
        check(100, 99, Some(99));
        check(200, 99, Some(198));
    }

    #[test]
    fn reasons_are_bounded() {
        let mut summary = Summary::default();
        (0..100).for_each(|n| summary.reason(format!("550 {n}"), 1));
        assert_eq!(summary.reasons.len(), REASONS_MAX + 1);
        assert_eq!(summary.reasons[OTHERS], 80);
    }
}
