//! What a component is made of, read from its binary without compiling it: imports, exports, the tools that made it.
//!
//! So a file that is no component, or asks for what was not granted, is refused in microseconds and with its own words.

mod misfit;

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use wasmparser::{ComponentExternalKind, CustomSectionReader, Encoding, KnownCustom, Name, Parser, Payload};

pub(crate) use misfit::WASI_MODULES;
pub use misfit::{AnatomyError, CoreModule, Fix, Foreign, NoFile};

use crate::component::LoadError;

/// The outside of a component.
#[derive(Clone, Debug, Default)]
pub struct Anatomy {
    /// Names of what it imports, such as `postgate:mail/session@0.1.0`.
    pub imports: Vec<String>,
    /// Names of what it exports.
    pub exports: Vec<String>,
    /// The tools that made it.
    pub producers: Vec<Producer>,
    /// Octets.
    pub size: usize,
    /// SHA-256 of the file.
    pub sha256: Hash,
    /// Functions have names in it: a backtrace shows them.
    pub has_function_names: bool,
    /// It has debug information (DWARF): a backtrace can show lines of the source.
    pub has_debug_information: bool,
}

/// A tool that says of itself that it made a component, or the language that it made it of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producer {
    /// `language`, `processed-by` or `sdk`.
    pub field: String,
    /// `Rust`, `rustc`.
    pub name: String,
    /// Empty where it does not say.
    pub version: String,
}

impl fmt::Display for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.name)?;
        if self.version.is_empty() { Ok(()) } else { write!(f, " {}", self.version) }
    }
}

/// The SHA-256 of a file, in lower-case hexadecimal.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hexadecimal(&text).map(Self).ok_or_else(|| {
            serde::de::Error::custom("expected a SHA-256 of 64 hexadecimal digits, as sha256sum prints it")
        })
    }
}

fn hexadecimal(text: &str) -> Option<[u8; 32]> {
    let mut octets = [0; 32];
    if text.len() != 64 || !text.bytes().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    for (at, octet) in octets.iter_mut().enumerate() {
        *octet = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(octets)
}

impl Anatomy {
    /// Reads the outside of the component in a file: a file of the usual kind, and no more of it than a component may have.
    pub(crate) fn read(path: &Path) -> Result<(Vec<u8>, Self), LoadError> {
        let octets = octets(path).map_err(|source| LoadError::Read { path: path.to_path_buf(), source });
        let anatomy = |source| LoadError::Anatomy { path: path.to_path_buf(), source };
        let octets = octets?.map_err(anatomy)?;
        let found = Self::of(&octets).map_err(anatomy)?;
        Ok((octets, found))
    }

    /// Reads the outside of a component.
    pub fn of(octets: &[u8]) -> Result<Self, AnatomyError> {
        if octets.len() > MAX_COMPONENT_BYTES {
            return Err(AnatomyError::TooLarge { found: octets.len() as u64, limit: MAX_COMPONENT_BYTES });
        }
        misfit::foreign(octets)?;
        let mut anatomy = Self { size: octets.len(), sha256: Hash(Sha256::digest(octets).into()), ..Self::default() };
        let mut inside = Inside::default();
        let read = anatomy.walk(octets, &mut inside);
        if let Some(module) = inside.module {
            return Err(AnatomyError::CoreModule(module, Fix::of(&anatomy.producers)));
        }
        read?;
        let is_later = |name: &String| name.starts_with("wasi:") && name.contains("@0.3.");
        if inside.is_asynchronous || anatomy.imports.iter().chain(&anatomy.exports).any(is_later) {
            return Err(AnatomyError::Asynchronous(Fix::of(&anatomy.producers)));
        }
        if inside.exported_types > 0 && inside.exported_types == anatomy.exports.len() {
            return Err(AnatomyError::WitPackage);
        }
        Ok(anatomy)
    }

    fn walk(&mut self, octets: &[u8], inside: &mut Inside) -> Result<(), AnatomyError> {
        let mut depth = 0_usize;
        let wrong = |error: wasmparser::BinaryReaderError| AnatomyError::malformed(error, octets.len());
        for payload in Parser::new(0).parse_all(octets) {
            #[allow(clippy::wildcard_enum_match_arm, reason = "an enum of the parser, which grows with the format")]
            match payload.map_err(wrong)? {
                Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                    inside.module = Some(CoreModule::default());
                }
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                    depth += 1;
                    inside.parts += 1;
                    bounded(inside.parts, MAX_PARTS, "modules and components")?;
                }
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ImportSection(section) => {
                    if let Some(module) = &mut inside.module {
                        module.add_imports(section);
                    }
                }
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        bounded(self.imports.len() + 1, MAX_NAMES, "imports")?;
                        self.imports.push(import.map_err(wrong)?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        bounded(self.exports.len() + 1, MAX_NAMES, "exports")?;
                        let export = export.map_err(wrong)?;
                        inside.exported_types += usize::from(export.kind == ComponentExternalKind::Type);
                        self.exports.push(export.name.name.to_owned());
                    }
                }
                Payload::ComponentCanonicalSection(section) => {
                    for function in section {
                        inside.is_asynchronous |= misfit::is_asynchronous(&function.map_err(wrong)?);
                    }
                }
                Payload::CustomSection(section) => self.add_custom(&section, inside),
                // The remaining sections are the inside of the component.
                _ => {}
            }
        }
        Ok(())
    }

    fn add_custom(&mut self, section: &CustomSectionReader<'_>, inside: &mut Inside) {
        self.has_debug_information |= section.name() == ".debug_line";
        if let Some(module) = &mut inside.module {
            module.has_contract |= section.name().starts_with("component-type");
        }
        #[allow(clippy::wildcard_enum_match_arm, reason = "an enum of the parser, which grows with the format")]
        match section.as_known() {
            KnownCustom::Producers(producers) => self.add_producers(producers),
            KnownCustom::Name(names) => {
                let is_of_functions = |name: Result<Name<'_>, _>| matches!(name, Ok(Name::Function(_)));
                self.has_function_names |= names.into_iter().any(is_of_functions);
            }
            _ => {}
        }
    }

    /// The tools are hearsay: a section that can't be read is left out.
    fn add_producers(&mut self, producers: wasmparser::ProducersSectionReader<'_>) {
        let short = |text: &str| text.chars().take(MAX_PRODUCER_CHARS).collect::<String>();
        for field in producers.into_iter().flatten() {
            for value in field.values.into_iter().flatten() {
                if self.producers.len() >= MAX_PRODUCERS {
                    return;
                }
                let producer =
                    Producer { field: short(field.name), name: short(value.name), version: short(value.version) };
                if !self.producers.contains(&producer) {
                    self.producers.push(producer);
                }
            }
        }
    }
}

