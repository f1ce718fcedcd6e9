//! DMARC (RFC 7489, RFC 9091): does the domain of From stand behind this message, and if not, what does it ask for.
//!
//! Which domains belong together is found by walking up the tree of the DNS from `_dmarc` record to `_dmarc` record, as DMARC's revision
//! does, so that no list of public suffixes is needed.

mod record;

use mail_parser::parsers::MessageStream;
use mail_parser::{Address, HeaderValue};

use self::record::{Alignment, Record, Suffix};
use super::signature::Fields;
use super::spf::{Family, Lookups, Unanswered};
use super::{Signed, quietly};
use crate::bindings::postgate::mail::mail_authentication::{DmarcPolicy, DmarcResult, ResultCode, SpfResult};
use crate::service::dns::absolute;

/// Who is named in From.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Author {
    /// One domain.
    Domain(String),
    /// There is no such field.
    Nobody,
    /// Mailboxes of different domains, several fields, or none that could be found in it: nobody's policy can be applied.
    Several,
    /// We could not read it.
    Unknown,
}

/// Who is named in From.
pub(super) fn author(fields: &Fields<'_>) -> Author {
    let named: Vec<_> = fields.named("from").take(2).collect();
    let field = match named.as_slice() {
        [] => return Author::Nobody,
        [field] => field,
        [_, ..] => return Author::Several,
    };
    // The parser wants a line end, which the last field of a message without a body may lack.
    let line = [field.value, b"\r\n"].concat();
    let Some(value) = quietly(|| MessageStream::new(&line).parse_address()) else { return Author::Unknown };
    let mailboxes = match &value {
        HeaderValue::Address(Address::List(list)) => list.iter().collect::<Vec<_>>(),
        HeaderValue::Address(Address::Group(groups)) => groups.iter().flat_map(|group| &group.addresses).collect(),
        HeaderValue::Text(_)
        | HeaderValue::TextList(_)
        | HeaderValue::DateTime(_)
        | HeaderValue::ContentType(_)
        | HeaderValue::Received(_)
        | HeaderValue::Empty => Vec::new(),
    };
    let domain = |address: &str| {
        let domain = address.rsplit_once('@')?.1.trim_end_matches('.').to_ascii_lowercase();
        absolute(&domain).is_ok().then_some(domain)
    };
    let mut domains: Vec<Option<String>> =
        mailboxes.iter().map(|mailbox| mailbox.address.as_deref().and_then(domain)).collect();
    domains.sort_unstable();
    domains.dedup();
    match (domains.pop().flatten(), domains.is_empty()) {
        (Some(domain), true) => Author::Domain(domain),
        (None, _) | (_, false) => Author::Several,
    }
}

/// A result where no policy is known.
pub(super) fn without_policy(code: ResultCode, domain: &str) -> DmarcResult {
    DmarcResult { code, domain: domain.to_owned(), policy: None, percent: 100, dkim_aligned: false, spf_aligned: false }
}

/// The records on the way up from a domain, nearest first.
struct Walk {
    domain: String,
    records: Vec<(String, Record)>,
}

impl Walk {
    async fn up(dns: &impl Lookups, domain: &str) -> Result<Self, Unanswered> {
        let mut records = Vec::new();
        for name in ancestors(domain) {
            // A name that is too long has no record.
            let Ok(place) = absolute(&format!("_dmarc.{name}")) else { continue };
            if let Some(record) = Record::only(&dns.texts(&place).await?) {
                records.push((name, record));
            }
        }
        Ok(Self { domain: domain.to_owned(), records })
    }

    /// The organizational domain: below a public suffix, or where a record says that it is one, or else the highest with a record.
    fn organization(&self) -> &str {
        for (name, record) in &self.records {
            match record.suffix {
                Suffix::Own => return name,
                Suffix::Public if *name != self.domain => {
                    let below = self.domain.strip_suffix(name.as_str()).unwrap_or_default().trim_end_matches('.');
                    let label = below.rsplit('.').next().unwrap_or_default();
                    let length = label.len() + 1 + name.len();
                    return self.domain.get(self.domain.len().saturating_sub(length)..).unwrap_or(&self.domain);
                }
                Suffix::Public | Suffix::Unsaid => {}
            }
        }
        self.records.last().map_or(self.domain.as_str(), |(name, _)| name)
    }

