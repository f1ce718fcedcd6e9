//! Files that are no plugin: for each row of `plugins/errors.md` one is made, and `inspect`, `check`, `run` and `test` say of it what stands
//! there.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use wit_parser::{LiftLowerAbi, Resolve};

use crate::support::made::{World, contract};
use crate::support::process::{Ended, binary};
use crate::support::{component, root, target};

/// The rows: what the file is, and what is said of it.
fn rows() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("plugins/errors.md")).expect("the page");
    let cells = |line: &str| {
        let (name, sentence) = line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | ")?;
        (!sentence.starts_with("what is said")).then(|| (name.to_owned(), sentence.to_owned()))
    };
    text.lines().filter_map(cells).collect()
}

type Octets = fn() -> Vec<u8>;
type Place = fn(&Path);

/// What a file is that has octets, and how they are made.
const FILES: &[(&str, Octets)] = &[
    ("is empty", Vec::new),
    ("is truncated", || {
        let octets = good();
        octets[..octets.len() * 2 / 3].to_vec()
    }),
    ("is damaged", || {
        let mut octets = good();
        octets[8] = 0xff;
        octets
    }),
    ("has too many parts", || [&b"\0asm\x0d\0\x01\0"[..], &b"\x04\x08\0asm\x0d\0\x01\0".repeat(1001)].concat()),
    ("has too many imports", || with_names(10, b"\0\x01a\x05\0")),
    ("has too many exports", || with_names(11, b"\0\x01a\x05\0\0")),
    ("is a text", || b"#!/bin/sh\nexit 0\n".to_vec()),
    ("is WAT", || b";; the smallest\n(component)\n".to_vec()),
    ("is compressed", || b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0".to_vec()),
    ("is an archive", || b"PK\x03\x04\x14\0\0\0\0\0".to_vec()),
    ("is a native program", || fs::read("/bin/sh").expect("a shell")),
    ("is compiled already", compiled),
    ("is anything else", || vec![0xde, 0xad, 0xbe, 0xef, 0, 1]),
    ("is a WIT package", || {
        let mut resolve = Resolve::default();
        let package = contract(&mut resolve, |text| text);
        wit_component::encode(&resolve, package).expect("a package")
    }),
    ("is a core module for WASI 0.1, in Rust", || with_language(&wasi_module(), "Rust")),
    ("is a core module for WASI 0.1, in Go", || with_language(&wasi_module(), "Go")),
    ("is a core module for WASI 0.1", wasi_module),
    ("is a core module", || wat("(module (func (export \"run\")))")),
    ("is a core module for browsers", || {
        with_language(&wat("(module (import \"__wbindgen_placeholder__\" \"f\" (func)))"), "Rust")
    }),
    ("is a core module with its world", || World::new(RECIPIENT).module(LiftLowerAbi::Sync)),
    ("is a core module for WASI 0.1 with its world", || {
        let mut octets = wasi_module();
        // A custom section whose name begins as those of wit-component do, and is empty.
        octets.extend([0, 15, 14]);
        octets.extend(b"component-type");
        octets
    }),
    ("lacks the adapter for WASI 0.1", || wat(WITHOUT_ADAPTER)),
    ("is asynchronous", || World::new(RECIPIENT).asynchronous()),
    ("is asynchronous, in JavaScript", || with_language(&World::new(RECIPIENT).asynchronous(), "JavaScript")),
    ("imports WASI 0.3", || {
        let clocks = "package wasi:clocks@0.3.0;\ninterface system-clock { now: func() -> u64; }";
        let lines = format!("import wasi:clocks/system-clock@0.3.0;\n{RECIPIENT}");
        World::beside(&lines, &[clocks], |text| text).component()
    }),
    ("exports nothing", || World::new("import postgate:mail/log@0.1.0;").component()),
    ("exports `setup` alone", || World::new("export postgate:mail/setup@0.1.0;").component()),
    ("is a program", || {
        let cli = "package wasi:cli@0.2.0;\ninterface run { run: func() -> result; }";
        World::without_contract("export wasi:cli/run@0.2.0;", &[cli]).component()
    }),
    ("exports another package", || {
        let acme = "package acme:mail@0.1.0;\ninterface recipient { on-recipient: func(); }";
        World::without_contract("export acme:mail/recipient@0.1.0;", &[acme]).component()
    }),
    ("exports a function and no interface", || {
        World::without_contract("export on-recipient: func();", &[]).component()
    }),
    ("exports a hook of a later contract", || {
        let later = |text: String| text.replace("0.1.0", "0.2.0");
        World::beside("export postgate:mail/recipient@0.2.0;", &[], later).component()
    }),
    ("exports a hook without version", || {
        let package = "package postgate:mail;\ninterface recipient { on-recipient: func(); }";
        World::without_contract("export postgate:mail/recipient;", &[package]).component()
    }),
    ("exports an unknown hook", || other_contract("receptive", "on-receptive: func();")),
    ("has a hook with another function", || {
        other_contract("recipient", "on-recipient: func(address: string) -> bool;")
    }),
    ("has a `setup` with another function", || {
        let other =
            |text: String| text.replace("on-setup: func() -> list<setting-problem>", "on-setup: func() -> bool");
        let lines = format!("export postgate:mail/setup@0.1.0;\n{RECIPIENT}");
        World::beside(&lines, &[], other).component()
    }),
    ("imports another package", || {
        importing("acme:things/carrots@1.0.0", "package acme:things@1.0.0;\ninterface carrots { eat: func(); }")
    }),
    ("imports WASI that there is not", || {
        importing("wasi:nn/graph@0.2.0", "package wasi:nn@0.2.0;\ninterface graph { load: func(); }")
    }),
    ("imports from a later contract", || {
        let later = "package postgate:mail@0.2.0;\ninterface log { write: func(message: string); }";
        importing("postgate:mail/log@0.2.0", later)
    }),
    ("imports an interface that there is not", || {
        let carrots =
            |text: String| text.replace("interface log {", "interface carrots { eat: func(); }\n\ninterface log {");
        let lines = format!("import postgate:mail/carrots@0.1.0;\n{RECIPIENT}");
        World::beside(&lines, &[], carrots).component()
    }),
    ("imports a function that there is not", || {
        let more = |text: String| {
            text.replace("interface log {", "interface log {\n    shout: func();").replace("mail@0.1.0", "mail@0.1.1")
        };
        let lines = "import postgate:mail/log@0.1.1;\nexport postgate:mail/recipient@0.1.1;";
        World::beside(lines, &[], more).component()
    }),
    ("imports a function with another type", || {
        let other = |text: String| text.replace("(password: string, hash: string)", "(password: string, hash: u32)");
        World::beside(&format!("import postgate:mail/passwords@0.1.0;\n{RECIPIENT}"), &[], other).component()
    }),
    ("traps when it is started", || World::new("export postgate:mail/starttls@0.1.0;").component_of(TRAPS)),
];

/// What a path is that leads to no octets.
const PATHS: &[(&str, Place)] = &[
    ("is not there", |_| ()),
    // A file of the usual kind that even root can't read from its beginning.
    ("can't be read", |path| symlink("/proc/self/mem", path).expect("a link")),
    ("is a directory", |path| fs::create_dir(path).expect("a directory")),
    ("is a pipe", |path| {
        let made = Command::new("mkfifo").arg(path).status().expect("mkfifo");
        assert!(made.success());
    }),
    ("is a device", |path| symlink("/dev/zero", path).expect("a link")),
    ("is beyond the limit", |path| {
        // It has no blocks.
        fs::File::create(path).and_then(|file| file.set_len((256 << 20) + 1)).expect("a file");
    }),
];

fn good() -> Vec<u8> {
    fs::read(component("one-hook-rust")).expect("a component")
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("WAT")
}

fn wasi_module() -> Vec<u8> {
    wat("(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func (param i32))))")
}

/// With a section in which a language is named.
fn with_language(octets: &[u8], language: &str) -> Vec<u8> {
    let named = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    let producers = [named("producers"), vec![1], named("language"), vec![1], named(language), named("")].concat();
    [octets, &[0, producers.len() as u8], &producers].concat()
}

/// A component with a section of that number that names 10,001 times the same.
fn with_names(section: u8, name: &[u8]) -> Vec<u8> {
    let number = |n: usize| [n as u8 | 0x80, (n >> 7) as u8 | 0x80, (n >> 14) as u8];
    let (count, names) = (number(10_001), name.repeat(10_001));
    [&b"\0asm\x0d\0\x01\0"[..], &[section], &number(count.len() + names.len()), &count, &names].concat()
}

/// A contract of the same name that says something else.
fn other_contract(interface: &str, function: &str) -> Vec<u8> {
    let package = format!("package postgate:mail@0.1.0;\ninterface {interface} {{ {function} }}");
    World::without_contract(&format!("export postgate:mail/{interface}@0.1.0;"), &[&package]).component()
}

fn importing(name: &str, package: &str) -> Vec<u8> {
    World::beside(&format!("import {name};\n{RECIPIENT}"), &[package], |text| text).component()
}

/// What the gateway keeps of a component that it has compiled.
fn compiled() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let path = folder.path().join("plugin.wasm");
    fs::write(&path, good()).expect("a file");
    let ended = command(folder.path(), &["check", "--config", &configuration(folder.path(), &path)]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let cache = fs::read_dir(folder.path().join("data/cache")).expect("a cache");
    let mut files = cache.map(|entry| entry.expect("an entry").path());
    fs::read(files.find(|path| path.extension().is_some_and(|extension| extension == "cwasm")).expect("a file"))
        .expect("it")
}

fn configuration(folder: &Path, component: &Path) -> String {
    let path = folder.join("postgate.toml");
    let text = format!(
        "hostname = \"mx.example.org\"\ndata-dir = {:?}\nengine.instances = 2\n[listener.smtp]\nbind = \"127.0.0.1:0\"\nchain = \"main\"\n\
         [chain.main]\nplugins = [\"policy\"]\n[plugin.policy]\ncomponent = {component:?}\ngrants = [\"log\", \"config\", \"passwords\"]\n",
        folder.join("data")
    );
    fs::write(&path, text).expect("a file");
    path.display().to_string()
}

fn command(folder: &Path, arguments: &[&str]) -> Ended {
    let mut command = Command::new(binary());
    command.args(arguments).current_dir(folder).env("XDG_CACHE_HOME", target().join("tmp/rehearsal"));
    command.stdin(Stdio::null()).output().expect("the binary runs").into()
}

/// The four commands say it; `…` stands for anything.
fn check(name: &str, sentence: &str, folder: &Path, path: &Path) {
    fs::write(folder.join("a.dlg"), "S: 220 *\n").expect("a file");
    let (config, file) = (configuration(folder, path), path.display().to_string());
    let unreadable = sentence.starts_with("can't be read");
    let inspected = if unreadable { 66 } else { 65 };
    for (arguments, codes) in [
        (&["inspect", &file][..], &[inspected][..]),
        (&["test", &file, "a.dlg"], &[inspected, 78]),
        (&["check", "--config", &config], &[78]),
        // It would serve until the end of days: it comes last.
        (&["run", "--config", &config], &[78]),
    ] {
        let ended = command(folder, arguments);
        let said = &ended.stderr;
        assert!(ended.code.is_some_and(|code| codes.contains(&code)), "{name}: {arguments:?}: {ended:#?}");
        let mut rest = said.as_str();
        for part in sentence.split('…') {
            let Some((_, behind)) = rest.split_once(part) else {
                panic!("of a file that {name}, {arguments:?} does not say\n{sentence}\nbut\n{said}");
            };
            rest = behind;
        }
    }
}

fn checked(name: &str, make: impl FnOnce(&Path)) {
    let rows = rows();
    let (_, sentence) = rows.iter().find(|(row, _)| row == name).unwrap_or_else(|| panic!("no row says {name:?}"));
    let folder = tempfile::tempdir().expect("a scratch directory");
    let path: PathBuf = folder.path().join("plugin.wasm");
    make(&path);
    check(name, sentence, folder.path(), &path);
}

#[test]
fn there_is_a_file_for_each_row() {
    let rows: BTreeSet<String> = rows().into_iter().map(|(name, _)| name).collect();
    let files = FILES.iter().map(|(name, _)| (*name).to_owned());
    let files: BTreeSet<String> = files.chain(PATHS.iter().map(|(name, _)| (*name).to_owned())).collect();
    assert_eq!(rows, files);
    assert_eq!(files.len(), FILES.len() + PATHS.len());
}

#[test]
fn files_that_are_no_plugin() {
    for (name, octets) in FILES {
        checked(name, |path| fs::write(path, octets()).expect("a file"));
    }
}

#[test]
fn paths_that_are_no_plugin() {
    for (name, make) in PATHS {
        checked(name, make);
    }
}

const RECIPIENT: &str = "export postgate:mail/recipient@0.1.0;";

/// As `wasm-tools component new` would never leave it, and other tools may.
const WITHOUT_ADAPTER: &str = r#"
(component
  (core module $m
    (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
    (func (export "f") (result i32) i32.const 0))
  (core instance $i (instantiate $m))
  (func $f (result u32) (canon lift (core func $i "f")))
  (instance $hook (export "on-recipient" (func $f)))
  (export "postgate:mail/recipient@0.1.0" (instance $hook)))
"#;

const TRAPS: &str = r#"
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
  (func (export "postgate:mail/starttls@0.1.0#on-starttls") (result i32) i32.const 0)
  (func $start unreachable)
  (start $start))
"#;
