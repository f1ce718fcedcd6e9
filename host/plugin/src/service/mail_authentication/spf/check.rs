//! `check_host()` (RFC 7208 section 4): a record is evaluated, and what it includes or leads to.

use std::net::IpAddr;
use std::pin::Pin;

use hickory_resolver::proto::rr::Name;

use super::Inquiry;
use super::domain::Domain;
use super::lookups::{Family, Lookups, Unanswered};
use super::macros::{DomainSpec, MacroString, Values};
use super::record::{Lengths, Mechanism, Record, SyntaxError, is_record};
use crate::bindings::postgate::mail::mail_authentication::ResultCode;
use crate::service::dns::text;

/// One evaluation, with what it has cost so far.
pub(super) struct Check<'a, L> {
    inquiry: &'a Inquiry,
    lookups: &'a L,
    client: IpAddr,
    family: Family,
    /// Terms that have asked the DNS.
    asked: usize,
    /// Terms that were answered by nothing.
    void: usize,
    /// The confirmed names of the client, once they are known.
    names: Option<Vec<Name>>,
}

/// Why there is no result.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// No server of the DNS says.
    Temporary,
    /// The record is wrong, or asks for too much.
    Permanent,
}

impl From<Unanswered> for Trouble {
    fn from(Unanswered: Unanswered) -> Self {
        Self::Temporary
    }
}

impl From<SyntaxError> for Trouble {
    fn from(SyntaxError: SyntaxError) -> Self {
        Self::Permanent
    }
}

/// A result, and where the domain that it comes from explains it.
struct Evaluated {
    code: ResultCode,
    explanation: Option<(Domain, DomainSpec)>,
}

type Evaluation<'a> = Pin<Box<dyn Future<Output = Result<Evaluated, Trouble>> + Send + 'a>>;

impl<'a, L: Lookups> Check<'a, L> {
    pub(super) fn new(inquiry: &'a Inquiry, lookups: &'a L) -> Self {
        let client = inquiry.client.to_canonical();
        let family = if client.is_ipv4() { Family::V4 } else { Family::V6 };
        Self { inquiry, lookups, client, family, asked: 0, void: 0, names: None }
    }

    /// The result, and the explanation of a `fail`.
    pub(super) async fn result(mut self) -> (ResultCode, Option<String>) {
        let Some(domain) = Domain::of_sender(self.inquiry.domain()) else { return (ResultCode::None, None) };
        match self.host(domain).await {
            Ok(Evaluated { code: ResultCode::Fail, explanation: Some((domain, spec)) }) => {
                (ResultCode::Fail, self.explanation(&domain, &spec).await)
            }
            Ok(Evaluated { code, .. }) => (code, None),
            Err(Trouble::Temporary) => (ResultCode::Temperror, None),
            Err(Trouble::Permanent) => (ResultCode::Permerror, None),
        }
    }

