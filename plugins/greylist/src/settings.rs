//! The configuration, as the README documents it.

use std::net::IpAddr;

use postgate_sdk::Mailbox;
use postgate_sdk::unit::{Network, Period};
use serde::Deserialize;

/// Everything has a default.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Settings {
    pub(crate) delay: Period,
    pub(crate) retry_window: Period,
    pub(crate) remember: Period,
    pub(crate) trust_after: u32,
    pub(crate) ipv4_network: u32,
    pub(crate) ipv6_network: u32,
    pub(crate) exempt_networks: Vec<Network>,
    pub(crate) exempt_reverse_paths: Vec<String>,
    pub(crate) exempt_recipients: Vec<String>,
    pub(crate) on_unavailable: OnUnavailable,
}

/// What is done where the store does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnUnavailable {
    Pass,
    Defer,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            delay: Period::seconds(300),
            retry_window: Period::seconds(86_400),
            remember: Period::seconds(36 * 86_400),
            trust_after: 5,
            ipv4_network: 24,
            ipv6_network: 64,
            exempt_networks: Vec::new(),
            exempt_reverse_paths: Vec::new(),
            exempt_recipients: Vec::new(),
            on_unavailable: OnUnavailable::Pass,
        }
    }
}

impl Settings {
    /// Whether the operator trusts one of the three.
    pub(crate) fn is_exempt(&self, client: IpAddr, reverse_path: Option<&Mailbox>, recipient: &Mailbox) -> bool {
        self.exempt_networks.iter().any(|network| network.contains(client))
            || reverse_path.is_some_and(|mailbox| names(&self.exempt_reverse_paths, mailbox))
            || names(&self.exempt_recipients, recipient)
    }
}

/// Whether a list names a mailbox, or its domain.
fn names(list: &[String], mailbox: &Mailbox) -> bool {
    let full = mailbox.to_string();
    list.iter().any(|name| name.eq_ignore_ascii_case(&full) || name.eq_ignore_ascii_case(&mailbox.domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exemptions() {
        let json = r#"{"exempt-networks": ["192.0.2.0/24"], "exempt-reverse-paths": ["example.net"],
            "exempt-recipients": ["Postmaster@example.org"]}"#;
        let settings: Settings = postgate_sdk::config::parse(json).unwrap();
        let check = |client: &str, from: Option<&str>, to: &str, expected: bool| {
            let from = from.map(|from| Mailbox::parse(from).unwrap());
            let exempt = settings.is_exempt(client.parse().unwrap(), from.as_ref(), &Mailbox::parse(to).unwrap());
            assert_eq!(exempt, expected, "{client} {from:?} {to}");
        };
        check("192.0.2.9", None, "bob@example.org", true);
        check("198.51.100.1", None, "bob@example.org", false);
        check("198.51.100.1", Some("a@example.net"), "bob@example.org", true);
        check("198.51.100.1", Some("a@sub.example.net"), "bob@example.org", false);
        check("198.51.100.1", None, "postmaster@example.org", true);
    }

    #[test]
    fn wrong_settings_are_named() {
        for (json, key) in [
            (r#"{"delay": 5}"#, "delay"),
            (r#"{"trust-after": -1}"#, "trust-after"),
            (r#"{"exempt-networks": ["192.0.2.1/24"]}"#, "exempt-networks[0]"),
            (r#"{"on-unavailable": "skip"}"#, "on-unavailable"),
            (r#"{"delays": "5 min"}"#, "delays"),
        ] {
            assert_eq!(postgate_sdk::config::parse::<Settings>(json).unwrap_err().key, key);
        }
    }
}
