//! Policy on what the host finds out of SPF, DKIM, DMARC and ARC, and the field that tells those behind us (RFC 8601).
//!
//! Fields that claim to be ours are removed from every message, whoever sends it: what stands there afterwards is ours.

mod policy;

use postgate_sdk::config::{self, Configuration};
use postgate_sdk::hook::{Mail, Message, MessageVerdict, SettingProblem, Setup};
use postgate_sdk::mail_authentication::{self, DmarcResult, ResultCode};
use postgate_sdk::{Mailbox, Parameter, Reply, ServiceError, Verdict, editor, export, log, session, transaction, unit};

use policy::{Action, Policy, SpfFail};

struct SpfDkimDmarc;

export!(SpfDkimDmarc: setup, mail, message);

static POLICY: Configuration<Policy> = Configuration::new();

impl Setup for SpfDkimDmarc {
    fn on_setup() -> Vec<SettingProblem> {
        config::problems::<Policy>()
    }
}

impl Mail for SpfDkimDmarc {
    fn on_mail(_reverse_path: Option<Mailbox>, _parameters: Vec<Parameter>) -> Verdict {
        let policy = match POLICY.load() {
            Ok(policy) => policy,
            Err(reply) => return Verdict::Defer(reply),
        };
        if policy.spf_fail != SpfFail::Reject || is_exempt(policy) {
            return Verdict::Next;
        }
        match mail_authentication::spf() {
            Ok(spf) if spf.code == ResultCode::Fail => {
                log::info("refused by SPF", &[("domain", &spf.domain)]);
                Verdict::Reject(Reply::new(550, "5.7.23", "SPF validation failed"))
            }
            // A result that can't be had now is looked at again with the message.
            Ok(_) | Err(_) => Verdict::Next,
        }
    }
}

impl Message for SpfDkimDmarc {
    fn on_message() -> MessageVerdict {
        let policy = match POLICY.load() {
            Ok(policy) => policy,
            Err(reply) => return MessageVerdict::Defer(reply),
        };
        judge(policy).unwrap_or_else(|error| {
            log::error("mail authentication failed", &[("problem", &error.to_string())]);
            MessageVerdict::Defer(Reply::try_again_later())
        })
    }
}

fn judge(policy: &Policy) -> Result<MessageVerdict, ServiceError> {
    let forged = mail_authentication::remove_forged()?;
    if forged > 0 {
        log::info("forged results removed", &[("fields", &forged.to_string())]);
    }
    if is_exempt(policy) {
        return Ok(MessageVerdict::Next);
    }
    let dmarc = mail_authentication::dmarc()?;
    let chance = chance(&transaction::id().unwrap_or_default());
    let mut action = policy.action(&dmarc, chance);
    if dmarc.code == ResultCode::Fail && action != Action::Pass && !policy.trusted_sealers.is_empty() {
        let arc = mail_authentication::arc()?;
        if policy.is_vouched_for(&arc) {
            let sealer = arc.domain.unwrap_or_default();
            log::info("DMARC overridden by a trusted sealer", &[("domain", &dmarc.domain), ("sealer", &sealer)]);
            action = Action::Pass;
        }
    }
    if !matches!(action, Action::Pass) {
        tell(&dmarc, &action);
    }
    Ok(match action {
        Action::Pass => {
            if policy.add_field {
                let value = mail_authentication::results_field()?;
                let added = editor::prepend_field("Authentication-Results", value.as_bytes());
                added.map_err(|error| ServiceError::Quota(error.to_string()))?;
            }
            MessageVerdict::Next
        }
        Action::Reject(text) => MessageVerdict::Reject(Reply::new(550, "5.7.26", text)),
        Action::Defer(text) => MessageVerdict::Defer(Reply::new(451, "4.7.26", text)),
        Action::Quarantine => {
            let value = mail_authentication::results_field()?;
            let added = editor::prepend_field("Authentication-Results", value.as_bytes());
            added.map_err(|error| ServiceError::Quota(error.to_string()))?;
            MessageVerdict::Quarantine(policy.quarantine_label.clone())
        }
    })
}

fn tell(dmarc: &DmarcResult, action: &Action) {
    let action = match action {
        Action::Pass => "pass",
        Action::Reject(_) => "reject",
        Action::Defer(_) => "defer",
        Action::Quarantine => "quarantine",
    };
    log::info("DMARC applied", &[("domain", &dmarc.domain), ("action", action)]);
}

/// Our own users, and our own machines.
fn is_exempt(policy: &Policy) -> bool {
    let has_authenticated = policy.exempt_authenticated && session::identity().is_some();
    has_authenticated || unit::contain(&policy.exempt, &session::remote().address)
}

/// A number below 100 that hangs on the transaction alone (FNV-1a).
fn chance(id: &str) -> u8 {
    let hash = id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x100_0000_01b3));
    u8::try_from((hash ^ (hash >> 32)) % 100).unwrap_or_default()
}
