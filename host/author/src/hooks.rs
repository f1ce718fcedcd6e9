//! The hooks of `wit/hooks.wit` by name. A test of the whole holds them against those that the host knows.

use std::fmt;

/// All hooks, in the order of the dialogue.
pub const HOOKS: [&str; 15] = [
    "setup",
    "connect",
    "hello",
    "starttls",
    "authenticate",
    "mail",
    "recipient",
    "data",
    "chunk",
    "message",
    "deliver",
    "verify",
    "expand",
    "command",
    "observe",
];

/// Some of the hooks, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hooks(Vec<&'static str>);

impl Hooks {
    /// Reads `recipient,message`, or `all`.
    ///
    /// # Errors
    ///
    /// A name that is no hook's, the empty one included.
    pub fn parse(text: &str) -> Result<Self, UnknownHook> {
        if text == "all" {
            return Ok(Self(HOOKS.to_vec()));
        }
        let names: Vec<&str> = text.split(',').map(str::trim).collect();
        if let Some(unknown) = names.iter().find(|name| !HOOKS.contains(name)) {
            let nearest = nearest(unknown, HOOKS.into_iter());
            return Err(UnknownHook { name: (*unknown).to_owned(), nearest });
        }
        Ok(Self(HOOKS.into_iter().filter(|hook| names.contains(hook)).collect()))
    }

    /// Whether a client would ever notice: `setup` alone is asked by the gateway when it starts, and by nobody else.
    #[must_use]
    pub fn are_enough(&self) -> bool {
        self.0.iter().any(|hook| *hook != "setup")
    }

    /// Whether this one is among them.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(&name)
    }

    /// In the order of the dialogue.
    pub fn iter(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.iter().copied()
    }
}

impl fmt::Display for Hooks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join(", "))
    }
}

/// There is no such hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownHook {
    name: String,
    nearest: Option<&'static str>,
}

impl fmt::Display for UnknownHook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "there is no hook \"{}\"", self.name.escape_debug())?;
        match self.nearest {
            Some(nearest) => write!(formatter, "; did you mean \"{nearest}\"?"),
            None => write!(formatter, "; there are: {}, and \"all\"", HOOKS.join(", ")),
        }
    }
}

impl std::error::Error for UnknownHook {}

/// The one of these that was meant: that begins so, or that a slip of the finger lies between.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let known: Vec<&str> = known.collect();
    if let Some(name) = known.iter().find(|name| word.len() >= ABBREVIATION_MIN && name.starts_with(word)) {
        return Some(name);
    }
    let near = known.into_iter().map(|name| (strsim::damerau_levenshtein(word, name), name));
    let (distance, name) = near.min_by_key(|(distance, _)| *distance)?;
    (distance <= word.chars().count().div_ceil(3).max(1)).then_some(name)
}

/// Letters from which on the begin of a name stands for it.
const ABBREVIATION_MIN: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_order_of_the_dialogue() {
        let check =
            |text: &str, expected: &str| assert_eq!(Hooks::parse(text).unwrap().to_string(), expected, "{text}");
        check("message,recipient", "recipient, message");
        check("recipient, message,recipient", "recipient, message");
        check("all", &HOOKS.join(", "));
    }

    #[test]
    fn setup_alone_is_not_enough() {
        for (text, enough) in [("setup", false), ("setup,mail", true), ("observe", true)] {
            assert_eq!(Hooks::parse(text).unwrap().are_enough(), enough, "{text}");
        }
    }

    #[test]
    fn unknown_hooks() {
        let check = |text: &str, expected: &str| {
            let error = Hooks::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("recipient,mesage", "there is no hook \"mesage\"; did you mean \"message\"?");
        check("RCPT", "there are: setup, connect");
        check("", "there is no hook \"\"; there are");
        check("recipient,", "there is no hook \"\"");
        check("all,mail", "there is no hook \"all\"");
    }
}
