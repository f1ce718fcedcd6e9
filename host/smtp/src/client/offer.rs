//! What a server offers in its answer to EHLO (RFC 5321 section 4.1.1.1).

use crate::sasl::{Mechanism, Mechanisms};

/// Service extensions of a server's.
#[derive(Clone, Debug, Default)]
pub(super) struct Offer {
    pub(super) pipelining: bool,
    /// The most octets of a message (RFC 1870); 0 where it has no bound or does not say.
    pub(super) size: Option<u64>,
    pub(super) eight_bit_mime: bool,
    pub(super) smtp_utf8: bool,
    pub(super) chunking: bool,
    pub(super) binary_mime: bool,
    pub(super) dsn: bool,
    pub(super) mt_priority: bool,
    pub(super) deliver_by: bool,
    pub(super) future_release: bool,
    pub(super) require_tls: bool,
    pub(super) starttls: bool,
    pub(super) xclient: bool,
    pub(super) mechanisms: Mechanisms,
    /// RFC 9422.
    pub(super) recipients_max: Option<usize>,
    pub(super) transactions_max: Option<u32>,
}

impl Offer {
    /// Of the lines behind the first.
    pub(super) fn read(lines: &[String]) -> Offer {
        let mut offer = Offer::default();
        for line in lines.iter().skip(1) {
            let mut words = line.split(' ').filter(|word| !word.is_empty());
            let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
            match keyword.as_str() {
                "PIPELINING" => offer.pipelining = true,
                "SIZE" => offer.size = Some(words.next().and_then(|size| size.parse().ok()).unwrap_or(0)),
                "8BITMIME" => offer.eight_bit_mime = true,
                "SMTPUTF8" => offer.smtp_utf8 = true,
                "CHUNKING" => offer.chunking = true,
                "BINARYMIME" => offer.binary_mime = true,
                "DSN" => offer.dsn = true,
                "MT-PRIORITY" => offer.mt_priority = true,
                "DELIVERBY" => offer.deliver_by = true,
                "FUTURERELEASE" => offer.future_release = true,
                "REQUIRETLS" => offer.require_tls = true,
                "STARTTLS" => offer.starttls = true,
                "XCLIENT" => offer.xclient = true,
                "AUTH" => {
                    offer.mechanisms = words.filter_map(Mechanism::from_name).fold(offer.mechanisms, Mechanisms::with);
                }
                "LIMITS" => words.for_each(|limit| offer.limit(limit)),
                _ => {}
            }
        }
        offer
    }

    /// RFC 9422 section 4. A limit of 0 would mean that there can be no mail, and is taken for none.
    fn limit(&mut self, limit: &str) {
        let Some((name, value)) = limit.split_once('=') else { return };
        let Some(value) = value.parse::<u32>().ok().filter(|value| *value > 0) else { return };
        match name.to_ascii_uppercase().as_str() {
            "RCPTMAX" => self.recipients_max = usize::try_from(value).ok(),
            "MAILMAX" => self.transactions_max = Some(value),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let lines = [
            "mx PIPELINING",
            "size 1000",
            "AUTH PLAIN  X-UNKNOWN login",
            "LIMITS RCPTMAX=5 MAILMAX=0 X",
            "",
            "8BITMIME x",
        ];
        let offer = Offer::read(&lines.map(str::to_owned));
        assert!(!offer.pipelining && offer.eight_bit_mime);
        assert_eq!((offer.size, offer.recipients_max, offer.transactions_max), (Some(1000), Some(5), None));
        let names: Vec<_> = offer.mechanisms.iter().map(Mechanism::name).collect();
        assert_eq!(names, ["PLAIN", "LOGIN"]);
    }
}
