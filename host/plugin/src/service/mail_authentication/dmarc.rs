//! DMARC (RFC 7489): does the domain of From stand behind this message, and if not, what does it ask for.
//!
//! Which domains belong together is found by walking up the tree of the DNS from `_dmarc` record to `_dmarc` record, as DMARC's revision
//! does, so that no list of public suffixes is needed.

use std::sync::Arc;

use mail_auth::common::cache::NoCache;
use mail_auth::dmarc::{Alignment, Dmarc, Policy, Psd};
use mail_auth::{Error, Txt};

use super::{Signed, header_section};
use crate::bindings::postgate::mail::mail_authentication::{DmarcPolicy, DmarcResult, ResultCode, SpfResult};
use crate::message::Received;
use crate::service::dns::MessageAuthenticator;

/// Who is named in From.
pub(super) enum Author {
    /// One domain.
    Domain(String),
    /// No mailbox.
    Nobody,
    /// Mailboxes of different domains, or several fields: nobody's policy can be applied.
    Several,
}

/// Who is named in From.
pub(super) fn author(received: &Received) -> Author {
    let Some(message) = header_section(received) else { return Author::Nobody };
    let fields = message.headers.iter().filter(|(name, _)| name.trim_ascii().eq_ignore_ascii_case(b"from")).count();
    let domain = |address: &String| {
        address.rsplit_once('@').map(|(_, domain)| domain.trim_end_matches('.').to_ascii_lowercase())
    };
    let mut domains: Vec<String> = message.from.iter().filter_map(domain).filter(|domain| !domain.is_empty()).collect();
    domains.sort_unstable();
    domains.dedup();
    match (fields, domains.pop(), domains.is_empty()) {
        (0 | 1, Some(domain), true) => Author::Domain(domain),
        (0 | 1, None, _) => Author::Nobody,
        (_, _, _) => Author::Several,
    }
}

/// A result where no policy is known.
pub(super) fn without_policy(code: ResultCode, domain: &str) -> DmarcResult {
    DmarcResult { code, domain: domain.to_owned(), policy: None, percent: 100, dkim_aligned: false, spf_aligned: false }
}

/// The records on the way up from a domain, nearest first.
struct Walk {
    domain: String,
    records: Vec<(String, Arc<Dmarc>)>,
}

impl Walk {
    async fn up(authenticator: &MessageAuthenticator, domain: &str) -> Result<Self, Error> {
        let mut records = Vec::new();
        for name in ancestors(domain) {
            let record = authenticator.txt_lookup::<Dmarc>(format!("_dmarc.{name}."), None::<&NoCache<Box<str>, Txt>>);
            match record.await {
                Ok(record) => records.push((name, record)),
                Err(error @ Error::DnsError(_)) => return Err(error),
                // No record, or something else at that name.
                Err(_) => {}
            }
        }
        Ok(Self { domain: domain.to_owned(), records })
    }

    /// The organizational domain: below a public suffix, or where a record says that it is one, or else the highest with a record.
    fn organization(&self) -> &str {
        for (name, record) in &self.records {
            match record.psd {
                Psd::No => return name,
                Psd::Yes if *name != self.domain => {
                    let below = self.domain.strip_suffix(name.as_str()).unwrap_or_default().trim_end_matches('.');
                    let label = below.rsplit('.').next().unwrap_or_default();
                    let length = label.len() + 1 + name.len();
                    return self.domain.get(self.domain.len().saturating_sub(length)..).unwrap_or(&self.domain);
                }
                Psd::Yes | Psd::Default => {}
            }
        }
        self.records.last().map_or(self.domain.as_str(), |(name, _)| name)
    }

