//! The protocol as its documentation describes it: <https://stalw.art/docs/api/mta-hooks/overview>.

use std::collections::BTreeMap;

use postgate_sdk::{Mailbox, Parameter, Reply, mail_data, session, transaction};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A moment of the dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stage {
    Connect,
    Ehlo,
    Mail,
    Rcpt,
    Data,
}

impl Stage {
    const fn name(self) -> &'static str {
        match self {
            Stage::Connect => "connect",
            Stage::Ehlo => "ehlo",
            Stage::Mail => "mail",
            Stage::Rcpt => "rcpt",
            Stage::Data => "data",
        }
    }
}

/// What the filter wants done.
#[derive(Debug, Deserialize)]
pub(crate) struct Response {
    pub(crate) action: Action,
    #[serde(default)]
    response: Option<SmtpResponse>,
    #[serde(default)]
    pub(crate) modifications: Vec<Modification>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Action {
    Accept,
    Discard,
    Reject,
    Quarantine,
}

/// The documentation writes `enhancedStatus`, the server reads `enhanced_status`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SmtpResponse {
    status: Option<u16>,
    #[serde(alias = "enhanced_status")]
    enhanced_status: Option<String>,
    message: Option<String>,
    disconnect: bool,
}

/// A change of message or envelope.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(crate) enum Modification {
    ChangeFrom {
        value: String,
    },
    #[serde(alias = "addRcpt")]
    AddRecipient {
        value: String,
    },
    #[serde(alias = "deleteRcpt")]
    DeleteRecipient {
        value: String,
    },
    ReplaceContents {
        value: String,
    },
    AddHeader {
        name: String,
        value: String,
    },
    InsertHeader {
        index: u32,
        name: String,
        value: String,
    },
    ChangeHeader {
        index: u32,
        name: String,
        value: String,
    },
    DeleteHeader {
        index: u32,
        name: String,
    },
}

impl Response {
    /// The reply to a refused client, and whether the connection is closed.
    pub(crate) fn refusal(&self) -> (Reply, bool) {
        let none = SmtpResponse::default();
        let said = self.response.as_ref().unwrap_or(&none);
        // A positive or impossible code can't refuse anybody.
        let code = said.status.filter(|code| (400..560).contains(code)).unwrap_or(550);
        let class = if code < 500 { "4.7.1" } else { "5.7.1" };
        let enhanced = said.enhanced_status.as_deref().filter(|status| status.get(..1) == class.get(..1));
        let text: String = said.message.as_deref().unwrap_or("Message refused").chars().take(400).collect();
        (Reply::new(code, enhanced.unwrap_or(class), &text), said.disconnect)
    }
}

/// What the filter is told. `from` and `to` are those of the command that is being decided about.
pub(crate) fn request(stage: Stage, from: Option<Option<Mailbox>>, to: Option<Mailbox>) -> Value {
    let mut request = Map::new();
    request.insert("context".to_owned(), context(stage));
    let from = from.or_else(|| transaction::reverse_path().ok());
    if let Some(from) = from.filter(|_| stage != Stage::Connect && stage != Stage::Ehlo) {
        let address = from.map(|mailbox| mailbox.to_string()).unwrap_or_default();
        let given = transaction::parameters().unwrap_or_default();
        let accepted = transaction::recipients().unwrap_or_default();
        let mut all: Vec<Value> =
            accepted.iter().map(|known| self::address(&known.mailbox.to_string(), &known.parameters)).collect();
        all.extend(to.map(|mailbox| self::address(&mailbox.to_string(), &[])));
        request.insert("envelope".to_owned(), json!({ "from": self::address(&address, &given), "to": all }));
    }
    if stage == Stage::Data {
        request.insert("message".to_owned(), message());
    }
    Value::Object(request)
}

fn context(stage: Stage) -> Value {
    let (remote, local) = (session::remote(), session::local());
    let mut context = json!({
        "stage": stage.name(),
        "client": {
            "ip": remote.address,
            "port": remote.port,
            "ptr": null,
            "helo": session::hello().map(|hello| hello.name),
            "activeConnections": 1,
        },
        "server": { "name": session::listener(), "port": local.port, "ip": local.address },
        "protocol": { "version": 1 },
    });
    let more = [
        ("sasl", session::identity().map(|known| json!({ "login": known.name, "method": known.mechanism }))),
        ("tls", session::tls().map(|tls| json!({ "version": tls.version, "cipher": tls.cipher_suite }))),
        ("queue", transaction::id().ok().map(|id| json!({ "id": id }))),
    ];
    if let Value::Object(context) = &mut context {
        context.extend(more.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    }
    context
}

fn address(address: &str, parameters: &[Parameter]) -> Value {
    let parameters: BTreeMap<&str, &str> =
        parameters.iter().map(|given| (given.keyword.as_str(), given.value.as_deref().unwrap_or_default())).collect();
    if parameters.is_empty() {
        json!({ "address": address })
    } else {
        json!({ "address": address, "parameters": parameters })
    }
}

fn message() -> Value {
    let header = mail_data::header().unwrap_or_default();
    let fields: Vec<Value> = header
        .iter()
        .map(|field| json!([field.name, format!(" {}\r\n", String::from_utf8_lossy(&field.value))]))
        .collect();
    let size = mail_data::size().unwrap_or_default();
    let mut at = mail_data::body_offset().unwrap_or(size);
    let mut body = Vec::new();
    while at < size {
        let Ok(piece) = mail_data::read(at, READ_OCTETS) else { break };
        if piece.is_empty() {
            break;
        }
        at += piece.len() as u64;
        body.extend(piece);
    }
    json!({ "headers": fields, "contents": String::from_utf8_lossy(&body), "size": size })
}

const READ_OCTETS: u32 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn response(json: &str) -> Response {
        serde_json::from_str(json).expect("invariant: right")
    }

    #[test]
    fn refusals() {
        let check = |json: &str, code: u16, enhanced: &str, text: &str, closes: bool| {
            let (reply, disconnect) = response(json).refusal();
            let found = (reply.code, reply.enhanced.map(|status| status.to_string()), reply.text.join("|"), disconnect);
            assert_eq!(found, (code, Some(enhanced.to_owned()), text.to_owned(), closes), "{json}");
        };
        check(r#"{"action": "reject"}"#, 550, "5.7.1", "Message refused", false);
        check(
            r#"{"action": "reject", "response": {"status": 451, "enhancedStatus": "4.1.8", "message": "later", "disconnect": true}}"#,
            451,
            "4.1.8",
            "later",
            true,
        );
        check(r#"{"action": "reject", "response": {"status": 250}}"#, 550, "5.7.1", "Message refused", false);
        check(
            r#"{"action": "reject", "response": {"status": 554, "enhanced_status": "4.0.0"}}"#,
            554,
            "5.7.1",
            "Message refused",
            false,
        );
    }

    #[test]
    fn modifications_are_read() {
        let response = response(
            r#"{"action": "accept", "modifications": [
                {"type": "changeFrom", "value": "a@example.org", "parameters": {}},
                {"type": "addHeader", "name": "X", "value": "y"},
                {"type": "deleteHeader", "index": 1, "name": "Z"}]}"#,
        );
        assert_eq!(response.modifications.len(), 3);
        assert_eq!(response.modifications.last(), Some(&Modification::DeleteHeader { index: 1, name: "Z".to_owned() }));
        assert!(serde_json::from_str::<Response>(r#"{"action": "shrug"}"#).is_err());
        assert!(serde_json::from_str::<Response>(r#"{"action": "accept", "modifications": [{"type": "x"}]}"#).is_err());
    }
}
