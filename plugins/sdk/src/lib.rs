//! For authors of Postgate plugins in Rust.
//!
//! A plugin decides what a mail gateway does at the moments of the SMTP dialogue that it exports a [`hook`] for. What a
//! hook's arguments do not say it asks of the context ([`session`], [`transaction`], [`mail_data`], [`editor`]); what it wants to
//! do in the world it does through services ([`mod@log`], [`config`], [`passwords`], [`maildir`]), which the operator grants by name.
//! The contract itself is `wit/`, and says what each function means.
//!
//! ```
//! use postgate_sdk::{Mailbox, Parameter, Verdict, hook, reply};
//!
//! struct Policy;
//!
//! impl hook::Recipient for Policy {
//!     fn on_recipient(recipient: Mailbox, _parameters: Vec<Parameter>) -> Verdict {
//!         match (recipient.local_part.as_str(), recipient.domain.as_str()) {
//!             ("alice" | "postmaster", "example.org") => Verdict::Accept,
//!             (user, "example.org") => Verdict::Reject(reply!(550, "5.1.1", "there is no {user}")),
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
//! Its component exports the one hook and imports only what it calls. `postgate new` makes such a project.
//!
//! # Configuration
//!
//! The plugin's own table is read as a type; a mistake in it is told to the operator at its line, by the hook `setup`.
//!
//! ```
//! use postgate_sdk::config::{self, Configuration};
//! use postgate_sdk::hook::{Mail, SettingProblem, Setup};
//! use postgate_sdk::{Mailbox, Parameter, Verdict, export};
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields, rename_all = "kebab-case")]
//! struct Settings {
//!     refused_domains: Vec<String>,
//! }
//!
//! static SETTINGS: Configuration<Settings> = Configuration::new();
//!
//! struct Refuse;
//! export!(Refuse: setup, mail);
//!
//! impl Setup for Refuse {
//!     fn on_setup() -> Vec<SettingProblem> {
//!         config::problems::<Settings>()
//!     }
//! }
//!
//! impl Mail for Refuse {
//!     fn on_mail(reverse_path: Option<Mailbox>, _parameters: Vec<Parameter>) -> Verdict {
//!         Verdict::decide(|| {
//!             let settings = SETTINGS.load()?;
//!             let is_refused = reverse_path.is_some_and(|path| settings.refused_domains.contains(&path.domain));
//!             Ok(if is_refused { Verdict::reject(550, "5.7.1", "no mail from there") } else { Verdict::Next })
//!         })
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! # Tests
//!
//! A plugin is tested natively, by `cargo test`, with the host played by [`testing`]; and as the component that it becomes, by `postgate
//! test`.

#![deny(missing_docs)]

#[doc(hidden)]
pub mod bindings;
pub mod config;
pub mod hook;
pub mod log;
mod reply;
pub mod sqlite;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod unit;

pub use host::{
    dns, editor, fetch, key_value, mail_authentication, mail_data, maildir, metrics, parts, passwords, secrets,
    session, signing, submit, transaction,
};

/// What the host offers: in a component the generated imports, and natively those that a test plays.
#[cfg(any(target_arch = "wasm32", doc))]
mod host {
    pub use crate::bindings::imports::postgate::mail::*;
}
#[cfg(not(any(target_arch = "wasm32", doc)))]
use testing::host;

pub use bindings::imports::postgate::mail::types::{
    DirectoryEntry, EnhancedStatus, Mailbox, Parameter, Reply, ServiceError, Verdict,
};
