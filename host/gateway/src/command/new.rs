//! `postgate new`: begins a plugin.

use std::path::Path;

use postgate_author::new::{NewError, create};
use postgate_author::{Hooks, Language};

use super::{Exit, Failure};

/// Writes the project, and says what was written and what comes next.
pub(super) fn new(folder: &Path, language: &str, hooks: &str) -> Result<String, Failure> {
    let usage = |error: String| Failure::new(Exit::Usage, error);
    let language = Language::parse(language).map_err(|error| usage(error.to_string()))?;
    let hooks = Hooks::parse(hooks).map_err(|error| usage(error.to_string()))?;
    if !hooks.are_enough() {
        return Err(usage(
            "setup is asked once, when the gateway starts: add a hook that clients lead to, such as recipient"
                .to_owned(),
        ));
    }
    let written = create(folder, language, &hooks).map_err(|error| {
        let exit = match error {
            NewError::Name { .. } => Exit::Usage,
            NewError::Exists(_) | NewError::Write { .. } => Exit::CannotCreate,
        };
        Failure::new(exit, error.to_string())
    })?;
    let files: String = written.files.iter().map(|file| format!("  {file}\n")).collect();
    Ok(format!(
        "{}: a plugin in {} with the hooks {hooks}. Written were:\n\n{files}\nREADME.md says what each file is. Next:\n\n  cd {}\n  postgate build\n  \
         postgate test\n",
        written.name,
        language.title,
        folder.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let check = |name: &str, language: &str, hooks: &str, exit: Exit, expected: &str| {
            let failure = new(&scratch.path().join(name), language, hooks).unwrap_err();
            assert_eq!(failure.exit, exit, "{}", failure.text);
            assert!(failure.text.contains(expected), "{}", failure.text);
        };
        check("Spam", "python", "mail", Exit::Usage, "\"Spam\" can't be the name of a plugin");
        check("spam", "pyton", "mail", Exit::Usage, "did you mean \"python\"?");
        check("spam", "python", "rcpt", Exit::Usage, "there is no hook \"rcpt\"");
        check("spam", "python", "setup", Exit::Usage, "add a hook");
        new(&scratch.path().join("spam"), "python", "mail").unwrap();
        check("spam", "python", "mail", Exit::CannotCreate, "is there already");
    }
}
