//! C, by zig's clang.

use super::bindings::{component, interfaces, kept};
use super::clang::{self, Zig};
use super::{BuildError, Job};

/// The author's own files: path in the project, template.
pub(crate) const FILES: &[(&str, &str)] = &[
    ("plugin.c", include_str!("../../templates/c/plugin.c")),
    ("compile_flags.txt", include_str!("../../templates/c/compile_flags.txt")),
];

/// Makes the bindings with `postgate.h`, and the component.
pub(crate) fn build(job: &mut Job<'_>) -> Result<Vec<u8>, BuildError> {
    let zig = Zig::find(&job.project.folder, "C")?;
    let mut bindings = clang::bindings(job.world())?;
    let interfaces = interfaces(job.world());
    let parts = PARTS.iter().filter(|(interface, _)| interfaces.contains_key(*interface));
    let header: String = parts.map(|(_, part)| *part).chain(["\n#endif\n"]).collect();
    bindings.render("postgate.h", &header, &[]);
    bindings.write(&job.project.folder)?;
    let sources =
        ["-std=c23", "-Wall", "-Wextra", "-Ibindings", "plugin.c", "bindings/wit.c", "bindings/wit_component_type.o"];
    let module = clang::compile(job, &zig, "cc", &sources)?;
    component(kept(module, job.information)?, None)
}

/// The parts of `postgate.h`, each with the interface of the contract that it needs.
const PARTS: &[(&str, &str)] = &[
    ("types", include_str!("../../templates/c/postgate.h")),
    ("log", include_str!("../../templates/c/log.h")),
    ("config", include_str!("../../templates/c/config.h")),
];
