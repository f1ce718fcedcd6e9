//! `postgate build`: from the folder of a project to a component, by the toolchain of its language.
//!
//! Each toolchain has a file below `build/`, with the templates of its language (`FILES`) and one function that makes the component.

pub(crate) mod bindings;
pub(crate) mod c;
pub(crate) mod clang;
pub(crate) mod cpp;
pub(crate) mod go;
pub(crate) mod javascript;
mod producers;
pub(crate) mod python;
pub(crate) mod rust;
pub(crate) mod zig;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::project::{Project, ProjectError};
use crate::tool::Missing;
use crate::world::{self, World, WorldError};

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// `plugin.toml`.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// `wit/`.
    #[error(transparent)]
    World(#[from] WorldError),
    /// A program that has to be installed.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The toolchain has said what is wrong.
    #[error("{command}: {status}")]
    Failed {
        /// As one would type it.
        command: String,
        /// How it ended.
        status: String,
    },
    /// The toolchain can't be started.
    #[error("{command} can't be run: {error}")]
    Run {
        /// As one would type it.
        command: String,
        /// Why.
        error: io::Error,
    },
    /// A file of the project's.
    #[error("{} can't be {what}: {error}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// `read`, `written`.
        what: &'static str,
        /// Why.
        error: io::Error,
    },
    /// The generator can't cope with the world.
    #[error("there are no bindings for the world in wit/world.wit: {0}")]
    Bindings(String),
    /// The compiler has made something that does not become a component.
    #[error("what the compiler made does not become a component: {0}")]
    Component(String),
}

/// A component that was made.
#[derive(Debug)]
pub struct Built {
    /// The project's name.
    pub name: String,
    /// Its file.
    pub component: PathBuf,
}

/// What a component keeps besides its code, so that a trap can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Information {
    /// The names of functions.
    #[default]
    Names,
    /// Those, and source files with their lines, in the languages that don't always have them. For the author: such a component is larger.
    Lines,
}

/// One run of `build`.
pub(crate) struct Job<'a> {
    pub(crate) project: &'a Project,
    pub(crate) information: Information,
    /// The author's world, where the language has one.
    pub(crate) world: Option<World>,
    tell: &'a mut dyn FnMut(&str),
}

impl Job<'_> {
    /// A line for the author.
    pub(crate) fn tell(&mut self, line: &str) {
        (self.tell)(line);
    }

    /// The folder for what is made on the way, `build`, made if it is not there.
    pub(crate) fn scratch(&self) -> Result<PathBuf, BuildError> {
        let folder = self.project.folder.join(SCRATCH);
        fs::create_dir_all(&folder).map_err(|error| BuildError::File { path: folder.clone(), what: "made", error })?;
        Ok(folder)
    }

    /// The world; the table of languages says which have one.
    pub(crate) fn world(&self) -> &World {
        self.world.as_ref().expect("invariant: the language has a world")
    }
}

/// Builds the project in this folder, and leaves `NAME.wasm` in it. Each command is told before it is run.
///
/// # Errors
///
/// What is missing or wrong. The old component then stays as it was.
pub fn build(folder: &Path, information: Information, tell: &mut dyn FnMut(&str)) -> Result<Built, BuildError> {
    let project = Project::read(folder)?;
    let world = if project.language.has_world { Some(world::read(&project.folder.join("wit"))?) } else { None };
    let mut job = Job { project: &project, information, world, tell };
    let octets = producers::add((project.language.build)(&mut job)?, project.language.title);
    let component = project.folder.join(format!("{}.wasm", project.name));
    let partial = component.with_extension("wasm.partial");
    let written = fs::write(&partial, octets).and_then(|()| fs::rename(&partial, &component));
    written.map_err(|error| BuildError::File { path: component.clone(), what: "written", error })?;
    Ok(Built { name: project.name, component })
}

/// Reads a file that a toolchain has made.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    fs::read(path).map_err(|error| BuildError::File { path: path.to_owned(), what: "read", error })
}

/// Writes a file, and its folder, where it differs from what is there: time stamps are what compilers go by.
pub(crate) fn write(path: &Path, octets: &[u8]) -> Result<(), BuildError> {
    if fs::read(path).is_ok_and(|before| before == octets) {
        return Ok(());
    }
    let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
    let written = folder.and_then(|()| fs::write(path, octets));
    written.map_err(|error| BuildError::File { path: path.to_owned(), what: "written", error })
}

/// What is made on the way, below the project's folder.
pub(crate) const SCRATCH: &str = "build";
