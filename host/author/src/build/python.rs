//! Python, by componentize-py: the project's own in `.venv`, or the one on `PATH`.

use std::fs;
use std::path::PathBuf;

use super::{BuildError, Job, read};
use crate::tool::{Missing, Step, is_program, on_path};
use crate::world::WORLD;

/// The author's own files: path in the project, template.
pub(crate) const FILES: &[(&str, &str)] = &[
    ("plugin.py", include_str!("../../templates/python/plugin.py")),
    ("postgate.py", include_str!("../../templates/python/postgate.py")),
    ("pyproject.toml", include_str!("../../templates/python/pyproject.toml")),
];

/// Makes the bindings for editors, and the component.
pub(crate) fn build(job: &mut Job<'_>) -> Result<Vec<u8>, BuildError> {
    let compiler = compiler(job)?;
    let step = || Step::new(&compiler).args(["--wit-path", "wit", "--world", WORLD]);
    // What is generated and no longer in the world would mislead the editor, and the generator does not overwrite.
    let bindings = job.project.folder.join(BINDINGS);
    if bindings.exists() {
        fs::remove_dir_all(&bindings).map_err(|error| BuildError::File {
            path: bindings.clone(),
            what: "removed",
            error,
        })?;
    }
    step().args(["--quiet", "bindings", BINDINGS]).run(job)?;
    let output = job.scratch()?.join("plugin.wasm");
    // Packages are those of the project, where it has its own.
    let step = match compiler.starts_with(ENVIRONMENT) {
        true => step().env("VIRTUAL_ENV", job.project.folder.join(ENVIRONMENT)),
        false => step(),
    };
    step.args(["componentize", "plugin", "--python-path", ".", "--output"])
        .arg("build/plugin.wasm")
        // The traceback of the author's module is what matters, not that of the compiler.
        .env("RUST_BACKTRACE", "0")
        .run(job)?;
    read(&output)
}

fn compiler(job: &Job<'_>) -> Result<PathBuf, Missing> {
    let own = PathBuf::from(".venv/bin/componentize-py");
    if is_program(&job.project.folder.join(&own)) {
        return Ok(own);
    }
    on_path(COMPILER).map(|_| PathBuf::from(COMPILER)).ok_or_else(|| Missing {
        what: "componentize-py, which makes components of Python,".to_owned(),
        install: vec![format!("python3 -m venv .venv && .venv/bin/python3 -m pip install {COMPONENTIZE_PY}")],
    })
}

/// Where the project has packages of its own.
const ENVIRONMENT: &str = ".venv";
/// Where the bindings for editors go; `pyproject.toml` and `.gitignore` name it too.
const BINDINGS: &str = "bindings";
const COMPILER: &str = "componentize-py";
/// From the Python package index; the version that the tests use.
const COMPONENTIZE_PY: &str = "componentize-py==0.25.1";
