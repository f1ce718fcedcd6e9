//! What is told of dialogues that were played: to people, and to programs as JSON or JUnit XML.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::Played;
use super::record::{LogLine, Seen, SeenCall, SeenFailure};

/// How much is told of dialogues that went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// That they did.
    Names,
    /// The calls of plugins, too.
    Calls,
}

/// How many went well.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Summary {
    /// Played.
    pub(crate) dialogues: usize,
    /// That went another way.
    pub(crate) failed: usize,
    /// Milliseconds.
    pub(crate) time_ms: f64,
}

impl Summary {
    /// One more.
    pub(crate) fn count(&mut self, played: &Played) {
        self.dialogues += 1;
        self.failed += usize::from(played.mismatch.is_some());
        self.time_ms += milliseconds(played.time);
    }

    pub(crate) fn text(&self) -> String {
        let noun = if self.dialogues == 1 { "dialogue" } else { "dialogues" };
        let failed = if self.failed == 0 { String::new() } else { format!(", {} FAILED", self.failed) };
        format!(
            "{} {noun}: {} ok{failed} ({:.2} s)\n",
            self.dialogues,
            self.dialogues - self.failed,
            self.time_ms / 1000.0
        )
    }
}

/// One dialogue, for people.
pub(crate) fn text(path: &Path, played: &Played, detail: Detail) -> String {
    let path = path.display();
    let mut text = match &played.mismatch {
        None => format!("ok      {path} ({:.0} ms)\n", milliseconds(played.time)),
        Some(mismatch) => {
            format!("FAILED  {path}:{}: {}\n{}", mismatch.line, mismatch.what, mismatch.diff())
        }
    };
    if played.mismatch.is_some() || detail == Detail::Calls {
        text += &calls(&played.seen);
    }
    text
}

/// The calls of plugins, one in a line, with their lines in the log below.
fn calls(seen: &Seen) -> String {
    if seen.calls.is_empty() {
        return "  no plugin was called\n".to_owned();
    }
    let mut text = String::new();
    let width = |column: fn(&SeenCall) -> usize| seen.calls.iter().map(column).max().unwrap_or_default();
    let hooks = width(|call| call.hook.name().len());
    let plugins = width(|call| call.plugin.len());
    let outcomes = width(|call| call.to_string().chars().count()).min(MAX_COLUMN);
    for call in &seen.calls {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "  line {:>3}  {:hooks$}  {:plugins$}  {:outcomes$}  {:>11} fuel  {:>6} KiB  {:.3} ms",
            call.line,
            call.hook.name(),
            call.plugin,
            call.to_string(),
            grouped(call.fuel),
            call.memory_bytes >> 10,
            milliseconds(call.time)
        );
        for LogLine { level, text: line } in &call.log {
            let _ = writeln!(text, "            log {level} {line}");
        }
        if let Some(failure) = &call.failure {
            text += &failed(failure);
        }
    }
    if seen.forgotten > 0 {
        let _ = writeln!(text, "  … {} more calls", seen.forgotten);
    }
    text
}

fn failed(failure: &SeenFailure) -> String {
    let mut text = format!("            on-failure {} is \"{}\"\n", failure.cause, failure.policy);
    let (detail, stderr) = (told(&failure.detail), unescaped(&failure.stderr));
    for line in detail.lines().chain(stderr.lines()) {
        let line = line.trim_end();
        if !line.is_empty() {
            let _ = writeln!(text, "            {line}");
        }
    }
    text
}

/// What happened, and then where: the engine tells it the other way round.
fn told(detail: &str) -> String {
    let detail = unescaped(detail);
    match detail.rsplit_once(": wasm trap: ") {
        Some((backtrace, why)) => format!("wasm trap: {why}\n{backtrace}"),
        None => detail,
    }
}

