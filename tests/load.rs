//! What is refused before a client connects: components that are none, that know another contract, that want more than they were
//! granted; and what cannot be bound or written to.

use std::fs;
use std::net::TcpListener;

use crate::support::{self, component, load, one_chain, plugin};

/// Loads a chain of one plugin, made of these octets; answers what is wrong with it.
fn problem(octets: &[u8], grants: &str) -> String {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("plugin.wasm");
    fs::write(&path, octets).unwrap();
    let table = format!("[plugin.policy]\ncomponent = {:?}\ngrants = {grants}\n", path.display().to_string());
    load(&one_chain("[\"policy\"]", &table)).expect_err("it should be refused")
}

#[track_caller]
fn check(octets: &[u8], grants: &str, expected: &[&str]) {
    let problem = problem(octets, grants);
    for text in expected {
        assert!(problem.contains(text), "{text:?} is not in:\n{problem}");
    }
}

/// A component with one string replaced by another of the same length.
fn patched(name: &str, from: &str, to: &str) -> Vec<u8> {
    let mut octets = fs::read(component(name)).unwrap();
    assert_eq!(from.len(), to.len());
    let places: Vec<_> = octets.windows(from.len()).enumerate().filter(|(_, part)| *part == from.as_bytes()).collect();
    let places: Vec<_> = places.into_iter().map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "{from} is not in {name}");
    for at in places {
        octets[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    octets
}

#[test]
fn what_is_not_a_component() {
    check(b"#!/bin/sh\n", "[]", &["plugin \"policy\"", "test.toml:", "it is a text; a plugin is a component"]);
    check(b"\0asm\x01\0\0\0", "[]", &["it is a core module", "wasm32-wasip2"]);
    check(b"\0asm\x0d\0\x01\0\xff\xff", "[]", &["not a well-formed component"]);
    check(b"\0asm\x0d\0\x01\0", "[]", &["it exports no hook", "postgate:mail/recipient@0.1.0"]);
}

#[test]
fn a_missing_file_is_named() {
    let table = "[plugin.policy]\ncomponent = \"nowhere/at-all.wasm\"\n";
    let problem = load(&one_chain("[\"policy\"]", table)).unwrap_err();
    assert!(problem.contains("at-all.wasm") && problem.contains("No such file"), "{problem}");
}

#[test]
fn a_hook_of_another_version() {
    let octets = patched("one-hook-rust", "postgate:mail/recipient@0.1.0", "postgate:mail/recipient@0.9.0");
    check(
        &octets,
        "[]",
        &["exports postgate:mail/recipient@0.9.0", "does not know", "it knows postgate:mail/recipient@0.1.0"],
    );
}

#[test]
fn a_later_version_of_the_same_track_is_understood() {
    let octets = patched("one-hook-rust", "postgate:mail/recipient@0.1.0", "postgate:mail/recipient@0.1.7");
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("plugin.wasm");
    fs::write(&path, octets).unwrap();
    let table = format!("[plugin.policy]\ncomponent = {:?}\n", path.display().to_string());
    load(&one_chain("[\"policy\"]", &table)).unwrap();
}

#[test]
fn an_unknown_hook() {
    let octets = patched("one-hook-rust", "postgate:mail/recipient@0.1.0", "postgate:mail/receptive@0.1.0");
    check(&octets, "[]", &["exports postgate:mail/receptive@0.1.0", "recipient", "deliver"]);
}

#[test]
fn services_that_were_not_granted() {
    let octets = fs::read(component("maildir")).unwrap();
    check(
        &octets,
        "[\"log\", \"config\"]",
        &["imports postgate:mail/maildir@0.1.0, which was not granted", "add { maildir = \"mail\" } to its `grants`"],
    );
    let octets = fs::read(component("static-auth")).unwrap();
    check(&octets, "[\"log\", \"config\"]", &["postgate:mail/passwords@0.1.0", "add \"passwords\" to its `grants`"]);
}

#[test]
fn imports_that_nobody_offers() {
    let octets = patched("maildir", "postgate:mail/maildir@0.1.0", "postgate:mail/carrots@0.1.0");
    check(
        &octets,
        "[\"log\", \"config\"]",
        &["imports postgate:mail/carrots@0.1.0, which this version of Postgate does not offer"],
    );
}

#[test]
fn a_pin_that_does_not_fit() {
    let pin = "0".repeat(64);
    let table = format!("{}sha256 = \"{pin}\"\n", plugin("policy", "discard", "[]"));
    let problem = load(&one_chain("[\"policy\"]", &table)).unwrap_err();
    assert!(problem.contains(&format!("but the configuration pins {pin}")), "{problem}");
}

#[test]
fn a_memory_limit_that_the_plugin_cannot_start_with() {
    let table = format!("{}[plugin.policy.limits]\nmemory = \"64 KiB\"\n", plugin("policy", "discard", "[]"));
    let problem = load(&one_chain("[\"policy\"]", &table)).unwrap_err();
    assert!(problem.contains("does not start within its limits: memory"), "{problem}");
}

/// Who must authenticate must be able to.
#[test]
fn a_door_without_a_key() {
    let delivery = plugin("delivery", "discard", "[]");
    let required =
        one_chain("[\"delivery\"]", &delivery).replace("auth-in-clear", "auth-required = true\nauth-in-clear");
    let problem = load(&required).unwrap_err();
    assert!(problem.contains("test.toml:4:17: nobody can authenticate here\n"), "{problem}");
    assert!(problem.contains("no plugin of chain \"main\" has the hook authenticate"), "{problem}");
    let plugins = format!("{delivery}{}", plugin("policy", "policy", "[]"));
    let required = one_chain("[\"policy\", \"delivery\"]", &plugins)
        .replace("auth-in-clear", "auth-required = true\nauth-in-clear");
    load(&required).unwrap();
    let problem = load(&required.replace("auth-in-clear", "extensions-off = [\"AUTH\"]\nauth-in-clear")).unwrap_err();
    assert!(problem.contains("AUTH stands in its extensions-off"), "{problem}");
}

#[test]
fn every_problem_is_told_at_once() {
    let plugins =
        [plugin("a", "maildir", "[\"log\", \"config\"]"), plugin("b", "static-auth", "[\"log\", \"config\"]")].concat();
    let problem = load(&one_chain("[\"a\", \"b\"]", &plugins)).unwrap_err();
    assert!(problem.contains("plugin \"a\"") && problem.contains("plugin \"b\""), "{problem}");
}

#[test]
fn a_port_in_use() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    let text =
        one_chain("[\"policy\"]", &plugin("policy", "discard", "[]")).replace("127.0.0.1:0", &address.to_string());
    let data = tempfile::tempdir().unwrap();
    let config = support::config(&text, data.path()).unwrap();
    let problem = support::runtime().block_on(async {
        let site = postgate::site::Site::load(&config).await.unwrap();
        postgate::server::Server::bind(&config, site).await.map(drop).unwrap_err().to_string()
    });
    assert!(problem.contains(&format!("{address} can't be listened on")) && problem.contains("bind ="), "{problem}");
}

