//! A configuration brought to life: the engine, the plugins loaded, the chains put together, the listeners' settings.
//!
//! What can be wrong beyond the text of the file is found here, and told at the line of the setting that is to be changed.

mod rehearsal;
mod trial;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use postgate_plugin::{
    Chain, Clock, Engine, EngineConfig, Entry, Hook, LoadError, Plugin, PluginConfig, SettingProblem, StorageError,
    try_scratch,
};
use postgate_smtp::{AuthOffer, Extension, Extensions, Mechanisms, TlsOffer};

pub(crate) use self::rehearsal::Rehearsal;
pub(crate) use self::trial::{Trial, TrialError, try_plugin};
use crate::chance::Chance;
use crate::config::{self, Config, Problem, Problems, TlsStart};
use crate::figures::Figures;
use crate::guesses::{Guesses, Watch};
use crate::http::{HttpDoor, Mounted, Observed, Target};
use crate::into;
use crate::keys;
use crate::relays;
use crate::secrets;
use crate::stage::House;
use crate::tls::{self, Finding, Setting, Spoken, Tls};

/// Everything that listeners need to serve.
pub struct Site {
    /// By name.
    pub plugins: BTreeMap<String, Arc<Plugin>>,
    /// By name.
    pub chains: BTreeMap<String, Arc<Chain>>,
    /// What is allowed, and may soon be trouble: a certificate that has expired.
    pub warnings: Vec<Problem>,
    pub(crate) doors: Vec<Door>,
    pub(crate) http: Vec<HttpDoor>,
}

/// One listener's settings, shared by its sessions.
pub(crate) struct Door {
    pub(crate) name: Arc<str>,
    pub(crate) settings: config::Listener,
    pub(crate) chain: Arc<Chain>,
    pub(crate) smtp: Arc<postgate_smtp::Config>,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) house: Arc<House>,
}

/// What the listeners of a site share.
#[derive(Clone, Copy)]
struct Shared<'a> {
    guesses: &'a Arc<Guesses>,
    clock: &'a Clock,
    chance: Chance,
}

impl Door {
    /// Whether TLS begins with the connection.
    pub(crate) fn begins_with_tls(&self) -> bool {
        self.settings.tls.as_ref().is_some_and(|tls| tls.start == TlsStart::Implicit)
    }
}

impl Site {
    /// Loads all plugins and checks all directories; tells everything that is wrong.
    pub async fn load(config: &Config) -> Result<Self, Problems> {
        Self::load_with(config, Clock::default()).await
    }

    /// As `load`, with a clock of its own: tests need not wait for what expires.
    pub async fn load_with(config: &Config, clock: Clock) -> Result<Self, Problems> {
        Self::load_as(config, clock, None).await
    }

    /// As `load`, for a rehearsal: services and secrets are its own, and there is no chance.
    pub(crate) async fn rehearse(config: &Config, clock: Clock, rehearsal: &Rehearsal) -> Result<Self, Problems> {
        Self::load_as(config, clock, Some(rehearsal)).await
    }

