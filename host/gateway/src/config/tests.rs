//! Whole files, and what comes of them or is said about them.

use super::tree::{Node, Value};
use super::*;
use std::path::Path;

mod doubts;
mod whole;

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
    assert!(
        config.chains["main"].links[0].on_failure.iter().all(|(_, policy)| policy == postgate_plugin::Policy::Defer)
    );
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
            let is_table = rest.starts_with('[') && rest.ends_with(']');
            is_table || rest.starts_with(&format!("{word} = ")) && !word.is_empty()
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
        "tls.",
        "dns.",
        "dkim-key.example-org.",
        "listener.smtp.",
        "listener.smtp.certificates.0.",
        "listener.smtp.client-certificates.",
        "listener.smtp.limits.",
        "chain.main.",
        "chain.main.plugins.0.",
        "plugin.policy.",
        "plugin.policy.limits.",
        "relay.upstream.",
        "relay.upstream.auth.",
        "http.web.",
        "http.web.limits.",
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
fn a_listener_has_its_own_tls_or_the_common_one() {
    let text = format!(
        "{MINIMAL}[tls]\ncertificates = [{{ chain = 'mx.pem', key = '/keys/mx' }}]\n[listener.own]\nbind = '127.0.0.1:465'\n\
         chain = 'main'\ntls = 'implicit'\nrequire-tls = true\ncertificates = [{{ chain = 'own.pem', key = 'own.key' }}]\n\
         client-certificates = {{ ca = 'ca.pem' }}\n[listener.clear]\nbind = '127.0.0.1:24'\nchain = 'main'\ntls = 'none'\n"
    );
    let config = parse(&text, &[]).unwrap();
    let certificate = |chain: &str, key: &str| Certificate { chain: chain.into(), key: key.into() };
    let common = Tls {
        start: TlsStart::Starttls,
        required: false,
        certificates: vec![certificate("etc/mx.pem", "/keys/mx")],
        client_certificates: None,
    };
    assert_eq!(config.listeners["smtp"].tls, Some(common));
    let own = Tls {
        start: TlsStart::Implicit,
        required: true,
        certificates: vec![certificate("etc/own.pem", "etc/own.key")],
        client_certificates: Some(ClientCertificates {
            ca: "etc/ca.pem".into(),
            mode: ClientCertificateMode::Optional,
        }),
    };
    assert_eq!(config.listeners["own"].tls, Some(own));
    assert_eq!(config.listeners["clear"].tls, None);
    for (listener, expected) in [("own", "etc/p.toml:16:"), ("smtp", "etc/p.toml:10:")] {
        let problem = config.certificate_problem(("listener", listener), 0, "chain", "wrong".to_owned()).to_string();
        assert!(problem.starts_with(expected), "{problem}");
    }
}

#[test]
fn stores_and_databases_have_files() {
    let text = format!("data-dir = 'data'\n{MINIMAL}grants = ['key-value', {{ sqlite = {{ size = '2 MiB' }} }}]");
    let config = parse(&text, &[]).unwrap();
    let [Grant::KeyValue(store), Grant::Sqlite(database)] = &config.plugins["policy"].grants[..] else {
        panic!("{:?}", config.plugins["policy"].grants)
    };
    assert_eq!((store.store.as_str(), store.path.as_path()), ("policy", Path::new("etc/data/stores/policy.db")));
    assert_eq!(database.path.as_path(), Path::new("etc/data/databases/policy.db"));
    assert_eq!((store.size, database.size), (Size::mib(64), Size::mib(2)));
    let shared = |size: &str| {
        format!(
            "{MINIMAL}grants = [{{ key-value = {{ store = 'shared' }} }}]\n[plugin.spare]\ncomponent = 'a'\n\
             grants = [{{ key-value = {{ store = 'shared', size = '{size}' }} }}]"
        )
    };
    assert!(parse(&shared("64 MiB"), &[]).is_ok());
    let problem = parse(&shared("65 MiB"), &[]).unwrap_err().to_string();
    assert!(problem.contains("another plugin has the store \"shared\" with other bounds"), "{problem}");
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
        (&["cache-dir"], "etc/p.toml: wrong"),
        (&["plugin", "policy", "grants"], "etc/p.toml:7:1: wrong"),
        (&["plugin", "policy", "limits", "fuel"], "--set plugin.policy.limits.fuel=5: wrong"),
    ] {
        let problem = config.problem(setting, "wrong").to_string();
        assert_eq!(problem.lines().next(), Some(expected));
    }
}

