//! From the file as it is written to the configuration as it holds: defaults that hang on other settings, paths, failure
//! policies, and everything that can be wrong between one setting and another.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::file::{self, File};
use super::grant::storage::KeyValue;
use super::http::HttpListenerTable;
use super::name::{Hostname, NAME_WANTED, is_name, nearest};
use super::origin::Origins;
use super::problem::Problem;
use super::settings::{MixedOutcomes, PluginLimits, Protocol};
use super::tls::{Certificate, ClientCertificates, Tls, TlsMode, TlsStart};
use super::tree::Step;
use super::units::{Count, Period, Size};
use super::{Chain, Config, Engine, Grant, Link, Listener, Log, Machine, Plugin};
use postgate_plugin::{Cause, OnFailure};

/// A path of keys and places: `path!["chain", name, "plugins", 0]`.
macro_rules! path {
    ($($step:expr),+ $(,)?) => { [$(Step::from($step)),+] };
}

mod services;

/// The configuration, and what is wrong with it; where anything is, the configuration is not to be used.
pub(super) fn resolve(file: File, origins: &Origins, machine: &Machine) -> (Config, Vec<Problem>) {
    let mut resolver = Resolver { origins, problems: Vec::new(), stores: Vec::new() };
    let config = resolver.config(file, machine);
    (config, resolver.problems)
}

struct Resolver<'a> {
    origins: &'a Origins,
    problems: Vec<Problem>,
    /// Those that plugins have been granted so far.
    stores: Vec<KeyValue>,
}

