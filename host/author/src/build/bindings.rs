//! The bindings of the contract in a language: made by a generator, and completed by the layer of ours above them, for the hooks and
//! services of the author's world.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use wit_bindgen_core::{Files, WorldGenerator};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{InterfaceId, WorldKey};

use super::{BuildError, Information, write};
use crate::hooks::Hooks;
use crate::template::render;
use crate::world::World;

/// Files below [`FOLDER`].
pub(crate) struct Bindings {
    files: BTreeMap<String, Vec<u8>>,
    hooks: Hooks,
}

impl Bindings {
    /// What a generator makes of the world.
    pub(crate) fn generate(world: &World, mut generator: Box<dyn WorldGenerator>) -> Result<Self, BuildError> {
        let mut files = Files::default();
        let mut resolve = world.resolve.clone();
        let made = generator.generate(&mut resolve, world.id, &mut files);
        made.map_err(|error| BuildError::Bindings(format!("{error:#}")))?;
        let files = files.iter().map(|(path, octets)| (path.to_owned(), octets.to_vec())).collect();
        let hooks = Hooks::parse(&world.hooks.join(",")).expect("invariant: a world has known hooks, and one at least");
        Ok(Self { files, hooks })
    }

    /// Adds a file of ours.
    pub(crate) fn add(&mut self, path: &str, text: impl Into<Vec<u8>>) {
        self.files.insert(path.to_owned(), text.into());
    }

    /// Adds a template of ours, with the sections of the world's hooks.
    pub(crate) fn render(&mut self, path: &str, template: &str, words: &[(&str, &str)]) {
        let text = render(template, &self.hooks, words);
        self.add(path, text.unwrap_or_else(|error| panic!("invariant: the tests have rendered {path}: {error}")));
    }

    /// Changes the generated files that `choose` takes.
    pub(crate) fn amend(
        &mut self,
        choose: impl Fn(&str) -> bool,
        amend: impl Fn(&str) -> Result<String, BuildError>,
    ) -> Result<(), BuildError> {
        for (_, octets) in self.files.iter_mut().filter(|(path, _)| choose(path)) {
            *octets = amend(&String::from_utf8_lossy(octets))?.into_bytes();
        }
        Ok(())
    }

    /// Writes them into the folder of the project, and removes what is there besides.
    pub(crate) fn write(&self, project: &Path) -> Result<(), BuildError> {
        let folder = project.join(FOLDER);
        // What else is in it is removed: a link may lead to what is no bindings.
        if folder.is_symlink() {
            let error =
                io::Error::new(io::ErrorKind::NotADirectory, "it is a link, and its contents would be replaced");
            return Err(BuildError::File { path: folder, what: "written", error });
        }
        // First, so that nothing is written through a link either.
        if folder.is_dir() {
            self.remove_others(&folder, "")?;
        }
        self.files.iter().try_for_each(|(path, octets)| write(&folder.join(path), octets))
    }

    fn remove_others(&self, folder: &Path, prefix: &str) -> Result<(), BuildError> {
        let failed = |path: &Path, what, error| BuildError::File { path: path.to_owned(), what, error };
        for entry in fs::read_dir(folder).map_err(|error| failed(folder, "read", error))? {
            let entry = entry.map_err(|error| failed(folder, "read", error))?;
            let path = entry.path();
            // A link is removed, and not what it leads to.
            let kind = entry.file_type().map_err(|error| failed(&path, "read", error))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let relative = format!("{prefix}{name}");
            let inner = format!("{relative}/");
            let removed = if kind.is_file() && self.files.contains_key(&relative) {
                Ok(())
            } else if !kind.is_dir() {
                fs::remove_file(&path)
            } else if self.files.keys().any(|known| known.starts_with(&inner)) {
                self.remove_others(&path, &inner)?;
                Ok(())
            } else {
                fs::remove_dir_all(&path)
            };
            removed.map_err(|error| failed(&path, "removed", error))?;
        }
        Ok(())
    }
}

/// The interfaces of the contract that the world has, with their names.
pub(crate) fn interfaces(world: &World) -> BTreeMap<String, InterfaceId> {
    let Some(found) = world.resolve.worlds.get(world.id) else { return BTreeMap::new() };
    let keys = found.imports.keys().chain(found.exports.keys());
    let ids = keys.filter_map(|key| if let WorldKey::Interface(id) = key { Some(*id) } else { None });
    let named = ids.filter_map(|id| {
        let interface = world.resolve.interfaces.get(id)?;
        let package = &world.resolve.packages.get(interface.package?)?.name;
        let is_ours = package.namespace == "postgate" && package.name == "mail";
        is_ours.then_some((interface.name.clone()?, id))
    });
    named.collect()
}

/// A component of a core module: of one that says which world it is of, or of this one.
pub(crate) fn component(mut module: Vec<u8>, world: Option<&World>) -> Result<Vec<u8>, BuildError> {
    use wasi_preview1_component_adapter_provider as adapter;
    if let Some(world) = world {
        embed_component_metadata(&mut module, &world.resolve, world.id, StringEncoding::UTF8).map_err(no_component)?;
    }
    let (name, octets) =
        (adapter::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER);
    let mut encoder = ComponentEncoder::default();
    let encoder = encoder.validate(true).module(&module).map_err(no_component)?;
    encoder.adapter(name, octets).map_err(no_component)?.encode().map_err(no_component)
}

fn no_component(error: impl Display) -> BuildError {
    BuildError::Component(format!("{error:#}"))
}

