//! SPF (RFC 7208) of one transaction: may this client use this reverse-path?
//!
//! The record of a domain is parsed as a whole before anything of it is evaluated (section 4.6), macros are expanded as it goes, and
//! the limits of section 4.6.4 bound what one record can make us ask. What the DNS is asked goes through [`Lookups`].

mod check;
mod domain;
mod lookups;
mod macros;
mod record;
#[cfg(test)]
pub(super) mod suite;

use std::net::IpAddr;
use std::sync::Arc;

use self::check::Check;
#[cfg(test)]
pub(super) use self::lookups::Answer;
pub(super) use self::lookups::{Dns, Family, Lookups, Unanswered};
use crate::bindings::postgate::mail::mail_authentication::{ResultCode, SpfResult};
use crate::bindings::postgate::mail::types::Mailbox;

/// Who wants to send, from where.
pub(super) struct Inquiry {
    pub(super) client: IpAddr,
    /// What the client said in HELO or EHLO.
    pub(super) hello: String,
    /// None where it is null: then HELO is what is asked about (RFC 7208 section 2.4).
    pub(super) reverse_path: Option<Mailbox>,
    pub(super) hostname: Arc<str>,
    /// Seconds since 1970, for the macro `t`.
    pub(super) now_s: u64,
}

impl Inquiry {
    /// Asks the domain.
    pub(super) async fn check(&self, lookups: &impl Lookups) -> SpfResult {
        let (code, explanation) = Check::new(self, lookups).result().await;
        SpfResult { code, explanation, ..self.unknown() }
    }

    /// The result where nothing could be found out in time.
    pub(super) fn unknown(&self) -> SpfResult {
        SpfResult {
            code: ResultCode::Temperror,
            domain: self.domain().to_ascii_lowercase(),
            is_hello: self.reverse_path.is_none(),
            explanation: None,
        }
    }

    /// The domain that is asked.
    fn domain(&self) -> &str {
        self.reverse_path.as_ref().map_or(self.hello.as_str(), |mailbox| &mailbox.domain)
    }

    /// The local part of the sender; `postmaster` where there is none (section 4.3).
    fn local_part(&self) -> &str {
        let local_part = self.reverse_path.as_ref().map(|mailbox| mailbox.local_part.as_str());
        local_part.filter(|local_part| !local_part.is_empty()).unwrap_or("postmaster")
    }
}
