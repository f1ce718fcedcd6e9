//! `postgate:mail/config`: the plugin's own table of the configuration.

use serde_json::Value;

use super::ServiceId;
use crate::bindings::postgate::mail::config::Host;
use crate::state::State;

impl Host for State {
    fn table(&mut self) -> wasmtime::Result<String> {
        let metered = self.facts.usage.begin(ServiceId::Config, &self.facts);
        metered.octets(self.facts.config_json.len());
        Ok(self.facts.config_json.clone())
    }

    fn value(&mut self, path: Vec<String>) -> wasmtime::Result<Option<String>> {
        let metered = self.facts.usage.begin(ServiceId::Config, &self.facts);
        let found = path.iter().try_fold(&self.facts.config, |value, key| value.get(key.as_str())).map(text);
        metered.octets(found.as_ref().map_or(0, String::len));
        Ok(found)
    }
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
    fn values_as_text() {
        for (value, expected) in [
            (serde_json::json!("text"), "text"),
            (serde_json::json!(3), "3"),
            (serde_json::json!(["x", true]), r#"["x",true]"#),
            (Value::Null, "null"),
        ] {
            assert_eq!(text(&value), expected);
        }
    }
}
