//! The table of service extensions (RFC 5321 section 2.2): one row for each, with its EHLO line and its parameters.

use crate::config::Config;
use crate::parameter::{self, Of};

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
    /// RFC 4954. There is more to it in [`AuthOffer`](crate::AuthOffer).
    Auth,
    /// RFC 5321 section 3.5: VRFY.
    Verify,
    /// RFC 5321 section 3.5: EXPN. To be switched off where nobody answers it: whoever announces it has to have it.
    Expand,
    /// RFC 5321 section 4.1.1.8.
    Help,
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
    fn default() -> Extensions {
        Extensions::all()
    }
}

/// Whether an EHLO keyword, in any case of letters, is the business of this crate: an extension that it has, or one that changes how
/// the protocol is spoken, which nobody but it could keep.
pub fn is_reserved_keyword(keyword: &str) -> bool {
    let other = [
        "STARTTLS",
        "SMTPUTF8",
        "DSN",
        "BINARYMIME",
        "REQUIRETLS",
        "DELIVERBY",
        "FUTURERELEASE",
        "MT-PRIORITY",
        "LIMITS",
    ];
    Extension::from_keyword(keyword).is_some() || other.iter().any(|known| known.eq_ignore_ascii_case(keyword))
}

/// What there is to an extension.
struct Row {
    extension: Extension,
    keyword: &'static str,
    /// Writes what stands behind the keyword in the EHLO reply, with a space before each word.
    write_arguments: fn(&Config, &mut Vec<u8>),
    parameters: &'static [parameter::Row],
}

/// An extension whose keyword says it all.
const PLAIN: Row = Row { extension: Extension::Help, keyword: "", write_arguments: |_, _| {}, parameters: &[] };

static ROWS: [Row; 9] = [
    Row { extension: Extension::Pipelining, keyword: "PIPELINING", ..PLAIN },
    Row {
        extension: Extension::Size,
        keyword: "SIZE",
        write_arguments: |config, line| {
            line.push(b' ');
            line.extend_from_slice(config.limits.message_octets.to_string().as_bytes());
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
    Row {
        extension: Extension::Auth,
        keyword: "AUTH",
        write_arguments: |config, line| {
            for mechanism in config.auth.mechanisms.iter() {
                line.push(b' ');
                line.extend_from_slice(mechanism.name().as_bytes());
            }
        },
        parameters: &[parameter::Row { of: Of::Mail, keyword: "AUTH", check: parameter::check_auth }],
    },
    Row { extension: Extension::Verify, keyword: "VRFY", ..PLAIN },
    Row { extension: Extension::Expand, keyword: "EXPN", ..PLAIN },
    Row { extension: Extension::Help, keyword: "HELP", ..PLAIN },
];

/// Calls `write` for the keyword of each offered extension, with the function that writes the rest of its line.
pub(crate) fn for_each_line(
    offered: impl Fn(Extension) -> bool,
    mut write: impl FnMut(&'static str, fn(&Config, &mut Vec<u8>)),
) {
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
