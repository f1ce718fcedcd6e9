//! Every reply of this crate, in the order of their codes.
//!
//! Codes are those of RFC 5321 sections 4.2.3 and 4.3.2, and of the extensions named at each; enhanced codes those of RFC 3463 and of the
//! registry that RFC 5248 made. No text repeats what the client said. What depends on numbers or names of ours is written by the
//! session itself: the banner, the replies to HELO, EHLO and HELP, and 334.

use crate::reply::Reply;

/// QUIT.
pub static BYE: Reply = Reply::fixed(221, (2, 0, 0), "Bye");
/// STARTTLS (RFC 3207 section 4).
pub static READY_FOR_TLS: Reply = Reply::fixed(220, (2, 0, 0), "Ready to start TLS");
/// AUTH (RFC 4954 section 6).
pub static AUTHENTICATED: Reply = Reply::fixed(235, (2, 7, 0), "Authentication succeeded");
/// NOOP and RSET.
pub static OK: Reply = Reply::fixed(250, (2, 0, 0), "Ok");
/// MAIL.
pub static SENDER_OK: Reply = Reply::fixed(250, (2, 1, 0), "Sender ok");
/// RCPT.
pub static RECIPIENT_OK: Reply = Reply::fixed(250, (2, 1, 5), "Recipient ok");
/// A BDAT chunk that is not the last.
pub static CHUNK_OK: Reply = Reply::fixed(250, (2, 0, 0), "Chunk received");
/// The end of mail data.
pub static MESSAGE_OK: Reply = Reply::fixed(250, (2, 0, 0), "Message accepted");
/// VRFY that nobody answers (RFC 5321 section 3.5.3).
pub static CANNOT_VERIFY: Reply =
    Reply::fixed(252, (2, 5, 0), "Cannot verify, but will accept the message and attempt delivery");
/// The reply to VRFY or EXPN would go beyond ASCII, and the client did not say SMTPUTF8 (RFC 6531 section 3.7.4.2).
pub static UTF8_REPLY_NEEDED: Reply =
    Reply::fixed(252, (2, 6, 8), "The reply would be in UTF-8: say SMTPUTF8 behind the command to have it");

/// DATA.
pub static START_MAIL_DATA: Reply = Reply::plain(354, "Start mail data, end with <CRLF>.<CRLF>");

/// The client was silent for too long (RFC 5321 section 4.5.3.2.7).
pub static TIMEOUT: Reply = Reply::fixed(421, (4, 4, 2), "Silent for too long, closing");
/// The client takes too long over a line, or over mail data.
pub static TOO_SLOW: Reply = Reply::fixed(421, (4, 4, 2), "Too slow, closing");
/// The session has lasted for as long as one may.
pub static SESSION_TOO_LONG: Reply = Reply::fixed(421, (4, 3, 2), "The session has lasted too long, connect again");
/// The client is silent within a transaction, and others wait.
pub static CROWDED: Reply = Reply::fixed(421, (4, 3, 2), "Silent while others wait, try again later");
/// No room for another session (RFC 5321 section 3.8): in place of a banner.
pub static TOO_MANY_CONNECTIONS: Reply = Reply::fixed(421, (4, 3, 2), "Too many connections, try again later");
/// The gateway stops.
pub static SHUTDOWN: Reply = Reply::fixed(421, (4, 3, 2), "Going down, try again later");
/// The bound on errors.
pub static TOO_MANY_ERRORS: Reply = Reply::fixed(421, (4, 7, 0), "Too many errors, closing");
/// The bound on failures to authenticate.
pub static TOO_MANY_AUTH_FAILURES: Reply = Reply::fixed(421, (4, 7, 0), "Too many failures to authenticate, closing");
/// A line of HTTP where a command is due.
pub static NOT_HTTP: Reply = Reply::fixed(421, (4, 7, 0), "This is not HTTP, closing");
/// Mail data behind a DATA that was refused.
pub static MAIL_DATA_REFUSED: Reply = Reply::fixed(421, (4, 7, 0), "DATA was refused, and this is no command, closing");
/// The bound on commands that lead to no mail.
pub static TOO_MANY_IDLE_COMMANDS: Reply = Reply::fixed(421, (4, 7, 0), "Too many commands without mail, closing");
/// The bound on transactions.
pub static TOO_MANY_TRANSACTIONS: Reply =
    Reply::fixed(421, (4, 7, 0), "Too many transactions in a session, connect again");
/// Something of ours has failed.
pub static LOCAL_ERROR: Reply = Reply::fixed(451, (4, 3, 0), "Local error, try again later");
/// The bound on recipients (RFC 5321 section 4.5.3.1.10).
pub static TOO_MANY_RECIPIENTS: Reply =
    Reply::fixed(452, (4, 5, 3), "Too many recipients, send the others in another transaction");
