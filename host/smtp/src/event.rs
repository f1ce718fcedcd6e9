//! What a session says to its caller, and what it is told.

use std::fmt;

use crate::forward::Forwarded;
use crate::mailbox::Mailbox;
use crate::parameter::Parameter;
use crate::reply::Reply;
use crate::sasl::Mechanism;
use crate::sasl::scram::ScramKeys;

/// What is to be done now.
#[derive(Debug)]
pub enum Event<'a> {
    /// The input is used up, or a question is open. Send the output, then read more or answer.
    Wait,
    /// Decide this, and call [`Session::answer`](crate::Session::answer). Until then the session takes no input.
    Ask(Question),
    /// The next octets of the message, with dots removed, borrowed from the input. Each piece is made of text and whole CRLFs: a bare
    /// CR or LF, or a NUL, is never among them, unless a standard allows it (BINARYMIME).
    MailData(&'a [u8]),
    /// The transaction was given up: drop what was kept of it.
    Reset,
    /// Send the output, throw away whatever else was read in clear (it may have been put there by somebody else, CVE-2011-0411), do the
    /// handshake of TLS, and call [`Session::secured`](crate::Session::secured). When the handshake fails, just close. Until then the session
    /// ignores all input.
    StartTls,
    /// Send the output and close. An open transaction is thereby given up.
    Close(Close),
}

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// The client said QUIT.
    Quit,
    /// An answer asked for it.
    Refused,
    /// The client made too many errors, or sent too many commands that lead nowhere.
    TooManyErrors,
    /// The client sent what must not be taken for commands: octets behind a BDAT that leaves unknown where they end, mail data behind a
    /// refused DATA, or another protocol.
    OutOfStep,
    /// The client was silent for too long, or too slow, or its session has lasted for too long.
    Timeout,
    /// The gateway is stopping.
    Shutdown,
}

/// What the client is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// A command, of which nothing has come yet.
    Command,
    /// The rest of a line.
    Line {
        /// Another line has another number.
        number: u32,
    },
    /// Octets of mail data, or of a chunk.
    MailData,
}

/// Why a client is not waited for any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// It has been silent for too long: 421 4.4.2.
    Silent,
    /// It sends, but so slowly that a line or the mail data does not end: 421 4.4.2.
    Slow,
    /// The session has lasted for as long as one may: 421 4.3.2.
    Session,
    /// It is silent while others wait for what is held for it: 421 4.3.2.
    Crowded,
}

/// What the gateway has to decide. The doc of each variant says which answers it may get besides [`Answer::No`] and
/// [`Answer::Close`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// A client has connected. `Yes` or `Default`: the banner. A refusal becomes the banner, as 554 or 421.
    Connect,
    /// HELO, EHLO or LHLO. `Yes`, `Default` or `Greet`.
    Hello(Hello),
    /// STARTTLS (RFC 3207). `Yes` or `Default`: 220, and [`Event::StartTls`]. Where TLS is not possible now, `No` with
    /// [`replies::TLS_UNAVAILABLE`](crate::replies::TLS_UNAVAILABLE).
    Starttls,
    /// AUTH. What [`Credentials`] say; `Authenticated`, `AuthenticationFailed` or `Default` (the same), `AuthenticationUnavailable`.
    Authenticate {
        /// The mechanism that the client chose.
        mechanism: Mechanism,
        /// What it brought.
        credentials: Credentials,
    },
    /// SCRAM (RFC 5802): the client has proved to have the keys, and may be told, which it is before the exchange ends. `Yes` or `Default`;
    /// `AuthenticationUnavailable` where it is not to be told.
    Proved {
        /// Who has proved it.
        user: String,
    },
    /// MAIL. `Yes` or `Default`.
    Mail(Mail),
    /// RCPT. `Yes`; `Default` refuses it with 550 5.7.1.
    Recipient(Recipient),
    /// DATA or the first BDAT. `Yes` or `Default`.
    Data,
    /// A BDAT chunk, before its octets. `Yes` or `Default`.
    Chunk {
        /// Its octets.
        size: u64,
        /// Whether it closes the message.
        last: bool,
    },
    /// The end of mail data. `Yes`, or `Reply` with a text of the gateway's; in LMTP also `PerRecipient`. In LMTP the others
    /// are said once for each accepted recipient.
    Message,
    /// VRFY with its argument, which is ASCII unless the client said SMTPUTF8 behind it (RFC 6531 section 3.7.4).
    /// `Reply`, which may be beyond ASCII (the session knows who may hear that); `Default` is 252.
    Verify(String),
    /// EXPN with its argument, as VRFY. `Reply`; `Default` is 502.
    Expand(String),
    /// XCLIENT of a trusted peer. `Yes` or `Default`: this is the client from now on, the session begins anew, and [`Question::Connect`]
    /// follows. With a login the client has authenticated.
    Xclient(Forwarded),
    /// XFORWARD of a trusted peer: what the log shall say. `Yes` or `Default`.
    Xforward(Forwarded),
    /// A verb that is not ours. `Reply`; `Default` is 500, or 502 where the verb is known from a standard.
    Command {
        /// In upper case.
        verb: String,
        /// The rest of the line, printable ASCII.
        argument: String,
    },
}

