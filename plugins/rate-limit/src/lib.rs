//! Limits how much a client, a user, a domain or a recipient may have in a period: messages, recipients, octets.
//!
//! A count is an entry of the key-value store that begins with the first of a period and expires with it; all sessions, and restarts of
//! the gateway, see the same. What is refused is taken back from the counts, so that trying again costs nothing.

mod settings;

use std::net::IpAddr;

use postgate_sdk::config::{self, Configuration};
use postgate_sdk::hook::{Mail, Message, MessageVerdict, Recipient, SettingProblem, Setup};
use postgate_sdk::unit::Network;
use postgate_sdk::{
    Mailbox, Parameter, Reply, ServiceError, Verdict, export, key_value, log, mail_data, session, transaction,
};

use settings::{By, Limit, OnUnavailable, Settings, What};

struct RateLimit;

export!(RateLimit: setup, mail, recipient, message);

static SETTINGS: Configuration<Settings> = Configuration::new();

impl Setup for RateLimit {
    fn on_setup() -> Vec<SettingProblem> {
        let problems = config::problems::<Settings>();
        if problems.is_empty() {
            config::read::<Settings>().map_or(Vec::new(), |settings| settings.problems())
        } else {
            problems
        }
    }
}

impl Mail for RateLimit {
    /// Counts nothing yet: who has spent his messages or octets already is spared the rest.
    fn on_mail(reverse_path: Option<Mailbox>, _parameters: Vec<Parameter>) -> Verdict {
        verdict(451, |settings| {
            let whose = |by| whose(settings, by, reverse_path.as_ref());
            let declared = transaction::declared_size().ok().flatten().unwrap_or(0);
            for (limit, what) in counted(settings, &[What::Messages, What::Octets]) {
                if limit.by != By::Recipient
                    && let (Some(who), Some(most)) = (whose(limit.by), limit.most(what))
                {
                    let more = if what == What::Octets { declared } else { 1 };
                    if spent(&key(limit, what, &who))?.saturating_add(more) > most {
                        return Ok(Some(what));
                    }
                }
            }
            Ok(None)
        })
    }
}

impl Recipient for RateLimit {
    fn on_recipient(recipient: Mailbox, _parameters: Vec<Parameter>) -> Verdict {
        let reverse_path = transaction::reverse_path().ok().flatten();
        verdict(450, |settings| {
            let mut charges = Charges::default();
            for (limit, what) in counted(settings, &[What::Messages, What::Recipients]) {
                let who = match (limit.by, what) {
                    (By::Recipient, What::Messages) => Some(recipient.to_string()),
                    (By::Recipient, What::Recipients | What::Octets) | (_, What::Messages | What::Octets) => None,
                    (by, What::Recipients) => whose(settings, by, reverse_path.as_ref()),
                };
                if let Some(who) = who
                    && !charges.add(limit, what, &who, 1)?
                {
                    return Ok(Some(what));
                }
            }
            Ok(None)
        })
    }
}

impl Message for RateLimit {
    fn on_message() -> MessageVerdict {
        let size = mail_data::size().unwrap_or(0);
        let reverse_path = transaction::reverse_path().ok().flatten();
        let recipients = transaction::recipients().unwrap_or_default();
        let verdict = verdict(451, |settings| {
            let mut charges = Charges::default();
            for (limit, what) in counted(settings, &[What::Messages, What::Octets]) {
                let all: Vec<String> = match (limit.by, what) {
                    // Counted at RCPT.
                    (By::Recipient, What::Messages | What::Recipients) => Vec::new(),
                    (By::Recipient, What::Octets) => recipients.iter().map(|one| one.mailbox.to_string()).collect(),
                    (by, What::Messages | What::Recipients | What::Octets) => {
                        whose(settings, by, reverse_path.as_ref()).into_iter().collect()
                    }
                };
                let amount = if what == What::Octets { size } else { 1 };
                for who in all {
                    if !charges.add(limit, what, &who, amount)? {
                        return Ok(Some(what));
                    }
                }
            }
            Ok(None)
        });
        match verdict {
            Verdict::Next | Verdict::Accept => MessageVerdict::Next,
            Verdict::Defer(reply) | Verdict::Reject(reply) | Verdict::Disconnect(reply) => MessageVerdict::Defer(reply),
        }
    }
}

