//! `postgate:mail/config`: the plugin's own table of the configuration.

use serde_json::Value;

use crate::bindings::postgate::mail::config::Host;
use crate::state::State;

impl Host for State {
    fn table(&mut self) -> wasmtime::Result<String> {
        Ok(self.facts.config_json.clone())
    }

    fn value(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        Ok(find(&self.facts.config, &key).map(text))
    }
}

/// Follows `key`, split at its dots, into the table. A key that holds dots itself is found by its longest match.
fn find<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    if let Some(found) = value.get(key) {
        return Some(found);
    }
    let splits = key.match_indices('.').map(|(at, _)| key.split_at(at));
    let mut tails = splits.map(|(head, tail)| (head, tail.trim_start_matches('.'))).collect::<Vec<_>>();
    tails.reverse();
    tails.into_iter().find_map(|(head, tail)| find(value.get(head)?, tail))
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_by_key() {
        let table = serde_json::json!({
            "a": "text", "b": { "c": 3, "d.e": true }, "example.org": { "users": ["x"] },
        });
        for (key, expected) in [
            ("a", Some("text")),
            ("b.c", Some("3")),
            ("b.d.e", Some("true")),
            ("example.org.users", Some(r#"["x"]"#)),
            ("b.x", None),
            ("", None),
            ("a.b", None),
        ] {
            assert_eq!(find(&table, key).map(text).as_deref(), expected, "{key}");
        }
    }
}