/// What is learned of a file on the way, and told where it is no plugin.
#[derive(Default)]
struct Inside {
    /// The file is no component but this.
    module: Option<CoreModule>,
    is_asynchronous: bool,
    /// Modules and components in it, at every depth.
    parts: usize,
    /// Exports that are types: a package of WIT has nothing else.
    exported_types: usize,
}

fn bounded(found: usize, limit: usize, what: &'static str) -> Result<(), AnatomyError> {
    if found > limit { Err(AnatomyError::TooMany { what, limit }) } else { Ok(()) }
}

/// The octets of a file. It is not opened if it is of another kind, and never waited for: nobody may write into a pipe.
fn octets(path: &Path) -> io::Result<Result<Vec<u8>, AnatomyError>> {
    if let Some(kind) = misfit::no_file(&fs::metadata(path)?) {
        return Ok(Err(AnatomyError::NoFile(kind)));
    }
    let file = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let found = file.metadata()?;
    if let Some(kind) = misfit::no_file(&found) {
        return Ok(Err(AnatomyError::NoFile(kind)));
    }
    let limit = MAX_COMPONENT_BYTES as u64;
    if found.len() > limit {
        return Ok(Err(AnatomyError::TooLarge { found: found.len(), limit: MAX_COMPONENT_BYTES }));
    }
    let mut octets = Vec::with_capacity(usize::try_from(found.len()).unwrap_or_default());
    // One more than may be: it has grown meanwhile.
    file.take(limit + 1).read_to_end(&mut octets)?;
    Ok(Ok(octets))
}

/// Octets of a component: a Python guest has 18 MB.
const MAX_COMPONENT_BYTES: usize = 256 << 20;
const MAX_PRODUCERS: usize = 32;
/// Of each of its words.
const MAX_PRODUCER_CHARS: usize = 200;
/// Modules and components in a component: a Python guest has 40. The engine takes memory and time by their square, 13 GB for
/// 20,000 of them that are empty, which are a file of 240 kB.
const MAX_PARTS: usize = 1000;
/// Imports, and exports.
const MAX_NAMES: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_component() {
        let empty = Anatomy::of(b"\0asm\x0d\0\x01\0").unwrap();
        assert!(empty.imports.is_empty() && empty.exports.is_empty());
        assert_eq!(empty.sha256.to_string().len(), 64);
        assert_eq!(empty.size, 8);
    }

    #[test]
    fn producers_are_bounded() {
        let number = |n: usize| vec![(n & 0x7f) as u8 | 0x80, (n >> 7) as u8 | 0x80, (n >> 14) as u8];
        let named = |text: &str| [number(text.len()), text.as_bytes().to_vec()].concat();
        let of = |values: &[String]| {
            let listed: Vec<u8> = values.iter().flat_map(|value| [named(value), named("1")].concat()).collect();
            let section = [named("producers"), vec![1], named("language"), number(values.len()), listed].concat();
            let octets = [b"\0asm\x0d\0\x01\0\0".to_vec(), number(section.len()), section].concat();
            Anatomy::of(&octets).unwrap().producers
        };
        let many = of(&(0..1000).map(|n| n.to_string()).collect::<Vec<_>>());
        assert_eq!((many.len(), many[0].name.as_str()), (MAX_PRODUCERS, "0"));
        let long = of(&["x".repeat(100_000)]);
        assert_eq!(long[0].name.len(), MAX_PRODUCER_CHARS);
    }

    #[test]
    fn producers_are_told() {
        let producer = |version: &str| Producer {
            field: "processed-by".to_owned(),
            name: "rustc".to_owned(),
            version: version.to_owned(),
        };
        assert_eq!(producer("1.95.0").to_string(), "processed-by: rustc 1.95.0");
        assert_eq!(producer("").to_string(), "processed-by: rustc");
    }
}
