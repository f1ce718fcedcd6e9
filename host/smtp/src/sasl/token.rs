//! The mechanisms that bring a token: OAUTHBEARER (RFC 7628), and XOAUTH2, its forerunner, which has no standard.

use super::scram::read_name;
use super::{Mechanism, is_name};
use crate::event::Credentials;
use crate::replies;
use crate::reply::Reply;

/// Reads the client's message of OAUTHBEARER: a GS2 header, and pairs of key and value (RFC 7628 section 3.1).
pub(crate) fn oauthbearer(message: &str) -> Result<Credentials, &'static Reply> {
    let syntax = &replies::SASL_SYNTAX;
    let (header, pairs) = message.split_once('\x01').ok_or(syntax)?;
    let (flag, authzid) = header.strip_suffix(',').and_then(|header| header.split_once(',')).ok_or(syntax)?;
    if !matches!(flag, "n" | "y") {
        return Err(syntax);
    }
    let user = match authzid {
        "" => String::new(),
        authzid => authzid.strip_prefix("a=").and_then(read_name).filter(|user| !user.is_empty()).ok_or(syntax)?,
    };
    Ok(Credentials::Token { user, token: token(pairs)? })
}

/// Reads the client's message of XOAUTH2: `user=`, then pairs as above.
pub(crate) fn xoauth2(message: &str) -> Result<Credentials, &'static Reply> {
    let (user, pairs) = message.split_once('\x01').ok_or(&replies::SASL_SYNTAX)?;
    let user = user.strip_prefix("user=").filter(|user| is_name(user)).ok_or(&replies::SASL_SYNTAX)?;
    Ok(Credentials::Token { user: user.to_owned(), token: token(pairs)? })
}

/// What the client hears of a token that is not good, before 535 (RFC 7628 section 3.2.2).
pub(crate) fn refusal(mechanism: Mechanism) -> &'static [u8] {
    match mechanism {
        Mechanism::XOAuth2 => br#"{"status":"401","schemes":"bearer"}"#,
        Mechanism::OAuthBearer
        | Mechanism::Plain
        | Mechanism::Login
        | Mechanism::ScramSha256
        | Mechanism::ScramSha256Plus
        | Mechanism::External => br#"{"status":"invalid_token"}"#,
    }
}

/// The token among pairs that end with %x01 each, and all of them with another one. A token may be missing, and is empty then: that is how a
/// client asks what we want (RFC 7628 section 4.3).
fn token(pairs: &str) -> Result<String, &'static Reply> {
    let syntax = &replies::SASL_SYNTAX;
    let pairs = match pairs {
        "\x01" => "",
        pairs => pairs.strip_suffix("\x01\x01").ok_or(syntax)?,
    };
    let mut found = None;
    for pair in pairs.split('\x01').filter(|_| !pairs.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or(syntax)?;
        let is_value = |octet: u8| matches!(octet, b' '..=b'~' | b'\t' | b'\r' | b'\n');
        if key.is_empty() || !key.bytes().all(|octet| octet.is_ascii_alphabetic()) || !value.bytes().all(is_value) {
            return Err(syntax);
        }
        if key == "auth" && found.replace(value).is_some() {
            return Err(syntax);
        }
    }
    let Some(value) = found.filter(|value| !value.is_empty()) else {
        return Ok(String::new());
    };
    let (scheme, token) = value.split_once(' ').ok_or(syntax)?;
    let is_token = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~+/=".contains(&octet);
    if !scheme.eq_ignore_ascii_case("Bearer") || token.is_empty() || !token.bytes().all(is_token) {
        return Err(syntax);
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{oauthbearer, xoauth2};
    use crate::event::Credentials;
    use crate::reply::Reply;

    fn check(message: &str, read: fn(&str) -> Result<Credentials, &'static Reply>, expected: Option<(&str, &str)>) {
        let expected = expected.map(|(user, token)| Credentials::Token { user: user.into(), token: token.into() });
        assert_eq!(read(message).ok(), expected, "{message:?}");
    }

    #[test]
    fn bearers() {
        // RFC 7628 section 4.1.
        let token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";
        let message =
            format!("n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer {token}\x01\x01");
        check(&message, oauthbearer, Some(("user@example.com", token)));
        check("n,,\x01auth=bearer x\x01\x01", oauthbearer, Some(("", "x")));
        check("n,,\x01\x01", oauthbearer, Some(("", "")));
        check("n,,\x01auth=\x01\x01", oauthbearer, Some(("", "")));
        check("n,a=b=2Cc,\x01auth=Bearer x\x01\x01", oauthbearer, Some(("b,c", "x")));
        check("\x01", oauthbearer, None);
        check("", oauthbearer, None);
        check("n,,auth=Bearer x\x01\x01", oauthbearer, None);
        check("p=tls-exporter,,\x01auth=Bearer x\x01\x01", oauthbearer, None);
        check("n,a=,\x01auth=Bearer x\x01\x01", oauthbearer, None);
        check("n,a=b\nc,\x01auth=Bearer x\x01\x01", oauthbearer, None);
        check("n,,\x01auth=Bearer x\x01", oauthbearer, None);
        check("n,,\x01auth=Bearer x", oauthbearer, None);
        check("n,,\x01auth=Basic x\x01\x01", oauthbearer, None);
        check("n,,\x01auth=Bearer \x01\x01", oauthbearer, None);
        check("n,,\x01auth=Bearer x y\x01\x01", oauthbearer, None);
        check("n,,\x01auth=Bearer x\x01auth=Bearer y\x01\x01", oauthbearer, None);
        check("n,,\x01=x\x01\x01", oauthbearer, None);
        check("n,,\x01a=\0\x01\x01", oauthbearer, None);
        check("user=alice\x01auth=Bearer x\x01\x01", xoauth2, Some(("alice", "x")));
        check("user=\x01auth=Bearer x\x01\x01", xoauth2, Some(("", "x")));
        check("user=a\0b\x01auth=Bearer x\x01\x01", xoauth2, None);
        check("alice\x01auth=Bearer x\x01\x01", xoauth2, None);
        check("user=alice\x01auth=Bearer x\x01", xoauth2, None);
    }
}
