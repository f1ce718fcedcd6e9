//! CPU time of a process tree and of the machine, from `/proc/PID/stat` (proc_pid_stat(5)) and `/proc/stat` (proc_stat(5)).

use std::collections::{HashMap, HashSet};
use std::fs;
use std::process::{self, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// User and system time of a process and of all below it, those included that have ended and were waited for.
pub(super) fn tree_time(root: u32, ticks_per_second: u64) -> Result<Duration> {
    let mut processes = HashMap::new();
    for entry in fs::read_dir("/proc").context("/proc can't be read")? {
        let name = entry.context("/proc can't be read")?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // One that has ended meanwhile is in its parent's figure.
        let Ok(text) = fs::read(format!("/proc/{pid}/stat")) else { continue };
        if let Some(stat) = Stat::parse(&text) {
            processes.insert(pid, stat);
        }
    }
    let ticks = tree_ticks(root, &processes).with_context(|| format!("process {root} has ended"))?;
    Ok(time(ticks, ticks_per_second))
}

/// What the machine's other programs use, beside us and our children.
pub(super) struct Others {
    begin: Instant,
    busy: Duration,
    own: Duration,
    ticks_per_second: u64,
}

impl Others {
    /// From now on.
    pub(super) fn watch() -> Result<Self> {
        let ticks_per_second = ticks_per_second()?;
        let own = tree_time(process::id(), ticks_per_second)?;
        Ok(Self { begin: Instant::now(), busy: busy_time(ticks_per_second)?, own, ticks_per_second })
    }

    /// Until now: how many CPUs they had, as a fraction of one.
    pub(super) fn cpus(&self) -> Result<f64> {
        let busy = busy_time(self.ticks_per_second)?.saturating_sub(self.busy);
        let own = tree_time(process::id(), self.ticks_per_second)?.saturating_sub(self.own);
        Ok(busy.saturating_sub(own).as_secs_f64() / self.begin.elapsed().as_secs_f64().max(0.001))
    }
}

/// Of all CPUs, since the machine started.
fn busy_time(ticks_per_second: u64) -> Result<Duration> {
    let text = fs::read_to_string("/proc/stat").context("/proc/stat can't be read")?;
    let ticks = busy_ticks(&text).context("/proc/stat has no line of all CPUs")?;
    Ok(time(ticks, ticks_per_second))
}

/// Of the first line of `/proc/stat`: user, nice, system, irq, softirq and steal, without idle and iowait.
fn busy_ticks(text: &str) -> Option<u64> {
    let fields = text.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace();
    let values: Vec<u64> = fields.map(|field| field.parse().ok()).collect::<Option<_>>()?;
    [0, 1, 2, 5, 6, 7].into_iter().map(|place| values.get(place).copied()).sum()
}

fn time(ticks: u64, ticks_per_second: u64) -> Duration {
    Duration::from_micros(ticks.saturating_mul(1_000_000) / ticks_per_second.max(1))
}

/// How fine the clock of `/proc` is.
pub(super) fn ticks_per_second() -> Result<u64> {
    let output = Command::new("getconf").arg("CLK_TCK").output().context("getconf does not run")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let ticks = text.trim().parse().ok().filter(|ticks| *ticks > 0);
    ticks.with_context(|| format!("getconf CLK_TCK says {text:?}"))
}

/// Of a process, what is asked here.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// utime, stime, cutime and cstime.
    ticks: u64,
}

impl Stat {
    /// The name, the second field, is in brackets, and can have blanks and brackets in it: what counts is behind the last one.
    fn parse(text: &[u8]) -> Option<Self> {
        let end = text.iter().rposition(|octet| *octet == b')')?;
        let rest = std::str::from_utf8(text.get(end + 1..)?).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // The first of these is the third of the manual.
        let field = |number: usize| fields.get(number - 3).copied();
        let mut ticks = 0_u64;
        for number in 14..=17 {
            // cutime and cstime are signed there.
            let value: i64 = field(number)?.parse().ok()?;
            ticks = ticks.checked_add(u64::try_from(value).ok()?)?;
        }
        Some(Self { parent: field(4)?.parse().ok()?, ticks })
    }
}

/// `None` if the root is not there.
fn tree_ticks(root: u32, processes: &HashMap<u32, Stat>) -> Option<u64> {
    let mut sum = processes.get(&root)?.ticks;
    let mut above = vec![root];
    // While it was read a number can have been used again: no process counts twice.
    let mut seen = HashSet::from([root]);
    while let Some(parent) = above.pop() {
        for (pid, stat) in processes.iter().filter(|(_, stat)| stat.parent == parent) {
            if seen.insert(*pid) {
                sum = sum.saturating_add(stat.ticks);
                above.push(*pid);
            }
        }
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER_NAME: &str =
        " S 41 42 42 0 -1 4194560 640 7 17 0 150 75 20 5 20 0 1 0 508859 43560960 1302 18446744073709551615 1 2";

    #[test]
    fn stat_is_parsed_whatever_the_name_is() {
        for name in ["(smtp-sink)", "(tokio runtime w)", "(a) R 1 (b))", "()", "(\u{e4})"] {
            let text = format!("4711 {name}{AFTER_NAME}");
            assert_eq!(Stat::parse(text.as_bytes()), Some(Stat { parent: 41, ticks: 250 }), "{name}");
        }
        let mut latin1 = b"4711 (\xe4)".to_vec();
        latin1.extend(AFTER_NAME.as_bytes());
        assert_eq!(Stat::parse(&latin1), Some(Stat { parent: 41, ticks: 250 }));
    }

    #[test]
    fn what_is_no_stat_is_none() {
        for text in ["", "4711", "4711 (x)", "4711 (x) S 41 42", "4711 (x) S a b c d e f g h i j k l m n o p"] {
            assert_eq!(Stat::parse(text.as_bytes()), None, "{text:?}");
        }
        let negative = AFTER_NAME.replace(" 20 5 ", " -20 5 ");
        assert_eq!(Stat::parse(format!("4711 (x){negative}").as_bytes()), None);
    }

    #[test]
    fn a_tree_is_its_root_and_all_below() {
        let processes = [(1, 0, 1000), (10, 1, 100), (11, 10, 20), (12, 11, 3), (13, 10, 4), (20, 1, 5000)];
        let processes = processes.into_iter().map(|(pid, parent, ticks)| (pid, Stat { parent, ticks })).collect();
        assert_eq!(tree_ticks(10, &processes), Some(127));
        assert_eq!(tree_ticks(12, &processes), Some(3));
        assert_eq!(tree_ticks(99, &processes), None);
    }

    #[test]
    fn a_ring_ends() {
        let processes = HashMap::from([(1, Stat { parent: 2, ticks: 1 }), (2, Stat { parent: 1, ticks: 2 })]);
        assert_eq!(tree_ticks(1, &processes), Some(3));
    }

    #[test]
    fn a_machine_is_busy_when_it_is_not_idle() {
        let text = "cpu  1000 200 30 9999 8888 4 5 6 0 0\ncpu0 7 7 7 7 7 7 7 7 7 7\n";
        assert_eq!(busy_ticks(text), Some(1245));
        for wrong in ["", "cpu0 1 2 3 4 5 6 7 8", "cpu  1 2 3", "cpu  1 2 3 4 x 6 7 8"] {
            assert_eq!(busy_ticks(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn our_own_time_can_be_read() {
        let ticks = ticks_per_second().expect("getconf answers");
        let own = tree_time(std::process::id(), ticks).expect("we are there");
        assert!(own < Duration::from_secs(3600), "{own:?}");
    }
}
