//! `postgate explain`: for each listener, who is asked at which hook, what each plugin may use, and what is done when it fails.
//!
//! It looks at the components' exports without compiling them, and changes nothing on the disk.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use postgate_plugin::{Hook, HookSet};
use serde::Serialize;

use super::table::{grouped, table};
use super::{Exit, Failure, Format, to_json};
use postgate_plugin::{Cause, Hash, Keep, OnFailure};

use crate::config::{
    ClientCertificateMode, Config, Directory, Grant, Listener, ListenerLimits, Network, Period, PluginLimits, Problem,
    Problems, Tls, TlsStart,
};

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
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct ListenerPart<'a> {
    name: &'a str,
    bind: &'a [SocketAddr],
    hostname: &'a str,
    chain: &'a str,
    auth_in_clear: bool,
    auth_required: bool,
    auth_mechanisms: &'a [crate::config::Mechanism],
    xclient_from: &'a [Network],
    proxy_from: &'a [Network],
    banner_delay: Period,
    extensions_on: &'a [crate::config::Extension],
    tls: Option<&'a Tls>,
    extensions_off: &'a [crate::config::Extension],
    protocol: crate::config::Protocol,
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
    Explanation { listeners: chosen.map(|(name, listener)| listener_part(config, name, listener, hooks)).collect() }
}

fn listener_part<'a>(config: &'a Config, name: &'a str, listener: &'a Listener, hooks: &Hooks) -> ListenerPart<'a> {
    let links = config.chains.get(&listener.chain).map_or(&[][..], |chain| &chain.links);
    let asked = |hook: Hook| {
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
        limits: &listener.limits,
        hooks: Hook::ALL
            .into_iter()
            .map(|hook| HookPart { hook: hook.name(), plugins: asked(hook), otherwise: hook.default_decision() })
            .collect(),
        plugins: plugins.collect(),
    }
}

impl Explanation<'_> {
    fn text(&self) -> String {
        self.listeners.iter().map(ListenerPart::text).collect::<Vec<_>>().join("\n")
    }
}

impl ListenerPart<'_> {
    fn text(&self) -> String {
        let bind: Vec<String> = self.bind.iter().map(SocketAddr::to_string).collect();
        let auth = if self.auth_in_clear { "offered in clear" } else { "not offered in clear" };
        let required = if self.auth_required { ", required before mail" } else { "" };
        let networks = |networks: &[Network]| networks.iter().map(Network::to_string).collect::<Vec<_>>().join(" ");
        let mut facts = vec![
            ("bind", bind.join(" ")),
            ("hostname", self.hostname.to_owned()),
            ("chain", self.chain.to_owned()),
            ("TLS", self.tls.map_or("none".to_owned(), tls)),
            ("AUTH", format!("{auth}{required}")),
        ];
        // Most listeners have none of these.
        if !self.proxy_from.is_empty() {
            facts.push(("PROXY", format!("required from {}", networks(self.proxy_from))));
        }
        if !self.xclient_from.is_empty() {
            facts.push(("XCLIENT", format!("from {}", networks(self.xclient_from))));
        }
        if self.banner_delay > Period::seconds(0) {
            facts.push(("banner", format!("after {} of silence", self.banner_delay)));
        }
        let title = [["hook", "asked, in order", "when nobody has an opinion"].map(str::to_owned)];
        let hooks = self
            .hooks
            .iter()
            .map(|part| [part.hook.to_owned(), or_dash(part.plugins.join(" ")), part.otherwise.to_owned()]);
        let mut text = format!("listener {}\n", self.name);
        text += &table(&facts.into_iter().map(|(name, fact)| [name.to_owned(), fact]).collect::<Vec<_>>(), 2);
        text += "\n";
        text += &table(&title.into_iter().chain(hooks).collect::<Vec<_>>(), 2);
        text += "\n";
        text += &self.plugins();
        text += "\n";
        text += &self.limits();
        text += "\n";
        text += &self.failures();
        text
    }

    fn plugins(&self) -> String {
        let title = ["plugin", "instance", "grants", "component"].map(str::to_owned);
        let rows = self.plugins.iter().map(|plugin| {
            let grants: Vec<String> = plugin.grants.iter().map(grant).collect();
            [
                plugin.name.to_owned(),
                plugin.instance.name().to_owned(),
                or_dash(grants.join(", ")),
                plugin.component.clone(),
            ]
        });
        table(&std::iter::once(title).chain(rows).collect::<Vec<_>>(), 2)
    }

    fn limits(&self) -> String {
        let title = [
            "limits",
            "fuel",
            "memory",
            "deadline",
            "instances",
            "tables",
            "services",
            "log",
            "notes",
            "edits",
            "transfer",
        ];
        let rows = self.plugins.iter().map(|plugin| {
            let limits = plugin.limits;
            [
                plugin.name.to_owned(),
                grouped(limits.fuel),
                limits.memory.to_string(),
                limits.deadline.to_string(),
                limits.instances.to_string(),
                grouped(limits.table_elements.into()),
                grouped(limits.service_calls.into()),
                limits.log_octets.to_string(),
                limits.note_octets.to_string(),
                limits.edit_octets.to_string(),
                limits.transfer_octets.to_string(),
            ]
        });
        table(&std::iter::once(title.map(str::to_owned)).chain(rows).collect::<Vec<_>>(), 2)
    }

    fn failures(&self) -> String {
        let [a, b, c, d, e, f] = Cause::ALL.map(|cause| cause.name().to_owned());
        let title = ["on failure".to_owned(), a, b, c, d, e, f];
        let rows = self.plugins.iter().map(|plugin| {
            let mut row = [plugin.name; 1 + Cause::ALL.len()];
            for (cell, (_, policy)) in row.iter_mut().skip(1).zip(plugin.on_failure.iter()) {
                *cell = policy.name();
            }
            row.map(str::to_owned)
        });
        table(&std::iter::once(title).chain(rows).collect::<Vec<_>>(), 2)
    }
}

