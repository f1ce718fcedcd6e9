//! Components of the workspace's own crates: the shipped plugins, and the guests for tests that are in Rust.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::tools;
use crate::workspace::{Member, Workspace};

/// What a component is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Shipped: `<target>/plugins`.
    Plugin,
    /// For tests: `<target>/guests`.
    Guest,
}

impl Kind {
    /// Where its crates are, below the root.
    fn sources(self) -> &'static Path {
        Path::new(match self {
            Self::Plugin => "plugins",
            Self::Guest => "tests/guests",
        })
    }

    /// Where its components go.
    pub(crate) fn directory(self, workspace: &Workspace) -> PathBuf {
        workspace.target.join(match self {
            Self::Plugin => "plugins",
            Self::Guest => "guests",
        })
    }
}

/// Builds all components of these kinds, and answers where the first kind is.
pub(crate) fn build_components(workspace: &Workspace, kinds: &[Kind]) -> Result<PathBuf> {
    tools::wasm_target()?;
    let members: Vec<(&Member, Kind)> = workspace
        .components
        .iter()
        .filter_map(|member| {
            let kind = kinds.iter().find(|kind| member.directory.starts_with(kind.sources()))?;
            Some((member, *kind))
        })
        .collect();
    let what = if kinds.contains(&Kind::Guest) { "building plugins and guests" } else { "building plugins" };
    let mut step = workspace.cargo(what).args(["build", "--profile", "guest", "--target", tools::WASM_TARGET]);
    for (member, _) in &members {
        step = step.args(["--package", &member.name]);
    }
    step.run()?;
    let built = workspace.target.join(tools::WASM_TARGET).join("guest");
    for (member, kind) in members {
        let from = built.join(format!("{}.wasm", member.name.replace('-', "_")));
        put(&from, &kind.directory(workspace).join(format!("{}.wasm", member.name)))?;
    }
    let first = kinds.first().context("invariant: a kind is asked for")?;
    Ok(first.directory(workspace))
}

/// Copies what has changed, whole or not at all: a gateway may be reading it.
fn put(from: &Path, to: &Path) -> Result<()> {
    let octets = fs::read(from).with_context(|| format!("{} is not there", from.display()))?;
    if fs::read(to).is_ok_and(|before| before == octets) {
        return Ok(());
    }
    let directory = to.parent().context("invariant: a component has a directory")?;
    fs::create_dir_all(directory).with_context(|| format!("{} can't be made", directory.display()))?;
    let partial = to.with_extension("partial");
    fs::write(&partial, octets).with_context(|| format!("{} can't be written", partial.display()))?;
    fs::rename(&partial, to).with_context(|| format!("{} can't be replaced", to.display()))
}