#[test]
fn a_maildir_that_cannot_be_written_to() {
    let data = tempfile::tempdir().unwrap();
    fs::write(data.path().join("mail"), "a file in the way").unwrap();
    let table = plugin("delivery", "maildir", "[\"log\", \"config\", { maildir = \"mail\" }]");
    let config = support::config(&one_chain("[\"delivery\"]", &table), data.path()).unwrap();
    let problem = support::runtime().block_on(postgate::site::Site::load(&config)).map(drop).unwrap_err().to_string();
    assert!(problem.contains("mail can't be written to") && problem.contains("grants"), "{problem}");
}

/// A component is compiled once: the second start takes the compiled form from the cache, and one that is damaged is made anew.
#[test]
fn compiled_components_are_kept() {
    let data = tempfile::tempdir().unwrap();
    let text = one_chain("[\"policy\"]", &plugin("policy", "discard", "[]"));
    let overrides = [format!("data-dir={}", data.path().display()), "engine.instances=4".to_owned()];
    let machine = postgate::config::Machine { hostname: "mx.example.org".to_owned(), cores: 1 };
    let config = postgate::config::Config::parse(&data.path().join("test.toml"), text, &overrides, &machine).unwrap();
    let start = || support::runtime().block_on(postgate::site::Site::load(&config)).map(drop).unwrap();
    let kept = || {
        let entries = fs::read_dir(data.path().join("cache")).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| (path.clone(), fs::metadata(&path).unwrap().modified().unwrap())).collect::<Vec<_>>()
    };
    start();
    let first = kept();
    assert_eq!(first.len(), 1);
    assert!(first[0].0.extension().is_some_and(|extension| extension == "cwasm"));
    start();
    assert_eq!(kept(), first, "the second start compiles nothing");
    fs::write(&first[0].0, b"damaged").unwrap();
    start();
    assert!(fs::metadata(&first[0].0).unwrap().len() > 1000, "a damaged one is made anew");
}

