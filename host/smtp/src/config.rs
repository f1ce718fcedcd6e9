//! What a listener tells its sessions.

use crate::domain::Domain;
use crate::extension::Extensions;
use crate::limits::Limits;
use crate::sasl::Mechanisms;
use crate::sasl::scram::ScramDecoy;
use crate::tls::TlsOffer;

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
    /// What is spoken.
    pub protocol: Protocol,
    /// What extensions that promise something promise.
    pub promises: Promises,
    /// What is done about TLS.
    pub tls: TlsOffer,
    /// What is done about recipients who may fare differently.
    pub mixed_outcomes: MixedOutcomes,
}

impl Config {
    /// SMTP with the default limits and extensions, no authentication and no TLS.
    pub fn new(hostname: Domain) -> Config {
        Config {
            hostname,
            limits: Limits::default(),
            extensions: Extensions::default(),
            auth: AuthOffer::default(),
            protocol: Protocol::Smtp,
            promises: Promises::default(),
            tls: TlsOffer::default(),
            mixed_outcomes: MixedOutcomes::default(),
        }
    }
}

/// What is spoken on a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 5321.
    #[default]
    Smtp,
    /// RFC 2033: LHLO, and a reply for each accepted recipient behind the mail data.
    Lmtp,
}

/// SMTP has one reply to mail data, whatever becomes of the message for each recipient. LMTP has one for each, and nothing to choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MixedOutcomes {
    /// The caller's one reply is about all recipients.
    #[default]
    Worst,
    /// A transaction has one recipient, whom the reply is about. Further ones hear 452 4.5.3, and have transactions of their own.
    OneRecipient,
}

/// What a listener offers of AUTH (RFC 4954). The default offers nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuthOffer {
    /// The mechanisms; none means that there is no AUTH.
    pub mechanisms: Mechanisms,
    /// What SCRAM asks of users whom nobody knows. Without it there is no SCRAM.
    pub scram: Option<ScramDecoy>,
    /// Whether a client may authenticate while the connection is in clear.
    pub in_clear: bool,
    /// Whether a client must authenticate before it sends mail (RFC 4954 section 6: 530 5.7.0).
    pub required: bool,
}

/// How far the promises of DELIVERBY and FUTURERELEASE go. The session has no clock: what depends on the time of day it checks where the
/// caller tells it ([`Session::set_date`](crate::Session::set_date)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promises {
    /// The least time in seconds to deliver a message or return it (RFC 2852 section 4). 0 announces none.
    pub deliver_by_min_s: u32,
    /// How many seconds a message is held at most (RFC 4865 section 3).
    pub hold_max_s: u32,
    /// Until when a message is held at most, in seconds since 1970 (RFC 4865 section 3).
    pub hold_until_max: u64,
}

impl Default for Promises {
    /// No least time; a message is held for 30 days, and not beyond the year 2099.
    fn default() -> Promises {
        Promises { deliver_by_min_s: 0, hold_max_s: 30 * 86_400, hold_until_max: 4_102_444_800 }
    }
}

impl Promises {
    /// Until when a message is held at most, where the time is known: both bounds hold.
    pub(crate) fn hold_until(&self, date: Option<u64>) -> u64 {
        let held = date.map_or(u64::MAX, |date| date.saturating_add(self.hold_max_s.into()));
        held.min(self.hold_until_max)
    }
}