fn grant(grant: &Grant) -> String {
    match grant {
        Grant::Log | Grant::Config | Grant::Passwords | Grant::Metrics | Grant::Dns | Grant::MailAuthentication => {
            grant.name().to_owned()
        }
        Grant::Signing(keys) => format!("{} {}", grant.name(), keys.join(" ")),
        Grant::Maildir(root) => format!("{} {}", grant.name(), root.display()),
        Grant::KeyValue(store) => format!("{} {} ({})", grant.name(), store.path.display(), store.size),
        Grant::Sqlite(database) => format!("{} {} ({})", grant.name(), database.path.display(), database.size),
        Grant::Sockets(addresses) => {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            format!("{} {}", grant.name(), addresses.join(" "))
        }
        Grant::Files(directories) => {
            let told = |one: &Directory| format!("{} as {}", one.path.display(), one.guest_path.escape_debug());
            format!("{} {}", grant.name(), directories.iter().map(told).collect::<Vec<_>>().join(", "))
        }
        Grant::Submit(relays) => format!("{} {}", grant.name(), relays.join(" ")),
        Grant::Secrets(secrets) => {
            let names: Vec<&str> = secrets.read.iter().chain(&secrets.sign).map(String::as_str).collect();
            format!("{} {}", grant.name(), names.join(" "))
        }
        Grant::Http(http) => {
            let hosts: Vec<String> = http.allow.iter().map(ToString::to_string).collect();
            format!("{} {}", grant.name(), hosts.join(" "))
        }
    }
}

fn tls(tls: &Tls) -> String {
    let start = match tls.start {
        TlsStart::Implicit => "implicit",
        TlsStart::Starttls => "STARTTLS",
    };
    let required = if tls.required { ", required before mail" } else { "" };
    let clients = match tls.client_certificates.as_ref().map(|clients| clients.mode) {
        None => "",
        Some(ClientCertificateMode::Optional) => ", client certificates optional",
        Some(ClientCertificateMode::Required) => ", client certificates required",
    };
    let chains: Vec<String> = tls.certificates.iter().map(|own| own.chain.display().to_string()).collect();
    format!("{start}{required}{clients}: {}", chains.join(" "))
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
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
  bind      127.0.0.1:2525
  hostname  mx.example.org
  chain     main
  TLS       none
  AUTH      offered in clear

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
        let expected = "  TLS       implicit, required before mail, client certificates optional: mx.pem\n";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn the_door_as_text() {
        let config = config();
        let text = explanation(&config, Some("other"), &hooks()).text();
        let expected = "  PROXY     required from 10.0.0.0/8 ::1
  XCLIENT   from 192.0.2.1
  banner    after 5 s of silence
";
        assert!(text.contains(expected), "{text}");
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
