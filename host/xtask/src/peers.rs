//! `cargo xtask bench peers`: what a message costs the gateway, beside what it costs Postfix's smtp-sink.
//!
//! Machines differ and are shared, so what is compared is the CPU time, user and system, of a server's whole process tree for each
//! accepted message. The servers get the same load from smtp-source in turns, the baseline before and after each of ours; a ratio
//! is against the mean of the two. The server has a CPU for itself, the load has the others. smtp-sink decides nothing, checks
//! next to nothing and keeps nothing: it is a floor for a server in C, not a gateway.

mod cpu;
mod delivery;
mod figures;
mod idle;
mod load;
mod memory;
mod message;
mod placement;
mod server;
pub(crate) mod tls;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::components::{Kind, build_components};
use crate::step::say;
use crate::workspace::Workspace;
use crate::{Profile, build_gateway, tools};
use cpu::Others;
use figures::{Spread, differences, ratio};
use load::{Load, Sessions};
use placement::Placement;
use server::{Ready, Server};

pub(crate) use delivery::delivery;
pub(crate) use idle::idle;
pub(crate) use message::message;

/// Compares, and prints a table.
pub(crate) fn peers(workspace: &Workspace, turns: u32) -> Result<()> {
    let bench = Bench::prepare(workspace)?;
    let others = Others::watch()?;
    let mut table = String::new();
    let _ = writeln!(table, "| workload | server | CPU µs a message | ratio to {} (least..greatest) |", BASELINE.name);
    let _ = writeln!(table, "|---|---|---:|---:|");
    let mut refused = Vec::new();
    for workload in &WORKLOADS {
        let (baseline, ours) = bench.measure(workload, turns)?;
        table.push_str(&rows(workload, &baseline, &ours));
        refused.extend(ours.into_iter().filter_map(|series| {
            let reason = series.refused?;
            Some(format!("{}, {}: {reason}", workload.name, series.name))
        }));
    }
    let text = format!(
        "\nMedians of turns of about {SECONDS} s each: {turns}. {}\n\
         Other programs used {:.2} CPUs meanwhile: with more than a little, the figures are coarse.\n\n{table}\n\
         small: 1 KB, a session for each message, 50 at a time. keep: 4 KB, 20 sessions. big: 1 MiB, 10 sessions.\n\
         The gateways log from `warn` on: smtp-sink logs nothing.\n",
        bench.placement,
        others.cpus()?
    );
    print(&text)?;
    if refused.is_empty() {
        Ok(())
    } else {
        bail!("there is no ratio where not all messages were accepted:\n{}", refused.join("\n"))
    }
}

/// What is compared. Its name, and how it is started.
struct Peer {
    name: &'static str,
    program: Program,
}

#[derive(Clone, Copy)]
enum Program {
    /// smtp-sink takes everything, and throws it away.
    Sink,
    /// Our gateway, with a chain of `peers/postgate.toml`.
    Gateway { chain: &'static str },
}

/// What is sent.
struct Workload {
    name: &'static str,
    load: Load,
    /// With so many messages it is found out how many fill a turn.
    first: u32,
}

/// What was measured of one peer.
struct Series {
    name: &'static str,
    micros: Vec<f64>,
    ratios: Vec<f64>,
    /// Why there is no figure.
    refused: Option<String>,
}

impl Series {
    fn of(peer: &Peer) -> Self {
        Self { name: peer.name, micros: Vec::new(), ratios: Vec::new(), refused: None }
    }
}

/// Where servers are started, and from what.
struct Bench {
    gateway: PathBuf,
    plugins: PathBuf,
    root: PathBuf,
    scratch: Scratch,
    placement: Placement,
}

impl Bench {
    fn prepare(workspace: &Workspace) -> Result<Self> {
        tools::peers()?;
        let plugins = build_components(workspace, &[Kind::Plugin, Kind::Guest])?;
        let gateway = build_gateway(workspace, Profile::Release)?;
        let placement = Placement::find()?;
        let scratch = Scratch::make(workspace)?;
        Ok(Self { gateway, plugins, root: workspace.root.clone(), scratch, placement })
    }

