//! The table of verbs: one row for each command of RFC 5321 and of the extensions that we know.

use crate::config::Protocol;
use crate::extension::Extension;
use crate::replies;
use crate::reply::Reply;
use crate::session::{Session, Step, command};

/// What there is to a command.
pub(crate) struct Verb {
    pub(crate) name: &'static str,
    /// What HELP says of it.
    pub(crate) syntax: &'static str,
    /// The service extension without which it is not implemented.
    pub(crate) extension: Option<Extension>,
    /// The protocol whose command it is, if it is not in both.
    pub(crate) protocol: Option<Protocol>,
    pub(crate) needs: Needs,
    /// Whether a client that must authenticate may use it before (RFC 4954 section 6).
    pub(crate) access: Access,
    /// Whether it may come in clear where TLS is required (RFC 3207 section 4).
    pub(crate) clear: Clear,
    /// Whether it is counted against the bound on commands that lead to no mail.
    pub(crate) idle: Idle,
    /// Whether mail data follows in the same stream, which has to be skipped when the command is refused.
    pub(crate) octets: Octets,
    /// Where in a group of commands it may stand (RFC 2920 section 3.1).
    pub(crate) group: Group,
    /// Whether its argument may be beyond ASCII where SMTPUTF8 is offered (RFC 6531 sections 3.4 and 3.7.4).
    pub(crate) utf8: Utf8,
    /// The reply to an argument that is not ASCII, where it may not be.
    pub(crate) non_ascii: &'static Reply,
    /// Carries it out, given the rest of the line.
    pub(crate) run: fn(&mut Session, &str) -> Step,
}

/// What must have come before a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    Greeting,
    Ehlo,
}

/// Who may use a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Anybody,
    Authenticated,
}

/// Whether a command may come in clear where TLS is required.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clear {
    Refused,
    Allowed,
}

/// Whether a command leads to mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    Counted,
    Free,
}

/// What stands behind the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Octets {
    None,
    Chunk,
}

/// Where in a group of commands a command may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Anywhere,
    /// Its reply has to be waited for. So it is with all that no standard allows elsewhere.
    Last,
}

/// Whether a command knows the parameter SMTPUTF8, or stands in a transaction that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Utf8 {
    Never,
    Declared,
}

const PLAIN: Verb = Verb {
    name: "",
    syntax: "",
    extension: None,
    protocol: None,
    needs: Needs::Nothing,
    access: Access::Anybody,
    clear: Clear::Refused,
    idle: Idle::Counted,
    octets: Octets::None,
    group: Group::Last,
    utf8: Utf8::Never,
    non_ascii: &replies::NON_ASCII_ARGUMENT,
    run: command::not_implemented,
};

/// A part of a transaction.
const MAIL: Verb =
    Verb { needs: Needs::Greeting, access: Access::Authenticated, idle: Idle::Free, group: Group::Anywhere, ..PLAIN };

/// The frequent ones first.
static VERBS: [Verb; 24] = [
    Verb {
        name: "RCPT",
        syntax: "RCPT TO:<forward-path> [parameters]",
        utf8: Utf8::Declared,
        non_ascii: &replies::NON_ASCII_MAILBOX,
        run: command::rcpt,
        ..MAIL
    },
    Verb {
        name: "MAIL",
        syntax: "MAIL FROM:<reverse-path> [parameters]",
        utf8: Utf8::Declared,
        non_ascii: &replies::NON_ASCII_MAILBOX,
        run: command::mail,
        ..MAIL
    },
    Verb { name: "DATA", syntax: "DATA", group: Group::Last, run: command::data, ..MAIL },
    Verb {
        name: "BDAT",
        syntax: "BDAT octets [LAST]",
        extension: Some(Extension::Chunking),
        needs: Needs::Ehlo,
        octets: Octets::Chunk,
        run: command::bdat,
        ..MAIL
    },
    Verb {
        name: "EHLO",
        syntax: "EHLO name",
        protocol: Some(Protocol::Smtp),
        clear: Clear::Allowed,
        run: command::ehlo,
        ..PLAIN
    },
    Verb { name: "HELO", syntax: "HELO name", protocol: Some(Protocol::Smtp), run: command::helo, ..PLAIN },
    Verb {
        name: "LHLO",
        syntax: "LHLO name",
        protocol: Some(Protocol::Lmtp),
        clear: Clear::Allowed,
        run: command::lhlo,
        ..PLAIN
    },
    Verb { name: "QUIT", syntax: "QUIT", clear: Clear::Allowed, idle: Idle::Free, run: command::quit, ..PLAIN },
    Verb { name: "RSET", syntax: "RSET", clear: Clear::Allowed, group: Group::Anywhere, run: command::rset, ..PLAIN },
    Verb { name: "NOOP", syntax: "NOOP [text]", clear: Clear::Allowed, run: command::noop, ..PLAIN },
    Verb {
        name: "STARTTLS",
        syntax: "STARTTLS",
        extension: Some(Extension::StartTls),
        needs: Needs::Ehlo,
        clear: Clear::Allowed,
        run: command::starttls,
        ..PLAIN
    },
    Verb {
        name: "AUTH",
        syntax: "AUTH mechanism [initial-response]",
        extension: Some(Extension::Auth),
        needs: Needs::Ehlo,
        run: command::auth,
        ..PLAIN
    },
    Verb {
        name: "VRFY",
        syntax: "VRFY text",
        extension: Some(Extension::Verify),
        utf8: Utf8::Declared,
        access: Access::Authenticated,
        run: command::vrfy,
        ..PLAIN
    },
    Verb {
        name: "EXPN",
        syntax: "EXPN text",
        extension: Some(Extension::Expand),
        utf8: Utf8::Declared,
        access: Access::Authenticated,
        run: command::expn,
        ..PLAIN
    },
    Verb { name: "HELP", syntax: "HELP [verb]", extension: Some(Extension::Help), run: command::help, ..PLAIN },
    // Known from standards and left to the command hook, with 502 where nobody answers.
    Verb { name: "ETRN", run: command::etrn, ..PLAIN },
    Verb { name: "ATRN", run: command::atrn, ..PLAIN },
    // Nobody but us could carry these out: they change what the stream means, or turn the session round.
    Verb { name: "TURN", ..PLAIN },
    Verb { name: "BURL", ..PLAIN },
    // Obsolete (RFC 5321 appendix F.6).
    Verb { name: "SEND", group: Group::Anywhere, ..PLAIN },
    Verb { name: "SOML", group: Group::Anywhere, ..PLAIN },
    Verb { name: "SAML", group: Group::Anywhere, ..PLAIN },
    // Only from listed proxies can they be believed.
    Verb {
        name: "XCLIENT",
        syntax: "XCLIENT attributes",
        extension: Some(Extension::XClient),
        needs: Needs::Ehlo,
        clear: Clear::Allowed,
        run: command::xclient,
        ..PLAIN
    },
    Verb {
        name: "XFORWARD",
        syntax: "XFORWARD attributes",
        extension: Some(Extension::XForward),
        needs: Needs::Ehlo,
        idle: Idle::Free,
        group: Group::Anywhere,
        run: command::xforward,
        ..PLAIN
    },
];

impl Verb {
    /// The row of this verb, in any case of letters.
    pub(crate) fn find(name: &str) -> Option<&'static Verb> {
        VERBS.iter().find(|verb| verb.name.eq_ignore_ascii_case(name))
    }

    /// Those that HELP tells of.
    pub(crate) fn all() -> impl Iterator<Item = &'static Verb> {
        VERBS.iter().filter(|verb| !verb.syntax.is_empty())
    }
}
