//! `cargo xtask bench message`: what it costs when three plugins read a message of 25 MB whole, one after the other.
//!
//! It is compared with the same gateway with no plugin that reads, and with the same work done natively: a file of that size read
//! three times, in pieces of the same size. What counts for memory is the highest resident size of the process while it has the
//! message (VmHWM of proc_pid_status(5), set back by clear_refs), above what it has when it is idle, after one small message.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, BufRead, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::cpu::{Others, ticks_per_second, tree_time};
use super::figures::Spread;
use super::load::RECIPIENT;
use super::memory::Memory;
use super::server::{Ready, Server};
use super::{Bench, print};
use crate::step::say;
use crate::workspace::Workspace;

/// Sends messages of each kind in so many turns, and prints a table.
pub(crate) fn message(workspace: &Workspace, turns: u32) -> Result<()> {
    let bench = Bench::prepare(workspace)?;
    let others = Others::watch()?;
    let native = native(&bench.scratch.0, turns)?;
    let mut seats = KINDS.iter().map(|kind| Seat::take(&bench, kind)).collect::<Result<Vec<_>>>()?;
    for turn in 1..=turns {
        say(&format!("turn {turn} of {turns}"));
        for seat in &mut seats {
            seat.turn().with_context(|| format!("of {}", seat.kind.name))?;
        }
    }
    let mut table = String::from(
        "| chain | ms to the 250 | CPU ms | CPU ms beyond nobody | ratio of that to native | KiB beyond idle |\n\
         |---|---:|---:|---:|---:|---:|\n",
    );
    let mut floor = None;
    for seat in &seats {
        let (took, cpu) = seat.medians().context("invariant: there was a turn")?;
        let more = cpu - *floor.get_or_insert(cpu);
        let _ = writeln!(
            table,
            "| {} | {took:.0} | {cpu:.1} | {more:.1} | {:.2} | {} |",
            seat.kind.name,
            more / native,
            seat.peak.saturating_sub(seat.idle)
        );
    }
    print(&format!(
        "\nA message of {OCTETS} octets; medians of turns of {MESSAGES} messages: {turns}. {}\n\
         Other programs used {:.2} CPUs meanwhile: with more than a little, the figures are coarse.\n\n{table}\n\
         Natively, to read a file of that size {READERS} times takes {native:.1} ms of CPU, in pieces of {} KiB as the plugins do.\n\
         CPU is the server's, user and system. Memory is the highest resident size while it has a message.\n",
        bench.placement,
        others.cpus()?,
        PIECE_BYTES >> 10
    ))
}

struct Kind {
    name: &'static str,
    chain: &'static str,
    /// What the plugins are told.
    subject: &'static str,
}

/// A gateway, and what was measured of it.
struct Seat {
    kind: &'static Kind,
    server: Server,
    message: Vec<u8>,
    /// Resident KiB before the first large message.
    idle: u64,
    /// The most of all turns.
    peak: u64,
    took: Vec<f64>,
    cpu: Vec<f64>,
}

impl Seat {
    fn take(bench: &Bench, kind: &'static Kind) -> Result<Self> {
        let config = bench.root.join("host/xtask/src/peers/message.toml");
        let data = bench.scratch.0.join(format!("{}-{}", kind.chain, kind.subject.len()));
        let settings = [format!("listener.smtp.chain={}", kind.chain)];
        let server = bench.gateway(&config, Ready::Banner, &data, &settings, &bench.placement)?;
        send(server.address(), &text("keep", 100))?;
        let idle = Memory::settled(server.pid())?.resident;
        let message = text(kind.subject, OCTETS);
        Ok(Self { kind, server, message, idle, peak: 0, took: Vec::new(), cpu: Vec::new() })
    }