    /// All turns of one workload: the baseline, and ours.
    fn measure(&self, workload: &Workload, turns: u32) -> Result<(Series, Vec<Series>)> {
        let mut baseline = Seat::take(self, workload, &BASELINE)?;
        let mut ours = OURS.iter().map(|peer| Seat::take(self, workload, peer)).collect::<Result<Vec<_>>>()?;
        baseline.warm_up()?;
        for seat in &mut ours {
            // One that does not take all is out, with what it said.
            seat.series.refused = seat.warm_up().err().map(|error| format!("{error:#}"));
        }
        let mut before = baseline.turn()?;
        for turn in 1..=turns {
            // Nobody is always the first.
            ours.reverse();
            for seat in ours.iter_mut().filter(|seat| seat.series.refused.is_none()) {
                match seat.turn() {
                    Ok(micros) => {
                        let after = baseline.turn()?;
                        let ratio = ratio(micros, before, after).context("the baseline took no time")?;
                        seat.series.ratios.push(ratio);
                        say(&format!(
                            "{}, turn {turn} of {turns}: {}: {micros:.1} µs, between {before:.1} and {after:.1}: {ratio:.3}",
                            workload.name, seat.series.name
                        ));
                        before = after;
                    }
                    Err(error) => seat.series.refused = Some(format!("{error:#}")),
                }
            }
        }
        if turns % 2 == 1 {
            ours.reverse();
        }
        Ok((baseline.series, ours.into_iter().map(|seat| seat.series).collect()))
    }

    fn start(&self, peer: &Peer) -> Result<Server> {
        match peer.program {
            Program::Sink => server::sink(SINK_SESSIONS, &self.scratch.0, &self.placement),
            Program::Gateway { chain } => {
                let data = self.scratch.0.join(chain);
                let config = self.root.join("host/xtask/src/peers/postgate.toml");
                let settings = [format!("listener.smtp.chain={chain}")];
                self.gateway(&config, Ready::Banner, &data, &settings, &self.placement)
            }
        }
    }

    /// The gateway with its data in a directory of ours.
    fn gateway(
        &self,
        config: &Path,
        ready: Ready,
        data: &Path,
        settings: &[String],
        placement: &Placement,
    ) -> Result<Server> {
        fs::create_dir_all(data).with_context(|| format!("{} can't be made", data.display()))?;
        let arguments = |address: SocketAddr| {
            let mut all = vec!["run".to_owned(), "--config".to_owned(), config.display().to_string()];
            let own = [
                format!("plugin-dir={}", self.plugins.display()),
                format!("data-dir={}", data.display()),
                format!("listener.smtp.bind={address}"),
            ];
            for setting in own.iter().chain(settings) {
                all.extend(["--set".to_owned(), setting.clone()]);
            }
            all
        };
        server::start("postgate", &self.gateway, ready, arguments, data, placement)
    }
}

/// A server that takes part, and how many messages fill its turn.
struct Seat<'bench> {
    bench: &'bench Bench,
    server: Server,
    load: &'bench Load,
    messages: u32,
    series: Series,
}

impl<'bench> Seat<'bench> {
    /// Starts it.
    fn take(bench: &'bench Bench, workload: &'bench Workload, peer: &Peer) -> Result<Self> {
        let server = bench.start(peer)?;
        Ok(Self { bench, server, load: &workload.load, messages: workload.first, series: Series::of(peer) })
    }

    /// Finds out how many messages fill a turn.
    fn warm_up(&mut self) -> Result<()> {
        for _ in 0..ATTEMPTS {
            let took = self.send()?.as_secs_f64();
            let before = self.messages;
            let enough = took > SECONDS / 4.0;
            let wanted = if enough { (f64::from(before) / took * SECONDS) as u32 } else { before.saturating_mul(4) };
            self.messages = wanted.clamp(before, MESSAGES_MAX.max(before));
            if enough {
                break;
            }
        }
        Ok(())
    }

