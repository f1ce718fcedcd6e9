//! What a listener tells its sessions.

use crate::domain::Domain;
use crate::extension::Extensions;
use crate::limits::Limits;
use crate::sasl::Mechanisms;

/// The settings of a listener's sessions, shared by all of them.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our name in the banner and in the replies to HELO and EHLO.
    pub hostname: Domain,
    /// The bounds.
    pub limits: Limits,
    /// The service extensions that are switched on.
    pub extensions: Extensions,
    /// Who may authenticate, and how.
    pub auth: AuthOffer,
}

impl Config {
    /// The default limits, all extensions, and no authentication.
    pub fn new(hostname: Domain) -> Config {
        Config { hostname, limits: Limits::default(), extensions: Extensions::all(), auth: AuthOffer::default() }
    }
}

/// What a listener offers of AUTH (RFC 4954). The default offers nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuthOffer {
    /// The mechanisms; none means that there is no AUTH.
    pub mechanisms: Mechanisms,
    /// Whether a client may authenticate while the connection is in clear.
    pub in_clear: bool,
    /// Whether a client must authenticate before it sends mail (RFC 4954 section 6: 530 5.7.0).
    pub required: bool,
}
