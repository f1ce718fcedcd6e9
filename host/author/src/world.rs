//! The author's own world, `wit/world.wit`: what the component exports and may ask for.

use std::path::Path;

use wit_parser::{Resolve, WorldId, WorldItem};

use crate::hooks::HOOKS;

/// What is wrong with `wit/`.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// It is no WIT.
    #[error("wit/ can't be used: {0}")]
    Parse(String),
    /// There is no world `plugin`.
    #[error("wit/world.wit has no world `plugin`: {0}")]
    NoWorld(String),
    /// Nothing would ever call it.
    #[error(
        "the world `plugin` in wit/world.wit exports no hook, so nothing would ever call the plugin: add a line such as\n\n    export postgate:mail/recipient@0.1.0;"
    )]
    NoHooks,
}

/// The world, resolved.
pub(crate) struct World {
    /// All packages below `wit/`.
    pub(crate) resolve: Resolve,
    /// The world `plugin`.
    pub(crate) id: WorldId,
    /// Its hooks, in the order of the dialogue.
    pub(crate) hooks: Vec<&'static str>,
}

/// Reads the folder.
pub(crate) fn read(folder: &Path) -> Result<World, WorldError> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(folder).map_err(|error| WorldError::Parse(resolve.render_error(&error)))?;
    let id =
        resolve.select_world(&[package], Some(WORLD)).map_err(|error| WorldError::NoWorld(format!("{error:#}")))?;
    let world = resolve.worlds.get(id).expect("invariant: it was just selected");
    let exported: Vec<&str> = world.exports.values().filter_map(|item| interface_name(&resolve, item)).collect();
    let hooks: Vec<_> = HOOKS.into_iter().filter(|hook| exported.contains(hook)).collect();
    // `setup` is asked by the gateway, and by no client.
    if hooks.iter().all(|hook| *hook == "setup") {
        return Err(WorldError::NoHooks);
    }
    Ok(World { resolve, id, hooks })
}

/// The name of an interface of the contract.
fn interface_name<'a>(resolve: &'a Resolve, item: &WorldItem) -> Option<&'a str> {
    let WorldItem::Interface { id, .. } = item else { return None };
    let interface = resolve.interfaces.get(*id)?;
    let package = &resolve.packages.get(interface.package?)?.name;
    (package.namespace == "postgate" && package.name == "mail").then_some(interface.name.as_deref()).flatten()
}

/// The name of the author's world.
pub(crate) const WORLD: &str = "plugin";