    async fn load_as(config: &Config, clock: Clock, rehearsal: Option<&Rehearsal>) -> Result<Self, Problems> {
        let mut problems = directories(config);
        let engine = Engine::new(&EngineConfig {
            instances: config.engine.instances.number(),
            memory_bytes: config.engine.memory_max.octets(),
            cache: Some(config.cache_dir.clone()),
            password_workers: config.password_workers.number(),
            clock: clock.clone(),
            dns: into::dns(&config.dns),
            rehearsal: rehearsal.map(|rehearsal| rehearsal.stubs.clone()),
        });
        let engine = match engine {
            Ok(engine) => engine,
            Err(error) => {
                problems.push(config.problem(&["engine"], chained(&error)));
                return Err(Problems::new(problems));
            }
        };
        let is_without_directories = !problems.is_empty();
        let secrets = match rehearsal {
            Some(rehearsal) => rehearsal.secrets(config),
            None => secrets::read(config, &mut problems),
        };
        if is_without_directories {
            return Err(Problems::new(problems));
        }
        let stubs = rehearsal.map(|rehearsal| &rehearsal.stubs);
        let relays = relays::load(config, &secrets, stubs, &mut problems);
        let (keys, exposed) = keys::load(config, &secrets, &mut problems);
        let given = into::Given { relays: &relays, secrets: &secrets, keys: &keys };
        let mut plugins = BTreeMap::new();
        // A secret, relay or key that can't be used has been told of; a plugin would only say that it lacks it.
        for (name, settings) in config.plugins.iter().filter(|(_, settings)| given.has_all(settings)) {
            let mut plugin = into::plugin(name, settings, given);
            authorities(config, name, settings, &mut plugin, &mut problems);
            match Plugin::load(&engine, plugin).await {
                Ok(plugin) => {
                    plugins.insert(name.clone(), plugin);
                }
                Err(LoadError::Settings(wrong)) => {
                    problems.extend(wrong.iter().map(|wrong| setting_problem(config, name, wrong)));
                }
                Err(LoadError::Storage { service, source }) => {
                    problems.push(grant_problem(config, name, service, &source));
                }
                Err(error) => {
                    let message = format!("plugin \"{name}\": {}", chained(&error));
                    problems.push(config.problem(&["plugin", name, setting(&error)], message));
                }
            }
        }
        let (mut tls, mut warnings) = layers(config, &mut problems);
        let (mut http_tls, http_warnings) = http_layers(config, &mut problems);
        warnings.extend(http_warnings);
        warnings.extend(exposed);
        if !problems.is_empty() {
            return Err(Problems::new(problems));
        }
        let chains: BTreeMap<_, _> =
            config.chains.iter().map(|(name, chain)| (name.clone(), Arc::new(link(name, chain, &plugins)))).collect();
        let problems = [locked(config, &chains), too_long(config)].concat();
        if !problems.is_empty() {
            return Err(Problems::new(problems));
        }
        let guesses = Arc::new(Guesses::default());
        let chance = if rehearsal.is_some() { Chance::None } else { Chance::System };
        let doors: Vec<Door> = config
            .listeners
            .iter()
            .filter_map(|(name, listener)| {
                let shared = Shared { guesses: &guesses, clock: &clock, chance };
                Some(door(name, config, listener, chains.get(&listener.chain)?, tls.remove(name), shared))
            })
            .collect();
        let http = mounted(config, &plugins, &doors, &mut http_tls)?;
        Ok(Self { plugins, chains, warnings, doors, http })
    }
}

/// Reads the authorities that a plugin's grant `http` believes.
fn authorities(
    config: &Config,
    name: &str,
    settings: &config::Plugin,
    plugin: &mut PluginConfig,
    problems: &mut Vec<Problem>,
) {
    for (n, grant) in settings.grants.iter().enumerate() {
        let config::Grant::Http(grant) = grant else { continue };
        let (Some(file), Some(http)) = (&grant.ca, &mut plugin.grants.http) else { continue };
        match tls::read_chain(file) {
            Ok(authorities) => http.authorities = authorities,
            Err(message) => {
                problems.push(config.problem(&["plugin", name, "grants", &n.to_string(), "http", "ca"], message));
            }
        }
    }
}

/// The setting that is to be changed when a plugin can't be loaded.
fn setting(error: &LoadError) -> &'static str {
    match error {
        LoadError::NotGranted { .. } | LoadError::Storage { .. } | LoadError::Http(_) => "grants",
        LoadError::Pin { .. } => "sha256",
        LoadError::Settings(_) => "config",
        LoadError::MemoryLimit { .. } | LoadError::Start { .. } => "limits",
        LoadError::Read { .. }
        | LoadError::Anatomy { .. }
        | LoadError::UnknownHook { .. }
        | LoadError::NoHooks(_)
        | LoadError::UnknownImport { .. }
        | LoadError::Import { .. }
        | LoadError::Adapter { .. }
        | LoadError::Asynchronous(_)
        | LoadError::Compile(_)
        | LoadError::SetupSignature(_)
        | LoadError::Signature { .. } => "component",
    }
}

