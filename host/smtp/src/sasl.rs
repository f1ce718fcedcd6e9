//! The table of SASL mechanisms, and the exchange of AUTH (RFC 4954): PLAIN (RFC 4616), LOGIN and EXTERNAL (RFC 4422 appendix A) here, the
//! others in files of their own.

mod prepare;
pub(crate) mod scram;
pub(crate) mod token;

use crate::event::Credentials;
use crate::replies;
use crate::reply::Reply;
use crate::tls::Certificate;

pub use prepare::prepared;

/// A SASL mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// User name and password by separate prompts; no standard, but what many clients have.
    Login,
    /// RFC 5802, RFC 7677. Offered where the session has a [seed](crate::Session::set_seed) and the listener a
    /// [decoy](crate::ScramDecoy).
    ScramSha256,
    /// The same with channel binding (RFC 9266). Offered below TLS that has one.
    ScramSha256Plus,
    /// RFC 7628.
    OAuthBearer,
    /// The forerunner of OAUTHBEARER; no standard, but what many clients have.
    XOAuth2,
    /// RFC 4422 appendix A. Offered where the client has shown a certificate.
    External,
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
            Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => Exchange::Scram(self),
            Mechanism::OAuthBearer | Mechanism::XOAuth2 => Exchange::Token(self),
            Mechanism::External => Exchange::External,
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

/// The best ones first: many clients take the first that they know.
static ROWS: [Row; 7] = [
    Row { mechanism: Mechanism::External, name: "EXTERNAL" },
    Row { mechanism: Mechanism::ScramSha256Plus, name: "SCRAM-SHA-256-PLUS" },
    Row { mechanism: Mechanism::ScramSha256, name: "SCRAM-SHA-256" },
    Row { mechanism: Mechanism::Plain, name: "PLAIN" },
    Row { mechanism: Mechanism::Login, name: "LOGIN" },
    Row { mechanism: Mechanism::OAuthBearer, name: "OAUTHBEARER" },
    Row { mechanism: Mechanism::XOAuth2, name: "XOAUTH2" },
];

/// What an exchange has to know of the session.
pub(crate) struct Facts<'a> {
    /// Whether SCRAM-SHA-256-PLUS is offered.
    pub(crate) offers_channel_binding: bool,
    pub(crate) channel_binding: Option<&'a [u8]>,
    pub(crate) certificate: Option<&'a Certificate>,
}

/// Where an exchange stands: which message of the client is due.
#[derive(Debug)]
pub(crate) enum Exchange {
    Plain,
    LoginUser,
    LoginPassword {
        user: String,
    },
    Scram(Mechanism),
    ScramProof(Box<scram::Proving>),
    /// The client has proved that it has the key, and has to take note that we have it too.
    ScramProved(Box<scram::Proof>),
    Token(Mechanism),
    /// The client has to take note that its token is not good.
    TokenRefused(Mechanism),
    External,
}

/// What follows from a message of the client.
pub(crate) enum Step {
    Challenge(Exchange),
    Done(Mechanism, Credentials),
    /// The keys of a user are wanted.
    Keys(Box<scram::First>),
    /// The client has proved that it has them, and is to be told by `Exchange::ScramProved`.
    Proved(Box<scram::Proof>),
}

impl Exchange {
    /// The challenge, not yet in base64, that asks for the message which is due.
    pub(crate) fn challenge(&self) -> &[u8] {
        match self {
            Exchange::Plain | Exchange::Scram(_) | Exchange::Token(_) | Exchange::External => b"",
            Exchange::ScramProof(proving) => proving.challenge.as_bytes(),
            Exchange::ScramProved(proof) => proof.signature.as_bytes(),
            Exchange::TokenRefused(mechanism) => token::refusal(*mechanism),
            Exchange::LoginUser => b"Username:",
            Exchange::LoginPassword { .. } => b"Password:",
        }
    }

