//! One plugin on trial, for `postgate inspect`: started as `check` would start it, with services that nobody answers and storage that is
//! gone afterwards.

use std::sync::Arc;

use postgate_plugin::{Engine, EngineConfig, EngineError, LoadError, Plugin, SettingProblem, Start, Stubs};

use super::chained;
use crate::config::{Config, Problems};
use crate::secrets::Secrets;
use crate::{into, keys, relays};

/// What is seen of a plugin that starts.
#[derive(Debug)]
pub(crate) struct Trial {
    /// What its start has taken.
    pub(crate) start: Start,
    /// What it says of its configuration.
    pub(crate) settings: Vec<SettingProblem>,
}

/// Why nothing is seen of it.
#[derive(Debug)]
pub(crate) enum TrialError {
    /// The plugin.
    Load(LoadError),
    /// The machine, or what it was to be tried with.
    System(String),
}

/// Tries the plugin of that name.
pub(crate) async fn try_plugin(config: &Config, name: &str) -> Result<Trial, TrialError> {
    let stubs = Arc::new(Stubs::default());
    let mut settings = EngineConfig {
        instances: INSTANCES,
        memory_bytes: config.engine.memory_max.octets(),
        cache: Some(config.cache_dir.clone()),
        dns: into::dns(&config.dns),
        rehearsal: Some(stubs.clone()),
        ..EngineConfig::default()
    };
    let engine = Engine::new(&settings).or_else(|error| match error {
        // What is compiled is kept for the next time, and where that can't be, is not.
        EngineError::Cache(_) => {
            settings.cache = None;
            Engine::new(&settings)
        }
        EngineError::Start { .. } => Err(error),
    });
    let engine = engine.map_err(|error| TrialError::System(chained(&error)))?;
    let (mut problems, secrets) = (Vec::new(), Secrets::new());
    let relays = relays::load(config, &secrets, Some(&stubs), &mut problems);
    let (keys, _) = keys::load(config, &secrets, &mut problems);
    if !problems.is_empty() {
        return Err(TrialError::System(Problems::new(problems).to_string()));
    }
    let given = into::Given { relays: &relays, secrets: &secrets, keys: &keys };
    let table = config.plugins.get(name).expect("invariant: who makes the configuration knows its plugin");
    let (start, settings) =
        Plugin::try_out(&engine, into::plugin(name, table, given)).await.map_err(TrialError::Load)?;
    Ok(Trial { start, settings })
}

/// One is made; a runtime of a language takes the core instances, memories and tables of several.
const INSTANCES: usize = 16;
