//! The configuration's words in those of the crates that they are for.

use postgate_plugin::{Directory, DnsConfig, Grants, Limits, PluginConfig, SubmitGrant, key_value, signing, sqlite};

use crate::config;
use crate::keys::Keys;
use crate::relays::Relays;
use crate::secrets::Secrets;

/// What the grants of plugins name.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    pub(crate) relays: &'a Relays,
    pub(crate) secrets: &'a Secrets,
    pub(crate) keys: &'a Keys,
}

impl Given<'_> {
    /// Whether all is there that a plugin's grants name.
    pub(crate) fn has_all(&self, settings: &config::Plugin) -> bool {
        settings.grants.iter().all(|grant| match grant {
            config::Grant::Secrets(grant) => {
                grant.read.iter().chain(&grant.sign).all(|name| self.secrets.contains_key(name))
            }
            config::Grant::Http(grant) => grant.headers.iter().all(|header| self.secrets.contains_key(&header.secret)),
            config::Grant::Submit(names) => names.iter().all(|name| self.relays.contains_key(name)),
            config::Grant::Signing(names) => names.iter().all(|name| self.keys.contains_key(name)),
            config::Grant::Log
            | config::Grant::Config
            | config::Grant::Passwords
            | config::Grant::Maildir(_)
            | config::Grant::KeyValue(_)
            | config::Grant::Sqlite(_)
            | config::Grant::Sockets(_)
            | config::Grant::Files(_)
            | config::Grant::Metrics
            | config::Grant::Dns
            | config::Grant::MailAuthentication => true,
        })
    }
}

/// The authorities of the grant `http` are read by whoever loads the plugin.
pub(crate) fn plugin(name: &str, settings: &config::Plugin, given: Given<'_>) -> PluginConfig {
    let Given { relays, secrets, keys } = given;
    let mut grants = Grants::default();
    for grant in &settings.grants {
        match grant {
            config::Grant::Log => grants.log = true,
            config::Grant::Config => grants.config = true,
            config::Grant::Passwords => grants.passwords = true,
            config::Grant::Maildir(root) => grants.maildir = Some(root.clone()),
            config::Grant::KeyValue(store) => grants.key_value = Some(key_value(store)),
            config::Grant::Sqlite(database) => grants.sqlite = Some(sqlite(database)),
            config::Grant::Sockets(addresses) => grants.sockets = addresses.clone(),
            config::Grant::Files(directories) => grants.files = directories.iter().map(directory).collect(),
            config::Grant::Submit(names) => {
                grants.submit = Some(SubmitGrant::new(names.iter().filter_map(|name| relays.get(name).cloned())));
            }
            config::Grant::Metrics => grants.metrics = true,
            config::Grant::Secrets(grant) => grants.secrets = Some(secrets_grant(grant, secrets)),
            config::Grant::Http(grant) => grants.http = Some(http_grant(grant, secrets)),
            config::Grant::Dns => grants.dns = true,
            config::Grant::MailAuthentication => grants.mail_authentication = true,
            config::Grant::Signing(names) => {
                let granted = names.iter().filter_map(|name| Some((name.clone(), keys.get(name)?.clone())));
                grants.signing = Some(signing::Grant { keys: granted.collect() });
            }
        }
    }
    PluginConfig {
        name: name.to_owned(),
        component: settings.component.clone(),
        sha256: settings.sha256,
        grants,
        config: serde_json::Value::Object(settings.config.clone()),
        limits: limits(&settings.limits),
        keep: settings.instance,
    }
}

fn key_value(store: &config::KeyValue) -> key_value::Grant {
    key_value::Grant {
        name: store.store.clone(),
        path: store.path.clone(),
        size_bytes: store.size.0,
        entries: store.entries.number() as u64,
    }
}

fn sqlite(database: &config::Sqlite) -> sqlite::Grant {
    sqlite::Grant {
        path: database.path.clone(),
        size_bytes: database.size.0,
        connections: database.connections.number(),
    }
}