/// The core module with as much of its debug information as is wanted.
pub(crate) fn kept(module: Vec<u8>, information: Information) -> Result<Vec<u8>, BuildError> {
    match information {
        Information::Names => without_debug_information(&module),
        Information::Lines => Ok(module),
    }
}

/// Takes the debug information out of a core module, most of which is that of the C library, and leaves the names of functions, so that
/// a trap can be read.
fn without_debug_information(module: &[u8]) -> Result<Vec<u8>, BuildError> {
    strip(module).ok_or_else(|| BuildError::Component("it is no WebAssembly module".to_owned()))
}

fn strip(module: &[u8]) -> Option<Vec<u8>> {
    let (header, mut rest) = module.split_at_checked(HEADER_OCTETS)?;
    let mut result = header.to_vec();
    while let Some((id, behind)) = rest.split_first() {
        let (size, content) = leb128(behind)?;
        let (content, behind) = content.split_at_checked(size)?;
        let (section, _) = rest.split_at_checked(rest.len().checked_sub(behind.len())?)?;
        let name = if *id == CUSTOM { custom_name(content)? } else { b"" };
        if !name.starts_with(b".debug_") {
            result.extend_from_slice(section);
        }
        rest = behind;
    }
    Some(result)
}

fn custom_name(content: &[u8]) -> Option<&[u8]> {
    let (length, behind) = leb128(content)?;
    behind.get(..length)
}

/// A number of at most 32 bits, and what is behind it.
fn leb128(octets: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0_u64;
    for (octet, place) in octets.iter().zip(0..5_u32) {
        number |= u64::from(octet & 0x7f) << (7 * place);
        if octet & 0x80 == 0 {
            let behind = octets.get(place as usize + 1..)?;
            return Some((usize::try_from(number).ok()?, behind));
        }
    }
    None
}

/// Where bindings go, in the folder of the project; `.gitignore` names it too.
pub(crate) const FOLDER: &str = "bindings";
const HEADER_OCTETS: usize = 8;
/// The id of a custom section.
const CUSTOM: u8 = 0;

/// A path below the folder of bindings.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hooks::HOOKS;

    #[test]
    fn the_layers_above_the_bindings_can_be_rendered() {
        let templates = [
            include_str!("../../templates/c/postgate.h"),
            include_str!("../../templates/c/log.h"),
            include_str!("../../templates/c/config.h"),
            include_str!("../../templates/cpp/postgate.hpp"),
            include_str!("../../templates/cpp/log.hpp"),
            include_str!("../../templates/cpp/config.hpp"),
            include_str!("../../templates/zig/postgate.zig"),
            include_str!("../../templates/zig/hooks.zig"),
            include_str!("../../templates/go/postgate.go"),
            include_str!("../../templates/go/log.go"),
            include_str!("../../templates/go/config.go"),
        ];
        for template in templates {
            for hooks in HOOKS.into_iter().chain(["all"]) {
                let text = render(template, &Hooks::parse(hooks).unwrap(), &[("NAME", "spam-check")]);
                assert!(text.is_ok_and(|text| !text.contains("@hook")), "{hooks}: {template}");
            }
        }
    }

    #[test]
    fn links_are_not_followed() {
        let scratch = tempfile::tempdir().unwrap();
        let (project, other) = (scratch.path().join("project"), scratch.path().join("other"));
        fs::create_dir_all(project.join(FOLDER)).unwrap();
        fs::create_dir(&other).unwrap();
        fs::write(other.join("letter.txt"), "dear").unwrap();
        let files = BTreeMap::from([("a/b.h".to_owned(), b"x".to_vec())]);
        let bindings = Bindings { files, hooks: Hooks::parse("recipient").unwrap() };
        let is_there =
            || fs::read_dir(&other).unwrap().count() == 1 && fs::read(other.join("letter.txt")).unwrap() == b"dear";
        for (link, to) in [("old", &other), ("a", &other), ("a/b.h", &other.join("letter.txt"))] {
            let place = project.join(FOLDER).join(link);
            if link == "a/b.h" {
                fs::remove_file(&place).unwrap();
            } else if link == "a" {
                fs::remove_dir_all(&place).unwrap();
            }
            std::os::unix::fs::symlink(to, &place).unwrap();
            bindings.write(&project).unwrap();
            assert!(is_there() && !place.is_symlink(), "{link}");
            assert_eq!(fs::read(project.join(FOLDER).join("a/b.h")).unwrap(), b"x");
        }
        fs::remove_dir_all(project.join(FOLDER)).unwrap();
        std::os::unix::fs::symlink(&other, project.join(FOLDER)).unwrap();
        assert!(matches!(bindings.write(&project), Err(BuildError::File { what: "written", .. })));
        assert!(is_there());
    }

    #[test]
    fn debug_information_is_left_out() {
        let section = |name: &str| {
            let mut content = vec![u8::try_from(name.len()).unwrap()];
            content.extend_from_slice(name.as_bytes());
            content.extend_from_slice(&[7; 200]);
            let size = content.len();
            let mut section = vec![0, u8::try_from(size & 0x7f).unwrap() | 0x80, u8::try_from(size >> 7).unwrap()];
            section.extend_from_slice(&content);
            section
        };
        let types = vec![1, 1, 0];
        let module = [
            b"\0asm\x01\0\0\0".to_vec(),
            section(".debug_info"),
            types.clone(),
            section("name"),
            section(".debug_str"),
        ];
        let expected = [b"\0asm\x01\0\0\0".to_vec(), types, section("name")];
        assert_eq!(strip(&module.concat()), Some(expected.concat()));
        for cut in [3, 9, 12, 50] {
            assert_eq!(strip(module.concat().get(..cut).unwrap()), None, "{cut}");
        }
    }
}
