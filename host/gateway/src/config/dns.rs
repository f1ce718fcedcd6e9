//! The settings of the DNS, and of keys that sign: as they are written, and as they hold.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use postgate_plugin::signing::{Algorithm, DEFAULT_FIELDS, DEFAULT_OVERSIGNED};
use serde::{Deserialize, Deserializer, Serialize};

use super::name::Hostname;
use super::units::{Count, Period};

/// Where names are looked up, and what that may cost.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "a table [dns]")]
pub struct Dns {
    /// Resolvers; none are those of the machine.
    pub servers: Vec<NameServer>,
    /// How long one server may take to answer.
    pub timeout: Period,
    /// How often it is asked, until it does.
    pub attempts: Count,
    /// Answers that are kept.
    pub cache_entries: Count,
    /// Look-ups at a time.
    pub lookups: Count,
    /// Look-ups at a time of one plugin.
    pub lookups_per_plugin: Count,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: Period::seconds(2),
            attempts: Count::at_least_one(2),
            cache_entries: Count::at_least_one(10_000),
            lookups: Count::at_least_one(1000),
            lookups_per_plugin: Count::at_least_one(200),
        }
    }
}

/// The address of a resolver; port 53 where none is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct NameServer(pub SocketAddr);

impl<'de> Deserialize<'de> for NameServer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let alone = || text.parse::<IpAddr>().map(|address| SocketAddr::new(address, 53));
        text.parse().or_else(|_| alone()).map(Self).map_err(|_| {
            let shown = text.escape_debug();
            serde::de::Error::custom(format!(
                "\"{shown}\" is not the address of a name server, such as \"192.0.2.53\" or \"[2001:db8::53]:53\""
            ))
        })
    }
}

/// A key that signs mail.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table [dkim-key.NAME]")]
pub struct DkimKey {
    /// `d=`
    pub domain: Hostname,
    /// `s=`
    pub selector: String,
    /// `a=`
    pub algorithm: DkimAlgorithm,
    /// Where the private key is.
    pub key: KeySource,
    /// Fields that are signed where they are there.
    #[serde(default = "default_fields")]
    pub fields: Vec<String>,
    /// Those among them of which none may be added.
    #[serde(default = "default_oversigned")]
    pub oversigned: Vec<String>,
    /// After that time signatures are no longer good; none is never.
    pub expires: Option<Period>,
}

/// Where a private key is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged, expecting = "the file of a private key, or { secret = \"NAME\" }")]
pub enum KeySource {
    /// A file in PEM.
    File(PathBuf),
    /// One of the secrets, in PEM.
    Secret(KeySecret),
}

/// Which of the secrets a key is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KeySecret {
    /// The name of a table `[secret.NAME]`.
    pub secret: String,
}

fn default_fields() -> Vec<String> {
    DEFAULT_FIELDS.iter().map(|name| (*name).to_owned()).collect()
}

fn default_oversigned() -> Vec<String> {
    DEFAULT_OVERSIGNED.iter().map(|name| (*name).to_owned()).collect()
}

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum DkimAlgorithm {
    /// RFC 6376.
    #[serde(rename = "rsa-sha256")]
    RsaSha256,
    /// RFC 8463.
    #[serde(rename = "ed25519-sha256")]
    Ed25519Sha256,
}

impl From<DkimAlgorithm> for Algorithm {
    fn from(algorithm: DkimAlgorithm) -> Self {
        match algorithm {
            DkimAlgorithm::RsaSha256 => Self::RsaSha256,
            DkimAlgorithm::Ed25519Sha256 => Self::Ed25519Sha256,
        }
    }
}

impl DkimKey {
    /// What is wrong with it beyond its words: the setting, and why.
    pub(super) fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if self.domain.as_str().starts_with('[') {
            problems.push(("domain", "an address literal can't sign: a domain is wanted".to_owned()));
        }
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
        };
        if self.selector.len() > 200 || !self.selector.split('.').all(label) {
            let message = format!(
                "\"{}\" is not a selector: labels of letters, digits, \"-\" and \"_\"",
                self.selector.escape_debug()
            );
            problems.push(("selector", message));
        }
        if matches!(&self.key, KeySource::File(file) if file.as_os_str().is_empty()) {
            problems.push(("key", "an empty path".to_owned()));
        }
        if self.expires == Some(Period::seconds(0)) {
            problems.push(("expires", "must not be 0".to_owned()));
        }
        let is_name = |name: &String| {
            (1..=100).contains(&name.len())
                && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
        };
        for (setting, names) in [("fields", &self.fields), ("oversigned", &self.oversigned)] {
            if let Some(bad) = names.iter().find(|name| !is_name(name)) {
                problems.push((setting, format!("\"{}\" is not the name of a header field", bad.escape_debug())));
            }
            if names.len() > FIELDS_MAX {
                problems.push((setting, format!("more than {FIELDS_MAX} names")));
            }
        }
        if !self.fields.iter().any(|name| name.eq_ignore_ascii_case("from")) {
            problems.push(("fields", "\"From\" must be among them (RFC 6376 section 5.4)".to_owned()));
        }
        let signed = |name: &String| self.fields.iter().any(|field| field.eq_ignore_ascii_case(name));
        if let Some(other) =
            self.oversigned.iter().find(|name| !signed(name)).filter(|_| self.oversigned != default_oversigned())
        {
            problems.push(("oversigned", format!("\"{}\" is not among the `fields`", other.escape_debug())));
        }
        problems
    }
}

/// Names in one list of fields.
const FIELDS_MAX: usize = 100;
