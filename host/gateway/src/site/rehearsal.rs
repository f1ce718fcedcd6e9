//! What a site has in a rehearsal that it would have from the world otherwise.

use std::sync::Arc;

use postgate_plugin::Stubs;
use postgate_plugin::secrets::Secret;

use crate::config::Config;
use crate::secrets::Secrets;

/// What a rehearsal has in place of the world.
pub(crate) struct Rehearsal {
    /// What services answer with.
    pub(crate) stubs: Arc<Stubs>,
    /// Secrets by name; others have a value that says what it is.
    pub(crate) secrets: Secrets,
}

impl Rehearsal {
    pub(super) fn secrets(&self, config: &Config) -> Secrets {
        let value = |name: &String| {
            self.secrets.get(name).cloned().unwrap_or_else(|| Secret::new(&format!("the-secret-{name}")))
        };
        config.secrets.keys().map(|name| (name.clone(), value(name))).collect()
    }
}
