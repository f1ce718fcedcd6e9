//! The configuration, and what follows from a result of DMARC.

use postgate_sdk::mail_authentication::{ArcResult, DmarcPolicy, DmarcResult, ResultCode};
use postgate_sdk::unit::Network;
use serde::Deserialize;

/// All that the operator has said.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Policy {
    dmarc: Dmarc,
    pub(crate) spf_fail: SpfFail,
    temperror: Temperror,
    multiple_from: MultipleFrom,
    #[serde(deserialize_with = "label")]
    pub(crate) quarantine_label: String,
    #[serde(deserialize_with = "domains")]
    pub(crate) trusted_sealers: Vec<String>,
    pub(crate) exempt: Vec<Network>,
    pub(crate) exempt_authenticated: bool,
    pub(crate) add_field: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            dmarc: Dmarc::Honour,
            spf_fail: SpfFail::Accept,
            temperror: Temperror::Accept,
            multiple_from: MultipleFrom::Reject,
            quarantine_label: "dmarc".to_owned(),
            trusted_sealers: Vec::new(),
            exempt: ["127.0.0.0/8", "::1"].iter().filter_map(|text| Network::parse(text)).collect(),
            exempt_authenticated: true,
            add_field: true,
        }
    }
}

/// Whether it is done what the domain of From asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Dmarc {
    Honour,
    /// It is told in the field, and no more.
    Report,
}

/// What is done where SPF says `fail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SpfFail {
    Accept,
    Reject,
}

/// What is done where DMARC can't be told now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Temperror {
    Accept,
    Defer,
}

/// What is done with authors of different domains: no policy fits, and mail programs show only one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum MultipleFrom {
    Accept,
    Reject,
}

/// What is done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Pass,
    Reject(&'static str),
    Defer(&'static str),
    Quarantine,
}

impl Policy {
    /// What follows; `chance` is below 100.
    pub(crate) fn action(&self, dmarc: &DmarcResult, chance: u8) -> Action {
        match dmarc.code {
            ResultCode::Temperror if self.temperror == Temperror::Defer => {
                Action::Defer("DMARC can't be evaluated now, try again later")
            }
            ResultCode::Permerror if self.multiple_from == MultipleFrom::Reject => {
                Action::Reject("From must name authors of one domain")
            }
            ResultCode::Fail if self.dmarc == Dmarc::Honour => asked(dmarc, chance),
            ResultCode::Pass
            | ResultCode::None
            | ResultCode::Fail
            | ResultCode::Softfail
            | ResultCode::Neutral
            | ResultCode::Policy
            | ResultCode::Temperror
            | ResultCode::Permerror => Action::Pass,
        }
    }
}

impl Policy {
    /// Whether somebody whom the operator believes has sealed that DMARC had passed before he changed the message (RFC 8617 section 7.2.1).
    pub(crate) fn is_vouched_for(&self, arc: &ArcResult) -> bool {
        let is_trusted = |domain: &String| self.trusted_sealers.contains(domain);
        arc.code == ResultCode::Pass
            && arc.dmarc == Some(ResultCode::Pass)
            && arc.domain.as_ref().is_some_and(is_trusted)
    }
}

/// What the domain asks for; of the messages that it does not mean one step less (RFC 7489 section 6.6.4).
fn asked(dmarc: &DmarcResult, chance: u8) -> Action {
    let is_meant = chance < dmarc.percent;
    match (dmarc.policy, is_meant) {
        (Some(DmarcPolicy::Reject), true) => Action::Reject("Rejected by the DMARC policy of the author's domain"),
        (Some(DmarcPolicy::Reject), false) | (Some(DmarcPolicy::Quarantine), true) => Action::Quarantine,
        (Some(DmarcPolicy::Quarantine), false) | (Some(DmarcPolicy::None) | None, _) => Action::Pass,
    }
}

/// In lower case.
fn domains<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let domains = Vec::<String>::deserialize(deserializer)?;
    let is_domain = |domain: &String| {
        let is_label = |label: &str| {
            !label.is_empty() && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
        };
        domain.contains('.') && domain.split('.').all(is_label)
    };
    match domains.iter().find(|domain| !is_domain(domain)) {
        Some(other) => Err(serde::de::Error::custom(format!("{other:?} is not a domain such as lists.example.org"))),
        None => Ok(domains.iter().map(|domain| domain.to_ascii_lowercase()).collect()),
    }
}

