//! The conformance kit: the plugin of `tests/conformance` in each language says what its dialogues say, and `plugins/languages.md` tells what
//! works where. `cargo xtask test` has built it; with `POSTGATE_WRITE_TABLES=1` that page is written anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use postgate_plugin::Hook;
use serde_json::Value;

use crate::support::process::{Ended, binary};
use crate::support::{memory, root, target};

/// A language, its toolchain, and what was played with its plugin.
struct Language {
    name: &'static str,
    title: &'static str,
    /// What the tests use.
    toolchain: &'static str,
    /// How the component comes about.
    built: &'static str,
    played: OnceLock<BTreeMap<String, Played>>,
}

/// A dialogue that was played.
struct Played {
    ok: bool,
    calls: Vec<Value>,
    /// All that was told of it.
    text: String,
}

const fn language(name: &'static str, title: &'static str, toolchain: &'static str, built: &'static str) -> Language {
    Language { name, title, toolchain, built, played: OnceLock::new() }
}

static LANGUAGES: [Language; 7] = [
    language("rust", "Rust", "Rust 1.95 with the target `wasm32-wasip2`", "cargo, with the crate `postgate-sdk`"),
    language("python", "Python", "componentize-py 0.25.1 (CPython 3.14)", "componentize-py"),
    language("javascript", "JavaScript", "componentize-qjs 0.4.5 (QuickJS)", "componentize-qjs"),
    language("go", "Go", "Go 1.27.3", "go, bindings of wit-bindgen"),
    language("c", "C", "Zig 0.17.1 (clang, C23)", "zig cc, bindings of wit-bindgen"),
    language("cpp", "C++", "Zig 0.17.1 (clang, C++23)", "zig c++, bindings of wit-bindgen"),
    language("zig", "Zig", "Zig 0.17.1", "zig, bindings of wit-bindgen for C"),
];

/// What does not work, and why: language, dialogue, reason.
const EXCEPTIONS: &[(&str, &str, &str)] =
    &[("javascript", "numbers", IN_QUICKJS), ("javascript", "numbers-chunk", IN_QUICKJS)];

const IN_QUICKJS: &str =
    "in the bindings for QuickJS a number of 64 bits is a `number`, exact up to 2^53, and beyond that it is rounded";

impl Language {
    fn component(&self) -> PathBuf {
        let component = target().join("projects").join(self.name).join("conformance/conformance.wasm");
        assert!(component.exists(), "{} is not built: run the tests by `cargo xtask test`", component.display());
        component
    }

    /// The suite, by dialogue; played once.
    fn played(&self) -> &BTreeMap<String, Played> {
        self.played.get_or_init(|| {
            let component = self.component().display().to_string();
            let ended = postgate(&["test", &component, "--conformance", "--json"]);
            assert!(matches!(ended.code, Some(0 | 1)), "{}: {}{}", self.name, ended.stdout, ended.stderr);
            let lines = ended.stdout.lines().map(|line| (line, serde_json::from_str(line).expect("an object a line")));
            lines.filter_map(|(line, object): (_, Value)| Some((dialogue(&object)?, played(line, &object)))).collect()
        })
    }

    fn exception(&self, dialogue: &str) -> Option<&'static str> {
        EXCEPTIONS.iter().find(|(name, which, _)| (*name, *which) == (self.name, dialogue)).map(|(_, _, why)| *why)
    }

    /// Everything goes as written but for the exceptions, which must be some.
    fn conforms(&self) {
        let wrong = self.played().iter().filter(|(name, played)| played.ok == self.exception(name).is_some());
        let wrong: Vec<String> = wrong.map(|(name, played)| format!("{name}: {}", played.text)).collect();
        assert!(wrong.is_empty(), "{}: {}", self.name, wrong.join("\n"));
        self.names_the_function();
        self.is_bounded();
        self.has_settings();
    }

    /// The failure of a trap says where it was.
    fn names_the_function(&self) {
        let text = &self.played()["trap"].text;
        let names = ["told_to_trap", "toldToTrap"];
        assert!(names.iter().any(|name| text.contains(name)), "{}: {text}", self.name);
    }

    /// What a plugin has of a message of 25 MB at a time.
    fn is_bounded(&self) {
        let calls = self.played()["big-message"].calls.iter().filter(|call| call["hook"] == "message");
        let memory = calls.filter_map(|call| call["memory-octets"].as_u64()).max().expect("a call");
        assert!(memory < MEMORY_MAX, "{}: {memory} octets", self.name);
    }

    /// The problems of `setup` stop the start, with their words.
    fn has_settings(&self) {
        let folder = memory();
        let config = format!(
            "hostname = \"mx.example.org\"\n[listener.test]\nbind = \"127.0.0.1:25\"\nchain = \"test\"\n[chain.test]\nplugins = [\"conformance\"]\n\
             [plugin.conformance]\ncomponent = {:?}\ngrants = [\"log\", \"config\", \"key-value\", \"sqlite\"]\n[plugin.conformance.config]\nsetup = \"wrong\"\n",
            self.component().display().to_string()
        );
        let file = folder.path().join("postgate.toml");
        fs::write(&file, config).expect("a file");
        let dialogue = folder.path().join("a.dlg");
        fs::write(&dialogue, "S: 220 *\n").expect("a file");
        let [file, dialogue] = [file, dialogue].map(|path| path.display().to_string());
        let ended = postgate(&["test", "--config", &file, &dialogue]);
        assert_eq!(ended.code, Some(78), "{}: {}{}", self.name, ended.stdout, ended.stderr);
        for told in ["must not be wrong", "nor the table: Grüße", "setup = \"wrong\""] {
            assert!(ended.stderr.contains(told), "{}: {}", self.name, ended.stderr);
        }
    }

    /// The hooks that have answered in dialogues that went as written.
    fn hooks(&self) -> BTreeSet<&str> {
        let calls = self.played().values().filter(|played| played.ok).flat_map(|played| &played.calls);
        calls.filter(|call| call.get("failure").is_none()).filter_map(|call| call["hook"].as_str()).collect()
    }
}

