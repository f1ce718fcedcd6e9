//! What can be said of a component by the names of its imports and exports: which hooks it has, and what it must be granted.

use std::path::Path;

use super::refusal::{LoadError, WithoutHook};
use crate::anatomy::Anatomy;
use crate::hook::{CONTRACT_VERSION, Hook, HookSet};
use crate::incoming;
use crate::service::{SERVICES, Service, ServiceId};
use crate::setup;

/// Reads the outside of the component in a file.
pub fn anatomy(path: &Path) -> Result<Anatomy, LoadError> {
    Anatomy::read(path).map(|(_, anatomy)| anatomy)
}

/// The hooks that a component exports. Other exports are none of our business: language runtimes add some of their own.
pub fn hooks(anatomy: &Anatomy) -> Result<HookSet, LoadError> {
    let mut found = HookSet::default();
    let ours = |export: &&String| export.starts_with(CONTRACT_PREFIX) && !is_same_interface(export, setup::INTERFACE);
    for export in anatomy.exports.iter().filter(ours) {
        let hook = Hook::ALL.into_iter().find(|hook| is_same_interface(export, hook.interface()));
        found.insert(hook.ok_or_else(|| LoadError::UnknownHook { export: export.clone(), known: known(export) })?);
    }
    let answers_http = anatomy.exports.iter().any(|export| is_same_interface(export, incoming::INTERFACE));
    if found.is_empty() && !answers_http { Err(LoadError::NoHooks(without_hook(anatomy))) } else { Ok(found) }
}

/// What there is in place of a hook.
fn without_hook(anatomy: &Anatomy) -> WithoutHook {
    let exports = || anatomy.exports.iter();
    if exports().any(|export| is_same_interface(export, setup::INTERFACE)) {
        return WithoutHook::Setup;
    }
    if exports().any(|export| export.starts_with("wasi:cli/run@")) {
        return WithoutHook::Program;
    }
    // An interface says more than a function that a language's runtime has added.
    let named = exports().find(|export| export.contains('/')).or(anatomy.exports.first());
    named.map_or(WithoutHook::Nothing, |export| WithoutHook::Other(export.escape_debug().to_string()))
}

/// Where an import comes from.
pub enum Source {
    /// The context of the call, or plain types: free.
    Context,
    /// WASI without any power: free.
    Wasi,
    /// A host service: to be granted.
    Service(&'static Service),
}

/// Where the import of that name comes from; an error if from nowhere.
pub fn source(import: &str) -> Result<Source, LoadError> {
    let name = import.split('@').next().unwrap_or(import);
    let unknown = || LoadError::UnknownImport { import: import.to_owned() };
    if is_same_interface(import, WASI_HTTP_TYPES) {
        return Ok(Source::Wasi);
    }
    if is_same_interface(import, WASI_HTTP) {
        return SERVICES.iter().find(|service| service.id == ServiceId::Http).map(Source::Service).ok_or_else(unknown);
    }
    if WASI_PACKAGES.iter().any(|package| name.starts_with(package))
        && is_same_interface(import, &format!("{name}@{WASI_VERSION}"))
    {
        return Ok(Source::Wasi);
    }
    if WASI_KEY_VALUE.contains(&import) {
        return SERVICES
            .iter()
            .find(|service| service.id == ServiceId::KeyValue)
            .map(Source::Service)
            .ok_or_else(unknown);
    }
    if !is_same_interface(import, &format!("{name}@{CONTRACT_VERSION}")) {
        return Err(unknown());
    }
    if CONTEXT.contains(&name) {
        return Ok(Source::Context);
    }
    SERVICES.iter().find(|service| service.interface == name).map(Source::Service).ok_or_else(unknown)
}

/// Before 1.0, versions go together when they differ in the last number only.
fn is_same_interface(name: &str, ours: &str) -> bool {
    let track = |name: &str| {
        let (interface, version) = name.split_once('@')?;
        let (track, _) = version.rsplit_once('.')?;
        Some((interface.to_owned(), track.to_owned()))
    };
    track(name).is_some() && track(name) == track(ours)
}

/// What would have been understood in place of an export.
fn known(export: &str) -> String {
    let interface = export.split('@').next().unwrap_or(export);
    let names = Hook::ALL.map(Hook::interface).into_iter().chain([setup::INTERFACE]);
    match names.clone().find(|name| name.split('@').next() == Some(interface)) {
        Some(name) => name.to_owned(),
        None => Hook::ALL.map(Hook::name).join(", "),
    }
}

const CONTRACT_PREFIX: &str = "postgate:mail/";

/// The interfaces of the contract that are free to import.
const CONTEXT: &[&str] = &[
    "postgate:mail/types",
    "postgate:mail/session",
    "postgate:mail/transaction",
    "postgate:mail/mail-data",
    "postgate:mail/parts",
    "postgate:mail/editor",
];

/// The standard interfaces that the grant of `key-value` allows as well.
const WASI_KEY_VALUE: &[&str] =
    &["wasi:keyvalue/store@0.2.0-draft", "wasi:keyvalue/atomics@0.2.0-draft", "wasi:keyvalue/batch@0.2.0-draft"];

/// The WASI packages that guests are linked to. Nothing can be opened with them: no directory is preopened, creating a
/// socket or looking up a name is denied, the environment is empty.
const WASI_PACKAGES: &[&str] =
    &["wasi:io/", "wasi:clocks/", "wasi:random/", "wasi:cli/", "wasi:filesystem/", "wasi:sockets/"];
/// Their version, as far as it has to be the same.
const WASI_VERSION: &str = "0.2.0";

/// Outgoing HTTP of the standard: the grant `http`, like our own interface.
const WASI_HTTP: &str = "wasi:http/outgoing-handler@0.2.0";
/// Its types, without any power.
const WASI_HTTP_TYPES: &str = "wasi:http/types@0.2.0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_one_track_go_together() {
        for (name, same) in [
            ("postgate:mail/log@0.1.0", true),
            ("postgate:mail/log@0.1.9", true),
            ("postgate:mail/log@0.2.0", false),
            ("postgate:mail/log@1.1.0", false),
            ("postgate:mail/log", false),
            ("postgate:mail/blog@0.1.0", false),
        ] {
            assert_eq!(is_same_interface(name, "postgate:mail/log@0.1.0"), same, "{name}");
        }
    }

    #[test]
    fn imports_have_a_source_or_are_refused() {
        assert!(matches!(source("postgate:mail/session@0.1.0"), Ok(Source::Context)));
        assert!(matches!(source("wasi:io/streams@0.2.6"), Ok(Source::Wasi)));
        assert!(
            matches!(source("postgate:mail/maildir@0.1.0"), Ok(Source::Service(service)) if service.name == "maildir")
        );
        assert!(matches!(source("wasi:http/types@0.2.6"), Ok(Source::Wasi)));
        assert!(
            matches!(source("wasi:http/outgoing-handler@0.2.6"), Ok(Source::Service(service)) if service.name == "http")
        );
        for unknown in [
            "wasi:http/outgoing-handler@0.3.0",
            "wasi:io/streams@0.3.0",
            "postgate:mail/log@0.2.0",
            "env",
            "postgate:mail/nothing@0.1.0",
        ] {
            assert!(matches!(source(unknown), Err(LoadError::UnknownImport { .. })), "{unknown}");
        }
    }
}
