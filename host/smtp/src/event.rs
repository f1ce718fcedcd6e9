//! What a session says to its caller, and what it is told.

use std::fmt;

use crate::mailbox::Mailbox;
use crate::parameter::Parameter;
use crate::reply::Reply;
use crate::sasl::Mechanism;

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
    /// The client sent a BDAT that leaves unknown where its octets end.
    OutOfStep,
    /// The client was silent for too long.
    Timeout,
    /// The gateway is stopping.
    Shutdown,
}

/// What the gateway has to decide. The doc of each variant says which answers it may get besides [`Answer::No`] and
/// [`Answer::Close`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// A client has connected. `Yes` or `Default`: the banner. A refusal becomes the banner, as 554 or 421.
    Connect,
    /// HELO or EHLO. `Yes`, `Default` or `Greet`.
    Hello(Hello),
    /// AUTH. `Authenticated`, `AuthenticationFailed` or `Default` (the same), `AuthenticationUnavailable`.
    Authenticate {
        /// The mechanism that the client chose.
        mechanism: Mechanism,
        /// What it brought.
        credentials: Credentials,
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
    /// The end of mail data. `Yes`, or `Reply` with a text of the gateway's.
    Message,
    /// VRFY with its argument. `Reply`; `Default` is 252.
    Verify(String),
    /// EXPN with its argument. `Reply`; `Default` is 502.
    Expand(String),
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
}

/// A RCPT command (RFC 5321 section 4.1.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The forward-path without its source route.
    pub mailbox: Mailbox,
    /// The parameters, checked, in the client's order.
    pub parameters: Vec<Parameter>,
}

/// What the client declared about the body of a message (RFC 6152).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Body {
    /// Lines of seven-bit octets; also where nothing was declared.
    #[default]
    SevenBit,
    /// Lines of eight-bit octets.
    EightBitMime,
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
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Credentials::Password { user, password: _ } => {
                f.debug_struct("Password").field("user", user).finish_non_exhaustive()
            }
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
    /// It can't be told now: 454 4.7.0.
    AuthenticationUnavailable,
    /// This reply: to a message, VRFY, EXPN or an unknown verb.
    Reply(Reply),
    /// Nobody had an opinion: what the question's doc says.
    Default,
}
