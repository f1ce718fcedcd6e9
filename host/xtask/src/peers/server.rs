//! A server that is measured: a child, ended by its number, on a free port of the loopback interface.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::cpu;
use super::placement::Placement;
use crate::tools;

/// A server that answers. Dropping it ends it.
pub(super) struct Server {
    child: Child,
    address: SocketAddr,
    ticks_per_second: u64,
}

/// When a server is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    /// It says its banner in clear.
    Banner,
    /// It takes connections; what it says is below TLS.
    Listens,
}

/// smtp-sink, which takes so many sessions at a time.
pub(super) fn sink(sessions: u32, directory: &Path, placement: &Placement) -> Result<Server> {
    let arguments = |address: SocketAddr| {
        let all = ["-4", "-m", &sessions.to_string(), "-h", "mx.example.org", &address.to_string(), "1024"];
        all.map(str::to_owned).to_vec()
    };
    let program = tools::postfix_program("smtp-sink")?;
    // It does not run as root.
    let nobody: &[&str] = if as_root() { &["--reuid=65534", "--regid=65534", "--clear-groups"] } else { &[] };
    attempts("smtp-sink", directory, Ready::Banner, |address| {
        let mut command = placement.server(nobody, &program);
        command.args(arguments(address));
        command
    })
}

/// Any other server.
pub(super) fn start(
    name: &str,
    program: &Path,
    ready: Ready,
    arguments: impl Fn(SocketAddr) -> Vec<String>,
    directory: &Path,
    placement: &Placement,
) -> Result<Server> {
    attempts(name, directory, ready, |address| {
        let mut command = placement.server(&[], program);
        command.args(arguments(address));
        command
    })
}

/// A port that is free now can be taken by the time the server wants it.
fn attempts(name: &str, directory: &Path, ready: Ready, command: impl Fn(SocketAddr) -> Command) -> Result<Server> {
    let log = directory.join(format!("{name}.log"));
    let mut last = None;
    for _ in 0..PORTS_TRIED {
        let address = free_address()?;
        match attempt(command(address), address, ready, &log) {
            Ok(server) => return Ok(server),
            Err(error) => last = Some(error),
        }
    }
    let said = tail(&log);
    let error = last.context("invariant: it was tried")?;
    Err(error.context(format!("{name} does not start; its last words:\n{said}\n")))
}

fn attempt(mut command: Command, address: SocketAddr, ready: Ready, log: &Path) -> Result<Server> {
    let ticks_per_second = cpu::ticks_per_second()?;
    let file = File::create(log).with_context(|| format!("{} can't be made", log.display()))?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
    let child = command.spawn().with_context(|| format!("{command:?} does not run"))?;
    let mut server = Server { child, address, ticks_per_second };
    server.wait(ready)?;
    Ok(server)
}

impl Server {
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its number: what holds it to a CPU has become it.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has used until now.
    pub(super) fn cpu(&self) -> Result<Duration> {
        cpu::tree_time(self.child.id(), self.ticks_per_second)
    }

    /// What it has used when it has nothing more to do; at the latest after a while.
    pub(super) fn settled_cpu(&self) -> Result<Duration> {
        let deadline = Instant::now() + SETTLING;
        let mut before = self.cpu()?;
        loop {
            thread::sleep(QUIET);
            let now = self.cpu()?;
            if now == before || Instant::now() > deadline {
                return Ok(now);
            }
            before = now;
        }
    }

    fn wait(&mut self, ready: Ready) -> Result<()> {
        let deadline = Instant::now() + START;
        loop {
            let answers = match ready {
                Ready::Banner => banner(self.address),
                Ready::Listens => TcpStream::connect_timeout(&self.address, PATIENCE).is_ok(),
            };
            if let Some(status) = self.child.try_wait().context("the server can't be waited for")? {
                bail!("the server has ended: {status}");
            }
            if answers {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("it does not answer within {} s", START.as_secs());
            }
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether an SMTP server answers there.
fn banner(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(&address, PATIENCE) else { return false };
    let mut code = [0; 3];
    let answers = stream.set_read_timeout(Some(PATIENCE)).is_ok() && stream.read_exact(&mut code).is_ok();
    // Whether it hears our farewell is its affair.
    let _ = stream.write_all(b"QUIT\r\n");
    answers && &code == b"220"
}

fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    listener.local_addr().context("no address")
}

fn as_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// The last lines of a log, which are not many.
fn tail(log: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(LAST_WORDS)..).unwrap_or_default().join("\n")
}

const PORTS_TRIED: u32 = 3;
const LAST_WORDS: usize = 12;
/// With an empty cache the gateway compiles its plugins first.
const START: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);
/// So long without a tick, and a server has nothing more to do.
const QUIET: Duration = Duration::from_millis(100);
const SETTLING: Duration = Duration::from_secs(5);
