//! Replies (RFC 5321 section 4.2) and enhanced status codes (RFC 3463), from the words that an author thinks in.
//!
//! Nothing here panics and nothing refuses: the host checks every reply before a single octet is sent.

use crate::{EnhancedStatus, Mailbox, Reply};

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
}

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
