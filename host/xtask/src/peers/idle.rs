//! `cargo xtask bench idle`: what a connection costs in resident memory while its client says nothing, after banner and EHLO.
//!
//! What counts is the growth of the process from one that has served a single session to one that holds them all, divided by their
//! number. The kernel's buffers of the sockets belong to no process, and are in no figure.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::memory::Memory;
use super::server::{self, Ready, Server};
use super::{Bench, print};
use crate::step::{complain, say};
use crate::workspace::Workspace;

/// Opens so many, and prints a table.
pub(crate) fn idle(workspace: &Workspace, connections: u32) -> Result<()> {
    allow_descriptors(connections)?;
    let bench = Bench::prepare(workspace)?;
    let mut table = String::from(
        "| server | octets a connection (Rss) | (Pss) | before, KiB | after, KiB |\n|---|---:|---:|---:|---:|\n",
    );
    for chain in ["two", "three"] {
        let server = gateway(&bench, chain, connections)?;
        let name = match chain {
            "two" => "postgate: no plugin asked before MAIL",
            _ => "postgate: a plugin asked at connect",
        };
        table.push_str(&row(name, &server, connections)?);
    }
    // It keeps as many sessions as select(2) or epoll(7) and its limits allow.
    let sink = server::sink(connections + 1, &bench.scratch.0, &bench.placement);
    match sink.and_then(|server| row("smtp-sink", &server, connections)) {
        Ok(row) => table.push_str(&row),
        Err(error) => complain(&format!("no figure of smtp-sink: {error:#}")),
    }
    print(&format!(
        "\n{connections} connections, each behind its EHLO and silent since. {}\n\n{table}\n\
         The gateway's is a process that has served one session before. Buffers of the kernel are in no figure.\n",
        bench.placement
    ))
}

fn gateway(bench: &Bench, chain: &str, connections: u32) -> Result<Server> {
    let config = bench.root.join("host/xtask/src/peers/postgate.toml");
    let most = connections.saturating_add(SPARE);
    let settings = [
        format!("listener.smtp.chain={chain}"),
        format!("listener.smtp.limits.connections={most}"),
        format!("listener.smtp.limits.connections-per-address={most}"),
    ];
    bench.gateway(&config, Ready::Banner, &bench.scratch.0.join(chain), &settings, &bench.placement)
}

fn row(name: &str, server: &Server, connections: u32) -> Result<String> {
    say(&format!("opening {connections} connections to {name}"));
    drop(session(server.address()).context("the first session")?);
    let before = Memory::settled(server.pid())?;
    let begin = Instant::now();
    let mut open = Vec::new();
    for number in 1..=connections {
        open.push(session(server.address()).with_context(|| format!("connection {number} of {connections}"))?);
    }
    say(&format!("they are open after {:.1} s", begin.elapsed().as_secs_f64()));
    let after = Memory::settled(server.pid())?;
    // They are open still.
    for stream in &mut open {
        command(stream, b"NOOP\r\n")?;
    }
    let each = |after: u64, before: u64| after.saturating_sub(before) * 1024 / u64::from(connections);
    let mut row = String::new();
    let _ = writeln!(
        row,
        "| {name} | {} | {} | {} | {} |",
        each(after.resident, before.resident),
        each(after.proportional, before.proportional),
        before.resident,
        after.resident
    );
    Ok(row)
}

/// A connection behind its EHLO.
fn session(address: SocketAddr) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address).context("no connection")?;
    stream.set_read_timeout(Some(PATIENCE)).context("a socket")?;
    reply(&mut stream)?;
    command(&mut stream, b"EHLO client.example.net\r\n")?;
    Ok(stream)
}

fn command(stream: &mut TcpStream, line: &[u8]) -> Result<()> {
    stream.write_all(line).context("the server does not read")?;
    reply(stream)
}

/// Reads a positive reply, all its lines.
fn reply(stream: &mut TcpStream) -> Result<()> {
    let mut octets = Vec::new();
    let mut piece = [0; 1024];
    loop {
        let count = stream.read(&mut piece).context("no reply")?;
        octets.extend_from_slice(piece.get(..count).unwrap_or_default());
        let text = String::from_utf8_lossy(&octets);
        let last = text.strip_suffix("\r\n").and_then(|lines| lines.rsplit("\r\n").next());
        match last {
            Some(line) if line.starts_with('2') && line.as_bytes().get(3) == Some(&b' ') => return Ok(()),
            Some(line) if !line.starts_with('2') => bail!("the server says {line:?}"),
            Some(_) | None if count == 0 || octets.len() > REPLY_OCTETS_MAX => bail!("no whole reply: {text:?}"),
            Some(_) | None => {}
        }
    }
}

/// Descriptors for all connections, at our end and, as a child has our limits, at the server's.
fn allow_descriptors(connections: u32) -> Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let needed = u64::from(connections.saturating_add(SPARE));
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let maximum = if maximum.is_some_and(|maximum| maximum < needed) { Some(needed) } else { maximum };
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum })
        .with_context(|| format!("{connections} connections need {needed} descriptors (ulimit -n)"))
}

/// Of descriptors and sessions: more than a server has beside its connections.
const SPARE: u32 = 200;
const PATIENCE: Duration = Duration::from_secs(30);
const REPLY_OCTETS_MAX: usize = 4096;
