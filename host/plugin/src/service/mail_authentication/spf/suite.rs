//! The test suite of RFC 7208, without a socket.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hickory_resolver::proto::rr::Name;
use serde::Deserialize;
use serde_json::Value;

use super::Inquiry;
use super::lookups::{Answer, Family, Lookups, Unanswered};
use super::macros::MacroString;
use super::record::Record;
use crate::bindings::postgate::mail::mail_authentication::ResultCode;
use crate::bindings::postgate::mail::types::Mailbox;

/// The records of each name, by their types.
pub(in super::super) type Zone = BTreeMap<String, Vec<(String, Value)>>;

#[derive(Deserialize)]
struct Scenario {
    description: String,
    zone: Zone,
    tests: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    helo: String,
    host: IpAddr,
    mailfrom: String,
    result: Vec<String>,
    explanation: Option<String>,
}

/// A text as the octets that its characters stand for.
pub(in super::super) fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect()
}

impl Scenario {
    /// The records of that type, behind aliases.
    fn records(&self, name: &Name, kind: &str) -> Answer<&Value> {
        let mut name: String =
            name.iter().map(|label| str::from_utf8(label).unwrap().to_ascii_lowercase() + ".").collect();
        for _ in 0..MAX_ALIASES {
            let Some(records) = self.zone.get(name.trim_end_matches('.')) else { return Ok(Vec::new()) };
            let of = |wanted: &str| {
                records.iter().filter(|(kind, _)| kind == wanted).map(|(_, value)| value).collect::<Vec<_>>()
            };
            let found = of(kind);
            match (of("CNAME").first(), of("TIMEOUT").is_empty()) {
                (None, false) if found.is_empty() => return Err(Unanswered),
                (Some(alias), _) if found.is_empty() => name = alias.as_str().unwrap().to_ascii_lowercase(),
                (None | Some(_), _) => return Ok(found),
            }
        }
        Err(Unanswered)
    }

    fn names(&self, name: &Name, kind: &str) -> Answer<Name> {
        let parsed = |value: &Value| {
            let text = value.as_str().or_else(|| value[1].as_str()).unwrap();
            let labels = text.split('.').filter(|label| !label.is_empty()).map(str::as_bytes);
            Name::from_labels(labels).unwrap()
        };
        Ok(self.records(name, kind)?.into_iter().map(parsed).collect())
    }
}

impl Lookups for Scenario {
    async fn texts(&self, name: &Name) -> Answer<Vec<u8>> {
        let strings = |value: &Value| match value.as_array() {
            Some(strings) => strings.iter().flat_map(|string| latin1(string.as_str().unwrap())).collect(),
            None => latin1(value.as_str().unwrap()),
        };
        Ok(self.records(name, "TXT")?.into_iter().map(strings).collect())
    }

    async fn addresses(&self, name: &Name, family: Family) -> Answer<IpAddr> {
        let kind = match family {
            Family::V4 => "A",
            Family::V6 => "AAAA",
        };
        Ok(self.records(name, kind)?.into_iter().map(|value| value.as_str().unwrap().parse().unwrap()).collect())
    }

    async fn exchanges(&self, name: &Name) -> Answer<Name> {
        self.names(name, "MX")
    }

    async fn pointers(&self, address: IpAddr) -> Answer<Name> {
        self.names(&Name::from(address), "PTR")
    }
}

impl Case {
    fn inquiry(&self) -> Inquiry {
        let (local_part, domain) = self.mailfrom.rsplit_once('@').unwrap_or(("", &self.mailfrom));
        let mailbox = || Mailbox { local_part: local_part.to_owned(), domain: domain.to_owned() };
        Inquiry {
            client: self.host,
            hello: self.helo.clone(),
            reverse_path: (!self.mailfrom.is_empty()).then(mailbox),
            hostname: "receiver.example".into(),
            now_s: 0,
        }
    }

    /// What is wrong.
    async fn failure(&self, lookups: &impl Lookups) -> Option<String> {
        let result = self.inquiry().check(lookups).await;
        let is_explained = match self.explanation.as_deref() {
            None => true,
            Some("DEFAULT") => result.explanation.is_none(),
            wanted => result.explanation.as_deref() == wanted,
        };
        let is_expected = self.result.iter().any(|expected| expected == word(result.code));
        (!is_expected || !is_explained)
            .then(|| format!("{}: {:?} {:?}, not {result:?}", self.name, self.result, self.explanation))
    }
}

fn word(code: ResultCode) -> &'static str {
    match code {
        ResultCode::None => "none",
        ResultCode::Pass => "pass",
        ResultCode::Fail => "fail",
        ResultCode::Softfail => "softfail",
        ResultCode::Neutral => "neutral",
        ResultCode::Policy => "policy",
        ResultCode::Temperror => "temperror",
        ResultCode::Permerror => "permerror",
    }
}

fn scenarios() -> Vec<Scenario> {
    serde_json::from_str(include_str!("../vectors/rfc7208.json")).unwrap()
}

fn passed(of: usize, failed: &[String]) {
    eprintln!("RFC 7208: passed {} of {of}", of - failed.len());
    assert_eq!((of, failed), (CASES, &[][..]));
}

#[tokio::test]
async fn without_a_socket() {
    let (mut of, mut failed) = (0, Vec::new());
    for scenario in scenarios() {
        for case in &scenario.tests {
            of += 1;
            failed.extend(case.failure(&scenario).await.map(|why| format!("{}: {why}", scenario.description)));
        }
    }
    passed(of, &failed);
}

/// The same by the resolver, which a name server of the tests answers.
#[tokio::test]
async fn by_the_resolver() {
    use super::super::vectors::{resolver, serve};
    use tokio::sync::Semaphore;

    let (mut of, mut failed) = (0, Vec::new());
    for Scenario { description, zone, tests } in scenarios() {
        let (resolver, places) = (resolver(serve(zone).await), Semaphore::new(1));
        let dns = super::Dns { resolver: &resolver, places: &places };
        for case in &tests {
            of += 1;
            failed.extend(case.failure(&dns).await.map(|why| format!("{description}: {why}")));
        }
    }
    passed(of, &failed);
}

/// Whatever stands in a record, it is a record or an error.
#[test]
fn mutilated_records() {
    for Scenario { zone, .. } in scenarios() {
        for (_, value) in zone.values().flatten().filter(|(kind, value)| kind == "TXT" && value.is_string()) {
            let text = latin1(value.as_str().unwrap());
            for at in 0..text.len() {
                for octet in *b"\0 %/:{}9=-.r\x80\xff" {
                    let mut changed = text.clone();
                    changed[at] = octet;
                    let _ = Record::parse(&changed);
                    changed.truncate(at + 1);
                    let _ = Record::parse(&changed);
                    let _ = str::from_utf8(&changed).map(MacroString::explanation);
                }
            }
        }
    }
}

/// Of the suite.
const CASES: usize = 203;
const MAX_ALIASES: usize = 8;