#[test]
fn the_defaults_are_those_of_the_crates() {
    let config = parse(MINIMAL, &[]).unwrap();
    let limits = crate::into::session_limits(&config.listeners["smtp"].limits);
    assert_eq!(limits, postgate_smtp::Limits::default());
    let nothing =
        crate::into::Given { relays: &Default::default(), secrets: &Default::default(), keys: &Default::default() };
    let plugin = crate::into::plugin("policy", &config.plugins["policy"], nothing);
    assert_eq!(plugin.limits, postgate_plugin::Limits::default());
}

#[test]
fn the_quickstart_is_good() {
    use argon2::{Argon2, PasswordHash, PasswordVerifier};
    let text = include_str!("../../../../examples/quickstart/postgate.toml");
    let config = parse(text, &[]).unwrap();
    assert!(config.doubts().is_empty());
    let users = config.plugins["auth"].config["users"].as_object().unwrap();
    assert_eq!(users.keys().collect::<Vec<_>>(), ["alice@example.org", "bob@example.org"]);
    for hash in users.values() {
        let hash = PasswordHash::new(hash.as_str().unwrap()).unwrap();
        assert!(Argon2::default().verify_password(b"wonderland", &hash).is_ok());
    }
}

#[test]
fn all_errors_are_told_at_once() {
    check(include_str!("tests/wrong.toml"), include_str!("tests/wrong.txt"));
}

