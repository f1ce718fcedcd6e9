//! What a component is made of, read from its binary without compiling it: imports, exports, the tools that made it.
//!
//! So a file that is no component, or asks for what was not granted, is refused in microseconds and with its own words.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use wasmparser::{Encoding, KnownCustom, Parser, Payload};

/// The outside of a component.
#[derive(Clone, Debug)]
pub struct Anatomy {
    /// Names of what it imports, such as `postgate:mail/session@0.1.0`.
    pub imports: Vec<String>,
    /// Names of what it exports.
    pub exports: Vec<String>,
    /// The tools that made it, such as `language: Rust`, `processed-by: rustc 1.95.0`.
    pub producers: Vec<String>,
    /// Octets.
    pub size: usize,
    /// SHA-256 of the file.
    pub sha256: Hash,
}

/// The SHA-256 of a file, in lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq)]
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

/// Why a file is not a component.
#[derive(Debug, thiserror::Error)]
pub enum AnatomyError {
    /// Something else altogether.
    #[error("it is not WebAssembly; a plugin is a component in binary form (`*.wasm`)")]
    NotWasm,
    /// A module of WASI 0.1 or without WASI.
    #[error(
        "it is a core module, not a component; build it for the target wasm32-wasip2, or wrap it with `wasm-tools \
         component new`"
    )]
    CoreModule,
    /// Damaged, or made for a newer format.
    #[error("it is not a well-formed component")]
    Malformed(#[source] wasmparser::BinaryReaderError),
    /// Over the bound.
    #[error("it has {found} octets; a component may have {limit}")]
    TooLarge {
        /// Octets of the file.
        found: usize,
        /// Octets allowed.
        limit: usize,
    },
}

impl Anatomy {
    /// Reads the outside of a component.
    pub fn of(octets: &[u8]) -> Result<Self, AnatomyError> {
        if octets.len() > MAX_COMPONENT_BYTES {
            return Err(AnatomyError::TooLarge { found: octets.len(), limit: MAX_COMPONENT_BYTES });
        }
        if !octets.starts_with(b"\0asm") {
            return Err(AnatomyError::NotWasm);
        }
        let mut anatomy = Self {
            imports: Vec::new(),
            exports: Vec::new(),
            producers: Vec::new(),
            size: octets.len(),
            sha256: Hash(Sha256::digest(octets).into()),
        };
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(octets) {
            #[allow(clippy::wildcard_enum_match_arm, reason = "an enum of the parser, which grows with the format")]
            match payload.map_err(AnatomyError::Malformed)? {
                Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                    return Err(AnatomyError::CoreModule);
                }
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        anatomy.imports.push(import.map_err(AnatomyError::Malformed)?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        anatomy.exports.push(export.map_err(AnatomyError::Malformed)?.name.name.to_owned());
                    }
                }
                Payload::CustomSection(section) => {
                    if let KnownCustom::Producers(producers) = section.as_known() {
                        anatomy.add_producers(producers);
                    }
                }
                // The remaining sections are the inside of the component.
                _ => {}
            }
        }
        Ok(anatomy)
    }

    /// The tools are hearsay: a section that can't be read is left out.
    fn add_producers(&mut self, producers: wasmparser::ProducersSectionReader<'_>) {
        for field in producers.into_iter().flatten() {
            for value in field.values.into_iter().flatten() {
                let line = format!("{}: {} {}", field.name, value.name, value.version);
                let line = line.trim_end().to_owned();
                if !self.producers.contains(&line) && self.producers.len() < MAX_PRODUCERS {
                    self.producers.push(line);
                }
            }
        }
    }
}

/// Octets of a component: a Python guest has 18 MB.
const MAX_COMPONENT_BYTES: usize = 256 << 20;
const MAX_PRODUCERS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_component() {
        assert!(matches!(Anatomy::of(b"#!/bin/sh"), Err(AnatomyError::NotWasm)));
        assert!(matches!(Anatomy::of(b"\0asm\x01\0\0\0"), Err(AnatomyError::CoreModule)));
        assert!(matches!(Anatomy::of(b"\0asm\x0d\0\x01\0\xff"), Err(AnatomyError::Malformed(_))));
        let empty = Anatomy::of(b"\0asm\x0d\0\x01\0").unwrap();
        assert!(empty.imports.is_empty() && empty.exports.is_empty());
        assert_eq!(empty.sha256.to_string().len(), 64);
    }
}
