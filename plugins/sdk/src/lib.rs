//! For authors of Postgate plugins in Rust.
//!
//! A plugin decides what a mail gateway does at the moments of the SMTP dialogue that it exports a [`hook`] for. What a
//! hook's arguments do not say it asks of the context ([`session`], [`transaction`], [`mail_data`], [`editor`]); what it wants to
//! do in the world it does through services ([`log`], [`config`], [`passwords`], [`maildir`]), which the operator grants by name.
//! The contract itself is `wit/`, and says what each function means.
//!
//! ```
//! use postgate_sdk::{Mailbox, Parameter, Reply, Verdict, hook};
//!
//! struct Policy;
//!
//! impl hook::Recipient for Policy {
//!     fn on_recipient(recipient: Mailbox, _parameters: Vec<Parameter>) -> Verdict {
//!         match (recipient.local_part.as_str(), recipient.domain.as_str()) {
//!             ("alice" | "postmaster", "example.org") => Verdict::Accept,
//!             (_, "example.org") => Verdict::Reject(Reply::new(550, "5.1.1", "no such user")),
//!             _ => Verdict::Next,
//!         }
//!     }
//! }
//!
//! postgate_sdk::export!(Policy: recipient);
//! # fn main() {}
//! ```
//!
//! That is a whole plugin: a library of `crate-type = ["cdylib"]`, built with `cargo build --target wasm32-wasip2 --release`.
//! Its component exports the one hook and imports only what it calls.

#![deny(missing_docs)]

#[doc(hidden)]
pub mod bindings;
pub mod config;
pub mod hook;
pub mod log;
mod reply;
pub mod sqlite;
pub mod unit;

pub use bindings::imports::postgate::mail::dns;
pub use bindings::imports::postgate::mail::editor;
pub use bindings::imports::postgate::mail::fetch;
pub use bindings::imports::postgate::mail::key_value;
pub use bindings::imports::postgate::mail::mail_authentication;
pub use bindings::imports::postgate::mail::mail_data;
pub use bindings::imports::postgate::mail::maildir;
pub use bindings::imports::postgate::mail::metrics;
pub use bindings::imports::postgate::mail::parts;
pub use bindings::imports::postgate::mail::passwords;
pub use bindings::imports::postgate::mail::secrets;
pub use bindings::imports::postgate::mail::session;
pub use bindings::imports::postgate::mail::signing;
pub use bindings::imports::postgate::mail::submit;
pub use bindings::imports::postgate::mail::transaction;
pub use bindings::imports::postgate::mail::types::{
    DirectoryEntry, EnhancedStatus, Mailbox, Parameter, Reply, ServiceError, Verdict,
};

/// The plugin in the README of the repository compiles too.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
