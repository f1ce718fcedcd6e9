//! What becomes of recipients, and what can go wrong with a server.

use std::fmt;

use crate::replies;
use crate::reply::{Enhanced, Reply};

/// What became of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server has said 2yz to the mail data, and answers for it now.
    Taken(Reply),
    /// 5yz, of the server or, where the message can't be said in the server's terms, of ours.
    Failed(Reply),
    /// 4yz, of the server or, where it has given no answer that can be relied on, of ours.
    Deferred(Reply),
}

impl Outcome {
    /// By the first digit of the reply.
    pub(super) fn of(reply: Reply) -> Outcome {
        match reply.code() {
            ..300 => Outcome::Taken(reply),
            300..500 => Outcome::Deferred(reply),
            500.. => Outcome::Failed(reply),
        }
    }

    /// The reply.
    pub fn reply(&self) -> &Reply {
        let (Outcome::Taken(reply) | Outcome::Failed(reply) | Outcome::Deferred(reply)) = self;
        reply
    }
}

/// Why a connection is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// We said QUIT.
    Quit,
    /// It could not go on.
    Failed(Failure),
}

/// Why a connection could not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server: a banner, an answer to EHLO, HELO, XCLIENT or RSET that is a refusal, or one in the midst of mail data.
    Refused(Reply),
    /// The server: it says 421, and closes.
    Closing(Reply),
    /// The server, or somebody in between: TLS is required, and STARTTLS not offered.
    TlsNotOffered,
    /// The server: STARTTLS refused.
    TlsRefused(Reply),
    /// The server: it does not offer another extension that we can't do without.
    NotOffered(&'static str),
    /// Both: no mechanism is offered that the credentials are good for. A password or token is not sent in clear.
    NoMechanism,
    /// We: the server does not take the credentials.
    AuthenticationFailed(Reply),
    /// The server can't prove that it knows the password (RFC 5802 section 5), or does not follow the mechanism.
    NotAuthentic,
    /// Both: the server wants so many iterations of SCRAM. Fewer than 4096 are not safe (RFC 7677 section 4), and nobody computes more than 1,000,000.
    Iterations(u32),
    /// The server was silent for too long.
    Timeout,
    /// The connection was closed by the server, or it broke.
    Lost,
    /// The server does not speak SMTP.
    Malformed(Malformed),
    /// The server said something that nobody has asked for, or answered what it can't know yet.
    OutOfStep,
    /// We: the message could not be sent to its end.
    Abandoned(Reply),
}

/// What is wrong with a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A line does not begin with a reply code and a space, a hyphen or nothing.
    Code,
    /// The lines have different codes.
    Codes,
    /// A line beyond its bound.
    LineTooLong,
    /// More lines, or octets in all, than a reply may have.
    TooLong,
}

impl Failure {
    /// The 4yz that recipients get for it.
    pub fn reply(&self) -> Reply {
        match self {
            Failure::Refused(reply) | Failure::Closing(reply) | Failure::TlsRefused(reply) => not_now(reply),
            Failure::TlsNotOffered => replies::NEXT_HOP_WITHOUT_TLS.clone(),
            Failure::NoMechanism
            | Failure::AuthenticationFailed(_)
            | Failure::NotAuthentic
            | Failure::Iterations(_) => replies::NEXT_HOP_AUTHENTICATION.clone(),
            Failure::Timeout => replies::NEXT_HOP_TIMEOUT.clone(),
            Failure::Lost => replies::NEXT_HOP_LOST.clone(),
            Failure::NotOffered(_) | Failure::Malformed(_) | Failure::OutOfStep => replies::NEXT_HOP_PROTOCOL.clone(),
            Failure::Abandoned(reply) => reply.clone(),
        }
    }

    /// Whether the operator has to do something about it: waiting does not help.
    pub fn is_ours(&self) -> bool {
        match self {
            Failure::TlsNotOffered
            | Failure::NotOffered(_)
            | Failure::NoMechanism
            | Failure::AuthenticationFailed(_)
            | Failure::NotAuthentic
            | Failure::Iterations(_) => true,
            Failure::Refused(_)
            | Failure::Closing(_)
            | Failure::TlsRefused(_)
            | Failure::Timeout
            | Failure::Lost
            | Failure::Malformed(_)
            | Failure::OutOfStep
            | Failure::Abandoned(_) => false,
        }
    }
}

/// A refusal of the whole session is not about a recipient, and so never final for one: it becomes 451 with the same text. (421 and 454 would be taken for
/// something about our own connections.)
fn not_now(reply: &Reply) -> Reply {
    let lines: Vec<&str> = reply.lines().collect();
    let enhanced = reply.enhanced().and_then(|enhanced| Enhanced::new(4, enhanced.subject(), enhanced.detail()));
    Reply::new(451, enhanced, &lines).unwrap_or_else(|_| replies::NEXT_HOP_LOST.clone())
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Refused(reply) => write!(f, "the server refuses: {reply}"),
            Failure::Closing(reply) => write!(f, "the server closes: {reply}"),
            Failure::TlsNotOffered => f.write_str("TLS is required, and the server does not offer it"),
            Failure::TlsRefused(reply) => write!(f, "the server refuses TLS: {reply}"),
            Failure::NotOffered(keyword) => write!(f, "the server does not offer {keyword}"),
            Failure::NoMechanism => f.write_str("the server offers no AUTH mechanism that can be used here"),
            Failure::AuthenticationFailed(reply) => write!(f, "the server refuses the credentials: {reply}"),
            Failure::NotAuthentic => f.write_str("the server does not prove that it knows the password"),
            Failure::Iterations(n) => {
                write!(f, "the server wants {n} iterations of SCRAM; 4096 to 1000000 are allowed")
            }
            Failure::Timeout => f.write_str("the server was silent for too long"),
            Failure::Lost => f.write_str("the connection was lost"),
            Failure::Malformed(malformed) => write!(f, "the server does not speak SMTP: {malformed}"),
            Failure::OutOfStep => f.write_str("the server says what nobody has asked for"),
            Failure::Abandoned(reply) => write!(f, "the message could not be sent to its end: {reply}"),
        }
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Malformed::Code => "a line without a reply code",
            Malformed::Codes => "a reply with several codes",
            Malformed::LineTooLong => "a line without end",
            Malformed::TooLong => "a reply without end",
        })
    }
}
