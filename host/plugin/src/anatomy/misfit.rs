//! What a file is that is no plugin: told in one sentence each, with what to do.
//!
//! These sentences stand in `plugins/errors.md` as well, and `tests/misfits.rs` makes a file for each.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::FileTypeExt;

use wasmparser::{CanonicalFunction, CanonicalOption};

use super::Producer;

/// Why a file is not a component.
#[derive(Debug, thiserror::Error)]
pub enum AnatomyError {
    /// A folder, a pipe.
    #[error("it is {0}")]
    NoFile(NoFile),
    /// No octets.
    #[error("it is empty: what was to write it has not; build or copy it again")]
    Empty,
    /// Something else altogether.
    #[error("it is {0}")]
    Foreign(Foreign),
    /// A module of WASI 0.1 or without WASI.
    #[error("it is {0}, not a component; {fix}", fix = .1.module(.0))]
    CoreModule(CoreModule, Fix),
    /// For WASI 0.3.
    #[error("it is asynchronous (WASI 0.3), and this version of Postgate runs synchronous components (WASI 0.2); {}", .0.asynchronous())]
    Asynchronous(Fix),
    /// A contract instead of one who keeps it.
    #[error(
        "it is a package of WIT, not a component; a plugin is what a compiler makes of a source and of such a package (`postgate build`)"
    )]
    WitPackage,
    /// A part of a component.
    #[error("it ends in the middle of a section, behind {octets} octets; copy or build it again, as a whole")]
    Truncated {
        /// Octets that there are.
        octets: usize,
    },
    /// Damaged, or made for a newer format.
    #[error(
        "it is not a well-formed component: it is damaged, or made for a later format; copy it again, or build it by `postgate build`"
    )]
    Malformed(#[source] wasmparser::BinaryReaderError),
    /// Over the bound.
    #[error(
        "it has {found} octets, and a component may have {limit}; leave out debug information and what is embedded"
    )]
    TooLarge {
        /// Octets of the file.
        found: u64,
        /// Octets allowed.
        limit: usize,
    },
    /// More than any compiler makes; reading on would cost memory that the file does not have.
    #[error("it has more than {limit} {what}, which no compiler makes of a plugin; build it by `postgate build`")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// So many are allowed.
        limit: usize,
    },
}

impl AnatomyError {
    pub(super) fn malformed(error: wasmparser::BinaryReaderError, octets: usize) -> Self {
        if error.message().contains(UNEXPECTED_END) { Self::Truncated { octets } } else { Self::Malformed(error) }
    }
}

/// What a path leads to in place of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoFile {
    /// A folder.
    Directory,
    /// A pipe, a socket, a device.
    Special,
}

impl fmt::Display for NoFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Directory => "a directory; name the component in it (`*.wasm`)",
            Self::Special => "a pipe, a socket or a device; a plugin is a file: write what it gives into one",
        })
    }
}

pub(super) fn no_file(found: &Metadata) -> Option<NoFile> {
    let kind = found.file_type();
    if kind.is_dir() {
        return Some(NoFile::Directory);
    }
    let is_special = kind.is_fifo() || kind.is_socket() || kind.is_block_device() || kind.is_char_device();
    is_special.then_some(NoFile::Special)
}

macro_rules! foreign {
    ($($(#[$doc:meta])* $variant:ident $text:literal, $($magic:literal)|*;)*) => {
        /// What begins as something else than WebAssembly.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Foreign {
            $($(#[$doc])* $variant,)*
        }

        impl fmt::Display for Foreign {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $text,)* })
            }
        }

        /// The octets that it begins with.
        const MAGIC: &[(Foreign, &[u8])] = &[$($((Foreign::$variant, $magic),)*)*];
    };
}

foreign! {
    /// Compressed by gzip.
    Gzip "compressed by gzip; unpack it by `gunzip`", b"\x1f\x8b";
    /// Compressed by zstd.
    Zstd "compressed by zstd; unpack it by `unzstd`", b"\x28\xb5\x2f\xfd";
    /// Compressed by xz.
    Xz "compressed by xz; unpack it by `unxz`", b"\xfd7zXZ\0";
    /// An archive.
    Zip "an archive (zip); unpack it by `unzip`, and name the component in it (`*.wasm`)", b"PK\x03\x04";
    /// A component that wasmtime has compiled; an ELF file as well, and told apart by an octet further on.
    Compiled "a component that Wasmtime has compiled (`*.cwasm`); give the component that it was made of: the gateway compiles by itself, and keeps what it has compiled",;
    /// Machine code.
    Native "a native program or library; build it for WebAssembly: `cargo build --target wasm32-wasip2` in Rust, `postgate build` in any language", b"\x7fELF" | b"MZ" | b"\xcf\xfa\xed\xfe" | b"\xca\xfe\xba\xbe";
    /// The text format.
    WasmText "WebAssembly in its text format; make it binary by `wasm-tools parse FILE.wat -o FILE.wasm`",;
    /// Any other text: a source, a script, a page that says why there was nothing to download.
    Text "a text; a plugin is a component in binary form (`*.wasm`), which `postgate build` makes of a source",;
    /// Whatever.
    Unknown "not WebAssembly; a plugin is a component in binary form (`*.wasm`), as `postgate build` makes it",;
}

