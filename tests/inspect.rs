//! `postgate inspect`: what it says of the shipped plugins, of plugins in every language, and of one that needs more than the default; and
//! that the table that it proposes is one that `check` accepts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use postgate_author::LANGUAGES;
use serde_json::Value;

use crate::support::made::World;
use crate::support::process::{Ended, binary};
use crate::support::{component, root, target};

fn command(arguments: &[&str]) -> Ended {
    let mut command = Command::new(binary());
    command.args(arguments).env("XDG_CACHE_HOME", target().join("tmp/rehearsal"));
    command.stdin(Stdio::null()).output().expect("the binary runs").into()
}

fn inspected(component: &Path) -> Value {
    let ended = command(&["inspect", &component.display().to_string(), "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    serde_json::from_str(&ended.stdout).expect("JSON")
}

/// What `check` says of a configuration with these tables and a chain of that plugin.
fn check(name: &str, tables: &str) -> Ended {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let path = folder.path().join("postgate.toml");
    let text = format!(
        "hostname = \"mx.example.org\"\ndata-dir = {:?}\ncache-dir = {:?}\nengine.instances = 16\n[listener.smtp]\nbind = \"127.0.0.1:0\"\nchain = \"main\"\n\
         [chain.main]\nplugins = [{name:?}]\n\n{tables}",
        folder.path().join("data"),
        target().join("tmp/compiled"),
    );
    fs::write(&path, text).expect("a file");
    command(&["check", "--config", &path.display().to_string()])
}

/// The plugins that are shipped: all folders but that of the SDK.
fn shipped() -> Vec<String> {
    let entries = fs::read_dir(root().join("plugins")).expect("the plugins").map(|entry| entry.expect("an entry"));
    let folders = entries.filter(|entry| entry.path().join("src/lib.rs").exists());
    let mut names: Vec<String> = folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name != "sdk");
    names.sort();
    assert!(names.len() >= 15, "{names:?}");
    names
}

/// The proposed table is accepted as it is; where the plugin wants settings of its own, `check` says of them what `inspect` has said, and
/// nothing else. Answers whether it wants any.
#[track_caller]
fn check_proposed(name: &str, found: &Value) -> bool {
    let tables = found["configuration"].as_str().expect("a text");
    let ended = check(name, tables);
    let Some((_, wanted)) = tables.split_once(".config]:\n") else {
        assert_eq!(ended.code, Some(0), "{name}: {ended:#?}\n{tables}");
        return false;
    };
    assert_eq!(ended.code, Some(78), "{name}: {ended:#?}\n{tables}");
    let wanted: Vec<&str> = wanted.lines().map_while(|line| line.strip_prefix("# ")).collect();
    for wanted in &wanted {
        // Behind the setting, which `check` shows by its line.
        let message = wanted.split_once(": ").filter(|(setting, _)| !setting.contains(' '));
        let message = message.map_or(*wanted, |(_, message)| message);
        assert!(ended.stderr.contains(message), "{name}: {message:?}: {ended:#?}");
    }
    let errors = if wanted.len() == 1 { String::new() } else { format!("\n{} errors\n", wanted.len()) };
    assert!(ended.stderr.contains(&errors) && (wanted.len() > 1 || !ended.stderr.contains(" errors\n")), "{ended:#?}");
    true
}

#[test]
fn what_is_proposed_is_accepted() {
    let mut accepted = 0;
    for name in shipped() {
        let found = inspected(&component(&name));
        accepted += usize::from(!check_proposed(&name, &found));
        assert_eq!(found["contract"], serde_json::json!(["postgate:mail@0.1.0"]), "{name}");
        assert_eq!(found["languages"][0], "Rust", "{name}");
        assert_eq!(found["function-names"], true, "{name}");
        assert_eq!(found["start"]["within-default-limits"], true, "{name}");
    }
    assert!(accepted >= 5, "{accepted}");
}

#[test]
fn all_languages_are_inspected() {
    for language in LANGUAGES {
        let (title, language) = (language.title, language.name);
        let path: PathBuf = target().join("projects").join(language).join("every-hook/every-hook.wasm");
        assert!(path.exists(), "{language} is not built: run the tests by `cargo xtask test`");
        let found = inspected(&path);
        assert_eq!(found["contract"], serde_json::json!(["postgate:mail@0.1.0"]), "{language}");
        assert_eq!(found["hooks"].as_array().map(Vec::len), Some(postgate_plugin::Hook::ALL.len()), "{language}");
        assert_eq!(found["sha256"].as_str().map(str::len), Some(64));
        assert!(found["start"]["memory"].as_u64().is_some_and(|memory| memory > 0), "{language}: {found}");
        assert_eq!(found["start"]["within-default-limits"], true, "{language}: {}", found["start"]);
        assert_eq!(found["languages"][0], title, "{language}: {}", found["languages"]);
        let ours =
            serde_json::json!({ "field": "processed-by", "name": "postgate", "version": env!("CARGO_PKG_VERSION") });
        assert_eq!(found["producers"][1], ours, "{language}");
        check_proposed("every-hook", &found);
    }
}

/// One with 100 MiB of memory at its start, which burns 2,000,000,000 units of fuel for it.
#[test]
fn what_needs_more_than_the_default() {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let world = World::new("export postgate:mail/starttls@0.1.0;");
    let module = |pages: u32, turns: u32| {
        format!(
            r#"(module
                (memory (export "memory") {pages})
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
                (func (export "postgate:mail/starttls@0.1.0#on-starttls") (result i32) i32.const 0)
                (func $start (local $left i32)
                    (local.set $left (i32.const {turns}))
                    (loop $turn (br_if $turn (local.tee $left (i32.sub (local.get $left) (i32.const 1))))))
                (start $start))"#
        )
    };
    let inspect = |name: &str, pages, turns| {
        let path = folder.path().join(name);
        fs::write(&path, world.component_of(&module(pages, turns))).expect("a file");
        let text = command(&["inspect", &path.display().to_string()]);
        text.expect(0, &["does not say"]);
        (text.stdout, inspected(&path))
    };
    let (text, found) = inspect("large.wasm", 1600, 1);
    assert_eq!(found["start"]["memory"], 1600 << 16);
    assert!(text.contains("104,857,600 octets of memory"), "{text}");
    assert!(text.contains("more than the default limits allow"), "{text}");
    assert!(text.contains("limits.memory = \"200 MiB\"    # twice what it starts with"), "{text}");
    check("large", found["configuration"].as_str().expect("a text")).expect(0, &[]);

    let (text, found) = inspect("slow.wasm", 1, 300_000_000);
    assert!(found["start"]["fuel"].as_u64().is_some_and(|fuel| fuel > 1_000_000_000), "{found}");
    assert!(text.contains("limits.fuel = ") && !text.contains("limits.memory"), "{text}");
    check("slow", found["configuration"].as_str().expect("a text")).expect(0, &[]);

    // Beyond what the engine allows to anybody.
    let path = folder.path().join("huge.wasm");
    fs::write(&path, world.component_of(&module(5000, 1))).expect("a file");
    let told = "does not start within its limits: memory (give it more `limits.memory`, up to `engine.memory-max`)";
    command(&["inspect", &path.display().to_string()]).expect(65, &[told, "327680000"]);

    let (text, found) = inspect("small.wasm", 1, 1);
    assert_eq!(found["start"]["within-default-limits"], true);
    assert!(!text.contains("limits."), "{text}");
}

/// The text has what a person looks for, each in its place.
#[test]
fn the_text() {
    let path = component("maildir").display().to_string();
    command(&["inspect", &path]).expect(
        0,
        &[
            "\n  contract    postgate:mail@0.1.0\n",
            "\n  hooks       deliver\n",
            "\n  needs       grants = [",
            "\n  language    Rust, C11\n",
            "\n  traps tell  functions; for lines of source code build it with debug information\n",
            "\nmade with\n  language      Rust\n",
            "  processed-by  rustc",
            "\nconfiguration\n\n[plugin.maildir]\ncomponent = \"/",
            "    { maildir = \"mail\" },    # a folder below data-dir\n",
            "# It wants settings of its own, in [plugin.maildir.config]:\n# missing field `domains`\n",
        ],
    );
}
