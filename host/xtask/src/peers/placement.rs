//! Who runs on which CPU: the server has one, the load has the others.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::step::{answers, complain};

/// Lists of CPUs as taskset takes them; `None` where processes are not held to any.
pub(super) struct Placement {
    server: Option<String>,
    load: Option<String>,
    machine: String,
}

impl Placement {
    /// The first CPU that we may use, and the others.
    pub(super) fn find() -> Result<Self> {
        let status = fs::read_to_string("/proc/self/status").context("/proc/self/status can't be read")?;
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or_default();
        let cpus = cpus(list).with_context(|| format!("no list of CPUs: {list:?}"))?;
        let machine = machine(cpus.len());
        let nobody = |machine| Self { server: None, load: None, machine };
        let Some((first, others)) = cpus.split_first().filter(|(_, others)| !others.is_empty()) else {
            complain("there is one CPU only: server and load share it, and the figures are coarser");
            return Ok(nobody(machine));
        };
        let server = first.to_string();
        if !answers("taskset", &["-c", &server, "true"]) {
            complain(
                "taskset can't hold a process to a CPU: server and load share all of them, the figures are coarser",
            );
            return Ok(nobody(machine));
        }
        let others: Vec<String> = others.iter().map(u32::to_string).collect();
        Ok(Self { server: Some(server), load: Some(others.join(",")), machine })
    }

    /// The same machine, with nobody held to a CPU.
    pub(super) fn anywhere(&self) -> Self {
        Self { server: None, load: None, machine: self.machine.clone() }
    }

    /// The start of a command line of a server. Whatever becomes of us, it does not outlive us.
    pub(super) fn server(&self, own: &[&str], program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).args(own);
        held(command, self.server.as_deref(), program)
    }

    /// The start of a command line of what makes the load: it has so many seconds.
    pub(super) fn load(&self, seconds: u64, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--foreground", "--kill-after=2", &seconds.to_string()]);
        held(command, self.load.as_deref(), program)
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}; ", self.machine)?;
        match (&self.server, &self.load) {
            (Some(server), Some(load)) => write!(formatter, "server on CPU {server}, load on CPU {load}."),
            (None, _) | (_, None) => write!(formatter, "server and load on all CPUs."),
        }
    }
}

fn held(mut command: Command, list: Option<&str>, program: impl AsRef<OsStr>) -> Command {
    if let Some(list) = list {
        command.args(["taskset", "-c", list]);
    }
    command.arg(program);
    command
}

/// What a figure is worth hangs on this.
fn machine(cpus: usize) -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unnamed model", |(_, model)| model);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let plural = if cpus == 1 { "" } else { "s" };
    format!("{cpus} CPU{plural} ({model}), Linux {}", kernel.trim())
}

/// A list such as `0-3,8`.
fn cpus(list: &str) -> Option<Vec<u32>> {
    let mut all = Vec::new();
    for part in list.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if last < first || last > CPU_MAX {
            return None;
        }
        all.extend(first..=last);
    }
    Some(all)
}

/// Linux knows of no more.
const CPU_MAX: u32 = 8191;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus() {
        assert_eq!(cpus("\t0-1"), Some(vec![0, 1]));
        assert_eq!(cpus("3"), Some(vec![3]));
        assert_eq!(cpus("0-2,5,7-8\n"), Some(vec![0, 1, 2, 5, 7, 8]));
        for wrong in ["", "a", "2-1", "1,", "0-99999999"] {
            assert_eq!(cpus(wrong), None, "{wrong:?}");
        }
    }
}
