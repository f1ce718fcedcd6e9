//! `postgate dkim-record`: the TXT record by which others verify what a key has signed (RFC 6376 section 3.6).

use super::{Exit, Failure};
use crate::config::Config;
use crate::{keys, secrets};

/// The record as a line of a zone file, in strings of at most 255 octets.
pub(super) fn dkim_record(config: &Config, name: &str) -> Result<String, Failure> {
    let known: Vec<&str> = config.dkim_keys.keys().map(String::as_str).collect();
    let settings = config.dkim_keys.get(name).ok_or_else(|| {
        Failure::new(
            Exit::Config,
            format!("there is no dkim-key \"{}\"; configured are: {}", name.escape_debug(), known.join(", ")),
        )
    })?;
    // Of the secrets only that of this key matters.
    let secrets = secrets::read(config, &mut Vec::new());
    let key = keys::one(config, name, settings, &secrets)
        .map_err(|problem| Failure::new(Exit::Config, problem.to_string()))?;
    let record = key.record();
    let strings = record.as_bytes().chunks(STRING_OCTETS).map(|part| format!("\"{}\"", String::from_utf8_lossy(part)));
    let strings: Vec<_> = strings.collect();
    Ok(format!("{}._domainkey.{}. IN TXT ({})\n", key.selector(), key.domain(), strings.join(" ")))
}

/// Of one string in a TXT record (RFC 1035 section 3.3).
const STRING_OCTETS: usize = 255;
