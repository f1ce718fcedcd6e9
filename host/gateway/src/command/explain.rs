//! `postgate explain`: for each listener, who is asked at which hook, what each plugin may use, and what is done when it fails; then relays, stores, keys and
//! HTTP listeners.
//!
//! It looks at the components' exports without compiling them, and changes nothing on the disk.

mod services;
mod text;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use postgate_plugin::{Hash, Hook, HookSet, Keep, OnFailure};
use serde::Serialize;

use super::{Exit, Failure, Format, to_json};

use crate::config::{
    Config, Extension, Grant, Listener, ListenerLimits, MixedOutcomes, Network, Period, Plugin, PluginLimits, Problem,
    Problems, Protocol, Tls,
};
use services::Services;

pub(super) fn explain(config: &Config, listener: Option<&str>, format: Format) -> Result<String, Failure> {
    if let Some(name) = listener.filter(|name| !config.listeners.contains_key(*name)) {
        let known: Vec<&str> = config.listeners.keys().map(String::as_str).collect();
        let text = format!("there is no listener \"{}\"; there are: {}", name.escape_debug(), known.join(", "));
        return Err(Failure::new(Exit::Usage, text));
    }
    let explanation = explanation(config, listener, &hooks(config)?);
    match format {
        Format::Text => Ok(explanation.text()),
        Format::Json => to_json(&explanation),
    }
}

/// Hooks by the plugin's name.
type Hooks = BTreeMap<String, HookSet>;

fn hooks(config: &Config) -> Result<Hooks, Problems> {
    let mut problems = Vec::new();
    let mut found = Hooks::new();
    for (name, plugin) in &config.plugins {
        let hooks = postgate_plugin::anatomy(&plugin.component).and_then(|anatomy| postgate_plugin::hooks(&anatomy));
        match hooks {
            Ok(hooks) => {
                found.insert(name.clone(), hooks);
            }
            Err(error) => problems.push(problem(config, name, &error)),
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(Problems::new(problems)) }
}

fn problem(config: &Config, plugin: &str, error: &postgate_plugin::LoadError) -> Problem {
    let message = format!("plugin \"{plugin}\": {}", crate::site::chained(error));
    config.problem(&["plugin", plugin, "component"], message)
}

#[derive(Debug, Serialize)]
struct Explanation<'a> {
    listeners: Vec<ListenerPart<'a>>,
    #[serde(flatten)]
    services: Services<'a>,
}

/// Whether clients can authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum AuthOffer {
    InClear,
    BelowTls,
    NoHook,
    SwitchedOff,
    NoTls,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct ListenerPart<'a> {
    name: &'a str,
    bind: &'a [SocketAddr],
    hostname: &'a str,
    chain: &'a str,
    auth_offered: AuthOffer,
    auth_in_clear: bool,
    auth_required: bool,
    auth_mechanisms: &'a [crate::config::Mechanism],
    xclient_from: &'a [Network],
    proxy_from: &'a [Network],
    banner_delay: Period,
    extensions_on: &'a [Extension],
    tls: Option<&'a Tls>,
    extensions_off: &'a [Extension],
    protocol: Protocol,
    mixed_outcomes: MixedOutcomes,
    limits: &'a ListenerLimits,
    hooks: Vec<HookPart<'a>>,
    plugins: Vec<PluginPart<'a>>,
}

#[derive(Debug, Serialize)]
struct HookPart<'a> {
    hook: &'static str,
    /// Who is asked, in order.
    plugins: Vec<&'a str>,
    /// What the host does when nobody has an opinion.
    otherwise: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct PluginPart<'a> {
    name: &'a str,
    component: String,
    sha256: Option<Hash>,
    instance: Keep,
    grants: &'a [Grant],
    limits: &'a PluginLimits,
    on_failure: OnFailure,
}

fn explanation<'a>(config: &'a Config, only: Option<&str>, hooks: &Hooks) -> Explanation<'a> {
    let chosen = config.listeners.iter().filter(|(name, _)| only.is_none_or(|only| only == name.as_str()));
    let chosen: Vec<_> = chosen.collect();
    let links = |listener: &Listener| config.chains.get(&listener.chain).map_or(&[][..], |chain| &chain.links);
    let is_asked =
        |plugin: &str| chosen.iter().any(|(_, listener)| links(listener).iter().any(|link| link.plugin == plugin));
    let plugins: Vec<(&str, &Plugin)> = config
        .plugins
        .iter()
        .map(|(name, plugin)| (name.as_str(), plugin))
        .filter(|(name, _)| only.is_none() || is_asked(name))
        .collect();
    Explanation {
        services: Services::of(config, &plugins, only.is_none()),
        listeners: chosen.iter().map(|(name, listener)| listener_part(config, name, listener, hooks)).collect(),
    }
}

