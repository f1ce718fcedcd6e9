//! What dialogues are played with: a configuration of the operator's, or one that is made for a plugin; without what belongs to the machine.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use postgate_plugin::{ServiceId, Source};

use super::line::Stub;
use super::script::Script;
use crate::config::{self, Certificate, Config, Count, Grant, Machine};
use crate::tls::authority::{CHAIN, CLIENTS, KEY};

/// A configuration, and what of it is tried.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    base: Base,
    /// The listener's name; the only one where there is one.
    listener: Option<String>,
    /// Where compiled components are kept.
    cache: PathBuf,
}

#[derive(Clone, Debug)]
enum Base {
    /// A file of the operator's; perhaps with another component in place of one of it.
    File { path: PathBuf, component: Option<PathBuf> },
    /// One that is made for this component, which has this name in it.
    Made { component: PathBuf, name: String },
}

impl Setting {
    /// The configuration in a file, with that component in place of the one with the same name, if there is one.
    pub(crate) fn of_file(path: PathBuf, component: Option<PathBuf>, listener: Option<String>) -> Self {
        Self { base: Base::File { path, component }, listener, cache: cache() }
    }

    /// A configuration for one plugin.
    pub(crate) fn of_component(component: PathBuf) -> Self {
        let name: String = component.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self::of_component_named(component, &name)
    }

    /// A configuration for one plugin of that name.
    pub(crate) fn of_component_named(component: PathBuf, name: &str) -> Self {
        let is_part = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
        let name = name.chars().map(|character| if is_part(character) { character } else { '-' }).collect();
        Self { base: Base::Made { component, name }, listener: None, cache: cache() }
    }

    /// The files that it depends on, the configuration's and the components'.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        match &self.base {
            Base::Made { component, .. } => vec![component.clone()],
            Base::File { path, component } => {
                let config = Config::load(path, &[]).ok();
                let plugins = config.iter().flat_map(|config| config.plugins.values());
                let components = plugins.map(|plugin| plugin.component.clone()).chain(component.clone());
                std::iter::once(path.clone()).chain(components).collect()
            }
        }
    }

    /// The configuration for a dialogue; what is kept is kept in the folder.
    pub(super) fn config(&self, script: &Script, folder: &Path) -> Result<Config, String> {
        let (path, text, component) = match &self.base {
            Base::Made { component, name } => {
                (PathBuf::from("made/postgate.toml"), made(component, name, script)?, None)
            }
            Base::File { path, component } => {
                let text =
                    fs::read_to_string(path).map_err(|error| format!("{}: can't be read: {error}", path.display()))?;
                (path.clone(), text, component.as_ref())
            }
        };
        let machine = Machine { hostname: "mx.example.org".to_owned(), cores: 2 };
        let parse = |overrides: &[String]| Config::parse(&path, text.clone(), overrides, &machine);
        let mut overrides = vec![
            format!("data-dir={:?}", folder.join("data").display().to_string()),
            format!("cache-dir={:?}", self.cache.display().to_string()),
        ];
        let config = parse(&overrides).map_err(|problems| problems.to_string())?;
        let listener = self.listener(&config, &path)?;
        let replaced = component.map(|component| replaced(&config, component)).transpose()?;
        if let (Some(component), Some(name)) = (component, &replaced) {
            let component = absolute(component)?.display().to_string();
            overrides.push(format!("plugin.{name}.component={component:?}"));
        }
        for (line, name, value) in &script.settings {
            overrides.extend(settings(&listener, name, value, folder));
            parse(&overrides).map_err(|problems| format!("{}:{line}: {problems}", script.path.display()))?;
        }
        let mut config = parse(&overrides).map_err(|problems| problems.to_string())?;
        if let Some(plugin) = replaced.and_then(|name| config.plugins.get_mut(&name)) {
            // What is pinned is the other one.
            plugin.sha256 = None;
        }
        without_world(&mut config, &listener, folder);
        Ok(config)
    }

    fn listener(&self, config: &Config, path: &Path) -> Result<String, String> {
        let names = || config.listeners.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        match (&self.listener, config.listeners.keys().next()) {
            (Some(name), _) if config.listeners.contains_key(name) => Ok(name.clone()),
            (Some(name), _) => Err(format!("{} has no listener \"{name}\"; it has {}", path.display(), names())),
            (None, Some(only)) if config.listeners.len() == 1 => Ok(only.clone()),
            (None, _) => {
                Err(format!("{} has several listeners: say --listener NAME, one of {}", path.display(), names()))
            }
        }
    }
}

