//! Host services: what a plugin can do beyond answering. One interface, one file, one row of the table below.
//!
//! A service that was not granted is not there: a component that imports it is refused when it is loaded.

mod config;
mod log;
pub mod maildir;
pub(crate) mod passwords;

use std::path::PathBuf;

/// What the operator has granted to one plugin. By default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// `log`: lines in the gateway's log.
    pub log: bool,
    /// `config`: the plugin's own table of the configuration.
    pub config: bool,
    /// `passwords`: native verification of password hashes.
    pub passwords: bool,
    /// `maildir`: delivery into Maildirs below this directory.
    pub maildir: Option<PathBuf>,
}

/// One row of the table of services.
#[derive(Debug)]
pub struct Service {
    /// The name of the grant, in the configuration.
    pub name: &'static str,
    /// The WIT interface, without its version.
    pub interface: &'static str,
    /// What it allows, in a few words.
    pub summary: &'static str,
    /// The grant as it would be written in the configuration.
    pub example: &'static str,
    granted: fn(&Grants) -> bool,
}

impl Service {
    /// Whether it is among the grants.
    pub fn is_granted(&self, grants: &Grants) -> bool {
        (self.granted)(grants)
    }
}

/// All services.
pub const SERVICES: &[Service] = &[
    Service {
        name: "log",
        interface: "postgate:mail/log",
        summary: "write lines into the gateway's log",
        example: "\"log\"",
        granted: |grants| grants.log,
    },
    Service {
        name: "config",
        interface: "postgate:mail/config",
        summary: "read the plugin's own table of the configuration",
        example: "\"config\"",
        granted: |grants| grants.config,
    },
    Service {
        name: "passwords",
        interface: "postgate:mail/passwords",
        summary: "have password hashes verified natively",
        example: "\"passwords\"",
        granted: |grants| grants.passwords,
    },
    Service {
        name: "maildir",
        interface: "postgate:mail/maildir",
        summary: "deliver into Maildirs below one directory",
        example: "{ maildir = \"mail\" }",
        granted: |grants| grants.maildir.is_some(),
    },
];
