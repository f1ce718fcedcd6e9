//! `postgate new`: a project that compiles and passes its own test, of templates.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::contract::CONTRACT;
use crate::hooks::Hooks;
use crate::language::Language;
use crate::project;
use crate::template::render;

/// Why no project was written.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// The name can't be one of a component and a crate.
    #[error("\"{}\" can't be the name of a plugin: {problem}", .name.escape_debug())]
    Name {
        /// What was given.
        name: String,
        /// What would be right.
        problem: NameError,
    },
    /// Something is there.
    #[error("{} is there already, and is not empty: nothing was written", .0.display())]
    Exists(PathBuf),
    /// The disk.
    #[error("{} can't be written: {error}", .path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// Something that Rust, Go, WIT or a file system would not have.
    Form,
    /// A word of a language.
    Reserved,
}

impl fmt::Display for NameError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Form => {
                "it takes 1 to 64 lower-case letters and digits, in words that begin with a letter and are joined by `-`, such as spam-check"
            }
            Self::Reserved => "it means something else in one of the languages; add a word, such as my-plugin",
        })
    }
}

/// What was written.
#[derive(Debug)]
pub struct Written {
    /// The project's name.
    pub name: String,
    /// The files, relative to the project's folder; of the contract and the SDK the folder.
    pub files: Vec<String>,
}

/// Writes a project into a folder that is not there or is empty; its last part is the name. Either all of it is written or nothing.
///
/// # Errors
///
/// The name, the folder, the disk.
pub fn create(folder: &Path, language: &'static Language, hooks: &Hooks) -> Result<Written, NewError> {
    let name = name_of(folder)?;
    if !is_free(folder).map_err(|error| NewError::Write { path: folder.to_owned(), error })? {
        return Err(NewError::Exists(folder.to_owned()));
    }
    let files = files(&name, language, hooks);
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let partial = parent.join(format!(".{name}.postgate-new.{}", std::process::id()));
    let written = write_all(&partial, &files).and_then(|()| {
        fs::rename(&partial, folder).map_err(|error| NewError::Write { path: folder.to_owned(), error })
    });
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_dir_all(&partial);
    }
    written?;
    let folder_of = |path: String| match FOLDERS.iter().find(|folder| path.starts_with(**folder)) {
        Some(folder) => (*folder).to_owned(),
        None => path,
    };
    let mut files: Vec<String> = files.into_iter().map(|(path, _)| folder_of(path)).collect();
    files.sort();
    files.dedup();
    Ok(Written { name, files })
}

/// All files of a project.
fn files(name: &str, language: &Language, hooks: &Hooks) -> Vec<(String, String)> {
    let module = name.replace('-', "_");
    let hook_list = hooks.to_string();
    let words = [
        ("NAME", name),
        ("MODULE", module.as_str()),
        ("HOOKS", hook_list.as_str()),
        ("LANGUAGE", language.name),
        ("TITLE", language.title),
        ("SOURCE", language.source),
        ("VERSION", env!("CARGO_PKG_VERSION")),
    ];
    let filled = |template: &str, words: &[(&str, &str)]| {
        render(template, hooks, words).unwrap_or_else(|error| panic!("invariant: the tests have rendered it: {error}"))
    };
    let about = filled(language.readme, &words);
    let mut with_about = vec![("ABOUT", about.trim_end())];
    with_about.extend(words);
    let own = COMMON.iter().chain(language.files);
    let own = own.map(|(path, template)| ((*path).to_owned(), filled(template, &with_about)));
    let mut files: Vec<(String, String)> = own.collect();
    let contract = if language.has_world {
        files.push(("wit/world.wit".to_owned(), filled(WORLD_TEMPLATE, &words)));
        "wit/deps/postgate-mail"
    } else {
        "sdk/wit"
    };
    files.extend(CONTRACT.iter().map(|(file, text)| (format!("{contract}/{file}"), (*text).to_owned())));
    files.extend(language.verbatim.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())));
    files
}

fn name_of(folder: &Path) -> Result<String, NewError> {
    let name = match folder.components().next_back() {
        Some(Component::Normal(name)) => name.to_string_lossy().into_owned(),
        Some(_) | None => folder.display().to_string(),
    };
    match checked_name(&name) {
        Ok(()) => Ok(name),
        Err(problem) => Err(NewError::Name { name, problem }),
    }
}

/// What a crate, a Go module, a component and a file can all be called.
pub(crate) fn checked_name(name: &str) -> Result<(), NameError> {
    let is_word = |word: &str| {
        word.starts_with(|letter: char| letter.is_ascii_lowercase())
            && word.bytes().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit())
    };
    if name.len() > NAME_MAX || !name.split('-').all(is_word) {
        Err(NameError::Form)
    } else if RESERVED.contains(&name) {
        Err(NameError::Reserved)
    } else {
        Ok(())
    }
}

/// Whether nothing is there but perhaps an empty folder.
fn is_free(folder: &Path) -> io::Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(false),
        Err(error) => Err(error),
    }
}

fn write_all(folder: &Path, files: &[(String, String)]) -> Result<(), NewError> {
    for (path, text) in files {
        let path = folder.join(path);
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        made.and_then(|()| fs::write(&path, text)).map_err(|error| NewError::Write { path, error })?;
    }
    Ok(())
}