    /// The record that speaks for the domain: its own, that of its organization, or that of the public suffix; and what it asks for.
    fn record(&self) -> Option<(&Dmarc, Policy)> {
        let at = |wanted: &str| self.records.iter().find(|(name, _)| name == wanted).map(|(_, record)| &**record);
        if let Some(own) = at(&self.domain) {
            return Some((own, own.p));
        }
        let above = at(self.organization()).or_else(|| self.records.last().map(|(_, record)| &**record))?;
        Some((above, if above.sp == Policy::Unspecified { above.p } else { above.sp }))
    }
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
pub(super) async fn evaluate(
    authenticator: &MessageAuthenticator,
    domain: &str,
    spf: &SpfResult,
    dkim: &[Signed],
) -> DmarcResult {
    let Ok(walk) = Walk::up(authenticator, domain).await else {
        return without_policy(ResultCode::Temperror, domain);
    };
    let Some((record, policy)) = walk.record() else { return without_policy(ResultCode::None, domain) };
    let mut doubt = false;
    let mut spf_aligned = false;
    if matches!(spf.code, ResultCode::Pass | ResultCode::Temperror) {
        let aligned = is_aligned(authenticator, &walk, &record.aspf, &spf.domain).await;
        spf_aligned = aligned && spf.code == ResultCode::Pass;
        doubt |= aligned && spf.code == ResultCode::Temperror;
    }
    let mut dkim_aligned = false;
    for Signed { result, .. } in dkim {
        if matches!(result.code, ResultCode::Pass | ResultCode::Temperror) && !dkim_aligned {
            let aligned = is_aligned(authenticator, &walk, &record.adkim, &result.domain).await;
            dkim_aligned |= aligned && result.code == ResultCode::Pass;
            doubt |= aligned && result.code == ResultCode::Temperror;
        }
    }
    let code = match (spf_aligned || dkim_aligned, doubt) {
        (true, _) => ResultCode::Pass,
        (false, true) => ResultCode::Temperror,
        (false, false) => ResultCode::Fail,
    };
    let policy = match policy {
        Policy::None | Policy::Unspecified => DmarcPolicy::None,
        Policy::Quarantine => DmarcPolicy::Quarantine,
        Policy::Reject => DmarcPolicy::Reject,
    };
    let percent = if record.t { 0 } else { record.pct.min(100) };
    DmarcResult { code, domain: domain.to_owned(), policy: Some(policy), percent, dkim_aligned, spf_aligned }
}

/// Whether another domain is the author's, strictly or by its organization.
async fn is_aligned(authenticator: &MessageAuthenticator, author: &Walk, how: &Alignment, other: &str) -> bool {
    if other == author.domain {
        return true;
    }
    let organization = author.organization();
    let is_below = other == organization || other.strip_suffix(organization).is_some_and(|rest| rest.ends_with('.'));
    match how {
        Alignment::Strict => false,
        Alignment::Relaxed if !is_below => false,
        Alignment::Relaxed => {
            let walk = Walk::up(authenticator, other).await;
            walk.is_ok_and(|walk| walk.organization() == organization)
        }
    }
}

/// Names that one walk asks about.
const MAX_LABELS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use mail_auth::common::parse::TxtRecordParser;

    fn walk(domain: &str, records: &[(&str, &str)]) -> Walk {
        let known = |name: &String| records.iter().find(|(known, _)| known == name);
        let above = ancestors(domain);
        let records = above
            .iter()
            .filter_map(known)
            .map(|(name, text)| ((*name).to_owned(), Arc::new(Dmarc::parse(text.as_bytes()).unwrap())));
        Walk { domain: domain.to_owned(), records: records.collect() }
    }

    #[test]
    fn organizations_and_their_policies() {
        let plain = "v=DMARC1; p=reject";
        let check = |domain: &str, records: &[(&str, &str)], organization: &str, policy: Option<Policy>| {
            let walk = walk(domain, records);
            assert_eq!(walk.organization(), organization, "{domain} {records:?}");
            assert_eq!(walk.record().map(|(_, policy)| policy), policy, "{domain} {records:?}");
        };
        check("example.org", &[("example.org", plain)], "example.org", Some(Policy::Reject));
        check("a.b.example.org", &[("example.org", plain)], "example.org", Some(Policy::Reject));
        let lenient = "v=DMARC1; p=reject; sp=none";
        check("a.example.org", &[("example.org", lenient)], "example.org", Some(Policy::None));
        check(
            "a.example.org",
            &[("a.example.org", plain), ("example.org", lenient)],
            "example.org",
            Some(Policy::Reject),
        );
        check("a.bank", &[("bank", "v=DMARC1; p=reject; psd=y")], "a.bank", Some(Policy::Reject));
        check("b.a.bank", &[("bank", "v=DMARC1; p=reject; psd=y")], "a.bank", Some(Policy::Reject));
        let own = "v=DMARC1; p=quarantine; psd=n";
        check("x.a.example", &[("a.example", own), ("example", plain)], "a.example", Some(Policy::Quarantine));
        check("nobody.example", &[], "nobody.example", None);
    }

    #[test]
    fn walks_are_bounded() {
        let many = ["x"; 100].join(".");
        assert_eq!(ancestors(&many).len(), MAX_LABELS);
        assert_eq!(ancestors("a.b.c"), ["a.b.c", "b.c", "c"]);
    }
}
