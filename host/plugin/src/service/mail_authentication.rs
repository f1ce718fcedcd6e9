//! `postgate:mail/mail-authentication`: SPF (RFC 7208), DKIM (RFC 6376, 8301, 8463), DMARC (RFC 7489 and 9091, with the tree walk that follows them), ARC
//! (RFC 8617) and reverse DNS (RFC 8601 section 2.7.3) of the current message.
//!
//! Each is worked out when it is first asked for, and kept with the transaction for every plugin. What it is about is what came in: the
//! reverse-path of MAIL, and the message before any edit; its body is hashed as a stream, so a large one is never held. A server of the DNS that is
//! silent costs no more than four fifths of the plugin's deadline in one call of a hook: then the result is `temperror`. A call that is cut off
//! leaves nothing behind, and the next one begins again, with what the cache has by then.

mod arc;
mod dkim;
mod dmarc;
mod field;
mod signature;
mod spf;
mod tags;
#[cfg(test)]
mod vectors;

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use mail_auth::dkim::Canonicalization;
use tokio::time::{Instant, timeout_at};

pub(crate) use self::field::{is_ours, results as results_value};
use self::signature::{Cover, Fields};
use self::tags::Tags;
use super::ServiceId;
use super::canonical::{BodyHash, BodyHashes};
use super::dns::LookupError;
use crate::bindings::postgate::mail::editor::EditError;
use crate::bindings::postgate::mail::mail_authentication::{
    ArcResult, DkimResult, DmarcResult, Host, IprevResult, ResultCode, SpfResult,
};
use crate::bindings::postgate::mail::types::{Mailbox, ServiceError};
use crate::component::Facts;
use crate::context::{Context, Transaction};
use crate::hook::Hook;
use crate::message::{Received, Rewrite};
use crate::state::State;

/// What was found out of the sender of one transaction.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// As MAIL said it, whatever plugins have made of it since.
    reverse_path: Option<Mailbox>,
    spf: Option<SpfResult>,
    bodies: Option<Arc<Vec<Hashed>>>,
    dkim: Option<Vec<Signed>>,
    arc: Option<ArcResult>,
    dmarc: Option<DmarcResult>,
}

/// One DKIM signature: its result, and the beginning of `b=`, which tells two of one domain apart (RFC 6008).
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) result: DkimResult,
    pub(crate) begin: String,
}

/// A hash of the body (SHA-256) in one of its canonical forms, as signatures ask for it.
type Hashed = (Canonicalization, Vec<u8>);

impl Findings {
    /// Nothing known yet of a transaction with that reverse-path.
    pub(crate) fn of(reverse_path: Option<Mailbox>) -> Self {
        Self { reverse_path, ..Self::default() }
    }
}

type Found<T> = Result<T, ServiceError>;

impl State {
    fn session_context(&mut self) -> Found<&mut Context> {
        self.context.as_deref_mut().ok_or(ServiceError::NotNow)
    }

    fn open_transaction(&mut self) -> Found<&mut Transaction> {
        self.session_context()?.transaction.as_mut().ok_or(ServiceError::NotNow)
    }

    fn findings(&mut self) -> Found<&mut Findings> {
        Ok(&mut self.open_transaction()?.authentication)
    }

    fn received(&mut self) -> Found<Arc<Received>> {
        self.session_context()?.message.as_ref().map(|message| message.received()).ok_or(ServiceError::NotNow)
    }

    fn client(&mut self) -> Found<IpAddr> {
        Ok(self.session_context()?.session.remote.ip().to_canonical())
    }

    /// Until when this call of a hook may wait for the DNS.
    fn until(&mut self) -> Instant {
        let patience = self.facts.limits.deadline.saturating_mul(4) / 5;
        *self.authentication_until.get_or_insert_with(|| Instant::now() + patience)
    }