/// What every project has.
const COMMON: &[(&str, &str)] = &[
    ("README.md", include_str!("../templates/common/README.md")),
    (project::FILE, include_str!("../templates/common/plugin.toml")),
    ("postgate.toml", include_str!("../templates/common/postgate.toml")),
    ("tests/first.dlg", include_str!("../templates/common/first.dlg")),
    (".gitignore", include_str!("../templates/common/gitignore")),
];
/// The world `plugin` of every project that has one.
const WORLD_TEMPLATE: &str = include_str!("../templates/common/world.wit");
/// What templates may have filled in.
#[cfg(test)]
const WORDS: &[&str] = &["ABOUT", "NAME", "MODULE", "HOOKS", "LANGUAGE", "TITLE", "SOURCE", "VERSION"];
/// What is told of in one line.
const FOLDERS: &[&str] = &["wit/deps/postgate-mail/", "sdk/"];
const NAME_MAX: usize = 64;

/// Keywords of Rust, crates that a plugin depends on, and names that cargo, Go or Python would misunderstand.
const RESERVED: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "internal",
    "let",
    "loop",
    "macro",
    "main",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "postgate",
    "postgate-sdk",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "sdk",
    "self",
    "serde",
    "serde-json",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "tests",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "vendor",
    "virtual",
    "wasm",
    "where",
    "while",
    "wit-bindgen",
    "yield",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hooks::HOOKS;
    use crate::language::LANGUAGES;
    use crate::template::render;

    fn chosen(names: &[&str]) -> Hooks {
        Hooks::parse(&names.join(",")).unwrap()
    }

    /// Sections depend on one hook or a few: each alone, each pair, all but one, and all are as good as all subsets.
    #[test]
    fn every_choice_of_hooks_can_be_written() {
        let mut choices = vec![chosen(&HOOKS)];
        for (n, one) in HOOKS.iter().enumerate() {
            choices.push(chosen(&[one]));
            choices.push(chosen(&HOOKS.iter().copied().filter(|hook| hook != one).collect::<Vec<_>>()));
            choices.extend(HOOKS.iter().skip(n + 1).map(|other| chosen(&[one, other])));
        }
        for language in LANGUAGES {
            for hooks in &choices {
                let files = files("spam-check", language, hooks);
                for (path, text) in &files {
                    assert!(!text.contains("@@") && !text.contains("@hook "), "{} {hooks}: {path}", language.name);
                }
                if language.has_world {
                    let (_, world) = files.iter().find(|(path, _)| path == "wit/world.wit").unwrap();
                    for hook in HOOKS {
                        let is_exported = world.contains(&format!("export postgate:mail/{hook}@0.1.0;"));
                        assert_eq!(is_exported, hooks.contains(hook), "{} {hooks}", language.name);
                    }
                }
            }
        }
    }

    #[test]
    fn templates_say_where_they_are_malformed() {
        let hooks = chosen(&HOOKS);
        for (path, template) in LANGUAGES.iter().flat_map(|language| language.files).chain(COMMON) {
            let words: Vec<_> = WORDS.iter().map(|word| (*word, "x")).collect();
            if let Err(error) = render(template, &hooks, &words) {
                panic!("{path}: {error}");
            }
        }
    }

    #[test]
    fn names() {
        for name in ["spam-check", "a", "a1-b2", &"a".repeat(64)] {
            assert_eq!(checked_name(name), Ok(()), "{name}");
        }
        for name in ["", "Spam", "spam_check", "-a", "a-", "a--b", "1a", "a-1", "a.b", "ä", &"a".repeat(65)] {
            assert_eq!(checked_name(name), Err(NameError::Form), "{name}");
        }
        for name in ["match", "test", "serde", "main"] {
            assert_eq!(checked_name(name), Err(NameError::Reserved), "{name}");
        }
        assert!(RESERVED.is_sorted());
    }

    #[test]
    fn all_or_nothing() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("spam-check");
        let python = Language::parse("python").unwrap();
        let hooks = chosen(&["recipient"]);
        // An empty folder is as good as none.
        fs::create_dir(&folder).unwrap();
        let written = create(&folder, python, &hooks).unwrap();
        assert_eq!(written.name, "spam-check");
        assert!(written.files.iter().any(|file| file == "plugin.py"), "{:?}", written.files);
        assert!(folder.join("wit/deps/postgate-mail/hooks.wit").is_file());
        assert!(matches!(create(&folder, python, &hooks), Err(NewError::Exists(_))));
        assert!(matches!(create(&folder.join("plugin.py"), python, &hooks), Err(NewError::Name { .. })));
        assert!(create(&scratch.path().join("no/such/folder/a"), python, &hooks).is_ok());
        // Nothing is left beside it.
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 2);
        let project = crate::Project::read(&folder).unwrap();
        assert_eq!((project.name.as_str(), project.language.name), ("spam-check", "python"));
        assert_eq!(crate::world::read(&folder.join("wit")).unwrap().hooks, ["recipient"]);
    }

    #[test]
    fn worlds_that_can_not_be_used() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("a");
        create(&folder, Language::parse("c").unwrap(), &chosen(&["recipient"])).unwrap();
        let check = |from: &str, to: &str, expected: &str| {
            let file = folder.join("wit/world.wit");
            let right = fs::read_to_string(&file).unwrap();
            fs::write(&file, right.replace(from, to)).unwrap();
            let error = crate::world::read(&folder.join("wit")).map(drop).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            fs::write(&file, right).unwrap();
        };
        check("    export postgate:mail/recipient@0.1.0;", "", "exports no hook");
        check("world plugin", "world plug", "has no world `plugin`");
        check("mail/recipient@0.1.0", "mail/recipent@0.1.0", "recipent");
        check("mail/recipient@0.1.0", "mail/recipient@0.2.0", "0.2.0");
        check("export postgate", "exprt postgate", "world.wit:");
    }
}
