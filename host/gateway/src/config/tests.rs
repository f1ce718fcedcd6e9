//! Whole files, and what comes of them or is said about them.

use super::tree::{Node, Value};
use super::*;
use std::path::Path;

const MINIMAL: &str = r#"
[listener.smtp]
bind = ["0.0.0.0:25", "[::]:25"]
chain = "main"
[chain.main]
plugins = ["policy"]
[plugin.policy]
component = "virtual-domains.wasm"
"#;

fn machine() -> Machine {
    Machine { hostname: "Machine.example.net".to_owned(), cores: 2 }
}

fn parse(text: &str, overrides: &[&str]) -> Result<Config, String> {
    let overrides: Vec<String> = overrides.iter().map(|argument| (*argument).to_owned()).collect();
    Config::parse(Path::new("etc/p.toml"), text.to_owned(), &overrides, &machine())
        .map_err(|problems| problems.to_string())
}

/// The file's errors, each in its whole text.
fn check(text: &str, expected: &str) {
    let problems = parse(text, &[]).expect_err(text);
    assert_eq!(problems, expected.trim_matches('\n'), "\n{problems}\n");
}

/// The first lines of the errors, for a file that is good but for these settings.
fn check_set(overrides: &[&str], expected: &[&str]) {
    let problems = parse(MINIMAL, overrides).expect_err("must be refused");
    let first_lines: Vec<&str> = problems.split("\n\n").map(|problem| problem.lines().next().unwrap_or("")).collect();
    assert_eq!(first_lines, expected, "\n{problems}\n");
}

#[test]
fn a_small_file_is_enough() {
    let config = parse(MINIMAL, &[]).unwrap();
    assert_eq!(config.hostname.as_str(), "machine.example.net");
    assert_eq!(config.cache_dir, Path::new("/var/lib/postgate/cache"));
    assert_eq!(config.engine.workers, Count::at_least_one(2));
    let listener = &config.listeners["smtp"];
    assert_eq!(listener.hostname, config.hostname);
    assert_eq!(listener.bind.len(), 2);
    assert!(!listener.auth_in_clear);
    let plugin = &config.plugins["policy"];
    assert_eq!(plugin.component, Path::new("/usr/lib/postgate/plugins/virtual-domains.wasm"));
    assert_eq!(plugin.limits.instances, config.engine.instances);
    assert!(config.chains["main"].links[0].on_failure.iter().all(|(_, policy)| policy == Policy::Defer));
}

#[test]
fn the_reference_shows_the_defaults() {
    let reference = parse(REFERENCE, &[]).unwrap();
    let minimal = parse(MINIMAL, &[]).unwrap();
    let shown = |config: &Config| {
        let mut config = config.clone();
        config.origins.sources = Default::default();
        config.origins.root = Node { span: 0..0, value: Value::Boolean(true) };
        // Relative to the file, but both files stand at the same place.
        format!("{config:#?}")
    };
    assert_eq!(shown(&reference), shown(&minimal));
}