/// The plugin whose component is replaced: that with the same file name, or the only one.
fn replaced(config: &Config, component: &Path) -> Result<String, String> {
    let same = |plugin: &config::Plugin| plugin.component.file_name() == component.file_name();
    let found = config.plugins.iter().find(|(_, plugin)| same(plugin)).map(|(name, _)| name);
    let only = config.plugins.keys().next().filter(|_| config.plugins.len() == 1);
    found.or(only).cloned().ok_or_else(|| {
        format!(
            "no plugin of the configuration has a component named {}",
            component.file_name().unwrap_or_default().display()
        )
    })
}

/// A `set:` line as settings of the configuration. What begins with the name of a table of the file is one of the file's, all else one of
/// the listener's.
fn settings(listener: &str, name: &str, value: &str, folder: &Path) -> Vec<String> {
    let table = name.split('.').next().unwrap_or_default();
    if TABLES.contains(&table) && name.contains('.') {
        return vec![format!("{name}={value}")];
    }
    let mut settings = Vec::new();
    if LISTS.contains(&name) && !value.starts_with('[') {
        let words: Vec<&str> = value.split_whitespace().collect();
        settings.push(format!("listener.{listener:?}.{name}={words:?}"));
    } else {
        settings.push(format!("listener.{listener:?}.{name}={value}"));
    }
    if name == "tls" && !value.contains("none") {
        let (chain, key) = (folder.join(CHAIN).display().to_string(), folder.join(KEY).display().to_string());
        settings.insert(0, format!("listener.{listener:?}.certificates=[{{ chain = {chain:?}, key = {key:?} }}]"));
    }
    settings
}

/// Leaves what one listener needs, and takes from it what belongs to the machine: certificates, and folders elsewhere.
fn without_world(config: &mut Config, listener: &str, folder: &Path) {
    config.listeners.retain(|name, _| name == listener);
    config.http.clear();
    let chain = config.listeners.values().next().map(|listener| listener.chain.clone()).unwrap_or_default();
    config.chains.retain(|name, _| *name == chain);
    let links: Vec<String> =
        config.chains.values().flat_map(|chain| &chain.links).map(|link| link.plugin.clone()).collect();
    config.plugins.retain(|name, _| links.contains(name));
    let instances = u32::try_from(links.len()).unwrap_or(u32::MAX).saturating_mul(2).max(MIN_INSTANCES);
    config.engine.instances = Count::new(instances).unwrap_or(config.engine.instances);
    for listener in config.listeners.values_mut() {
        if let Some(tls) = &mut listener.tls {
            tls.certificates = vec![Certificate { chain: folder.join(CHAIN), key: folder.join(KEY) }];
            if let Some(clients) = &mut tls.client_certificates {
                clients.ca = folder.join(CLIENTS);
            }
        }
    }
    let (mut keys, mut relays) = (Vec::new(), Vec::new());
    for (name, plugin) in &mut config.plugins {
        for grant in &mut plugin.grants {
            match grant {
                Grant::Maildir(root) if !root.starts_with(folder) => *root = folder.join("maildirs").join(name),
                Grant::Signing(names) => keys.extend(names.iter().cloned()),
                Grant::Submit(names) => relays.extend(names.iter().cloned()),
                Grant::Maildir(_)
                | Grant::Log
                | Grant::Config
                | Grant::Passwords
                | Grant::KeyValue(_)
                | Grant::Sqlite(_)
                | Grant::Sockets(_)
                | Grant::Files(_)
                | Grant::Metrics
                | Grant::Secrets(_)
                | Grant::Http(_)
                | Grant::Dns
                | Grant::MailAuthentication => {}
            }
        }
    }
    config.dkim_keys.retain(|name, _| keys.contains(name));
    config.relays.retain(|name, _| relays.contains(name));
}

