//! From a recipient to the mailboxes that its mail goes to: users, aliases, catch-all, forward, postmaster.

use std::collections::BTreeSet;

use postgate_sdk::Mailbox;

use crate::domains::{Domain, Domains, Residents, TARGETS_MAX, Unknown};

/// What a recipient is to us.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// Not in one of our domains: somebody else's business.
    Foreign,
    /// In one of our domains, where nobody has this name.
    Unknown,
    /// Its mail goes to these, one or more.
    Targets(Vec<Mailbox>),
    /// The operator's aliases lead nowhere, or to too many.
    Misconfigured,
}

impl Domains {
    /// Follows a recipient through aliases of aliases to the end.
    ///
    /// What the operator has named as a target is never unknown: where it is not an alias of ours it is final.
    pub(crate) fn resolve(&self, recipient: &Mailbox) -> Resolution {
        match self.step(recipient) {
            Step::Foreign => return Resolution::Foreign,
            Step::Unknown => return Resolution::Unknown,
            Step::Here(_) | Step::To(_) => {}
        }
        let mut targets = Vec::new();
        let mut seen = BTreeSet::new();
        let mut pending = vec![recipient.clone()];
        while let Some(mailbox) = pending.pop() {
            let is_new = seen.insert(folded(&mailbox));
            let next = match self.step(&mailbox) {
                Step::Foreign | Step::Unknown => vec![mailbox],
                Step::Here(user) => vec![user],
                // An alias that leads to itself means the user of that name.
                Step::To(_) if !is_new => self.user(&mailbox).into_iter().collect(),
                Step::To(further) => {
                    pending.extend(further.into_iter().rev());
                    if pending.len() > TARGETS_MAX {
                        return Resolution::Misconfigured;
                    }
                    continue;
                }
            };
            for target in next {
                if !targets.contains(&target) {
                    targets.push(target);
                }
            }
        }
        if targets.is_empty() || targets.len() > TARGETS_MAX {
            return Resolution::Misconfigured;
        }
        Resolution::Targets(targets)
    }

    /// The bound that holds for a message to this recipient.
    pub(crate) fn size_max(&self, recipient: &Mailbox) -> Option<u64> {
        self.domain(recipient).and_then(|(_, domain)| domain.size_max)
    }

    /// One step of the way.
    fn step(&self, mailbox: &Mailbox) -> Step {
        let Some((name, domain)) = self.domain(mailbox) else { return Step::Foreign };
        let local_part = mailbox.local_part.to_lowercase();
        if local_part == POSTMASTER
            && let Some(postmaster) = &self.postmaster
        {
            // Else a postmaster who is to be found at our `postmaster` would be sought forever.
            let is_itself = postmaster.domain == *name && postmaster.local_part.eq_ignore_ascii_case(POSTMASTER);
            return if is_itself { Step::Here(postmaster.clone()) } else { Step::To(vec![postmaster.clone()]) };
        }
        let (users, aliases, catch_all, unknown) = match &domain.residents {
            Residents::Forwarded(target) => return Step::To(vec![target.clone()]),
            Residents::Named { users, aliases, catch_all, unknown } => (users, aliases, catch_all, *unknown),
        };
        let untagged = self.subaddress.and_then(|separator| local_part.split_once(separator)).map(|(user, _tag)| user);
        for candidate in [Some(local_part.as_str()), untagged].into_iter().flatten() {
            if let Some(targets) = aliases.get(candidate) {
                return Step::To(targets.clone());
            }
            if users.contains(candidate) {
                return Step::Here(Mailbox { local_part: candidate.to_owned(), domain: name.to_owned() });
            }
        }
        let here = || Step::Here(Mailbox { local_part: local_part.clone(), domain: name.to_owned() });
        match (catch_all, unknown) {
            (Some(target), _) if folded(target) == folded(mailbox) => here(),
            (Some(target), _) => Step::To(vec![target.clone()]),
            (None, Unknown::Accepted) => here(),
            (None, Unknown::Rejected) if local_part == POSTMASTER => here(),
            (None, Unknown::Rejected) => Step::Unknown,
        }
    }

    /// The user of exactly this name.
    fn user(&self, mailbox: &Mailbox) -> Option<Mailbox> {
        let (name, domain) = self.domain(mailbox)?;
        let local_part = mailbox.local_part.to_lowercase();
        match &domain.residents {
            Residents::Named { users, .. } if users.contains(&local_part) => {
                Some(Mailbox { local_part, domain: name.to_owned() })
            }
            Residents::Named { .. } | Residents::Forwarded(_) => None,
        }
    }

    /// The bare `Postmaster` (RFC 5321 section 4.1.1.3) belongs to the first of our domains.
    fn domain(&self, mailbox: &Mailbox) -> Option<(&String, &Domain)> {
        if mailbox.domain.is_empty() {
            return self.domains.first_key_value();
        }
        self.domains.get_key_value(&mailbox.domain.to_ascii_lowercase())
    }
}

/// Where the mail of one mailbox goes next.
enum Step {
    Foreign,
    Unknown,
    /// No further: the mailbox, in the operator's spelling.
    Here(Mailbox),
    To(Vec<Mailbox>),
}

/// The key under which a mailbox is the same.
fn folded(mailbox: &Mailbox) -> (String, String) {
    (mailbox.local_part.to_lowercase(), mailbox.domain.to_ascii_lowercase())
}

/// RFC 5321 section 4.5.1: a domain that takes mail takes that for its postmaster.
const POSTMASTER: &str = "postmaster";

#[cfg(test)]
mod tests {
    use postgate_sdk::config;

    use super::*;

