//! `plugin.toml`: which language a project is in, and what its component is called. Nothing but `build` reads it.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::hooks::nearest;
use crate::language::{LANGUAGES, Language};
use crate::new::{NameError, checked_name};

/// A project that was begun by `new`.
#[derive(Debug)]
pub struct Project {
    /// Where it is.
    pub folder: PathBuf,
    /// What the component is called.
    pub name: String,
    /// What it is written in.
    pub language: &'static Language,
}

/// What is wrong with `plugin.toml`.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// No project is here.
    #[error("{} can't be read: {error}; `postgate build` is run in the folder of a plugin, as `postgate new` makes it", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A wrong key or value.
    #[error("{}: {problem}", .path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What, where, and what would be right.
        problem: String,
    },
}

#[derive(Deserialize)]
struct File {
    name: String,
    language: String,
}

impl Project {
    /// Reads `plugin.toml` in this folder.
    ///
    /// # Errors
    ///
    /// It is not there, or a key or a value is wrong.
    pub fn read(folder: &Path) -> Result<Self, ProjectError> {
        let path = folder.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => return Err(ProjectError::Read { path, error }),
        };
        let (name, language) = parse(&text).map_err(|problem| ProjectError::Wrong { path, problem })?;
        Ok(Self { folder: folder.to_owned(), name, language })
    }
}

fn parse(text: &str) -> Result<(String, &'static Language), String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string().trim_end().to_owned())?;
    if let Some(unknown) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(match nearest(unknown, KEYS.into_iter()) {
            Some(nearest) => format!("there is no key `{unknown}`; did you mean `{nearest}`?"),
            None => format!("there is no key `{unknown}`; there are: {}", KEYS.join(", ")),
        });
    }
    let file: File = table.try_into().map_err(|error: toml::de::Error| error.to_string().trim_end().to_owned())?;
    checked_name(&file.name).map_err(|error: NameError| format!("name: {error}"))?;
    let language = LANGUAGES.iter().find(|language| language.name == file.language);
    let language = match language {
        Some(language) => language,
        None => Language::parse(&file.language).map_err(|error| format!("language: {error}"))?,
    };
    Ok((file.name, language))
}

/// In the folder of a project.
pub(crate) const FILE: &str = "plugin.toml";
const KEYS: [&str; 2] = ["name", "language"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_files() {
        let check = |text: &str, expected: &str| {
            let error = parse(text).map(drop).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("nam = \"x\"\nlanguage = \"rust\"", "there is no key `nam`; did you mean `name`?");
        check("name = \"x\"\nlanguage = \"rust\"\nversion = 1", "there is no key `version`; there are: name, language");
        check("language = \"rust\"", "missing field `name`");
        check("name = \"x\"", "missing field `language`");
        check("name = 5\nlanguage = \"rust\"", "expected a string");
        check("name = \"x\"\nlanguage = \"pythn\"", "did you mean \"python\"?");
        check("name = \"../x\"\nlanguage = \"rust\"", "name: ");
        check("name", "TOML parse error at line 1");
    }

    #[test]
    fn a_right_file() {
        let (name, language) = parse("name = \"spam-check\"\nlanguage = \"go\"").unwrap();
        assert_eq!((name.as_str(), language.title), ("spam-check", "Go"));
    }
}
