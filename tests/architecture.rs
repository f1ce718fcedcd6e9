//! The edges between the modules, as `host/ARCHITECTURE.md` draws them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::root;

/// All Rust files below a folder.
fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "{folder}");
    found
}

/// The code of a file: without comments, and without its unit tests, which stand last.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn absent(folder: &str, words: &[&str], except: &[&str]) {
    for path in sources(folder) {
        if except.iter().any(|end| path.ends_with(end)) {
            continue;
        }
        let code = code(&path);
        for word in words {
            assert!(!code.contains(word), "{word:?} has no place in {}", path.display());
        }
    }
}

fn dependencies(folder: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    manifest["dependencies"].as_table().unwrap().keys().cloned().collect()
}

#[test]
fn the_protocol_has_no_input_or_output() {
    let words = [
        "TcpStream",
        "UdpSocket",
        "ToSocketAddrs",
        "std::fs",
        "std::env",
        "std::io",
        "std::thread",
        "SystemTime",
        "Instant::now",
        "tokio",
        "tracing",
        "println!",
    ];
    // The reader of dialogue files is for tests, and for `postgate test`.
    let dialogue: Vec<_> =
        sources("host/smtp/src").into_iter().filter(|path| path.to_string_lossy().contains("dialogue")).collect();
    let dialogue: Vec<_> = dialogue.iter().map(|path| path.to_str().unwrap()).collect();
    absent("host/smtp/src", &words, &dialogue);
    assert_eq!(dependencies("host/smtp"), ["hmac", "memchr", "sha2", "stringprep"]);
}

#[test]
fn one_crate_names_the_engine() {
    absent("host/gateway/src", &["wasmtime"], &[]);
    absent("host/smtp/src", &["wasmtime"], &[]);
    for folder in ["host/gateway", "host/smtp"] {
        assert!(!dependencies(folder).iter().any(|name| name.starts_with("wasm")), "{folder}");
    }
}

/// What authors need is not what serves.
#[test]
fn the_tools_of_authors_stand_alone() {
    absent("host/author/src", &["tokio", "wasmtime", "postgate_plugin", "postgate_smtp", "TcpStream"], &[]);
    assert!(!dependencies("host/author").iter().any(|name| name.starts_with("postgate") || name == "tokio"));
}

#[test]
fn one_module_does_tls() {
    let module = ["tls.rs", "tls/authority.rs", "tls/certificates.rs", "tls/peer.rs", "tls/rehearsal.rs", "stream.rs"];
    absent("host/gateway/src", &["rustls", "x509_parser"], &module);
}

#[test]
fn crates_look_down_only() {
    assert!(!dependencies("host/plugin").contains(&"postgate".to_owned()));
    absent("host/plugin/src", &[" postgate::", "TcpListener"], &["service/dns/tests.rs"]);
    // It is no server; as a client it speaks to relays, and HTTP in one file, behind its checks.
    let dialling = ["relay/wire.rs", "relay/connection.rs", "relay/tls.rs", "service/http/connection.rs"];
    absent("host/plugin/src", &["TcpStream"], &dialling);
    for plugin in ["static-auth", "virtual-domains", "maildir", "discard", "relay", "webhook", "mta-hooks"] {
        let dependencies = dependencies(&format!("plugins/{plugin}"));
        assert!(!dependencies.iter().any(|name| name == "postgate" || name == "postgate-plugin"), "{plugin}");
    }
}

/// The way of a message reads straight down: nobody below knows who is above.
#[test]
fn the_gateway_reads_straight_down() {
    let order = ["command", "server", "connection", "stage"];
    for (n, module) in order.iter().enumerate() {
        let above: Vec<_> = order.iter().take(n).map(|above| format!("crate::{above}")).collect();
        let above: Vec<_> = above.iter().map(String::as_str).collect();
        let file = root().join(format!("host/gateway/src/{module}.rs"));
        let code = code(&file);
        assert!(!above.iter().any(|word| code.contains(word)), "{module} looks up");
    }
}

#[test]
fn unsafe_code_stands_in_one_file() {
    absent("host/plugin/src", &["unsafe {", "unsafe fn", "unsafe impl"], &["cache.rs"]);
    absent("host/gateway/src", &["unsafe {", "unsafe fn", "unsafe impl"], &[]);
}
