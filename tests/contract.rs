//! The contract with plugin authors: it does not change unnoticed, everything in it is explained, a component of an earlier version goes on,
//! and a guest of any language that exports one hook is asked at that hook only, and can ask for its context.

use std::fs;

use wit_parser::{Docs, Resolve};

use crate::support::{Gateway, component, one_chain, plugin, root};

/// Whoever changes the contract sees it here: compatibility is a promise (wit/types.wit).
#[test]
fn the_contract_is_as_it_was_agreed() {
    let golden = root().join("tests/golden/postgate-mail-0.1.0.wit");
    let mut names: Vec<_> = fs::read_dir(root().join("wit")).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "wit"));
    names.sort();
    let texts = names.iter().map(|path| fs::read_to_string(path).unwrap());
    let found: String = texts.collect::<Vec<_>>().join("\n");
    let agreed = fs::read_to_string(&golden).unwrap();
    assert!(
        found == agreed,
        "wit/ differs from {}. If every component built against the agreed contract still loads and means the same, copy it \
         there: `cat wit/*.wit` with an empty line between files",
        golden.display()
    );
}

/// Whoever writes a plugin reads it there, and in what editors show of it.
#[test]
fn everything_is_explained() {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(root().join("wit")).unwrap();
    let mut unexplained = Vec::new();
    let mut count = 0;
    let mut look = |docs: &Docs, name: String| {
        count += 1;
        if docs.contents.as_ref().is_none_or(|text| text.trim().is_empty()) {
            unexplained.push(name);
        }
    };
    let package = &resolve.packages[package];
    look(&package.docs, "the package".to_owned());
    for (name, id) in &package.interfaces {
        let interface = &resolve.interfaces[*id];
        look(&interface.docs, name.clone());
        for function in interface.functions.values() {
            look(&function.docs, format!("{name}.{}", function.name));
        }
        for (type_name, id) in &interface.types {
            let found = &resolve.types[*id];
            // What is used from another interface is explained there.
            if !matches!(found.kind, wit_parser::TypeDefKind::Type(_)) {
                look(&found.docs, format!("{name}.{type_name}"));
            }
        }
    }
    for (name, id) in &package.worlds {
        look(&resolve.worlds[*id].docs, name.clone());
    }
    assert!(unexplained.is_empty(), "without a comment: {unexplained:#?}");
    assert!(count > 150, "{count}");
}

/// What a registry is told is what the workspace says of itself, in the words that wkg knows.
#[test]
fn the_package_can_be_published() {
    let table = |name: &str| -> toml::Table { fs::read_to_string(root().join(name)).unwrap().parse().unwrap() };
    let (wkg, workspace) = (table("wkg.toml"), table("Cargo.toml"));
    assert_eq!(wkg.keys().collect::<Vec<_>>(), ["metadata"]);
    let metadata = wkg["metadata"].as_table().unwrap();
    let known = ["authors", "description", "license", "homepage", "repository", "revision"];
    for (key, value) in metadata {
        assert!(known.contains(&key.as_str()), "{key}");
        assert!(value.as_str().is_some_and(|text| !text.is_empty()), "{key}");
    }
    let package = &workspace["workspace"]["package"];
    assert_eq!(metadata["license"], package["license"]);
    for key in ["homepage", "repository"] {
        assert_eq!(metadata.get(key), package.get(key), "{key}");
    }
    let mut resolve = Resolve::default();
    let (id, _) = resolve.push_dir(root().join("wit")).unwrap();
    let name = resolve.packages[id].name.to_string();
    assert_eq!(name, format!("postgate:mail@{}", postgate_plugin::CONTRACT_VERSION));
    let octets = wit_component::encode(&resolve, id).unwrap();
    assert!(matches!(wit_component::decode(&octets).unwrap(), wit_component::DecodedWasm::WitPackage(..)));
}

