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
    /// The files, relative to the project's folder, without those that the author need not look at.
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
    let own = files.into_iter().map(|(path, _)| path).filter(|path| !path.starts_with("sdk/") && !path.contains("/deps/"));
    Ok(Written { name, files: own.collect() })
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
const NAME_MAX: usize = 64;

/// Keywords of Rust, crates that a plugin depends on, and names that cargo, Go or Python would misunderstand.
const RESERVED: &[&str] = &[
    "abstract", "alloc", "as", "async", "await", "become", "box", "break", "build", "const", "continue", "core", "crate", "deps", "do", "dyn",
    "else", "enum", "examples", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "incremental", "internal", "let", "loop",
    "macro", "main", "match", "mod", "move", "mut", "override", "postgate", "postgate-sdk", "priv", "proc-macro", "pub", "ref", "return", "sdk",
    "self", "serde", "serde-json", "static", "std", "struct", "super", "test", "tests", "trait", "true", "try", "type", "typeof", "unsafe",
    "unsized", "use", "vendor", "virtual", "wasm", "where", "while", "wit-bindgen", "yield",
];