    /// Evaluates the record of a domain, and those that it redirects to. It calls itself by `include`, which is counted.
    fn host(&mut self, mut domain: Domain) -> Evaluation<'_> {
        Box::pin(async move {
            let mut is_first = true;
            loop {
                let Some(record) = self.record(&domain).await? else {
                    // A redirect into nothing is an error (section 6.1).
                    let none = Evaluated { code: ResultCode::None, explanation: None };
                    return if is_first { Ok(none) } else { Err(Trouble::Permanent) };
                };
                for directive in &record.directives {
                    if self.matches(&directive.mechanism, &domain).await? {
                        let explanation = record.explanation.map(|spec| (domain, spec));
                        return Ok(Evaluated { code: directive.result, explanation });
                    }
                }
                let Some(redirect) = &record.redirect else {
                    return Ok(Evaluated { code: ResultCode::Neutral, explanation: None });
                };
                self.count()?;
                domain = self.target(redirect, &domain).await.ok_or(Trouble::Permanent)?;
                is_first = false;
            }
        })
    }

    /// The one record of a domain (section 4.5).
    async fn record(&self, domain: &Domain) -> Result<Option<Record>, Trouble> {
        let mut texts = self.lookups.texts(domain.name()).await?;
        texts.retain(|text| is_record(text));
        match texts.as_slice() {
            [] => Ok(None),
            [text] => Ok(Some(Record::parse(text)?)),
            [_, _, ..] => Err(Trouble::Permanent),
        }
    }

    async fn matches(&mut self, mechanism: &Mechanism, domain: &Domain) -> Result<bool, Trouble> {
        match mechanism {
            Mechanism::All => return Ok(true),
            Mechanism::Ip(network) => return Ok(network.contains(self.client)),
            Mechanism::Include(_) | Mechanism::A(..) | Mechanism::Mx(..) | Mechanism::Ptr(_) | Mechanism::Exists(_) => {
                self.count()?
            }
        }
        let spec = match mechanism {
            Mechanism::All | Mechanism::Ip(_) => None,
            Mechanism::Include(spec) | Mechanism::Exists(spec) => Some(spec),
            Mechanism::A(spec, _) | Mechanism::Mx(spec, _) | Mechanism::Ptr(spec) => spec.as_ref(),
        };
        let target = match spec {
            Some(spec) => self.target(spec, domain).await,
            None => Some(domain.clone()),
        };
        // What is no name can't be asked about: nothing matches (section 4.8), and an include finds no record.
        match (mechanism, target) {
            (Mechanism::Include(_), Some(target)) => self.includes(target).await,
            (Mechanism::Include(_), None) => Err(Trouble::Permanent),
            (Mechanism::A(_, lengths), Some(target)) => {
                let addresses = self.lookups.addresses(target.name(), self.family).await?;
                self.note(&addresses)?;
                Ok(self.is_near(&addresses, *lengths))
            }
            (Mechanism::Mx(_, lengths), Some(target)) => self.is_exchange(&target, *lengths).await,
            (Mechanism::Ptr(_), Some(target)) => {
                let names = self.confirmed().await;
                Ok(names.iter().any(|name| target.name().zone_of(name)))
            }
            (Mechanism::Exists(_), Some(target)) => {
                // Also for a client with an IPv6 address (section 5.7).
                let addresses = self.lookups.addresses(target.name(), Family::V4).await?;
                self.note(&addresses)?;
                Ok(!addresses.is_empty())
            }
            (Mechanism::All | Mechanism::Ip(_), Some(_))
            | (
                Mechanism::All
                | Mechanism::Ip(_)
                | Mechanism::A(..)
                | Mechanism::Mx(..)
                | Mechanism::Ptr(_)
                | Mechanism::Exists(_),
                None,
            ) => Ok(false),
        }
    }

    /// The table of section 5.2.
    async fn includes(&mut self, target: Domain) -> Result<bool, Trouble> {
        match self.host(target).await?.code {
            ResultCode::Pass => Ok(true),
            ResultCode::Fail | ResultCode::Softfail | ResultCode::Neutral => Ok(false),
            ResultCode::Temperror => Err(Trouble::Temporary),
            ResultCode::None | ResultCode::Permerror | ResultCode::Policy => Err(Trouble::Permanent),
        }
    }

    async fn is_exchange(&mut self, target: &Domain, lengths: Lengths) -> Result<bool, Trouble> {
        let exchanges = self.lookups.exchanges(target.name()).await?;
        self.note(&exchanges)?;
        if exchanges.len() > MAX_EXCHANGES {
            return Err(Trouble::Permanent);
        }
        // The root is the domain's word that it takes no mail (RFC 7505).
        for exchange in exchanges.iter().filter(|exchange| !exchange.is_root()) {
            let addresses = self.lookups.addresses(exchange, self.family).await?;
            if self.is_near(&addresses, lengths) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_near(&self, addresses: &[IpAddr], lengths: Lengths) -> bool {
        addresses.iter().any(|address| lengths.around(*address).contains(self.client))
    }

    /// The names of the client that lead back to it (section 5.5). What the DNS does not say is as if it were not there, and names
    /// after the first ten are not looked at.
    async fn confirmed(&mut self) -> &[Name] {
        if self.names.is_none() {
            let mut confirmed = Vec::new();
            let names = self.lookups.pointers(self.client).await.unwrap_or_default();
            for name in names.into_iter().take(MAX_POINTERS) {
                let addresses = self.lookups.addresses(&name, self.family).await.unwrap_or_default();
                if addresses.contains(&self.client) {
                    confirmed.push(name);
                }
            }
            self.names = Some(confirmed);
        }
        self.names.as_deref().unwrap_or_default()
    }

    /// The name that `%{p}` stands for: the domain itself if it is one of the client's, one below it, or any.
    async fn client_name(&mut self, domain: &Domain) -> String {
        let names = self.confirmed().await;
        let itself = names.iter().find(|name| **name == *domain.name());
        let below = || names.iter().find(|name| domain.name().zone_of(name));
        itself.or_else(below).or(names.first()).map_or_else(|| "unknown".to_owned(), text)
    }

    async fn expand(&mut self, macros: &MacroString, domain: &Domain) -> Option<String> {
        let client_name = if macros.needs_client_name() { self.client_name(domain).await } else { String::new() };
        let values =
            Values { inquiry: self.inquiry, client: self.client, domain: domain.text(), client_name: &client_name };
        macros.expand(&values)
    }

    /// The domain that a term names.
    async fn target(&mut self, spec: &DomainSpec, domain: &Domain) -> Option<Domain> {
        Domain::expanded(&self.expand(spec.text(), domain).await?)
    }

    /// What a domain says to those that it refuses (section 6.2): none if anything about it is wrong.
    async fn explanation(&mut self, domain: &Domain, spec: &DomainSpec) -> Option<String> {
        let target = self.target(spec, domain).await?;
        let texts = self.lookups.texts(target.name()).await.ok()?;
        let [explanation] = texts.as_slice() else { return None };
        let macros = MacroString::explanation(str::from_utf8(explanation).ok()?)?;
        let expanded = self.expand(&macros, domain).await?;
        // What the client said is in it as well.
        let printable = expanded.chars().map(|character| if matches!(character, ' '..='~') { character } else { '?' });
        Some(printable.take(MAX_EXPLANATION_CHARS).collect()).filter(|text: &String| !text.is_empty())
    }

    /// One more term that asks the DNS.
    fn count(&mut self) -> Result<(), Trouble> {
        self.asked += 1;
        if self.asked > MAX_ASKED { Err(Trouble::Permanent) } else { Ok(()) }
    }

    /// Notes an answer to a term. `ptr` is not among those that are counted: it is the client who has no name.
    fn note<T>(&mut self, answer: &[T]) -> Result<(), Trouble> {
        self.void += usize::from(answer.is_empty());
        if self.void > MAX_VOID { Err(Trouble::Permanent) } else { Ok(()) }
    }
}

/// Terms of one evaluation that ask the DNS (section 4.6.4), as are the next three.
const MAX_ASKED: usize = 10;
/// Of them, those for which there is nothing.
const MAX_VOID: usize = 2;
/// Hosts of one `mx`.
const MAX_EXCHANGES: usize = 10;
/// Names of the client that are looked up.
const MAX_POINTERS: usize = 10;
/// Of what a domain says to those that it refuses.
const MAX_EXPLANATION_CHARS: usize = 500;