/// How the client greeted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// RFC 5321 without service extensions.
    Helo,
    /// RFC 5321 with service extensions.
    Ehlo,
    /// RFC 2033 with service extensions.
    Lhlo,
}

/// What the client said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The verb.
    pub greeting: Greeting,
    /// The domain or address literal, as the client wrote it.
    pub name: String,
}

/// A MAIL command (RFC 5321 section 4.1.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// None is the null reverse-path `<>`.
    pub reverse_path: Option<Mailbox>,
    /// The parameters, checked, in the client's order.
    pub parameters: Vec<Parameter>,
    /// The value of SIZE (RFC 1870), in octets.
    pub size: Option<u64>,
    /// The value of BODY (RFC 6152).
    pub body: Body,
    /// SMTPUTF8 (RFC 6531): mailboxes and the header section may have characters beyond ASCII. Without it no mailbox of the client's
    /// has any.
    pub utf8: bool,
}

/// A RCPT command (RFC 5321 section 4.1.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The forward-path without its source route.
    pub mailbox: Mailbox,
    /// The parameters, checked, in the client's order.
    pub parameters: Vec<Parameter>,
}

/// What the client declared about the body of a message (RFC 6152, RFC 3030).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Body {
    /// Lines of seven-bit octets; also where nothing was declared.
    #[default]
    SevenBit,
    /// Lines of eight-bit octets.
    EightBitMime,
    /// Any octets (RFC 3030 section 3), bare CR, bare LF and NUL included. They come by BDAT only.
    BinaryMime,
}

/// What a SASL exchange has brought. Its `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// PLAIN (RFC 4616) and LOGIN.
    Password {
        /// Whom to authenticate: not empty, without control characters.
        user: String,
        /// Not empty.
        password: String,
    },
    /// SCRAM (RFC 5802): the keys of a user are wanted. `ScramKeys`; with `AuthenticationFailed` or `Default` the exchange goes on with made-up
    /// keys, and fails.
    Scram {
        /// Whom to authenticate: not empty, without control characters.
        user: String,
    },
    /// SCRAM (RFC 5802): the exchange has ended, and nobody but the caller is to be asked. With an identity, `Authenticated`; without one it
    /// fails whatever the answer is.
    ScramProof {
        /// Whom to authenticate.
        user: String,
        /// The identity that came with the keys, if the client has proved that it has them.
        identity: Option<String>,
    },
    /// OAUTHBEARER (RFC 7628) and XOAUTH2.
    Token {
        /// Whom the client says the token is for; empty where it does not say.
        user: String,
        /// Not empty.
        token: String,
    },
    /// EXTERNAL (RFC 4422 appendix A).
    Certificate {
        /// Whom the client wants to be; empty for whom the certificate names.
        user: String,
        /// SHA-256 of the client's certificate, in lower-case hexadecimal.
        fingerprint: String,
        /// The names of the certificate.
        names: Vec<String>,
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Credentials::Password { user, password: _ } => {
                f.debug_struct("Password").field("user", user).finish_non_exhaustive()
            }
            Credentials::Scram { user } => f.debug_struct("Scram").field("user", user).finish(),
            Credentials::ScramProof { user, identity } => {
                f.debug_struct("ScramProof").field("user", user).field("identity", identity).finish()
            }
            Credentials::Token { user, token: _ } => {
                f.debug_struct("Token").field("user", user).finish_non_exhaustive()
            }
            Credentials::Certificate { user, fingerprint, names } => f
                .debug_struct("Certificate")
                .field("user", user)
                .field("fingerprint", fingerprint)
                .field("names", names)
                .finish(),
        }
    }
}

/// The answer to a [`Question`]. One that does not fit the question is an error of the gateway's, and refuses with 451 4.3.0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Go on, with the standard's reply.
    Yes,
    /// Refuse with this reply, which must be 4yz or 5yz. A 421 closes the connection as it says.
    No(Reply),
    /// Refuse with this reply, and close the connection.
    Close(Reply),
    /// Yes to [`Question::Hello`], and say these EHLO lines besides ours.
    Greet {
        /// A keyword and its parameters, such as `XPLAN gold`: at most 64 octets of printable ASCII. Others are left out.
        keywords: Vec<String>,
    },
    /// The credentials are right: 235.
    Authenticated,
    /// The credentials are wrong: 535 5.7.8.
    AuthenticationFailed,
    /// The keys that [`Credentials::Scram`] asks for. Keys that are not fit count as `AuthenticationUnavailable`.
    ScramKeys(ScramKeys),
    /// It can't be told now: 454 4.7.0.
    AuthenticationUnavailable,
    /// To a message in LMTP: a reply for each accepted recipient, in the order of their RCPT. Any other number of them is an error of the
    /// gateway's. With a positive one among them the message is accepted.
    PerRecipient(Vec<Reply>),
    /// This reply: to a message, VRFY, EXPN or an unknown verb.
    Reply(Reply),
    /// Nobody had an opinion: what the question's doc says.
    Default,
}