/// What a plugin says of one of its own settings, at its line.
fn setting_problem(config: &Config, plugin: &str, wrong: &SettingProblem) -> Problem {
    let path: Vec<&str> =
        ["plugin", plugin, "config"].into_iter().chain(wrong.path.iter().map(String::as_str)).collect();
    config.problem(&path, format!("plugin \"{plugin}\": {}", wrong.message))
}

/// What is wrong with what a service keeps for a plugin, at the grant's line.
fn grant_problem(config: &Config, plugin: &str, service: &str, error: &StorageError) -> Problem {
    let grants = config.plugins.get(plugin).map_or(&[][..], |plugin| &plugin.grants);
    let place = grants.iter().position(|grant| grant.name() == service).unwrap_or_default().to_string();
    config.problem(&["plugin", plugin, "grants", &place], format!("plugin \"{plugin}\": {}", chained(error)))
}

/// The plugins of a chain; the configuration has made sure that they exist.
fn link(name: &str, chain: &config::Chain, plugins: &BTreeMap<String, Arc<Plugin>>) -> Chain {
    let entries = chain
        .links
        .iter()
        .filter_map(|link| Some(Entry { plugin: plugins.get(&link.plugin)?.clone(), on_failure: link.on_failure }));
    Chain::new(name.to_owned(), entries.collect())
}

/// Chains that could never run: a session takes a place for each plugin.
fn too_long(config: &Config) -> Vec<Problem> {
    let instances = config.engine.instances.number();
    let long = config.chains.iter().filter(|(_, chain)| chain.links.len() > instances);
    let message = format!("more plugins than engine.instances, which is {instances}");
    long.map(|(name, _)| config.problem(&["chain", name, "plugins"], message.clone())).collect()
}

/// Listeners that nobody could send mail to: they require what their chain has no plugin for.
fn locked(config: &Config, chains: &BTreeMap<String, Arc<Chain>>) -> Vec<Problem> {
    let authenticates = |listener: &config::Listener| {
        let chain = chains.get(&listener.chain);
        chain.is_some_and(|chain| chain.hooks().contains(Hook::Authenticate))
            && !listener.extensions_off.contains(&config::Extension(Extension::Auth))
    };
    let in_clear = |listener: &config::Listener| listener.auth_in_clear || listener.tls.is_some();
    let locked = config
        .listeners
        .iter()
        .filter(|(_, listener)| listener.auth_required && !(authenticates(listener) && in_clear(listener)));
    let problem = |(name, listener): (&String, &config::Listener)| {
        let problem = config.problem(&["listener", name, "auth-required"], "nobody can authenticate here");
        if listener.extensions_off.contains(&config::Extension(Extension::Auth)) {
            problem.note("AUTH stands in its extensions-off")
        } else if authenticates(listener) {
            problem.note("AUTH is not offered in clear: auth-in-clear is false, and the listener has no TLS")
        } else {
            problem.note(format!("no plugin of chain \"{}\" has the hook authenticate", listener.chain))
        }
    };
    locked.map(problem).collect()
}

/// The TLS of the listeners that have one, by name, and what is worth a warning about it.
fn layers(config: &Config, problems: &mut Vec<Problem>) -> (Layers, Vec<Problem>) {
    let (mut layers, mut warnings) = (Layers::new(), Vec::new());
    for (name, listener) in &config.listeners {
        let Some(settings) = &listener.tls else { continue };
        let loaded = Tls::load(name, Spoken::Mail, settings, listener.limits.handshake_patience.0);
        layer(config, ("listener", name), loaded, (&mut layers, &mut warnings), problems);
    }
    (layers, warnings)
}

/// As `layers`, of the HTTP listeners.
fn http_layers(config: &Config, problems: &mut Vec<Problem>) -> (Layers, Vec<Problem>) {
    let (mut layers, mut warnings) = (Layers::new(), Vec::new());
    for (name, listener) in &config.http {
        let Some(settings) = &listener.tls else { continue };
        let loaded = Tls::load(name, Spoken::Http, settings, listener.limits.patience.0);
        layer(config, ("http", name), loaded, (&mut layers, &mut warnings), problems);
    }
    (layers, warnings)
}

