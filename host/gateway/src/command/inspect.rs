//! `postgate inspect`: what a component is, what it wants, what its start takes, and what an operator would write for it.

mod proposal;

use std::collections::BTreeSet;
use std::path::Path;

use postgate_plugin::{Anatomy, Cause, Hook, HookSet, Limits, LoadError, Source};
use serde::Serialize;

use self::proposal::Proposal;
use super::table::{grouped, table};
use super::{Exit, Failure, Format, to_json};
use crate::config::{Config, Machine};
use crate::rehearsal::setting::cache;
use crate::site::{Trial, TrialError, try_plugin};

pub(super) fn inspect(file: &Path, format: Format) -> Result<String, Failure> {
    let anatomy = postgate_plugin::anatomy(file).map_err(|error| failure(&error))?;
    // A component that could never be a plugin is refused, with what is wrong with it.
    let hooks = postgate_plugin::hooks(&anatomy).map_err(|error| failure(&error))?;
    for import in &anatomy.imports {
        postgate_plugin::source(import).map_err(|error| failure(&error))?;
    }
    let absolute = std::path::absolute(file)
        .map_err(|error| Failure::new(Exit::System, format!("{} has no place: {error}", file.display())))?;
    let begin = || Proposal::new(&absolute, &anatomy);
    let trial = match tried(&begin()) {
        // With more of it, it may: then the operator learns how much.
        Err(TrialError::Load(LoadError::Start { cause: Cause::Memory | Cause::Fuel, .. })) => {
            tried(&begin().with_the_most())
        }
        other => other,
    };
    let trial = trial.map_err(|error| match error {
        TrialError::Load(error) => failure(&error),
        TrialError::System(why) => Failure::new(Exit::System, format!("{} can't be tried: {why}", file.display())),
    })?;
    let proposal = begin().after(trial.start, &trial.settings);
    let findings = Findings::new(file, &anatomy, hooks, &trial, proposal.text());
    match format {
        Format::Text => Ok(findings.text()),
        Format::Json => to_json(&findings),
    }
}

