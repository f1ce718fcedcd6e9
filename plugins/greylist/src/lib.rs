//! Greylisting (RFC 6647): who is not known is deferred once, and a client that tries again after a while is let through and
//! remembered.
//!
//! The triplet is the client's network, the reverse-path and the recipient (section 2.2). What is remembered of it is one entry of the
//! key-value store: when it was first seen, until it has passed. A network whose triplets have passed often enough is greylisted no
//! more: that is one more entry, of the network alone (`trust.rs`).

mod settings;
mod trust;

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use postgate_sdk::config::{self, Configuration};
use postgate_sdk::hook::{Recipient, SettingProblem, Setup};
use postgate_sdk::unit::Network;
use postgate_sdk::{Mailbox, Parameter, Reply, ServiceError, Verdict, export, key_value, log, session, transaction};

use settings::{OnUnavailable, Settings};

struct Greylist;

export!(Greylist: setup, recipient);

static SETTINGS: Configuration<Settings> = Configuration::new();

impl Setup for Greylist {
    fn on_setup() -> Vec<SettingProblem> {
        config::problems::<Settings>()
    }
}

impl Recipient for Greylist {
    fn on_recipient(recipient: Mailbox, _parameters: Vec<Parameter>) -> Verdict {
        let settings = match SETTINGS.load() {
            Ok(settings) => settings,
            Err(reply) => return Verdict::Defer(reply),
        };
        // The host gives addresses in their usual form.
        let Ok(client) = session::remote().address.parse::<IpAddr>() else { return Verdict::Next };
        let reverse_path = transaction::reverse_path().ok().flatten();
        if session::identity().is_some() || settings.is_exempt(client, reverse_path.as_ref(), &recipient) {
            return Verdict::Next;
        }
        let network = Network::of(client, settings.ipv4_network, settings.ipv6_network);
        match ask(settings, network, &triplet(network, reverse_path.as_ref(), &recipient), now()) {
            Ok(Standing::Passes) => Verdict::Next,
            Ok(Standing::Waits(seconds)) => {
                let text = format!("Greylisted, please try again in {seconds} seconds");
                Verdict::Defer(Reply::new(451, "4.7.1", &text))
            }
            Err(error) => {
                log::error("greylist is not available", &[("problem", &format!("{error:?}"))]);
                match settings.on_unavailable {
                    OnUnavailable::Pass => Verdict::Next,
                    OnUnavailable::Defer => Verdict::Defer(Reply::try_again_later()),
                }
            }
        }
    }
}

/// How a triplet stands.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Passes,
    /// So many seconds more.
    Waits(u64),
}

/// Asks the store, and remembers.
fn ask(settings: &Settings, network: Network, key: &str, now: u64) -> Result<Standing, ServiceError> {
    if trust::is_trusted(settings, network, now)? {
        return Ok(Standing::Passes);
    }
    let found = key_value::get(key)?;
    let standing = standing(settings, found.as_deref(), now);
    match (&standing, found) {
        (Standing::Passes, found) => {
            key_value::set(key, PASSED, Some(settings.remember.as_secs()))?;
            if found.is_some_and(|found| found != PASSED) {
                trust::earn(settings, network, now)?;
            }
        }
        (Standing::Waits(_), Some(_)) => {}
        (Standing::Waits(_), None) => {
            // Another session may have been faster: its time holds.
            key_value::replace(key, None, now.to_string().as_bytes(), Some(settings.retry_window.as_secs()))?;
        }
    }
    Ok(standing)
}

/// What an entry means: none is a stranger, a number is when it was first seen.
fn standing(settings: &Settings, found: Option<&[u8]>, now: u64) -> Standing {
    let delay = u64::from(settings.delay.as_secs());
    let Some(found) = found else { return Standing::Waits(delay) };
    if found == PASSED {
        return Standing::Passes;
    }
    let seen = std::str::from_utf8(found).ok().and_then(|text| text.parse::<u64>().ok());
    // A clock that was set back does not keep anybody waiting for longer than the delay.
    let waited = seen.map_or(delay, |seen| now.saturating_sub(seen));
    match delay.checked_sub(waited) {
        None | Some(0) => Standing::Passes,
        Some(left) => Standing::Waits(left),
    }
}

/// The key of a triplet. Names are compared without regard to case, and a key has a bound.
fn triplet(network: Network, reverse_path: Option<&Mailbox>, recipient: &Mailbox) -> String {
    let reverse_path = reverse_path.map_or_else(|| "<>".to_owned(), ToString::to_string);
    let key = format!("{network} {reverse_path} {recipient}").to_lowercase();
    if key.len() <= MAX_KEY {
        return key;
    }
    // FNV-1a, of 64 bits: enough to tell long addresses apart.
    let hash = key
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{} {hash:016x}", key.get(..key.floor_char_boundary(MAX_KEY - 17)).unwrap_or_default())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The entry of a triplet that has passed.
const PASSED: &[u8] = b"passed";
/// Octets of a key in the host's store.
const MAX_KEY: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(text: &str) -> Mailbox {
        Mailbox::parse(text).unwrap()
    }

    #[test]
    fn how_a_triplet_stands() {
        let settings: Settings = config::parse("{\"delay\": \"5 min\"}").unwrap();
        let check = |found: Option<&str>, now: u64, expected: Standing| {
            assert_eq!(standing(&settings, found.map(str::as_bytes), now), expected, "{found:?} {now}");
        };
        check(None, 1000, Standing::Waits(300));
        check(Some("1000"), 1000, Standing::Waits(300));
        check(Some("1000"), 1299, Standing::Waits(1));
        check(Some("1000"), 1300, Standing::Passes);
        check(Some("1000"), 900, Standing::Waits(300));
        check(Some("passed"), 0, Standing::Passes);
        check(Some("damaged"), 0, Standing::Passes);
    }

    #[test]
    fn triplets() {
        let network = Network::of("192.0.2.7".parse().unwrap(), 24, 64);
        let alice = mailbox("Alice@example.org");
        assert_eq!(triplet(network, None, &alice), "192.0.2.0/24 <> alice@example.org");
        let long = |last: &str| mailbox(&format!("{}{last}@example.org", "\u{e4}".repeat(300)));
        let key = triplet(network, Some(&alice), &long("a"));
        assert!(key.len() <= MAX_KEY);
        assert_ne!(key, triplet(network, Some(&alice), &long("b")));
    }
}
