//! A chain: plugins in the operator's order, and for each hook those that implement it.

use std::sync::Arc;

use crate::component::Plugin;
use crate::failure::OnFailure;
use crate::hook::{Hook, HookSet};
use crate::service::secrets::Redactor;

/// One plugin's place in a chain.
pub struct Entry {
    /// The plugin.
    pub plugin: Arc<Plugin>,
    /// What is done here when it fails.
    pub on_failure: OnFailure,
}

/// The ordered plugins of a listener or tenant.
pub struct Chain {
    name: String,
    entries: Vec<Entry>,
    order: [Vec<usize>; Hook::ALL.len()],
    redactor: Redactor,
}

impl Chain {
    /// A chain of these plugins.
    pub fn new(name: String, entries: Vec<Entry>) -> Self {
        let order = Hook::ALL.map(|hook| {
            let exports = |(_, entry): &(usize, &Entry)| entry.plugin.hooks().contains(hook);
            entries.iter().enumerate().filter(exports).map(|(position, _)| position).collect()
        });
        let redactor = Redactor::union(entries.iter().map(|entry| &entry.plugin.facts.redactor));
        Self { name, entries, order, redactor }
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its plugins in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The plugins that are asked at a hook, in order.
    pub fn at(&self, hook: Hook) -> impl Iterator<Item = &Entry> {
        self.order(hook).iter().filter_map(|position| self.entries.get(*position))
    }

    /// The hooks that at least one plugin implements.
    pub fn hooks(&self) -> HookSet {
        let mut set = HookSet::default();
        Hook::ALL.into_iter().filter(|hook| !self.order(*hook).is_empty()).for_each(|hook| set.insert(hook));
        set
    }

    /// Takes the secrets of all its plugins out of what is logged.
    pub(crate) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    pub(crate) fn order(&self, hook: Hook) -> &[usize] {
        self.order.get(hook as usize).map_or(&[], Vec::as_slice)
    }
}
