//! Hands messages over by HTTP: a POST of JSON for each message, signed if the operator wants it.
//!
//! Who answers 2xx has the message, and answers for it. What the operator of either side can mend is deferred; only a server that says that it
//! will never take this message makes a recipient fail.

mod payload;
mod settings;

use std::time::{SystemTime, UNIX_EPOCH};

use postgate_sdk::config::{self, Configuration};
use postgate_sdk::fetch::{self, FetchError, Request, RequestBody};
use postgate_sdk::hook::{Deliver, Outcome, SettingProblem, Setup};
use postgate_sdk::{Mailbox, Reply, ServiceError, export, log, mail_data, secrets, transaction};

use settings::Settings;

struct Webhook;

export!(Webhook: setup, deliver);

static SETTINGS: Configuration<Settings> = Configuration::new();

impl Setup for Webhook {
    fn on_setup() -> Vec<SettingProblem> {
        let settings = match config::read::<Settings>() {
            Ok(settings) => settings,
            Err(error) => return vec![SettingProblem { path: error.path, message: error.problem }],
        };
        match settings.secret.as_deref().map(|secret| secrets::hmac_sha256(secret, b"")) {
            Some(Err(ServiceError::Denied(message))) => {
                vec![SettingProblem { path: vec!["secret".to_owned()], message }]
            }
            Some(_) | None => Vec::new(),
        }
    }
}

impl Deliver for Webhook {
    fn on_deliver(recipients: Vec<Mailbox>) -> Vec<Outcome> {
        let outcome = |settings: &Settings, ours: &[&Mailbox]| match deliver(settings, ours) {
            Ok(outcome) => outcome,
            Err(reply) => Outcome::Deferred(reply),
        };
        let settings = match SETTINGS.load() {
            Ok(settings) => settings,
            Err(reply) => return recipients.iter().map(|_undecided| Outcome::Deferred(reply.clone())).collect(),
        };
        let ours: Vec<&Mailbox> = recipients.iter().filter(|recipient| settings.delivers(&recipient.domain)).collect();
        if ours.is_empty() {
            return recipients.iter().map(|_other| Outcome::Next).collect();
        }
        let outcome = outcome(settings, &ours);
        let each =
            |recipient: &Mailbox| if settings.delivers(&recipient.domain) { outcome.clone() } else { Outcome::Next };
        recipients.iter().map(each).collect()
    }
}

/// One request for all these recipients, and what came of it.
fn deliver(settings: &Settings, recipients: &[&Mailbox]) -> Result<Outcome, Reply> {
    if settings.raw && mail_data::size().unwrap_or(u64::MAX) > settings.raw_octets {
        return Ok(Outcome::Failed(Reply::new(552, "5.3.4", "Message too large for its destination")));
    }
    let id = transaction::id().map_err(|_none| Reply::try_again_later())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let body = payload::payload(settings, &id, now, recipients).ok_or_else(Reply::try_again_later)?;
    let mut headers = vec![
        ("content-type".to_owned(), b"application/json".to_vec()),
        ("idempotency-key".to_owned(), payload::key(&id, recipients).into_bytes()),
    ];
    if let Some(secret) = &settings.secret {
        headers.push(("x-postgate-signature".to_owned(), signature(secret, now, &body)?.into_bytes()));
    }
    headers.extend(settings.headers.iter().map(|(name, value)| (name.clone(), value.as_bytes().to_vec())));
    let request = Request {
        method: "POST".to_owned(),
        url: settings.url.as_str().to_owned(),
        headers,
        body: RequestBody::Octets(body),
        timeout_ms: None,
    };
    Ok(match fetch::send(&request) {
        Ok(response) => {
            let outcome = outcome(response.status);
            if outcome != Outcome::Delivered {
                log::warn("webhook did not take the message", &[("status", &response.status.to_string())]);
            }
            outcome
        }
        Err(error) => {
            log::error("webhook could not be asked", &[("problem", &format!("{error:?}"))]);
            Outcome::Deferred(match error {
                FetchError::Service(_) => misconfigured(),
                FetchError::Connection(_) | FetchError::Timeout | FetchError::TooLarge | FetchError::Protocol(_) => {
                    Reply::new(451, "4.4.1", "Destination does not answer, try again later")
                }
            })
        }
    })
}

/// `t=SECONDS,v1=HEX`: HMAC-SHA-256 over the seconds, a dot, and the body.
fn signature(secret: &str, now: u64, body: &[u8]) -> Result<String, Reply> {
    let signed = [now.to_string().as_bytes(), b".", body].concat();
    let signature = secrets::hmac_sha256(secret, &signed).map_err(|error| {
        log::error("webhook could not be signed", &[("problem", &format!("{error:?}"))]);
        misconfigured()
    })?;
    let hexadecimal: String = signature.iter().map(|octet| format!("{octet:02x}")).collect();
    Ok(format!("t={now},v1={hexadecimal}"))
}

/// What a status means for the recipients. A wrong address of the hook, or a wrong key, is for the operator to mend, and no reason to
/// bounce mail.
fn outcome(status: u16) -> Outcome {
    match status {
        200..=299 => Outcome::Delivered,
        400 | 410 | 422 => Outcome::Failed(Reply::new(550, "5.6.0", "Destination refuses this message")),
        413 => Outcome::Failed(Reply::new(552, "5.3.4", "Message too large for its destination")),
        408 | 425 | 429 | 500..=599 => {
            Outcome::Deferred(Reply::new(451, "4.4.1", "Destination is not ready, try again later"))
        }
        _ => Outcome::Deferred(misconfigured()),
    }
}

fn misconfigured() -> Reply {
    Reply::new(451, "4.3.5", "Destination is not configured properly")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_status_means() {
        let code = |status: u16| match outcome(status) {
            Outcome::Delivered => 250,
            Outcome::Next => 0,
            Outcome::Failed(reply) | Outcome::Deferred(reply) => reply.code,
        };
        for (status, expected) in [
            (200, 250),
            (202, 250),
            (204, 250),
            (301, 451),
            (400, 550),
            (401, 451),
            (403, 451),
            (404, 451),
            (408, 451),
            (410, 550),
            (413, 552),
            (422, 550),
            (429, 451),
            (500, 451),
            (503, 451),
            (100, 451),
            (999, 451),
        ] {
            assert_eq!(code(status), expected, "{status}");
        }
    }
}
