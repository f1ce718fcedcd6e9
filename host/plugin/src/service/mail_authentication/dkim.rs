//! What mail-auth says of DKIM signatures and ARC chains, in our words.

use mail_auth::common::crypto::Algorithm;
use mail_auth::dkim::Signature;
use mail_auth::{ArcOutput, AuthenticatedMessage, DkimOutput, DkimResult as Outcome, Error};

use super::Signed;
use crate::bindings::postgate::mail::mail_authentication::{ArcResult, DkimResult, ResultCode};
use crate::service::signing::base64;

/// One result for each signature, from the top.
pub(super) fn signed(message: &AuthenticatedMessage<'_>, outputs: &[DkimOutput<'_>]) -> Vec<Signed> {
    let all = message.dkim_headers.iter().zip(outputs);
    all.map(|(header, output)| {
        let signature = header.header.as_ref().ok();
        let outdated = signature.is_some_and(|signature| signature.a == Algorithm::RsaSha1);
        let (code, reason) = if outdated {
            (ResultCode::Permerror, Some("rsa-sha1 is not acceptable (RFC 8301)".to_owned()))
        } else {
            verdict(output.result())
        };
        described(signature, code, reason)
    })
    .collect()
}

/// The results where nothing could be found out in time.
pub(super) fn unknown(message: &AuthenticatedMessage<'_>) -> Vec<Signed> {
    let reason = Some("no answer of the DNS in time".to_owned());
    let all = message.dkim_headers.iter();
    all.map(|header| described(header.header.as_ref().ok(), ResultCode::Temperror, reason.clone())).collect()
}

fn described(signature: Option<&Signature>, code: ResultCode, reason: Option<String>) -> Signed {
    let text = |text: &str| text.chars().take(MAX_TAG_CHARS).collect::<String>();
    let result = DkimResult {
        code,
        domain: signature.map(|signature| text(&signature.d).to_ascii_lowercase()).unwrap_or_default(),
        selector: signature.map(|signature| text(&signature.s)).unwrap_or_default(),
        algorithm: signature.map_or("", |signature| algorithm(signature.a)).to_owned(),
        reason,
    };
    let begin = signature.map(|signature| base64(signature.b.get(..6).unwrap_or_default())).unwrap_or_default();
    Signed { result, begin }
}

fn algorithm(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::RsaSha1 => "rsa-sha1",
        Algorithm::RsaSha256 => "rsa-sha256",
        Algorithm::Ed25519Sha256 => "ed25519-sha256",
    }
}

/// RFC 8601 section 2.7.1.
fn verdict(outcome: &Outcome) -> (ResultCode, Option<String>) {
    match outcome {
        Outcome::Pass => (ResultCode::Pass, None),
        Outcome::None => (ResultCode::None, None),
        Outcome::TempError(error) => (ResultCode::Temperror, Some(reason(error))),
        Outcome::PermError(error) => (ResultCode::Permerror, Some(reason(error))),
        Outcome::Fail(error) | Outcome::Neutral(error) => (failure(error), Some(reason(error))),
    }
}

/// A signature that can be read and does not hold has failed; one that can't be read proves nothing.
fn failure(error: &Error) -> ResultCode {
    match error {
        Error::FailedBodyHashMatch
        | Error::FailedVerification
        | Error::FailedAuidMatch
        | Error::SignatureExpired
        | Error::CryptoError(_)
        | Error::ArcInvalidCV
        | Error::ArcInvalidInstance(_)
        | Error::ArcHasHeaderTag
        | Error::ArcBrokenChain
        | Error::ArcChainTooLong => ResultCode::Fail,
        Error::SignatureLength => ResultCode::Policy,
        Error::RevokedPublicKey | Error::IncompatibleAlgorithms | Error::UnsupportedKeyType => ResultCode::Permerror,
        Error::ParseError
        | Error::MissingParameters
        | Error::NoHeadersFound
        | Error::Io(_)
        | Error::Base64
        | Error::UnsupportedVersion
        | Error::UnsupportedAlgorithm
        | Error::UnsupportedCanonicalization
        | Error::DnsError(_)
        | Error::DnsRecordNotFound(_)
        | Error::NotAligned
        | Error::InvalidRecordType => ResultCode::Neutral,
    }
}

fn reason(error: &Error) -> String {
    // Longer words of libraries and servers are for nobody's field.
    let text = if matches!(error, Error::DnsError(_)) {
        "no answer of the DNS".to_owned()
    } else if matches!(error, Error::CryptoError(_)) {
        "signature did not verify".to_owned()
    } else {
        error.to_string()
    };
    text.chars().filter(|character| matches!(character, ' '..='~')).take(MAX_REASON_CHARS).collect()
}

/// The chain of ARC sets. A chain has passed or failed (RFC 8617 section 5.2), unless the DNS keeps us from knowing.
pub(super) fn arc(message: &AuthenticatedMessage<'_>, output: Option<&ArcOutput<'_>>) -> ArcResult {
    let fields = message.as_headers.len().max(message.ams_headers.len()).max(message.aar_headers.len());
    let domain = output.and_then(|output| output.sets().last()).map(|set| set.seal.header.d.to_ascii_lowercase());
    let code = match output.map(ArcOutput::result) {
        // Fields without a whole set among them are no chain that could be vouched for.
        _ if fields > 0 && message.ams_headers.is_empty() => ResultCode::Fail,
        None => ResultCode::Temperror,
        Some(Outcome::Pass) => ResultCode::Pass,
        Some(Outcome::None) => ResultCode::None,
        Some(Outcome::TempError(_)) => ResultCode::Temperror,
        Some(Outcome::PermError(_) | Outcome::Fail(_) | Outcome::Neutral(_)) => ResultCode::Fail,
    };
    ArcResult { code, sets: u32::try_from(fields).unwrap_or(u32::MAX), domain }
}

/// Of a tag's value.
const MAX_TAG_CHARS: usize = 255;
const MAX_REASON_CHARS: usize = 100;
