//! What `explain` says besides listeners: relays, stores, keys and HTTP listeners, and which plugins have them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use serde::Serialize;

use super::super::table::table;
use super::text::or_dash;
use crate::config::{
    Config, Count, DkimKey, Grant, HttpListener, KeySource, Mount, MountTarget, Period, Plugin, Protocol, Relay,
    RelayTls, Size,
};

/// What plugins are given, of which the configuration has tables or files.
#[derive(Debug, Serialize)]
pub(super) struct Services<'a> {
    relays: Vec<RelayPart<'a>>,
    stores: Vec<StorePart<'a>>,
    #[serde(rename = "dkim-keys")]
    keys: Vec<KeyPart<'a>>,
    http: Vec<HttpPart<'a>>,
}

#[derive(Debug, Serialize)]
struct RelayPart<'a> {
    name: &'a str,
    #[serde(flatten)]
    settings: &'a Relay,
    plugins: Vec<&'a str>,
}

#[derive(Debug, Serialize)]
struct StorePart<'a> {
    service: &'static str,
    path: &'a Path,
    size: Size,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<Count>,
    plugins: Vec<&'a str>,
}

#[derive(Debug, Serialize)]
struct KeyPart<'a> {
    name: &'a str,
    domain: &'a str,
    selector: &'a str,
    key: &'a KeySource,
    plugins: Vec<&'a str>,
}

#[derive(Debug, Serialize)]
struct HttpPart<'a> {
    name: &'a str,
    #[serde(flatten)]
    settings: &'a HttpListener,
}

impl<'a> Services<'a> {
    /// Of these plugins; the HTTP listeners only where everything is to be told.
    pub(super) fn of(config: &'a Config, plugins: &[(&'a str, &'a Plugin)], everything: bool) -> Self {
        let holders = |is_it: &dyn Fn(&Grant) -> bool| -> Vec<&'a str> {
            let holders = plugins.iter().filter(|(_, plugin)| plugin.grants.iter().any(is_it));
            holders.map(|(name, _)| *name).collect()
        };
        let relays = config.relays.iter().map(|(name, settings)| {
            let is_it = |grant: &Grant| matches!(grant, Grant::Submit(relays) if relays.contains(name));
            RelayPart { name, settings, plugins: holders(&is_it) }
        });
        let keys = config.dkim_keys.iter().map(|(name, settings)| {
            let is_it = |grant: &Grant| matches!(grant, Grant::Signing(keys) if keys.contains(name));
            let DkimKey { domain, selector, key, .. } = settings;
            KeyPart { name, domain: domain.as_str(), selector, key, plugins: holders(&is_it) }
        });
        let http = config.http.iter().filter(|_| everything).map(|(name, settings)| HttpPart { name, settings });
        Self {
            relays: relays.filter(|relay| everything || !relay.plugins.is_empty()).collect(),
            stores: stores(plugins),
            keys: keys.filter(|key| everything || !key.plugins.is_empty()).collect(),
            http: http.collect(),
        }
    }

    pub(super) fn text(&self) -> String {
        let parts = [self.relays(), self.stores(), self.keys(), self.http.iter().map(HttpPart::text).collect()];
        parts.iter().filter(|part| !part.is_empty()).map(|part| format!("\n{part}")).collect()
    }

    fn relays(&self) -> String {
        let title = ["relay", "host", "TLS", "AUTH", "connections", "idle for", "plugins"];
        let rows = self.relays.iter().map(|relay| {
            let settings = relay.settings;
            let (connections, idle) = (settings.connections.to_string(), settings.idle.to_string());
            [
                relay.name.to_owned(),
                host(settings),
                tls(settings),
                auth(settings),
                connections,
                idle,
                list(&relay.plugins),
            ]
        });
        titled(title, rows)
    }

    fn stores(&self) -> String {
        let title = ["store", "file", "size", "plugins"];
        let rows = self.stores.iter().map(|store| {
            let file = store.path.display().to_string();
            [store.service.to_owned(), file, store.size.to_string(), list(&store.plugins)]
        });
        titled(title, rows)
    }

    fn keys(&self) -> String {
        let title = ["DKIM key", "domain", "selector", "key", "plugins"];
        let rows = self.keys.iter().map(|key| {
            let source = match key.key {
                KeySource::File(file) => file.display().to_string(),
                KeySource::Secret(source) => format!("secret {}", source.secret),
            };
            [key.name.to_owned(), key.domain.to_owned(), key.selector.to_owned(), source, list(&key.plugins)]
        });
        titled(title, rows)
    }
}

