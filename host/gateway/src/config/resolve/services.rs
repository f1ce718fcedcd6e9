//! What host services are given: grants with settings, and the tables that grants name (relays, secrets); and HTTP listeners.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use super::Resolver;
use crate::config::Grant;
use crate::config::dns::{DkimKey, KeySource};
use crate::config::grant::http::{HttpGrant, SecretsGrant};
use crate::config::grant::storage::{KeyValue, KeyValueSettings};
use crate::config::grant::wasi::{self, Directory};
use crate::config::http::{HttpListener, HttpListenerTable, Mount, MountTarget};
use crate::config::name::{NAME_WANTED, is_name};
use crate::config::relay::{Relay, RelayAuth, RelayTls};
use crate::config::secret::{Secret, SecretSource};
use crate::config::settings::Mechanism;
use crate::config::tls::{Certificate, Tls, TlsMode, TlsStart};
use crate::config::tree::Step;
use crate::config::units::Period;

impl Resolver<'_> {
    /// A store; all plugins that have it must agree about its bounds.
    pub(super) fn store(
        &mut self,
        place: &[Step],
        settings: KeyValueSettings,
        plugin: &str,
        data_dir: &Path,
    ) -> KeyValue {
        let own = [place, &path!["key-value", "store"]].concat();
        if let Some(store) = settings.store.as_ref().filter(|store| !is_name(store)) {
            let message = format!("\"{}\" can't be the name of a store", store.escape_debug());
            self.problems.push(self.origins.problem_with_value(&own, message).note(NAME_WANTED));
        }
        let store = settings.resolve(plugin, data_dir);
        if self.stores.iter().any(|earlier| earlier.differs(&store)) {
            let message = format!("another plugin has the store \"{}\" with other bounds", store.store.escape_debug());
            self.wrong(place, message);
        }
        self.stores.push(store.clone());
        store
    }

    /// A grant of relays, which are known.
    pub(super) fn submit(&mut self, plugin: &str, grant: usize, relays: Vec<String>) -> Grant {
        let list = path!["plugin", plugin, "grants", grant, "submit"];
        if relays.is_empty() {
            self.wrong(&list, "there is no relay");
        }
        for (n, relay) in relays.iter().enumerate() {
            self.known("relay", relay, &path!["plugin", plugin, "grants", grant, "submit", n]);
        }
        Grant::Submit(relays)
    }

    pub(super) fn relay(&mut self, name: &str, mut relay: Relay) -> Relay {
        let setting = |key: &str| path!["relay", name, key];
        if relay.host.is_empty() {
            self.wrong(&setting("host"), "an empty name");
        }
        for (key, period) in [
            ("connect-patience", relay.connect_patience),
            ("command-patience", relay.command_patience),
            ("data-patience", relay.data_patience),
            ("end-patience", relay.end_patience),
        ] {
            if period == Period::seconds(0) {
                self.wrong(&setting(key), "must not be 0");
            }
        }
        relay.ca = relay.ca.map(|ca| self.file(&setting("ca"), ca));
        relay.certificate = relay.certificate.map(|Certificate { chain, key }| {
            let place = |key: &str| path!["relay", name, "certificate", key];
            Certificate { chain: self.file(&place("chain"), chain), key: self.file(&place("key"), key) }
        });
        if relay.certificate.is_some() && relay.tls == RelayTls::None {
            self.wrong(&setting("certificate"), "there is no TLS with this relay");
        }
        if let Some(auth) = &relay.auth {
            self.relay_auth(name, auth, &relay);
        }
        relay
    }

    fn relay_auth(&mut self, name: &str, auth: &RelayAuth, relay: &Relay) {
        let setting = |key: &str| path!["relay", name, "auth", key];
        let whole = path!["relay", name, "auth"];
        let is_external = auth.mechanism == Some(Mechanism(postgate_smtp::Mechanism::External));
        if auth.user.contains(char::is_control) || (auth.user.is_empty() && !is_external) {
            self.wrong(&setting("user"), "a name without control characters is needed");
        }
        if relay.tls == RelayTls::Opportunistic && !is_external {
            let message = "a password would be told to a server that nobody has verified: set tls = \"required\"";
            self.wrong(&whole, message);
        }
        match &auth.password {
            Some(_) if is_external => {
                self.wrong(&setting("password"), "EXTERNAL has no password: a certificate says who we are")
            }
            Some(password) => {
                self.known("secret", &password.secret, &path!["relay", name, "auth", "password", "secret"]);
            }
            None if is_external && relay.certificate.is_none() => {
                self.wrong(&setting("mechanism"), "EXTERNAL needs a certificate of ours: set relay.NAME.certificate");
            }
            None if is_external => {}
            None => self.wrong(&whole, "there is no password: add password = { secret = \"NAME\" }"),
        }
    }

    pub(super) fn http(&mut self, name: &str, mut http: HttpListenerTable, everywhere: &[Certificate]) -> HttpListener {
        let tls = self.http_tls(name, &mut http, everywhere);
        let setting = |key: &str| path!["http", name, key];
        for (key, is_empty) in [("bind", http.bind.0.is_empty()), ("mounts", http.mounts.is_empty())] {
            if is_empty && !self.origins.is_spoiled(&setting(key)) {
                self.wrong(&setting(key), "the list is empty");
            }
        }
        if http.limits.patience == Period::seconds(0) {
            self.wrong(&path!["http", name, "limits", "patience"], "must not be 0");
        }
        let mut mounts: Vec<Mount> = Vec::new();
        for (n, mount) in http.mounts.into_iter().enumerate() {
            let place = path!["http", name, "mounts", n];
            if !mount.path.starts_with('/') {
                self.wrong(&path!["http", name, "mounts", n, "path"], "a path begins with \"/\"");
            }
            let host = mount.host.map(|host| host.to_ascii_lowercase());
            if mounts.iter().any(|other| other.path == mount.path && other.host == host) {
                let message = "another mount has this path already, for the same host";
                self.wrong(&path!["http", name, "mounts", n, "path"], message);
            }
            let target = match (mount.plugin, mount.metrics) {
                (Some(plugin), false) => {
                    self.known("plugin", &plugin, &path!["http", name, "mounts", n, "plugin"]);
                    MountTarget::Plugin(plugin)
                }
                (None, true) => MountTarget::Metrics,
                (Some(_), true) | (None, false) => {
                    self.wrong(&place, "a mount has either `plugin` or `metrics = true`");
                    continue;
                }
            };
            mounts.push(Mount { path: mount.path, host, target });
        }
        HttpListener { bind: http.bind.0, tls, mounts, limits: http.limits }
    }

    /// TLS of an HTTP listener: where it has certificates of its own, or is told to have it with those of `[tls]`.
    fn http_tls(&mut self, name: &str, http: &mut HttpListenerTable, everywhere: &[Certificate]) -> Option<Tls> {
        let setting = |key: &str| path!["http", name, key];
        let own = http.certificates.take().map(|own| self.certificates(&setting("certificates"), own));
        let clients = http.client_certificates.take();
        let client_certificates =
            clients.map(|settings| self.client_certificates(&setting("client-certificates"), settings));
        let wanted = match http.tls {
            Some(TlsMode::Implicit) => true,
            Some(TlsMode::Starttls) => {
                self.wrong(&setting("tls"), "there is no STARTTLS in HTTP: \"implicit\" or \"none\"");
                return None;
            }
            Some(TlsMode::None) => false,
            None => own.as_ref().is_some_and(|own| !own.is_empty()),
        };
        if !wanted {
            if client_certificates.is_some() {
                self.wrong(&setting("client-certificates"), "there is no TLS on this listener");
            }
            return None;
        }
        let certificates = own.unwrap_or_else(|| everywhere.to_vec());
        let lists = [setting("certificates").to_vec(), path!["tls", "certificates"].to_vec()];
        if certificates.is_empty() && !lists.iter().any(|list| self.origins.is_spoiled(list)) {
            let problem = self.origins.problem_with_value(&setting("tls"), "there is no certificate for this listener");
            self.problems.push(
                problem.note("add certificates = [{ chain = \"web.pem\", key = \"web.key\" }], here or in [tls]"),
            );
        }
        Some(Tls { start: TlsStart::Implicit, required: true, certificates, client_certificates })
    }

    pub(super) fn secrets(&mut self, secrets: BTreeMap<String, Secret>) -> BTreeMap<String, SecretSource> {
        let mut sources = BTreeMap::new();
        for (name, Secret { env, file, credential }) in secrets {
            let place = path!["secret", name.as_str()];
            let key = |key: &str| [&place[..], &path![key]].concat();
            let source = match (env, file, credential) {
                (Some(variable), None, None) => SecretSource::Env(variable),
                (None, Some(file), None) => SecretSource::File(self.file(&key("file"), file)),
                (None, None, Some(name)) => {
                    if !is_name(&name) {
                        self.wrong(&key("credential"), "not the name of a credential");
                    }
                    SecretSource::Credential(name)
                }
                (_, _, _) => {
                    if !["env", "file", "credential"].iter().any(|one| self.origins.is_spoiled(&key(one))) {
                        self.wrong(&place, "a secret has one of env, file and credential");
                    }
                    continue;
                }
            };
            sources.insert(name, source);
        }
        sources
    }

    pub(super) fn secrets_grant(&mut self, place: &[Step], grant: SecretsGrant) -> SecretsGrant {
        for (list, names) in [("read", &grant.read), ("sign", &grant.sign)] {
            for (n, name) in names.iter().enumerate() {
                self.known("secret", name, &[place, &path!["secrets", list, n]].concat());
            }
        }
        grant
    }

    pub(super) fn http_grant(&mut self, place: &[Step], mut grant: HttpGrant) -> HttpGrant {
        let key = |key: &str| [place, &path!["http", key]].concat();
        if grant.allow.is_empty() && !self.origins.is_spoiled(&key("allow")) {
            self.wrong(&key("allow"), "there is no host");
        }
        for (n, method) in grant.methods.iter().enumerate() {
            let is_method = (1..=32).contains(&method.len()) && method.bytes().all(|c| c.is_ascii_uppercase());
            if !is_method || method == "CONNECT" {
                self.wrong(&[&key("methods")[..], &path![n]].concat(), "not a method such as \"POST\"");
            }
        }
        if grant.timeout == Period::seconds(0) {
            self.wrong(&key("timeout"), "must not be 0");
        }
        for (n, header) in grant.headers.iter().enumerate() {
            let of_header = |key: &str| [place, &path!["http", "headers", n, key]].concat();
            self.known("secret", &header.secret, &of_header("secret"));
            if !grant.allow.contains(&header.to) {
                self.wrong(&of_header("to"), "not an entry of `allow`");
            }
        }
        grant.ca = grant.ca.take().map(|ca| self.file(&key("ca"), ca));
        grant
    }

    pub(super) fn sockets(&mut self, plugin: &str, grant: usize, addresses: Vec<SocketAddr>) -> Grant {
        if let Some((at, problem)) = wasi::socket_problem(&addresses) {
            self.wrong(&path!["plugin", plugin, "grants", grant, "sockets", at], problem);
        }
        Grant::Sockets(addresses)
    }

    pub(super) fn files(&mut self, plugin: &str, grant: usize, directories: Vec<Directory>) -> Grant {
        let list = path!["plugin", plugin, "grants", grant, "files"];
        if let Some((at, problem)) = wasi::directory_problem(&directories) {
            self.wrong(&[&list[..], &path![at]].concat(), problem);
        }
        let resolved = directories.into_iter().enumerate().map(|(at, Directory { path, guest_path })| {
            let path = self.file(&[&list[..], &path![at, "path"]].concat(), path);
            Directory { path, guest_path }
        });
        Grant::Files(resolved.collect())
    }

    pub(super) fn signing(&mut self, plugin: &str, grant: usize, keys: Vec<String>) -> Grant {
        for (at, key) in keys.iter().enumerate() {
            self.known("dkim-key", key, &path!["plugin", plugin, "grants", grant, "signing", at]);
        }
        Grant::Signing(keys)
    }

    /// A key, its file relative to the file that it is written in.
    pub(super) fn dkim_key(&mut self, name: &str, mut key: DkimKey) -> DkimKey {
        for (setting, message) in key.problems() {
            self.wrong(&path!["dkim-key", name, setting], message);
        }
        match &mut key.key {
            KeySource::File(file) => *file = self.origins.directory(&path!["dkim-key", name, "key"]).join(&file),
            KeySource::Secret(source) => {
                self.known("secret", &source.secret, &path!["dkim-key", name, "key", "secret"]);
            }
        }
        key
    }
}
