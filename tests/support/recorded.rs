//! What the guest `recorder` was told, out of the log.

use serde_json::Value;

use super::{log, plugin};

/// A chain in which `recorder` is asked first, then `policy`; every message is thrown away. `settings` are the listener's.
pub(crate) fn configuration(settings: &str) -> String {
    format!(
        "[listener.smtp]\nbind = \"127.0.0.1:0\"\nchain = \"main\"\n{settings}\n\
         [chain.main]\nplugins = [\"recorder\", \"policy\", \"delivery\"]\n{}{}{}",
        plugin("recorder", "recorder", "[\"log\"]"),
        plugin("policy", "policy", "[]"),
        plugin("delivery", "discard", "[]"),
    )
}

/// What the context said of the session at the last call of a hook, in the session of the client that has greeted by this name. It has
/// had the reply, so the call is in the log.
#[track_caller]
pub(crate) fn session(hello: &str, hook: &str) -> Value {
    let lines = log::lines(&["\"message\":\"asked\"", hello]);
    let begin = format!("hook={hook:?} ");
    let facts = lines.iter().filter_map(|line| line["facts"].as_str()).rfind(|facts| facts.starts_with(&begin));
    let facts = facts.unwrap_or_else(|| panic!("{hello} has not come to {hook}"));
    assert!(!facts.contains(" surprise="), "{facts}");
    let (_, context) = facts.split_once(" context=").expect("a context");
    let context: String = serde_json::from_str(context).expect("a text in quotes");
    let context: Value = serde_json::from_str(&context).expect("JSON");
    context["session"].clone()
}