/// By the listener's name.
type Layers = BTreeMap<String, Arc<Tls>>;

fn layer(
    config: &Config,
    listener: (&str, &str),
    loaded: Result<(Tls, Vec<Finding>), Vec<Finding>>,
    (layers, warnings): (&mut Layers, &mut Vec<Problem>),
    problems: &mut Vec<Problem>,
) {
    match loaded {
        Ok((tls, findings)) => {
            layers.insert(listener.1.to_owned(), Arc::new(tls));
            add(warnings, config, listener, findings);
        }
        Err(findings) => add(problems, config, listener, findings),
    }
}

/// Adds findings at their settings; one about common certificates is told once, not for each listener.
fn add(problems: &mut Vec<Problem>, config: &Config, listener: (&str, &str), findings: Vec<Finding>) {
    for Finding { setting, message } in findings {
        let problem = match setting {
            Setting::Chain(n) => config.certificate_problem(listener, n, "chain", message),
            Setting::Key(n) => config.certificate_problem(listener, n, "key", message),
            Setting::ClientAuthorities => {
                config.problem(&[listener.0, listener.1, "client-certificates", "ca"], message)
            }
        };
        if !problems.iter().any(|known| known.to_string() == problem.to_string()) {
            problems.push(problem);
        }
    }
}

fn door(
    name: &str,
    config: &Config,
    listener: &config::Listener,
    chain: &Arc<Chain>,
    tls: Option<Arc<Tls>>,
    shared: Shared<'_>,
) -> Door {
    let hostname = listener.hostname.as_str();
    let mut smtp = postgate_smtp::Config::new(hostname.parse().expect("invariant: a host name is a domain"));
    smtp.limits = into::session_limits(&listener.limits);
    let on = listener.extensions_on.iter().fold(Extensions::default(), |set, extension| set.with(extension.0));
    smtp.extensions = listener.extensions_off.iter().fold(on, |set, extension| set.without(extension.0));
    smtp.protocol = match listener.protocol {
        config::Protocol::Smtp => postgate_smtp::Protocol::Smtp,
        config::Protocol::Lmtp => postgate_smtp::Protocol::Lmtp,
    };
    smtp.mixed_outcomes = match listener.mixed_outcomes {
        config::MixedOutcomes::Worst => postgate_smtp::MixedOutcomes::Worst,
        config::MixedOutcomes::OneRecipient => postgate_smtp::MixedOutcomes::OneRecipient,
    };
    // EXPN and AUTH are offered where somebody can answer them.
    if !chain.hooks().contains(Hook::Expand) {
        smtp.extensions = smtp.extensions.without(Extension::Expand);
    }
    if chain.hooks().contains(Hook::Authenticate) {
        smtp.auth = AuthOffer {
            mechanisms: listener.auth_mechanisms.iter().fold(Mechanisms::default(), |set, name| set.with(name.0)),
            scram: Some(shared.chance.decoy()),
            in_clear: listener.auth_in_clear,
            required: listener.auth_required,
        };
    }
    smtp.tls = TlsOffer {
        starttls: listener.tls.as_ref().is_some_and(|tls| tls.start == TlsStart::Starttls),
        required: listener.tls.as_ref().is_some_and(|tls| tls.required),
    };
    Door {
        name: name.into(),
        settings: listener.clone(),
        chain: chain.clone(),
        tls,
        house: Arc::new(House {
            protocol: smtp.protocol,
            hostname: hostname.to_owned(),
            figures: Arc::new(Figures::new(name.into())),
            scratch: config.data_dir.join(SCRATCH),
            quarantine: config.data_dir.join("quarantine"),
            watch: Watch::new(shared.guesses.clone(), &listener.limits),
            clock: shared.clock.clone(),
            chance: shared.chance,
        }),
        smtp: Arc::new(smtp),
    }
}