/// Asks whether a bound is reached, and says so with this code.
fn verdict(code: u16, reached: impl FnOnce(&Settings) -> Result<Option<What>, ServiceError>) -> Verdict {
    let settings = match SETTINGS.load() {
        Ok(settings) => settings,
        Err(reply) => return Verdict::Defer(reply),
    };
    if session::remote().address.parse().is_ok_and(|client| settings.is_exempt(client)) {
        return Verdict::Next;
    }
    match reached(settings) {
        Ok(None) => Verdict::Next,
        Ok(Some(what)) => {
            let text = format!("Too many {}, please try again later", what.name());
            Verdict::Defer(Reply::new(code, "4.7.1", &text))
        }
        Err(error) => {
            log::error("counts are not available", &[("problem", &format!("{error:?}"))]);
            match settings.on_unavailable {
                OnUnavailable::Pass => Verdict::Next,
                OnUnavailable::Defer => Verdict::Defer(Reply::try_again_later()),
            }
        }
    }
}

/// Each limit with each of these of which it has a bound.
fn counted<'a>(settings: &'a Settings, all: &'a [What]) -> impl Iterator<Item = (&'a Limit, What)> {
    let bounded = |limit: &&'a Limit, what: &What| limit.most(*what).is_some();
    settings
        .limits
        .iter()
        .flat_map(move |limit| all.iter().filter(move |what| bounded(&limit, what)).map(move |what| (limit, *what)))
}

/// Whom a limit is about in this session; none where there is no such one.
fn whose(settings: &Settings, by: By, reverse_path: Option<&Mailbox>) -> Option<String> {
    match by {
        By::Address => Some(session::remote().address),
        By::Network => {
            let client: IpAddr = session::remote().address.parse().ok()?;
            Some(Network::of(client, settings.ipv4_network, settings.ipv6_network).to_string())
        }
        By::Identity => session::identity().map(|identity| identity.name),
        By::ReversePathDomain => Some(reverse_path.map_or_else(|| "<>".to_owned(), |mailbox| mailbox.domain.clone())),
        By::Recipient => None,
    }
}

/// The key of a count. It names the limit by what it says, so that counts outlast a change of their order.
fn key(limit: &Limit, what: What, who: &str) -> String {
    let key = format!("{} {} {} {who}", limit.by.name(), what.name(), limit.period.as_secs()).to_lowercase();
    key.get(..key.floor_char_boundary(MAX_KEY)).unwrap_or_default().to_owned()
}

fn spent(key: &str) -> Result<u64, ServiceError> {
    let value = key_value::get(key)?.unwrap_or_default();
    Ok(std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// What has been added to counts, to be taken back when one of them is over its bound.
#[derive(Default)]
struct Charges(Vec<(String, i64, u32)>);

impl Charges {
    /// Adds to a count. Answers whether that is within the bound; if not, nothing stays added.
    fn add(&mut self, limit: &Limit, what: What, who: &str, amount: u64) -> Result<bool, ServiceError> {
        let Some(most) = limit.most(what) else { return Ok(true) };
        let amount = i64::try_from(amount).unwrap_or(i64::MAX);
        let (key, period) = (key(limit, what, who), limit.period.as_secs());
        let sum = key_value::increment(&key, amount, Some(period))?;
        self.0.push((key, amount, period));
        if u64::try_from(sum).unwrap_or(0) <= most {
            return Ok(true);
        }
        for (key, amount, period) in self.0.drain(..) {
            key_value::increment(&key, -amount, Some(period))?;
        }
        Ok(false)
    }
}

/// Octets of a key in the host's store.
const MAX_KEY: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_name_the_limit() {
        let json = r#"{"limits": [{"by": "reverse-path-domain", "period": "1 h", "messages": 5, "octets": "1 kB"}]}"#;
        let settings: Settings = config::parse(json).unwrap();
        let all = [What::Messages, What::Recipients, What::Octets];
        let keys: Vec<String> = counted(&settings, &all).map(|(limit, what)| key(limit, what, "Example.org")).collect();
        assert_eq!(
            keys,
            ["reverse-path-domain messages 3600 example.org", "reverse-path-domain octets 3600 example.org"]
        );
        assert_eq!(key(&settings.limits[0], What::Messages, &"\u{e4}".repeat(300)).len(), MAX_KEY);
    }
}
