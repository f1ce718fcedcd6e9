//! Signs what our own users send, by the domain of From, and seals what passes through (RFC 6376, RFC 8617). The keys are the host's.

mod keys;

use postgate_sdk::config::{self, Configuration};
use postgate_sdk::hook::{Message, MessageVerdict, SettingProblem, Setup};
use postgate_sdk::{Reply, ServiceError, export, log, mail_data, session, signing, unit};

use keys::{Failure, Keys, author_domain};

struct DkimSign;

export!(DkimSign: setup, message);

static KEYS: Configuration<Keys> = Configuration::new();

impl Setup for DkimSign {
    fn on_setup() -> Vec<SettingProblem> {
        let keys = match config::read::<Keys>() {
            Ok(keys) => keys,
            Err(error) => return vec![SettingProblem { path: error.path, message: error.problem }],
        };
        // There is no message to sign yet: a key that was granted says so, and any other is denied.
        let denied = |(path, key): (Vec<String>, &str)| match signing::dkim_sign(key) {
            Err(ServiceError::Denied(message)) => Some(SettingProblem { path, message }),
            Ok(()) | Err(_) => None,
        };
        keys.named().into_iter().filter_map(denied).collect()
    }
}

impl Message for DkimSign {
    fn on_message() -> MessageVerdict {
        let keys = match KEYS.load() {
            Ok(keys) => keys,
            Err(reply) => return MessageVerdict::Defer(reply),
        };
        match (work(keys), keys.on_failure) {
            (Ok(()), _) => MessageVerdict::Next,
            (Err((key, error)), on_failure) => {
                log::error("message not signed", &[("key", &key), ("problem", &error.to_string())]);
                match on_failure {
                    Failure::Accept => MessageVerdict::Next,
                    Failure::Defer => MessageVerdict::Defer(Reply::try_again_later()),
                }
            }
        }
    }
}

/// Signs or seals; an error names the key.
fn work(keys: &Keys) -> Result<(), (String, ServiceError)> {
    let is_ours = session::identity().is_some() || unit::contain(&keys.networks, &session::remote().address);
    if !is_ours {
        return keys.seal.as_ref().map_or(Ok(()), |key| signing::arc_seal(key).map_err(|error| (key.clone(), error)));
    }
    let from = mail_data::field("From").unwrap_or_default();
    let domain = match from.as_slice() {
        [only] => author_domain(&String::from_utf8_lossy(only)),
        _ => None,
    };
    let Some(domain) = domain else {
        log::warn("message has no single author, not signed", &[]);
        return Ok(());
    };
    let chosen = keys.of(&domain);
    if chosen.is_empty() {
        log::debug("no key for the author's domain", &[("domain", &domain)]);
    }
    chosen.iter().try_for_each(|key| signing::dkim_sign(key).map_err(|error| (key.clone(), error)))
}