/// The component in `tests/golden` was built against 0.1.0, and is kept as it was: it goes on to load, and finds everything that it asks for as
/// it was then. It refuses a message where anything is not.
#[test]
fn a_component_of_0_1_0_goes_on() {
    let file = root().join("tests/golden/plugin-0.1.0.wasm");
    let anatomy = postgate_plugin::anatomy(&file).unwrap();
    assert_eq!(anatomy.sha256.to_string(), PLUGIN_0_1_0, "it is kept, and never made anew");
    let mut asked: Vec<&str> = anatomy.imports.iter().map(String::as_str).collect();
    asked.retain(|name| name.starts_with("postgate:mail/"));
    let context = ["types", "session", "transaction", "mail-data", "parts", "editor"];
    for interface in context.map(|name| format!("postgate:mail/{name}@0.1.0")) {
        assert!(asked.contains(&interface.as_str()), "{asked:?}");
    }

    let plugins = [
        plugin("policy", "policy", "[]"),
        format!("[plugin.old]\ncomponent = {:?}\n", file.display().to_string()),
        plugin("delivery", "maildir", "[\"log\", \"config\", { maildir = \"mail\" }]"),
        "config.domains = \"all\"\n".to_owned(),
    ];
    let gateway = Gateway::start(&one_chain("[\"policy\", \"old\", \"delivery\"]", &plugins.concat()));
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    for (message, size) in [(MULTIPART, " SIZE=1000"), ("Subject: plain\r\n\r\nbody\r\n.", "")] {
        client.expect(&format!("MAIL FROM:<a@example.org>{size}"), "250");
        client.expect("RCPT TO:<bob@example.org>", "250");
        client.expect("DATA", "354");
        client.expect(message, "250");
    }
    client.expect("QUIT", "221");

    // It has given the first message to somebody else.
    let [carol] = &gateway.messages("mail/example.org/carol")[..] else { panic!("one message") };
    let (header, body) = carol.split_once("\r\n\r\n").unwrap();
    for field in ["X-First: made by 0.1.0", "X-Second: made by 0.1.0", "X-Last: made by 0.1.0", "Subject: changed"] {
        assert!(header.contains(field), "{field}: {header}");
    }
    assert!(header.contains("Return-Path: <>") && !header.contains("X-Gone"), "{header}");
    assert!(body.contains("other words") && !body.contains("x.bin") && !body.contains("hello"), "{body}");
    let [bob] = &gateway.messages("mail/example.org/bob")[..] else { panic!("one message") };
    assert!(bob.ends_with("\r\n\r\nanother body\r\n"), "{bob}");
    assert_eq!(gateway.stop(), 0);
}

/// A component that exports one hook only loads, asks for its context, and answers. It defers recipients when the context answers
/// anything but what the contract says, so 250 is the proof.
fn one_hook(language: &str) {
    let name = format!("one-hook-{language}");
    let anatomy = postgate_plugin::anatomy(&component(&name)).unwrap();
    let hooks: Vec<_> = postgate_plugin::hooks(&anatomy).unwrap().iter().collect();
    assert_eq!(hooks, [postgate_plugin::Hook::Recipient]);

    let plugins = [plugin("policy", &name, "[]"), plugin("delivery", "discard", "[]")].concat();
    let gateway = Gateway::start(&one_chain("[\"policy\", \"delivery\"]", &plugins));
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    client.expect("MAIL FROM:<a@example.org>", "250");
    client.expect("RCPT TO:<no-550@example.org>", "550 ");
    client.expect("RCPT TO:<bob@example.org>", "250 ");
    client.expect("RCPT TO:<carol@example.org>", "250 ");
    client.expect("DATA", "354 ");
    client.expect("Subject: x\r\n\r\nbody\r\n.", "250 ");
    client.expect("QUIT", "221 ");
}

#[test]
fn one_hook_in_rust() {
    one_hook("rust");
}

#[test]
fn one_hook_in_python() {
    one_hook("python");
}

#[test]
fn one_hook_in_javascript() {
    one_hook("js");
}

/// Of `tests/golden/plugin-0.1.0.wasm`.
const PLUGIN_0_1_0: &str = "0ce9c5b3ce31ac2c0af0bcbd9f980492c62ce7200a31ef5eb6e4531db4aa6fd8";

const MULTIPART: &str = "From: \"Ann\" <ann@example.org>\r\nSubject: golden\r\nX-Gone: soon\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\n\
    Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=x.bin\r\n\r\nDATA\r\n--b--\r\n.";
