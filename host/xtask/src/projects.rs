//! Plugins of each language, as an author would make them: begun by `postgate new` with all hooks, and built by `postgate build`, with
//! the pinned toolchains of [`crate::tools`]; again only when something that they are made of has changed. One is as it was begun, and one has
//! the sources of the conformance kit.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::guests::list;
use crate::step::Step;
use crate::tools;
use crate::workspace::Workspace;

/// A language whose toolchain is here.
struct Language {
    /// As `postgate new` calls it.
    name: &'static str,
    /// Readies the project, and says which folders go before `PATH`.
    prepare: fn(&Workspace, &Path) -> Result<Vec<PathBuf>>,
}

const LANGUAGES: &[Language] = &[
    Language { name: "rust", prepare: rust },
    Language { name: "python", prepare: python },
    Language { name: "javascript", prepare: javascript },
    Language { name: "go", prepare: go },
    Language { name: "c", prepare: zig },
    Language { name: "cpp", prepare: zig },
    Language { name: "zig", prepare: zig },
];

/// Makes `<target>/projects/LANGUAGE/every-hook`, the same with `conformance`, and the components in them.
pub(crate) fn build_projects(workspace: &Workspace, gateway: &Path) -> Result<()> {
    for language in LANGUAGES {
        for name in [AS_BEGUN, CONFORMANCE] {
            build_project(workspace, gateway, language, name)?;
        }
    }
    Ok(())
}

/// The component of the conformance kit in a language.
pub(crate) fn conformance(workspace: &Workspace, language: &str) -> PathBuf {
    workspace.target.join("projects").join(language).join(CONFORMANCE).join(format!("{CONFORMANCE}.wasm"))
}

/// The languages by the names that `postgate new` has for them.
pub(crate) fn languages() -> impl Iterator<Item = &'static str> {
    LANGUAGES.iter().map(|language| language.name)
}

fn build_project(workspace: &Workspace, gateway: &Path, language: &Language, name: &str) -> Result<()> {
    let ingredients = ingredients(workspace, language, name)?;
    let folder = workspace.target.join("projects").join(language.name);
    let stamp = folder.join(format!("stamp-{name}"));
    let component = folder.join(name).join(format!("{name}.wasm"));
    if component.exists() && fs::read_to_string(&stamp).is_ok_and(|before| before == ingredients) {
        return Ok(());
    }
    build(workspace, gateway, language, name, &folder)?;
    fs::write(&stamp, &ingredients).with_context(|| format!("{} can't be written", stamp.display()))
}

fn build(workspace: &Workspace, gateway: &Path, language: &Language, name: &str, folder: &Path) -> Result<()> {
    let project = folder.join(name);
    if project.exists() {
        fs::remove_dir_all(&project).with_context(|| format!("{} can't be removed", project.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("{} can't be made", folder.display()))?;
    let what = format!("beginning a plugin with all hooks in {}", language.name);
    let begin = Step::new(&what, gateway).args(["new", name, "--hooks", "all", "--lang", language.name]);
    begin.directory(folder).quiet().run()?;
    if name == CONFORMANCE {
        drop_over(workspace, language, &project)?;
    }
    let before = (language.prepare)(workspace, &project)?;
    let path = env::var_os("PATH").unwrap_or_default();
    let path: OsString = env::join_paths(before.into_iter().chain(env::split_paths(&path)))?;
    Step::new(&format!("building it with postgate build ({})", language.name), gateway)
        .args(["build"])
        .directory(&project)
        .env("PATH", &path.to_string_lossy())
        // Where cargo puts it is for the project to find out, and its crates are not those of the workspace.
        .env("CARGO_TARGET_DIR", &folder.join("target").to_string_lossy())
        .quiet()
        .run()
}

/// Puts the sources of the conformance kit over those that the project has begun with.
fn drop_over(workspace: &Workspace, language: &Language, project: &Path) -> Result<()> {
    let mut files = Vec::new();
    list(&workspace.root.join(KIT).join(language.name), &mut files)?;
    let sources = if language.name == "rust" { project.join("src") } else { project.to_owned() };
    let mut copies: Vec<(PathBuf, PathBuf)> =
        files.into_iter().filter_map(|file| Some((file.clone(), sources.join(file.file_name()?)))).collect();
    if project.join("wit").is_dir() {
        copies.push((workspace.root.join(KIT).join("world.wit"), project.join("wit/world.wit")));
    }
    for (from, to) in copies {
        fs::copy(&from, &to).with_context(|| format!("{} can't be copied to {}", from.display(), to.display()))?;
    }
    Ok(())
}

/// The crates of the workspace's lock file are there already.
fn rust(workspace: &Workspace, project: &Path) -> Result<Vec<PathBuf>> {
    tools::wasm_target()?;
    let lock = project.join("Cargo.lock");
    fs::copy(workspace.root.join("Cargo.lock"), &lock)
        .with_context(|| format!("{} can't be written", lock.display()))?;
    Ok(Vec::new())
}

fn python(workspace: &Workspace, _project: &Path) -> Result<Vec<PathBuf>> {
    let program = tools::componentize_py(workspace)?;
    Ok(program.parent().map(Path::to_owned).into_iter().collect())
}

/// What `npm install` would make.
fn javascript(workspace: &Workspace, project: &Path) -> Result<Vec<PathBuf>> {
    let program = tools::componentize_qjs(workspace)?;
    let modules = program.ancestors().find(|folder| folder.ends_with("node_modules"));
    let modules = modules.context("invariant: the compiler is below node_modules")?;
    let link = project.join("node_modules");
    symlink(modules, &link).with_context(|| format!("{} can't be made", link.display()))?;
    Ok(Vec::new())
}

fn go(workspace: &Workspace, _project: &Path) -> Result<Vec<PathBuf>> {
    Ok(vec![tools::go(workspace)?])
}

/// C and C++ are compiled by it, too.
fn zig(workspace: &Workspace, _project: &Path) -> Result<Vec<PathBuf>> {
    Ok(vec![tools::ziglang(workspace)?])
}

/// A digest of the templates of a language, the recipes, the contract, the SDK and the toolchains.
fn ingredients(workspace: &Workspace, language: &Language, name: &str) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    include_str!("projects.rs").hash(&mut hasher);
    include_str!("tools.rs").hash(&mut hasher);
    let mut files = Vec::new();
    let own = format!("host/author/templates/{}", language.name);
    for folder in ["host/author/src", "host/author/templates/common", &own, "host/author/third-party", "wit"] {
        list(&workspace.root.join(folder), &mut files)?;
    }
    if language.name == "rust" {
        list(&workspace.root.join("plugins/sdk"), &mut files)?;
    }
    if name == CONFORMANCE {
        list(&workspace.root.join(KIT).join(language.name), &mut files)?;
        files.push(workspace.root.join(KIT).join("world.wit"));
    }
    files.sort();
    for file in files {
        file.strip_prefix(&workspace.root).unwrap_or(&file).hash(&mut hasher);
        fs::read(&file).with_context(|| format!("{} can't be read", file.display()))?.hash(&mut hasher);
    }
    Ok(format!("{:016x}\n", hasher.finish()))
}

/// The plugin that is as it was begun.
const AS_BEGUN: &str = "every-hook";
/// The one of the conformance kit.
const CONFORMANCE: &str = "conformance";
const KIT: &str = "tests/conformance";