/// A plugin that looks at its own table tells what is wrong where it stands, and what to do.
#[test]
fn what_a_plugin_cannot_use_is_told_at_its_line() {
    let told = |name: &str, grants: &str, config: &str, expected: &[&str]| {
        let table = format!("{}[plugin.policy.config]\n{config}\n", plugin("policy", name, grants));
        let problem = load(&one_chain("[\"policy\"]", &table)).unwrap_err();
        for text in expected {
            assert!(problem.contains(text), "{name}: {text:?} is not in:\n{problem}");
        }
    };
    let maildir = "[\"config\", \"log\", { maildir = \"mail\" }]";
    told("maildir", maildir, "path = [\"{domain}\"]", &["test.toml:1", "without {local-part} everybody"]);
    told("maildir", maildir, "", &["plugin \"policy\"", "missing field `domains`"]);
    let domains = "[\"config\", \"log\"]";
    told(
        "virtual-domains",
        domains,
        "[plugin.policy.config.domains.\"example.org\"]\nusers = [\"alice\", \"bob@example.org\"]",
        &["test.toml:1", "bob@example.org", "without @ and the domain"],
    );
    told(
        "virtual-domains",
        domains,
        "[plugin.policy.config.domains.\"example.org\"]\nforward = \"x@example.com\"\ncatch-all = \"y@example.org\"",
        &["test.toml:1", "it can't have catch-all"],
    );
    let users = "[\"config\", \"log\", \"passwords\"]";
    told(
        "static-auth",
        users,
        "[plugin.policy.config.users]\nalice = \"wonderland\"",
        &["test.toml:1", "neither an argon2id hash", "`postgate password` makes one"],
    );
    told("static-auth", users, "user = {}", &["test.toml:1", "unknown field `user`"]);
}

/// What a plugin names and was not granted it learns when it looks at its table.
#[test]
fn what_was_not_granted_is_told_at_its_line() {
    let told = |name: &str, grant: &str, config: &str, tables: &str, expected: Option<&str>| {
        let plugin = plugin("policy", name, &format!("[\"config\", \"log\", {grant}]"));
        let table = format!("{plugin}[plugin.policy.config]\n{config}\n{tables}\n");
        let loaded = load(&one_chain("[\"policy\"]", &table));
        match (loaded, expected) {
            (Ok(()), None) => {}
            (Err(problem), Some(expected)) => {
                assert!(problem.contains("test.toml:1") && problem.contains(expected), "{name}: {problem}");
            }
            (loaded, expected) => panic!("{name}: {loaded:?} instead of {expected:?}"),
        }
    };
    let relay = "[relay.upstream]\nhost = \"relay.example.org\"";
    let (named, other) = ("relay = \"upstream\"\ndomains = \"all\"", "relay = \"other\"\ndomains = \"all\"");
    told("relay", "{ submit = [\"upstream\"] }", named, relay, None);
    told("relay", "{ submit = [\"upstream\"] }", other, relay, Some("the grant names no relay \"other\""));

    let key = format!(
        "[dkim-key.ours]\ndomain = \"example.org\"\nselector = \"mail\"\nalgorithm = \"ed25519-sha256\"\nkey = {:?}",
        support::root().join("tests/authentication/ed25519.pem")
    );
    let grant = "{ signing = [\"ours\"] }";
    told("dkim-sign", grant, "seal = \"ours\"\ndomains.\"example.org\" = \"ours\"", &key, None);
    let denied = "\"theirs\" is not among the keys that were granted";
    told("dkim-sign", grant, "domains.\"example.org\" = [\"ours\", \"theirs\"]", &key, Some(denied));
    told("dkim-sign", grant, "seal = \"theirs\"\ndomains.\"example.org\" = \"ours\"", &key, Some(denied));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    fs::write(&file, "s3cret").unwrap();
    let secret = format!("[secret.hook]\nfile = {file:?}");
    let grant = "{ http = { allow = [\"https://api.example.org\"] } }, { secrets = { sign = [\"hook\"] } }";
    let config = |secret: &str| {
        format!("url = \"https://api.example.org/\"\ndomains = [\"example.org\"]\nsecret = \"{secret}\"")
    };
    told("webhook", grant, &config("hook"), &secret, None);
    told("webhook", grant, &config("other"), &secret, Some("secret \"other\" is not in the list `sign` of the grant"));
}

/// The same for all that are shipped, so that none is forgotten: a setting that none of them knows.
#[test]
fn every_shipped_plugin_looks_at_its_table() {
    let mut seen = 0;
    for entry in fs::read_dir(support::root().join("plugins")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let source = fs::read_to_string(folder.join("src/lib.rs")).unwrap_or_default();
        if name == "sdk" || !source.contains("Configuration::new()") {
            continue;
        }
        seen += 1;
        assert!(
            source.contains("impl Setup for"),
            "{name} reads its configuration, and does not check it when it is loaded"
        );
    }
    assert!(seen >= 10, "{seen}");
}
