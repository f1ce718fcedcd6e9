//! How a connection is to go: what a relay wants, and beyond it what a client wants that tries a server out.

use std::time::Duration;

use crate::config::Protocol;
use crate::domain::Domain;
use crate::sasl::Mechanism;

/// What connections to the same server have in common.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our name in EHLO.
    pub hello: Domain,
    /// What is spoken.
    pub protocol: Protocol,
    /// Whether STARTTLS is wanted. It says nothing of a connection that was below TLS from its first octet on.
    pub tls: TlsWish,
    /// Who we are, if the server wants to know.
    pub credentials: Option<Credentials>,
    /// The only mechanism that may be used; else the best one that is offered.
    pub mechanism: Option<Mechanism>,
    /// Whether a password or token may go over a connection in clear. Only where the operator wants no TLS at all.
    pub secrets_in_clear: bool,
    /// How long the server may take.
    pub patience: Patience,
    /// Whether commands go out before the replies to earlier ones have come.
    pub pipelining: Pipelining,
    /// Mail data goes by BDAT (RFC 3030), and to a server without CHUNKING not at all. BINARYMIME goes so in any case.
    pub chunks: bool,
    /// The attributes of an XCLIENT, which is said behind STARTTLS and in front of AUTH: words `NAME=VALUE`, each value in xtext.
    pub xclient: Option<String>,
    /// A message beyond the bound that the server has told (RFC 1870) is offered all the same, and the server says what it makes of it.
    pub oversize: bool,
    /// The last thing that is done; the caller then says QUIT.
    pub stop: Option<Stop>,
}

impl Config {
    /// Without credentials, and with STARTTLS where it is offered.
    pub fn new(hello: Domain) -> Config {
        Config {
            hello,
            protocol: Protocol::Smtp,
            tls: TlsWish::IfOffered,
            credentials: None,
            mechanism: None,
            secrets_in_clear: false,
            patience: Patience::default(),
            pipelining: Pipelining::IfOffered,
            chunks: false,
            xclient: None,
            oversize: false,
            stop: None,
        }
    }
}

/// Whether STARTTLS is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsWish {
    /// Not even where it is offered.
    Never,
    /// Where it is offered, with whoever is there: nobody is verified. A server that then refuses it is spoken to in clear.
    IfOffered,
    /// There is no mail without it.
    Required,
}

/// Who we are.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// For SCRAM-SHA-256, PLAIN and LOGIN.
    Password {
        /// Without control characters.
        user: String,
        /// Not empty, without NUL.
        password: String,
    },
    /// For OAUTHBEARER and XOAUTH2.
    Token {
        /// Whom the token is for.
        user: String,
        /// The token.
        token: String,
    },
    /// For EXTERNAL: what the client certificate of the TLS layer says.
    Certificate {
        /// Whom we want to be; empty for whom the certificate names.
        user: String,
    },
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Credentials::Password { user, .. } | Credentials::Token { user, .. } | Credentials::Certificate { user }) =
            self;
        f.debug_struct("Credentials").field("user", user).finish_non_exhaustive()
    }
}

/// How long the server may take at each step. The defaults are those of RFC 5321 section 4.5.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The banner, and the answer to any command but those below.
    pub command: Duration,
    /// The answer to DATA.
    pub data: Duration,
    /// Each piece of mail data, until it is sent.
    pub piece: Duration,
    /// The answer to the end of mail data.
    pub end: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Patience { command: minutes(5), data: minutes(2), piece: minutes(3), end: minutes(10) }
    }
}

/// Whether commands go out before the replies to earlier ones have come (RFC 2920).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pipelining {
    /// Where the server offers it.
    IfOffered,
    /// Never.
    Never,
    /// Also where the server does not offer it: to see what it makes of that.
    Always,
}

/// Where a client stops that only wants to see how far it gets: [`Event::Ready`](super::Event::Ready) follows, or the outcomes of a transaction without mail data,
/// which are then what the server has said of each recipient so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Behind the banner.
    Banner,
    /// Behind the first EHLO, LHLO or HELO.
    Hello,
    /// Behind the EHLO below TLS.
    Tls,
    /// Where a transaction could begin.
    Auth,
    /// Behind MAIL.
    Mail,
    /// Behind RCPT.
    Recipient,
}