fn label<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let label = String::deserialize(deserializer)?;
    let is_label =
        (1..=64).contains(&label.len()) && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
    if is_label { Ok(label) } else { Err(serde::de::Error::custom("a label has 1 to 64 letters, digits and \"-\"")) }
}

#[cfg(test)]
mod tests {
    use postgate_sdk::config;

    use super::*;

    fn result(code: ResultCode, policy: Option<DmarcPolicy>, percent: u8) -> DmarcResult {
        DmarcResult { code, domain: "example.org".to_owned(), policy, percent, dkim_aligned: false, spf_aligned: false }
    }

    #[test]
    fn what_domains_ask_for() {
        let policy: Policy = config::parse("{}").expect("invariant: all has defaults");
        let reject = Action::Reject("Rejected by the DMARC policy of the author's domain");
        for (code, asked, percent, chance, expected) in [
            (ResultCode::Pass, Some(DmarcPolicy::Reject), 100, 0, Action::Pass),
            (ResultCode::Fail, Some(DmarcPolicy::Reject), 100, 99, reject),
            (ResultCode::Fail, Some(DmarcPolicy::Reject), 30, 29, reject),
            (ResultCode::Fail, Some(DmarcPolicy::Reject), 30, 30, Action::Quarantine),
            (ResultCode::Fail, Some(DmarcPolicy::Reject), 0, 0, Action::Quarantine),
            (ResultCode::Fail, Some(DmarcPolicy::Quarantine), 100, 99, Action::Quarantine),
            (ResultCode::Fail, Some(DmarcPolicy::Quarantine), 50, 50, Action::Pass),
            (ResultCode::Fail, Some(DmarcPolicy::None), 100, 0, Action::Pass),
            (ResultCode::Temperror, None, 100, 0, Action::Pass),
            (ResultCode::None, None, 100, 0, Action::Pass),
            (ResultCode::Permerror, None, 100, 0, Action::Reject("From must name authors of one domain")),
        ] {
            assert_eq!(
                policy.action(&result(code, asked, percent), chance),
                expected,
                "{code:?} {asked:?} {percent} {chance}"
            );
        }
        let strict: Policy = config::parse(r#"{"temperror": "defer", "dmarc": "report", "multiple-from": "accept"}"#)
            .expect("invariant: the sample is right");
        assert!(matches!(strict.action(&result(ResultCode::Temperror, None, 100), 0), Action::Defer(_)));
        assert_eq!(strict.action(&result(ResultCode::Fail, Some(DmarcPolicy::Reject), 100), 0), Action::Pass);
        assert_eq!(strict.action(&result(ResultCode::Permerror, None, 100), 0), Action::Pass);
    }

    #[test]
    fn only_trusted_sealers_vouch() {
        let policy: Policy = config::parse(r#"{"trusted-sealers": ["Lists.example.org"]}"#).expect("invariant: right");
        let arc = |code, domain: &str, dmarc| ArcResult { code, sets: 1, domain: Some(domain.to_owned()), dmarc };
        use ResultCode::{Fail, Pass};
        for (code, domain, dmarc, expected) in [
            (Pass, "lists.example.org", Some(Pass), true),
            (Pass, "lists.example.org", Some(Fail), false),
            (Pass, "lists.example.org", None, false),
            (Pass, "sub.lists.example.org", Some(Pass), false),
            (Pass, "evil.example", Some(Pass), false),
            (Fail, "lists.example.org", Some(Pass), false),
        ] {
            assert_eq!(policy.is_vouched_for(&arc(code, domain, dmarc)), expected, "{code:?} {domain} {dmarc:?}");
        }
        let nobody: Policy = config::parse("{}").expect("invariant: all has defaults");
        assert!(!nobody.is_vouched_for(&arc(Pass, "lists.example.org", Some(Pass))));
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (json, expected) in [
            (r#"{"dmarc": "maybe"}"#, "dmarc: unknown variant"),
            (r#"{"quarantine-label": "a b"}"#, "a label has"),
            (r#"{"exempt": ["10.0.0.1/8"]}"#, "exempt[0]: "),
            (r#"{"spf": "reject"}"#, "unknown field"),
            (r#"{"trusted-sealers": ["a b"]}"#, "trusted-sealers: \"a b\" is not a domain"),
        ] {
            let error = config::parse::<Policy>(json).map(drop).map_err(|error| error.to_string());
            assert!(error.as_ref().is_err_and(|error| error.contains(expected)), "{json}: {error:?}");
        }
    }
}
