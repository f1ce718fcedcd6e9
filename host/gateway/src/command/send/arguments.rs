//! What `postgate send` can be told, as its user reads it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::config::{Period, Size};

/// What `postgate send` is told.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Send {
    /// The server: a name or an address, with a port unless it is 25 (24 with --lmtp, 465 with --tls implicit)
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(super) server: String,
    /// The reverse-path; "<>" is the null one
    #[arg(long, value_name = "MAILBOX")]
    pub(super) from: Option<String>,
    /// A recipient; can be given several times
    #[arg(long, value_name = "MAILBOX")]
    pub(super) to: Vec<String>,
    /// Recipients from a file, one a line; empty lines and those that begin with # are skipped
    #[arg(long, value_name = "FILE")]
    pub(super) recipients: Option<PathBuf>,

    /// The message, - for standard input; a bare LF is sent as CRLF. Without it a message is composed
    #[arg(long, value_name = "FILE", help_heading = "Message", conflicts_with_all = ["subject", "body", "size"])]
    pub(super) message: Option<PathBuf>,
    /// The subject of the message that is composed
    #[arg(long, value_name = "TEXT", help_heading = "Message")]
    pub(super) subject: Option<String>,
    /// Its text
    #[arg(long, value_name = "TEXT", help_heading = "Message")]
    pub(super) body: Option<String>,
    /// Its size, such as 25MiB: lines are added to the text until it has exactly that
    #[arg(long, value_name = "SIZE", help_heading = "Message")]
    pub(super) size: Option<Size>,

    /// STARTTLS, TLS from the first octet, or none; the certificate is verified [default: STARTTLS where it is offered,
    /// with whoever is there; implicit on port 465]
    #[arg(long, value_enum, value_name = "HOW", help_heading = "TLS and AUTH")]
    pub(super) tls: Option<Tls>,
    /// Authorities that are believed, in PEM, in place of the system's
    #[arg(long, value_name = "FILE", help_heading = "TLS and AUTH")]
    pub(super) ca: Option<PathBuf>,
    /// Any certificate will do
    #[arg(long, help_heading = "TLS and AUTH", conflicts_with = "ca")]
    pub(super) insecure: bool,
    /// The name that the certificate must have, where it is not the server's
    #[arg(long, value_name = "NAME", help_heading = "TLS and AUTH")]
    pub(super) server_name: Option<String>,
    /// Our own certificate, with those between it and the authority's, in PEM
    #[arg(long, value_name = "FILE", help_heading = "TLS and AUTH", requires = "client_key")]
    pub(super) client_certificate: Option<PathBuf>,
    /// Its key, in PEM
    #[arg(long, value_name = "FILE", help_heading = "TLS and AUTH", requires = "client_certificate")]
    pub(super) client_key: Option<PathBuf>,
    /// PLAIN, LOGIN, SCRAM-SHA-256, SCRAM-SHA-256-PLUS, OAUTHBEARER, XOAUTH2 or EXTERNAL [default: with --user the best that is offered]
    #[arg(long, value_name = "MECHANISM", help_heading = "TLS and AUTH")]
    pub(super) auth: Option<String>,
    /// Who we are
    #[arg(long, value_name = "NAME", help_heading = "TLS and AUTH")]
    pub(super) user: Option<String>,
    /// The password or token is the first line of this file, - for standard input; at a terminal it is asked for
    #[arg(long, value_name = "FILE", help_heading = "TLS and AUTH", requires = "user")]
    pub(super) password_file: Option<PathBuf>,

    /// LMTP (RFC 2033) instead of SMTP
    #[arg(long, help_heading = "Dialogue")]
    pub(super) lmtp: bool,
    /// Our name in EHLO [default: that of this machine]
    #[arg(long, value_name = "NAME", help_heading = "Dialogue")]
    pub(super) helo: Option<String>,
    /// Mail data by BDAT (RFC 3030), in chunks of that size [default size: 1MiB]
    #[arg(long, value_name = "SIZE", num_args = 0..=1, default_missing_value = "1MiB", help_heading = "Dialogue")]
    pub(super) bdat: Option<Size>,
    /// Commands go out together even where the server does not offer that
    #[arg(long, help_heading = "Dialogue", conflicts_with = "no_pipelining")]
    pub(super) pipelining: bool,
    /// Every command waits for its reply, even where the server offers PIPELINING
    #[arg(long, help_heading = "Dialogue")]
    pub(super) no_pipelining: bool,
    /// A parameter of MAIL, such as BODY=BINARYMIME or RET=HDRS; can be given several times. It is sent whatever the server offers
    #[arg(long, value_name = "X[=Y]", help_heading = "Dialogue")]
    pub(super) mail_parameter: Vec<String>,
    /// A parameter of each RCPT, such as NOTIFY=NEVER; as above
    #[arg(long, value_name = "X[=Y]", help_heading = "Dialogue")]
    pub(super) rcpt_parameter: Vec<String>,
    /// An attribute of Postfix's XCLIENT, such as ADDR=192.0.2.7 or ADDR=IPV6:2001:db8::7; can be given several times
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Dialogue")]
    pub(super) xclient: Vec<String>,
    /// A PROXY header of this version in front of everything
    #[arg(long, value_enum, value_name = "VERSION", help_heading = "Dialogue", requires = "proxy_source")]
    pub(super) proxy: Option<Proxy>,
    /// Whom the PROXY header speaks for
    #[arg(long, value_name = "IP:PORT", help_heading = "Dialogue", requires = "proxy")]
    pub(super) proxy_source: Option<SocketAddr>,
    /// QUIT behind the reply to this
    #[arg(long, value_enum, value_name = "STAGE", help_heading = "Dialogue")]
    pub(super) quit_after: Option<Stage>,
    /// How long the server may take for each reply, and a connection to be made
    #[arg(long, value_name = "PERIOD", default_value = "60s", help_heading = "Dialogue")]
    pub(super) timeout: Period,

    /// So many messages, with a summary in place of the transcript
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000), help_heading = "Load")]
    pub(super) count: u32,
    /// Over so many connections at the same time
    #[arg(long, value_name = "M", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000), help_heading = "Load")]
    pub(super) connections: u32,

    /// Writes the session as a dialogue that `postgate test` plays; a password is in it as it was sent
    #[arg(long, value_name = "FILE.dlg", help_heading = "Output")]
    pub(super) record: Option<PathBuf>,
    /// As a JSON object
    #[arg(long, help_heading = "Output")]
    pub(super) json: bool,
    /// No transcript, only what became of each recipient
    #[arg(long, help_heading = "Output")]
    pub(super) quiet: bool,
}

