//! Networks that have shown often enough that they try again.
//!
//! One entry for each: how often, and when it was last written. Of what passes within an hour one counts, and who is trusted costs one
//! write in an hour.

use std::str;

use postgate_sdk::unit::Network;
use postgate_sdk::{ServiceError, key_value};

use crate::settings::Settings;

/// What is known of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Trust {
    /// How often it has passed.
    passes: u32,
    /// When that was written, in seconds.
    at: u64,
}

/// Whether a network is trusted; if so it stays known.
pub(crate) fn is_trusted(settings: &Settings, network: Network, now: u64) -> Result<bool, ServiceError> {
    if settings.trust_after == 0 {
        return Ok(false);
    }
    let key = network.to_string();
    let found = key_value::get(&key)?;
    let Some(trust) = found.as_deref().and_then(Trust::parse).filter(|trust| trust.passes >= settings.trust_after)
    else {
        return Ok(false);
    };
    if trust.is_old(now) {
        let renewed = Trust { at: now, ..trust }.to_string();
        key_value::set(&key, renewed.as_bytes(), Some(settings.remember.as_secs()))?;
    }
    Ok(true)
}

/// A triplet of this network has passed for the first time.
pub(crate) fn earn(settings: &Settings, network: Network, now: u64) -> Result<(), ServiceError> {
    if settings.trust_after == 0 {
        return Ok(());
    }
    let key = network.to_string();
    let found = key_value::get(&key)?;
    if let Some(earned) = Trust::earned(found.as_deref(), now) {
        // Another session may have been faster: then this hour has been counted.
        key_value::replace(&key, found.as_deref(), earned.to_string().as_bytes(), Some(settings.remember.as_secs()))?;
    }
    Ok(())
}

impl Trust {
    fn parse(octets: &[u8]) -> Option<Self> {
        let (passes, at) = str::from_utf8(octets).ok()?.split_once(' ')?;
        Some(Self { passes: passes.parse().ok()?, at: at.parse().ok()? })
    }

    /// What becomes of it when something passes; none where this hour has been counted.
    fn earned(found: Option<&[u8]>, now: u64) -> Option<Self> {
        match found.and_then(Self::parse) {
            None => Some(Self { passes: 1, at: now }),
            Some(trust) if trust.is_old(now) => Some(Self { passes: trust.passes.saturating_add(1), at: now }),
            Some(_) => None,
        }
    }

    /// A clock that was set back makes it old as well.
    fn is_old(self, now: u64) -> bool {
        now.checked_sub(self.at).is_none_or(|since| since >= HOUR)
    }
}

impl std::fmt::Display for Trust {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.passes, self.at)
    }
}

const HOUR: u64 = 3600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_an_hour_counts() {
        let check = |found: Option<&str>, now: u64, expected: Option<&str>| {
            let earned = Trust::earned(found.map(str::as_bytes), now).map(|trust| trust.to_string());
            assert_eq!(earned.as_deref(), expected, "{found:?} {now}");
        };
        check(None, 5000, Some("1 5000"));
        check(Some("1 5000"), 5000, None);
        check(Some("1 5000"), 8599, None);
        check(Some("1 5000"), 8600, Some("2 8600"));
        check(Some("4294967295 5000"), 9000, Some("4294967295 9000"));
        check(Some("1 5000"), 4000, Some("2 4000"));
        check(Some("damaged"), 4000, Some("1 4000"));
    }
}
