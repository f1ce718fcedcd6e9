//! What SPF asks the DNS, so that it can be asked of anything that answers.

use std::net::IpAddr;

use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::sync::Semaphore;

use crate::service::dns::{LookupError, Resolver};

/// The answer to one look-up; without records also where there is no such name. An error where no server says.
pub(in super::super) type Answer<T> = Result<Vec<T>, Unanswered>;

/// No server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Unanswered;

/// Which addresses are asked for: those that the client could have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Family {
    V4,
    V6,
}

/// Look-ups, by absolute names.
pub(in super::super) trait Lookups: Sync {
    /// The text records, the strings of each joined (RFC 7208 section 3.3).
    fn texts(&self, name: &Name) -> impl Future<Output = Answer<Vec<u8>>> + Send;
    fn addresses(&self, name: &Name, family: Family) -> impl Future<Output = Answer<IpAddr>> + Send;
    /// The hosts that take mail for a domain.
    fn exchanges(&self, name: &Name) -> impl Future<Output = Answer<Name>> + Send;
    /// The names of an address, none of them confirmed.
    fn pointers(&self, address: IpAddr) -> impl Future<Output = Answer<Name>> + Send;
}

/// The resolver, with the places of one plugin.
pub(in super::super) struct Dns<'a> {
    pub(in super::super) resolver: &'a Resolver,
    pub(in super::super) places: &'a Semaphore,
}

impl Dns<'_> {
    async fn look_up<T>(&self, name: &Name, kind: RecordType, take: impl Fn(&RData) -> Option<T> + Send) -> Answer<T> {
        match self.resolver.look_up(self.places, name, kind).await {
            Ok(records) => Ok(records.iter().filter_map(|record| take(&record.data)).collect()),
            Err(LookupError::NoSuchName) => Ok(Vec::new()),
            Err(LookupError::Unavailable(_)) => Err(Unanswered),
        }
    }
}

impl Lookups for Dns<'_> {
    async fn texts(&self, name: &Name) -> Answer<Vec<u8>> {
        let joined = |data: &RData| {
            let RData::TXT(text) = data else { return None };
            Some(text.txt_data.concat())
        };
        self.look_up(name, RecordType::TXT, joined).await
    }

    async fn addresses(&self, name: &Name, family: Family) -> Answer<IpAddr> {
        let kind = match family {
            Family::V4 => RecordType::A,
            Family::V6 => RecordType::AAAA,
        };
        self.look_up(name, kind, RData::ip_addr).await
    }

    async fn exchanges(&self, name: &Name) -> Answer<Name> {
        let exchange = |data: &RData| {
            let RData::MX(mx) = data else { return None };
            Some(mx.exchange.clone())
        };
        self.look_up(name, RecordType::MX, exchange).await
    }

    async fn pointers(&self, address: IpAddr) -> Answer<Name> {
        let pointer = |data: &RData| {
            let RData::PTR(name) = data else { return None };
            Some(name.0.clone())
        };
        self.look_up(&Name::from(address), RecordType::PTR, pointer).await
    }
}