/// The reference with the settings that it shows behind `#`.
fn full_reference() -> String {
    let uncommented = |line: &str| {
        let setting = line.strip_prefix("# ").filter(|rest| {
            let word = rest.split(' ').next().unwrap_or("");
            rest.starts_with(&format!("{word} = ")) && !word.is_empty()
        });
        setting.unwrap_or(line).to_owned()
    };
    REFERENCE.lines().map(uncommented).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_reference_lacks_no_setting() {
    let text = full_reference();
    parse(&text, &[]).unwrap();
    // A key that nobody knows makes each table say which keys it knows.
    let tables = [
        "",
        "on-failure.",
        "log.",
        "engine.",
        "listener.smtp.",
        "listener.smtp.limits.",
        "chain.main.",
        "chain.main.plugins.0.",
        "plugin.policy.",
        "plugin.policy.limits.",
    ];
    let table = toml::from_str::<toml::Table>(&text).unwrap();
    for prefix in tables {
        let problems = parse(&text, &[&format!("{prefix}qqqqqqqqqq=1")]).unwrap_err();
        let (_, known) = problems.split_once("known here are: ").expect(&problems);
        let mut at = toml::Value::Table(table.clone());
        for step in prefix.split_terminator('.') {
            at = step.parse::<usize>().map_or_else(|_| at[step].clone(), |item| at[item].clone());
        }
        for key in known.split(", ") {
            assert!(at.get(key).is_some(), "reference.toml lacks {prefix}{key}");
        }
    }
}

#[test]
fn paths_are_relative_to_who_wrote_them() {
    let text = format!("data-dir = 'data'\nplugin-dir = '../plugins'\n{MINIMAL}grants = [{{ maildir = 'mail' }}]");
    let config = parse(&text, &[]).unwrap();
    assert_eq!(config.data_dir, Path::new("etc/data"));
    assert_eq!(config.cache_dir, Path::new("etc/data/cache"));
    assert_eq!(config.plugins["policy"].component, Path::new("etc/../plugins/virtual-domains.wasm"));
    assert_eq!(config.plugins["policy"].grants, [Grant::Maildir("etc/data/mail".into())]);
    let config = parse(&text, &["data-dir=here", "plugin-dir=/there"]).unwrap();
    assert_eq!(config.data_dir, Path::new("here"));
    assert_eq!(config.cache_dir, Path::new("here/cache"));
    assert_eq!(config.plugins["policy"].component, Path::new("/there/virtual-domains.wasm"));
    assert_eq!(config.plugins["policy"].grants, [Grant::Maildir("here/mail".into())]);
}

#[test]
fn the_innermost_failure_policy_holds() {
    let text = r#"
on-failure = { trap = "disconnect", default = "reject" }
[chain.main]
plugins = ["policy", { plugin = "other", on-failure = { fuel = "skip" } }, { plugin = "third", on-failure = "quarantine" }]
on-failure = { memory = "skip" }
[plugin]
policy.component = "a"
other.component = "a"
third.component = "a"
[listener.smtp]
bind = "127.0.0.1:0"
chain = "main"
"#;
    let config = parse(text, &[]).unwrap();
    let words = |n: usize| {
        let on_failure = config.chains["main"].links[n].on_failure;
        on_failure.iter().map(|(_, policy)| policy.name()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(words(0), "disconnect reject skip reject reject reject");
    assert_eq!(words(1), "disconnect skip skip reject reject reject");
    assert_eq!(words(2), "quarantine quarantine quarantine quarantine quarantine quarantine");
}

#[test]
fn a_plugins_table_is_json() {
    let config = parse(
        MINIMAL,
        &[
            r#"plugin.policy.config={ since = 2026-11-22T10:00:00Z, n = -1, x = 0.5, list = [true, "a"] }"#,
            r#"plugin.policy.config.domains."example.org".users=["alice"]"#,
        ],
    );
    let json = serde_json::to_string(&config.unwrap().plugins["policy"].config).unwrap();
    assert_eq!(
        json,
        r#"{"domains":{"example.org":{"users":["alice"]}},"list":[true,"a"],"n":-1,"since":"2026-11-22T10:00:00Z","x":0.5}"#
    );
}

#[test]
fn a_problem_found_later_has_its_line() {
    let config = parse(MINIMAL, &["plugin.policy.limits.fuel=5"]).unwrap();
    for (setting, expected) in [
        (&["plugin", "policy", "component"] as &[&str], "etc/p.toml:8:13: wrong"),
        (&["chain", "main", "plugins", "0"], "etc/p.toml:6:12: wrong"),
        (&["plugin", "policy", "grants"], "etc/p.toml:7:1: wrong"),
        (&["plugin", "policy", "limits", "fuel"], "--set plugin.policy.limits.fuel=5: wrong"),
    ] {
        let problem = config.problem(setting, "wrong").to_string();
        assert_eq!(problem.lines().next(), Some(expected));
    }
}
