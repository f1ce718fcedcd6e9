//! What an operator would write into the configuration for a component: its table, and the tables that its grants name.

use std::collections::BTreeMap;
use std::path::Path;

use postgate_plugin::{Anatomy, Limits, Service, ServiceId, SettingProblem, Source, Start};

/// A table `[plugin.NAME]` that `check` accepts as it is; but for settings of the plugin's own, which only the operator knows.
#[derive(Debug)]
pub(super) struct Proposal {
    /// Of the plugin.
    pub(super) name: String,
    component: String,
    sha256: String,
    grants: Vec<Grant>,
    limits: Vec<String>,
    wanted: Vec<String>,
}

#[derive(Debug)]
struct Grant {
    text: &'static str,
    /// What the operator would put in its place.
    comment: Option<&'static str>,
    /// A table that it names.
    table: Option<&'static str>,
}

impl Proposal {
    /// For a component in a file whose path is absolute.
    pub(super) fn new(file: &Path, anatomy: &Anatomy) -> Self {
        let mut grants = BTreeMap::new();
        for import in &anatomy.imports {
            if let Ok(Source::Service(service)) = postgate_plugin::source(import) {
                grants.insert(service.id, grant(service));
            }
        }
        Self {
            name: name(file),
            component: file.display().to_string(),
            sha256: anatomy.sha256.to_string(),
            grants: grants.into_values().collect(),
            limits: Vec::new(),
            wanted: Vec::new(),
        }
    }

    /// With limits in which all starts that can start at all.
    pub(super) fn with_the_most(mut self) -> Self {
        self.limits = vec![format!("limits.memory = \"{MEMORY_MOST_MIB} MiB\""), format!("limits.fuel = {FUEL_MOST}")];
        self
    }

    /// With what its start has shown: limits that are over the default, and settings that it wants.
    pub(super) fn after(mut self, start: Start, settings: &[SettingProblem]) -> Self {
        let default = Limits::default();
        self.limits.clear();
        if start.memory_bytes > default.memory_bytes {
            let mib = (start.memory_bytes.saturating_mul(2) >> 20).min(MEMORY_MOST_MIB);
            self.limits.push(format!("limits.memory = \"{mib} MiB\"    # twice what it starts with"));
        }
        if start.fuel > default.fuel {
            self.limits.push(format!("limits.fuel = {}    # twice what its start burns", start.fuel.saturating_mul(2)));
        }
        let wanted = |problem: &SettingProblem| match problem.path.as_slice() {
            [] => problem.message.clone(),
            path => format!("{}: {}", path.join(".").escape_debug(), problem.message),
        };
        self.wanted = settings.iter().map(wanted).collect();
        self
    }

    /// The tables.
    pub(super) fn text(&self) -> String {
        let name = &self.name;
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let mut text =
            format!("[plugin.{name}]\ncomponent = {}\nsha256 = \"{}\"\n", quoted(&self.component), self.sha256);
        if self.grants.iter().any(|grant| grant.comment.is_some()) {
            text += "grants = [\n";
            for grant in &self.grants {
                let comment = grant.comment.map(|comment| format!("    # {comment}")).unwrap_or_default();
                text += &format!("    {},{comment}\n", grant.text);
            }
            text += "]\n";
        } else if !self.grants.is_empty() {
            let grants: Vec<_> = self.grants.iter().map(|grant| grant.text).collect();
            text += &format!("grants = [{}]\n", grants.join(", "));
        }
        for limit in &self.limits {
            text += &format!("{limit}\n");
        }
        if !self.wanted.is_empty() {
            text += &format!("# It wants settings of its own, in [plugin.{name}.config]:\n");
            for wanted in &self.wanted {
                text += &format!("# {wanted}\n");
            }
        }
        for table in self.grants.iter().filter_map(|grant| grant.table) {
            text += &format!("\n{table}\n");
        }
        text
    }
}

/// The file's, in the letters of a name.
fn name(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let is_part = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    let name: String = stem.chars().map(|character| if is_part(character) { character } else { '-' }).collect();
    let name = name.trim_start_matches(['-', '_']);
    if name.is_empty() { "plugin".to_owned() } else { name.chars().take(NAME_CHARS).collect() }
}

/// What a service is granted with until the operator says better.
fn grant(service: &'static Service) -> Grant {
    let grant = |text, comment, table| Grant { text, comment, table };
    match service.id {
        ServiceId::Log
        | ServiceId::Config
        | ServiceId::Passwords
        | ServiceId::Metrics
        | ServiceId::KeyValue
        | ServiceId::Sqlite
        | ServiceId::Dns
        | ServiceId::MailAuthentication => grant(service.example, None, None),
        ServiceId::Maildir => grant(service.example, Some("a folder below data-dir"), None),
        ServiceId::Secrets => {
            grant("{ secrets = { read = [], sign = [] } }", Some("the NAMEs of tables [secret.NAME]"), None)
        }
        ServiceId::Http => grant(service.example, Some("the servers that it may ask"), None),
        ServiceId::Submit => grant(
            service.example,
            Some("the NAMEs of tables [relay.NAME]"),
            Some("[relay.upstream]\nhost = \"relay.example.org\""),
        ),
        ServiceId::Signing => grant("{ signing = [] }", Some("the NAMEs of tables [dkim-key.NAME]"), None),
    }
}

/// The most that `engine.memory-max` allows by default.
const MEMORY_MOST_MIB: usize = 256;
/// Seconds of CPU.
const FUEL_MOST: u64 = 100_000_000_000;
const NAME_CHARS: usize = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn proposal(file: &str, imports: &[&str]) -> Proposal {
        let imports = imports.iter().map(|name| (*name).to_owned()).collect();
        Proposal::new(Path::new(file), &Anatomy { imports, ..Anatomy::default() })
    }

    #[test]
    fn names() {
        for (file, expected) in
            [("/a/spam-check.wasm", "spam-check"), ("/a/x.y z.wasm", "x-y-z"), ("/-é.wasm", "plugin"), ("/", "plugin")]
        {
            assert_eq!(name(Path::new(file)), expected);
        }
    }

    #[test]
    fn a_table() {
        let start = Start { fuel: 1, memory_bytes: 1 << 20, time: Duration::ZERO };
        let zeros = "0".repeat(64);
        let plain = proposal("/a \"b\"/x.wasm", &["postgate:mail/log@0.1.0", "postgate:mail/session@0.1.0"]);
        let expected = format!("[plugin.x]\ncomponent = '/a \"b\"/x.wasm'\nsha256 = \"{zeros}\"\ngrants = [\"log\"]\n");
        assert_eq!(plain.after(start, &[]).text(), expected);

        let rich = proposal("/y.wasm", &["postgate:mail/submit@0.1.0", "postgate:mail/log@0.1.0"]);
        let wanted = SettingProblem { path: vec!["a".into(), "b".into()], message: "must not be empty".into() };
        let start = Start { fuel: 2_000_000_000, memory_bytes: 100 << 20, ..start };
        let expected = format!(
            "[plugin.y]
component = \"/y.wasm\"
sha256 = \"{zeros}\"
grants = [
    \"log\",
    {{ submit = [\"upstream\"] }},    # the NAMEs of tables [relay.NAME]
]
limits.memory = \"200 MiB\"    # twice what it starts with
limits.fuel = 4000000000    # twice what its start burns
# It wants settings of its own, in [plugin.y.config]:
# a.b: must not be empty

[relay.upstream]
host = \"relay.example.org\"
"
        );
        assert_eq!(rich.with_the_most().after(start, &[wanted]).text(), expected);
    }
}
