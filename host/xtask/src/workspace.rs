//! Where things are: asked of cargo, which knows CARGO_TARGET_DIR and the members.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::step::Step;

/// The project as cargo sees it.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    /// The members that become components.
    pub(crate) components: Vec<Member>,
}

/// A member of the workspace that is a `cdylib`.
pub(crate) struct Member {
    pub(crate) name: String,
    /// Below the root.
    pub(crate) directory: PathBuf,
}

impl Workspace {
    pub(crate) fn find() -> Result<Self> {
        let output = Command::new(cargo())
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .context("cargo does not run")?;
        if !output.status.success() {
            bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata is not JSON")?;
        let path = |key: &str| metadata[key].as_str().map(PathBuf::from).with_context(|| format!("no {key}"));
        let (root, target) = (path("workspace_root")?, path("target_directory")?);
        let packages = metadata["packages"].as_array().context("no packages")?;
        let components = packages.iter().filter_map(|package| Member::of(package, &root)).collect();
        Ok(Self { root, target, components })
    }

    /// A step that cargo does, in the root. It is not told which package's program asks, as cargo has told us: build scripts look at
    /// that (ring's does), and all that depends on them would be compiled anew whenever somebody else asks.
    pub(crate) fn cargo(&self, what: &str) -> Step {
        let of_ours = |name: &OsString| {
            let name = name.as_encoded_bytes();
            OF_A_PACKAGE.iter().any(|begin| name.starts_with(begin.as_bytes()))
        };
        let ours = std::env::vars_os().map(|(name, _)| name).filter(of_ours);
        Step::new(what, cargo()).directory(&self.root).without_env(ours)
    }

    /// Where tools are kept that do not come from cargo.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }
}

impl Member {
    fn of(package: &Value, root: &Path) -> Option<Self> {
        let is_component = package["targets"]
            .as_array()?
            .iter()
            .filter_map(|target| target["crate_types"].as_array())
            .flatten()
            .any(|crate_type| crate_type == "cdylib");
        let manifest = Path::new(package["manifest_path"].as_str()?);
        let directory = manifest.parent()?.strip_prefix(root).ok()?;
        is_component.then_some(Self { name: package["name"].as_str()?.to_owned(), directory: directory.to_owned() })
    }
}

/// The cargo that runs us.
fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// How the variables begin that cargo sets for the program of a package.
const OF_A_PACKAGE: [&str; 4] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
