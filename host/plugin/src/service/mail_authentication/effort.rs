//! What one message may cost where its signatures are verified.
//!
//! That is done at one go on the event loop. Each name in `h=` is sought among all fields of the header section, and each seal of a chain of ARC
//! covers all sets before it: the work of a sender who means ill grows with the square of what he sends. What is over the bounds here is not
//! verified, and stands for a signature that can't be read; mail that anybody wrote in earnest has a hundredth of them.

use mail_auth::dkim::Signature;
use mail_auth::{AuthenticatedMessage, Error};

/// Takes away what would be too much work: signatures from the one on that is too much, and a chain as a whole.
pub(super) fn bound(message: &mut AuthenticatedMessage<'_>) {
    let fields = message.headers.len();
    let mut left = MAX_COMPARISONS;
    for header in &mut message.dkim_headers {
        let comparisons =
            header.header.as_ref().map_or(0, |signature: &Signature| comparisons(signature.h.len(), fields));
        match left.checked_sub(comparisons) {
            Some(rest) => left = rest,
            None => header.header = Err(Error::ParseError),
        }
    }
    // Of the signatures in a chain only the last one is verified.
    let signed = message.ams_headers.last().and_then(|last| last.header.as_ref().ok()).map_or(0, |last| last.h.len());
    let values = message.as_headers.iter().map(|header| header.value.len());
    let values = values.chain(message.ams_headers.iter().map(|header| header.value.len()));
    let octets: usize = values.chain(message.aar_headers.iter().map(|header| header.value.len())).sum();
    let is_too_much =
        comparisons(signed, fields) > left || octets.saturating_mul(message.as_headers.len()) > MAX_SEALED_BYTES;
    if is_too_much && let Some(first) = message.as_headers.first_mut() {
        first.header = Err(Error::ParseError);
    }
}

/// Names in `h=` against names of fields, and against those that came before in `h=`.
fn comparisons(names: usize, fields: usize) -> usize {
    names.saturating_mul(names.saturating_add(fields))
}

/// Comparisons of names for all signatures of a message: some milliseconds.
const MAX_COMPARISONS: usize = 2_000_000;

/// Octets of the fields of a chain, times its seals: some ten milliseconds.
const MAX_SEALED_BYTES: usize = 2 << 20;

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn of(names: usize, fields: usize, signatures: usize) -> String {
        let names: Vec<String> = (0..names).map(|n| format!("n{n}")).collect();
        let signature = format!(
            "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=s; h=from:{}; bh=AAAA; b=AAAA\r\n",
            names.join(":")
        );
        format!("{}From: a@example.org\r\n{}\r\n", signature.repeat(signatures), "x:\r\n".repeat(fields))
    }

    /// How many signatures are left, and how long their fields take to be found.
    fn verified(text: &str) -> (usize, f64) {
        let mut message = AuthenticatedMessage::parse(text.as_bytes()).unwrap();
        bound(&mut message);
        let begin = Instant::now();
        let mut found = 0;
        for header in &message.dkim_headers {
            if let Ok(signature) = &header.header {
                found += 1;
                std::hint::black_box(message.signed_headers(&signature.h, header.name, header.value).count());
            }
        }
        (found, begin.elapsed().as_secs_f64())
    }

    #[test]
    fn mail_in_earnest_is_verified_whole() {
        assert_eq!(verified(&of(40, 100, 10)).0, 10);
        assert_eq!(verified(&of(100, 1000, 10)).0, 10);
    }

    #[test]
    fn bombs_are_not() {
        let bomb = of(20_000, 25_000, 1);
        assert!(bomb.len() < 256 << 10, "{}", bomb.len());
        assert_eq!(verified(&bomb).0, 0);
        let (found, seconds) = verified(&of(1000, 1000, 10));
        assert_eq!(found, 0);
        let (found, some) = verified(&of(400, 2000, 10));
        assert_eq!(found, 2);
        // As slow as a machine under test may be.
        assert!(seconds + some < 2.0, "{seconds} {some}");
    }

    #[test]
    fn chains_are_bounded() {
        let chain = |sets: usize, octets: usize| {
            let one = |n: usize| {
                format!(
                    "ARC-Seal: i={n}; a=rsa-sha256; cv=pass; d=example.org; s=s; b=AAAA\r\n\
                     ARC-Message-Signature: i={n}; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=s; h=from; bh=AAAA; b=AAAA\r\n\
                     ARC-Authentication-Results: i={n}; mx.example.org; {}\r\n",
                    "x".repeat(octets)
                )
            };
            let text: String = (1..=sets).map(one).collect();
            let text = format!("{text}From: a@example.org\r\n\r\n");
            let mut message = AuthenticatedMessage::parse(text.as_bytes()).unwrap();
            bound(&mut message);
            message.as_headers.first().unwrap().header.is_ok()
        };
        assert!(chain(1, 4000) && chain(10, 2000) && chain(50, 300));
        assert!(!chain(50, 4000) && !chain(20, 12_000));
    }
}
