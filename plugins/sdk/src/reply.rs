//! Replies (RFC 5321 section 4.2) and enhanced status codes (RFC 3463), from the words that an author thinks in.
//!
//! Nothing here panics and nothing refuses: the host checks every reply before a single octet is sent. What is known when the plugin is
//! compiled [`crate::reply!`] checks then.

use crate::hook::{Expansion, MessageVerdict, Outcome, Verification};
use crate::{EnhancedStatus, Mailbox, Reply, ServiceError, Verdict, editor, log, session, transaction};

/// A [`Reply`], of which code and enhanced status are checked when the plugin is compiled; the text is that of `format!`.
///
/// ```
/// use postgate_sdk::{Verdict, reply};
///
/// let seconds = 30;
/// let verdict = Verdict::Defer(reply!(451, "4.7.1", "Greylisted, please try again in {seconds} seconds"));
/// # assert_eq!(verdict, Verdict::defer(451, "4.7.1", "Greylisted, please try again in 30 seconds"));
/// ```
///
/// An enhanced status of another class than the code does not compile:
///
/// ```compile_fail
/// postgate_sdk::reply!(550, "4.1.1", "no such user");
/// ```
#[macro_export]
macro_rules! reply {
    ($code:literal, $enhanced:literal, $($text:tt)+) => {{
        const _: () = $crate::Reply::assert_consistent($code, $enhanced);
        $crate::Reply::new($code, $enhanced, &::std::format!($($text)+))
    }};
}

impl Reply {
    /// A reply of this code, enhanced status such as `5.1.1`, and text; each line of the text becomes a line of the reply.
    ///
    /// Where the enhanced status is not of the form `class.subject.detail`, the host writes the general one.
    #[must_use]
    pub fn new(code: u16, enhanced: &str, text: &str) -> Self {
        Self { code, enhanced: EnhancedStatus::parse(enhanced), text: text.lines().map(str::to_owned).collect() }
    }

    /// 451 4.3.0: this can't be decided now, through no fault of the client.
    #[must_use]
    pub fn try_again_later() -> Self {
        Self::new(451, "4.3.0", "Requested action aborted: error in processing")
    }

    /// For [`crate::reply!`]: stops the compiler where the host would refuse the reply.
    #[doc(hidden)]
    pub const fn assert_consistent(code: u16, enhanced: &str) {
        assert!(
            code >= 200 && code <= 559 && code / 100 != 3,
            "a reply code is of the class 2, 4 or 5, and at most 559"
        );
        let octets = enhanced.as_bytes();
        assert!(
            !octets.is_empty() && octets[0] as u16 == b'0' as u16 + code / 100,
            "the enhanced status is not of the class of the code"
        );
        let (mut at, mut dots, mut digits) = (0, 0, 0);
        while at < octets.len() {
            if octets[at] == b'.' {
                assert!(digits > 0, "an enhanced status has three numbers, such as 5.1.1");
                (dots, digits) = (dots + 1, 0);
            } else {
                assert!(
                    octets[at].is_ascii_digit() && digits < 3,
                    "an enhanced status has three numbers, such as 5.1.1"
                );
                digits += 1;
            }
            at += 1;
        }
        assert!(dots == 2 && digits > 0, "an enhanced status has three numbers, such as 5.1.1");
    }
}

/// The constructors that verdicts have in common, and the way from an error to a verdict.
macro_rules! verdict {
    ($verdict:ty) => {
        impl $verdict {
            /// No, for good: `reject(550, "5.1.1", "no such user")`.
            #[must_use]
            pub fn reject(code: u16, enhanced: &str, text: &str) -> Self {
                Self::Reject(Reply::new(code, enhanced, text))
            }

            /// Not now: `defer(451, "4.3.0", "try again later")`.
            #[must_use]
            pub fn defer(code: u16, enhanced: &str, text: &str) -> Self {
                Self::Defer(Reply::new(code, enhanced, text))
            }

            /// As `reject`, and the host closes the connection.
            #[must_use]
            pub fn disconnect(code: u16, enhanced: &str, text: &str) -> Self {
                Self::Disconnect(Reply::new(code, enhanced, text))
            }

            /// Decides by a function that may give up with `?`: a [`Reply`], as of [`crate::config::Configuration::load`], or an error of the
            /// context or a service, which goes into the log and becomes 451 4.3.0.
            ///
            /// ```
            /// use postgate_sdk::{Verdict, reply, transaction};
            ///
            /// fn on_data() -> Verdict {
            ///     Verdict::decide(|| {
            ///         if transaction::recipients()?.len() > 10 {
            ///             return Err(reply!(452, "4.5.3", "too many recipients"));
            ///         }
            ///         Ok(Verdict::Next)
            ///     })
            /// }
            /// ```
            #[must_use]
            pub fn decide(decide: impl FnOnce() -> Result<Self, Reply>) -> Self {
                decide().unwrap_or_else(Self::from)
            }
        }

        /// 4yz defers, all else rejects.
        impl From<Reply> for $verdict {
            fn from(reply: Reply) -> Self {
                if (400..500).contains(&reply.code) { Self::Defer(reply) } else { Self::Reject(reply) }
            }
        }
    };
}

