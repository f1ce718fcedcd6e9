//! The rules as the operator writes them. What can be wrong with one is said with its name, when the plugin is loaded.

use postgate_sdk::Mailbox;
use regex_lite::{Regex, RegexBuilder};
use serde::Deserialize;

/// `[plugin.NAME.config]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Table {
    pub(crate) rules: Vec<Rule>,
}

/// One rule.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct Rule {
    pub(crate) name: String,
    /// None are always true.
    pub(crate) when: Vec<Condition>,
    pub(crate) then: Vec<Action>,
}

/// What a condition is about.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Subject {
    Field(String),
    ReversePath,
    Recipient,
    Identity,
    Remote,
    Size,
}

#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) subject: Subject,
    test: Test,
    is_negated: bool,
}

#[derive(Debug)]
enum Test {
    Exists,
    /// Lower case.
    Equals(String),
    /// Lower case.
    Contains(String),
    Matches(Regex),
    Over(u64),
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Action {
    Reject(String),
    Defer(String),
    Quarantine(String),
    Discard(String),
    AddField { name: String, value: String },
    ReplaceField { name: String, value: String },
    RemoveField(String),
    AddRecipient(String),
    Stop,
}

impl Condition {
    /// Whether it holds for any of these texts.
    pub(crate) fn holds_for(&self, texts: &[String]) -> bool {
        let holds = match &self.test {
            Test::Exists => !texts.is_empty(),
            Test::Equals(wanted) => texts.iter().any(|text| text.trim().to_lowercase() == *wanted),
            Test::Contains(wanted) => texts.iter().any(|text| text.to_lowercase().contains(wanted)),
            Test::Matches(pattern) => texts.iter().any(|text| pattern.is_match(text)),
            Test::Over(_) => false,
        };
        holds != self.is_negated
    }

    /// Whether it holds for a message of so many octets.
    pub(crate) fn holds_for_size(&self, octets: u64) -> bool {
        let holds = match &self.test {
            Test::Over(bound) => octets > *bound,
            Test::Exists | Test::Equals(_) | Test::Contains(_) | Test::Matches(_) => false,
        };
        holds != self.is_negated
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    name: String,
    #[serde(default)]
    when: Vec<WrittenCondition>,
    then: Vec<Action>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenCondition {
    of: Subject,
    exists: Option<bool>,
    equals: Option<String>,
    contains: Option<String>,
    matches: Option<String>,
    over: Option<u64>,
    #[serde(default)]
    not: bool,
}

impl TryFrom<Written> for Rule {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { name, when, then } = written;
        let wrong = |problem: String| format!("rule \"{}\": {problem}", name.escape_debug());
        if name.is_empty() || then.is_empty() {
            return Err(wrong("a rule has a name, and at least one action in `then`".to_owned()));
        }
        let when = when.into_iter().map(Condition::try_from).collect::<Result<_, _>>().map_err(wrong)?;
        then.iter().try_for_each(check).map_err(wrong)?;
        Ok(Self { when, then, name })
    }
}

impl TryFrom<WrittenCondition> for Condition {
    type Error = String;

    fn try_from(written: WrittenCondition) -> Result<Self, String> {
        let WrittenCondition { of, exists, equals, contains, matches, over, not } = written;
        let is_size = of == Subject::Size;
        if let Subject::Field(name) = &of {
            check_name(name)?;
        }
        let (test, is_negated) = match (exists, equals, contains, matches, over) {
            (Some(exists), None, None, None, None) if !is_size => (Test::Exists, exists == not),
            (None, Some(text), None, None, None) if !is_size => (Test::Equals(text.to_lowercase()), not),
            (None, None, Some(text), None, None) if !is_size => (Test::Contains(text.to_lowercase()), not),
            (None, None, None, Some(pattern), None) if !is_size => (Test::Matches(regex(&pattern)?), not),
            (None, None, None, None, Some(octets)) if is_size => (Test::Over(octets), not),
            _ if is_size => return Err("a condition about the size has `over`, and nothing else".to_owned()),
            _ => return Err("a condition has one of `exists`, `equals`, `contains`, `matches`".to_owned()),
        };
        Ok(Self { subject: of, test, is_negated })
    }
}

fn regex(pattern: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(pattern).case_insensitive(true).size_limit(MAX_REGEX_BYTES).build();
    built.map_err(|error| format!("`matches`: {error}"))
}

fn check(action: &Action) -> Result<(), String> {
    match action {
        Action::Reject(_) | Action::Defer(_) | Action::Discard(_) | Action::Stop => Ok(()),
        Action::Quarantine(label) => {
            let is_label = (1..=64).contains(&label.len())
                && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
            if is_label { Ok(()) } else { Err("a label has 1 to 64 letters, digits and '-'".to_owned()) }
        }
        Action::AddField { name, value } | Action::ReplaceField { name, value } => {
            check_name(name)?;
            let is_line = !value.contains(['\r', '\n', '\0']) && value.len() <= MAX_VALUE_BYTES;
            if is_line { Ok(()) } else { Err(format!("a value is one line of up to {MAX_VALUE_BYTES} octets")) }
        }
        Action::RemoveField(name) => check_name(name),
        Action::AddRecipient(mailbox) => match Mailbox::parse(mailbox) {
            Some(_) => Ok(()),
            None => Err(format!("\"{}\" is no mailbox", mailbox.escape_debug())),
        },
    }
}

/// RFC 5322 section 2.2.
fn check_name(name: &str) -> Result<(), String> {
    let is_name =
        !name.is_empty() && name.len() <= 200 && name.bytes().all(|octet| octet.is_ascii_graphic() && octet != b':');
    if is_name { Ok(()) } else { Err(format!("\"{}\" is not the name of a header field", name.escape_debug())) }
}

/// What a compiled pattern may take.
const MAX_REGEX_BYTES: usize = 256 << 10;

/// A line of RFC 5322 section 2.1.1, with room for the name.
const MAX_VALUE_BYTES: usize = 780;

#[cfg(test)]
mod tests {
    use postgate_sdk::config;

