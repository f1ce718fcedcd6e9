//! `postgate:mail/mail-authentication`: SPF (RFC 7208), DKIM (RFC 6376, 8301, 8463), DMARC (RFC 7489, with the tree walk that follows it), ARC
//! (RFC 8617) and reverse DNS (RFC 8601 section 2.7.3) of the current message.
//!
//! Each is worked out when it is first asked for, and kept with the transaction for every plugin. What it is about is what came in: the
//! reverse-path of MAIL, and the message before any edit; its body is hashed as a stream, so a large one is never held. A server of the DNS that is
//! silent costs no more than four fifths of the plugin's deadline in one call of a hook: then the result is `temperror`. A call that is cut off
//! leaves nothing behind, and the next one begins again, with what the cache has by then.

mod dkim;
mod dmarc;
mod field;
mod spf;
#[cfg(test)]
mod vectors;

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{SystemTime, UNIX_EPOCH};

use mail_auth::common::crypto::HashAlgorithm;
use mail_auth::dkim::Canonicalization;
use mail_auth::{AuthenticatedMessage, IprevResult as Iprev};
use tokio::time::{Instant, timeout_at};

pub(crate) use self::field::{is_ours, results as results_value};
use super::ServiceId;
use super::canonical::{BodyHash, BodyHashes};
use super::dns::MessageAuthenticator;
use crate::bindings::postgate::mail::editor::EditError;
use crate::bindings::postgate::mail::mail_authentication::{
    ArcResult, DkimResult, DmarcResult, Host, IprevResult, ResultCode, SpfResult,
};
use crate::bindings::postgate::mail::types::{Mailbox, ServiceError};
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

/// A hash of the body, as signatures ask for it.
type Hashed = (Canonicalization, HashAlgorithm, u64, Vec<u8>);

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

    fn authenticator(&self) -> Found<MessageAuthenticator> {
        self.facts.resolver.authenticator().map_err(ServiceError::Unavailable)
    }

    /// Until when this call of a hook may wait for the DNS.
    fn until(&mut self) -> Instant {
        let patience = self.facts.limits.deadline.saturating_mul(4) / 5;
        *self.authentication_until.get_or_insert_with(|| Instant::now() + patience)
    }

    /// Waits for what mail-auth asks the DNS; none if that takes too long, or fails altogether.
    async fn in_time<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let until = self.until();
        let facts = self.facts.clone();
        let placed = async {
            let _places = facts.resolver.place(&facts.lookups).await;
            contained(work).await
        };
        timeout_at(until, placed).await.ok().flatten()
    }

    async fn find_iprev(&mut self) -> Found<IprevResult> {
        let client = self.client()?;
        if let Some((_, known)) = self.session_context()?.iprev.as_ref().filter(|(of, _)| *of == client) {
            return Ok(known.clone());
        }
        let authenticator = self.authenticator()?;
        let output = self.in_time(authenticator.verify_iprev(client)).await;
        let result = output.map_or(IprevResult { code: ResultCode::Temperror, name: None }, |output| {
            let code = match output.result {
                Iprev::Pass => ResultCode::Pass,
                // No name at all, or a name without that address, is a failure (RFC 8601 section 2.7.3).
                Iprev::Fail(_) | Iprev::PermError(_) => ResultCode::Fail,
                Iprev::TempError(_) => ResultCode::Temperror,
                Iprev::None => ResultCode::None,
            };
            let first = output.ptr.as_ref().and_then(|names| names.first());
            let name = first.filter(|_| code == ResultCode::Pass).map(|name| name.trim_end_matches('.').to_owned());
            IprevResult { code, name }
        });
        self.session_context()?.iprev = Some((client, result.clone()));
        Ok(result)
    }

    async fn find_spf(&mut self) -> Found<SpfResult> {
        if let Some(known) = &self.findings()?.spf {
            return Ok(known.clone());
        }
        let client = self.client()?;
        let reverse_path = self.findings()?.reverse_path.clone();
        let session = &self.session_context()?.session;
        let hello = session.hello.as_ref().map(|hello| hello.name.clone()).unwrap_or_default();
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let inquiry = spf::Inquiry { client, hello, reverse_path, hostname: session.hostname.clone(), now_s };
        self.facts.resolver.usable().map_err(ServiceError::Unavailable)?;
        let (until, facts) = (self.until(), self.facts.clone());
        // Each look-up has its own place.
        let dns = spf::Dns { resolver: &facts.resolver, places: &facts.lookups };
        let result = timeout_at(until, inquiry.check(&dns)).await.unwrap_or_else(|_| inquiry.unknown());
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
        let (received, bodies) = (self.received()?, self.body_hashes().await?);
        let authenticator = self.authenticator()?;
        let signed = match parsed(&received, &bodies) {
            Some(message) => {
                let verified = self.in_time(authenticator.verify_dkim(&message)).await;
                verified.map_or_else(|| dkim::unknown(&message), |outputs| dkim::signed(&message, &outputs))
            }
            None => Vec::new(),
        };
        self.findings()?.dkim = Some(signed.clone());
        Ok(signed)
    }

    async fn find_arc(&mut self) -> Found<ArcResult> {
        if let Some(known) = &self.findings()?.arc {
            return Ok(known.clone());
        }
        let (received, bodies) = (self.received()?, self.body_hashes().await?);
        let authenticator = self.authenticator()?;
        let result = match parsed(&received, &bodies) {
            Some(message) => {
                let verified = self.in_time(authenticator.verify_arc(&message)).await;
                dkim::arc(&message, verified.as_ref())
            }
            None => ArcResult { code: ResultCode::None, sets: 0, domain: None },
        };
        self.findings()?.arc = Some(result.clone());
        Ok(result)
    }

    async fn find_dmarc(&mut self) -> Found<DmarcResult> {
        if let Some(known) = &self.findings()?.dmarc {
            return Ok(known.clone());
        }
        let received = self.received()?;
        let (spf, dkim) = (self.find_spf().await?, self.find_dkim().await?);
        let authenticator = self.authenticator()?;
        let author = dmarc::author(&received);
        let result = match &author {
            dmarc::Author::Domain(domain) => {
                let evaluated = self.in_time(dmarc::evaluate(&authenticator, domain, &spf, &dkim)).await;
                evaluated.unwrap_or_else(|| dmarc::without_policy(ResultCode::Temperror, domain))
            }
            dmarc::Author::Nobody => dmarc::without_policy(ResultCode::None, ""),
            dmarc::Author::Several => dmarc::without_policy(ResultCode::Permerror, ""),
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

/// The header section taken apart; none if there is no field at all.
fn header_section(received: &Received) -> Option<AuthenticatedMessage<'_>> {
    catch_unwind(|| AuthenticatedMessage::parse(received.header())).unwrap_or_else(|_| {
        tracing::error!("the parser of header sections has panicked");
        None
    })
}

/// Awaits what mail-auth makes of fields and records of others. It is not written to withstand all of them: where it panics, nothing is
/// known of this message, and the session goes on.
async fn contained<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    // Nothing of it is looked at after a panic: it is not polled again, and what it has borrowed is only read.
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(poll) => poll.map(Some),
        Err(_) => {
            tracing::error!("the verification of a message has panicked");
            Poll::Ready(None)
        }
    })
    .await
}

