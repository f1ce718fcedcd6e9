//! The markup of templates: sections that stand for a hook, and names that are filled in.
//!
//! A line that is only a comment with `@hook NAME [NAME …]` begins a section that is kept when one of these hooks was chosen, and a
//! line that is only a comment with `@end` ends it. Sections nest. `@@NAME@@` is a word that is filled in.

use crate::hooks::{HOOKS, Hooks};

/// A template of this crate's that is malformed: a mistake of ours, found by the tests.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub(crate) struct TemplateError {
    line: usize,
    problem: String,
}

/// Keeps the sections of these hooks, and fills in the words.
pub(crate) fn render(template: &str, hooks: &Hooks, words: &[(&str, &str)]) -> Result<String, TemplateError> {
    let mut text = String::with_capacity(template.len());
    // Of each section that we are in, whether its lines are kept.
    let mut sections: Vec<bool> = Vec::new();
    for (line, number) in template.lines().zip(1..) {
        let error = |problem: String| TemplateError { line: number, problem };
        match marker(line) {
            Some(Marker::Hook(names)) => {
                if let Some(unknown) = names.iter().find(|name| !HOOKS.contains(name)) {
                    return Err(error(format!("no hook {unknown}")));
                }
                sections.push(names.iter().any(|name| hooks.contains(name)));
            }
            Some(Marker::End) => drop(sections.pop().ok_or_else(|| error("an end of nothing".to_owned()))?),
            None if sections.iter().all(|kept| *kept) => {
                text.push_str(line);
                text.push('\n');
            }
            None => {}
        }
    }
    if !sections.is_empty() {
        return Err(TemplateError { line: template.lines().count(), problem: "a section without an end".to_owned() });
    }
    for (word, value) in words {
        text = text.replace(&format!("@@{word}@@"), value);
    }
    if let Some((line, number)) = text.lines().zip(1..).find(|(line, _)| line.contains("@@")) {
        return Err(TemplateError { line: number, problem: format!("a word that nothing stands for: {line}") });
    }
    Ok(without_gaps(&text))
}

enum Marker<'a> {
    Hook(Vec<&'a str>),
    End,
}

/// What a line marks, whatever the comments of the language look like.
fn marker(line: &str) -> Option<Marker<'_>> {
    let comment = line.trim();
    let (opening, closing) = COMMENTS.iter().find(|(opening, _)| comment.starts_with(opening))?;
    let inner = comment.strip_prefix(opening)?.strip_suffix(closing)?.trim();
    if inner == "@end" {
        return Some(Marker::End);
    }
    let names = inner.strip_prefix("@hook ")?;
    Some(Marker::Hook(names.split_whitespace().collect()))
}

/// Where sections were left out, no more empty lines stay than two, and none at the end.
fn without_gaps(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut empty = 0;
    for line in text.lines() {
        empty = if line.is_empty() { empty + 1 } else { 0 };
        if empty <= 2 {
            result.push_str(line);
            result.push('\n');
        }
    }
    result.truncate(result.trim_end().len());
    result.push('\n');
    result
}

/// How comments of one line begin and end.
const COMMENTS: &[(&str, &str)] = &[("//", ""), ("#", ""), ("<!--", "-->"), ("/*", "*/")];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, hooks: &str, expected: Result<&str, &str>) {
        let hooks = Hooks::parse(hooks).unwrap();
        let found = render(template, &hooks, &[("NAME", "spam-check")]).map_err(|error| error.to_string());
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{template}");
    }

    #[test]
    fn sections_are_kept_or_not() {
        let template =
            "a\n//@hook mail\nb\n// @end\n# @hook data chunk\nc\n#@end\n<!-- @hook mail data -->\nd\n<!-- @end -->\n";
        check(template, "mail", Ok("a\nb\nd\n"));
        check(template, "chunk", Ok("a\nc\n"));
        check(template, "verify", Ok("a\n"));
        check("//@hook mail data\na\n//@hook mail\nb\n//@end\n//@end\n", "mail", Ok("a\nb\n"));
        check("//@hook mail data\na\n//@hook mail\nb\n//@end\n//@end\n", "data", Ok("a\n"));
        check("//@hook data\na\n//@hook mail\nb\n//@end\n//@end\nc\n", "mail", Ok("c\n"));
        check("x # @hook mail\n", "mail", Ok("x # @hook mail\n"));
    }

    #[test]
    fn words_are_filled_in() {
        check("the @@NAME@@ of @@NAME@@\n", "mail", Ok("the spam-check of spam-check\n"));
        check("a\n@@NAMES@@\n", "mail", Err("line 2: a word that nothing stands for: @@NAMES@@"));
    }

    #[test]
    fn malformed_templates() {
        check("//@hook mail\n", "mail", Err("line 1: a section without an end"));
        check("//@end\n", "mail", Err("line 1: an end of nothing"));
        check("//@hook mail\n//@hook data\n//@end\n", "mail", Err("line 3: a section without an end"));
        check("//@hook mial\n", "mail", Err("line 1: no hook mial"));
    }
}
