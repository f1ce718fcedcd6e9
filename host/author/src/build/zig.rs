//! Zig.

use std::path::Path;

use super::bindings::{self, component, kept};
use super::clang::{self, CORE, Zig};
use super::{BuildError, Information, Job, SCRATCH, read};

/// The author's own files: path in the project, template.
pub(crate) const FILES: &[(&str, &str)] = &[("plugin.zig", include_str!("../../templates/zig/plugin.zig"))];

/// Makes the bindings with `postgate.zig` and `hooks.zig`, and the component.
pub(crate) fn build(job: &mut Job<'_>) -> Result<Vec<u8>, BuildError> {
    let zig = Zig::find(&job.project.folder, "Zig")?;
    let mut bindings = clang::bindings(job.world())?;
    bindings.render("postgate.zig", include_str!("../../templates/zig/postgate.zig"), &[]);
    bindings.render("hooks.zig", include_str!("../../templates/zig/hooks.zig"), &[]);
    // Made by the next step out of `wit.h`; an old one is not removed.
    bindings.add("c.zig", read(&job.project.folder.join(bindings::path("c.zig"))).unwrap_or_default());
    bindings.write(&job.project.folder)?;
    // Zig itself no longer reads C.
    let translate = zig.step("translate-c").args(["-target", "wasm32-wasi", "-lc", "bindings/wit.h"]);
    translate.stdout(bindings::path("c.zig")).run(job)?;
    let core = job.scratch()?.join(CORE);
    let mode = match job.information {
        Information::Names => "ReleaseSmall",
        // Reaching beyond the end of a slice is then a panic.
        Information::Lines => "ReleaseSafe",
    };
    let step = zig.step("build-exe").args([
        "-target",
        "wasm32-wasi",
        "-mexec-model=reactor",
        "-fno-entry",
        "-rdynamic",
        "-lc",
    ]);
    let step = step.args(["--stack", "65536", "-O", mode, "-fno-strip", "-Ibindings"]);
    let step = step.args(["--dep", "plugin", "--dep", "postgate", "bindings/wit.c", "bindings/wit_component_type.o"]);
    let step = step.args([
        "-Mroot=bindings/hooks.zig",
        "--dep",
        "postgate",
        "-Mplugin=plugin.zig",
        "-Mpostgate=bindings/postgate.zig",
    ]);
    let output = format!("-femit-bin={}", Path::new(SCRATCH).join(CORE).display());
    step.arg(output).run(job)?;
    component(kept(read(&core)?, job.information)?, None)
}
