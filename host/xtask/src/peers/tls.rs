//! `cargo xtask bench tls`: what a TLS 1.3 handshake costs the gateway, with EHLO and QUIT behind it, beside a server that does
//! nothing else (`tls/floor.rs`): the same library, configuration and certificate (ECDSA, P-256), built by the same profile.
//!
//! CPU time of the server's process is compared, in turns as `bench peers` does it. The load is a process of its own
//! (`tls/handshakes.rs`), on the other CPUs, and is not counted.

mod floor;
mod handshakes;

use std::fs;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use rcgen::CertifiedKey;

use super::figures::{Spread, ratio};
use super::server::{self, Ready, Server};
use super::{Bench, print};
use crate::step::say;
use crate::workspace::Workspace;

pub(crate) use floor::floor;
pub(crate) use handshakes::load;

/// Measures, and prints a table.
pub(crate) fn tls(workspace: &Workspace, turns: u32) -> Result<()> {
    let bench = Bench::prepare(workspace)?;
    workspace
        .cargo("building the floor")
        // Together, so that both are linked to the same build of their libraries.
        .args(["build", "--release", "--package", "postgate", "--package", "xtask"])
        .run()?;
    let own = workspace.target.join("release/xtask");
    let files = Files::write(&bench.scratch.0)?;
    let floor = files.floor(&own, &bench)?;
    let ours = files.gateway(&bench, "implicit", Ready::Listens)?;
    let mut table = String::from(
        "| handshake | floor, CPU µs | postgate, CPU µs | ratio (least..greatest) |\n|---|---:|---:|---:|\n",
    );
    for kind in ["full", "resumed"] {
        let seat = |server| Seat { server, bench: &bench, own: &own, files: &files, kind };
        table.push_str(&compare(&seat(&floor), &seat(&ours), turns)?);
    }
    print(&format!(
        "\nA TLS 1.3 handshake, EHLO, QUIT: medians of {turns} turns of {HANDSHAKES} each. {}\n\n{table}",
        bench.placement
    ))
}

/// The row of one kind of handshake.
fn compare(floor: &Seat<'_>, ours: &Seat<'_>, turns: u32) -> Result<String> {
    floor.turn()?;
    ours.turn()?;
    let (mut base, mut own, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut before = floor.turn()?;
    for turn in 1..=turns {
        let micros = ours.turn()?;
        let after = floor.turn()?;
        let ratio = ratio(micros, before, after).context("the floor took no time")?;
        say(&format!(
            "{}, turn {turn} of {turns}: {micros:.1} µs, between {before:.1} and {after:.1}: {ratio:.3}",
            ours.kind
        ));
        base.push(after);
        own.push(micros);
        ratios.push(ratio);
        before = after;
    }
    match (Spread::of(&base), Spread::of(&own), Spread::of(&ratios)) {
        (Some(base), Some(own), Some(ratios)) => {
            Ok(format!("| {} | {:.1} | {:.1} | {ratios} |\n", ours.kind, base.median, own.median))
        }
        (_, _, _) => bail!("there was no turn"),
    }
}

/// A server that takes part.
struct Seat<'bench> {
    server: &'bench Server,
    bench: &'bench Bench,
    /// This program, as it is measured.
    own: &'bench Path,
    files: &'bench Files,
    kind: &'static str,
}

impl Seat<'_> {
    /// One turn: µs of CPU a handshake.
    fn turn(&self) -> Result<f64> {
        let before = self.server.cpu()?;
        let mut command = self.bench.placement.load(TURN_SECONDS_MAX, self.own);
        command.args([LOAD, &self.server.address().to_string(), self.kind, &HANDSHAKES.to_string()]);
        let output = command.arg(&self.files.chain).output().with_context(|| format!("{command:?} does not run"))?;
        if !output.status.success() {
            bail!("the load failed: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
        }
        let used = self.server.settled_cpu()?.saturating_sub(before);
        Ok(used.as_secs_f64() * 1e6 / f64::from(HANDSHAKES))
    }
}

/// A certificate that signs itself, and its key.
struct Files {
    chain: PathBuf,
    key: PathBuf,
}

impl Files {
    fn write(directory: &Path) -> Result<Self> {
        let names = vec![NAME.to_owned(), "localhost".to_owned()];
        let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(names).context("no certificate")?;
        let files = Self { chain: directory.join("chain.pem"), key: directory.join("key.pem") };
        fs::write(&files.chain, cert.pem()).context("the certificate can't be written")?;
        fs::write(&files.key, signing_key.serialize_pem()).context("the key can't be written")?;
        Ok(files)
    }