/// What does not begin as WebAssembly does.
pub(super) fn foreign(octets: &[u8]) -> Result<(), AnatomyError> {
    if octets.starts_with(WASM) {
        return Ok(());
    }
    if octets.is_empty() {
        return Err(AnatomyError::Empty);
    }
    if WASM.starts_with(octets) {
        return Err(AnatomyError::Truncated { octets: octets.len() });
    }
    if octets.starts_with(b"\x7fELF") && octets.get(ELF_SYSTEM) == Some(&ELF_WASMTIME) {
        return Err(AnatomyError::Foreign(Foreign::Compiled));
    }
    let known = MAGIC.iter().find(|(_, magic)| octets.starts_with(magic));
    Err(AnatomyError::Foreign(known.map_or_else(|| text(octets), |(foreign, _)| *foreign)))
}

fn text(octets: &[u8]) -> Foreign {
    let head = octets.get(..TEXT_BYTES).unwrap_or(octets);
    let head = match str::from_utf8(head) {
        Ok(head) => head,
        // A character may be cut in two.
        Err(error) if error.error_len().is_none() => {
            str::from_utf8(head.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
        Err(_) => return Foreign::Unknown,
    };
    if head.contains(|character: char| character.is_control() && !character.is_ascii_whitespace()) {
        return Foreign::Unknown;
    }
    let mut lines = head.lines().map(str::trim_start);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with(";;")).unwrap_or_default();
    if first.starts_with("(module") || first.starts_with("(component") { Foreign::WasmText } else { Foreign::Text }
}

/// A core module, and what of it says how it was to become a component.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoreModule {
    /// It imports WASI 0.1.
    pub is_wasi: bool,
    /// It imports what a page's JavaScript has.
    pub is_for_browsers: bool,
    /// It has a world in it: half of the way is done.
    pub has_contract: bool,
}

impl CoreModule {
    pub(super) fn add_imports(&mut self, section: wasmparser::ImportSectionReader<'_>) {
        for import in section.into_imports().flatten() {
            self.is_wasi |= WASI_MODULES.contains(&import.module);
            self.is_for_browsers |= BROWSER_MODULES.iter().any(|module| import.module.starts_with(module));
        }
    }
}

impl fmt::Display for CoreModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.is_wasi, self.is_for_browsers, self.has_contract) {
            (true, _, true) => "a core module for WASI 0.1, with its world in it",
            (false, _, true) => "a core module, with its world in it",
            (true, _, false) => "a core module for WASI 0.1",
            (false, true, false) => "a core module for browsers (wasm-bindgen)",
            (false, false, false) => "a core module",
        })
    }
}

/// What is to be done about it, by the language that it was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fix {
    /// Rust.
    Rust,
    /// Go.
    Go,
    /// JavaScript.
    JavaScript,
    /// Python.
    Python,
    /// Some other, or nobody says which.
    Any,
}

impl Fix {
    pub(crate) fn of(producers: &[Producer]) -> Self {
        let is = |words: &[&str]| {
            let is_one = |producer: &Producer| words.iter().any(|word| producer.name.eq_ignore_ascii_case(word));
            producers.iter().any(is_one)
        };
        // Runtimes are written in languages of their own: what they run comes first.
        if is(&["JavaScript", "componentize-qjs", "ComponentizeJS"]) {
            Self::JavaScript
        } else if is(&["Python", "componentize-py"]) {
            Self::Python
        } else if is(&["Go", "TinyGo"]) {
            Self::Go
        } else if is(&["Rust"]) {
            Self::Rust
        } else {
            Self::Any
        }
    }

