//! The table of service extensions (RFC 5321 section 2.2): one row for each, with its EHLO line and its parameters.

use crate::config::{Config, MixedOutcomes};
use crate::forward;
use crate::parameter::{self, Of, delivery, dsn};
use crate::sasl::Mechanisms;

/// A service extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extension {
    /// RFC 2920.
    Pipelining,
    /// RFC 1870.
    Size,
    /// RFC 6152.
    EightBitMime,
    /// RFC 2034. Switched off, no reply has an enhanced code.
    EnhancedStatusCodes,
    /// RFC 3030: BDAT.
    Chunking,
    /// RFC 3030: the body type BINARYMIME. Needs CHUNKING and 8BITMIME.
    BinaryMime,
    /// RFC 6531. Needs 8BITMIME.
    SmtpUtf8,
    /// RFC 3461: delivery status notifications.
    Dsn,
    /// RFC 2852. There is more to it in [`Promises`](crate::Promises).
    DeliverBy,
    /// RFC 4865. There is more to it in [`Promises`](crate::Promises).
    FutureRelease,
    /// RFC 6710.
    MtPriority,
    /// RFC 9422: tells [`Limits`](crate::Limits).
    Limits,
    /// RFC 8689. Offered below TLS only.
    RequireTls,
    /// RFC 3207. There is more to it in [`TlsOffer`](crate::TlsOffer); announced in clear only.
    StartTls,
    /// RFC 4954. There is more to it in [`AuthOffer`](crate::AuthOffer).
    Auth,
    /// RFC 5321 section 3.5: VRFY.
    Verify,
    /// RFC 5321 section 3.5: EXPN. To be switched off where nobody answers it: whoever announces it has to have it.
    Expand,
    /// RFC 5321 section 4.1.1.8.
    Help,
    /// What Postfix has, for a [trusted](crate::Session::trust_peer) peer.
    XClient,
    /// What Postfix has, for a [trusted](crate::Session::trust_peer) peer.
    XForward,
}

impl Extension {
    /// All of them, in the order of the EHLO reply.
    pub fn all() -> impl Iterator<Item = Extension> {
        ROWS.iter().map(|row| row.extension)
    }

    /// Its EHLO keyword.
    pub fn keyword(self) -> &'static str {
        ROWS.iter().find(|row| row.extension == self).map_or("", |row| row.keyword)
    }

    /// The extension of that EHLO keyword, in any case of letters.
    pub fn from_keyword(keyword: &str) -> Option<Extension> {
        ROWS.iter().find(|row| row.keyword.eq_ignore_ascii_case(keyword)).map(|row| row.extension)
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A set of service extensions: those that are switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extensions(u32);

impl Extensions {
    /// None.
    pub const fn none() -> Extensions {
        Extensions(0)
    }

    /// All that there are.
    pub fn all() -> Extensions {
        Extension::all().fold(Extensions::none(), Extensions::with)
    }

    /// The set with this one.
    #[must_use]
    pub const fn with(self, extension: Extension) -> Extensions {
        Extensions(self.0 | extension.bit())
    }

    /// The set without this one.
    #[must_use]
    pub const fn without(self, extension: Extension) -> Extensions {
        Extensions(self.0 & !extension.bit())
    }

    /// Whether it is in the set.
    pub const fn contains(self, extension: Extension) -> bool {
        self.0 & extension.bit() != 0
    }
}

impl Default for Extensions {
    /// All but those that promise what only a spool can keep: to notify, to deliver in time or later, and to relay by TLS alone.
    fn default() -> Extensions {
        let promises = [Extension::Dsn, Extension::DeliverBy, Extension::FutureRelease, Extension::RequireTls];
        promises.into_iter().fold(Extensions::all(), Extensions::without)
    }
}

/// Whether an EHLO keyword, in any case of letters, is the business of this crate: an extension that it has, or one that changes how
/// the protocol is spoken, which nobody but it could keep.
pub fn is_reserved_keyword(keyword: &str) -> bool {
    Extension::from_keyword(keyword).is_some() || keyword.eq_ignore_ascii_case("BURL")
}

/// What EHLO lines are made of.
pub(crate) struct Offer<'a> {
    pub(crate) config: &'a Config,
    /// Those that this client may use now.
    pub(crate) mechanisms: Mechanisms,
    /// Seconds since 1970, where they are known.
    pub(crate) date: Option<u64>,
}