    fn send(&self) -> Result<Duration> {
        self.load.send(self.server.address(), self.messages, &self.bench.placement, TURN_SECONDS_MAX)
    }

    /// One turn: µs of CPU a message.
    fn turn(&mut self) -> Result<f64> {
        let before = self.server.cpu()?;
        self.send()?;
        let used = self.server.settled_cpu()?.saturating_sub(before);
        if used.is_zero() {
            bail!("{} messages took not one tick of the clock", self.messages);
        }
        let micros = used.as_secs_f64() * 1e6 / f64::from(self.messages);
        self.series.micros.push(micros);
        Ok(micros)
    }
}

/// The rows of a workload.
fn rows(workload: &Workload, baseline: &Series, ours: &[Series]) -> String {
    let mut rows = String::new();
    let micros =
        |series: &Series| Spread::of(&series.micros).map_or("-".to_owned(), |all| format!("{:.1}", all.median));
    let _ = writeln!(rows, "| {} | {} | {} | 1 |", workload.name, baseline.name, micros(baseline));
    for series in ours {
        let ratio = match (&series.refused, Spread::of(&series.ratios)) {
            (None, Some(ratios)) => format!("{ratios}"),
            (Some(_), _) | (None, None) => "none".to_owned(),
        };
        let _ = writeln!(rows, "| {} | {} | {} | {ratio} |", workload.name, series.name, micros(series));
    }
    if let ([with, without], Some(base)) = (ours, Spread::of(&baseline.micros))
        && let Some(more) = Spread::of(&differences(&with.ratios, &without.ratios))
        && with.refused.is_none()
        && without.refused.is_none()
    {
        let micros = more.median * base.median;
        let _ = writeln!(rows, "| {} | that is, for `door` | {micros:.1} | {more} |", workload.name);
    }
    rows
}

/// A directory for the data of servers; removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn make(workspace: &Workspace) -> Result<Self> {
        let all = workspace.target.join("bench");
        let path = all.join(process::id().to_string());
        fs::create_dir_all(&path).with_context(|| format!("{} can't be made", path.display()))?;
        let scratch = Self(path);
        // What was left by one that was killed.
        for entry in fs::read_dir(&all).with_context(|| format!("{} can't be read", all.display()))? {
            let entry = entry.with_context(|| format!("{} can't be read", all.display()))?;
            if !Path::new("/proc").join(entry.file_name()).exists() {
                let path = entry.path();
                fs::remove_dir_all(&path).with_context(|| format!("{} can't be removed", path.display()))?;
            }
        }
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            crate::step::complain(&format!("{} can't be removed: {error}", self.0.display()));
        }
    }
}

/// Results go to standard output, and nothing else does.
fn print(text: &str) -> Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("standard output takes nothing")
}

const BASELINE: Peer = Peer { name: "smtp-sink", program: Program::Sink };
const OURS: [Peer; 2] = [
    Peer { name: "postgate: door, virtual-domains, discard", program: Program::Gateway { chain: "three" } },
    Peer { name: "postgate: virtual-domains, discard", program: Program::Gateway { chain: "two" } },
];

const WORKLOADS: [Workload; 3] = [
    Workload {
        name: "small",
        load: Load { at_a_time: 50, octets: 1024, sessions: Sessions::OneForEachMessage },
        first: 500,
    },
    Workload { name: "keep", load: Load { at_a_time: 20, octets: 4096, sessions: Sessions::Kept }, first: 1000 },
    Workload { name: "big", load: Load { at_a_time: 10, octets: 1 << 20, sessions: Sessions::Kept }, first: 40 },
];

/// More than any workload has.
const SINK_SESSIONS: u32 = 1000;
/// Of a turn: about 200 ticks of the clock, if the server is the bottleneck.
const SECONDS: f64 = 2.0;
/// Then a turn is given up.
const TURN_SECONDS_MAX: u64 = 60;
const MESSAGES_MAX: u32 = 200_000;
/// To find out how many messages fill a turn.
const ATTEMPTS: u32 = 8;
