//! `postgate test`: the dialogues of `tests/dialogues` play through it as they are, and those of `tests/rehearsal` show each of its own
//! lines, once as it holds and once where it does not, with what is told of that.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::process::{Ended, binary};
use crate::support::{component, memory, plugin, root, target};

/// Runs `postgate test` in a folder.
fn test_in(folder: &Path, arguments: &[&str]) -> Ended {
    command_in(folder, arguments).output().expect("the binary runs").into()
}

fn command_in(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.arg("test").args(arguments).current_dir(folder).env("XDG_CACHE_HOME", target().join("tmp/rehearsal"));
    command
}

/// In the root of the repository.
fn test(arguments: &[&str]) -> Ended {
    test_in(&root(), arguments)
}

/// The folders of `tests/rehearsal`, each with the arguments that its dialogues are played with.
fn folders() -> BTreeMap<String, Vec<String>> {
    let entries = fs::read_dir(root().join("tests/rehearsal")).expect("the dialogues");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_str().expect("a name").to_owned());
    let arguments = |name: String| {
        let mut arguments = vec![component(&name).display().to_string()];
        let config = format!("tests/rehearsal/{name}/postgate.toml");
        if root().join(&config).exists() {
            arguments.extend(["--config".to_owned(), config]);
        }
        (name, arguments)
    };
    names.map(arguments).collect()
}

fn dialogues_in(folder: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root().join(folder)) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "dlg"));
    files.sort();
    files
}

/// Without what is another on each machine, or with each build of a guest: times, fuel, memory.
fn timeless(text: &str) -> String {
    let line = |line: &str| {
        let line = line.rfind(" fuel  ").map_or(line, |at| {
            line[..at].trim_end_matches(|character: char| character.is_ascii_digit() || character == ',').trim_end()
        });
        match line.rfind('(').filter(|_| line.ends_with(" ms)") || line.ends_with(" s)")) {
            Some(at) => line[..at].trim_end().to_owned() + "\n",
            None => line.trim_end().to_owned() + "\n",
        }
    };
    text.lines().map(line).collect()
}

