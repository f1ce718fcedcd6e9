//! The contract as one file: the WIT package in binary form, as registries hold it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use wit_component::DecodedWasm;
use wit_parser::Resolve;

use crate::step;
use crate::workspace::Workspace;

/// Makes `<target>/postgate-mail-VERSION.wasm`, of the contract as it was agreed.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    let folder = workspace.root.join("wit");
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(&folder).context("the contract can't be read")?;
    let name = &resolve.packages[package].name;
    let version = name.version.as_ref().context("the package has no version")?;
    let file = format!("{}-{}-{version}", name.namespace, name.name);
    agreed(&folder, &workspace.root.join("tests/golden").join(format!("{file}.wit")))?;

    let octets = wit_component::encode(&resolve, package).context("the package can't be encoded")?;
    let DecodedWasm::WitPackage(decoded, id) = wit_component::decode(&octets)? else {
        anyhow::bail!("what was made is not a package");
    };
    let again = wit_component::encode(&decoded, id).context("what was made can't be encoded again")?;
    ensure!(octets == again, "what was made is another package than wit/");
    let path = workspace.target.join(format!("{file}.wasm"));
    fs::write(&path, &octets).with_context(|| format!("{} can't be written", path.display()))?;
    step::say(&format!("{} is the package {name}: {} octets", path.display(), octets.len()));
    Ok(())
}

/// Nothing is made of a contract that was changed and not agreed to.
fn agreed(folder: &Path, golden: &Path) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("{} can't be read", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "wit"));
    files.sort();
    let read = |path: &PathBuf| fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()));
    let texts: Vec<String> = files.iter().map(read).collect::<Result<_>>()?;
    let agreed = read(&golden.to_path_buf())?;
    ensure!(texts.join("\n") == agreed, "wit/ differs from {}, as which it was agreed", golden.display());
    Ok(())
}