/// The header section taken apart, with hashes of a body that is not at hand. None if there is no field at all.
fn parsed<'a>(received: &'a Received, bodies: &[Hashed]) -> Option<AuthenticatedMessage<'a>> {
    let mut message = header_section(received)?;
    message.dkim_headers.truncate(MAX_SIGNATURES);
    for (form, algorithm, length, hash) in &mut message.body_hashes {
        let of_it = |(f, a, l, _): &&Hashed| (*f, *a, *l) == (*form, *algorithm, *length);
        *hash = bodies.iter().find(of_it).map(|(_, _, _, hash)| hash.clone()).unwrap_or_default();
    }
    Some(message)
}

/// The hashes of the body that the signatures ask for. Blocks on the disk. None for SHA-1: rsa-sha1 is not to be verified (RFC 8301
/// section 3.1), and none for signatures that leave a part of the body open (`l=`).
fn hashed(received: &Received) -> std::io::Result<Vec<Hashed>> {
    let Some(message) = header_section(received) else { return Ok(Vec::new()) };
    let asked = [Canonicalization::Relaxed, Canonicalization::Simple]
        .into_iter()
        .filter(|form| message.body_hashes.iter().any(|(f, a, l, _)| (f, *a, *l) == (form, HashAlgorithm::Sha256, 0)));
    let forms: Vec<_> = asked.collect();
    if forms.is_empty() {
        return Ok(Vec::new());
    }
    let mut hashes = BodyHashes(forms.iter().map(|form| BodyHash::new(*form)).collect());
    received.write_body_to(&mut hashes)?;
    let hashes = hashes.0.into_iter().map(BodyHash::finish);
    Ok(forms.into_iter().zip(hashes).map(|(form, hash)| (form, HashAlgorithm::Sha256, 0, hash)).collect())
}

const FIELD: &str = "Authentication-Results";

/// Signatures of one message that are verified, from the top.
const MAX_SIGNATURES: usize = 10;

#[cfg(test)]
mod tests {
    use super::contained;

    #[tokio::test]
    async fn a_panic_is_contained() {
        assert_eq!(contained(async { 1 }).await, Some(1));
        let panics = async {
            tokio::task::yield_now().await;
            let shift = std::hint::black_box(40_u32);
            1_u32.checked_shl(shift).expect("a shift that overflows")
        };
        assert_eq!(contained(panics).await, None);
    }
}
