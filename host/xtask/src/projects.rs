//! Plugins of each language, as an author would make them: begun by `postgate new` and built by `postgate build`, with
//! the pinned toolchains of [`crate::tools`]; again only when something that they are made of has changed. One is as it was begun, one has the sources
//! of the conformance kit, and one is the sample of the language's page in `plugins/languages`.

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

/// What is made in each language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    /// All hooks, as it was begun.
    AsBegun,
    /// That of the conformance kit.
    Conformance,
    /// That of the language's page: as it is to be shipped, and as `spam-check-debug.wasm`, with what a trap can tell.
    Sample,
}

impl Sort {
    const ALL: [Sort; 3] = [Sort::AsBegun, Sort::Conformance, Sort::Sample];

    fn name(self) -> &'static str {
        match self {
            Sort::AsBegun => "every-hook",
            Sort::Conformance => CONFORMANCE,
            Sort::Sample => SAMPLE,
        }
    }

    fn hooks(self) -> &'static str {
        match self {
            Sort::AsBegun | Sort::Conformance => "all",
            Sort::Sample => "recipient,message",
        }
    }
}

/// Makes `<target>/projects/LANGUAGE/NAME` of each sort, and the components in them.
pub(crate) fn build_projects(workspace: &Workspace, gateway: &Path) -> Result<()> {
    for language in LANGUAGES {
        for sort in Sort::ALL {
            build_project(workspace, gateway, language, sort)?;
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

fn build_project(workspace: &Workspace, gateway: &Path, language: &Language, sort: Sort) -> Result<()> {
    let ingredients = ingredients(workspace, language, sort)?;
    let name = sort.name();
    let folder = workspace.target.join("projects").join(language.name);
    let stamp = folder.join(format!("stamp-{name}"));
    let project = folder.join(name);
    let component = project.join(format!("{name}.wasm"));
    if component.exists() && fs::read_to_string(&stamp).is_ok_and(|before| before == ingredients) {
        return Ok(());
    }
    begin(gateway, language, &folder, sort)?;
    match sort {
        Sort::AsBegun => {}
        Sort::Conformance => drop_over(workspace, language, &project)?,
        Sort::Sample => cut_out(workspace, language, &project)?,
    }
    let before = (language.prepare)(workspace, &project)?;
    if sort == Sort::Sample {
        make(gateway, language, &project, &before, &["--debug"])?;
        let debug = project.join(format!("{name}-debug.wasm"));
        fs::rename(&component, &debug).with_context(|| format!("{} can't be written", debug.display()))?;
    }
    make(gateway, language, &project, &before, &[])?;
    fs::write(&stamp, &ingredients).with_context(|| format!("{} can't be written", stamp.display()))
}

/// An empty project.
fn begin(gateway: &Path, language: &Language, folder: &Path, sort: Sort) -> Result<()> {
    let name = sort.name();
    let project = folder.join(name);
    if project.exists() {
        fs::remove_dir_all(&project).with_context(|| format!("{} can't be removed", project.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("{} can't be made", folder.display()))?;
    let what = format!("beginning {name} in {}", language.name);
    let begin = Step::new(&what, gateway).args(["new", name, "--hooks", sort.hooks(), "--lang", language.name]);
    begin.directory(folder).quiet().run()
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

/// Puts the source of the language's page over those that the project has begun with.
fn cut_out(workspace: &Workspace, language: &Language, project: &Path) -> Result<()> {
    let page = workspace.root.join(page(language));
    let text = fs::read_to_string(&page).with_context(|| format!("{} can't be read", page.display()))?;
    let (name, source) = source(&text).with_context(|| format!("{} has no source with a name", page.display()))?;
    amend(&project.join(name), |_| source.to_owned())?;
    amend(&project.join("postgate.toml"), |text| text.replace(r#""config"]"#, r#""config", "key-value"]"#))?;
    let world = project.join("wit/world.wit");
    if world.exists() {
        amend(&world, |text| text.replace("// import postgate:mail/key-value@", "import postgate:mail/key-value@"))?;
    }
    Ok(())
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
fn ingredients(workspace: &Workspace, language: &Language, sort: Sort) -> Result<String> {
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
    if sort == Sort::Conformance {
        list(&workspace.root.join(KIT).join(language.name), &mut files)?;
        files.push(workspace.root.join(KIT).join("world.wit"));
    }
    files.sort();
    for file in files {
        file.strip_prefix(&workspace.root).unwrap_or(&file).hash(&mut hasher);
        fs::read(&file).with_context(|| format!("{} can't be read", file.display()))?.hash(&mut hasher);
    }
    if sort == Sort::Sample {
        let page = workspace.root.join(page(language));
        let text = fs::read_to_string(&page).with_context(|| format!("{} can't be read", page.display()))?;
        source(&text).hash(&mut hasher);
    }
    Ok(format!("{:016x}\n", hasher.finish()))
}

/// The one of the conformance kit.
const CONFORMANCE: &str = "conformance";
/// The one of the pages.
const SAMPLE: &str = "spam-check";
const KIT: &str = "tests/conformance";
