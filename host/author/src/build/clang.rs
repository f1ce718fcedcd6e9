//! What C, C++ and Zig have in common: Zig's compiler, which has clang and a C library for WebAssembly in it, and the bindings in C.

use std::ffi::OsString;
use std::path::Path;

use super::BuildError;
use super::bindings::{Bindings, interfaces};
use crate::build::Job;
use crate::tool::{Missing, Step, answers, is_program, on_path};
use crate::world::World;

/// Zig's compiler: that of the project's `.venv`, of `PATH`, or of Python.
pub(crate) struct Zig(Vec<OsString>);

impl Zig {
    pub(crate) fn find(project: &Path, language: &str) -> Result<Self, Missing> {
        if is_program(&project.join(".venv/bin/python-zig")) {
            return Ok(Self::of_python(".venv/bin/python3"));
        }
        if on_path("zig").is_some() {
            return Ok(Self(vec!["zig".into()]));
        }
        if answers("python3", &["-m", "ziglang", "version"]) {
            return Ok(Self::of_python("python3"));
        }
        Err(Missing {
            what: format!("zig, which compiles {language},"),
            install: vec![format!("python3 -m venv .venv && .venv/bin/python3 -m pip install {ZIGLANG}")],
        })
    }

    fn of_python(python: &str) -> Self {
        Self([python, "-m", "ziglang"].map(OsString::from).to_vec())
    }

    /// A command of it.
    pub(crate) fn step(&self, command: &str) -> Step {
        let (program, arguments) = self.0.split_first().expect("invariant: made of one word at least");
        Step::new(program).args(arguments).arg(command)
    }
}

/// The bindings in C, `wit.h` and `wit.c`, with short names: `session_remote` for that of `postgate:mail/session`.
pub(crate) fn bindings(world: &World) -> Result<Bindings, BuildError> {
    let short =
        interfaces(world).into_iter().filter_map(|(name, id)| Some((world.resolve.id_of(id)?, name.replace('-', "_"))));
    let options = wit_bindgen_c::Opts {
        rename: short.collect(),
        rename_world: Some("wit".to_owned()),
        ..wit_bindgen_c::Opts::default()
    };
    Bindings::generate(world, options.build())
}

/// Compiles C or C++, and links it.
pub(crate) fn compile(job: &mut Job<'_>, zig: &Zig, command: &str, arguments: &[&str]) -> Result<Vec<u8>, BuildError> {
    let core = job.scratch()?.join(CORE);
    let step = zig.step(command).args([
        "--target=wasm32-wasi",
        "-mexec-model=reactor",
        "-Wl,-z,stack-size=65536",
        "-Os",
        "-g",
    ]);
    let step = step.args(arguments).arg("-o").arg(Path::new(super::SCRATCH).join(CORE));
    step.run(job)?;
    super::read(&core)
}

/// What is linked, below [`super::SCRATCH`].
pub(crate) const CORE: &str = "core.wasm";
/// From the Python package index; the version that the tests use.
pub(crate) const ZIGLANG: &str = "ziglang==0.17.1";