    /// Takes the client's message, decoded.
    pub(crate) fn respond(self, message: Vec<u8>, facts: &Facts<'_>) -> Result<Step, &'static Reply> {
        let text = String::from_utf8(message).map_err(|_| &replies::SASL_SYNTAX)?;
        match self {
            Exchange::Plain => plain(&text).map(|credentials| Step::Done(Mechanism::Plain, credentials)),
            Exchange::LoginUser => Ok(Step::Challenge(Exchange::LoginPassword { user: text })),
            Exchange::LoginPassword { user } => {
                password(user, text).map(|credentials| Step::Done(Mechanism::Login, credentials))
            }
            Exchange::Scram(mechanism) => {
                scram::First::read(&text, mechanism, facts).map(|first| Step::Keys(first.into()))
            }
            Exchange::ScramProof(proving) => {
                let proof = proving.prove(&text)?;
                Ok(match proof.identity {
                    Some(_) => Step::Proved(proof.into()),
                    None => proved(proof),
                })
            }
            Exchange::ScramProved(proof) if text.is_empty() => Ok(proved(*proof)),
            Exchange::ScramProved(_) => Err(&replies::SASL_SYNTAX),
            Exchange::Token(mechanism) => {
                let read = match mechanism == Mechanism::OAuthBearer {
                    true => token::oauthbearer,
                    false => token::xoauth2,
                };
                let credentials = read(&text)?;
                // Without a token the client wants to know what we want.
                let has_token = !matches!(&credentials, Credentials::Token { token, .. } if token.is_empty());
                Ok(match has_token {
                    true => Step::Done(mechanism, credentials),
                    false => Step::Challenge(Exchange::TokenRefused(mechanism)),
                })
            }
            Exchange::TokenRefused(_) => Err(&replies::AUTHENTICATION_FAILED),
            Exchange::External => external(text, facts),
        }
    }
}

fn proved(proof: scram::Proof) -> Step {
    let scram::Proof { mechanism, user, identity, signature: _ } = proof;
    Step::Done(mechanism, Credentials::ScramProof { user, identity })
}

/// RFC 4422 appendix A: the authorization identity, which may be empty.
fn external(user: String, facts: &Facts<'_>) -> Result<Step, &'static Reply> {
    let certificate = facts.certificate.filter(|_| is_name(&user)).ok_or(&replies::SASL_SYNTAX)?;
    let Certificate { fingerprint, names } = certificate.clone();
    Ok(Step::Done(Mechanism::External, Credentials::Certificate { user, fingerprint, names }))
}

/// RFC 4013 section 2.3: a name has no control characters. It may be empty where somebody else names the user.
fn is_name(text: &str) -> bool {
    !text.contains(char::is_control)
}

/// RFC 4616 section 2: `[authzid] NUL authcid NUL passwd`.
///
/// Nobody may act for another here, so an authorization identity other than the authentication identity fails like a wrong
/// password does, and nobody is asked. Both are compared as they were prepared.
fn plain(message: &str) -> Result<Credentials, &'static Reply> {
    let mut parts = message.split('\0');
    let (Some(authzid), Some(authcid), Some(passwd), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(&replies::SASL_SYNTAX);
    };
    let credentials = password(authcid.to_owned(), passwd.to_owned())?;
    if !authzid.is_empty() && prepared(authzid) != prepared(authcid) {
        return Err(&replies::AUTHENTICATION_FAILED);
    }
    Ok(credentials)
}

/// Neither may be empty or hold a NUL (RFC 4616 section 2), and a name has no control characters at all (RFC 4013 section 2.3). Both are
/// prepared by SASLprep, as RFC 4616 section 2 asks; what it does not allow is nobody's name and nobody's password.
fn password(user: String, password: String) -> Result<Credentials, &'static Reply> {
    if user.is_empty() || user.contains(char::is_control) || password.is_empty() || password.contains('\0') {
        return Err(&replies::SASL_SYNTAX);
    }
    match (prepared(&user), prepared(&password)) {
        (Some(user), Some(password)) => Ok(Credentials::Password { user, password }),
        (Some(_) | None, _) => Err(&replies::AUTHENTICATION_FAILED),
    }
}