/// Whether and where AUTH is offered, as the site will have it.
fn auth_offer(listener: &Listener, has_hook: bool) -> AuthOffer {
    if !has_hook {
        AuthOffer::NoHook
    } else if listener.extensions_off.contains(&Extension(postgate_smtp::Extension::Auth)) {
        AuthOffer::SwitchedOff
    } else if listener.auth_in_clear {
        AuthOffer::InClear
    } else if listener.tls.is_some() {
        AuthOffer::BelowTls
    } else {
        AuthOffer::NoTls
    }
}

fn listener_part<'a>(config: &'a Config, name: &'a str, listener: &'a Listener, hooks: &Hooks) -> ListenerPart<'a> {
    let links = config.chains.get(&listener.chain).map_or(&[][..], |chain| &chain.links);
    let asked = |hook: Hook| -> Vec<&'a str> {
        let asked = links.iter().filter(|link| hooks.get(&link.plugin).is_some_and(|hooks| hooks.contains(hook)));
        asked.map(|link| link.plugin.as_str()).collect()
    };
    let plugins = links.iter().filter_map(|link| {
        let plugin = config.plugins.get(&link.plugin)?;
        Some(PluginPart {
            name: &link.plugin,
            component: plugin.component.display().to_string(),
            sha256: plugin.sha256,
            instance: plugin.instance,
            grants: &plugin.grants,
            limits: &plugin.limits,
            on_failure: link.on_failure,
        })
    });
    ListenerPart {
        name,
        bind: &listener.bind,
        hostname: listener.hostname.as_str(),
        chain: &listener.chain,
        auth_offered: auth_offer(listener, !asked(Hook::Authenticate).is_empty()),
        auth_in_clear: listener.auth_in_clear,
        auth_required: listener.auth_required,
        auth_mechanisms: &listener.auth_mechanisms,
        xclient_from: &listener.xclient_from,
        proxy_from: &listener.proxy_from,
        banner_delay: listener.banner_delay,
        extensions_on: &listener.extensions_on,
        tls: listener.tls.as_ref(),
        extensions_off: &listener.extensions_off,
        protocol: listener.protocol,
        mixed_outcomes: listener.mixed_outcomes,
        limits: &listener.limits,
        hooks: Hook::ALL
            .into_iter()
            .map(|hook| HookPart { hook: hook.name(), plugins: asked(hook), otherwise: hook.default_decision() })
            .collect(),
        plugins: plugins.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Machine;
    use std::path::Path;

    const FILE: &str = r#"
data-dir = "/data"
plugin-dir = "/plugins"
[listener.smtp]
bind = "127.0.0.1:2525"
chain = "main"
auth-in-clear = true
[listener.other]
bind = "127.0.0.1:2526"
chain = "main"
tls = "implicit"
certificates = [{ chain = "mx.pem", key = "mx.key" }]
client-certificates = { ca = "ca.pem" }
require-tls = true
proxy-from = ["10.0.0.0/8", "::1"]
xclient-from = ["192.0.2.1"]
banner-delay = "5 s"
[chain.main]
plugins = ["auth", { plugin = "delivery", on-failure = { deadline = "skip" } }]
[plugin.auth]
component = "static-auth.wasm"
grants = ["log", "passwords"]
[plugin.delivery]
component = "maildir.wasm"
grants = [{ maildir = "mail" }]
instance = "call"
limits.memory = "16 MiB"
"#;

    fn config() -> Config {
        let machine = Machine { hostname: "mx.example.org".to_owned(), cores: 2 };
        Config::parse(Path::new("p.toml"), FILE.to_owned(), &[], &machine).unwrap()
    }

    fn hooks() -> Hooks {
        let set = |hooks: &[Hook]| {
            let mut set = HookSet::default();
            hooks.iter().for_each(|hook| set.insert(*hook));
            set
        };
        [
            ("auth".to_owned(), set(&[Hook::Authenticate, Hook::Observe])),
            ("delivery".to_owned(), set(&[Hook::Deliver, Hook::Observe])),
        ]
        .into()
    }

    #[test]
    fn as_text() {
        let config = config();
        let text = explanation(&config, Some("smtp"), &hooks()).text();
        let expected = "listener smtp
  bind        127.0.0.1:2525
  hostname    mx.example.org
  chain       main
  protocol    SMTP, one reply to a message: the worst outcome
  TLS         none
  AUTH        offered in clear
  mechanisms  PLAIN LOGIN
  guesses     3 failures in a session, 20 of a network in 10 min, the first reply held back for 1 s

  hook          asked, in order  when nobody has an opinion
";
        assert_eq!(text.get(..expected.len()), Some(expected), "{text}");
        for line in [
            "  authenticate  auth             535",
            "  recipient     -                550 5.7.1",
            "  observe       auth delivery    nothing",
            "  auth      session   log, passwords      /plugins/static-auth.wasm",
            "  delivery  call      maildir /data/mail  /plugins/maildir.wasm",
            "  delivery  1,000,000,000  16 MiB  10 s",
            "  auth        defer  defer  defer   defer     defer        defer",
            "  delivery    defer  defer  defer   skip      defer        defer",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn tls_as_text() {
        let config = config();
        let text = explanation(&config, Some("other"), &hooks()).text();
        let expected = "  TLS         implicit, required before mail, client certificates optional: mx.pem\n";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn the_door_as_text() {
        let config = config();
        let text = explanation(&config, Some("other"), &hooks()).text();
        let expected = "  PROXY       required from 10.0.0.0/8 ::1
  XCLIENT     from 192.0.2.1
  banner      after 5 s of silence
";
        assert!(text.contains(expected), "{text}");
    }

    /// More of everything: listeners that differ, and what plugins are given.
    const MORE: &str = r#"
[listener.local]
bind = "127.0.0.1:2527"
chain = "deliver"
protocol = "lmtp"
auth-mechanisms = ["PLAIN"]
extensions-on = ["DSN"]
extensions-off = ["VRFY", "HELP"]
[listener.quiet]
bind = "127.0.0.1:2528"
chain = "main"
extensions-off = ["AUTH"]
[listener.late]
bind = "127.0.0.1:2529"
chain = "main"
mixed-outcomes = "one-recipient"
[chain.deliver]
plugins = ["delivery"]
[plugin.policy]
component = "greylist.wasm"
grants = ["key-value", { sqlite = { size = "2 MiB" } }, { signing = ["own"] }, { submit = ["spare", "upstream"] }]
[plugin.counter]
component = "counter.wasm"
grants = [{ key-value = { store = "policy" } }, { http = { allow = ["https://api.example.org"] } }]
[relay.upstream]
host = "smtp.example.org"
auth = { user = "gateway", password = { secret = "upstream" } }
[relay.spare]
host = "spare.example.org"
addresses = ["192.0.2.9"]
port = 24
protocol = "lmtp"
tls = "implicit"
certificate = { chain = "own.pem", key = "own.key" }
auth = { mechanism = "EXTERNAL" }
[secret.upstream]
env = "UPSTREAM"
[dkim-key.own]
domain = "example.org"
selector = "s1"
algorithm = "ed25519-sha256"
key = "own.key"
[http.web]
bind = "127.0.0.1:9090"
mounts = [{ path = "/", host = "a.example", plugin = "counter" }, { path = "/metrics", metrics = true }]
"#;

    fn more() -> Config {
        let machine = Machine { hostname: "mx.example.org".to_owned(), cores: 2 };
        Config::parse(Path::new("p.toml"), format!("{FILE}{MORE}"), &[], &machine)
            .unwrap_or_else(|problems| panic!("{problems}"))
    }

    #[test]
    fn where_auth_is_offered() {
        let config = more();
        let check = |listener: &str, expected: &str, json: &str| {
            let explanation = explanation(&config, Some(listener), &hooks());
            let text = explanation.text();
            let row = text.lines().find(|line| line.starts_with("  AUTH ")).unwrap_or_default();
            assert_eq!(row.split_whitespace().collect::<Vec<_>>().join(" "), format!("AUTH {expected}"), "{text}");
            let found: serde_json::Value = serde_json::from_str(&to_json(&explanation).unwrap()).unwrap();
            assert_eq!(found["listeners"][0]["auth-offered"], json);
            assert_eq!(text.contains("mechanisms"), expected.starts_with("offered"), "{text}");
        };
        check("smtp", "offered in clear", "in-clear");
        check("other", "offered below TLS", "below-tls");
        check("local", "not offered: no plugin of the chain has the hook authenticate", "no-hook");
        check("quiet", "not offered: it stands in extensions-off", "switched-off");
        check("late", "not offered: auth-in-clear is false, and there is no TLS", "no-tls");
    }

    #[test]
    fn protocols_and_extensions_as_text() {
        let config = more();
        let text = explanation(&config, Some("local"), &hooks()).text();
        for line in [
            "  protocol      LMTP, a reply to a message for each recipient\n",
            "  switched on   DSN\n",
            "  switched off  VRFY HELP\n",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        let text = explanation(&config, Some("late"), &hooks()).text();
        assert!(text.contains("  protocol  SMTP, one recipient in a transaction\n"), "{text}");
    }

    #[test]
    fn what_plugins_are_given_as_text() {
        let config = more();
        let text = explanation(&config, None, &hooks()).text();
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let lines: Vec<String> = text.lines().map(words).collect();
        for line in [
            "relay host TLS AUTH connections idle for plugins",
            "spare spare.example.org (192.0.2.9), port 24, LMTP implicit, verified, with a certificate of ours \
             whom the certificate names by EXTERNAL 10 30 s policy",
            "upstream smtp.example.org, port 587, SMTP STARTTLS, verified gateway, secret upstream 10 30 s policy",
            "key-value /data/stores/policy.db 64 MiB counter policy",
            "sqlite /data/databases/policy.db 2 MiB policy",
            "own example.org s1 own.key policy",
            "http web",
            "bind 127.0.0.1:9090",
            "/ a.example counter",
            "/metrics any the gateway, with its metrics",
        ] {
            assert!(lines.iter().any(|found| found == line), "{line} is not in\n{text}");
        }
        // What the plugins of one listener have.
        let text = explanation(&config, Some("smtp"), &hooks()).text();
        assert!(!text.contains("upstream") && !text.contains("http web") && !text.contains(".db"), "{text}");
    }

    #[test]
    fn what_plugins_are_given_as_json() {
        let json = to_json(&explanation(&more(), None, &hooks())).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["relays"][1]["name"], "upstream");
        assert_eq!(json["relays"][1]["tls"], "required");
        assert_eq!(json["relays"][1]["auth"]["password"]["secret"], "upstream");
        assert_eq!(json["relays"][1]["plugins"][0], "policy");
        assert_eq!(json["stores"][1]["entries"], 1_000_000);
        assert_eq!(json["stores"][1]["plugins"], serde_json::json!(["counter", "policy"]));
        assert_eq!(json["dkim-keys"][0]["selector"], "s1");
        assert_eq!(json["http"][0]["mounts"][1]["target"], "metrics");
        let late = json["listeners"].as_array().unwrap().iter().find(|part| part["name"] == "late").unwrap();
        assert_eq!(late["mixed-outcomes"], "one-recipient");
        assert_eq!(late["limits"]["auth-failures-per-address"], 20);
    }

    #[test]
    fn as_json() {
        let config = config();
        let json = to_json(&explanation(&config, None, &hooks())).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["listeners"].as_array().map(Vec::len), Some(2));
        assert_eq!(json["listeners"][0]["tls"]["client-certificates"]["mode"], "optional");
        assert_eq!(json["listeners"][0]["proxy-from"][0], "10.0.0.0/8");
        let smtp = &json["listeners"][1];
        assert_eq!(smtp["name"], "smtp");
        assert_eq!(smtp["hooks"].as_array().map(Vec::len), Some(Hook::ALL.len()));
        assert_eq!(smtp["plugins"][1]["on-failure"]["deadline"], "skip");
        assert_eq!(smtp["plugins"][1]["grants"][0]["maildir"], "/data/mail");
        assert_eq!(smtp["plugins"][1]["limits"]["memory"], "16 MiB");
    }

    #[test]
    fn what_can_not_be_explained() {
        let config = config();
        let unknown = explain(&config, Some("stmp"), Format::Text).unwrap_err();
        assert_eq!(unknown.exit, Exit::Usage);
        assert_eq!(unknown.text, "there is no listener \"stmp\"; there are: other, smtp");
        let missing = explain(&config, None, Format::Text).unwrap_err();
        assert_eq!(missing.exit, Exit::Config);
        assert!(
            missing.text.contains("p.toml:21:13: plugin \"auth\": /plugins/static-auth.wasm can't be read"),
            "{}",
            missing.text
        );
        assert!(missing.text.ends_with("2 errors"), "{}", missing.text);
    }
}
