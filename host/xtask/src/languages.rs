//! `bench languages`: what a plugin costs in each language, with the same component that the conformance kit is played with.
//!
//! `postgate test --json` is the meter: it says the time, the fuel and the memory of each call. The instance is made before the first call, which
//! has its own time; of the many that follow the median is shown.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::projects;
use crate::step;
use crate::workspace::Workspace;

/// What was measured of one language.
struct Figures {
    component_octets: u64,
    compile_ms: f64,
    artefact_octets: u64,
    first_us: f64,
    warm_us: f64,
    warm_fuel: u64,
    begin_octets: u64,
    read_octets: u64,
}

/// Measures all languages, and prints a table.
pub(crate) fn languages(workspace: &Workspace, gateway: &Path, calls: u32) -> Result<()> {
    projects::build_projects(workspace, gateway)?;
    let folder = env::temp_dir().join(format!("postgate-bench-languages-{}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| format!("{} can't be made", folder.display()))?;
    step::say(HEAD);
    let measured: Result<()> = projects::languages().try_for_each(|language| {
        let figures = measure(&projects::conformance(workspace, language), gateway, &folder.join(language), calls)?;
        step::say(&figures.row(language));
        Ok(())
    });
    fs::remove_dir_all(&folder).with_context(|| format!("{} can't be removed", folder.display()))?;
    measured
}

impl Figures {
    fn row(&self, language: &str) -> String {
        format!(
            "{language:<10}  {:>9}  {:>10.0}  {:>8}  {:>8.0}  {:>7.1}  {:>9}  {:>9}  {:>9}",
            self.component_octets / 1000,
            self.compile_ms,
            self.artefact_octets / 1000,
            self.first_us,
            self.warm_us,
            self.warm_fuel,
            self.begin_octets >> 10,
            self.read_octets >> 10,
        )
    }
}

fn measure(component: &Path, gateway: &Path, folder: &Path, calls: u32) -> Result<Figures> {
    let cache = folder.join("cache");
    fs::create_dir_all(&cache).with_context(|| format!("{} can't be made", cache.display()))?;
    let dialogue = folder.join("calls.dlg");
    let mut text = "set: limits.idle-commands=10000000\nS: 220 *\nC: EHLO client.example.com\nS+ 250\n".to_owned();
    for _ in 0..calls {
        text += "C: XASK echo tea\nS: 250 *\n";
    }
    text += MESSAGE;
    fs::write(&dialogue, text).with_context(|| format!("{} can't be written", dialogue.display()))?;
    let (cold_ms, _) = play(component, gateway, &dialogue, &cache)?;
    let (cached_ms, played) = play(component, gateway, &dialogue, &cache)?;
    let played = played["calls"].as_array().context("no calls were told of")?;
    let of = |hook: &str| played.iter().filter(move |call| call["hook"] == hook).collect::<Vec<_>>();
    let time_us = |call: &Value| call["time-ms"].as_f64().unwrap_or_default() * 1000.0;
    let (first, warm, read) = (of("connect"), of("command"), of("message"));
    let first = first.first().context("the plugin was not asked")?;
    let mut times: Vec<f64> = warm.iter().map(|call| time_us(call)).collect();
    times.sort_by(f64::total_cmp);
    let octets = |call: Option<&&Value>| call.and_then(|call| call["memory-octets"].as_u64()).unwrap_or_default();
    Ok(Figures {
        component_octets: size(component)?,
        compile_ms: (cold_ms - cached_ms).max(0.0),
        artefact_octets: artefact(&cache)?,
        first_us: time_us(first),
        warm_us: times.get(times.len() / 2).copied().context("no calls")?,
        warm_fuel: warm.last().and_then(|call| call["fuel"].as_u64()).unwrap_or_default(),
        begin_octets: octets(Some(first)),
        read_octets: octets(read.first()),
    })
}

/// Plays a dialogue, and answers how long that took with all that is told of it.
fn play(component: &Path, gateway: &Path, dialogue: &Path, cache: &Path) -> Result<(f64, Value)> {
    let begun = Instant::now();
    let output = Command::new(gateway)
        .args(["test", "--json"])
        .args([component, dialogue])
        .env("XDG_CACHE_HOME", cache)
        .output()
        .with_context(|| format!("{} does not run", gateway.display()))?;
    let time_ms = begun.elapsed().as_secs_f64() * 1000.0;
    let told = String::from_utf8_lossy(&output.stdout);
    let Some(line) = told.lines().next() else {
        bail!("{} can't be played: {}", component.display(), String::from_utf8_lossy(&output.stderr));
    };
    let played: Value = serde_json::from_str(line).context("what was told is not JSON")?;
    if !output.status.success() {
        bail!("{} did not do as it should: {}", component.display(), played["difference"]);
    }
    Ok((time_ms, played))
}

fn size(file: &Path) -> Result<u64> {
    Ok(fs::metadata(file).with_context(|| format!("{} can't be read", file.display()))?.len())
}

/// The largest file of the cache.
fn artefact(cache: &Path) -> Result<u64> {
    let mut largest = 0;
    let mut folders: Vec<PathBuf> = vec![cache.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("{} can't be read", folder.display()))? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                largest = largest.max(metadata.len());
            }
        }
    }
    Ok(largest)
}

/// A message of some 6 MB that the plugin reads to its end.
const MESSAGE: &str = "\
C: MAIL FROM:<alice@example.com>
S: 250 *
C: RCPT TO:<bob@example.org>
S: 250 *
C: DATA
S: 354 *
C: X-Do: sum
C:
C* 100000 A line of sixty-four octets, counting what ends it: yes, it is.\\r\\n
C: .
S: 250 *
";

const HEAD: &str = "\
language    component  compile     artefact  first     warm     warm       memory     memory
            kB         ms (cold)   kB        call us   call us  call fuel  begin KiB  6 MB KiB";