fn directory(directory: &config::Directory) -> Directory {
    Directory { path: directory.path.clone(), guest_path: directory.guest_path.clone() }
}

fn secrets_grant(grant: &config::SecretsGrant, secrets: &Secrets) -> postgate_plugin::secrets::Grant {
    let named =
        |names: &[String]| names.iter().filter_map(|name| Some((name.clone(), secrets.get(name)?.clone()))).collect();
    postgate_plugin::secrets::Grant { read: named(&grant.read), sign: named(&grant.sign) }
}

fn http_grant(grant: &config::HttpGrant, secrets: &Secrets) -> postgate_plugin::http::Grant {
    let headers = grant.headers.iter().filter_map(|header| {
        Some(postgate_plugin::http::SecretHeader {
            to: header.to.clone(),
            name: header.name.clone(),
            prefix: header.prefix.clone(),
            secret: secrets.get(&header.secret)?.clone(),
        })
    });
    postgate_plugin::http::Grant {
        allow: grant.allow.clone(),
        private: grant.private.clone(),
        methods: grant.methods.clone(),
        request_bytes: grant.request_octets.0,
        response_bytes: grant.response_octets.octets(),
        timeout: grant.timeout.0,
        concurrent: grant.concurrent.number(),
        headers: headers.collect(),
        authorities: Vec::new(),
    }
}

pub(crate) fn dns(settings: &config::Dns) -> DnsConfig {
    DnsConfig {
        servers: settings.servers.iter().map(|server| server.0).collect(),
        timeout: settings.timeout.0,
        attempts: settings.attempts.number(),
        cache_entries: settings.cache_entries.number() as u64,
        lookups: settings.lookups.number(),
        lookups_per_plugin: settings.lookups_per_plugin.number(),
    }
}

pub(crate) fn dkim_key(settings: &config::DkimKey) -> signing::KeyConfig {
    signing::KeyConfig {
        domain: settings.domain.as_str().to_owned(),
        selector: settings.selector.clone(),
        algorithm: settings.algorithm.into(),
        fields: settings.fields.clone(),
        oversigned: settings.oversigned.clone(),
        expires: settings.expires.map(|expires| expires.0),
    }
}

fn limits(limits: &config::PluginLimits) -> Limits {
    Limits {
        fuel: limits.fuel,
        memory_bytes: limits.memory.octets(),
        deadline: limits.deadline.0,
        table_elements: limits.table_elements as usize,
        service_calls: limits.service_calls,
        instances: limits.instances.number(),
        log_bytes: limits.log_octets.octets(),
        note_bytes: limits.note_octets.octets(),
        edit_bytes: limits.edit_octets.octets(),
        figures: limits.figures as usize,
        transfer_bytes: limits.transfer_octets.octets(),
    }
}

pub(crate) fn session_limits(limits: &config::ListenerLimits) -> postgate_smtp::Limits {
    let count = |count: config::Count| u32::try_from(count.number()).unwrap_or(u32::MAX);
    postgate_smtp::Limits {
        command_line_octets: limits.command_line_octets.octets(),
        auth_line_octets: limits.auth_line_octets.octets(),
        local_part_octets: limits.local_part_octets.octets(),
        domain_octets: limits.domain_octets.octets(),
        path_octets: limits.path_octets.octets(),
        text_line_octets: limits.text_line_octets.octets(),
        message_octets: limits.message_octets.0,
        discarded_octets: limits.discarded_octets.0,
        recipients: count(limits.recipients),
        transactions: count(limits.transactions),
        errors: count(limits.errors),
        auth_failures: count(limits.auth_failures),
        idle_commands: count(limits.idle_commands),
        command_patience: limits.command_patience.0,
        transaction_patience: limits.transaction_patience.0,
        data_patience: limits.data_patience.0,
    }
}
