//! `postgate:mail/dns`: names looked up, block lists asked (RFC 5782), reverse DNS confirmed.
//!
//! Every name is absolute: no search list of the machine's and no hosts file has a say in what a plugin is told.

mod authenticator;
mod name;
mod resolver;

use std::net::IpAddr;

use hickory_resolver::lookup::Lookup;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

pub(crate) use self::authenticator::MessageAuthenticator;
pub(crate) use self::name::text;
use self::name::{absolute, listed};
pub use self::resolver::DnsConfig;
pub(crate) use self::resolver::{LookupError, Resolver};
use super::ServiceId;
use crate::bindings::postgate::mail::dns::{DnsError, Host, MailExchange};
use crate::bindings::postgate::mail::types::ServiceError;
use crate::component::Facts;
use crate::state::State;

type Answer<T> = Result<T, DnsError>;

impl From<LookupError> for DnsError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::NoSuchName => Self::NoSuchName,
            LookupError::Unavailable(why) => Self::Service(ServiceError::Unavailable(why)),
        }
    }
}

impl Facts {
    /// The records of that type, of which the caller takes what it wants; none where the name has none.
    async fn look_up<T>(
        &self,
        name: &Name,
        kind: RecordType,
        mut take: impl FnMut(&RData) -> Option<T>,
    ) -> Result<Vec<T>, LookupError> {
        let lookup = self.resolver.look_up(&self.lookups, name, kind).await?;
        let records = lookup.as_ref().map(Lookup::answers).unwrap_or_default();
        Ok(records.iter().filter_map(|record| take(&record.data)).take(MAX_RECORDS).collect())
    }

    async fn addresses_of(&self, name: &Name) -> Result<Vec<IpAddr>, LookupError> {
        let v4 = self.look_up(name, RecordType::A, RData::ip_addr).await?;
        let v6 = self.look_up(name, RecordType::AAAA, RData::ip_addr).await?;
        Ok([v4, v6].concat())
    }

    async fn names_of(&self, address: IpAddr) -> Result<Vec<Name>, LookupError> {
        let pointer = |data: &RData| {
            let RData::PTR(name) = data else { return None };
            Some(name.0.clone())
        };
        self.look_up(&Name::from(address.to_canonical()), RecordType::PTR, pointer).await
    }

    /// The names of an address that lead back to it. Those after the first ten are not tried, as in RFC 7208 section 5.5.
    async fn confirmed(&self, address: IpAddr) -> Result<Vec<String>, LookupError> {
        let address = address.to_canonical();
        let kind = if address.is_ipv4() { RecordType::A } else { RecordType::AAAA };
        let (mut confirmed, mut failed) = (Vec::new(), None);
        for name in self.names_of(address).await?.into_iter().take(MAX_CONFIRMED) {
            match self.look_up(&name, kind, RData::ip_addr).await {
                Ok(addresses) if addresses.contains(&address) => confirmed.push(text(&name)),
                Ok(_) | Err(LookupError::NoSuchName) => {}
                Err(error @ LookupError::Unavailable(_)) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if confirmed.is_empty() => Err(error),
            _ => Ok(confirmed),
        }
    }

    /// Whether a list has an entry, and which.
    async fn listed(&self, subject: &str, zone: &str) -> Answer<Vec<String>> {
        let name = listed(subject, zone).map_err(invalid)?;
        let answers = match self.look_up(&name, RecordType::A, RData::ip_addr).await {
            Ok(answers) => answers,
            Err(LookupError::NoSuchName) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let wrong = |answer: &&IpAddr| match answer {
            IpAddr::V4(address) => {
                let [first, second, third, _] = address.octets();
                first != 127 || (second, third) == (255, 255)
            }
            IpAddr::V6(_) => true,
        };
        match answers.iter().find(wrong) {
            Some(wrong) => {
                let why = format!("the list answers {wrong}: it is gone, or refuses us");
                Err(DnsError::Service(ServiceError::Unavailable(why)))
            }
            None => Ok(answers.iter().map(ToString::to_string).collect()),
        }
    }
}

impl Host for State {
    async fn addresses(&mut self, name: String) -> wasmtime::Result<Answer<Vec<String>>> {
        let metered = metered!(self, ServiceId::Dns, DnsError::Service);
        metered.octets(name.len());
        let name = match absolute(&name) {
            Ok(name) => name,
            Err(why) => return Ok(Err(invalid(why))),
        };
        let addresses = self.facts.clone().addresses_of(&name).await.map_err(DnsError::from);
        Ok(addresses.map(|addresses| addresses.iter().map(ToString::to_string).collect()))
    }

    async fn texts(&mut self, name: String) -> wasmtime::Result<Answer<Vec<Vec<u8>>>> {
        let metered = metered!(self, ServiceId::Dns, DnsError::Service);
        metered.octets(name.len());
        let name = match absolute(&name) {
            Ok(name) => name,
            Err(why) => return Ok(Err(invalid(why))),
        };
        let joined = |data: &RData| {
            let RData::TXT(text) = data else { return None };
            Some(text.txt_data.concat())
        };
        let texts = self.facts.clone().look_up(&name, RecordType::TXT, joined).await.map_err(DnsError::from);
        Ok(texts.inspect(|texts| metered.octets(texts.iter().map(Vec::len).sum())))
    }

    async fn mail_exchanges(&mut self, name: String) -> wasmtime::Result<Answer<Vec<MailExchange>>> {
        let metered = metered!(self, ServiceId::Dns, DnsError::Service);
        metered.octets(name.len());
        let name = match absolute(&name) {
            Ok(name) => name,
            Err(why) => return Ok(Err(invalid(why))),
        };
        let exchange = |data: &RData| {
            let RData::MX(mx) = data else { return None };
            Some(MailExchange { preference: mx.preference, exchange: text(&mx.exchange) })
        };
        let exchanges = self.facts.clone().look_up(&name, RecordType::MX, exchange).await.map_err(DnsError::from);
        Ok(exchanges.map(|mut exchanges| {
            exchanges.sort_by_key(|exchange| exchange.preference);
            exchanges
        }))
    }

    async fn names(&mut self, address: String) -> wasmtime::Result<Answer<Vec<String>>> {
        let _metered = metered!(self, ServiceId::Dns, DnsError::Service);
        let Ok(address) = address.parse() else { return Ok(Err(not_an_address(&address))) };
        let names = self.facts.clone().names_of(address).await.map_err(DnsError::from);
        Ok(names.map(|names| names.iter().map(text).collect()))
    }

    async fn confirmed_names(&mut self, address: String) -> wasmtime::Result<Answer<Vec<String>>> {
        let _metered = metered!(self, ServiceId::Dns, DnsError::Service);
        let Ok(address) = address.parse() else { return Ok(Err(not_an_address(&address))) };
        Ok(self.facts.clone().confirmed(address).await.map_err(DnsError::from))
    }

    async fn listings(&mut self, subject: String, zone: String) -> wasmtime::Result<Answer<Vec<String>>> {
        let metered = metered!(self, ServiceId::Dns, DnsError::Service);
        metered.octets(subject.len() + zone.len());
        Ok(self.facts.clone().listed(&subject, &zone).await)
    }
}

fn invalid(why: String) -> DnsError {
    DnsError::Service(ServiceError::Invalid(why))
}

fn not_an_address(text: &str) -> DnsError {
    invalid(format!("{:?} is not an address", text.chars().take(100).collect::<String>()))
}

/// Records of one answer that a plugin is told of.
const MAX_RECORDS: usize = 100;
/// Names of an address that are looked up to see whether they lead back.
const MAX_CONFIRMED: usize = 10;
