//! The context as JSON, and whether each of its functions answers when it must, and only then.

use postgate_sdk::editor::{self, EditError};
use postgate_sdk::hook::RecipientFate;
use postgate_sdk::transaction::{AcceptedRecipient, ContextError, EarlierVerdict};
use postgate_sdk::{Mailbox, Parameter, mail_data, session, transaction};
use serde_json::{Value, json};

/// Asks everything that does not change anything.
pub(crate) fn context(hook: &str, surprises: &mut Vec<String>) -> Value {
    let mut context = json!({
        "session": session_context(),
        "transaction": transaction_context(hook, surprises),
        "mail-data": mail_data_context(hook, surprises),
    });
    if hook != "message" {
        let unedited = editor::append_field("X-Recorder", b"too early or too late");
        if unedited != Err(EditError::NotNow) {
            surprises.push(format!("editor at {hook}: {unedited:?}"));
        }
        context["editor"] = json!("not-now");
    }
    context
}

fn session_context() -> Value {
    let endpoint = |endpoint: session::Endpoint| json!({"address": endpoint.address, "port": endpoint.port});
    json!({
        "id": session::id(),
        "listener": session::listener(),
        "remote": endpoint(session::remote()),
        "local": endpoint(session::local()),
        "early-talker": session::early_talker(),
        "illegal-pipelining": session::illegal_pipelining(),
        "hello": session::hello().map(|hello| json!({
            "greeting": debug_name(&hello.greeting),
            "name": hello.name,
        })),
        "tls": session::tls().map(|tls| json!({
            "version": tls.version,
            "cipher-suite": tls.cipher_suite,
            "server-name": tls.server_name,
            "client-certificate": tls.client_certificate,
        })),
        "identity": session::identity().map(|identity| json!({
            "name": identity.name,
            "mechanism": identity.mechanism,
        })),
    })
}

fn transaction_context(hook: &str, surprises: &mut Vec<String>) -> Value {
    let known = ["mail", "recipient", "data", "chunk", "message", "deliver"].contains(&hook);
    let mut ask = |what: &str, answer: Result<Value, ContextError>| answered(hook, what, known, answer, surprises);
    json!({
        "id": ask("transaction.id", transaction::id().map(Value::from)),
        "reverse-path":
            ask("transaction.reverse-path", transaction::reverse_path().map(|path| json!(path.as_ref().map(mailbox)))),
        "parameters": ask("transaction.parameters", transaction::parameters().map(|given| parameters(&given))),
        "recipients": ask(
            "transaction.recipients",
            transaction::recipients().map(|recipients| recipients.iter().map(accepted).collect()),
        ),
        "declared-size": ask("transaction.declared-size", transaction::declared_size().map(|size| json!(size))),
        "verdicts": ask(
            "transaction.verdicts",
            transaction::verdicts().map(|verdicts| verdicts.iter().map(verdict).collect()),
        ),
    })
}

fn mail_data_context(hook: &str, surprises: &mut Vec<String>) -> Value {
    let known = ["message", "deliver"].contains(&hook);
    let mut ask = |what: &str, answer: Result<Value, ContextError>| answered(hook, what, known, answer, surprises);
    json!({
        "size": ask("mail-data.size", mail_data::size().map(Value::from)),
        "body-offset": ask("mail-data.body-offset", mail_data::body_offset().map(Value::from)),
        "header": ask("mail-data.header", mail_data::header().map(|fields| {
            fields.iter().map(|field| json!([field.name, text(&field.value)])).collect()
        })),
        "subjects": ask("mail-data.field", mail_data::field("sUBJECT").map(|values| {
            values.iter().map(|value| text(value)).collect()
        })),
        "beginning": ask("mail-data.read", mail_data::read(0, 16).map(|octets| text(&octets))),
        "behind-the-end": ask("mail-data.read", mail_data::read(u64::MAX, 16).map(|octets| text(&octets))),
    })
}

/// The answer, if there is one. At `observe` there may be a transaction or not.
fn answered(
    hook: &str,
    what: &str,
    known: bool,
    answer: Result<Value, ContextError>,
    surprises: &mut Vec<String>,
) -> Value {
    let answers = answer.is_ok();
    if hook != "observe" && answers != known {
        surprises.push(format!("{what} at {hook}: {}", if answers { "answers" } else { "not-now" }));
    }
    match answer {
        Ok(value) => value,
        Err(ContextError::NotNow) => json!("not-now"),
    }
}

/// `alice@example.org`.
pub(crate) fn mailbox(mailbox: &Mailbox) -> Value {
    json!(mailbox.to_string())
}

/// `["SIZE=100", "BODY"]`.
pub(crate) fn parameters(parameters: &[Parameter]) -> Value {
    parameters
        .iter()
        .map(|parameter| match &parameter.value {
            Some(value) => format!("{}={value}", parameter.keyword),
            None => parameter.keyword.clone(),
        })
        .collect()
}

/// Who it was, what became of it, and who took it.
pub(crate) fn fate(fate: &RecipientFate) -> Value {
    json!({"recipient": mailbox(&fate.recipient), "fate": debug_name(&fate.fate), "plugin": fate.plugin})
}

/// The case of an enum as the contract writes it, without the type that `Debug` puts in front.
pub(crate) fn debug_name(case: &impl std::fmt::Debug) -> String {
    let name = format!("{case:?}");
    name.rsplit(':').next().unwrap_or_default().to_lowercase()
}

fn accepted(recipient: &AcceptedRecipient) -> Value {
    json!({"mailbox": mailbox(&recipient.mailbox), "parameters": parameters(&recipient.parameters)})
}

fn verdict(verdict: &EarlierVerdict) -> Value {
    json!({
        "plugin": verdict.plugin,
        "hook": debug_name(&verdict.hook),
        "kind": debug_name(&verdict.kind),
        "recipient": verdict.recipient.as_ref().map(mailbox),
    })
}

fn text(octets: &[u8]) -> Value {
    json!(String::from_utf8_lossy(octets))
}