    /// The record that speaks for the domain: its own, that of its organization, or that of the public suffix; and whether it is its own.
    fn record(&self) -> Option<(&Record, bool)> {
        let at = |wanted: &str| self.records.iter().find(|(name, _)| name == wanted).map(|(_, record)| record);
        if let Some(own) = at(&self.domain) {
            return Some((own, true));
        }
        let above = at(self.organization()).or_else(|| self.records.last().map(|(_, record)| record))?;
        Some((above, false))
    }

    /// What is asked for of this domain.
    async fn policy(&self, dns: &impl Lookups) -> Result<Option<(&Record, DmarcPolicy)>, Unanswered> {
        Ok(match self.record() {
            None => None,
            Some((record, true)) => Some((record, record.own)),
            Some((record, false)) if record.missing == record.below => Some((record, record.below)),
            Some((record, false)) if is_there(dns, &self.domain).await? => Some((record, record.below)),
            Some((record, false)) => Some((record, record.missing)),
        })
    }
}

/// Whether a name has addresses or hosts that take its mail: if not it is non-existent (RFC 9091 section 2.7).
async fn is_there(dns: &impl Lookups, domain: &str) -> Result<bool, Unanswered> {
    let Ok(name) = absolute(domain) else { return Ok(false) };
    Ok(!dns.exchanges(&name).await?.is_empty()
        || !dns.addresses(&name, Family::V4).await?.is_empty()
        || !dns.addresses(&name, Family::V6).await?.is_empty())
}

/// The domain and those above it; where there are many labels, from the seventh on.
fn ancestors(domain: &str) -> Vec<String> {
    let labels: Vec<&str> = domain.split('.').collect();
    let own = (labels.len() > MAX_LABELS).then(|| domain.to_owned());
    let begin = labels.len().saturating_sub(if own.is_some() { MAX_LABELS - 1 } else { MAX_LABELS });
    let above = (begin..labels.len()).map(|from| labels.get(from..).unwrap_or_default().join("."));
    own.into_iter().chain(above).collect()
}

/// What the domain of From says of a message with these results.
pub(super) async fn evaluate(dns: &impl Lookups, domain: &str, spf: &SpfResult, dkim: &[Signed]) -> DmarcResult {
    let unanswered = without_policy(ResultCode::Temperror, domain);
    let Ok(walk) = Walk::up(dns, domain).await else { return unanswered };
    let (record, policy) = match walk.policy(dns).await {
        Ok(Some(found)) => found,
        Ok(None) => return without_policy(ResultCode::None, domain),
        Err(Unanswered) => return unanswered,
    };
    let mut doubt = false;
    let mut spf_aligned = false;
    if matches!(spf.code, ResultCode::Pass | ResultCode::Temperror) {
        let aligned = is_aligned(dns, &walk, record.spf, &spf.domain).await;
        spf_aligned = aligned == Ok(true) && spf.code == ResultCode::Pass;
        doubt |= aligned != Ok(false) && !spf_aligned;
    }
    let mut dkim_aligned = false;
    for Signed { result, .. } in dkim {
        if matches!(result.code, ResultCode::Pass | ResultCode::Temperror) && !dkim_aligned {
            let aligned = is_aligned(dns, &walk, record.dkim, &result.domain).await;
            dkim_aligned = aligned == Ok(true) && result.code == ResultCode::Pass;
            doubt |= aligned != Ok(false) && !dkim_aligned;
        }
    }
    let code = match (spf_aligned || dkim_aligned, doubt) {
        (true, _) => ResultCode::Pass,
        (false, true) => ResultCode::Temperror,
        (false, false) => ResultCode::Fail,
    };
    let percent = record.percent;
    DmarcResult { code, domain: domain.to_owned(), policy: Some(policy), percent, dkim_aligned, spf_aligned }
}

