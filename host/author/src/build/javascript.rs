//! JavaScript, by componentize-qjs: QuickJS with the author's modules inside.

use std::path::PathBuf;

use super::{BuildError, Job, read, write};
use crate::hooks::HOOKS;
use crate::tool::{Missing, Step, on_path};
use crate::typescript;
use crate::world::WORLD;

/// The author's own files: path in the project, template. The declarations are made of the contract.
pub(crate) const FILES: &[(&str, &str)] = &[
    ("plugin.js", include_str!("../../templates/javascript/plugin.js")),
    ("postgate.js", include_str!("../../templates/javascript/postgate.js")),
    ("package.json", include_str!("../../templates/javascript/package.json")),
    ("jsconfig.json", include_str!("../../templates/javascript/jsconfig.json")),
    (DECLARATIONS, include_str!("../../templates/javascript/contract.d.ts")),
];

/// Makes the declarations for editors, and the component.
pub(crate) fn build(job: &mut Job<'_>) -> Result<Vec<u8>, BuildError> {
    let declarations = typescript::declarations(&job.world().resolve);
    write(&job.project.folder.join(DECLARATIONS), declarations.as_bytes())?;
    let compiler = compiler(job)?;
    let output = job.scratch()?.join("plugin.wasm");
    check_exports(job)?;
    Step::new("node")
        .arg(compiler)
        .args(["--wit", "wit", "--js", SOURCE, "--world", WORLD, "--sync", "--opt-size", "--output"])
        .arg("build/plugin.wasm")
        .run(job)?;
    read(&output)
}

fn compiler(job: &Job<'_>) -> Result<PathBuf, Missing> {
    let missing = |what: &str, install: &str| Missing { what: what.to_owned(), install: vec![install.to_owned()] };
    on_path("node").ok_or_else(|| {
        missing(
            "node (Node.js), which the compiler needs to run",
            "apt install nodejs npm    # or from https://nodejs.org",
        )
    })?;
    let own = PathBuf::from(COMPILER);
    if job.project.folder.join(&own).is_file() {
        return Ok(own);
    }
    Err(missing("componentize-qjs, which makes components of JavaScript and is named in package.json,", "npm install"))
}

/// What is not exported is noticed by QuickJS only when it is called, and a hook that is not in the text can't be exported.
fn check_exports(job: &mut Job<'_>) -> Result<(), BuildError> {
    let source = read(&job.project.folder.join(SOURCE))?;
    let source = String::from_utf8_lossy(&source);
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '$';
    let named = |hook: &str| source.split(|letter| !is_word(letter)).any(|word| word == hook);
    let world = job.world().hooks.clone();
    for hook in HOOKS.into_iter().filter(|hook| !world.contains(hook)) {
        if source.contains(&format!("export const {hook} = ")) {
            job.tell(&format!(
                "note: {SOURCE} exports the hook `{hook}`, and nobody will call it: wit/world.wit needs `export postgate:mail/{hook}@0.1.0;`"
            ));
        }
    }
    match world.iter().find(|hook| !named(hook)) {
        None => Ok(()),
        Some(hook) => Err(BuildError::Component(format!(
            "wit/world.wit exports the hook `{hook}`, and {SOURCE} does not: it needs `export const {hook} = {{ … }};`"
        ))),
    }
}

const SOURCE: &str = "plugin.js";
/// What an editor reads.
const DECLARATIONS: &str = "contract.d.ts";
/// Below the folder of the project, where npm puts it.
const COMPILER: &str = "node_modules/componentize-qjs/bin/componentize-qjs";