verdict!(Verdict);
verdict!(MessageVerdict);

impl Outcome {
    /// It can't be delivered, ever.
    #[must_use]
    pub fn failed(code: u16, enhanced: &str, text: &str) -> Self {
        Self::Failed(Reply::new(code, enhanced, text))
    }

    /// It can't be delivered now.
    #[must_use]
    pub fn deferred(code: u16, enhanced: &str, text: &str) -> Self {
        Self::Deferred(Reply::new(code, enhanced, text))
    }
}

impl From<Reply> for Verification {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

impl From<Reply> for Expansion {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

/// What a plugin can't do anything about: the log says what it was, the client that it is to come again.
macro_rules! gives_up {
    ($($error:ty),+ $(,)?) => {
        $(
            /// 451 4.3.0, and an error in the log (grant: `log`).
            impl From<$error> for Reply {
                fn from(error: $error) -> Self {
                    log::error("plugin gives up", &[("problem", &format!("{error:?}"))]);
                    Self::try_again_later()
                }
            }
        )+
    };
}

gives_up!(ServiceError, transaction::ContextError, editor::EditError, session::NoteError);
gives_up!(crate::parts::PartError, crate::dns::DnsError, crate::fetch::FetchError, crate::sqlite::SqliteError);
gives_up!(crate::passwords::PasswordError, crate::maildir::MaildirError);

impl EnhancedStatus {
    /// Reads `5.1.1`; none where the text has another form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let status = Self {
            class: parts.next()?.parse().ok()?,
            subject: parts.next()?.parse().ok()?,
            detail: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(status)
    }
}

impl std::fmt::Display for EnhancedStatus {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// `local-part@domain` for logs and lookups, without the quotes that a command would need; the bare `Postmaster` stands
/// without `@`.
impl std::fmt::Display for Mailbox {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.local_part)?;
        if self.domain.is_empty() { Ok(()) } else { write!(formatter, "@{}", self.domain) }
    }
}

impl Mailbox {
    /// Takes `alice@example.org` apart at its last `@`, the domain in lower case; none where either side is empty.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (local_part, domain) = text.rsplit_once('@')?;
        (!local_part.is_empty() && !domain.is_empty())
            .then(|| Self { local_part: local_part.to_owned(), domain: domain.to_ascii_lowercase() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reply_takes_its_parts() {
        let reply = Reply::new(550, "5.1.1", "no such user\nask postmaster");
        assert_eq!(reply.code, 550);
        assert_eq!(reply.enhanced, Some(EnhancedStatus { class: 5, subject: 1, detail: 1 }));
        assert_eq!(reply.text, ["no such user", "ask postmaster"]);
    }

    #[test]
    fn a_reply_is_a_verdict() {
        assert_eq!(Verdict::decide(|| Err(reply!(450, "4.2.1", "later"))), Verdict::defer(450, "4.2.1", "later"));
        assert_eq!(Verdict::from(reply!(550, "5.1.1", "no")), Verdict::reject(550, "5.1.1", "no"));
        assert_eq!(MessageVerdict::decide(|| Ok(MessageVerdict::Next)), MessageVerdict::Next);
    }

    #[test]
    fn enhanced_status_has_three_numbers() {
        for malformed in ["", "5", "5.1", "5.1.1.1", "5.1.x", "-5.1.1", "5..1", "5.1.70000", "999.1.1"] {
            assert_eq!(EnhancedStatus::parse(malformed), None, "{malformed:?}");
        }
        assert_eq!(EnhancedStatus::parse("4.3.0").map(|status| status.to_string()), Some("4.3.0".to_owned()));
    }

    #[test]
    fn mailbox_parts_at_the_last_at() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let parts = Mailbox::parse(text).map(|mailbox| (mailbox.local_part, mailbox.domain));
            assert_eq!(parts, expected.map(|(local_part, domain)| (local_part.into(), domain.into())), "{text:?}");
        };
        check("Alice@Example.ORG", Some(("Alice", "example.org")));
        check("a@b@example.org", Some(("a@b", "example.org")));
        check("@example.org", None);
        check("alice@", None);
        check("alice", None);
    }
}
