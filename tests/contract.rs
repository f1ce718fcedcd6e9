//! The contract with plugin authors: it does not change unnoticed, and a guest of any language that exports one hook is asked at
//! that hook only, and can ask for its context.

use std::fs;

use crate::support::{Gateway, component, one_chain, plugin, root};

/// Whoever changes the contract sees it here: compatibility is a promise (wit/types.wit).
#[test]
fn the_contract_is_as_it_was_agreed() {
    let golden = root().join("tests/golden/postgate-mail-0.1.0.wit");
    let mut names: Vec<_> = fs::read_dir(root().join("wit")).unwrap().map(|entry| entry.unwrap().path()).collect();
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
