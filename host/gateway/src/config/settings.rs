//! Settings that mean the same in the file and in the finished configuration: words to choose from, limits, a pin.

use std::sync::LazyLock;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::units::{Count, Period, Size};

/// Which events are logged: those of this level and above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// The operator must act.
    Error,
    /// Degraded service, too.
    Warn,
    /// A line for each session, transaction and delivery, too.
    Info,
    /// Commands, too.
    Debug,
    /// Octet counts, too.
    Trace,
}

/// How a log event is written to standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object in a line.
    Json,
}

/// A service extension, by its EHLO keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension(pub postgate_smtp::Extension);

impl Serialize for Extension {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.keyword())
    }
}

impl<'de> Deserialize<'de> for Extension {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let keyword = String::deserialize(deserializer)?;
        let found = postgate_smtp::Extension::from_keyword(&keyword).map(Self);
        found.ok_or_else(|| serde::de::Error::unknown_variant(&keyword, &KEYWORDS))
    }
}

static KEYWORDS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| postgate_smtp::Extension::all().map(postgate_smtp::Extension::keyword).collect());

/// A SASL mechanism by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mechanism(pub postgate_smtp::Mechanism);

impl Serialize for Mechanism {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl<'de> Deserialize<'de> for Mechanism {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let found = postgate_smtp::Mechanism::from_name(&name).map(Self);
        found.ok_or_else(|| serde::de::Error::unknown_variant(&name, &MECHANISMS))
    }
}

static MECHANISMS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| postgate_smtp::Mechanism::all().map(postgate_smtp::Mechanism::name).collect());

impl Mechanism {
    /// Those that every plugin with users and passwords can answer.
    pub(super) fn passwords() -> Vec<Self> {
        vec![Self(postgate_smtp::Mechanism::Plain), Self(postgate_smtp::Mechanism::Login)]
    }
}

/// What is spoken on a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// RFC 5321.
    #[default]
    Smtp,
    /// RFC 2033: a reply for each recipient.
    Lmtp,
}

/// What is done about recipients who may fare differently: SMTP has one reply to mail data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MixedOutcomes {
    /// The worst outcome speaks.
    #[default]
    Worst,
    /// A transaction has one recipient; further ones are deferred.
    OneRecipient,
}

/// What a listener allows its clients. Where RFC 5321 asks for a least value, it is named; less is allowed, and breaks the
/// standard.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "a table of limits")]
pub struct ListenerLimits {
    /// Sessions at the same time. A client beyond is answered by 421.
    pub connections: Count,
    /// Sessions at the same time from one address (IPv4), or one network of 64 bits (IPv6).
    pub connections_per_address: Count,
    /// Octets of a command line; RFC 5321 section 4.5.3.1.4 asks for 512.
    pub command_line_octets: Size,
    /// Octets of an AUTH command and of the client's lines in its exchange; RFC 4954 section 4 asks for 12288.
    pub auth_line_octets: Size,
    /// Octets of a local part; RFC 5321 section 4.5.3.1.1 asks for 64.
    pub local_part_octets: Size,
    /// Octets of a domain; RFC 5321 section 4.5.3.1.2 asks for 255.
    pub domain_octets: Size,
    /// Octets of a path with its brackets; RFC 5321 section 4.5.3.1.3 asks for 256.
    pub path_octets: Size,
    /// Octets of a line of mail data; RFC 5321 section 4.5.3.1.6 asks for 1000.
    pub text_line_octets: Size,
    /// Octets of a message, announced with SIZE; RFC 5321 section 4.5.3.1.7 asks for 64 KiB.
    pub message_octets: Size,
    /// Octets of refused mail data that are read and thrown away before the connection is closed.
    pub discarded_octets: Size,
    /// RCPT commands in a transaction; RFC 5321 section 4.5.3.1.8 asks for 100.
    pub recipients: Count,
    /// Transactions in a session.
    pub transactions: Count,
    /// Errors of the client in a session. The one after them is answered by 421, and the connection is closed.
    pub errors: Count,
    /// Commands between two accepted messages that do not lead to one: NOOP, RSET, VRFY, a refused MAIL or RCPT and the like.
    pub idle_commands: Count,
    /// Failures to authenticate in a session. The one after them is answered by 421, and the connection is closed.
    pub auth_failures: Count,
    /// Failures to authenticate from one address (IPv4), or one network of 64 bits (IPv6), within `auth_failure_period`: from then on until
    /// its end nobody there can authenticate.
    pub auth_failures_per_address: Count,
    /// How long failures of a network are counted, from the first one on.
    pub auth_failure_period: Period,
    /// How long the reply to the first failure of a network is held back; twice as long at each further one, up to 15 seconds.
    pub auth_failure_delay: Period,
    /// How long the client may be silent where a command is due; RFC 5321 section 4.5.3.2.7 asks for 5 minutes.
    pub command_patience: Period,
    /// The same within a mail transaction, where plugins hold memory for it.
    pub transaction_patience: Period,
    /// How long the client may be silent within a transaction while other sessions wait for the instances of plugins.
    pub crowded_patience: Period,
    /// How long a session may last. A transaction that is open then has as much time again.
    pub session_time: Period,
    /// How long mail data may take at any rate.
    pub data_grace: Period,
    /// Octets of mail data in a second, on average, where it takes longer than that; 0 is no bound.
    pub data_rate_min: Size,
    /// How long the client may be silent within mail data; RFC 5321 section 4.5.3.2.5 asks for 3 minutes.
    pub data_patience: Period,
    /// How long a TLS handshake may take in all, and how long a PROXY header.
    pub handshake_patience: Period,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            connections: Count::at_least_one(1000),
            connections_per_address: Count::at_least_one(100),
            command_line_octets: Size(2048),
            auth_line_octets: Size(12_320),
            local_part_octets: Size(64),
            domain_octets: Size(255),
            path_octets: Size(256),
            text_line_octets: Size::kib(64),
            message_octets: Size::mib(50),
            discarded_octets: Size::mib(1024),
            recipients: Count::at_least_one(1000),
            transactions: Count::at_least_one(1_000_000),
            errors: Count::at_least_one(20),
            idle_commands: Count::at_least_one(100),
            auth_failures: Count::at_least_one(3),
            auth_failures_per_address: Count::at_least_one(20),
            auth_failure_period: Period::seconds(600),
            auth_failure_delay: Period::seconds(1),
            command_patience: Period::seconds(300),
            transaction_patience: Period::seconds(300),
            crowded_patience: Period::seconds(10),
            session_time: Period::seconds(3600),
            data_grace: Period::seconds(300),
            data_rate_min: Size(500),
            data_patience: Period::seconds(300),
            handshake_patience: Period::seconds(30),
        }
    }
}

/// What one plugin may use. Running out of any is a failure with a cause, never a crash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PluginLimits {
    /// Fuel for one call, and as much again for making the instance.
    pub fuel: u64,
    /// All linear memories of an instance together.
    pub memory: Size,
    /// Wall-clock time of one call, waiting for host services included.
    pub deadline: Period,
    /// Instances of this plugin at the same time.
    pub instances: Count,
    /// Elements of all tables of an instance together.
    pub table_elements: u32,
    /// Calls of host services that one call of a hook may make.
    pub service_calls: u32,
    /// What one call may write into the log.
    pub log_octets: Size,
    /// All notes of a session together, names included.
    pub note_octets: Size,
    /// What the edits of one message may add.
    pub edit_octets: Size,
    /// Figures of its own among the metrics.
    pub figures: u32,
    /// What one host call, or the result of a hook, may copy out of the guest.
    pub transfer_octets: Size,
}