    /// Waits for what the DNS is asked; none if that takes too long.
    async fn in_time<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        timeout_at(self.until(), work).await.ok()
    }

    async fn find_iprev(&mut self) -> Found<IprevResult> {
        let client = self.client()?;
        if let Some((_, known)) = self.session_context()?.iprev.as_ref().filter(|(of, _)| *of == client) {
            return Ok(known.clone());
        }
        let facts = self.usable()?;
        let (code, name) = match self.in_time(facts.confirmed(client)).await {
            Some(Ok(names)) if !names.is_empty() => (ResultCode::Pass, names.into_iter().next()),
            // No name at all, or a name without that address, is a failure (RFC 8601 section 2.7.3).
            Some(Ok(_) | Err(LookupError::NoSuchName)) => (ResultCode::Fail, None),
            Some(Err(LookupError::Unavailable(_))) | None => (ResultCode::Temperror, None),
        };
        let result = IprevResult { code, name };
        self.session_context()?.iprev = Some((client, result.clone()));
        Ok(result)
    }

    /// What is shared, if there is a resolver at all.
    fn usable(&self) -> Found<Arc<Facts>> {
        self.facts.resolver.usable().map_err(ServiceError::Unavailable)?;
        Ok(self.facts.clone())
    }

    async fn find_spf(&mut self) -> Found<SpfResult> {
        if let Some(known) = &self.findings()?.spf {
            return Ok(known.clone());
        }
        let client = self.client()?;
        let reverse_path = self.findings()?.reverse_path.clone();
        let session = &self.session_context()?.session;
        let hello = session.hello.as_ref().map(|hello| hello.name.clone()).unwrap_or_default();
        let hostname = session.hostname.clone();
        let inquiry = spf::Inquiry { client, hello, reverse_path, hostname, now_s: self.facts.clock.now_s() };
        let facts = self.usable()?;
        let result = self.in_time(inquiry.check(&dns(&facts))).await.unwrap_or_else(|| inquiry.unknown());
        self.findings()?.spf = Some(result.clone());
        Ok(result)
    }

    /// The hashes of the body that signatures of DKIM and ARC ask for.
    async fn body_hashes(&mut self) -> Found<Arc<Vec<Hashed>>> {
        if let Some(known) = &self.findings()?.bodies {
            return Ok(known.clone());
        }
        let received = self.received()?;
        let Ok(permit) = self.facts.disk.clone().acquire_owned().await else { return Err(ServiceError::NotNow) };
        let work = tokio::task::spawn_blocking(move || {
            let _held = permit;
            hashed(&received)
        });
        let unreadable = |why: String| ServiceError::Unavailable(format!("the message can't be read: {why}"));
        let bodies = match work.await {
            Ok(Ok(bodies)) => Arc::new(bodies),
            Ok(Err(error)) => return Err(unreadable(error.to_string())),
            Err(error) => return Err(unreadable(error.to_string())),
        };
        self.findings()?.bodies = Some(bodies.clone());
        Ok(bodies)
    }

    async fn find_dkim(&mut self) -> Found<Vec<Signed>> {
        if let Some(known) = &self.findings()?.dkim {
            return Ok(known.clone());
        }
        let (received, bodies, facts) = (self.received()?, self.body_hashes().await?, self.usable()?);
        let fields = Fields::of(received.raw_fields());
        let verified = self.in_time(dkim::verify(&fields, &bodies, &dns(&facts), facts.clock.now_s())).await;
        let signed = verified.unwrap_or_else(|| dkim::unknown(&fields));
        self.findings()?.dkim = Some(signed.clone());
        Ok(signed)
    }

    async fn find_arc(&mut self) -> Found<ArcResult> {
        if let Some(known) = &self.findings()?.arc {
            return Ok(known.clone());
        }
        let (received, bodies, facts) = (self.received()?, self.body_hashes().await?, self.usable()?);
        let fields = Fields::of(received.raw_fields());
        let verified = self.in_time(arc::verify(&fields, &bodies, &dns(&facts), facts.clock.now_s())).await;
        let result = verified.unwrap_or_else(|| arc::unknown(&fields));
        self.findings()?.arc = Some(result.clone());
        Ok(result)
    }

    async fn find_dmarc(&mut self) -> Found<DmarcResult> {
        if let Some(known) = &self.findings()?.dmarc {
            return Ok(known.clone());
        }
        let received = self.received()?;
        let (spf, dkim, facts) = (self.find_spf().await?, self.find_dkim().await?, self.usable()?);
        let author = dmarc::author(&Fields::of(received.raw_fields()));
        let result = match &author {
            dmarc::Author::Domain(domain) => {
                let evaluated = self.in_time(dmarc::evaluate(&dns(&facts), domain, &spf, &dkim)).await;
                evaluated.unwrap_or_else(|| dmarc::without_policy(ResultCode::Temperror, domain))
            }
            dmarc::Author::Nobody => dmarc::without_policy(ResultCode::None, ""),
            dmarc::Author::Several => dmarc::without_policy(ResultCode::Permerror, ""),
            dmarc::Author::Unknown => dmarc::without_policy(ResultCode::Temperror, ""),
        };
        self.findings()?.dmarc = Some(result.clone());
        Ok(result)
    }

    /// The results as the value of an Authentication-Results field, the authserv-id in front.
    pub(crate) async fn find_results(&mut self) -> Found<String> {
        self.received()?;
        let iprev = self.find_iprev().await?;
        let spf = self.find_spf().await?;
        let dkim = self.find_dkim().await?;
        let dmarc = self.find_dmarc().await?;
        let arc = self.find_arc().await?;
        let client = self.client()?;
        let hostname = self.session_context()?.session.hostname.clone();
        Ok(results_value(&hostname, &field::Results { client, iprev, spf, dkim, dmarc, arc }))
    }

    /// The state of the ARC chain, for a seal.
    pub(crate) async fn find_chain(&mut self) -> Found<ArcResult> {
        self.find_arc().await
    }
}