    fn floor(&self, own: &Path, bench: &Bench) -> Result<Server> {
        let arguments = |address: SocketAddr| {
            let files = [&self.chain, &self.key].map(|file| file.display().to_string());
            [FLOOR.to_owned(), address.to_string()].into_iter().chain(files).collect()
        };
        server::start("floor", own, Ready::Listens, arguments, &bench.scratch.0, &bench.placement)
    }

    /// The gateway with TLS that begins so.
    fn gateway(&self, bench: &Bench, begin: &str, ready: Ready) -> Result<Server> {
        let config = bench.root.join("host/xtask/src/peers/postgate.toml");
        let (chain, key) = (self.chain.display(), self.key.display());
        let settings = [
            "listener.smtp.chain=two".to_owned(),
            format!("listener.smtp.tls={begin}"),
            format!("listener.smtp.certificates=[{{ chain = '{chain}', key = '{key}' }}]"),
        ];
        bench.gateway(&config, ready, &bench.scratch.0.join(begin), &settings, &bench.placement)
    }
}

/// Prints what testssl.sh finds about the gateway.
pub(crate) fn scan(workspace: &Workspace) -> Result<()> {
    let bench = Bench::prepare(workspace)?;
    let files = Files::write(&bench.scratch.0)?;
    let mut worst = Vec::new();
    for (begin, ready, options) in
        [("starttls", Ready::Banner, &["--starttls", "smtp"][..]), ("implicit", Ready::Listens, &[][..])]
    {
        let server = files.gateway(&bench, begin, ready)?;
        let report = bench.scratch.0.join(format!("{begin}.csv"));
        let mut command = Command::new("testssl");
        command.args(["--quiet", "--color", "0", "--warnings", "batch", "--csvfile"]).arg(&report).args(options);
        say(&format!("running testssl.sh, TLS {begin}"));
        // It ends with the number of its findings, not with 0.
        let status = command.arg(server.address().to_string()).stdin(Stdio::null()).status();
        status.context("testssl does not run")?;
        let mut text = String::new();
        fs::File::open(&report)
            .and_then(|mut file| file.read_to_string(&mut text))
            .context("testssl.sh has no report")?;
        worst.extend(findings(&text).map(|line| format!("{begin}: {line}")));
    }
    match &worst[..] {
        [] => print("\ntestssl.sh has found nothing of LOW or worse, beside the certificate, which signs itself.\n"),
        all => bail!("testssl.sh has found:\n{}", all.join("\n")),
    }
}

/// The lines of a report with a severity of LOW or worse, without those about the certificate.
fn findings(report: &str) -> impl Iterator<Item = &str> {
    report.lines().filter(|line| {
        let fields: Vec<&str> = line.split("\",\"").collect();
        let id = fields.first().unwrap_or(&"").trim_start_matches('"');
        let severity = fields.get(3).unwrap_or(&"");
        ["LOW", "MEDIUM", "HIGH", "CRITICAL"].contains(severity)
            && !ABOUT_CERTIFICATE.iter().any(|begin| id.starts_with(begin))
    })
}

/// Our own commands that only we give.
pub(crate) const FLOOR: &str = "bench-tls-floor";
pub(crate) const LOAD: &str = "bench-tls-load";

/// The server's name in its certificate.
const NAME: &str = "mx.example.org";
/// Of a turn.
const HANDSHAKES: u32 = 5000;
const TURN_SECONDS_MAX: u64 = 60;
/// Of testssl.sh's identifiers. A certificate for a trial signs itself, and nobody revokes it; the grade is capped for that.
const ABOUT_CERTIFICATE: [&str; 5] = ["cert", "DNS_CAA", "OCSP", "overall_grade", "grade_cap"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_what_is_low_or_worse() {
        let report = "\"id\",\"fqdn/ip\",\"port\",\"severity\",\"finding\",\"cve\",\"cwe\"\n\
                      \"SSLv2\",\"a/b\",\"1\",\"OK\",\"not offered\",\"\",\"\"\n\
                      \"BREACH\",\"a/b\",\"1\",\"MEDIUM\",\"x\",\"\",\"\"\n\
                      \"cert_chain_of_trust\",\"a/b\",\"1\",\"CRITICAL\",\"failed\",\"\",\"\"\n";
        let found: Vec<_> = findings(report).collect();
        assert!(matches!(found[..], [only] if only.starts_with("\"BREACH\"")), "{found:?}");
    }
}