    const SAMPLE: &str = r#"{
        "subaddress": "+",
        "domains": {
            "example.org": {
                "users": ["Alice", "bob"],
                "aliases": {
                    "info": "alice@example.org",
                    "team": ["alice@example.org", "bob@example.org", "carol@elsewhere.example"],
                    "all": ["team@example.org", "info@example.org", "bob@example.org"],
                    "bob": ["bob@example.org", "copies@elsewhere.example"],
                    "round": "about@example.org",
                    "about": "round@example.org",
                    "half": ["round@example.org", "alice@example.org"],
                    "ghost": "nobody@example.org"
                }
            },
            "catch.example": { "users": ["dora"], "catch-all": "dora@catch.example" },
            "loose.example": { "reject-unknown": false },
            "gone.example": { "forward": "bob@elsewhere.example" },
            "moved.example": { "forward": "info@example.org" },
            "swing.example": { "forward": "x@back.example" },
            "back.example": { "forward": "x@swing.example" },
            "self.example": { "catch-all": "everyone@self.example" }
        }
    }"#;

    fn resolve(json: &str, recipient: &str) -> String {
        let domains: Domains = config::parse(json).expect("invariant: the sample is right");
        let recipient = Mailbox::parse(recipient)
            .unwrap_or_else(|| Mailbox { local_part: recipient.to_owned(), domain: String::new() });
        match domains.resolve(&recipient) {
            Resolution::Foreign => "foreign".to_owned(),
            Resolution::Unknown => "unknown".to_owned(),
            Resolution::Misconfigured => "misconfigured".to_owned(),
            Resolution::Targets(targets) => targets.iter().map(Mailbox::to_string).collect::<Vec<_>>().join(" "),
        }
    }

    #[test]
    fn recipients() {
        let check = |recipient: &str, expected: &str| assert_eq!(resolve(SAMPLE, recipient), expected, "{recipient}");
        check("alice@example.org", "alice@example.org");
        check("ALICE@Example.Org", "alice@example.org");
        check("carol@example.org", "unknown");
        check("alice@example.com", "foreign");
        check("alice@sub.example.org", "foreign");
        check("info@example.org", "alice@example.org");
        check("team@example.org", "alice@example.org bob@example.org copies@elsewhere.example carol@elsewhere.example");
        check("all@example.org", "alice@example.org bob@example.org copies@elsewhere.example carol@elsewhere.example");
        check("ghost@example.org", "nobody@example.org");
        check("dora@catch.example", "dora@catch.example");
        check("whoever@catch.example", "dora@catch.example");
        check("Whoever@loose.example", "whoever@loose.example");
        check("x@gone.example", "bob@elsewhere.example");
        check("x@moved.example", "alice@example.org");
        check("x@self.example", "everyone@self.example");
    }

    #[test]
    fn loops_end() {
        let check = |recipient: &str, expected: &str| assert_eq!(resolve(SAMPLE, recipient), expected, "{recipient}");
        check("bob@example.org", "bob@example.org copies@elsewhere.example");
        check("round@example.org", "misconfigured");
        check("half@example.org", "alice@example.org");
        check("x@swing.example", "misconfigured");
    }

    #[test]
    fn growth_is_bounded() {
        let mut aliases = Vec::new();
        for level in 0..20 {
            let targets: Vec<String> = (0..20).map(|n| format!("\"l{}-{n}@a.example\"", level + 1)).collect();
            for n in 0..20 {
                aliases.push(format!("\"l{level}-{n}\": [{}]", targets.join(",")));
            }
        }
        let json = format!(r#"{{"domains": {{"a.example": {{"aliases": {{{}}}}}}}}}"#, aliases.join(","));
        assert_eq!(resolve(&json, "l0-0@a.example"), "misconfigured");
    }

    #[test]
    fn subaddresses() {
        let check = |json: &str, recipient: &str, expected: &str| {
            assert_eq!(resolve(json, recipient), expected, "{recipient}");
        };
        check(SAMPLE, "alice+lists@example.org", "alice@example.org");
        check(SAMPLE, "info+x+y@example.org", "alice@example.org");
        check(SAMPLE, "carol+x@example.org", "unknown");
        check(SAMPLE, "+x@example.org", "unknown");
        check(&SAMPLE.replace(r#""subaddress": "+","#, ""), "alice+lists@example.org", "unknown");
    }

    #[test]
    fn postmaster_is_always_there() {
        let check = |json: &str, recipient: &str, expected: &str| {
            assert_eq!(resolve(json, recipient), expected, "{recipient} {json}");
        };
        check(SAMPLE, "postmaster@example.org", "postmaster@example.org");
        check(SAMPLE, "PostMaster@example.org", "postmaster@example.org");
        check(SAMPLE, "postmaster@catch.example", "dora@catch.example");
        check(SAMPLE, "postmaster@gone.example", "bob@elsewhere.example");
        check(SAMPLE, "postmaster@elsewhere.example", "foreign");

        let named = r#"{"postmaster": "alice@example.org", "domains": {
            "a.example": {"forward": "x@elsewhere.example"}, "example.org": {"users": ["alice"]}}}"#;
        check(named, "Postmaster", "alice@example.org");
        check(named, "postmaster@a.example", "alice@example.org");
        check(named, "postmaster@example.org", "alice@example.org");

        let itself = r#"{"postmaster": "postmaster@example.org", "domains": {"a.example": {}, "example.org": {}}}"#;
        check(itself, "Postmaster", "postmaster@example.org");
        check(itself, "postmaster@example.org", "postmaster@example.org");

        let first = r#"{"domains": {"b.example": {}, "a.example": {}}}"#;
        check(first, "Postmaster", "postmaster@a.example");
        check(r#"{"domains": {}}"#, "Postmaster", "foreign");
    }
}