impl Host for State {
    async fn iprev(&mut self) -> wasmtime::Result<Found<IprevResult>> {
        let _metered = metered!(self, ServiceId::MailAuthentication, |error| error);
        Ok(self.find_iprev().await)
    }

    async fn spf(&mut self) -> wasmtime::Result<Found<SpfResult>> {
        let _metered = metered!(self, ServiceId::MailAuthentication, |error| error);
        Ok(self.find_spf().await)
    }

    async fn dkim(&mut self) -> wasmtime::Result<Found<Vec<DkimResult>>> {
        let _metered = metered!(self, ServiceId::MailAuthentication, |error| error);
        Ok(self.find_dkim().await.map(|signed| signed.into_iter().map(|signed| signed.result).collect()))
    }

    async fn dmarc(&mut self) -> wasmtime::Result<Found<DmarcResult>> {
        let _metered = metered!(self, ServiceId::MailAuthentication, |error| error);
        Ok(self.find_dmarc().await)
    }

    async fn arc(&mut self) -> wasmtime::Result<Found<ArcResult>> {
        let _metered = metered!(self, ServiceId::MailAuthentication, |error| error);
        Ok(self.find_arc().await)
    }

    async fn results_field(&mut self) -> wasmtime::Result<Found<String>> {
        let metered = metered!(self, ServiceId::MailAuthentication, |error| error);
        Ok(self.find_results().await.inspect(|value| metered.octets(value.len())))
    }

    async fn remove_forged(&mut self) -> wasmtime::Result<Found<u32>> {
        let _metered = metered!(self, ServiceId::MailAuthentication, |error| error);
        let context = match self.session_context() {
            Ok(context) if context.hook == Hook::Message => context,
            Ok(_) | Err(_) => return Ok(Err(ServiceError::NotNow)),
        };
        let hostname = context.session.hostname.clone();
        let removed = self.edit(0, |_, message| {
            let named = message.fields().filter(|(name, _)| name.eq_ignore_ascii_case(FIELD.as_bytes()));
            let forged: Vec<bool> = named.map(|(_, value)| is_ours(value, &hostname)).collect();
            Ok(message.rewrite_fields(FIELD, |n| match forged.get(n as usize) {
                Some(true) => Rewrite::Remove,
                Some(false) | None => Rewrite::Keep,
            }))
        })?;
        Ok(removed.map_err(edit_error))
    }
}

/// Why an edit of a service was not made.
pub(crate) fn edit_error(error: EditError) -> ServiceError {
    match error {
        EditError::NotNow => ServiceError::NotNow,
        EditError::Quota => ServiceError::Quota("edit-octets: the edits of one message".to_owned()),
        EditError::Invalid(why) => ServiceError::Invalid(why),
    }
}