/// Whether another domain is the author's, strictly or by its organization.
async fn is_aligned(dns: &impl Lookups, author: &Walk, how: Alignment, other: &str) -> Result<bool, Unanswered> {
    if other == author.domain {
        return Ok(true);
    }
    let organization = author.organization();
    let is_below = other == organization || other.strip_suffix(organization).is_some_and(|rest| rest.ends_with('.'));
    match how {
        Alignment::Strict => Ok(false),
        Alignment::Relaxed if !is_below => Ok(false),
        Alignment::Relaxed => Ok(Walk::up(dns, other).await?.organization() == organization),
    }
}

/// Names that one walk asks about.
const MAX_LABELS: usize = 8;

#[cfg(test)]
mod tests {
    use super::super::tests::Answers;
    use super::*;
    use crate::bindings::postgate::mail::mail_authentication::DkimResult;
    use crate::message::RawField;

    /// What is asked for of a domain, and who its organization is.
    async fn check(domain: &str, records: &[(&str, &str)], organization: &str, policy: Option<DmarcPolicy>) {
        let dns = Answers::of(records);
        let walk = Walk::up(&dns, domain).await.unwrap();
        assert_eq!(walk.organization(), organization, "{domain} {records:?}");
        let found = walk.policy(&dns).await.unwrap().map(|(_, policy)| policy);
        assert_eq!(found, policy, "{domain} {records:?}");
    }

    #[tokio::test]
    async fn organizations_and_their_policies() {
        let plain = "v=DMARC1; p=reject";
        let reject = Some(DmarcPolicy::Reject);
        check("example.org", &[("_dmarc.example.org", plain)], "example.org", reject).await;
        check("a.b.example.org", &[("_dmarc.example.org", plain)], "example.org", reject).await;
        let lenient = "v=DMARC1; p=reject; sp=none";
        check("a.example.org", &[("_dmarc.example.org", lenient)], "example.org", Some(DmarcPolicy::None)).await;
        let both = [("_dmarc.a.example.org", plain), ("_dmarc.example.org", lenient)];
        check("a.example.org", &both, "example.org", reject).await;
        let suffix = [("_dmarc.bank", "v=DMARC1; p=reject; psd=y")];
        check("a.bank", &suffix, "a.bank", reject).await;
        check("b.a.bank", &suffix, "a.bank", reject).await;
        let own = [("_dmarc.a.example", "v=DMARC1; p=quarantine; psd=n"), ("_dmarc.example", plain)];
        check("x.a.example", &own, "a.example", Some(DmarcPolicy::Quarantine)).await;
        check("nobody.example", &[], "nobody.example", None).await;
        let two = [("_dmarc.example.org", plain), ("_dmarc.example.org", "v=DMARC1; p=none")];
        check("example.org", &two, "example.org", None).await;
    }