fn postgate(arguments: &[&str]) -> Ended {
    let mut command = Command::new(binary());
    command.args(arguments).env("XDG_CACHE_HOME", target().join("tmp/rehearsal"));
    command.output().expect("the binary runs").into()
}

/// The name of a dialogue; none of the last line, which is about all of them.
fn dialogue(object: &Value) -> Option<String> {
    let path = object["dialogue"].as_str()?;
    Some(path.trim_start_matches("conformance/").trim_end_matches(".dlg").to_owned())
}

fn played(line: &str, object: &Value) -> Played {
    let calls = object["calls"].as_array().cloned().unwrap_or_default();
    Played { ok: object["ok"] == true, calls, text: line.to_owned() }
}

fn conforms(name: &str) {
    LANGUAGES.iter().find(|language| language.name == name).expect("a language").conforms();
}

#[test]
fn in_rust() {
    conforms("rust");
}

#[test]
fn in_python() {
    conforms("python");
}

#[test]
fn in_javascript() {
    conforms("javascript");
}

#[test]
fn in_go() {
    conforms("go");
}

#[test]
fn in_c() {
    conforms("c");
}

#[test]
fn in_cpp() {
    conforms("cpp");
}

#[test]
fn in_zig() {
    conforms("zig");
}

/// What a dialogue is about: its first line.
fn matter(dialogue: &str) -> String {
    let path = root().join("tests/conformance/suite").join(format!("{dialogue}.dlg"));
    let text = fs::read_to_string(path).expect("a dialogue of the suite");
    text.lines().next().and_then(|line| line.strip_prefix("# ")).expect("a comment comes first").to_owned()
}

/// A table of what works in which language: the cells of a row, and a note for each that does not.
fn table(first: &str, rows: &[(String, Vec<Option<usize>>)]) -> String {
    let titles: Vec<&str> = LANGUAGES.iter().map(|language| language.title).collect();
    let mut text = format!("| {first} | {} |\n|---|{}\n", titles.join(" | "), ":-:|".repeat(titles.len()));
    for (name, cells) in rows {
        let cell = |note: &Option<usize>| note.map_or("✓".to_owned(), |note| format!("({note})"));
        text += &format!("| {name} | {} |\n", cells.iter().map(cell).collect::<Vec<_>>().join(" | "));
    }
    text
}

/// The page as it must be.
fn page() -> String {
    let mut notes: Vec<&str> = EXCEPTIONS.iter().map(|(_, _, why)| *why).collect();
    notes.dedup();
    let note = |why: &str| notes.iter().position(|note| *note == why).map(|at| at + 1);
    let hooks: Vec<(String, Vec<Option<usize>>)> = Hook::ALL
        .iter()
        .map(|hook| {
            let works = |language: &Language| (!language.hooks().contains(hook.name())).then_some(0);
            (format!("`{}`", hook.name()), LANGUAGES.iter().map(works).collect())
        })
        .collect();
    let matters: Vec<(String, Vec<Option<usize>>)> = LANGUAGES[0]
        .played()
        .keys()
        .map(|dialogue| {
            let cell = |language: &Language| language.exception(dialogue).and_then(note);
            let name = format!("[`{dialogue}`](../tests/conformance/suite/{dialogue}.dlg): {}", matter(dialogue));
            (name, LANGUAGES.iter().map(cell).collect())
        })
        .collect();
    let toolchains: String = LANGUAGES
        .iter()
        .map(|language| {
            format!(
                "| {} | {} | {} | [`tests/conformance/{}`](../tests/conformance/{}) |\n",
                language.title, language.toolchain, language.built, language.name, language.name
            )
        })
        .collect();
    let notes: String = notes.iter().enumerate().map(|(at, why)| format!("({}) {why}.\n", at + 1)).collect();
    format!("{HEAD}{toolchains}\n{HOOKS}{}\n{MATTERS}{}\n{notes}", table("hook", &hooks), table("dialogue", &matters))
}

#[test]
fn the_page_tells_what_works() {
    let path = root().join("plugins/languages.md");
    let page = page();
    if std::env::var_os("POSTGATE_WRITE_TABLES").is_some_and(|write| write == "1") {
        fs::write(&path, &page).expect("a file");
    }
    let written = fs::read_to_string(&path).expect("the page");
    assert_eq!(written, page, "POSTGATE_WRITE_TABLES=1 writes it");
}

/// A plugin that keeps windows of 64 KiB of it has no reason for more, whatever its run-time library needs itself.
const MEMORY_MAX: u64 = 32 << 20;

const HEAD: &str = "\
# What works in which language

Made by `tests/conformance.rs`, which plays the same dialogues with a plugin in each language
([the conformance kit](../tests/conformance/README.md)), begun by `postgate new` and built by `postgate build`.

| language | toolchain | how the component is made | the plugin |
|---|---|---|---|
";

const HOOKS: &str = "\
In all of them the hook `setup` works too, the failure of a trap names the function where it was, and a message of 25 MB that is read in
windows of 64 KiB takes less than 32 MiB of memory.

## Hooks

";

const MATTERS: &str = "\
## Dialogues

✓ is: each line of the dialogue as it is written.

";