/// A configuration for one plugin: it is granted what it imports, as far as the dialogue says with what.
fn made(component: &Path, name: &str, script: &Script) -> Result<String, String> {
    let anatomy = postgate_plugin::anatomy(component).map_err(|error| crate::site::chained(&error))?;
    let mut grants = BTreeMap::new();
    for import in &anatomy.imports {
        // What nobody offers is told when the plugin is loaded.
        let Ok(Source::Service(service)) = postgate_plugin::source(import) else { continue };
        let grant = match service.id {
            ServiceId::Log
            | ServiceId::Config
            | ServiceId::Passwords
            | ServiceId::Maildir
            | ServiceId::Metrics
            | ServiceId::KeyValue
            | ServiceId::Sqlite
            | ServiceId::Dns
            | ServiceId::MailAuthentication => service.example.to_owned(),
            ServiceId::Secrets => {
                let names: Vec<&String> = script.secrets.iter().map(|(name, _)| name).collect();
                format!("{{ secrets = {{ read = {names:?} }} }}")
            }
            ServiceId::Http => format!("{{ http = {{ allow = {:?} }} }}", origins(script)),
            ServiceId::Submit => format!("{{ submit = {:?} }}", relays(script)),
            ServiceId::Signing => "{ signing = [] }".to_owned(),
        };
        grants.insert(service.name, grant);
    }
    let grants = grants.into_values().collect::<Vec<_>>().join(", ");
    let component = absolute(component)?.display().to_string();
    let mut text = format!(
        "hostname = \"mx.example.org\"\n[listener.test]\nbind = \"192.0.2.25:25\"\nchain = \"test\"\nauth-in-clear = true\n\
         [chain.test]\nplugins = [{name:?}]\n[plugin.{name:?}]\ncomponent = {component:?}\ngrants = [{grants}]\n"
    );
    for (name, _) in &script.secrets {
        text += &format!("[secret.{name:?}]\nenv = \"TEST\"\n");
    }
    for relay in relays(script) {
        text += &format!("[relay.{relay:?}]\nhost = \"relay.invalid\"\ntls = \"none\"\n");
    }
    Ok(text)
}

fn relays(script: &Script) -> Vec<&str> {
    let mut names: Vec<&str> = script
        .stubs()
        .filter_map(|stub| if let Stub::Relay { name, .. } = stub { Some(&**name) } else { None })
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The schemes and hosts of the requests that the dialogue answers.
fn origins(script: &Script) -> Vec<&str> {
    let mut origins: Vec<&str> = script.stubs().filter_map(origin).collect();
    origins.sort_unstable();
    origins.dedup();
    origins
}

fn origin(stub: &Stub) -> Option<&str> {
    let Stub::Http { url, .. } = stub else { return None };
    let host = url.find("://")? + 3;
    let end = url.get(host..)?.find('/').map_or(url.len(), |at| host + at);
    url.get(..end)
}

fn absolute(path: &Path) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// In the user's folder for such things; where there is none, in that for what is temporary, one for each user.
pub(crate) fn cache() -> PathBuf {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let folder =
        std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home).filter(|folder| folder.is_absolute());
    let user = rustix::process::geteuid().as_raw();
    // What is in it is run: it is nobody else's to write to.
    let made = |folder: &PathBuf| fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).is_ok();
    match folder.map(|folder| folder.join("postgate")).filter(made) {
        Some(folder) => folder,
        None => std::env::temp_dir().join(format!("postgate-{user}")),
    }
}

/// Tables of the configuration file.
const TABLES: &[&str] = &["engine", "dns", "tls", "listener", "chain", "plugin", "relay", "on-failure"];

/// Settings of a listener that are lists; a dialogue writes their words one behind the other.
const LISTS: &[&str] = &["extensions-on", "extensions-off", "auth-mechanisms", "xclient-from"];

/// Places for instances.
const MIN_INSTANCES: u32 = 16;