#[test]
fn each_wrong_setting() {
    const POLICIES: &str = "none of defer, reject, skip, quarantine, disconnect";
    const EXTENSIONS: &str = "none of PIPELINING, SIZE, 8BITMIME, ENHANCEDSTATUSCODES, CHUNKING, BINARYMIME, SMTPUTF8, DSN, DELIVERBY, FUTURERELEASE, \
         MT-PRIORITY, LIMITS, REQUIRETLS, STARTTLS, AUTH, VRFY, EXPN, XCLIENT, XFORWARD, HELP";
    const SIZE: &str = "expected a size such as \"64 MiB\", \"10 MB\" or a number of octets";
    const ADDRESS: &str = "such as \"192.0.2.1:25\"";
    for (setting, expected) in [
        ("listener.smtp.bnd=127.0.0.1:2600", "unknown setting \"bnd\"".to_owned()),
        ("listener.smtp.bind=localhost", format!("\"localhost\" is not an address with a port, {ADDRESS} or \"[::]:25\"")),
        ("listener.smtp.bind=25", format!("expected an address {ADDRESS}, or a list of them, found an integer")),
        ("listener.smtp.auth-in-clear=yes", "expected true or false, found a text".to_owned()),
        ("listener.smtp.chain=mian", "there is no chain \"mian\"".to_owned()),
        ("listener.smtp.hostname=-", "\"-\" is not a domain: a label neither begins nor ends with \"-\"".to_owned()),
        ("listener.smtp.extensions-off=[\"XODD\"]", format!("\"XODD\" is {EXTENSIONS}")),
        ("listener.smtp.extensions-off=SIZE", "expected a list, found a text".to_owned()),
        ("listener.smtp.limits.message-octets=0", "must not be 0".to_owned()),
        ("listener.smtp.limits.command-patience=0 s", "must not be 0".to_owned()),
        ("listener.smtp.limits.recipients=many", "expected a whole number, 1 or more, found a text".to_owned()),
        (
            "listener.smtp.limits.message-octets=50 mb",
            "unknown unit \"mb\": expected one of B, kB, MB, GB, TB, KiB, MiB, GiB, TiB".to_owned(),
        ),
        ("listener.smtp.limits.message-octets=1.5 GiB", SIZE.to_owned()),
        ("listener.smtp.limits.message-octets=-5", format!("{SIZE}, found -5")),
        ("listener.smtp.limits.connections=99999999999999999999", "too large a number".to_owned()),
        ("chain.main.plugins=[]", "chain \"main\" has no plugins".to_owned()),
        ("chain.main.plugins.1=policy", "plugin \"policy\" stands in this chain already".to_owned()),
        ("chain.main.plugins.0.on-failure=skip", "`chain.main.plugins.0` is not a table".to_owned()),
        ("chain.main.plugins.0={ plugin = \"policy\", on-failure = \"skp\" }", format!("\"skp\" is {POLICIES}")),
        (
            "chain.main.plugins.0={ plugin = \"policy\", onfailure = \"skip\" }",
            "unknown setting \"onfailure\"".to_owned(),
        ),
        (
            "chain.main.plugins.0=5",
            "expected a plugin's name, or a table such as { plugin = \"delivery\", on-failure = \"skip\" }, found an integer"
                .to_owned(),
        ),
        ("chain.main.on-failure.tarp=skip", "unknown setting \"tarp\"".to_owned()),
        ("on-failure.reply=ignore", format!("\"ignore\" is {POLICIES}")),
        (
            "on-failure=5",
            "expected a policy such as \"defer\", or a table such as { default = \"defer\", deadline = \"skip\" }, found an \
             integer"
                .to_owned(),
        ),
        (
            "plugin.policy.sha256=abc",
            "expected a SHA-256 of 64 hexadecimal digits, as sha256sum prints it".to_owned(),
        ),
        ("plugin.policy.instance=shared", "\"shared\" is none of session, call".to_owned()),
        (
            "plugin.policy.grants=[\"sql\"]",
            "\"sql\" is none of log, config, passwords, maildir, key-value, sqlite, sockets, files, submit, metrics, secrets, http, dns, mail-authentication, signing"
                .to_owned(),
        ),
        ("plugin.policy.grants=[\"log\", \"log\"]", "\"log\" is granted already".to_owned()),
        ("plugin.policy.grants=[{ log = true }]", "\"log\" takes no value: write it as a text".to_owned()),
        ("plugin.policy.grants=[{ maildir = \"\" }]", "an empty path".to_owned()),
        ("plugin.policy.grants=[{ key-value = { siez = 1 } }]", "unknown setting \"siez\"".to_owned()),
        ("plugin.policy.grants=[{ key-value = { entries = 0 } }]", "expected a whole number, 1 or more, found 0".to_owned()),
        ("plugin.policy.grants=[{ key-value = { store = \"../x\" } }]", "\"../x\" can't be the name of a store".to_owned()),
        ("plugin.policy.grants=[{ sqlite = { size = \"1 GB\", path = \"x\" } }]", "unknown setting \"path\"".to_owned()),
        ("plugin.policy.grants=[{ sqlite = 5 }]", "expected a table of a database's settings, found an integer".to_owned()),
        ("plugin.policy.grants=[{ maildir = \"a\", log = 1 }]", "expected a table with one key".to_owned()),
        ("plugin.policy.config.x=inf", "expected a finite number".to_owned()),
        ("plugin.policy.config=text", "expected a table, found a text".to_owned()),
        ("plugin.policy.limits.fuel=0", "must not be 0".to_owned()),
        (
            "plugin.policy.limits.deadline=10",
            "expected a period such as \"500 ms\", \"10 s\", \"5 min\", \"1 h\" or \"2 d\", found an integer".to_owned(),
        ),
        ("plugin.policy.limits.memory=300 MiB", "more than engine.memory-max, which is 256 MiB".to_owned()),
        ("plugin.policy.limits.instances=4001", "more than engine.instances, which is 4000".to_owned()),
        (
            "plugin.policy.limits.table-elements=5000000000",
            "expected a whole number from 0 to 4294967295, found 5000000000".to_owned(),
        ),
        ("plugin.policy.component=", "an empty path".to_owned()),
        ("plugin.\"a b\".component=x", "\"a b\" can't be the name of a plugin".to_owned()),
        ("data-dir=", "an empty path".to_owned()),
        ("log.format=xml", "\"xml\" is none of text, json".to_owned()),
    ] {
        check_set(&[setting], &[&format!("--set {setting}: {expected}")]);
    }
}

