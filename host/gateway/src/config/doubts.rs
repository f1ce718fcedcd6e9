//! What is allowed and yet perhaps not meant: parts that nobody uses, and settings without effect. `check` warns of them.

use postgate_smtp::{Extension, Extensions, Mechanism};

use super::{Config, Grant, KeySource, Listener, MountTarget, Problem};

impl Config {
    /// All doubts: unused parts, then settings without effect.
    pub fn doubts(&self) -> Vec<Problem> {
        let mut doubts = self.unused();
        for (name, listener) in &self.listeners {
            self.extensions(name, listener, &mut doubts);
            self.mechanisms(name, listener, &mut doubts);
        }
        doubts
    }

    /// Chains that no listener names, plugins that no chain does, and what no plugin is granted: allowed, and perhaps forgotten.
    fn unused(&self) -> Vec<Problem> {
        let mut unused = Vec::new();
        let mut part = |kind: &str, name: &str, is_used: bool, why: &str| {
            if !is_used {
                let message = format!("{kind} \"{name}\" is unused: {why}");
                unused.push(self.origins.problem_with_key(&[kind.into(), name.into()], message));
            }
        };
        for chain in self.chains.keys() {
            let is_used = self.listeners.values().any(|listener| listener.chain == *chain);
            part("chain", chain, is_used, "no listener uses it");
        }
        for plugin in self.plugins.keys() {
            part("plugin", plugin, self.is_linked(plugin) || self.is_mounted(plugin), "it is in no chain");
        }
        let granted =
            |is_it: &dyn Fn(&Grant) -> bool| self.plugins.values().any(|plugin| plugin.grants.iter().any(is_it));
        for relay in self.relays.keys() {
            let is_it = |grant: &Grant| matches!(grant, Grant::Submit(relays) if relays.contains(relay));
            part("relay", relay, granted(&is_it), "no plugin is granted it");
        }
        for key in self.dkim_keys.keys() {
            let is_it = |grant: &Grant| matches!(grant, Grant::Signing(keys) if keys.contains(key));
            part("dkim-key", key, granted(&is_it), "no plugin is granted it");
        }
        for secret in self.secrets.keys() {
            let is_used =
                granted(&|grant| is_of_secret(grant, secret)) || self.is_password(secret) || self.is_key(secret);
            part("secret", secret, is_used, "no plugin is granted it, and no relay or key asks for it");
        }
        unused
    }

    fn is_linked(&self, plugin: &str) -> bool {
        self.chains.values().flat_map(|chain| &chain.links).any(|link| link.plugin == plugin)
    }

    fn is_mounted(&self, plugin: &str) -> bool {
        let mut mounts = self.http.values().flat_map(|http| &http.mounts);
        mounts.any(|mount| matches!(&mount.target, MountTarget::Plugin(mounted) if mounted == plugin))
    }

    fn is_key(&self, secret: &str) -> bool {
        self.dkim_keys.values().any(|key| matches!(&key.key, KeySource::Secret(source) if source.secret == secret))
    }

    fn is_password(&self, secret: &str) -> bool {
        let mut passwords = self.relays.values().filter_map(|relay| relay.auth.as_ref()?.password.as_ref());
        passwords.any(|password| password.secret == secret)
    }

    /// Service extensions that are switched without effect.
    fn extensions(&self, name: &str, listener: &Listener, doubts: &mut Vec<Problem>) {
        let default = Extensions::default();
        for (n, extension) in listener.extensions_on.iter().enumerate() {
            let keyword = extension.0.keyword();
            let doubt = if listener.extensions_off.contains(extension) {
                format!("{keyword} stands in extensions-off too, and is not offered")
            } else if default.contains(extension.0) {
                format!("{keyword} in extensions-on has no effect: it is not switched off by default")
            } else if extension.0 == Extension::RequireTls && listener.tls.is_none() {
                format!("{keyword} is never offered: it is for connections below TLS, and this listener has none")
            } else {
                continue;
            };
            doubts.push(self.problem(&["listener", name, "extensions-on", &n.to_string()], doubt));
        }
        for (n, extension) in listener.extensions_off.iter().enumerate() {
            if !default.contains(extension.0) && !listener.extensions_on.contains(extension) {
                let doubt =
                    format!("{} in extensions-off has no effect: it is not offered anyway", extension.0.keyword());
                doubts.push(self.problem(&["listener", name, "extensions-off", &n.to_string()], doubt));
            }
        }
    }

    /// SASL mechanisms that no client can be offered.
    fn mechanisms(&self, name: &str, listener: &Listener, doubts: &mut Vec<Problem>) {
        let asks = listener.tls.as_ref().is_some_and(|tls| tls.client_certificates.is_some());
        for (n, mechanism) in listener.auth_mechanisms.iter().enumerate() {
            let why = match mechanism.0 {
                Mechanism::External if !asks => "clients are asked for no certificate: set client-certificates",
                Mechanism::ScramSha256Plus if listener.tls.is_none() => {
                    "it is bound to a TLS connection, and this listener has none"
                }
                Mechanism::External
                | Mechanism::ScramSha256Plus
                | Mechanism::ScramSha256
                | Mechanism::Plain
                | Mechanism::Login
                | Mechanism::OAuthBearer
                | Mechanism::XOAuth2 => continue,
            };
            let doubt = format!("{} is never offered: {why}", mechanism.0.name());
            doubts.push(self.problem(&["listener", name, "auth-mechanisms", &n.to_string()], doubt));
        }
    }
}

/// Whether a grant speaks of this secret.
fn is_of_secret(grant: &Grant, secret: &str) -> bool {
    match grant {
        Grant::Secrets(secrets) => secrets.read.iter().chain(&secrets.sign).any(|name| name == secret),
        Grant::Http(http) => http.headers.iter().any(|header| header.secret == secret),
        Grant::Log
        | Grant::Config
        | Grant::Passwords
        | Grant::Maildir(_)
        | Grant::KeyValue(_)
        | Grant::Sqlite(_)
        | Grant::Sockets(_)
        | Grant::Files(_)
        | Grant::Submit(_)
        | Grant::Metrics
        | Grant::Dns
        | Grant::MailAuthentication
        | Grant::Signing(_) => false,
    }
}
