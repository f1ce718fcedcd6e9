//! Rust, by cargo. The SDK is not on crates.io: its sources are inside this binary, and are written into the project.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{BuildError, Information, Job, read};
use crate::tool::{Missing, Step, answers, on_path};

/// The author's own files: path in the project, template.
pub(crate) const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../../templates/rust/manifest.toml")),
    ("src/lib.rs", include_str!("../../templates/rust/lib.rs")),
    ("sdk/Cargo.toml", include_str!("../../templates/rust/sdk.toml")),
];

/// The sources of the SDK, as they are.
pub(crate) const SDK: &[(&str, &str)] = &[
    ("sdk/src/bindings.rs", include_str!("../../../../plugins/sdk/src/bindings.rs")),
    ("sdk/src/config.rs", include_str!("../../../../plugins/sdk/src/config.rs")),
    ("sdk/src/hook.rs", include_str!("../../../../plugins/sdk/src/hook.rs")),
    ("sdk/src/lib.rs", include_str!("../../../../plugins/sdk/src/lib.rs")),
    ("sdk/src/log.rs", include_str!("../../../../plugins/sdk/src/log.rs")),
    ("sdk/src/reply.rs", include_str!("../../../../plugins/sdk/src/reply.rs")),
    ("sdk/src/sqlite.rs", include_str!("../../../../plugins/sdk/src/sqlite.rs")),
    ("sdk/src/testing.rs", include_str!("../../../../plugins/sdk/src/testing.rs")),
    ("sdk/src/testing/host.rs", include_str!("../../../../plugins/sdk/src/testing/host.rs")),
    ("sdk/src/testing/message.rs", include_str!("../../../../plugins/sdk/src/testing/message.rs")),
    ("sdk/src/testing/services.rs", include_str!("../../../../plugins/sdk/src/testing/services.rs")),
    ("sdk/src/testing/state.rs", include_str!("../../../../plugins/sdk/src/testing/state.rs")),
    ("sdk/src/testing/told.rs", include_str!("../../../../plugins/sdk/src/testing/told.rs")),
    ("sdk/src/unit.rs", include_str!("../../../../plugins/sdk/src/unit.rs")),
];

/// Makes the component: for this target what rustc links is one.
pub(crate) fn build(job: &mut Job<'_>) -> Result<Vec<u8>, BuildError> {
    check_toolchain()?;
    let step = Step::new("cargo").args(["build", "--release", "--target", TARGET]);
    let step = match job.information {
        Information::Names => step,
        Information::Lines => step.args([
            "--config",
            "profile.release.debug=\"line-tables-only\"",
            "--config",
            "profile.release.strip=false",
        ]),
    };
    step.run(job)?;
    let folder = target_directory(&job.project.folder)?;
    let crate_name = format!("{}.wasm", job.project.name.replace('-', "_"));
    read(&folder.join(TARGET).join("release").join(crate_name))
}

fn check_toolchain() -> Result<(), Missing> {
    if on_path("cargo").is_none() {
        return Err(Missing {
            what: "cargo, the build tool of Rust,".to_owned(),
            install: vec!["curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh".to_owned()],
        });
    }
    let output = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output();
    let has_target = output.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir());
    if has_target {
        return Ok(());
    }
    let install = if answers("rustup", &["--version"]) {
        format!("rustup target add {TARGET}")
    } else {
        "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- --target wasm32-wasip2".to_owned()
    };
    Err(Missing { what: format!("Rust's target {TARGET}"), install: vec![install] })
}

/// Where cargo builds: its configuration and environment may say so.
fn target_directory(folder: &Path) -> Result<std::path::PathBuf, BuildError> {
    let arguments = ["metadata", "--no-deps", "--format-version", "1", "--offline"];
    let output = Command::new("cargo").args(arguments).current_dir(folder).output();
    let text = output.map_err(|error| BuildError::Run { command: "cargo metadata".to_owned(), error })?.stdout;
    let text = String::from_utf8_lossy(&text);
    let named = text.split_once("\"target_directory\":\"").and_then(|(_, rest)| rest.split_once('"'));
    match named {
        Some((path, _)) => Ok(path.replace("\\\\", "\\").into()),
        None => Ok(fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned()).join("target")),
    }
}

const TARGET: &str = "wasm32-wasip2";

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// A file of the SDK that is not in the list would be missing in every project.
    #[test]
    fn the_sdk_is_whole() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins");
        let (mut names, mut folders) = (Vec::new(), vec![root.join("sdk/src")]);
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else {
                    names.push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        names.sort();
        assert_eq!(SDK.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);
    }

    /// The manifest of the SDK in a project says what that of the workspace says.
    #[test]
    fn the_sdk_depends_on_the_same() {
        let read = |path: &str| -> toml::Table {
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap().parse().unwrap()
        };
        let workspace = read("../../Cargo.toml");
        let original = read("../../plugins/sdk/Cargo.toml");
        let hooks = crate::Hooks::parse("all").unwrap();
        let template = include_str!("../../templates/rust/sdk.toml");
        let written = crate::template::render(template, &hooks, &[("VERSION", env!("CARGO_PKG_VERSION"))]).unwrap();
        let written: toml::Table = written.parse().unwrap();
        let dependencies = written["dependencies"].as_table().unwrap();
        let names: Vec<_> = original["dependencies"].as_table().unwrap().keys().collect();
        assert_eq!(dependencies.keys().collect::<Vec<_>>(), names);
        for (name, dependency) in dependencies {
            assert_eq!(*dependency, workspace["workspace"]["dependencies"][name], "{name}");
        }
        for key in ["edition", "rust-version", "license"] {
            assert_eq!(written["package"][key], workspace["workspace"]["package"][key], "{key}");
        }
    }
}
