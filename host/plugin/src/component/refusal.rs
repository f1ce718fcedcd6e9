//! Why a component is no plugin, or not with this configuration: said in one sentence, with what to do.
//!
//! `plugins/errors.md` has those that are about the component, and `tests/misfits.rs` a file for each.

use std::fmt;
use std::path::PathBuf;

use crate::anatomy::{AnatomyError, Fix, Hash};
use crate::failure::{Cause, Failure};
use crate::hook::{CONTRACT_VERSION, Hook};
use crate::service::Service;
use crate::service::http::ClientError;
use crate::service::storage::StorageError;
use crate::setup::SettingProblem;

/// Why a plugin can't be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file can't be read.
    #[error("{} can't be read", .path.display())]
    Read {
        /// The component's file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The file is not a component.
    #[error("{} is not a plugin", .path.display())]
    Anatomy {
        /// The component's file.
        path: PathBuf,
        /// What it is instead.
        #[source]
        source: AnatomyError,
    },
    /// The file is not the one that the operator has pinned.
    #[error("{} has SHA-256 {found}, but the configuration pins {pinned}", .path.display())]
    Pin {
        /// The component's file.
        path: PathBuf,
        /// The hash that it has.
        found: Hash,
        /// The hash that it should have.
        pinned: Hash,
    },
    /// It implements a hook that this host does not know, or not in that version.
    #[error(
        "it exports {}, a hook that this version of Postgate does not know; it knows {known}: {AS_THE_CONTRACT}", shown(.export)
    )]
    UnknownHook {
        /// The name of the export.
        export: String,
        /// What would have been understood.
        known: String,
    },
    /// It implements no hook.
    #[error(
        "it exports no hook{0}; a plugin exports one or more interfaces of the package postgate:mail@{CONTRACT_VERSION}, such \
         as postgate:mail/recipient@{CONTRACT_VERSION}"
    )]
    NoHooks(WithoutHook),
    /// It wants something that this host does not have.
    #[error("it imports {}, which this version of Postgate does not offer; {}", shown(.import), import_fix(.import))]
    UnknownImport {
        /// The name of the import.
        import: String,
    },
    /// It wants a function that this host does not have, or another one of that name.
    #[error("it imports {}, and this version of Postgate does not offer that{how}; {AS_THE_CONTRACT}", wanted(.import, .item.as_deref()))]
    Import {
        /// The name of the import.
        import: String,
        /// What it wants of it.
        item: Option<String>,
        /// How that differs, if it is there.
        how: String,
    },
    /// It wants a service that it was not granted.
    #[error("it imports {}, which was not granted; to let it {}, add {} to its `grants`", shown(.import), .service.summary, .service.example)]
    NotGranted {
        /// The name of the import.
        import: String,
        /// The service, and the grant that would allow it.
        service: &'static Service,
    },
    /// The grant `http` can't be used.
    #[error("its grant http can't be used")]
    Http(#[source] ClientError),
    /// Its memory limit is over the engine's.
    #[error("its memory limit of {limit} octets is over the engine's bound of {bound}")]
    MemoryLimit {
        /// The plugin's `memory`.
        limit: usize,
        /// The engine's `memory`.
        bound: usize,
    },
    /// A part of it was not made for components.
    #[error(
        "a module in it imports {module}, which is not in it: WASI 0.1 needs an adapter; give `wasm-tools component new` the option \
         `--adapt {module}=ADAPTER.wasm`, or build it by `postgate build`"
    )]
    Adapter {
        /// The name of the import.
        module: &'static str,
    },
    /// It is for WASI 0.3.
    #[error(transparent)]
    Asynchronous(AnatomyError),
    /// The compiler or the linker refuses it.
    #[error(
        "it can't be compiled and linked: it is damaged, or uses what this version of Postgate does not know; build it by `postgate build`"
    )]
    Compile(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A hook has the wrong function.
    #[error(
        "its hook {hook} does not have the function that postgate:mail@{CONTRACT_VERSION} asks for; {AS_THE_CONTRACT}"
    )]
    Signature {
        /// The hook.
        hook: Hook,
        /// What differs.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Its `setup` does not have the right function.
    #[error(
        "its interface setup does not have the function that postgate:mail@{CONTRACT_VERSION} asks for; {AS_THE_CONTRACT}"
    )]
    SetupSignature(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It can't use its own table of the configuration.
    #[error("it can't use its configuration")]
    Settings(Vec<SettingProblem>),
    /// What a service keeps for it can't be used.
    #[error("its {service} can't be used")]
    Storage {
        /// The name of the grant.
        service: &'static str,
        /// What is wrong with it.
        #[source]
        source: StorageError,
    },
    /// It fails before it is asked anything.
    #[error("it does not start within its limits: {cause} ({}): {detail}", start_fix(*.cause))]
    Start {
        /// The cause by its name.
        cause: Cause,
        /// What happened.
        detail: String,
    },
}

impl LoadError {
    /// A failure while it is started, or asked about its configuration.
    pub(crate) fn start(failure: Failure) -> Self {
        Self::Start { cause: failure.cause, detail: [failure.detail, failure.stderr].join(" ").trim().to_owned() }
    }
}

/// What a component exports that has no hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WithoutHook {
    /// Nothing at all.
    Nothing,
    /// `setup`, which is asked of plugins that have a hook.
    Setup,
    /// What a command line would run.
    Program,
    /// This, and perhaps more.
    Other(String),
}

