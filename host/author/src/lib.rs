//! For authors of plugins: a new project in the language of their choice ([`new`]), and its way to a component ([`build`]).
//!
//! The contract and all templates are inside the binary, and so are the makers of bindings and components, so that an author needs
//! nothing but a compiler. Nothing here knows SMTP or runs a component.

#![deny(missing_docs)]

pub mod build;
mod contract;
mod hooks;
mod language;
pub mod new;
mod project;
mod template;
mod tool;
mod typescript;
mod world;

pub use hooks::{HOOKS, Hooks, UnknownHook};
pub use language::{LANGUAGES, Language, UnknownLanguage};
pub use project::{Project, ProjectError};
pub use tool::Missing;
pub use world::WorldError;

/// The plugin in the README of the repository compiles too.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
