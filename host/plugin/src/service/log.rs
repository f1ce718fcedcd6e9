//! `postgate:mail/log`: lines of a plugin in the gateway's log, bounded per call.

use std::fmt::Write;

use super::ServiceId;
use crate::bindings::postgate::mail::log::{Host, Level};
use crate::state::State;

impl Host for State {
    fn write(&mut self, level: Level, message: String, fields: Vec<(String, String)>) -> wasmtime::Result<()> {
        let metered = self.facts.usage.begin(ServiceId::Log, &self.facts);
        let asked = message.len() + fields.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>();
        if asked > self.log_left_bytes {
            self.log_lost_bytes += asked;
            return Ok(());
        }
        // As they are, because they are escaped then; and once more, because what is joined may be one.
        let redactor = &self.facts.redactor;
        let message = redactor.text(redactor.text(message).escape_debug().to_string());
        let fields = fields.into_iter().map(|(name, value)| (redactor.text(name), redactor.text(value)));
        // What is charged is what is written, escapes included.
        let facts = redactor.text(joined(&fields.collect::<Vec<_>>()));
        let octets = (message.len() + facts.len()).max(MIN_CHARGE_BYTES);
        if octets > self.log_left_bytes {
            self.log_lost_bytes += octets;
            return Ok(());
        }
        self.log_left_bytes -= octets;
        metered.octets(message.len() + facts.len());
        let plugin = self.facts.clone();
        // While it is asked about its configuration there is no session.
        let context = self.context.as_deref();
        let plugin = plugin.name.as_str();
        let session = context.map_or("", |context| context.session.id.as_str());
        let transaction = context.and_then(|context| context.transaction.as_ref());
        let transaction = transaction.map_or("", |transaction| transaction.id.as_str());
        match level {
            Level::Debug => tracing::debug!(target: TARGET, plugin, session, transaction, %facts, "{message}"),
            Level::Info => tracing::info!(target: TARGET, plugin, session, transaction, %facts, "{message}"),
            Level::Warn => tracing::warn!(target: TARGET, plugin, session, transaction, %facts, "{message}"),
            Level::Error => tracing::error!(target: TARGET, plugin, session, transaction, %facts, "{message}"),
        }
        Ok(())
    }
}

/// `name="value" …`, everything escaped that is not printable.
fn joined(fields: &[(String, String)]) -> String {
    fields.iter().fold(String::new(), |mut text, (name, value)| {
        let gap = if text.is_empty() { "" } else { " " };
        // Writing to a string does not fail.
        let _ = write!(text, "{gap}{}={value:?}", name.escape_debug());
        text
    })
}

/// Octets that a line is charged at least: an empty one is work too.
const MIN_CHARGE_BYTES: usize = 64;

/// The log target of lines that plugins write.
const TARGET: &str = "postgate::plugin";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_escaped() {
        let fields = [("user".to_owned(), "a\r\nb".to_owned()), ("n\n".to_owned(), "\"".to_owned())];
        assert_eq!(joined(&fields), r#"user="a\r\nb" n\n="\"""#);
    }
}
