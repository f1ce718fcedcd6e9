//! The configuration, as the README documents it.

use std::net::IpAddr;

use postgate_sdk::hook::SettingProblem;
use postgate_sdk::unit::{Network, Period, Size};
use serde::Deserialize;

/// The limits, and who is not limited.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) limits: Vec<Limit>,
    #[serde(default)]
    pub(crate) exempt_networks: Vec<Network>,
    #[serde(default = "ipv4_network")]
    pub(crate) ipv4_network: u32,
    #[serde(default = "ipv6_network")]
    pub(crate) ipv6_network: u32,
    #[serde(default)]
    pub(crate) on_unavailable: OnUnavailable,
}

/// So much in a period, for each of those whom it is about.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Limit {
    pub(crate) by: By,
    pub(crate) period: Period,
    pub(crate) messages: Option<u64>,
    pub(crate) recipients: Option<u64>,
    pub(crate) octets: Option<Size>,
}

/// Whom a limit is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum By {
    /// The client's address.
    Address,
    /// The client's network.
    Network,
    /// The client's identity, where it has authenticated.
    Identity,
    /// The domain of the reverse-path; the null reverse-path is one of its own.
    ReversePathDomain,
    /// The recipient.
    Recipient,
}

/// What is done where the store does not answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnUnavailable {
    #[default]
    Pass,
    Defer,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Messages,
    Recipients,
    Octets,
}

impl By {
    /// The word in the configuration, and in the keys of the store.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Network => "network",
            Self::Identity => "identity",
            Self::ReversePathDomain => "reverse-path-domain",
            Self::Recipient => "recipient",
        }
    }
}

impl What {
    /// The word in the configuration, in the keys of the store, and in replies.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Recipients => "recipients",
            Self::Octets => "octets",
        }
    }
}

impl Limit {
    /// The bound on one of the three, if there is any.
    pub(crate) fn most(&self, what: What) -> Option<u64> {
        match what {
            What::Messages => self.messages,
            What::Recipients => self.recipients,
            What::Octets => self.octets.map(|size| size.0),
        }
    }
}

impl Settings {
    /// Whether the operator trusts a client.
    pub(crate) fn is_exempt(&self, client: IpAddr) -> bool {
        self.exempt_networks.iter().any(|network| network.contains(client))
    }

    /// What is wrong beyond the types.
    pub(crate) fn problems(&self) -> Vec<SettingProblem> {
        let problem = |path: &[&str], message: &str| SettingProblem {
            path: path.iter().map(|step| (*step).to_owned()).collect(),
            message: message.to_owned(),
        };
        let mut problems = Vec::new();
        if self.limits.is_empty() {
            problems.push(problem(&["limits"], "there is no limit"));
        }
        for (n, limit) in self.limits.iter().enumerate() {
            let n = n.to_string();
            if limit.messages.is_none() && limit.recipients.is_none() && limit.octets.is_none() {
                problems.push(problem(&["limits", &n], "one of `messages`, `recipients` and `octets` is wanted"));
            }
            if limit.by == By::Recipient && limit.recipients.is_some() {
                problems.push(problem(&["limits", &n, "recipients"], "a recipient is one: limit its `messages`"));
            }
        }
        problems
    }
}

fn ipv4_network() -> u32 {
    24
}

fn ipv6_network() -> u32 {
    64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_limits_are_named() {
        let check = |json: &str, expected: &[&str]| {
            let settings: Settings = postgate_sdk::config::parse(json).unwrap();
            let problems: Vec<String> = settings.problems().iter().map(|problem| problem.path.join(".")).collect();
            assert_eq!(problems, expected, "{json}");
        };
        check(r#"{"limits": []}"#, &["limits"]);
        check(r#"{"limits": [{"by": "address", "period": "1 h", "messages": 5}]}"#, &[]);
        check(r#"{"limits": [{"by": "address", "period": "1 h"}]}"#, &["limits.0"]);
        check(r#"{"limits": [{"by": "recipient", "period": "1 h", "recipients": 5}]}"#, &["limits.0.recipients"]);
        for (json, key) in [
            (r#"{"limits": [{"by": "sender", "period": "1 h"}]}"#, "limits[0].by"),
            (r#"{"limits": [{"by": "address", "period": 60}]}"#, "limits[0].period"),
            (r#"{}"#, ""),
        ] {
            assert_eq!(postgate_sdk::config::parse::<Settings>(json).unwrap_err().key, key, "{json}");
        }
    }
}
