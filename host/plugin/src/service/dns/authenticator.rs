//! mail-auth with our resolver; in a rehearsal its look-ups are answered before they reach it.

use std::borrow::Borrow;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Instant;

use hickory_resolver::proto::op::ResponseCode;
use mail_auth::common::cache::NoCache;
use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::resolver::{ToFqdn, UnwrapTxtRecord};
use mail_auth::common::verify::DomainKey;
use mail_auth::dmarc::Dmarc;
use mail_auth::{ArcOutput, AuthenticatedMessage, DkimOutput, Error, IprevOutput, MX, Parameters, ResolverCache, Txt};

use crate::stubs::{NameAnswer, Stubs};

/// Verifies signatures, policies and reverse DNS.
#[derive(Clone)]
pub(crate) struct MessageAuthenticator {
    verifier: mail_auth::MessageAuthenticator,
    answers: Option<Answers>,
}

/// What a rehearsal says, in the place of mail-auth's cache: it has an answer to everything.
#[derive(Clone)]
struct Answers(Arc<Stubs>);

type Asked<'x, P> = Parameters<'x, P, Answers, NoCache<Box<str>, Arc<[MX]>>, Answers, Answers, Answers>;

impl MessageAuthenticator {
    pub(super) fn new(verifier: mail_auth::MessageAuthenticator, stubs: Option<Arc<Stubs>>) -> Self {
        Self { verifier, answers: stubs.map(Answers) }
    }

    pub(crate) async fn verify_iprev(&self, client: IpAddr) -> IprevOutput {
        self.verifier.verify_iprev(self.asked(client)).await
    }

    pub(crate) async fn verify_dkim<'x>(&'x self, message: &'x AuthenticatedMessage<'x>) -> Vec<DkimOutput<'x>> {
        self.verifier.verify_dkim(self.asked(message)).await
    }

    pub(crate) async fn verify_arc<'x>(&'x self, message: &'x AuthenticatedMessage<'x>) -> ArcOutput<'x> {
        self.verifier.verify_arc(self.asked(message)).await
    }

    /// The record of a name, of those that the type says.
    pub(crate) async fn txt_lookup<T>(
        &self,
        name: impl ToFqdn,
        _cache: Option<&NoCache<Box<str>, Txt>>,
    ) -> Result<Arc<T>, Error>
    where
        T: TxtRecordParser + Into<Txt> + UnwrapTxtRecord,
    {
        self.verifier.txt_lookup(name, self.answers.as_ref()).await
    }

    fn asked<'x, P>(&'x self, params: P) -> Asked<'x, P> {
        let answers = self.answers.as_ref();
        Parameters {
            params,
            cache_txt: answers,
            cache_mx: None,
            cache_ptr: answers,
            cache_ipv4: answers,
            cache_ipv6: answers,
        }
    }
}

/// The names are compared and not read: a cache knows of its keys only whether they are the same.
impl ResolverCache<Box<str>, Txt> for Answers {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let found = self.0.names().into_iter().find(|known| Borrow::<Q>::borrow(known) == name);
        Some(match found.map(|name| (self.0.texts(&name), name)) {
            None | Some((NameAnswer::None, _)) => Txt::Error(Error::DnsRecordNotFound(ResponseCode::NXDomain)),
            Some((NameAnswer::Fails, _)) => Txt::Error(Error::DnsError("the test says so".to_owned())),
            Some((NameAnswer::These(texts), name)) => {
                let records = texts.iter().map(|text| {
                    if name.starts_with("_dmarc.") {
                        Dmarc::parse(text).map(Txt::from)
                    } else {
                        DomainKey::parse(text).map(Txt::from)
                    }
                });
                let nothing = || Err(Error::DnsRecordNotFound(ResponseCode::NoError));
                // As mail-auth does: the first that can be read, or else what is wrong with the last.
                let read = records.fold(None, |found: Option<Result<Txt, Error>>, record| match found {
                    Some(Ok(found)) => Some(Ok(found)),
                    Some(Err(_)) | None => Some(record),
                });
                read.unwrap_or_else(nothing).unwrap_or_else(Txt::Error)
            }
        })
    }

    fn remove<Q>(&self, _name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _name: Box<str>, _record: Txt, _until: Instant) {}
}

macro_rules! addresses {
    ($key:ty, $value:ty, $names:ident, $answer:expr) => {
        impl ResolverCache<$key, Arc<[$value]>> for Answers {
            fn get<Q>(&self, name: &Q) -> Option<Arc<[$value]>>
            where
                $key: Borrow<Q>,
                Q: Hash + Eq + ?Sized,
            {
                let found = self.0.$names().into_iter().find(|known| Borrow::<Q>::borrow(known) == name);
                let answer: fn(&Stubs, $key) -> Vec<$value> = $answer;
                Some(found.map(|name| answer(&self.0, name)).unwrap_or_default().into())
            }

            fn remove<Q>(&self, _name: &Q) -> Option<Arc<[$value]>>
            where
                $key: Borrow<Q>,
                Q: Hash + Eq + ?Sized,
            {
                None
            }

            fn insert(&self, _name: $key, _value: Arc<[$value]>, _until: Instant) {}
        }
    };
}

addresses!(Box<str>, Ipv4Addr, names, |stubs, name| {
    let addresses = stubs.addresses(&name).into_iter();
    let v4 = addresses.filter_map(|address| if let IpAddr::V4(address) = address { Some(address) } else { None });
    v4.collect()
});
addresses!(Box<str>, Ipv6Addr, names, |stubs, name| {
    let addresses = stubs.addresses(&name).into_iter();
    let v6 = addresses.filter_map(|address| if let IpAddr::V6(address) = address { Some(address) } else { None });
    v6.collect()
});
addresses!(IpAddr, Box<str>, pointed, |stubs, address| stubs.pointers(address));
