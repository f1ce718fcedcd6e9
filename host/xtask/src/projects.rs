//! Plugins of each language, as an author would make them: begun by `postgate new` and built by `postgate build`, with the pinned
//! toolchains of [`crate::tools`]; again only when something that they are made of has changed. One has all hooks, as the templates have
//! them; another is the sample of the language's page in `plugins/languages`.

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

/// Makes `<target>/projects/LANGUAGE/every-hook` and `spam-check`, and the components in them.
pub(crate) fn build_projects(workspace: &Workspace, gateway: &Path) -> Result<()> {
    let projects = workspace.target.join("projects");
    for language in LANGUAGES {
        let ingredients = ingredients(workspace, language)?;
        let folder = projects.join(language.name);
        let stamp = folder.join("stamp");
        let is_built = |name: &str| folder.join(name).join(format!("{name}.wasm")).exists();
        let is_same = || fs::read_to_string(&stamp).is_ok_and(|before| before == ingredients);
        if is_built(NAME) && is_built(SAMPLE) && is_same() {
            continue;
        }
        build(workspace, gateway, language, &folder)?;
        build_sample(workspace, gateway, language, &folder)?;
        fs::write(&stamp, &ingredients).with_context(|| format!("{} can't be written", stamp.display()))?;
    }
    Ok(())
}

fn build(workspace: &Workspace, gateway: &Path, language: &Language, folder: &Path) -> Result<()> {
    let project = begin(gateway, language, folder, NAME, "all")?;
    let before = (language.prepare)(workspace, &project)?;
    make(gateway, language, &project, &before, &[])
}

/// The plugin of the language's page: as it is to be shipped, and as `SAMPLE-debug.wasm`, with what a trap can tell.
fn build_sample(workspace: &Workspace, gateway: &Path, language: &Language, folder: &Path) -> Result<()> {
    let project = begin(gateway, language, folder, SAMPLE, "recipient,message")?;
    let page = workspace.root.join(page(language));
    let text = fs::read_to_string(&page).with_context(|| format!("{} can't be read", page.display()))?;
    let (name, source) = source(&text).with_context(|| format!("{} has no source with a name", page.display()))?;
    amend(&project.join(name), |_| source.to_owned())?;
    amend(&project.join("postgate.toml"), |text| text.replace(r#""config"]"#, r#""config", "key-value"]"#))?;
    let world = project.join("wit/world.wit");
    if world.exists() {
        amend(&world, |text| text.replace("// import postgate:mail/key-value@", "import postgate:mail/key-value@"))?;
    }
    let before = (language.prepare)(workspace, &project)?;
    make(gateway, language, &project, &before, &["--debug"])?;
    let component = project.join(format!("{SAMPLE}.wasm"));
    let debug = project.join(format!("{SAMPLE}-debug.wasm"));
    fs::rename(&component, &debug).with_context(|| format!("{} can't be written", debug.display()))?;
    make(gateway, language, &project, &before, &[])
}

/// An empty project.
fn begin(gateway: &Path, language: &Language, folder: &Path, name: &str, hooks: &str) -> Result<PathBuf> {
    let project = folder.join(name);
    if project.exists() {
        fs::remove_dir_all(&project).with_context(|| format!("{} can't be removed", project.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("{} can't be made", folder.display()))?;
    let what = format!("beginning {name} in {}", language.name);
    let begin = Step::new(&what, gateway).args(["new", name, "--hooks", hooks, "--lang", language.name]);
    begin.directory(folder).quiet().run()?;
    Ok(project)
}

/// `postgate build`, with these folders in front of `PATH`.
fn make(gateway: &Path, language: &Language, project: &Path, before: &[PathBuf], arguments: &[&str]) -> Result<()> {
    let path = env::var_os("PATH").unwrap_or_default();
    let path: OsString = env::join_paths(before.iter().cloned().chain(env::split_paths(&path)))?;
    let target = project.parent().unwrap_or(project).join("target");
    Step::new(&format!("building it with postgate build ({})", language.name), gateway)
        .args(["build"])
        .args(arguments)
        .directory(project)
        .env("PATH", &path.to_string_lossy())
        // Where cargo puts it is for the project to find out, and its crates are not those of the workspace.
        .env("CARGO_TARGET_DIR", &target.to_string_lossy())
        .quiet()
        .run()
}

fn amend(path: &Path, change: impl FnOnce(&str) -> String) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))?;
    fs::write(path, change(&text)).with_context(|| format!("{} can't be written", path.display()))
}

fn page(language: &Language) -> String {
    format!("plugins/languages/{}.md", language.name)
}

/// The first code block of a page that says which file it is, and the file: "```python plugin.py".
fn source(page: &str) -> Option<(&str, &str)> {
    let mut blocks = page.split("\n```").skip(1).step_by(2);
    blocks.find_map(|block| {
        let (information, text) = block.split_once('\n')?;
        Some((information.split_once(' ')?.1, text))
    })
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
fn ingredients(workspace: &Workspace, language: &Language) -> Result<String> {
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
    files.sort();
    for file in files {
        file.strip_prefix(&workspace.root).unwrap_or(&file).hash(&mut hasher);
        fs::read(&file).with_context(|| format!("{} can't be read", file.display()))?.hash(&mut hasher);
    }
    let page = workspace.root.join(page(language));
    let text = fs::read_to_string(&page).with_context(|| format!("{} can't be read", page.display()))?;
    source(&text).hash(&mut hasher);
    Ok(format!("{:016x}\n", hasher.finish()))
}

/// What those with all hooks are called.
const NAME: &str = "every-hook";
/// What those of the pages are called.
const SAMPLE: &str = "spam-check";
