//! The languages that a plugin can be begun in: one row for each, and the one place that lists them.

use std::fmt;

use crate::build::{BuildError, Job, c, cpp, go, javascript, python, rust, zig};
use crate::hooks::nearest;

/// A language, with everything that the rest of the crate has to know about it.
#[derive(Debug)]
pub struct Language {
    /// As on the command line and in `plugin.toml`.
    pub name: &'static str,
    /// As people write it.
    pub title: &'static str,
    /// The file that the author writes in.
    pub source: &'static str,
    /// What `new` writes besides the files that all languages have: the path in the project, and the template.
    pub(crate) files: &'static [(&'static str, &'static str)],
    /// Files that are written as they are, without markup.
    pub(crate) verbatim: &'static [(&'static str, &'static str)],
    /// For the README: one table row for each file, and how the component is built by hand.
    pub(crate) readme: &'static str,
    /// Whether `wit/` with a world of the author's own says what the component exports. In Rust the macro `export!` does.
    pub(crate) has_world: bool,
    /// Makes the component.
    pub(crate) build: fn(&mut Job<'_>) -> Result<Vec<u8>, BuildError>,
}

/// All languages.
pub const LANGUAGES: &[Language] = &[
    Language {
        name: "rust",
        title: "Rust",
        source: "src/lib.rs",
        files: rust::FILES,
        verbatim: rust::SDK,
        readme: include_str!("../templates/rust/readme.md"),
        has_world: false,
        build: rust::build,
    },
    Language {
        name: "python",
        title: "Python",
        source: "plugin.py",
        files: python::FILES,
        verbatim: &[],
        readme: include_str!("../templates/python/readme.md"),
        has_world: true,
        build: python::build,
    },
    Language {
        name: "javascript",
        title: "JavaScript",
        source: "plugin.js",
        files: javascript::FILES,
        verbatim: &[],
        readme: include_str!("../templates/javascript/readme.md"),
        has_world: true,
        build: javascript::build,
    },
    Language {
        name: "go",
        title: "Go",
        source: "plugin.go",
        files: go::FILES,
        verbatim: &[],
        readme: include_str!("../templates/go/readme.md"),
        has_world: true,
        build: go::build,
    },
    Language {
        name: "c",
        title: "C",
        source: "plugin.c",
        files: c::FILES,
        verbatim: &[],
        readme: include_str!("../templates/c/readme.md"),
        has_world: true,
        build: c::build,
    },
    Language {
        name: "cpp",
        title: "C++",
        source: "plugin.cpp",
        files: cpp::FILES,
        verbatim: &[],
        readme: include_str!("../templates/cpp/readme.md"),
        has_world: true,
        build: cpp::build,
    },
    Language {
        name: "zig",
        title: "Zig",
        source: "plugin.zig",
        files: zig::FILES,
        verbatim: &[],
        readme: include_str!("../templates/zig/readme.md"),
        has_world: true,
        build: zig::build,
    },
];

impl Language {
    /// By its name, or by another that people use.
    ///
    /// # Errors
    ///
    /// A name that stands for none.
    pub fn parse(text: &str) -> Result<&'static Self, UnknownLanguage> {
        let lower = text.to_ascii_lowercase();
        let name = ALIASES.iter().find(|(alias, _)| *alias == lower).map_or(lower.as_str(), |(_, name)| name);
        LANGUAGES.iter().find(|language| language.name == name).ok_or_else(|| UnknownLanguage {
            name: text.to_owned(),
            nearest: nearest(name, LANGUAGES.iter().map(|language| language.name)),
        })
    }
}

/// There is no such language here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownLanguage {
    name: String,
    nearest: Option<&'static str>,
}

impl fmt::Display for UnknownLanguage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "there is no template for the language \"{}\"", self.name.escape_debug())?;
        match self.nearest {
            Some(nearest) => write!(formatter, "; did you mean \"{nearest}\"?"),
            None => {
                let names: Vec<_> = LANGUAGES.iter().map(|language| language.name).collect();
                write!(formatter, "; there are: {}", names.join(", "))
            }
        }
    }
}

impl std::error::Error for UnknownLanguage {}

const ALIASES: &[(&str, &str)] =
    &[("py", "python"), ("js", "javascript"), ("rs", "rust"), ("golang", "go"), ("c++", "cpp")];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_any_name() {
        for (text, name) in [("rust", "rust"), ("C++", "cpp"), ("js", "javascript"), ("Zig", "zig")] {
            assert_eq!(Language::parse(text).unwrap().name, name);
        }
        let error = Language::parse("pyhton").unwrap_err().to_string();
        assert_eq!(error, "there is no template for the language \"pyhton\"; did you mean \"python\"?");
        let error = Language::parse("cobol85").unwrap_err().to_string();
        assert!(error.ends_with("there are: rust, python, javascript, go, c, cpp, zig"), "{error}");
    }
}
