//! `postgate inspect`: what a component is, and what it wants.

use std::path::Path;

use postgate_plugin::{Anatomy, Hook, HookSet, LoadError, Source};
use serde::Serialize;

use super::table::{grouped, table};
use super::{Exit, Failure, Format, to_json};

pub(super) fn inspect(file: &Path, format: Format) -> Result<String, Failure> {
    let anatomy = postgate_plugin::anatomy(file).map_err(|error| failure(&error))?;
    // A component that could never be a plugin is refused, with what is wrong with it.
    let hooks = postgate_plugin::hooks(&anatomy).map_err(|error| failure(&error))?;
    let findings = Findings::new(file, &anatomy, hooks);
    match format {
        Format::Text => Ok(findings.text()),
        Format::Json => to_json(&findings),
    }
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
    hooks: Vec<&'static str>,
    /// All that it exports, by full name: also `setup`, and a handler of HTTP requests, which are no hooks.
    exports: Vec<String>,
    imports: Vec<Import>,
    /// As they are written in the configuration.
    grants: Vec<&'static str>,
    producers: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Import {
    name: String,
    source: ImportSource,
    /// What it allows, or why it can't be had.
    meaning: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum ImportSource {
    Context,
    Wasi,
    Service,
    Unknown,
}

impl Findings {
    fn new(file: &Path, anatomy: &Anatomy, hooks: HookSet) -> Self {
        let mut grants = Vec::new();
        let imports = anatomy.imports.iter().map(|name| {
            let (source, meaning) = match postgate_plugin::source(name) {
                Ok(Source::Context) => (ImportSource::Context, "the current call".to_owned()),
                Ok(Source::Wasi) => (ImportSource::Wasi, "WASI, without access to anything".to_owned()),
                Ok(Source::Service(service)) => {
                    grants.push(service.example);
                    (ImportSource::Service, format!("grant {}: {}", service.name, service.summary))
                }
                Err(_) => (ImportSource::Unknown, "NOT OFFERED by this version of Postgate".to_owned()),
            };
            Import { name: name.clone(), source, meaning }
        });
        let mut imports: Vec<Import> = imports.collect();
        imports.sort_by(|a, b| (a.source as u8, &a.name).cmp(&(b.source as u8, &b.name)));
        Self {
            file: file.display().to_string(),
            size: anatomy.size,
            sha256: anatomy.sha256.to_string(),
            hooks: hooks.iter().map(Hook::name).collect(),
            exports: anatomy.exports.clone(),
            imports,
            grants,
            producers: anatomy.producers.clone(),
        }
    }

    fn text(&self) -> String {
        let octets = format!("{} octets", grouped(u64::try_from(self.size).unwrap_or(u64::MAX)));
        let grants = match self.grants.as_slice() {
            [] => "none".to_owned(),
            grants => format!("grants = [{}]", grants.join(", ")),
        };
        let facts =
            [("size", octets), ("sha256", self.sha256.clone()), ("hooks", self.hooks.join(" ")), ("needs", grants)];
        let imports =
            self.imports.iter().map(|import| [import.name.escape_debug().to_string(), import.meaning.clone()]);
        let mut text = format!("{}\n", self.file);
        text += &table(&facts.map(|(name, fact)| [name.to_owned(), fact]), 2);
        // Names are the maker's.
        let exports = self.exports.iter().map(|name| [name.escape_debug().to_string()]);
        text += &section("exports", &exports.collect::<Vec<_>>());
        text += &section("imports", &imports.collect::<Vec<_>>());
        // The component's maker wrote this, and may have written anything.
        let producers = self.producers.iter().map(|line| [line.escape_debug().to_string()]);
        text += &section("made with", &producers.collect::<Vec<_>>());
        text
    }
}

fn section<const N: usize>(title: &str, rows: &[[String; N]]) -> String {
    if rows.is_empty() { String::new() } else { format!("\n{title}\n{}", table(rows, 2)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anatomy(imports: &[&str], exports: &[&str]) -> Anatomy {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Anatomy {
            imports: owned(imports),
            exports: owned(exports),
            producers: vec!["language: Rust".to_owned(), "\u{1b}[2J".to_owned()],
            size: 98_304,
            sha256: postgate_plugin::Hash([0xab; 32]),
        }
    }

    #[test]
    fn what_is_told() {
        let anatomy = anatomy(
            &[
                "wasi:io/streams@0.2.6",
                "postgate:mail/maildir@0.1.0",
                "postgate:mail/session@0.1.0",
                "wasi:http/outgoing-handler@0.3.0",
                "postgate:mail/log@0.1.0",
            ],
            &[
                "postgate:mail/deliver@0.1.0",
                "postgate:mail/recipient@0.1.0",
                "postgate:mail/setup@0.1.0",
                "wasi:http/incoming-handler@0.2.6",
            ],
        );
        let hooks = postgate_plugin::hooks(&anatomy).unwrap();
        let findings = Findings::new(Path::new("x.wasm"), &anatomy, hooks);
        let expected = "x.wasm
  size    98,304 octets
  sha256  abababababababababababababababababababababababababababababababab
  hooks   recipient deliver
  needs   grants = [{ maildir = \"mail\" }, \"log\"]

exports
  postgate:mail/deliver@0.1.0
  postgate:mail/recipient@0.1.0
  postgate:mail/setup@0.1.0
  wasi:http/incoming-handler@0.2.6

imports
  postgate:mail/session@0.1.0       the current call
  wasi:io/streams@0.2.6             WASI, without access to anything
  postgate:mail/log@0.1.0           grant log: write lines into the gateway's log
  postgate:mail/maildir@0.1.0       grant maildir: deliver into Maildirs below one directory
  wasi:http/outgoing-handler@0.3.0  NOT OFFERED by this version of Postgate

made with
  language: Rust
  \\u{1b}[2J
";
        assert_eq!(findings.text(), expected);
        let json: serde_json::Value = serde_json::from_str(&to_json(&findings).unwrap()).unwrap();
        assert_eq!(json["hooks"], serde_json::json!(["recipient", "deliver"]));
        assert_eq!(json["imports"][4]["source"], "unknown");
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
