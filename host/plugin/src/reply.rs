//! A reply that a plugin asked for becomes one that can be sent, or a failure of the plugin.

use postgate_smtp::{Enhanced, Reply};

use crate::bindings::postgate::mail::types;

/// The reply codes that a verdict may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// 4yz: `defer`.
    Temporary,
    /// 4yz or 5yz: `reject`, `disconnect`.
    Negative,
    /// 5yz: an outcome that is final.
    Permanent,
    /// 2yz, 4yz or 5yz: the answer to a command.
    Any,
}

impl Class {
    fn allows(self, code: u16) -> bool {
        match self {
            Class::Temporary => matches!(code, 400..=499),
            Class::Negative => matches!(code, 400..=599),
            Class::Permanent => matches!(code, 500..=599),
            Class::Any => true,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Class::Temporary => "4yz",
            Class::Negative => "4yz or 5yz",
            Class::Permanent => "5yz",
            Class::Any => "2yz, 4yz or 5yz",
        }
    }
}

/// The reply if it keeps to the rules of `wit/types.wit`; otherwise what is wrong with it, for the log.
pub(crate) fn checked(reply: &types::Reply, class: Class) -> Result<Reply, String> {
    if !class.allows(reply.code) {
        return Err(format!("the reply code is {}; here it is {}", reply.code, class.name()));
    }
    if reply.text.len() > MAX_LINES {
        return Err(format!("the reply has {} lines; {MAX_LINES} is the most", reply.text.len()));
    }
    let enhanced =
        match reply.enhanced {
            None => None,
            Some(given) => Some(Enhanced::new(given.class, given.subject, given.detail).ok_or_else(|| {
                format!("{}.{}.{} is no enhanced status code", given.class, given.subject, given.detail)
            })?),
        };
    Reply::new(reply.code, enhanced, &reply.text).map_err(|error| error.to_string())
}

/// Lines of a reply that a plugin asks for.
const MAX_LINES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(code: u16, enhanced: Option<(u8, u16, u16)>, text: &[&str]) -> types::Reply {
        types::Reply {
            code,
            enhanced: enhanced.map(|(class, subject, detail)| types::EnhancedStatus { class, subject, detail }),
            text: text.iter().map(|line| (*line).to_owned()).collect(),
        }
    }

    #[test]
    fn good_replies() {
        for (given, class, expected) in [
            (reply(550, Some((5, 1, 1)), &["no such user"]), Class::Negative, "550 5.1.1 no such user"),
            (reply(450, None, &["later"]), Class::Temporary, "450 4.7.1 later"),
            (reply(250, None, &[]), Class::Any, "250 2.0.0 Ok"),
            (reply(550, None, &["caf\u{e9}"]), Class::Permanent, "550 5.7.1 caf?"),
        ] {
            assert_eq!(checked(&given, class).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn bad_replies() {
        for (given, class) in [
            (reply(999, None, &[]), Class::Any),
            (reply(250, None, &[]), Class::Negative),
            (reply(550, None, &[]), Class::Temporary),
            (reply(450, None, &[]), Class::Permanent),
            (reply(354, None, &[]), Class::Any),
            (reply(550, Some((4, 1, 1)), &[]), Class::Negative),
            (reply(550, Some((7, 1, 1)), &[]), Class::Negative),
            (reply(550, Some((5, 1000, 1)), &[]), Class::Negative),
            (reply(550, None, &["a\r\n250 fooled"]), Class::Negative),
            (reply(550, None, &["\0"]), Class::Negative),
            (reply(550, None, &["x"; 17]), Class::Negative),
            (reply(550, None, &[&"x".repeat(481)]), Class::Negative),
        ] {
            assert!(checked(&given, class).is_err(), "{given:?}");
        }
    }
}