/// Another recipient where the outcome of each is told by a reply of its own (RFC 5321 section 4.5.3.1.10).
pub static ONE_RECIPIENT: Reply =
    Reply::fixed(452, (4, 5, 3), "One recipient in a transaction, send this one in another");
/// Nobody can tell whether the credentials are right (RFC 4954 section 6).
pub static AUTHENTICATION_UNAVAILABLE: Reply =
    Reply::fixed(454, (4, 7, 0), "Authentication is not possible now, try again later");
/// TLS is not possible now (RFC 3207 section 4).
pub static TLS_UNAVAILABLE: Reply = Reply::fixed(454, (4, 7, 0), "TLS is not possible now, try again later");

/// A verb that nobody knows.
pub static UNKNOWN_COMMAND: Reply = Reply::fixed(500, (5, 5, 1), "Command not recognized");
/// A line that is no command at all.
pub static NOT_A_COMMAND: Reply = Reply::fixed(500, (5, 5, 2), "Syntax error");
/// CR, LF or NUL within a line. Only CRLF ends one (RFC 5321 section 2.3.8).
pub static LINE_WITH_BARE_OCTETS: Reply =
    Reply::fixed(500, (5, 5, 2), "Bare CR, bare LF or a control character in the command");
/// A command line beyond its bound. X.5.6 is for AUTH alone (RFC 4954 section 6).
pub static COMMAND_LINE_TOO_LONG: Reply = Reply::fixed(500, (5, 5, 2), "Line too long");
/// A line of an AUTH exchange beyond its bound (RFC 4954 section 6).
pub static AUTH_LINE_TOO_LONG: Reply = Reply::fixed(500, (5, 5, 6), "Authentication line too long");

/// HELO, EHLO or LHLO without a name, or with an impossible one.
pub static HELLO_NAME: Reply = Reply::plain(501, "Needs a domain or an address literal");
/// The reverse-path is not one (X.1.7).
pub static REVERSE_PATH: Reply =
    Reply::fixed(501, (5, 1, 7), "Syntax: MAIL FROM:<mailbox>, nothing between the colon and the path");
/// The forward-path is not one (X.1.3).
pub static FORWARD_PATH: Reply =
    Reply::fixed(501, (5, 1, 3), "Syntax: RCPT TO:<mailbox>, nothing between the colon and the path");
/// The reverse-path goes beyond a bound (RFC 5321 section 4.5.3.1.10).
pub static REVERSE_PATH_TOO_LONG: Reply = Reply::fixed(501, (5, 1, 7), "Path too long");
/// The forward-path goes beyond a bound (RFC 5321 section 4.5.3.1.10).
pub static FORWARD_PATH_TOO_LONG: Reply = Reply::fixed(501, (5, 1, 3), "Path too long");
/// An argument that the command does not have (RFC 5321 section 4.1.1).
pub static NO_ARGUMENT_ALLOWED: Reply = Reply::fixed(501, (5, 5, 4), "No argument allowed");
/// An argument is missing, or not what it must be.
pub static ARGUMENT: Reply = Reply::fixed(501, (5, 5, 4), "Missing or malformed argument");
/// An octet beyond ASCII, which only SMTPUTF8 would allow.
pub static NON_ASCII_ARGUMENT: Reply = Reply::fixed(501, (5, 5, 4), "Only ASCII is allowed in the argument");
/// Octets that are not UTF-8, or control characters, where SMTPUTF8 is offered.
pub static NOT_UTF8: Reply = Reply::fixed(501, (5, 5, 2), "Not UTF-8, or a control character in the argument");
/// BDAT without a number of octets.
pub static CHUNK_SIZE: Reply = Reply::fixed(501, (5, 5, 4), "Syntax: BDAT octets [LAST]");
/// A parameter's syntax or value.
pub static PARAMETER_VALUE: Reply = Reply::fixed(501, (5, 5, 4), "Malformed parameter");
/// HOLDFOR or HOLDUNTIL beyond our bound (RFC 4865 section 4).
pub static HOLD_TOO_LONG: Reply = Reply::fixed(501, (5, 5, 4), "Messages are not held for that long");
/// HOLDUNTIL with a time that has passed (RFC 4865 section 4).
pub static HOLD_PAST: Reply = Reply::fixed(501, (5, 5, 4), "The time to hold the message until has passed");
/// A parameter given twice, or one that excludes it.
pub static PARAMETER_TWICE: Reply = Reply::fixed(501, (5, 5, 4), "Parameter given twice");
/// Not base64, or not a message of the mechanism (RFC 4954 section 6).
pub static SASL_SYNTAX: Reply = Reply::fixed(501, (5, 5, 2), "Malformed authentication data");
/// The client has cancelled the exchange by `*` (RFC 4954 section 4).
pub static SASL_CANCELLED: Reply = Reply::fixed(501, (5, 7, 0), "Authentication cancelled");

