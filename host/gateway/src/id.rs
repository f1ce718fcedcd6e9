//! Identifiers of sessions and transactions: short, unique over restarts, of letters, digits and `-`.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The identifier of a new session: when this process began, and how many sessions it has had.
pub(crate) fn session() -> String {
    static BEGIN: LazyLock<u64> = LazyLock::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_micros() as u64
    });
    static SESSIONS: AtomicU64 = AtomicU64::new(0);
    let mut id = String::with_capacity(20);
    digits(*BEGIN, &mut id);
    id.push('-');
    digits(SESSIONS.fetch_add(1, Ordering::Relaxed), &mut id);
    id
}

/// The identifier of a session's n-th transaction.
pub(crate) fn transaction(session: &str, n: u64) -> String {
    let mut id = String::with_capacity(session.len() + 4);
    id.push_str(session);
    id.push('-');
    digits(n, &mut id);
    id
}

/// In base 32, without letters that look like digits.
fn digits(number: u64, out: &mut String) {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let width = (64 - number.leading_zeros()).div_ceil(5).max(1);
    for place in (0..width).rev() {
        let digit = (number >> (5 * place)) as usize % DIGITS.len();
        out.extend(DIGITS.get(digit).map(|octet| char::from(*octet)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_short_and_unique() {
        let (one, two) = (session(), session());
        assert_ne!(one, two);
        assert!(one.len() <= 20 && one.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-'));
        assert_eq!(transaction("x-1", 33), "x-1-11");
        assert_eq!(transaction("x", u64::MAX), "x-fzzzzzzzzzzzz");
    }
}