pub(crate) type WriteArguments = fn(&Offer<'_>, &mut Vec<u8>);

/// What there is to an extension.
struct Row {
    extension: Extension,
    keyword: &'static str,
    /// Writes what stands behind the keyword in the EHLO reply, with a space before each word.
    write_arguments: WriteArguments,
    parameters: &'static [parameter::Row],
}

/// An extension whose keyword says it all.
const PLAIN: Row = Row { extension: Extension::Help, keyword: "", write_arguments: |_, _| {}, parameters: &[] };

static ROWS: [Row; 20] = [
    Row { extension: Extension::Pipelining, keyword: "PIPELINING", ..PLAIN },
    Row {
        extension: Extension::Size,
        keyword: "SIZE",
        write_arguments: |offer, line| {
            line.push(b' ');
            line.extend_from_slice(offer.config.limits.message_octets.to_string().as_bytes());
        },
        parameters: &[parameter::Row { of: Of::Mail, keyword: "SIZE", check: parameter::check_size }],
    },
    Row {
        extension: Extension::EightBitMime,
        keyword: "8BITMIME",
        parameters: &[parameter::Row { of: Of::Mail, keyword: "BODY", check: parameter::check_body }],
        ..PLAIN
    },
    Row { extension: Extension::EnhancedStatusCodes, keyword: "ENHANCEDSTATUSCODES", ..PLAIN },
    Row { extension: Extension::Chunking, keyword: "CHUNKING", ..PLAIN },
    Row { extension: Extension::BinaryMime, keyword: "BINARYMIME", ..PLAIN },
    Row {
        extension: Extension::SmtpUtf8,
        keyword: "SMTPUTF8",
        parameters: &[parameter::Row { of: Of::Mail, keyword: "SMTPUTF8", check: parameter::check_utf8 }],
        ..PLAIN
    },
    Row {
        extension: Extension::Dsn,
        keyword: "DSN",
        parameters: &[
            parameter::Row { of: Of::Mail, keyword: "RET", check: dsn::check_ret },
            parameter::Row { of: Of::Mail, keyword: "ENVID", check: dsn::check_envid },
            parameter::Row { of: Of::Recipient, keyword: "NOTIFY", check: dsn::check_notify },
            parameter::Row { of: Of::Recipient, keyword: "ORCPT", check: dsn::check_orcpt },
        ],
        ..PLAIN
    },
    Row {
        extension: Extension::DeliverBy,
        keyword: "DELIVERBY",
        write_arguments: |offer, line| {
            if offer.config.promises.deliver_by_min_s > 0 {
                line.extend_from_slice(format!(" {}", offer.config.promises.deliver_by_min_s).as_bytes());
            }
        },
        parameters: &[parameter::Row { of: Of::Mail, keyword: "BY", check: delivery::check_by }],
    },
    Row {
        extension: Extension::FutureRelease,
        keyword: "FUTURERELEASE",
        write_arguments: |offer, line| {
            line.extend_from_slice(format!(" {} ", offer.config.promises.hold_max_s).as_bytes());
            delivery::write_date_time(offer.config.promises.hold_until(offer.date), line);
        },
        parameters: &[
            parameter::Row { of: Of::Mail, keyword: "HOLDFOR", check: delivery::check_hold_for },
            parameter::Row { of: Of::Mail, keyword: "HOLDUNTIL", check: delivery::check_hold_until },
        ],
    },
    Row {
        extension: Extension::MtPriority,
        keyword: "MT-PRIORITY",
        parameters: &[parameter::Row { of: Of::Mail, keyword: "MT-PRIORITY", check: delivery::check_priority }],
        ..PLAIN
    },
    Row {
        extension: Extension::Limits,
        keyword: "LIMITS",
        write_arguments: |offer, line| {
            for (name, limit) in told_limits(offer.config) {
                line.extend_from_slice(format!(" {name}={limit}").as_bytes());
            }
        },
        ..PLAIN
    },
    Row {
        extension: Extension::RequireTls,
        keyword: "REQUIRETLS",
        parameters: &[parameter::Row { of: Of::Mail, keyword: "REQUIRETLS", check: parameter::check_require_tls }],
        ..PLAIN
    },
    Row { extension: Extension::StartTls, keyword: "STARTTLS", ..PLAIN },
    Row {
        extension: Extension::Auth,
        keyword: "AUTH",
        write_arguments: |offer, line| {
            for mechanism in offer.mechanisms.iter() {
                line.push(b' ');
                line.extend_from_slice(mechanism.name().as_bytes());
            }
        },
        parameters: &[parameter::Row { of: Of::Mail, keyword: "AUTH", check: parameter::check_auth }],
    },
    Row { extension: Extension::Verify, keyword: "VRFY", ..PLAIN },
    Row { extension: Extension::Expand, keyword: "EXPN", ..PLAIN },
    Row {
        extension: Extension::XClient,
        keyword: "XCLIENT",
        write_arguments: |_, line| write_words(&forward::XCLIENT, line),
        ..PLAIN
    },
    Row {
        extension: Extension::XForward,
        keyword: "XFORWARD",
        write_arguments: |_, line| write_words(&forward::XFORWARD, line),
        ..PLAIN
    },
    Row { extension: Extension::Help, keyword: "HELP", ..PLAIN },
];

fn write_words(words: &[&str], line: &mut Vec<u8>) {
    for word in words {
        line.push(b' ');
        line.extend_from_slice(word.as_bytes());
    }
}

/// The limits that RFC 9422 section 4 has names for. Its values have six digits at most: a larger one is as good as none.
pub(crate) fn told_limits(config: &Config) -> impl Iterator<Item = (&'static str, u32)> {
    let recipients = match config.mixed_outcomes {
        MixedOutcomes::Worst => config.limits.recipients,
        MixedOutcomes::OneRecipient => 1,
    };
    let limits = [("MAILMAX", config.limits.transactions), ("RCPTMAX", recipients)];
    limits.into_iter().filter(|(_, limit)| (1..=999_999).contains(limit))
}

/// Calls `write` for the keyword of each offered extension, with the function that writes the rest of its line.
pub(crate) fn for_each_line(offered: impl Fn(Extension) -> bool, mut write: impl FnMut(&'static str, WriteArguments)) {
    for row in ROWS.iter().filter(|row| offered(row.extension)) {
        write(row.keyword, row.write_arguments);
    }
}

/// The row of a parameter, if an offered extension has it.
pub(crate) fn parameter(of: Of, keyword: &str, offered: impl Fn(Extension) -> bool) -> Option<&'static parameter::Row> {
    ROWS.iter()
        .filter(|row| offered(row.extension))
        .flat_map(|row| row.parameters)
        .find(|row| row.of == of && row.keyword.eq_ignore_ascii_case(keyword))
}