impl fmt::Display for WithoutHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str(" and nothing else: its world has no line `export` (in Rust, `postgate_sdk::export!` says what is exported)"),
            Self::Setup => f.write_str(" but `setup` alone, which is asked about the configuration and never about mail"),
            Self::Program => f.write_str(": it is a program (wasi:cli/run) and not a library; in Rust that is `crate-type = [\"cdylib\"]`, without `main`"),
            Self::Other(export) => write!(f, ", but {export}"),
        }
    }
}

/// What to do about an import that nobody offers.
fn import_fix(import: &str) -> &'static str {
    if import.starts_with("postgate:mail/") {
        AS_THE_CONTRACT
    } else if import.starts_with("wasi:") {
        "of WASI there is version 0.2 of io, clocks, random, cli, filesystem, sockets and http, and keyvalue: leave out what needs more"
    } else {
        "leave it out, or put a component that offers it into this one (`wac plug`)"
    }
}

/// What to do about a start that fails.
fn start_fix(cause: Cause) -> &'static str {
    match cause {
        Cause::Memory => "give it more `limits.memory`, up to `engine.memory-max`",
        Cause::Fuel => "give it more `limits.fuel`",
        Cause::Deadline => "give it a longer `limits.deadline`",
        Cause::Unavailable => "give it more `engine.instances`",
        Cause::Trap | Cause::Reply => "what it says is its author's to mend",
    }
}

fn wanted(import: &str, item: Option<&str>) -> String {
    let import = shown(import);
    match item {
        Some(item) => format!("{} of {import}", shown(item)),
        None => import,
    }
}

/// Words of the maker's, or of the engine's with those in them: on one line, and with nothing that a terminal would obey.
fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars().take(MAX_SHOWN_CHARS) {
        match character {
            '\'' | '"' | '\\' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    shown
}

/// What the engine says of a component: names in it are quoted as they are.
pub(super) fn of_engine(error: &wasmtime::Error) -> LoadError {
    LoadError::Compile(shown(&format!("{error:#}")).into())
}

/// What the linker says: the name of the import, and from the outside in what of it does not fit.
pub(super) fn of_linker(error: wasmtime::Error) -> LoadError {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    let quoted = |text: &String| text.split('`').nth(1).map(str::to_owned);
    let Some(import) = causes.first().filter(|text| text.contains(NOT_IN_THE_LINKER)).and_then(quoted) else {
        return of_engine(&error);
    };
    let item = causes.iter().skip(1).filter(|text| text.contains(WRONG_TYPE)).find_map(quoted);
    let how = match causes.last() {
        Some(last) if !last.contains(MISSING) => format!(" as it wants it ({})", shown(last)),
        Some(_) | None => String::new(),
    };
    LoadError::Import { import, item, how }
}

/// What the compiler says of what is well known.
pub(super) fn of_compiler(error: wasmtime::Error) -> LoadError {
    let text = format!("{error:#}");
    if text.contains(ASYNCHRONOUS) {
        return LoadError::Asynchronous(AnatomyError::Asynchronous(Fix::Any));
    }
    if text.contains(LARGE_MEMORY) {
        return LoadError::Start { cause: Cause::Memory, detail: shown(&text) };
    }
    let lacking = |module: &&&str| text.contains(&format!("{WITHOUT_ARGUMENT} `{module}`"));
    match crate::anatomy::WASI_MODULES.iter().find(lacking) {
        Some(module) => LoadError::Adapter { module },
        None => of_engine(&error),
    }
}

/// Words of the engine's, which is of one version: `tests/misfits.rs` would see others.
const NOT_IN_THE_LINKER: &str = "a matching implementation was not found in the linker";
const WRONG_TYPE: &str = "has the wrong type";
const MISSING: &str = "implementation is missing";
const LARGE_MEMORY: &str = "memory has a minimum byte size of";
const ASYNCHRONOUS: &str = "component model async feature";
const WITHOUT_ARGUMENT: &str = "missing module instantiation argument named";

/// Of such words; the engine quotes names of any length.
const MAX_SHOWN_CHARS: usize = 2000;

/// What helps where it was built against another contract.
const AS_THE_CONTRACT: &str = "build it against the contract of this version (`postgate new` writes it), or take a version of Postgate that has it";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_not_obeyed() {
        let hostile = "postgate:mail/\u{1b}]0;x\u{7}\u{202e}\n\u{9b}2J@0.1.0".to_owned();
        let service = crate::service::SERVICES.first().unwrap();
        for error in [
            LoadError::UnknownImport { import: hostile.clone() },
            LoadError::UnknownHook { export: hostile.clone(), known: String::new() },
            LoadError::NotGranted { import: hostile.clone(), service },
            LoadError::Import { import: hostile.clone(), item: Some(hostile.clone()), how: String::new() },
            of_compiler(wasmtime::Error::msg(hostile.clone()).context(hostile.clone())),
            of_linker(wasmtime::Error::msg(hostile)),
        ] {
            let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            let told = format!("{error} {source}");
            assert!(told.contains("\\u{1b}]0;x\\u{7}\\u{202e}\\n\\u{9b}2J"), "{told}");
            assert!(!told.contains(|character: char| character.is_control() || character == '\u{202e}'), "{told}");
        }
        assert_eq!(shown(&"x".repeat(5000)).len(), MAX_SHOWN_CHARS);
        assert_eq!(shown("a `b` \"c\" 'd' \\"), "a `b` \"c\" 'd' \\");
    }
}