impl Resolver<'_> {
    fn config(&mut self, file: File, machine: &Machine) -> Config {
        let hostname = file.hostname.unwrap_or_else(|| self.machine_name(machine));
        let data_dir = self.directory("data-dir", file.data_dir);
        let plugin_dir = self.directory("plugin-dir", file.plugin_dir);
        let cache_dir = match file.cache_dir {
            Some(dir) => self.directory("cache-dir", dir),
            None => data_dir.join("cache"),
        };
        let cores = Count::at_least_one(machine.cores);
        let engine = Engine {
            instances: file.engine.instances,
            memory_max: file.engine.memory_max,
            workers: file.engine.workers.unwrap_or(cores),
        };
        if engine.memory_max == Size(0) {
            self.wrong(&path!["engine", "memory-max"], "must not be 0");
        }
        if file.tls.check_period == Period::seconds(0) {
            self.wrong(&path!["tls", "check-period"], "must not be 0");
        }
        let certificates = self.certificates(&path!["tls", "certificates"], file.tls.certificates);
        if file.dns.timeout == Period::seconds(0) {
            self.wrong(&path!["dns", "timeout"], "must not be 0");
        }
        let dkim_keys = collect(file.dkim_key.0, |name, key| self.dkim_key(name, key));
        for kind in ["dkim-key", "listener", "chain", "plugin", "relay", "secret", "http"] {
            self.names(kind);
        }
        self.addresses(&file.listener.0, &file.http.0);
        Config {
            listeners: collect(file.listener.0, |name, listener| {
                self.listener(name, listener, &hostname, &certificates)
            }),
            chains: collect(file.chain.0, |name, chain| self.chain(name, chain, &file.on_failure)),
            relays: collect(file.relay.0, |name, relay| self.relay(name, relay)),
            plugins: collect(file.plugin.0, |name, plugin| self.plugin(name, plugin, &plugin_dir, &data_dir, &engine)),
            secrets: self.secrets(file.secret.0),
            http: collect(file.http.0, |name, http| self.http(name, http, &certificates)),
            dns: file.dns,
            dkim_keys,
            hostname,
            data_dir,
            plugin_dir,
            cache_dir,
            password_workers: file.password_workers.unwrap_or(cores),
            shutdown_grace: file.shutdown_grace,
            log: Log { level: file.log.level, format: file.log.format },
            engine,
            certificate_check: file.tls.check_period,
            origins: self.origins.clone(),
        }
    }

    /// Adds a problem with the value at the path.
    fn wrong(&mut self, path: &[Step], message: impl Into<String>) {
        self.problems.push(self.origins.problem_with_value(path, message));
    }

    fn machine_name(&mut self, machine: &Machine) -> Hostname {
        machine.hostname.parse().unwrap_or_else(|error| {
            let problem =
                self.origins.problem_of_file(format!("the machine's name is no name for a mail host: {error}"));
            self.problems.push(problem.note("set hostname = \"mx.example.org\""));
            Hostname::localhost()
        })
    }

    /// A directory, relative to the file, or to the working directory where it was set on the command line.
    fn directory(&mut self, key: &str, dir: PathBuf) -> PathBuf {
        if dir.as_os_str().is_empty() {
            self.wrong(&path![key], "an empty path");
        }
        self.origins.directory(&path![key]).join(dir)
    }

    fn names(&mut self, kind: &str) {
        for name in self.origins.keys(&path![kind]) {
            if !is_name(name) {
                let message = format!("\"{}\" can't be the name of a {kind}", name.escape_debug());
                let problem = self.origins.problem_with_key(&path![kind, name], message);
                self.problems.push(problem.note(NAME_WANTED));
            }
        }
        let path = path![kind];
        if kind == "listener" && self.origins.keys(&path).is_empty() && !self.origins.is_spoiled(&path) {
            let problem = self.origins.problem_of_file("there is no listener");
            self.problems.push(problem.note("add a table [listener.NAME] with `bind` and `chain`"));
        }
    }

    /// Two listeners, or one twice, at the same address, of SMTP or HTTP. Port 0 stands for any free one.
    fn addresses(&mut self, smtp: &BTreeMap<String, file::Listener>, http: &BTreeMap<String, HttpListenerTable>) {
        let mut seen: BTreeMap<SocketAddr, (&str, &str)> = BTreeMap::new();
        let smtp = smtp.iter().map(|(name, listener)| ("listener", name, &listener.bind.0));
        let http = http.iter().map(|(name, http)| ("http", name, &http.bind.0));
        for (kind, name, addresses) in smtp.chain(http) {
            for (n, address) in addresses.iter().enumerate().filter(|(_, address)| address.port() != 0) {
                if let Some((first_kind, first)) = seen.insert(*address, (kind, name)) {
                    let message = format!("{address} is the address of {first_kind} \"{first}\" already");
                    self.wrong(&path![kind, name.as_str(), "bind", n], message);
                }
            }
        }
    }

    fn listener(
        &mut self,
        name: &str,
        mut listener: file::Listener,
        hostname: &Hostname,
        certificates: &[Certificate],
    ) -> Listener {
        let tls = self.tls(name, &mut listener, certificates);
        let file::Listener { bind, chain, hostname: own_name, auth_in_clear, auth_required, auth_mechanisms, .. } =
            listener;
        let file::Listener {
            xclient_from,
            proxy_from,
            banner_delay,
            extensions_on,
            extensions_off,
            protocol,
            mixed_outcomes,
            limits,
            ..
        } = listener;
        if (protocol, mixed_outcomes) == (Protocol::Lmtp, MixedOutcomes::OneRecipient) {
            let message = "LMTP has a reply for each recipient: there is nothing to choose";
            self.wrong(&path!["listener", name, "mixed-outcomes"], message);
        }
        if bind.0.is_empty() && !self.origins.is_spoiled(&path!["listener", name, "bind"]) {
            self.wrong(&path!["listener", name, "bind"], "there is no address");
        }
        self.known("chain", &chain, &path!["listener", name, "chain"]);
        let limit = |key: &str| path!["listener", name, "limits", key];
        for (key, octets) in [
            ("command-line-octets", limits.command_line_octets),
            ("auth-line-octets", limits.auth_line_octets),
            ("local-part-octets", limits.local_part_octets),
            ("domain-octets", limits.domain_octets),
            ("path-octets", limits.path_octets),
            ("text-line-octets", limits.text_line_octets),
            ("message-octets", limits.message_octets),
        ] {
            if octets == Size(0) {
                self.wrong(&limit(key), "must not be 0");
            }
        }
        for (key, patience) in [
            ("command-patience", limits.command_patience),
            ("transaction-patience", limits.transaction_patience),
            ("session-time", limits.session_time),
            ("data-patience", limits.data_patience),
            ("handshake-patience", limits.handshake_patience),
            ("auth-failure-period", limits.auth_failure_period),
        ] {
            if patience == Period::seconds(0) {
                self.wrong(&limit(key), "must not be 0");
            }
        }
        if banner_delay > BANNER_DELAY_MAX {
            let message =
                format!("more than {BANNER_DELAY_MAX}: clients do not wait longer (RFC 5321 section 4.5.3.2.1)");
            self.wrong(&path!["listener", name, "banner-delay"], message);
        }
        let hostname = own_name.unwrap_or_else(|| hostname.clone());
        Listener {
            bind: bind.0,
            chain,
            hostname,
            auth_in_clear,
            auth_required,
            auth_mechanisms,
            xclient_from,
            proxy_from,
            banner_delay,
            tls,
            extensions_on,
            extensions_off,
            protocol,
            mixed_outcomes,
            limits,
        }
    }

    /// A listener's TLS, and what can't be without it. The certificates are its own, or else those of `[tls]`.
    fn tls(&mut self, name: &str, listener: &mut file::Listener, everywhere: &[Certificate]) -> Option<Tls> {
        let setting = |key: &str| path!["listener", name, key];
        let certificates = match listener.certificates.take() {
            Some(own) => self.certificates(&setting("certificates"), own),
            None => everywhere.to_vec(),
        };
        let client_certificates = listener
            .client_certificates
            .take()
            .map(|settings| self.client_certificates(&setting("client-certificates"), settings));
        let start = match listener.tls {
            Some(TlsMode::Implicit) => Some(TlsStart::Implicit),
            Some(TlsMode::Starttls) => Some(TlsStart::Starttls),
            None if !certificates.is_empty() => Some(TlsStart::Starttls),
            Some(TlsMode::None) | None => None,
        };
        let Some(start) = start else {
            for (key, is_wanted) in
                [("require-tls", listener.require_tls), ("client-certificates", client_certificates.is_some())]
            {
                if is_wanted {
                    self.wrong(&setting(key), "there is no TLS on this listener");
                }
            }
            return None;
        };
        let lists = [setting("certificates").to_vec(), path!["tls", "certificates"].to_vec()];
        if certificates.is_empty() && !lists.iter().any(|list| self.origins.is_spoiled(list)) {
            let problem = self.origins.problem_with_value(&setting("tls"), "there is no certificate for this listener");
            self.problems
                .push(problem.note("add certificates = [{ chain = \"mx.pem\", key = \"mx.key\" }], here or in [tls]"));
        }
        Some(Tls { start, required: listener.require_tls, certificates, client_certificates })
    }

    fn certificates(&mut self, list: &[Step], certificates: Vec<Certificate>) -> Vec<Certificate> {
        let mut resolved = Vec::new();
        for (n, Certificate { chain, key }) in certificates.into_iter().enumerate() {
            let place = |key: &str| [list, &path![n, key]].concat();
            resolved.push(Certificate { chain: self.file(&place("chain"), chain), key: self.file(&place("key"), key) });
        }
        resolved
    }

    fn client_certificates(&mut self, place: &[Step], settings: ClientCertificates) -> ClientCertificates {
        let ca = self.file(&[place, &path!["ca"]].concat(), settings.ca);
        ClientCertificates { ca, mode: settings.mode }
    }

    /// A file, relative to the configuration's, or to the working directory where it was set on the command line.
    fn file(&mut self, path: &[Step], file: PathBuf) -> PathBuf {
        if file.as_os_str().is_empty() {
            self.wrong(path, "an empty path");
        }
        self.origins.directory(path).join(file)
    }

    fn chain(&mut self, name: &str, chain: file::Chain, everywhere: &file::OnFailure) -> Chain {
        let list = path!["chain", name, "plugins"];
        if chain.plugins.is_empty() && !self.origins.is_spoiled(&list) {
            self.wrong(&list, format!("chain \"{name}\" has no plugins"));
        }
        let mut links: Vec<Link> = Vec::new();
        for (n, link) in chain.plugins.into_iter().enumerate() {
            let place = path!["chain", name, "plugins", n];
            let plugin_key = path!["chain", name, "plugins", n, "plugin"];
            let place = if self.origins.has(&plugin_key) { &plugin_key[..] } else { &place[..] };
            self.known("plugin", &link.plugin, place);
            if links.iter().any(|earlier| earlier.plugin == link.plugin) {
                self.wrong(place, format!("plugin \"{}\" stands in this chain already", link.plugin.escape_debug()));
            }
            let levels = [&link.on_failure, &chain.on_failure, everywhere];
            let on_failure = OnFailure::from_fn(|cause: Cause| {
                levels.iter().find_map(|level| level.policy(cause)).unwrap_or_default()
            });
            links.push(Link { plugin: link.plugin, on_failure });
        }
        Chain { links }
    }

    /// Whether there is a chain or plugin of that name.
    fn known(&mut self, kind: &str, name: &str, path: &[Step]) {
        let names = self.origins.keys(&path![kind]);
        if !names.contains(name) {
            let message = format!("there is no {kind} \"{}\"", name.escape_debug());
            let problem = self.origins.problem_with_value(path, message);
            self.problems.push(match nearest(name, names.iter().copied()) {
                Some(nearest) => problem.meant(Some(nearest)),
                None if names.is_empty() => problem.note(format!("no {kind} is configured")),
                None => problem.note(format!("configured are: {}", list(&names))),
            });
        }
    }

    fn plugin(
        &mut self,
        name: &str,
        plugin: file::Plugin,
        plugin_dir: &Path,
        data_dir: &Path,
        engine: &Engine,
    ) -> Plugin {
        if plugin.component.as_os_str().is_empty() {
            self.wrong(&path!["plugin", name, "component"], "an empty path");
        }
        let mut granted = Vec::new();
        for (n, grant) in plugin.grants.into_iter().enumerate() {
            let place = path!["plugin", name, "grants", n];
            let grant = match grant {
                file::Grant::Log => Grant::Log,
                file::Grant::Config => Grant::Config,
                file::Grant::Passwords => Grant::Passwords,
                file::Grant::Maildir(dir) => {
                    if dir.as_os_str().is_empty() {
                        self.wrong(&place, "an empty path");
                    }
                    Grant::Maildir(data_dir.join(dir))
                }
                file::Grant::KeyValue(settings) => {
                    Grant::KeyValue(self.store(&place, settings.unwrap_or_default(), name, data_dir))
                }
                file::Grant::Sqlite(settings) => Grant::Sqlite(settings.unwrap_or_default().resolve(name, data_dir)),
                file::Grant::Sockets(addresses) => self.sockets(name, n, addresses.0),
                file::Grant::Files(directories) => self.files(name, n, directories),
                file::Grant::Submit(relays) => self.submit(name, n, relays),
                file::Grant::Metrics => Grant::Metrics,
                file::Grant::Secrets(grant) => Grant::Secrets(self.secrets_grant(&place, grant)),
                file::Grant::Http(grant) => Grant::Http(Box::new(self.http_grant(&place, *grant))),
                file::Grant::Dns => Grant::Dns,
                file::Grant::MailAuthentication => Grant::MailAuthentication,
                file::Grant::Signing(keys) => self.signing(name, n, keys),
            };
            if granted.iter().any(|earlier: &Grant| earlier.name() == grant.name()) {
                self.wrong(&place, format!("\"{}\" is granted already", grant.name()));
            }
            granted.push(grant);
        }
        let limits = self.plugin_limits(name, plugin.limits, engine);
        Plugin {
            component: plugin_dir.join(plugin.component),
            sha256: plugin.sha256,
            instance: plugin.instance,
            grants: granted,
            config: plugin.config,
            limits,
        }
    }

    fn plugin_limits(&mut self, name: &str, limits: file::PluginLimits, engine: &Engine) -> PluginLimits {
        let limit = |key: &str| path!["plugin", name, "limits", key];
        for (key, is_zero) in [
            ("fuel", limits.fuel == 0),
            ("memory", limits.memory == Size(0)),
            ("deadline", limits.deadline == Period::seconds(0)),
            ("transfer-octets", limits.transfer_octets == Size(0)),
        ] {
            if is_zero {
                self.wrong(&limit(key), "must not be 0");
            }
        }
        if limits.memory > engine.memory_max {
            self.wrong(&limit("memory"), format!("more than engine.memory-max, which is {}", engine.memory_max));
        }
        let instances = limits.instances.unwrap_or(engine.instances);
        if instances > engine.instances {
            self.wrong(&limit("instances"), format!("more than engine.instances, which is {}", engine.instances));
        }
        PluginLimits {
            fuel: limits.fuel,
            memory: limits.memory,
            deadline: limits.deadline,
            instances,
            table_elements: limits.table_elements,
            service_calls: limits.service_calls,
            log_octets: limits.log_octets,
            note_octets: limits.note_octets,
            edit_octets: limits.edit_octets,
            figures: limits.figures,
            transfer_octets: limits.transfer_octets,
        }
    }
}

fn collect<A, B>(tables: BTreeMap<String, A>, mut resolve: impl FnMut(&str, A) -> B) -> BTreeMap<String, B> {
    let resolved = tables.into_iter().map(|(name, table)| {
        let table = resolve(&name, table);
        (name, table)
    });
    resolved.collect()
}

/// Names for a note, not too many.
fn list(names: &std::collections::BTreeSet<&str>) -> String {
    let shown: Vec<String> = names.iter().take(10).map(|name| format!("\"{}\"", name.escape_debug())).collect();
    let more = if names.len() > shown.len() { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// RFC 5321 section 4.5.3.2.1: a client waits for the banner so long.
const BANNER_DELAY_MAX: Period = Period::seconds(300);