/// A verb known from a standard, which we do not implement or have switched off.
pub static NOT_IMPLEMENTED: Reply = Reply::fixed(502, (5, 5, 1), "Command not implemented");

/// Anything but QUIT behind a banner that refused (RFC 5321 section 3.1).
pub static UNWELCOME: Reply = Reply::fixed(503, (5, 5, 1), "Refused already, only QUIT is left");
/// A command that a greeting must precede.
pub static GREETING_FIRST: Reply = Reply::fixed(503, (5, 5, 1), "Say EHLO or HELO first");
/// The same in LMTP (RFC 2033 section 4.1).
pub static LHLO_FIRST: Reply = Reply::fixed(503, (5, 5, 1), "Say LHLO first");
/// A command of a service extension in a session that began with HELO.
pub static EHLO_FIRST: Reply = Reply::fixed(503, (5, 5, 1), "Say EHLO first");
/// RCPT, DATA or BDAT without MAIL.
pub static MAIL_FIRST: Reply = Reply::fixed(503, (5, 5, 1), "Say MAIL first");
/// DATA or BDAT without RCPT.
pub static RECIPIENT_FIRST: Reply = Reply::fixed(503, (5, 5, 1), "Say RCPT first");
/// MAIL within a transaction.
pub static TRANSACTION_OPEN: Reply = Reply::fixed(503, (5, 5, 1), "A mail transaction is open already");
/// DATA for a message that was declared to be BINARYMIME (RFC 3030 section 3).
pub static BINARY_NEEDS_CHUNKS: Reply = Reply::fixed(503, (5, 5, 1), "BINARYMIME needs BDAT");
/// RCPT or DATA behind BDAT (RFC 3030 section 2).
pub static CHUNKS_BEGUN: Reply = Reply::fixed(503, (5, 5, 1), "Only BDAT may follow BDAT in a transaction");
/// AUTH twice, or in a transaction (RFC 4954 section 4).
pub static AUTH_NOT_NOW: Reply = Reply::fixed(503, (5, 5, 1), "Authenticated already, or in a mail transaction");
/// STARTTLS twice, or in a transaction.
pub static STARTTLS_NOT_NOW: Reply =
    Reply::fixed(503, (5, 5, 1), "TLS is there already, or a mail transaction is open");

/// XCLIENT or XFORWARD in a transaction.
pub static FORWARD_NOT_NOW: Reply = Reply::fixed(503, (5, 5, 1), "A mail transaction is open");

/// HELP about something that we do not know.
pub static NO_SUCH_TOPIC: Reply = Reply::fixed(504, (5, 5, 4), "No help on this");
/// A mechanism that is not offered (RFC 4954 section 4).
pub static MECHANISM: Reply = Reply::fixed(504, (5, 5, 4), "Authentication mechanism not offered");
/// The listener wants TLS first (RFC 3207 section 4).
pub static TLS_REQUIRED: Reply = Reply::fixed(530, (5, 7, 0), "Must issue a STARTTLS command first");
/// The client has to authenticate first (RFC 4954 section 6).
pub static AUTHENTICATION_REQUIRED: Reply = Reply::fixed(530, (5, 7, 0), "Authentication required");
/// The credentials are wrong, or the authorization identity is another than the authentication identity.
pub static AUTHENTICATION_FAILED: Reply = Reply::fixed(535, (5, 7, 8), "Authentication failed");
/// AUTH in clear where that is not allowed (RFC 4954 section 6).
pub static ENCRYPTION_REQUIRED: Reply = Reply::fixed(538, (5, 7, 11), "Encryption required for authentication");

