//! The keys of a configuration that sign mail, read from their files or taken out of the secrets.

use std::collections::BTreeMap;
use std::sync::Arc;

use postgate_plugin::signing::{Key, KeyError};

use crate::config::{Config, DkimKey, KeySource, Problem};
use crate::into;
use crate::secrets::Secrets;
use crate::site::chained;

/// By name.
pub(crate) type Keys = BTreeMap<String, Arc<Key>>;

/// Reads all keys; answers what can be used, and warnings about files that others may read.
pub(crate) fn load(config: &Config, secrets: &Secrets, problems: &mut Vec<Problem>) -> (Keys, Vec<Problem>) {
    let (mut keys, mut warnings) = (Keys::new(), Vec::new());
    for (name, settings) in &config.dkim_keys {
        match one(config, name, settings, secrets) {
            Ok(key) => {
                if let (true, KeySource::File(file)) = (key.is_exposed(), &settings.key) {
                    let file = file.display();
                    let message = format!("others than its owner may read {file}: chmod 600 {file}");
                    warnings.push(config.problem(&["dkim-key", name, "key"], message));
                }
                keys.insert(name.clone(), Arc::new(key));
            }
            Err(problem) => problems.push(problem),
        }
    }
    (keys, warnings)
}

/// Reads one key. What is wrong with it never quotes it.
pub(crate) fn one(config: &Config, name: &str, settings: &DkimKey, secrets: &Secrets) -> Result<Key, Problem> {
    let problem =
        |message: String| config.problem(&["dkim-key", name, "key"], format!("dkim-key \"{name}\": {message}"));
    let wrong = |error: KeyError| problem(chained(&error));
    let key = into::dkim_key(settings);
    match &settings.key {
        KeySource::File(file) => Key::load(key, file).map_err(wrong),
        KeySource::Secret(source) => {
            let none = || problem(format!("the secret \"{}\" has no value", source.secret));
            let secret = secrets.get(&source.secret).ok_or_else(none)?;
            Key::from_pem(key, secret.expose().as_bytes()).map_err(wrong)
        }
    }
}
