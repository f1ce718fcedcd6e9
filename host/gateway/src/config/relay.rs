//! The settings of relays: servers that plugins may hand messages to.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::name::Hostname;
use super::settings::{Mechanism, Protocol};
use super::tls::Certificate;
use super::units::{Count, Period};

/// A relay, as it is written and, but for its paths and its name for us, as it holds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table [relay.NAME]")]
pub struct Relay {
    /// Its name, which is looked up, and which its certificate must have.
    pub host: String,
    /// Where it is, in place of what its name is looked up to.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// The port.
    #[serde(default = "submission")]
    pub port: u16,
    /// What is spoken.
    #[serde(default)]
    pub protocol: Protocol,
    /// How TLS is used.
    #[serde(default)]
    pub tls: RelayTls,
    /// The file of the authorities' certificates, in PEM; else those of the system.
    pub ca: Option<PathBuf>,
    /// The name that its certificate must have, if not the host's.
    pub server_name: Option<String>,
    /// What we show of ourselves, if it asks for a certificate.
    pub certificate: Option<Certificate>,
    /// Who we are to it.
    pub auth: Option<RelayAuth>,
    /// Our name in EHLO; else the gateway's.
    pub hello: Option<Hostname>,
    /// Connections at the same time.
    #[serde(default = "connections")]
    pub connections: Count,
    /// Messages on one connection.
    #[serde(default = "messages")]
    pub messages: Count,
    /// How long a connection is kept that nobody uses.
    #[serde(default = "idle")]
    pub idle: Period,
    /// How long it may take to connect.
    #[serde(default = "connect_patience")]
    pub connect_patience: Period,
    /// How long a reply to a command may take (RFC 5321 section 4.5.3.2).
    #[serde(default = "command_patience")]
    pub command_patience: Period,
    /// How long a piece of mail data may take to be sent.
    #[serde(default = "data_patience")]
    pub data_patience: Period,
    /// How long the reply to the end of mail data may take.
    #[serde(default = "end_patience")]
    pub end_patience: Period,
}

/// How TLS is used with a relay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelayTls {
    /// By STARTTLS, verified; else there is no mail.
    #[default]
    Required,
    /// From the first octet on, verified.
    Implicit,
    /// By STARTTLS where it is offered, not verified.
    Opportunistic,
    /// In clear.
    None,
}

/// Who we are to a relay.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a table such as { user = \"gateway\", password = { secret = \"upstream\" } }"
)]
pub struct RelayAuth {
    /// The user's name. With EXTERNAL it may be empty: then we are whom our certificate names.
    #[serde(default)]
    pub user: String,
    /// The password or token; with EXTERNAL there is none.
    pub password: Option<RelayPassword>,
    /// The only mechanism that is used; else the best that is offered. OAUTHBEARER and XOAUTH2 take the password for a token.
    pub mechanism: Option<Mechanism>,
}

/// Which of the secrets a password is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table { secret = \"NAME\" }")]
pub struct RelayPassword {
    /// The name of a table `[secret.NAME]`.
    pub secret: String,
}

const fn submission() -> u16 {
    587
}

const fn connections() -> Count {
    Count::at_least_one(10)
}

const fn messages() -> Count {
    Count::at_least_one(100)
}

const fn idle() -> Period {
    Period::seconds(30)
}

const fn connect_patience() -> Period {
    Period::seconds(30)
}

const fn command_patience() -> Period {
    Period::seconds(300)
}

const fn data_patience() -> Period {
    Period::seconds(180)
}

const fn end_patience() -> Period {
    Period::seconds(600)
}