/// A bare CR in mail data.
pub static BARE_CR: Reply = Reply::fixed(550, (5, 6, 0), "Bare CR in mail data: lines end with CRLF");
/// A bare LF in mail data.
pub static BARE_LF: Reply = Reply::fixed(550, (5, 6, 0), "Bare LF in mail data: lines end with CRLF");
/// A NUL in mail data.
pub static NUL: Reply = Reply::fixed(550, (5, 6, 0), "NUL in mail data");
/// A recipient that nobody has accepted.
pub static RECIPIENT_REFUSED: Reply = Reply::fixed(550, (5, 7, 1), "Recipient not accepted here");
/// More octets than the bound on a message (RFC 1870 section 6).
pub static MESSAGE_TOO_LARGE: Reply = Reply::fixed(552, (5, 3, 4), "Message too large");
/// A mailbox beyond ASCII without SMTPUTF8, or where that is not offered (RFC 6531 section 3.5).
pub static NON_ASCII_MAILBOX: Reply = Reply::fixed(553, (5, 6, 7), "A mailbox beyond ASCII needs SMTPUTF8");
/// DATA or BDAT where every recipient was refused (RFC 5321 section 3.3).
pub static NO_VALID_RECIPIENTS: Reply = Reply::fixed(554, (5, 5, 1), "No valid recipients");
/// A text line beyond its bound. Not 500, which RFC 5321 section 4.3.2 does not list for mail data: a client would take it to be
/// about its command.
pub static TEXT_LINE_TOO_LONG: Reply = Reply::fixed(554, (5, 6, 0), "Line too long in mail data");
/// A parameter that is not offered (RFC 5321 section 4.1.1.11).
pub static PARAMETER_UNKNOWN: Reply = Reply::fixed(555, (5, 5, 4), "Parameter not recognized");
/// BY with less time than we need (RFC 2852 section 4.1).
pub static DELIVER_BY_TOO_SOON: Reply = Reply::fixed(555, (5, 5, 4), "Not enough time to deliver by");

/// To recipients of a server that was silent for too long.
pub static NEXT_HOP_TIMEOUT: Reply = Reply::fixed(451, (4, 4, 1), "The next host does not answer in time");
/// To recipients of a server that has closed the connection before its answer was due.
pub static NEXT_HOP_LOST: Reply = Reply::fixed(451, (4, 4, 2), "The connection to the next host was lost");
/// To recipients of a server that has not answered the end of mail data (RFC 1047).
pub static NEXT_HOP_UNKNOWN: Reply =
    Reply::fixed(451, (4, 4, 2), "The next host has not confirmed the message, it will be sent again");
/// To recipients of a server that can't be reached.
pub static NEXT_HOP_AWAY: Reply = Reply::fixed(451, (4, 4, 1), "The next host can not be reached");
/// To recipients of a server with which TLS can't be had, or whose certificate is not good.
pub static NEXT_HOP_WITHOUT_TLS: Reply = Reply::fixed(451, (4, 7, 5), "No secure connection to the next host");
/// To recipients of a server that does not take our credentials: the operator has to do something.
pub static NEXT_HOP_AUTHENTICATION: Reply = Reply::fixed(451, (4, 3, 5), "The next host does not know this one");
/// To recipients of a server that does not speak SMTP.
pub static NEXT_HOP_PROTOCOL: Reply = Reply::fixed(451, (4, 5, 0), "The next host does not follow the protocol");
/// A message that the server would not take (RFC 1870 section 6.1).
pub static NEXT_HOP_SIZE: Reply = Reply::fixed(552, (5, 3, 4), "Message too large for the next host");
/// A message that would have to be converted (RFC 6152 section 3).
pub static NEXT_HOP_CONVERSION: Reply =
    Reply::fixed(554, (5, 6, 3), "The next host does not take such octets, and nothing is converted");
/// An internationalized header section (RFC 6531 section 3.5).
pub static NEXT_HOP_UTF8: Reply = Reply::fixed(550, (5, 6, 7), "The next host does not offer SMTPUTF8");
/// An internationalized mailbox (RFC 6531 section 3.5).
pub static NEXT_HOP_UTF8_MAILBOX: Reply =
    Reply::fixed(553, (5, 6, 7), "A mailbox beyond ASCII, and the next host does not offer SMTPUTF8");
/// RFC 8689 section 5.
pub static NEXT_HOP_WITHOUT_REQUIRETLS: Reply =
    Reply::fixed(550, (5, 7, 30), "The next host does not offer REQUIRETLS");
/// RFC 2852 section 4: with mode R a message goes to nobody who does not know about it.
pub static NEXT_HOP_WITHOUT_DELIVERBY: Reply = Reply::fixed(550, (5, 3, 3), "The next host does not offer DELIVERBY");
/// RFC 2852 section 4: the time until which it was to be delivered.
pub static DELIVER_BY_PASSED: Reply = Reply::fixed(550, (5, 4, 7), "The time to deliver the message has passed");
/// A message that is to be held (RFC 4865), and that nobody would hold.
pub static NEXT_HOP_WITHOUT_FUTURERELEASE: Reply =
    Reply::fixed(550, (5, 3, 3), "The next host does not offer FUTURERELEASE");
/// A message that has been through too many hosts (RFC 5321 section 6.3).
pub static TOO_MANY_HOPS: Reply = Reply::fixed(554, (5, 4, 6), "Too many Received fields, this is a loop");
