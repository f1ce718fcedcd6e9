//! The conformance suite inside the binary, so that whoever brings another language can play it without the repository.
//!
//! What the plugin must do stands in `tests/conformance/plugin.md`.

macro_rules! suite {
    ($($name:literal),* $(,)?) => {
        &[$((
            concat!("conformance/", $name, ".dlg"),
            include_str!(concat!("../../../../tests/conformance/suite/", $name, ".dlg")),
        )),*]
    };
}

/// The name of the plugin in the dialogues.
pub(super) const NAME: &str = "conformance";

/// The dialogues: what they are called, and what they say. A test holds this list against the folder.
pub(super) const SUITE: &[(&str, &str)] = suite![
    "authenticate-unicode",
    "authenticate",
    "big-message",
    "chunk",
    "command",
    "config",
    "connect-disconnect",
    "connect",
    "data",
    "deliver-many",
    "deliver",
    "edits",
    "fuel",
    "hello",
    "log",
    "mail-data",
    "mail",
    "memory",
    "message",
    "notes",
    "numbers-chunk",
    "numbers",
    "observe",
    "parts",
    "print",
    "recipient",
    "services",
    "starttls",
    "trap",
    "verify",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_suite_is_that_of_the_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/suite");
        let entries = std::fs::read_dir(folder).expect("the suite").map(|entry| entry.expect("an entry").file_name());
        let there: BTreeSet<String> =
            entries.map(|name| format!("conformance/{}", name.to_str().expect("a name"))).collect();
        let here: BTreeSet<String> = SUITE.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(here, there);
    }
}