/// Starts it with what is proposed, and with nothing else.
fn tried(proposal: &Proposal) -> Result<Trial, TrialError> {
    let system = |error: std::io::Error| TrialError::System(error.to_string());
    let folder = tempfile::tempdir().map_err(system)?;
    let text = format!(
        "[listener.trial]\nbind = \"127.0.0.1:0\"\nchain = \"trial\"\n[chain.trial]\nplugins = [{name:?}]\n{table}",
        name = proposal.name,
        table = proposal.text()
    );
    let overrides = [("data-dir", folder.path()), ("cache-dir", &cache())]
        .map(|(key, path)| format!("{key}={:?}", path.display().to_string()));
    let machine = Machine { hostname: "mx.example.org".to_owned(), cores: 1 };
    let config = Config::parse(&folder.path().join("trial.toml"), text, &overrides, &machine);
    let config = config.map_err(|problems| TrialError::System(problems.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(system)?;
    runtime.block_on(try_plugin(&config, &proposal.name))
}

pub(super) fn failure(error: &LoadError) -> Failure {
    let exit = if matches!(error, LoadError::Read { .. }) { Exit::NoInput } else { Exit::Data };
    Failure::new(exit, crate::site::chained(error))
}

/// What is told about a component.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Findings {
    file: String,
    size: usize,
    sha256: String,
    /// The versions of `postgate:mail` that it was built against: one, as a rule.
    contract: Vec<String>,
    hooks: Vec<&'static str>,
    /// All that it exports, by full name: also `setup`, and a handler of HTTP requests, which are no hooks.
    exports: Vec<String>,
    imports: Vec<Import>,
    /// As they are written in the configuration.
    grants: Vec<&'static str>,
    languages: Vec<String>,
    producers: Vec<Producer>,
    start: Start,
    /// A backtrace has names of functions.
    function_names: bool,
    /// In `postgate test` a backtrace has lines of source code, too.
    debug_information: bool,
    /// What an operator would write.
    configuration: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Import {
    name: String,
    source: ImportSource,
    /// What it allows.
    meaning: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum ImportSource {
    Context,
    Wasi,
    Service,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Producer {
    field: String,
    name: String,
    version: String,
}

/// What the first instance has taken until it could be called.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Start {
    memory: usize,
    fuel: u64,
    microseconds: u128,
    within_default_limits: bool,
}

impl Findings {
    fn new(file: &Path, anatomy: &Anatomy, hooks: HookSet, trial: &Trial, configuration: String) -> Self {
        let default = Limits::default();
        let mut grants = Vec::new();
        // What nobody offers has been refused.
        let sources = anatomy.imports.iter().filter_map(|name| Some((name, postgate_plugin::source(name).ok()?)));
        let imports = sources.map(|(name, source)| {
            let (source, meaning) = match source {
                Source::Context => (ImportSource::Context, "the current call".to_owned()),
                Source::Wasi => (ImportSource::Wasi, "WASI, without access to anything".to_owned()),
                Source::Service(service) => {
                    if !grants.contains(&service.example) {
                        grants.push(service.example);
                    }
                    (ImportSource::Service, format!("grant {}: {}", service.name, service.summary))
                }
            };
            Import { name: name.clone(), source, meaning }
        });
        let mut imports: Vec<Import> = imports.collect();
        imports.sort_by(|a, b| (a.source as u8, &a.name).cmp(&(b.source as u8, &b.name)));
        let producers = anatomy.producers.iter();
        Self {
            file: file.display().to_string(),
            size: anatomy.size,
            sha256: anatomy.sha256.to_string(),
            contract: contract(anatomy),
            hooks: hooks.iter().map(Hook::name).collect(),
            exports: anatomy.exports.clone(),
            imports,
            grants,
            languages: languages(anatomy),
            producers: producers
                .map(|producer| Producer {
                    field: producer.field.clone(),
                    name: producer.name.clone(),
                    version: producer.version.clone(),
                })
                .collect(),
            start: Start {
                memory: trial.start.memory_bytes,
                fuel: trial.start.fuel,
                microseconds: trial.start.time.as_micros(),
                within_default_limits: trial.start.memory_bytes <= default.memory_bytes
                    && trial.start.fuel <= default.fuel,
            },
            function_names: anatomy.has_function_names,
            debug_information: anatomy.has_debug_information,
            configuration,
        }
    }

    fn text(&self) -> String {
        let mut text = format!("{}\n", self.file);
        text += &table(&self.facts().map(|(name, fact)| [name.to_owned(), fact]), 2);
        // Names are the maker's, who may have written anything.
        let shown = |name: &str| name.escape_debug().to_string();
        let exports = self.exports.iter().map(|name| [shown(name)]);
        text += &section("exports", &exports.collect::<Vec<_>>());
        let imports = self.imports.iter().map(|import| [shown(&import.name), import.meaning.clone()]);
        text += &section("imports", &imports.collect::<Vec<_>>());
        let producers = self.producers.iter();
        let producers =
            producers.map(|producer| [&producer.field, &producer.name, &producer.version].map(|part| shown(part)));
        text += &section("made with", &producers.collect::<Vec<_>>());
        text + "\nconfiguration\n\n" + &self.configuration
    }

    fn facts(&self) -> [(&'static str, String); 8] {
        let octets = |n: usize| format!("{} octets", grouped(u64::try_from(n).unwrap_or(u64::MAX)));
        let or_none = |list: String, none: &str| if list.is_empty() { none.to_owned() } else { list };
        let grants = match self.grants.as_slice() {
            [] => "none".to_owned(),
            grants => format!("grants = [{}]", grants.join(", ")),
        };
        let start = &self.start;
        let bound = if start.within_default_limits { "" } else { "; more than the default limits allow" };
        let milliseconds = start.microseconds as f64 / 1000.0;
        let took =
            format!("{} of memory, {} of fuel, {milliseconds:.1} ms{bound}", octets(start.memory), grouped(start.fuel));
        let backtrace = match (self.function_names, self.debug_information) {
            (true, true) => "functions, and in `postgate test` lines of source code",
            (true, false) => "functions; for lines of source code build it with debug information",
            (false, true) => "lines of source code in `postgate test`, functions without names",
            (false, false) => "no names: it was stripped",
        };
        [
            ("size", octets(self.size)),
            ("sha256", self.sha256.clone()),
            ("contract", or_none(self.contract.join(" "), "none: it answers HTTP requests")),
            ("hooks", or_none(self.hooks.join(" "), "none")),
            ("needs", grants),
            ("language", or_none(self.languages.join(", ").escape_debug().to_string(), "it does not say")),
            ("start", took),
            ("traps tell", backtrace.to_owned()),
        ]
    }
}

/// The languages that the makers tell of, each once; a toolchain tells of its runtime's as well.
fn languages(anatomy: &Anatomy) -> Vec<String> {
    let mut languages: Vec<String> = Vec::new();
    for producer in anatomy.producers.iter().filter(|producer| producer.field == "language") {
        if !languages.contains(&producer.name) {
            languages.push(producer.name.clone());
        }
    }
    languages
}

/// The package and version of what it exports and imports of ours.
fn contract(anatomy: &Anatomy) -> Vec<String> {
    let names = anatomy.exports.iter().chain(&anatomy.imports);
    let packages = names.filter_map(|name| {
        let (package, interface) = name.split_once('/')?;
        let (_, version) = interface.split_once('@')?;
        (package == "postgate:mail").then(|| format!("{package}@{}", version.escape_debug()))
    });
    packages.collect::<BTreeSet<_>>().into_iter().collect()
}

fn section<const N: usize>(title: &str, rows: &[[String; N]]) -> String {
    if rows.is_empty() { String::new() } else { format!("\n{title}\n{}", table(rows, 2)) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn anatomy(imports: &[&str], exports: &[&str]) -> Anatomy {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let producer = |field: &str, name: &str, version: &str| postgate_plugin::Producer {
            field: field.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
        };
        Anatomy {
            imports: owned(imports),
            exports: owned(exports),
            producers: vec![producer("language", "Rust", ""), producer("sdk", "\u{1b}[2J", "1")],
            size: 98_304,
            sha256: postgate_plugin::Hash([0xab; 32]),
            has_function_names: true,
            has_debug_information: false,
        }
    }

    #[test]
    fn what_is_told() {
        let anatomy = anatomy(
            &[
                "wasi:io/streams@0.2.6",
                "postgate:mail/maildir@0.1.0",
                "postgate:mail/session@0.1.0",
                "postgate:mail/log@0.1.1",
            ],
            &[
                "postgate:mail/deliver@0.1.0",
                "postgate:mail/recipient@0.1.0",
                "postgate:mail/setup@0.1.0",
                "wasi:http/incoming-handler@0.2.6",
            ],
        );
        let hooks = postgate_plugin::hooks(&anatomy).unwrap();
        let start = postgate_plugin::Start { fuel: 1234, memory_bytes: 1 << 20, time: Duration::from_micros(310) };
        let trial = Trial { start, settings: Vec::new() };
        let findings = Findings::new(Path::new("x.wasm"), &anatomy, hooks, &trial, "[plugin.x]\n".to_owned());
        let expected = "x.wasm
  size        98,304 octets
  sha256      abababababababababababababababababababababababababababababababab
  contract    postgate:mail@0.1.0 postgate:mail@0.1.1
  hooks       recipient deliver
  needs       grants = [{ maildir = \"mail\" }, \"log\"]
  language    Rust
  start       1,048,576 octets of memory, 1,234 of fuel, 0.3 ms
  traps tell  functions; for lines of source code build it with debug information

exports
  postgate:mail/deliver@0.1.0
  postgate:mail/recipient@0.1.0
  postgate:mail/setup@0.1.0
  wasi:http/incoming-handler@0.2.6

imports
  postgate:mail/session@0.1.0  the current call
  wasi:io/streams@0.2.6        WASI, without access to anything
  postgate:mail/log@0.1.1      grant log: write lines into the gateway's log
  postgate:mail/maildir@0.1.0  grant maildir: deliver into Maildirs below one directory

made with
  language  Rust
  sdk       \\u{1b}[2J  1

configuration

[plugin.x]
";
        assert_eq!(findings.text(), expected);
        let json: serde_json::Value = serde_json::from_str(&to_json(&findings).unwrap()).unwrap();
        assert_eq!(json["hooks"], serde_json::json!(["recipient", "deliver"]));
        assert_eq!(json["imports"][3]["source"], "service");
        assert_eq!(
            json["start"],
            serde_json::json!({ "memory": 1 << 20, "fuel": 1234, "microseconds": 310, "within-default-limits": true })
        );
        assert_eq!(json["languages"], serde_json::json!(["Rust"]));
    }

    #[test]
    fn what_is_no_plugin() {
        let missing = inspect(Path::new("/nonexistent.wasm"), Format::Text).unwrap_err();
        assert_eq!(missing.exit, Exit::NoInput);
        assert!(missing.text.starts_with("/nonexistent.wasm can't be read: No such file"), "{}", missing.text);
        let text =
            inspect(Path::new(file!().rsplit_once("src").map_or("", |_| "Cargo.toml")), Format::Text).unwrap_err();
        assert_eq!(text.exit, Exit::Data);
        let error = postgate_plugin::hooks(&anatomy(&[], &["postgate:mail/recipient@9.0.0"])).unwrap_err();
        assert_eq!(failure(&error).exit, Exit::Data);
    }
}
