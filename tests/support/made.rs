//! Components that are made in the test: of a world in WIT, and of a module in WebAssembly's text format or one that does nothing.

use std::fs;
use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, PackageId, Resolve, WorldId};

use super::root;

/// A world, with the packages that it speaks of.
pub(crate) struct World {
    resolve: Resolve,
    id: WorldId,
}

/// The contract, each file of it changed by `edit`.
pub(crate) fn contract(resolve: &mut Resolve, edit: impl Fn(String) -> String) -> PackageId {
    let folder = tempfile::tempdir().expect("a scratch directory");
    for entry in fs::read_dir(root().join("wit")).expect("the contract") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "wit") {
            let text = edit(fs::read_to_string(&path).expect("a text"));
            fs::write(folder.path().join(path.file_name().expect("a name")), text).expect("a file");
        }
    }
    resolve.push_dir(folder.path()).expect("a package").0
}

impl World {
    /// The world `plugin` with these lines in it, beside the contract as it is.
    pub(crate) fn new(lines: &str) -> Self {
        Self::beside(lines, &[], |text| text)
    }

    /// The world `plugin` with these lines in it, beside further packages and the contract as it was edited.
    pub(crate) fn beside(lines: &str, packages: &[&str], edit: impl Fn(String) -> String) -> Self {
        let mut resolve = Resolve::default();
        contract(&mut resolve, edit);
        for (n, package) in packages.iter().enumerate() {
            resolve.push_str(Path::new(&format!("{n}.wit")), package).expect("a package");
        }
        Self::of(resolve, lines)
    }

    /// With these packages, and no contract.
    pub(crate) fn without_contract(lines: &str, packages: &[&str]) -> Self {
        let mut resolve = Resolve::default();
        for (n, package) in packages.iter().enumerate() {
            resolve.push_str(Path::new(&format!("{n}.wit")), package).expect("a package");
        }
        Self::of(resolve, lines)
    }

    fn of(mut resolve: Resolve, lines: &str) -> Self {
        let text = format!("package test:plugin;\nworld plugin {{\n{lines}\n}}\n");
        let package = resolve.push_str(Path::new("world.wit"), &text).expect("a world");
        let id = resolve.select_world(&[package], Some("plugin")).expect("a world");
        Self { resolve, id }
    }

    /// A core module that has all functions, and the world in it.
    pub(crate) fn module(&self, abi: LiftLowerAbi) -> Vec<u8> {
        let mut module = dummy_module(&self.resolve, self.id, ManglingAndAbi::Legacy(abi));
        embed_component_metadata(&mut module, &self.resolve, self.id, StringEncoding::UTF8).expect("a module");
        module
    }

    /// A component whose functions do nothing.
    pub(crate) fn component(&self) -> Vec<u8> {
        encoded(&self.module(LiftLowerAbi::Sync))
    }

    /// The same, with functions that are asynchronous.
    pub(crate) fn asynchronous(&self) -> Vec<u8> {
        encoded(&self.module(LiftLowerAbi::AsyncCallback))
    }

    /// A component of this module.
    pub(crate) fn component_of(&self, module: &str) -> Vec<u8> {
        let mut module = wat::parse_str(module).expect("a module");
        embed_component_metadata(&mut module, &self.resolve, self.id, StringEncoding::UTF8).expect("a module");
        encoded(&module)
    }
}

fn encoded(module: &[u8]) -> Vec<u8> {
    let mut encoder = ComponentEncoder::default();
    let made = encoder.validate(true).module(module).and_then(ComponentEncoder::encode);
    made.unwrap_or_else(|error| panic!("{error:#}"))
}