#[test]
fn settings_that_are_wrong_together() {
    check_set(
        &[
            "listener.two={ bind = \"0.0.0.0:25\", chain = \"main\" }",
            "listener.three={ bind = \"127.0.0.1:0\", chain = \"main\" }",
        ],
        &[
            "--set listener.two={ bind = \"0.0.0.0:25\", chain = \"main\" }: 0.0.0.0:25 is the address of listener \"smtp\" \
           already",
        ],
    );
    let web = |bind: &str, mounts: &str| format!("http.web={{ bind = \"{bind}\", mounts = [{mounts}] }}");
    let metrics = "{ path = \"/m\", metrics = true }";
    let twice = web("0.0.0.0:25", &format!("{metrics}, {{ path = \"/m\", host = \"mx\", metrics = true }}, {metrics}"));
    check_set(
        &[&twice],
        &[
            &format!("--set {twice}: 0.0.0.0:25 is the address of listener \"smtp\" already"),
            &format!("--set {twice}: another mount has this path already, for the same host"),
        ],
    );
    check_set(
        &["nonsense", "log.level=loud"],
        &[
            "--set nonsense: expected KEY=VALUE",
            "--set log.level=loud: \"loud\" is none of error, warn, info, debug, trace",
        ],
    );
}

#[test]
fn each_wrong_setting_before_the_banner() {
    for (setting, expected) in [
        (
            "listener.smtp.proxy-from=[\"localhost\"]",
            "\"localhost\" is no address and no network, such as \"192.0.2.1\", \"10.0.0.0/8\" or \"2001:db8::/32\"",
        ),
        ("listener.smtp.xclient-from=::1", "expected a list, found a text"),
        (
            "listener.smtp.banner-delay=301 s",
            "more than 5 min: clients do not wait longer (RFC 5321 section 4.5.3.2.1)",
        ),
    ] {
        check_set(&[setting], &[&format!("--set {setting}: {expected}")]);
    }
}

#[test]
fn each_wrong_setting_of_tls() {
    for (setting, expected) in [
        ("listener.smtp.tls=starttsl", "\"starttsl\" is none of implicit, starttls, none"),
        ("listener.smtp.tls=implicit", "there is no certificate for this listener"),
        ("listener.smtp.require-tls=true", "there is no TLS on this listener"),
        ("listener.smtp.client-certificates={ ca = \"ca.pem\" }", "there is no TLS on this listener"),
        (
            "listener.smtp.certificates=[\"mx.pem\"]",
            "expected a table such as { chain = \"mx.pem\", key = \"mx.key\" }, found a text",
        ),
        ("listener.smtp.certificates=[{ chain = \"mx.pem\" }]", "\"key\" is missing"),
        ("tls.certificates=[{ chain = \"\", key = \"mx.key\" }]", "an empty path"),
        ("tls.check-period=0 s", "must not be 0"),
        ("listener.smtp.limits.handshake-patience=0 s", "must not be 0"),
    ] {
        check_set(&[setting], &[&format!("--set {setting}: {expected}")]);
    }
}

#[test]
fn each_wrong_setting_of_relays() {
    let auth =
        "relay.up={ host = \"x\", tls = \"opportunistic\", auth = { user = \"u\", password = { secret = \"p\" } } }";
    for (setting, expected) in [
        ("relay.up={ host = \"\" }", "an empty name"),
        ("relay.up={ port = 25 }", "\"host\" is missing"),
        ("relay.up={ host = \"x\", tls = \"maybe\" }", "\"maybe\" is none of required, implicit, opportunistic, none"),
        ("relay.up={ host = \"x\", end-patience = \"0 s\" }", "must not be 0"),
        (auth, "a password would be told to a server that nobody has verified: set tls = \"required\""),
        ("plugin.policy.grants=[{ submit = [] }]", "there is no relay"),
        ("plugin.policy.grants=[{ submit = [\"up\"] }]", "there is no relay \"up\""),
    ] {
        let secret = "secret.p={ env = \"P\" }";
        check_set(&[secret, setting], &[&format!("--set {setting}: {expected}")]);
    }
}