    fn turn(&mut self) -> Result<()> {
        Memory::forget_highest(self.server.pid())?;
        let before = self.server.settled_cpu()?;
        for _ in 0..MESSAGES {
            let took = send(self.server.address(), &self.message)?;
            self.took.push(millis(took));
        }
        self.peak = self.peak.max(Memory::highest(self.server.pid())?);
        let used = self.server.settled_cpu()?.saturating_sub(before);
        self.cpu.push(millis(used) / f64::from(MESSAGES));
        Ok(())
    }

    fn medians(&self) -> Option<(f64, f64)> {
        Some((Spread::of(&self.took)?.median, Spread::of(&self.cpu)?.median))
    }
}

/// CPU time in ms of what the readers do, done here: the file is read as often, in pieces of that size.
fn native(directory: &Path, turns: u32) -> Result<f64> {
    let path = directory.join("message");
    let unreadable = || format!("{} can't be read", path.display());
    fs::write(&path, text("keep", OCTETS)).with_context(|| format!("{} can't be written", path.display()))?;
    let file = File::open(&path).with_context(unreadable)?;
    let ticks = ticks_per_second()?;
    let before = tree_time(process::id(), ticks)?;
    let messages = turns.saturating_mul(MESSAGES);
    for _ in 0..messages.saturating_mul(READERS) {
        read(&file).with_context(unreadable)?;
    }
    let used = tree_time(process::id(), ticks)?.saturating_sub(before);
    Ok(millis(used) / f64::from(messages))
}

/// Reads a file as a host does that gives each piece away.
fn read(file: &File) -> io::Result<()> {
    let mut at = 0;
    loop {
        let mut piece = vec![0; PIECE_BYTES];
        let count = file.read_at(&mut piece, at)?;
        if count == 0 {
            return Ok(());
        }
        black_box(piece);
        at += count as u64;
    }
}

/// A message of so many octets, with the dot behind it.
fn text(subject: &str, octets: usize) -> Vec<u8> {
    let mut text = format!("From: alice@example.net\r\nSubject: {subject}\r\n\r\n").into_bytes();
    while text.len() < octets {
        text.extend_from_slice(LINE);
    }
    text.extend_from_slice(b".\r\n");
    text
}

/// One session with one message; answers the time from the 354 to the 250.
fn send(address: SocketAddr, message: &[u8]) -> Result<Duration> {
    let mut stream = TcpStream::connect(address).context("no connection")?;
    stream.set_read_timeout(Some(PATIENCE)).context("a socket")?;
    let mut replies = BufReader::new(stream.try_clone().context("a socket")?);
    let recipient = format!("RCPT TO:<{RECIPIENT}>\r\n");
    reply(&mut replies, "220")?;
    for (line, code) in [
        ("HELO client.example.net\r\n", "250"),
        ("MAIL FROM:<alice@example.net>\r\n", "250"),
        (&recipient, "250"),
        ("DATA\r\n", "354"),
    ] {
        stream.write_all(line.as_bytes()).context("the server does not read")?;
        reply(&mut replies, code)?;
    }
    let begin = Instant::now();
    stream.write_all(message).context("the server does not read")?;
    reply(&mut replies, "250")?;
    Ok(begin.elapsed())
}

fn reply(replies: &mut impl BufRead, code: &str) -> Result<()> {
    let mut line = String::new();
    replies.read_line(&mut line).context("no reply")?;
    if line.starts_with(code) { Ok(()) } else { bail!("the server says {line:?} instead of {code}") }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

const KINDS: [Kind; 3] = [
    Kind { name: "nobody reads", chain: "none", subject: "keep" },
    Kind { name: "three plugins read it", chain: "three", subject: "read; keep" },
    Kind { name: "three plugins add its octets up", chain: "three", subject: "sum; keep" },
];

const OCTETS: usize = 25_000_000;
const READERS: u32 = 3;
/// What the plugins ask for at a time.
const PIECE_BYTES: usize = 64 << 10;
const LINE: &[u8] = b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAx\r\n";
/// Messages of a turn: one alone is a few ticks of the clock.
const MESSAGES: u32 = 5;
const PATIENCE: Duration = Duration::from_secs(60);