    use super::*;

    fn condition(json: &str) -> Condition {
        let rule = format!(r#"{{"rules": [{{"name": "x", "when": [{json}], "then": ["stop"]}}]}}"#);
        let table: Table = config::parse(&rule).expect("invariant: the sample is right");
        table.rules.into_iter().flat_map(|rule| rule.when).next().expect("invariant: it has a condition")
    }

    #[test]
    fn conditions() {
        let check = |json: &str, texts: &[&str], expected: bool| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(condition(json).holds_for(&texts), expected, "{json} {texts:?}");
        };
        check(r#"{"of": {"field": "Subject"}, "contains": "SALE"}"#, &["a", "Big sale"], true);
        check(r#"{"of": {"field": "Subject"}, "contains": "sale", "not": true}"#, &["Big sale"], false);
        check(r#"{"of": {"field": "Subject"}, "contains": "sale", "not": true}"#, &[], true);
        check(r#"{"of": {"field": "Subject"}, "exists": true}"#, &[], false);
        check(r#"{"of": {"field": "Subject"}, "exists": false}"#, &[], true);
        check(r#"{"of": "recipient", "matches": "^info@.*\\.example$"}"#, &["Info@a.example"], true);
        check(r#"{"of": "reverse-path", "equals": ""}"#, &[""], true);
        check(r#"{"of": "identity", "equals": "Alice@example.org"}"#, &["alice@example.org"], true);
        let over = condition(r#"{"of": "size", "over": 100}"#);
        assert!(over.holds_for_size(101) && !over.holds_for_size(100));
    }

    #[test]
    fn what_is_wrong_names_the_rule() {
        let check = |rule: &str, expected: &str| {
            let error = config::parse::<Table>(&format!(r#"{{"rules": [{rule}]}}"#)).map(drop);
            let error = error.expect_err("invariant: it is wrong").to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(r#"{"name": "x", "then": []}"#, r#"rules[0]: rule "x": a rule has a name"#);
        let when = |condition: &str| format!(r#"{{"name": "x", "when": [{condition}], "then": ["stop"]}}"#);
        check(&when(r#"{"of": {"field": "a b"}, "exists": true}"#), r#"rule "x": "a b" is not the name"#);
        check(&when(r#"{"of": "recipient", "matches": "("}"#), r#"rule "x": `matches`: "#);
        check(&when(r#"{"of": "recipient", "over": 5}"#), r#"rule "x": a condition has one of"#);
        check(&when(r#"{"of": "size", "equals": "5"}"#), r#"rule "x": a condition about the size"#);
        check(&when(r#"{"of": "recipient"}"#), r#"rule "x": a condition has one of"#);
        let then = |action: &str| format!(r#"{{"name": "x", "then": [{action}]}}"#);
        check(&then(r#"{"quarantine": "a b"}"#), r#"rule "x": a label has"#);
        check(&then(r#"{"add-field": {"name": "X", "value": "a\r\nBcc: b"}}"#), r#"rule "x": a value is one line"#);
        check(&then(r#"{"add-recipient": "nobody"}"#), r#"rule "x": "nobody" is no mailbox"#);
        check(&then(r#""delete""#), "unknown variant");
    }
}
