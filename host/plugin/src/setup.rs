//! `postgate:mail/setup`: a plugin looks at its own configuration when it is loaded, so that a wrong setting is told at its line before
//! a client connects.

use tokio::time::{Instant, timeout_at};

use crate::bindings::exports::postgate::mail::setup::GuestIndices;
use crate::component::{LoadError, Plugin};
use crate::instance::Instance;

/// The interface that a component exports.
pub(crate) const INTERFACE: &str = "postgate:mail/setup@0.1.0";

/// A setting that the plugin can't use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingProblem {
    /// Its keys below the plugin's own table, from the outside in.
    pub path: Vec<String>,
    /// What is wrong, in the plugin's words: escaped, and bounded.
    pub message: String,
}

/// Asks the plugin, if it wants to be asked, which settings it can't use.
pub(crate) async fn ask(plugin: &Plugin, instance: &mut Instance) -> Result<Vec<SettingProblem>, LoadError> {
    if plugin.pre.component().get_export_index(None, INTERFACE).is_none() {
        return Ok(Vec::new());
    }
    let indices = GuestIndices::new(&plugin.pre).map_err(signature)?;
    let guest = indices.load(&mut instance.store, &instance.instance).map_err(signature)?;
    instance.refuel();
    let deadline = Instant::now() + plugin.limits().deadline;
    let answer = timeout_at(deadline, guest.call_on_setup(&mut instance.store)).await;
    let problems = instance.outcome(answer).map_err(LoadError::start)?;
    let problems = problems.into_iter().take(MAX_PROBLEMS).map(|problem| SettingProblem {
        path: problem.path.into_iter().take(MAX_DEPTH).collect(),
        message: shown(&plugin.redacted(problem.message)),
    });
    Ok(problems.collect())
}

/// The plugin's words on one line, with nothing in them that a terminal would obey.
fn shown(message: &str) -> String {
    let mut shown = String::new();
    for character in message.chars().take(MAX_MESSAGE_CHARS) {
        match character {
            '\'' | '"' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    shown
}

fn signature(error: wasmtime::Error) -> LoadError {
    LoadError::SetupSignature(error.into())
}

/// Problems that are shown.
const MAX_PROBLEMS: usize = 100;
/// Keys of a path that are looked at.
const MAX_DEPTH: usize = 16;
const MAX_MESSAGE_CHARS: usize = 500;