#[test]
fn the_dialogues_of_the_protocol() {
    let folder = memory();
    let config = format!(
        "[listener.smtp]\nbind = \"127.0.0.1:25\"\nchain = \"main\"\nauth-in-clear = true\n[chain.main]\nplugins = [\"policy\", \"delivery\"]\n{}{}",
        plugin("policy", "policy", "[]"),
        plugin("delivery", "maildir", "[\"log\", \"config\", { maildir = \"mail\" }]") + "config.domains = \"all\"\n"
    );
    fs::write(folder.path().join("postgate.toml"), config).expect("a file");
    let dialogues = root().join("tests/dialogues").display().to_string();
    let count = dialogues_in("tests/dialogues").len();
    let ended = test_in(folder.path(), &[&dialogues]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(timeless(&ended.stdout).lines().last(), Some(&*format!("{count} dialogues: {count} ok")));
}

#[test]
fn every_line_as_it_holds() {
    for (name, arguments) in folders() {
        let folder = format!("tests/rehearsal/{name}");
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain([&*folder, "--verbose"]).collect();
        let (once, twice) = (test(&arguments), test(&arguments));
        assert_eq!(once.code, Some(0), "{}{}", once.stdout, once.stderr);
        // A dialogue has the same end each time, to the last unit of fuel.
        let without_times = |text: &str| {
            let line = |line: &str| line.rsplit_once("  ").map_or(line, |(line, _)| line).to_owned();
            timeless(&text.replace(" fuel  ", " units  ")).lines().map(line).collect::<Vec<_>>()
        };
        assert_eq!(without_times(&once.stdout), without_times(&twice.stdout));
    }
}

#[test]
fn every_line_where_it_does_not_hold() {
    let mut count = 0;
    for (name, arguments) in folders() {
        for dialogue in dialogues_in(&format!("tests/rehearsal/{name}/failing")) {
            count += 1;
            let golden = dialogue.with_extension("txt");
            let dialogue = dialogue.strip_prefix(root()).expect("below the root").display().to_string();
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain([&*dialogue]).collect();
            let ended = test(&arguments);
            assert_eq!((ended.code, &*ended.stderr), (Some(1), ""), "{dialogue}: {}", ended.stdout);
            let expected = fs::read_to_string(&golden).unwrap_or_else(|error| panic!("{}: {error}", golden.display()));
            assert_eq!(timeless(&ended.stdout), expected, "{dialogue}");
        }
    }
    assert!(count >= 20, "only {count} dialogues that fail");
}

#[test]
fn for_programs() {
    let folder = memory();
    let junit = folder.path().join("junit.xml").display().to_string();
    let guest = component("storage").display().to_string();
    let [good, bad] = ["tests/rehearsal/storage/stands-in.dlg", "tests/rehearsal/storage/failing/fate.dlg"];
    let ended = test(&[&guest, good, bad, "--json", "--junit", &junit]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let lines: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    let [first, second, last] = lines.as_slice() else { panic!("{}", ended.stdout) };
    assert_eq!((&first["ok"], &first["dialogue"]), (&true.into(), &good.into()));
    assert!(first.get("difference").is_none());
    let difference = &second["difference"];
    assert_eq!(difference["expected"][0], "fate: bob@example.org failed");
    assert_eq!(difference["found"][0], "fate: bob@example.org delivered");
    assert_eq!((&last["summary"]["dialogues"], &last["summary"]["failed"]), (&2.into(), &1.into()));
    let junit = fs::read_to_string(junit).expect("a file");
    assert!(junit.contains("tests=\"2\" failures=\"1\""), "{junit}");
    assert!(junit.contains("+       | fate: bob@example.org delivered"), "{junit}");
    let fails = component("misbehave").display().to_string();
    let ended = test(&[&fails, "tests/rehearsal/misbehave/fails.dlg", "--json"]);
    let line: Value = serde_json::from_str(ended.stdout.lines().next().expect("a line")).expect("an object");
    let failed = line["calls"].as_array().expect("calls").iter().find(|call| call.get("failure").is_some());
    let failed = failed.expect("a call that failed");
    assert_eq!((&failed["hook"], &failed["failure"]["cause"]), (&"recipient".into(), &"trap".into()));
    assert_eq!(failed["failure"]["on-failure"], "defer");
}

#[test]
fn a_trap_shows_where_it_was() {
    let guest = component("misbehave").display().to_string();
    let ended = test(&[&guest, "tests/rehearsal/misbehave/limits.dlg", "--verbose"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    for expected in ["fails trap", "told to trap", "wasm backtrace", "misbehave", "on-failure deadline is \"defer\""] {
        assert!(ended.stdout.contains(expected), "{expected}: {}", ended.stdout);
    }
}

#[test]
fn what_cannot_be_played() {
    let folder = memory();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
    let guest = component("storage").display().to_string();
    write("typo.dlg", "S: 220 *\nverdct: mail next\n");
    write("set.dlg", "# c\nset: limits.recipient=1\nS: 220 *\n");
    write("good.dlg", "S: 220 *\n");
    write(
        "two.toml",
        "hostname = \"mx.example.org\"\n[listener.a]\nbind = \"127.0.0.1:1\"\nchain = \"c\"\n[listener.b]\nbind = \"127.0.0.1:2\"\nchain = \"c\"\n[chain.c]\nplugins = [\"p\"]\n[plugin.p]\ncomponent = \"p.wasm\"\n",
    );
    let check = |arguments: &[&str], code: i32, expected: &str| {
        let ended = test_in(folder.path(), arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}{}", ended.stdout, ended.stderr);
        assert!(ended.stderr.contains(expected), "{arguments:?}: {}", ended.stderr);
    };
    check(&[&guest, "typo.dlg"], 65, "typo.dlg:2: \"verdct:\" begins no line; \"verdict:\" was meant, perhaps");
    check(&[&guest, "set.dlg"], 78, "set.dlg:2: ");
    check(&[&guest, "set.dlg"], 78, "recipients");
    check(&[&guest, "missing.dlg"], 66, "missing.dlg: can't be read");
    check(&[&guest], 66, "tests: can't be read");
    check(&[], 64, "there is no postgate.toml here");
    check(&["good.dlg", "--config", "two.toml"], 78, "several listeners: say --listener NAME, one of a, b");
    check(&["good.dlg", "--config", "two.toml", "--listener", "c"], 78, "no listener \"c\"; it has a, b");
    check(&["good.dlg", "--config", "two.toml", "--listener", "a"], 78, "p.wasm can't be read");
    check(&["nothing.wasm", "good.dlg"], 66, "nothing.wasm can't be read");
    write("none.wasm", "text");
    check(&["none.wasm", "good.dlg"], 65, "none.wasm is not a plugin");
    check(&[&guest, &guest, "good.dlg"], 64, "one plugin is tested at a time");
    check(&[&guest, "good.dlg", "--junit", "no/where.xml"], 74, "no/where.xml can't be written");
}

/// What is in the folder is played again when it changes.
#[test]
fn watched() {
    let folder = memory();
    let dialogue = folder.path().join("a.dlg");
    fs::write(&dialogue, "S: 220 *\n").expect("a file");
    let guest = component("storage").display().to_string();
    let mut child = command_in(folder.path(), &[&guest, "a.dlg", "--watch"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut summary = || {
        let found = lines.by_ref().map(|line| line.expect("text")).find(|line| line.starts_with("1 dialogue: "));
        timeless(&found.expect("it goes on"))
    };
    assert_eq!(summary(), "1 dialogue: 1 ok\n");
    fs::write(&dialogue, "S: 220 nobody else\n").expect("a file");
    assert_eq!(summary(), "1 dialogue: 0 ok, 1 FAILED\n");
    fs::write(&dialogue, "S: 220 mx.example.org *\n").expect("a file");
    assert_eq!(summary(), "1 dialogue: 1 ok\n");
    child.kill().expect("it is alive");
    child.wait().expect("it ends");
}