    fn module(self, module: &CoreModule) -> &'static str {
        match self {
            Self::Rust => "build it by `cargo build --target wasm32-wasip2`, or by `postgate build`",
            Self::Go => "build it by `postgate build`, which makes a component of what Go makes",
            Self::JavaScript | Self::Python | Self::Any if module.has_contract && module.is_wasi => {
                "make a component of it by `wasm-tools component new --adapt wasi_snapshot_preview1=ADAPTER.wasm`, or build it by `postgate build`"
            }
            Self::JavaScript | Self::Python | Self::Any if module.has_contract => {
                "make a component of it by `wasm-tools component new`, or build it by `postgate build`"
            }
            Self::JavaScript | Self::Python | Self::Any => {
                "build it by `postgate build`, or by hand: for the target wasm32-wasip2 in Rust, else by `wasm-tools component embed` and `wasm-tools component new`"
            }
        }
    }

    fn asynchronous(self) -> &'static str {
        match self {
            Self::Rust => "build it by `cargo build --target wasm32-wasip2`, against a world without `async`",
            Self::JavaScript => "give componentize-qjs the option `--sync`, or build it by `postgate build`",
            Self::Python | Self::Go => "build it by `postgate build`, against a world without `async`",
            Self::Any => {
                "build it by `postgate build`, or by hand: for the target wasm32-wasip2 in Rust, with the option `--sync` in JavaScript, against a world without `async` in every language"
            }
        }
    }
}

/// Whether a function of the canonical ABI is one of the asynchronous component model.
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "an enum of the parser, whose further functions are all of that kind"
)]
pub(super) fn is_asynchronous(function: &CanonicalFunction) -> bool {
    match function {
        CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. } => {
            options.iter().any(|option| matches!(option, CanonicalOption::Async | CanonicalOption::Callback(_)))
        }
        CanonicalFunction::ResourceNew { .. }
        | CanonicalFunction::ResourceDrop { .. }
        | CanonicalFunction::ResourceRep { .. }
        | CanonicalFunction::ThreadSpawnRef { .. }
        | CanonicalFunction::ThreadSpawnIndirect { .. }
        | CanonicalFunction::ThreadAvailableParallelism => false,
        _ => true,
    }
}

const WASM: &[u8] = b"\0asm";

/// Where an ELF file says for which system it is, and what Wasmtime says there.
const ELF_SYSTEM: usize = 7;
const ELF_WASMTIME: u8 = 200;

/// As much is looked at to see whether something is a text.
const TEXT_BYTES: usize = 1024;

/// How the parser says that a file is too short.
const UNEXPECTED_END: &str = "unexpected end";

/// WASI 0.1, and what came before it.
pub(crate) const WASI_MODULES: &[&str] = &["wasi_snapshot_preview1", "wasi_unstable"];

/// What wasm-bindgen's modules import.
const BROWSER_MODULES: &[&str] = &["__wbindgen", "wbg"];

#[cfg(test)]
mod tests {
    use super::super::Anatomy;
    use super::*;

    #[track_caller]
    fn check(octets: &[u8], expected: &str) {
        let told = Anatomy::of(octets).unwrap_err().to_string();
        assert!(told.starts_with(expected), "{told}");
    }

    #[test]
    fn what_it_is_instead() {
        check(b"", "it is empty");
        check(b"\0as", "it ends in the middle of a section, behind 3 octets");
        check(b"#!/bin/sh", "it is a text;");
        check("é".repeat(600).as_bytes(), "it is a text;");
        check(b"\x01\x02", "it is not WebAssembly");
        check(b"text\xff", "it is not WebAssembly");
        check(b"text\0", "it is not WebAssembly");
        check(b"\n ;; a comment\n  (component)", "it is WebAssembly in its text format");
        check(b"\x7fELF\x02\x01\x01\0", "it is a native program");
        check(b"\x7fELF\x02\x01\x01\xc8", "it is a component that Wasmtime has compiled");
        check(b"PK\x03\x04", "it is an archive (zip)");
        check(b"\x28\xb5\x2f\xfd", "it is compressed by zstd");
        check(b"\xfd7zXZ\0", "it is compressed by xz");
        check(b"\0asm\x01\0\0\0", "it is a core module, not a component; build it by");
        check(b"\0asm\x0d\0\x01\0\xff\xff", "it is not a well-formed component");
        check(b"\0asm\x0d\0\x01\0\x00\x20", "it ends in the middle of a section, behind 10 octets");
    }

    #[test]
    fn languages_are_known_by_what_runs_them() {
        let producers = |names: &[&str]| -> Vec<Producer> {
            let producer = |name: &&str| Producer {
                field: "language".to_owned(),
                name: (*name).to_owned(),
                version: String::new(),
            };
            names.iter().map(producer).collect()
        };
        for (names, fix) in [
            (&["Rust", "JavaScript"][..], Fix::JavaScript),
            (&["C11", "Python"], Fix::Python),
            (&["Go"], Fix::Go),
            (&["rust"], Fix::Rust),
            (&["C11"], Fix::Any),
            (&[], Fix::Any),
        ] {
            assert_eq!(Fix::of(&producers(names)), fix, "{names:?}");
        }
    }
}
