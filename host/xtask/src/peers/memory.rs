//! Resident memory of a process, from `/proc/PID/smaps_rollup` and `/proc/PID/status` (proc_pid_smaps(5),
//! proc_pid_status(5)).

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// In KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) resident: u64,
    /// Where pages that several processes share count for each in part.
    pub(super) proportional: u64,
}

impl Memory {
    pub(super) fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/smaps_rollup");
        let text = fs::read_to_string(&path).with_context(|| format!("{path} can't be read"))?;
        Self::parse(&text).with_context(|| format!("{path} has no Rss and Pss"))
    }

    /// When it does not change any more; at the latest after a while.
    pub(super) fn settled(pid: u32) -> Result<Self> {
        let deadline = Instant::now() + SETTLING;
        // Sessions that were busy a moment ago have not given back what they hold yet.
        thread::sleep(QUIET);
        let mut before = Self::of(pid)?;
        loop {
            thread::sleep(QUIET);
            let now = Self::of(pid)?;
            if now == before || Instant::now() > deadline {
                return Ok(now);
            }
            before = now;
        }
    }

    /// Lets the highest resident size begin anew.
    pub(super) fn forget_highest(pid: u32) -> Result<()> {
        let path = format!("/proc/{pid}/clear_refs");
        fs::write(&path, "5").with_context(|| format!("{path} can't be written"))
    }

    /// The highest resident size since then, in KiB.
    pub(super) fn highest(pid: u32) -> Result<u64> {
        let path = format!("/proc/{pid}/status");
        let text = fs::read_to_string(&path).with_context(|| format!("{path} can't be read"))?;
        Self::field(&text, "VmHWM:").with_context(|| format!("{path} has no VmHWM"))
    }

    fn parse(text: &str) -> Option<Self> {
        Some(Self { resident: Self::field(text, "Rss:")?, proportional: Self::field(text, "Pss:")? })
    }

    fn field(text: &str, name: &str) -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    }
}

/// Longer than the second after which a session gives its instances back.
const QUIET: Duration = Duration::from_secs(2);
const SETTLING: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found() {
        let text =
            "00400000-7ffd [rollup]\nRss:                1234 kB\nPss:                 567 kB\nPss_Dirty:   1 kB\n";
        assert_eq!(Memory::parse(text), Some(Memory { resident: 1234, proportional: 567 }));
        assert_eq!(Memory::parse("Rss: 1 kB\n"), None);
        assert_eq!(Memory::parse("Rss: x kB\nPss: 1 kB\n"), None);
        assert!(Memory::of(std::process::id()).is_ok());
        assert!(Memory::forget_highest(std::process::id()).is_ok());
        assert!(Memory::highest(std::process::id()).is_ok_and(|highest| highest > 0));
    }
}
