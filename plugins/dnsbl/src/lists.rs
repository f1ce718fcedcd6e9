//! The configuration, and what the answers of lists weigh.

use std::net::IpAddr;

use postgate_sdk::unit::{self, Network};
use serde::Deserialize;

/// All that the operator has said.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Table")]
pub(crate) struct Lists {
    pub(crate) lists: Vec<List>,
    threshold: i64,
    pub(crate) at: Moment,
    pub(crate) exempt: Vec<Network>,
    pub(crate) unavailable: Unavailable,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    lists: Vec<List>,
    #[serde(default = "one")]
    threshold: i64,
    #[serde(default)]
    at: Moment,
    #[serde(default = "local")]
    exempt: Vec<Network>,
    #[serde(default)]
    unavailable: Unavailable,
}

/// One list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct List {
    pub(crate) zone: String,
    /// Below 0 for an allow list.
    #[serde(default = "one")]
    weight: i64,
    /// Only these answers count; all where there are none.
    #[serde(default)]
    codes: Vec<Network>,
    /// Instead of the usual text.
    reply: Option<String>,
}

/// When clients are refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Moment {
    /// Before the banner.
    Connect,
    /// At RCPT, where it is known who has authenticated.
    #[default]
    Recipient,
}

/// What is done about a client of whom a list says nothing because it does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unavailable {
    /// As if it were not listed.
    #[default]
    Accept,
    /// Unless the others are enough to refuse it.
    Defer,
}

/// What all answers come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Weighed {
    Fine,
    /// With the text of the refusal.
    Listed(String),
    /// A list that does not answer might have made a difference.
    Unknown,
}

impl Weighed {
    pub(crate) fn note(&self) -> String {
        match self {
            Self::Fine | Self::Unknown => String::new(),
            Self::Listed(text) => text.clone(),
        }
    }

    pub(crate) fn from_note(note: &str) -> Self {
        if note.is_empty() { Self::Fine } else { Self::Listed(note.to_owned()) }
    }
}

impl TryFrom<Table> for Lists {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let Table { lists, threshold, at, exempt, unavailable } = table;
        if lists.is_empty() || lists.len() > MAX_LISTS {
            return Err(format!("`lists` has 1 to {MAX_LISTS} lists"));
        }
        if threshold < 1 {
            return Err("`threshold` is 1 or more".to_owned());
        }
        for List { zone, weight, reply, .. } in &lists {
            let is_name = zone.contains('.')
                && zone.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-._".contains(&octet));
            if !is_name {
                return Err(format!("{zone:?} is not the zone of a list"));
            }
            if *weight == 0 || weight.abs() > MAX_WEIGHT {
                return Err(format!("the weight of {zone:?} is not 0, and at most {MAX_WEIGHT} up or down"));
            }
            let is_text = |text: &String| {
                (1..=400).contains(&text.len()) && text.bytes().all(|octet| matches!(octet, b' '..=b'~'))
            };
            if !reply.as_ref().is_none_or(is_text) {
                return Err(format!("the reply of {zone:?} is a line of 1 to 400 printable ASCII characters"));
            }
        }
        Ok(Self { lists, threshold, at, exempt, unavailable })
    }
}

impl Lists {
    /// Sums up.
    pub(crate) fn weigh(&self, address: &str, answers: &[(&List, Vec<String>)]) -> Weighed {
        let counts = |list: &List, codes: &[String]| {
            codes.iter().any(|code| list.codes.is_empty() || unit::contain(&list.codes, code))
        };
        let hits = answers.iter().filter(|(list, codes)| counts(list, codes)).map(|(list, _)| *list);
        let hits: Vec<&List> = hits.collect();
        let score: i64 = hits.iter().map(|list| list.weight).sum();
        let heaviest = hits.iter().filter(|list| list.weight > 0).max_by_key(|list| list.weight);
        match heaviest {
            Some(list) if score >= self.threshold => {
                let usual = || format!("Client [{address}] is listed at {}", list.zone);
                Weighed::Listed(list.reply.as_ref().map_or_else(usual, |text| text.replace("$address", address)))
            }
            Some(_) | None => Weighed::Fine,
        }
    }
}

fn one() -> i64 {
    1
}

/// The machine itself.
fn local() -> Vec<Network> {
    let network = |address: IpAddr, prefix: u8| Network::parse(&format!("{address}/{prefix}"));
    let loopback = [network([127, 0, 0, 0].into(), 8), network(std::net::Ipv6Addr::LOCALHOST.into(), 128)];
    loopback.into_iter().flatten().collect()
}

/// A look-up for each, one after the other.
const MAX_LISTS: usize = 20;
const MAX_WEIGHT: i64 = 1_000_000;

#[cfg(test)]
mod tests {
    use postgate_sdk::config;

    use super::*;

    #[test]
    fn weights() {
        let lists: Lists = config::parse(
            r#"{"threshold": 3, "lists": [
                {"zone": "bad.example", "weight": 3, "codes": ["127.0.0.2", "127.0.0.8/29"], "reply": "Go away, $address"},
                {"zone": "grey.example", "weight": 2},
                {"zone": "good.example", "weight": -2}
            ]}"#,
        )
        .expect("invariant: the sample is right");
        let check = |answers: [&str; 3], expected: Option<&str>| {
            let found = answers.map(|codes| codes.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
            let answers: Vec<_> = lists.lists.iter().zip(found).collect();
            let expected = expected.map_or(Weighed::Fine, |text| Weighed::Listed(text.to_owned()));
            assert_eq!(lists.weigh("192.0.2.1", &answers), expected);
            assert_eq!(Weighed::from_note(&expected.note()), expected);
        };
        check(["", "", ""], None);
        check(["127.0.0.2", "", ""], Some("Go away, 192.0.2.1"));
        check(["127.0.0.3 127.0.0.9", "", ""], Some("Go away, 192.0.2.1"));
        check(["127.0.0.3", "127.0.0.2", ""], None);
        check(["127.0.0.2", "127.0.0.2", "127.0.0.2"], Some("Go away, 192.0.2.1"));
        check(["127.0.0.2", "", "127.0.0.2"], None);
        check(["", "", "127.0.0.2"], None);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let check = |json: &str, expected: &str| {
            let error = config::parse::<Lists>(json).map(drop).map_err(|error| error.to_string());
            assert!(error.as_ref().is_err_and(|error| error.contains(expected)), "{json}: {error:?}");
        };
        check("{}", "missing field `lists`");
        check(r#"{"lists": []}"#, "1 to 20");
        check(r#"{"lists": [{"zone": "x y"}]}"#, "not the zone");
        check(r#"{"lists": [{"zone": "a.example", "weight": 0}]}"#, "weight");
        check(r#"{"lists": [{"zone": "a.example", "codes": ["x"]}]}"#, "or a network");
        check(r#"{"lists": [{"zone": "a.example", "reply": "a\r\nb"}]}"#, "printable");
        check(r#"{"lists": [{"zone": "a.example"}], "threshold": 0}"#, "threshold");
        check(r#"{"lists": [{"zone": "a.example"}], "at": "quit"}"#, "unknown variant");
    }
}
