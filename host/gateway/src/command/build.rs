//! `postgate build`: makes the component of a plugin, and looks at it as the gateway will.

use std::io::{self, Write};
use std::path::Path;

use postgate_author::ProjectError;
pub(super) use postgate_author::build::Information;
use postgate_author::build::{BuildError, build as make};
use postgate_plugin::{Hook, Source};

use super::table::grouped;
use super::{Exit, Failure};
use crate::site::chained;

/// Builds, and says what has come of it. The commands that it runs are told on standard error, among what they say themselves.
pub(super) fn build(folder: &Path, information: Information) -> Result<String, Failure> {
    let mut tell = |line: &str| {
        // Where standard error is closed there is nobody to tell.
        let _ = writeln!(io::stderr().lock(), "{line}");
    };
    let built = make(folder, information, &mut tell).map_err(|error| Failure::new(exit(&error), error.to_string()))?;
    let refused = |error: postgate_plugin::LoadError| Failure::new(Exit::Data, chained(&error));
    let anatomy = postgate_plugin::anatomy(&built.component).map_err(refused)?;
    let hooks = postgate_plugin::hooks(&anatomy).map_err(refused)?;
    let setup = anatomy.exports.iter().any(|export| export.starts_with("postgate:mail/setup@")).then_some("setup");
    let hooks: Vec<_> = setup.into_iter().chain(hooks.iter().map(Hook::name)).collect();
    let mut grants: Vec<&str> = Vec::new();
    for import in &anatomy.imports {
        if let Ok(Source::Service(service)) = postgate_plugin::source(import) {
            grants.push(service.example);
        }
    }
    Ok(format!(
        "{}: {} octets, hooks {}, grants = [{}]\n",
        built.component.strip_prefix(folder).unwrap_or(&built.component).display(),
        grouped(u64::try_from(anatomy.size).unwrap_or(u64::MAX)),
        hooks.join(" "),
        grants.join(", ")
    ))
}

fn exit(error: &BuildError) -> Exit {
    match error {
        BuildError::Project(ProjectError::Read { .. }) => Exit::NoInput,
        BuildError::Project(ProjectError::Wrong { .. }) => Exit::Config,
        BuildError::Missing(_) => Exit::Unavailable,
        BuildError::World(_) | BuildError::Bindings(_) | BuildError::Failed { .. } | BuildError::Component(_) => {
            Exit::Data
        }
        BuildError::Run { .. } => Exit::System,
        BuildError::File { .. } => Exit::CannotCreate,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_no_project() {
        let scratch = tempfile::tempdir().unwrap();
        let check = |exit: Exit, expected: &str| {
            let failure = build(scratch.path(), Information::Names).unwrap_err();
            assert_eq!(failure.exit, exit, "{}", failure.text);
            assert!(failure.text.contains(expected), "{}", failure.text);
        };
        check(Exit::NoInput, "plugin.toml can't be read: No such file");
        fs::write(scratch.path().join("plugin.toml"), "name = \"a\"\nlang = \"python\"\n").unwrap();
        check(Exit::Config, "there is no key `lang`; did you mean `language`?");
        fs::write(scratch.path().join("plugin.toml"), "name = \"a\"\nlanguage = \"python\"\n").unwrap();
        check(Exit::Data, "wit/ can't be used");
    }
}