/// The HTTP listeners; an error is a plugin that does not answer requests.
fn mounted(
    config: &Config,
    plugins: &BTreeMap<String, Arc<Plugin>>,
    doors: &[Door],
    tls: &mut Layers,
) -> Result<Vec<HttpDoor>, Problems> {
    let mut problems = Vec::new();
    let mut http = Vec::new();
    for (name, listener) in &config.http {
        let mut mounts = Vec::new();
        for (n, mount) in listener.mounts.iter().enumerate() {
            let target = match &mount.target {
                config::MountTarget::Metrics => Target::Metrics(Observed {
                    plugins: plugins.values().cloned().collect(),
                    listeners: doors.iter().map(|door| door.house.figures.clone()).collect(),
                }),
                config::MountTarget::Plugin(plugin) => match plugins.get(plugin).filter(|plugin| plugin.answers_http())
                {
                    Some(plugin) => Target::Plugin(plugin.clone()),
                    None => {
                        let message = format!("plugin \"{plugin}\" does not export wasi:http/incoming-handler@0.2");
                        problems.push(config.problem(&["http", name, "mounts", &n.to_string(), "plugin"], message));
                        continue;
                    }
                },
            };
            mounts.push(Mounted { path: mount.path.clone(), host: mount.host.clone(), target });
        }
        let (bind, limits) = (listener.bind.clone(), listener.limits.clone());
        http.push(HttpDoor {
            name: name.as_str().into(),
            hostname: config.hostname.as_str().into(),
            bind,
            tls: tls.remove(name),
            mounts,
            limits,
        });
    }
    if problems.is_empty() { Ok(http) } else { Err(Problems::new(problems)) }
}

/// Makes the directories that the gateway writes to, and tries them.
fn directories(config: &Config) -> Vec<Problem> {
    let problem = |setting: &[&str], directory: &Path| {
        let error = try_directory(directory).err()?;
        Some(config.problem(setting, format!("{} can't be written to: {error}", directory.display())))
    };
    let scratch = config.data_dir.join(SCRATCH);
    let mut problems: Vec<Problem> = problem(&["data-dir"], &scratch).into_iter().collect();
    if problems.is_empty()
        && let Err(error) = try_scratch(&scratch)
    {
        let message = format!("the file system of {} has no unnamed files (O_TMPFILE): {error}", scratch.display());
        return vec![config.problem(&["data-dir"], message)];
    }
    for (name, plugin) in &config.plugins {
        for (n, grant) in plugin.grants.iter().enumerate() {
            if let config::Grant::Maildir(root) = grant {
                problems.extend(problem(&["plugin", name, "grants", &n.to_string()], root));
            }
        }
    }
    problems.extend(unreadable(config));
    problems
}

/// The directories that were granted for reading and can't be read.
fn unreadable(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, plugin) in &config.plugins {
        for (n, grant) in plugin.grants.iter().enumerate() {
            let config::Grant::Files(directories) = grant else { continue };
            for (at, directory) in directories.iter().enumerate() {
                if let Err(error) = fs::read_dir(&directory.path) {
                    let message = format!("{} can't be read: {error}", directory.path.display());
                    let (n, at) = (n.to_string(), at.to_string());
                    problems.push(config.problem(&["plugin", name, "grants", &n, "files", &at, "path"], message));
                }
            }
        }
    }
    problems
}

/// Makes a directory and what leads to it, for nobody but us, and sees that files can be made in it. Its entry, and those of its parents,
/// are on disk afterwards.
fn try_directory(directory: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    for ancestor in directory.ancestors().filter(|ancestor| !ancestor.as_os_str().is_empty()) {
        // A directory that we may not read is not one that we have made.
        let synced = fs::File::open(ancestor).and_then(|ancestor| ancestor.sync_all());
        if synced.is_err() {
            break;
        }
    }
    let probe = directory.join(format!(".postgate-{}", std::process::id()));
    fs::write(&probe, b"")?;
    fs::remove_file(probe)
}

/// An error and its causes in one line.
pub(crate) fn chained(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// Where parts of large messages are kept while they are received, below the data directory.
const SCRATCH: &str = "tmp";
