//! The bounds of a session (RFC 5321 section 4.5.3.1) and how long it waits for its client (section 4.5.3.2).

use std::time::Duration;

/// Everything that a client could make large, many or long.
///
/// Lengths count the CRLF of a line. Where RFC 5321 asks for a least value, it is named; less is allowed, and breaks the standard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a command line. RFC 5321 section 4.5.3.1.4 asks for 512, and for more where extensions add parameters.
    pub command_line_octets: usize,
    /// Octets of an AUTH command and of the client's lines in its exchange. RFC 4954 section 4 asks for 12288 octets of base64.
    pub auth_line_octets: usize,
    /// Octets of a local part without its quoting. RFC 5321 section 4.5.3.1.1 asks for 64.
    pub local_part_octets: usize,
    /// Octets of a domain. RFC 5321 section 4.5.3.1.2 asks for 255, and [`Domain`](crate::Domain) never holds more.
    pub domain_octets: usize,
    /// Octets of a path with its brackets. RFC 5321 section 4.5.3.1.3 asks for 256.
    pub path_octets: usize,
    /// Octets of a line of mail data, without the dot added for transparency. RFC 5321 section 4.5.3.1.6 asks for 1000; what is
    /// in use goes far beyond.
    pub text_line_octets: usize,
    /// Octets of a message, which is also the value of SIZE (RFC 1870). RFC 5321 section 4.5.3.1.7 asks for 65536.
    pub message_octets: u64,
    /// Octets of mail data, or of a chunk, that are read although they are refused, so that the client hears why. When more come the
    /// connection is closed.
    pub discarded_octets: u64,
    /// RCPT commands in a transaction, refused ones included. RFC 5321 section 4.5.3.1.8 asks for 100.
    pub recipients: u32,
    /// Transactions in a session.
    pub transactions: u32,
    /// Errors of the client in a session. The one after them is answered by 421, and the connection is closed.
    pub errors: u32,
    /// Failures to authenticate in a session. The one after them is answered by 421, and the connection is closed.
    pub auth_failures: u32,
    /// Commands between two accepted messages that do not lead to one: NOOP, RSET, VRFY, a repeated EHLO, a refused MAIL or RCPT, …
    pub idle_commands: u32,
    /// How long the client may be silent where a command is due. RFC 5321 section 4.5.3.2.7 asks for 5 minutes.
    pub command_patience: Duration,
    /// The same within a mail transaction, where more is held for the client.
    pub transaction_patience: Duration,
    /// How long the client may be silent within mail data. RFC 5321 section 4.5.3.2.5 lets a client take 3 minutes for a block.
    pub data_patience: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            command_line_octets: 2048,
            // The command, a mechanism of 20 letters, the spaces and CRLF come on top of the 12288.
            auth_line_octets: 12_320,
            local_part_octets: 64,
            domain_octets: 255,
            path_octets: 256,
            text_line_octets: 65_536,
            message_octets: 50 * 1024 * 1024,
            discarded_octets: 1024 * 1024 * 1024,
            recipients: 1000,
            transactions: 1_000_000,
            errors: 20,
            auth_failures: 3,
            idle_commands: 100,
            command_patience: Duration::from_secs(5 * 60),
            transaction_patience: Duration::from_secs(5 * 60),
            data_patience: Duration::from_secs(5 * 60),
        }
    }
}
