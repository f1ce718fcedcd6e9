//! The table of SASL mechanisms, and the exchange of AUTH (RFC 4954): PLAIN (RFC 4616) and LOGIN.

use crate::event::Credentials;
use crate::replies;
use crate::reply::Reply;

/// A SASL mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// User name and password by separate prompts; no standard, but what many clients have.
    Login,
}

impl Mechanism {
    /// All of them, in the order of the EHLO line.
    pub fn all() -> impl Iterator<Item = Mechanism> {
        ROWS.iter().map(|row| row.mechanism)
    }

    /// Its name, in upper case.
    pub fn name(self) -> &'static str {
        ROWS.iter().find(|row| row.mechanism == self).map_or("", |row| row.name)
    }

    /// The mechanism of that name, in any case of letters.
    pub fn from_name(name: &str) -> Option<Mechanism> {
        ROWS.iter().find(|row| row.name.eq_ignore_ascii_case(name)).map(|row| row.mechanism)
    }

    /// The exchange at its beginning, where the client's first message is due.
    pub(crate) fn start(self) -> Exchange {
        match self {
            Mechanism::Plain => Exchange::Plain,
            Mechanism::Login => Exchange::LoginUser,
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A set of mechanisms; the default is the empty one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mechanisms(u32);

impl Mechanisms {
    /// All that there are.
    pub fn all() -> Mechanisms {
        Mechanism::all().fold(Mechanisms::default(), Mechanisms::with)
    }

    /// The set with this one.
    #[must_use]
    pub const fn with(self, mechanism: Mechanism) -> Mechanisms {
        Mechanisms(self.0 | mechanism.bit())
    }

    /// Whether it is in the set.
    pub const fn contains(self, mechanism: Mechanism) -> bool {
        self.0 & mechanism.bit() != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those in the set, in the order of the EHLO line.
    pub fn iter(self) -> impl Iterator<Item = Mechanism> {
        Mechanism::all().filter(move |mechanism| self.contains(*mechanism))
    }
}

struct Row {
    mechanism: Mechanism,
    name: &'static str,
}

static ROWS: [Row; 2] =
    [Row { mechanism: Mechanism::Plain, name: "PLAIN" }, Row { mechanism: Mechanism::Login, name: "LOGIN" }];

/// Where an exchange stands: which message of the client is due.
#[derive(Debug)]
pub(crate) enum Exchange {
    Plain,
    LoginUser,
    LoginPassword { user: String },
}

/// What follows from a message of the client.
pub(crate) enum Step {
    Challenge(Exchange),
    Done(Mechanism, Credentials),
}

impl Exchange {
    /// The challenge, not yet in base64, that asks for the message which is due.
    pub(crate) fn challenge(&self) -> &[u8] {
        match self {
            Exchange::Plain => b"",
            Exchange::LoginUser => b"Username:",
            Exchange::LoginPassword { .. } => b"Password:",
        }
    }

    /// Takes the client's message, decoded.
    pub(crate) fn respond(self, message: Vec<u8>) -> Result<Step, &'static Reply> {
        let text = String::from_utf8(message).map_err(|_| &replies::SASL_SYNTAX)?;
        match self {
            Exchange::Plain => plain(&text).map(|credentials| Step::Done(Mechanism::Plain, credentials)),
            Exchange::LoginUser => Ok(Step::Challenge(Exchange::LoginPassword { user: text })),
            Exchange::LoginPassword { user } => {
                password(user, text).map(|credentials| Step::Done(Mechanism::Login, credentials))
            }
        }
    }
}

/// RFC 4616 section 2: `[authzid] NUL authcid NUL passwd`.
///
/// Nobody may act for another here, so an authorization identity other than the authentication identity fails like a wrong
/// password does, and nobody is asked.
fn plain(message: &str) -> Result<Credentials, &'static Reply> {
    let mut parts = message.split('\0');
    let (Some(authzid), Some(authcid), Some(passwd), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(&replies::SASL_SYNTAX);
    };
    let credentials = password(authcid.to_owned(), passwd.to_owned())?;
    if !authzid.is_empty() && authzid != authcid {
        return Err(&replies::AUTHENTICATION_FAILED);
    }
    Ok(credentials)
}

/// Neither may be empty or hold a NUL (RFC 4616 section 2), and a name has no control characters at all (RFC 4013 section 2.3).
fn password(user: String, password: String) -> Result<Credentials, &'static Reply> {
    if user.is_empty() || user.contains(char::is_control) || password.is_empty() || password.contains('\0') {
        return Err(&replies::SASL_SYNTAX);
    }
    Ok(Credentials::Password { user, password })
}