/// The log has backtraces in one line; here they have several.
fn unescaped(detail: &str) -> String {
    detail.replace("\\n", "\n").replace("\\'", "'").replace("\\\"", "\"")
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// One dialogue as a JSON object.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct JsonDialogue<'a> {
    dialogue: String,
    ok: bool,
    time_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<JsonDifference<'a>>,
    calls: Vec<JsonCall<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct JsonDifference<'a> {
    line: usize,
    what: &'a str,
    expected: Vec<&'a str>,
    found: Vec<&'a str>,
    diff: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct JsonCall<'a> {
    line: usize,
    hook: &'static str,
    plugin: &'a str,
    /// What it said, each a word and what belongs to it.
    said: Vec<[&'a str; 2]>,
    fuel: u64,
    memory_octets: usize,
    time_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<JsonFailure>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    log: Vec<JsonLog<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct JsonFailure {
    cause: &'static str,
    on_failure: &'static str,
    detail: String,
    stderr: String,
}

#[derive(Serialize)]
struct JsonLog<'a> {
    level: &'a str,
    text: &'a str,
}

/// One dialogue in one line of JSON.
pub(crate) fn json(path: &Path, played: &Played) -> String {
    let of_kind = |kind| {
        let rows = played.mismatch.iter().flat_map(|mismatch| &mismatch.rows);
        rows.filter(|row| row.kind == kind).map(|row| row.text.as_str()).collect()
    };
    let dialogue = JsonDialogue {
        dialogue: path.display().to_string(),
        ok: played.mismatch.is_none(),
        time_ms: milliseconds(played.time),
        difference: played.mismatch.as_ref().map(|mismatch| JsonDifference {
            line: mismatch.line,
            what: &mismatch.what,
            expected: of_kind(super::mismatch::Kind::Expected),
            found: of_kind(super::mismatch::Kind::Found),
            diff: mismatch.diff(),
        }),
        calls: played.seen.calls.iter().map(json_call).collect(),
    };
    line(&dialogue)
}

fn json_call(call: &SeenCall) -> JsonCall<'_> {
    JsonCall {
        line: call.line,
        hook: call.hook.name(),
        plugin: &call.plugin,
        said: call.said.iter().flatten().map(|saying| [saying.word, saying.detail.as_str()]).collect(),
        fuel: call.fuel,
        memory_octets: call.memory_bytes,
        time_ms: milliseconds(call.time),
        failure: call.failure.as_ref().map(|failure| JsonFailure {
            cause: failure.cause.name(),
            on_failure: failure.policy.name(),
            detail: told(&failure.detail),
            stderr: unescaped(&failure.stderr),
        }),
        log: call.log.iter().map(|line| JsonLog { level: &line.level, text: &line.text }).collect(),
    }
}

/// The last line of JSON.
pub(crate) fn json_summary(summary: Summary) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    struct Last {
        summary: Summary,
    }
    line(&Last { summary })
}

fn line(value: &impl Serialize) -> String {
    // Strings, numbers and lists of them can be written.
    serde_json::to_string(value).unwrap_or_default() + "\n"
}

/// A file of JUnit's, as continuous integration reads it.
pub(crate) fn junit(dialogues: &[(&Path, &Played)], summary: Summary) -> String {
    let seconds = summary.time_ms / 1000.0;
    let counts =
        format!("tests=\"{}\" failures=\"{}\" errors=\"0\" time=\"{seconds:.3}\"", summary.dialogues, summary.failed);
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n  <testsuite name=\"postgate\" {counts}>\n"
    );
    for (path, played) in dialogues {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let folder = path.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
        let _ = write!(
            text,
            "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" time=\"{:.3}\">",
            xml(&folder),
            xml(&name),
            xml(&path.display().to_string()),
            played.time.as_secs_f64()
        );
        if let Some(mismatch) = &played.mismatch {
            let _ = write!(
                text,
                "\n      <failure message=\"line {}: {}\">{}</failure>\n      <system-out>{}</system-out>\n    ",
                mismatch.line,
                xml(&mismatch.what),
                xml(&mismatch.diff()),
                xml(&calls(&played.seen))
            );
        }
        text += "</testcase>\n";
    }
    text + "  </testsuite>\n</testsuites>\n"
}

/// Text in XML 1.0, which has no control characters but these.
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\n' | '\t' => escaped.push(character),
            control if control.is_control() || matches!(control, '\u{fffe}' | '\u{ffff}') => {
                escaped.extend(control.escape_default());
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// Columns of what was said, at most, so that a long reply does not move the others away.
const MAX_COLUMN: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_xml() {
        assert_eq!(xml("a<b>&\"c\"\n\u{1b}\0"), "a&lt;b&gt;&amp;&quot;c&quot;\n\\u{1b}\\u{0}");
    }

    #[test]
    fn numbers() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn summaries() {
        let summary = Summary { dialogues: 3, failed: 1, time_ms: 1234.0 };
        assert_eq!(summary.text(), "3 dialogues: 2 ok, 1 FAILED (1.23 s)\n");
        assert_eq!(Summary { dialogues: 1, failed: 0, time_ms: 0.0 }.text(), "1 dialogue: 1 ok (0.00 s)\n");
    }
}