/// How TLS is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Tls {
    Starttls,
    Implicit,
    None,
}

/// A version of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Proxy {
    V1,
    V2,
}

/// Where the dialogue ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Stage {
    Banner,
    /// The first EHLO, LHLO or HELO
    Helo,
    /// The EHLO below TLS
    Tls,
    Auth,
    Mail,
    Rcpt,
}

const HELP: &str = "\
A message that is composed has Date, Message-ID, From, To and Subject. Dots are doubled, and 8BITMIME and SMTPUTF8 are declared where the message \
needs them and the server offers them. With BODY=BINARYMIME a message is sent octet for octet.

The transcript has lines C: for the client and S: for the server; passwords are not shown, and of mail data the beginning. Lines with # say what \
else has happened.

Without --tls nobody's certificate is verified: a password then goes to this machine alone, and for another --tls says how it may.

  postgate send --server 127.0.0.1:2525 --from alice@example.org --to bob@example.org --user alice@example.org --password-file -
  postgate send --server mx.example.org --tls starttls --from a@example.com --to b@example.org --message mail.eml --bdat 64KiB
  postgate send --server 127.0.0.1:2525 --from a@example.com --to b@example.org --size 10KiB --count 1000 --connections 10

Exit codes: 0 all recipients taken, 64 wrong command line, 65 a message, certificate, password or list of recipients that can't be used, 66 a file can't be read, 69 the \
server can't be reached, or is silent, or closes the connection, 73 the dialogue can't be written, 74 output can't be written, 75 a recipient or the session was deferred (4yz), 76 the \
server does not follow the protocol, or does not offer what was asked for, or TLS fails, 77 a recipient or the session was refused (5yz). Where \
several hold: a connection that failed goes first, then 77, then 75";