/// The DNS, with the places of one plugin: each look-up has its own.
fn dns(facts: &Facts) -> spf::Dns<'_> {
    spf::Dns { resolver: &facts.resolver, places: &facts.lookups }
}

/// What a library makes of octets of others. It is not written to withstand all of them: where it panics the answer is none, which
/// callers must not take for "there is nothing".
fn quietly<T>(work: impl FnOnce() -> T) -> Option<T> {
    // Nothing of it is looked at after a panic, and what it has borrowed is only read.
    catch_unwind(AssertUnwindSafe(work)).inspect_err(|_| tracing::error!("a parser has panicked")).ok()
}

/// The hashes of the body that the signatures ask for. Blocks on the disk.
fn hashed(received: &Received) -> std::io::Result<Vec<Hashed>> {
    let fields = Fields::of(received.raw_fields());
    let form = |value: &[u8]| Some(Cover::parse(&Tags::parse(value)?).ok()?.body);
    let asked: Vec<_> =
        dkim::signatures(&fields).chain(arc::signatures(&fields)).filter_map(|field| form(field.value)).collect();
    let forms = [Canonicalization::Relaxed, Canonicalization::Simple].into_iter().filter(|form| asked.contains(form));
    let forms: Vec<_> = forms.collect();
    if forms.is_empty() {
        return Ok(Vec::new());
    }
    let mut hashes = BodyHashes(forms.iter().map(|form| BodyHash::new(*form)).collect());
    received.write_body_to(&mut hashes)?;
    let hashes = hashes.0.into_iter().map(BodyHash::finish);
    Ok(forms.into_iter().zip(hashes).collect())
}

const FIELD: &str = "Authentication-Results";

/// Signatures of one message that are verified, from the top.
const MAX_SIGNATURES: usize = 10;

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use hickory_resolver::proto::rr::Name;

    use super::quietly;
    use super::spf::{Answer, Family, Lookups, Unanswered};

    /// A DNS of a few records: texts, or `A ADDRESS`, `AAAA ADDRESS`, `MX NAME`, or `SILENT`, where no server answers.
    pub(super) struct Answers(Vec<(String, String)>);

    impl Answers {
        pub(super) fn of(records: &[(&str, &str)]) -> Self {
            Self(records.iter().map(|(name, value)| (format!("{name}."), (*value).to_owned())).collect())
        }

        fn at(&self, name: &Name) -> Answer<&str> {
            let name = name.to_string();
            let found: Vec<&str> = self.0.iter().filter(|(known, _)| *known == name).map(|(_, v)| v.as_str()).collect();
            if found.contains(&"SILENT") { Err(Unanswered) } else { Ok(found) }
        }
    }

    impl Lookups for Answers {
        async fn texts(&self, name: &Name) -> Answer<Vec<u8>> {
            let is_text = |value: &&str| !["A ", "AAAA ", "MX "].iter().any(|kind| value.starts_with(kind));
            Ok(self.at(name)?.into_iter().filter(is_text).map(|text| text.as_bytes().to_vec()).collect())
        }

        async fn addresses(&self, name: &Name, family: Family) -> Answer<IpAddr> {
            let kind = match family {
                Family::V4 => "A ",
                Family::V6 => "AAAA ",
            };
            Ok(self.at(name)?.into_iter().filter_map(|value| value.strip_prefix(kind)?.parse().ok()).collect())
        }

        async fn exchanges(&self, name: &Name) -> Answer<Name> {
            Ok(self.at(name)?.into_iter().filter_map(|value| value.strip_prefix("MX ")?.parse().ok()).collect())
        }

        async fn pointers(&self, _address: IpAddr) -> Answer<Name> {
            Ok(Vec::new())
        }
    }

    #[test]
    fn a_panic_is_contained() {
        assert_eq!(quietly(|| 1), Some(1));
        let shift = std::hint::black_box(40_u32);
        assert_eq!(quietly(|| 1_u32.checked_shl(shift).expect("a shift that overflows")), None);
    }
}