/// A file for each key-value store and each database.
fn stores<'a>(plugins: &[(&'a str, &'a Plugin)]) -> Vec<StorePart<'a>> {
    let mut found: BTreeMap<&Path, StorePart<'a>> = BTreeMap::new();
    for (name, plugin) in plugins {
        for grant in &plugin.grants {
            let (path, size, entries) = match grant {
                Grant::KeyValue(store) => (&store.path, store.size, Some(store.entries)),
                Grant::Sqlite(database) => (&database.path, database.size, None),
                Grant::Log
                | Grant::Config
                | Grant::Passwords
                | Grant::Maildir(_)
                | Grant::Sockets(_)
                | Grant::Files(_)
                | Grant::Submit(_)
                | Grant::Metrics
                | Grant::Secrets(_)
                | Grant::Http(_)
                | Grant::Dns
                | Grant::MailAuthentication
                | Grant::Signing(_) => continue,
            };
            let service = grant.name();
            let new = StorePart { service, path, size, entries, plugins: Vec::new() };
            found.entry(path).or_insert(new).plugins.push(name);
        }
    }
    found.into_values().collect()
}

impl HttpPart<'_> {
    fn text(&self) -> String {
        let bind: Vec<String> = self.settings.bind.iter().map(SocketAddr::to_string).collect();
        let mut text = format!("http {}\n", self.name);
        let limits = &self.settings.limits;
        let facts = [
            ["bind".to_owned(), bind.join(" ")],
            ["connections".to_owned(), limits.connections.to_string()],
            ["request".to_owned(), format!("{} and {}", limits.header_octets, limits.body_octets)],
            ["response".to_owned(), limits.response_octets.to_string()],
        ];
        text += &table(&facts, 2);
        text += "\n";
        text + &titled(["path", "host", "answered by"], self.settings.mounts.iter().map(mount))
    }
}

fn mount(mount: &Mount) -> [String; 3] {
    let target = match &mount.target {
        MountTarget::Plugin(plugin) => plugin.clone(),
        MountTarget::Metrics => "the gateway, with its metrics".to_owned(),
    };
    [mount.path.clone(), mount.host.clone().unwrap_or_else(|| "any".to_owned()), target]
}

fn host(relay: &Relay) -> String {
    let addresses: Vec<String> = relay.addresses.iter().map(ToString::to_string).collect();
    let place = match addresses.is_empty() {
        true => relay.host.clone(),
        false => format!("{} ({})", relay.host, addresses.join(" ")),
    };
    let protocol = match relay.protocol {
        Protocol::Smtp => "SMTP",
        Protocol::Lmtp => "LMTP",
    };
    format!("{place}, port {}, {protocol}", relay.port)
}

fn tls(relay: &Relay) -> String {
    let how = match relay.tls {
        RelayTls::Required => "STARTTLS, verified",
        RelayTls::Implicit => "implicit, verified",
        RelayTls::Opportunistic => "where offered, not verified",
        RelayTls::None => "none",
    };
    let own = if relay.certificate.is_some() { ", with a certificate of ours" } else { "" };
    format!("{how}{own}")
}

/// Whom we are, and where the password is; never the password.
fn auth(relay: &Relay) -> String {
    let Some(auth) = &relay.auth else { return "-".to_owned() };
    let user = if auth.user.is_empty() { "whom the certificate names" } else { &auth.user };
    let mechanism = auth.mechanism.map_or(String::new(), |mechanism| format!(" by {}", mechanism.0.name()));
    let secret = auth.password.as_ref().map_or(String::new(), |password| format!(", secret {}", password.secret));
    format!("{}{mechanism}{secret}", user.escape_debug())
}

fn list(plugins: &[&str]) -> String {
    or_dash(plugins.join(" "))
}

/// A table with its title; nothing where there is no row.
fn titled<const N: usize>(title: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return String::new();
    }
    let title = std::iter::once(title.map(str::to_owned));
    table(&title.chain(rows).collect::<Vec<_>>(), 0)
}

/// How long failures of a network are counted, and what becomes of them.
pub(super) fn guesses(limits: &crate::config::ListenerLimits) -> String {
    let delay = match limits.auth_failure_delay > Period::seconds(0) {
        true => format!(", the first reply held back for {}", limits.auth_failure_delay),
        false => String::new(),
    };
    format!(
        "{} failures in a session, {} of a network in {}{delay}",
        limits.auth_failures, limits.auth_failures_per_address, limits.auth_failure_period
    )
}
