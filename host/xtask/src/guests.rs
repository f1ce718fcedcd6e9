//! Guests for tests in other languages: built with the pinned toolchains of [`crate::tools`], and only when something that they
//! are made of has changed.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::components::Kind;
use crate::step::Step;
use crate::tools::{self, COMPONENTIZE_PY, COMPONENTIZE_QJS};
use crate::workspace::Workspace;

/// Builds every folder of `tests/guests` that has a `plugin.py` or a `plugin.js`.
pub(crate) fn build_guests(workspace: &Workspace) -> Result<()> {
    let sources = workspace.root.join("tests/guests");
    let mut folders: Vec<PathBuf> = fs::read_dir(&sources)
        .with_context(|| format!("{} can't be read", sources.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    folders.sort();
    for folder in folders {
        if let Some(language) = Language::of(&folder) {
            build_guest(workspace, &folder, language)?;
        }
    }
    Ok(())
}

/// What a guest is written in.
#[derive(Clone, Copy)]
enum Language {
    Python,
    JavaScript,
}

impl Language {
    fn of(folder: &Path) -> Option<Self> {
        if folder.join("plugin.py").exists() {
            Some(Self::Python)
        } else if folder.join("plugin.js").exists() {
            Some(Self::JavaScript)
        } else {
            None
        }
    }

    /// The toolchain, with its version.
    fn toolchain(self) -> &'static str {
        match self {
            Self::Python => COMPONENTIZE_PY,
            Self::JavaScript => COMPONENTIZE_QJS,
        }
    }

    /// The command that makes `output` of the folder it runs in. Nothing of WASI is left in either component.
    fn compile(self, workspace: &Workspace, what: &str, output: &Path) -> Result<Step> {
        Ok(match self {
            Self::Python => Step::new(what, tools::componentize_py(workspace)?)
                .args(["-d", "wit", "-w", "plugin", "componentize", "--stub-wasi", "plugin", "-p", ".", "-o"])
                .arg(output)
                .env("PYTHONDONTWRITEBYTECODE", "1"),
            Self::JavaScript => Step::new(what, "node")
                .arg(tools::componentize_qjs(workspace)?)
                .args([
                    "--wit",
                    "wit",
                    "--js",
                    "plugin.js",
                    "-n",
                    "plugin",
                    "--sync",
                    "--opt-size",
                    "--stub-wasi",
                    "-o",
                ])
                .arg(output),
        })
    }
}

fn build_guest(workspace: &Workspace, folder: &Path, language: Language) -> Result<()> {
    let name = folder.file_name().context("invariant: a folder has a name")?.to_string_lossy();
    let guests = Kind::Guest.directory(workspace);
    fs::create_dir_all(&guests).with_context(|| format!("{} can't be made", guests.display()))?;
    let component = guests.join(format!("{name}.wasm"));
    let stamp = guests.join(format!("{name}.stamp"));
    let ingredients = ingredients(folder, language)?;
    if component.exists() && fs::read_to_string(&stamp).is_ok_and(|before| before == ingredients) {
        return Ok(());
    }
    let partial = guests.join(format!("{name}.partial"));
    let what = format!("building the guest {name} with {}", language.toolchain());
    language.compile(workspace, &what, &partial)?.directory(folder).quiet().run()?;
    fs::rename(&partial, &component).with_context(|| format!("{} can't be replaced", component.display()))?;
    fs::write(&stamp, ingredients).with_context(|| format!("{} can't be written", stamp.display()))
}

/// A digest of the toolchain, of this recipe, and of all files of the folder, the WIT package included.
fn ingredients(folder: &Path, language: Language) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    language.toolchain().hash(&mut hasher);
    include_str!("guests.rs").hash(&mut hasher);
    let mut files = Vec::new();
    list(folder, &mut files)?;
    files.sort();
    for file in files {
        file.strip_prefix(folder).unwrap_or(&file).hash(&mut hasher);
        fs::read(&file).with_context(|| format!("{} can't be read", file.display()))?.hash(&mut hasher);
    }
    Ok(format!("{:016x}\n", hasher.finish()))
}

/// All files below; the WIT package is a symbolic link.
pub(crate) fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("{} can't be read", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "__pycache__") {
                list(&path, files)?;
            }
        } else {
            files.push(path);
        }
    }
    Ok(())
}