    /// RFC 9091: what a domain asks for of names below it that nobody has.
    #[tokio::test]
    async fn names_that_are_not_there() {
        let record = ("_dmarc.example.org", "v=DMARC1; p=none; sp=quarantine; np=reject");
        let at = |domain: &'static str, more: Option<(&'static str, &'static str)>, policy| async move {
            let records: Vec<_> = [record].into_iter().chain(more).collect();
            check(domain, &records, "example.org", Some(policy)).await;
        };
        at("example.org", None, DmarcPolicy::None).await;
        at("gone.example.org", None, DmarcPolicy::Reject).await;
        at("here.example.org", Some(("here.example.org", "A 192.0.2.1")), DmarcPolicy::Quarantine).await;
        at("here.example.org", Some(("here.example.org", "AAAA 2001:db8::1")), DmarcPolicy::Quarantine).await;
        at("here.example.org", Some(("here.example.org", "MX mx.example")), DmarcPolicy::Quarantine).await;
        // A text alone does not make it one that is there.
        at("gone.example.org", Some(("gone.example.org", "v=spf1 -all")), DmarcPolicy::Reject).await;
        let silent = Answers::of(&[record, ("here.example.org", "SILENT")]);
        let walk = Walk::up(&silent, "here.example.org").await.unwrap();
        assert!(walk.policy(&silent).await.is_err(), "nobody knows whether it is there");
    }

    /// The examples of RFC 7489 appendix B.1, where `b.1.n` names them, and what follows from section 3.1.
    #[tokio::test]
    async fn alignment() {
        let spf =
            |code, domain: &str| SpfResult { code, domain: domain.to_owned(), is_hello: false, explanation: None };
        let signed = |code, domain: &str| {
            let text = String::new;
            let result =
                DkimResult { code, domain: domain.to_owned(), selector: text(), algorithm: text(), reason: None };
            Signed { result, begin: text() }
        };
        use ResultCode::{Fail, Pass, Temperror};
        let cases = [
            // B.1.1: SPF in alignment, of the same domain, of one below, and not.
            ("", "example.com", spf(Pass, "example.com"), signed(Fail, ""), Pass),
            ("", "child.example.com", spf(Pass, "example.com"), signed(Fail, ""), Pass),
            ("", "child.example.com", spf(Pass, "sample.net"), signed(Fail, ""), Fail),
            // B.1.2: the same of DKIM.
            ("", "example.com", spf(Fail, "x.example"), signed(Pass, "example.com"), Pass),
            ("", "child.example.com", spf(Fail, "x.example"), signed(Pass, "example.com"), Pass),
            ("", "child.example.com", spf(Fail, "x.example"), signed(Pass, "sample.net"), Fail),
            ("adkim=s; aspf=s", "child.example.com", spf(Pass, "example.com"), signed(Pass, "example.com"), Fail),
            ("adkim=s; aspf=r", "child.example.com", spf(Pass, "example.com"), signed(Pass, "example.com"), Pass),
            ("", "example.com", spf(Pass, "notexample.com"), signed(Pass, "com"), Fail),
            ("", "example.com", spf(Temperror, "example.com"), signed(Fail, "example.com"), Temperror),
            ("", "example.com", spf(Temperror, "x.example"), signed(Fail, "example.com"), Fail),
            ("", "example.com", spf(Temperror, "example.com"), signed(Pass, "example.com"), Pass),
        ];
        for (tags, author, spf, dkim, expected) in cases {
            let record = format!("v=DMARC1; p=reject; {tags}");
            let dns = Answers::of(&[("_dmarc.example.com", &record)]);
            let found = evaluate(&dns, author, &spf, &[dkim]).await;
            assert_eq!(found.code, expected, "{tags} {author} {spf:?}");
        }
        let silent = Answers::of(&[("_dmarc.example.com", "SILENT")]);
        let found = evaluate(&silent, "example.com", &spf(Fail, "x.example"), &[]).await;
        assert_eq!((found.code, found.policy), (Temperror, None));
    }

    #[test]
    fn authors() {
        let check = |values: &[&str], expected: Author| {
            let all = values.iter().map(|value| RawField { name: b"From", value: value.as_bytes() });
            assert_eq!(author(&Fields::of(all)), expected, "{values:?}");
        };
        let example = || Author::Domain("example.org".to_owned());
        check(&[" alice@Example.ORG\r\n"], example());
        check(&[" \"a@b.example\" <alice@example.org>\r\n"], example());
        check(&[" a@example.org, \"b\"\r\n <b@EXAMPLE.org.>\r\n"], example());
        check(&[" group: a@example.org, b@example.org;\r\n"], example());
        check(&[" =?utf-8?q?x?= <a@example.org> (comment)\r\n"], example());
        check(&[], Author::Nobody);
        for several in [" a@a.example, b@b.example", " a@a.example, b", " alice", "", " group:;", " a@b..c", " <>"] {
            check(&[several], Author::Several);
        }
        check(&[" a@example.org", " a@example.org"], Author::Several);
    }

    #[test]
    fn walks_are_bounded() {
        let many = ["x"; 100].join(".");
        assert_eq!(ancestors(&many).len(), MAX_LABELS);
        assert_eq!(ancestors("a.b.c"), ["a.b.c", "b.c", "c"]);
    }
}
