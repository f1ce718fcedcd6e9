//! Records what it was asked, and what the context answered.
//!
//! It has no opinion about anything, so it can stand in front of any chain. Each call writes one line of log, `asked`, with the
//! fields `hook`, `argument` and `context`, the last two as JSON; and adds the name of the hook to the note `recorder`, which
//! therefore is the order of the calls of a session, such as `connect hello mail recipient recipient data message`.
//!
//! In the `message` hook it uses every function of the editor, undoes what it did, and leaves one field with the note's value,
//! `X-Recorder`, for those who have only the delivered message.
//!
//! A context function that answers where it must not, or not where it must, stands in the field `surprise`.

mod context;
mod edits;

use postgate_sdk::hook::{
    Authenticate, Authentication, Chunk, Command, Connect, Credentials, Data, Deliver, Event, Expand, Expansion, Hello,
    HelloAnswer, Mail, Message, MessageVerdict, Observe, Outcome, Recipient, Starttls, Verification, Verify,
};
use postgate_sdk::{Mailbox, Parameter, Reply, Verdict, editor, export, log, session};
use serde_json::{Value, json};

use context::{mailbox, parameters};

struct Recorder;

export!(
    Recorder: connect, hello, starttls, authenticate, mail, recipient, data, chunk, message, deliver, verify, expand,
    command, observe
);

impl Connect for Recorder {
    fn on_connect() -> Verdict {
        record("connect", json!(null));
        Verdict::Next
    }
}

impl Hello for Recorder {
    fn on_hello() -> HelloAnswer {
        record("hello", json!(null));
        HelloAnswer { verdict: Verdict::Next, keywords: Vec::new() }
    }
}

impl Starttls for Recorder {
    fn on_starttls() -> Verdict {
        record("starttls", json!(null));
        Verdict::Next
    }
}

impl Authenticate for Recorder {
    fn on_authenticate(mechanism: String, credentials: Credentials) -> Authentication {
        let user = match credentials {
            Credentials::Password(password) => password.user,
            Credentials::Token(token) => token.user,
            Credentials::Certificate(certificate) => certificate.user,
            Credentials::Scram(lookup) => lookup.user,
        };
        record("authenticate", json!({"mechanism": mechanism, "user": user}));
        Authentication::Next
    }
}

impl Mail for Recorder {
    fn on_mail(reverse_path: Option<Mailbox>, given: Vec<Parameter>) -> Verdict {
        let argument = json!({"reverse-path": reverse_path.as_ref().map(mailbox), "parameters": parameters(&given)});
        record("mail", argument);
        Verdict::Next
    }
}

impl Recipient for Recorder {
    fn on_recipient(recipient: Mailbox, given: Vec<Parameter>) -> Verdict {
        record("recipient", json!({"recipient": mailbox(&recipient), "parameters": parameters(&given)}));
        Verdict::Next
    }
}

impl Data for Recorder {
    fn on_data() -> Verdict {
        record("data", json!(null));
        Verdict::Next
    }
}

impl Chunk for Recorder {
    fn on_chunk(size: u64, last: bool) -> Verdict {
        record("chunk", json!({"size": size, "last": last}));
        Verdict::Next
    }
}

impl Message for Recorder {
    fn on_message() -> MessageVerdict {
        record("message", json!(null));
        let surprises = edits::use_editor();
        if !surprises.is_empty() {
            log::error("the editor differs from the contract", &[("surprise", &surprises.join("; "))]);
        }
        let order = session::note(NOTE).unwrap_or_default();
        if let Err(error) = editor::append_field("X-Recorder", order.as_bytes()) {
            log::error("field not appended", &[("surprise", &format!("{error:?}"))]);
        }
        MessageVerdict::Next
    }
}

impl Deliver for Recorder {
    fn on_deliver(recipients: Vec<Mailbox>) -> Vec<Outcome> {
        record("deliver", recipients.iter().map(mailbox).collect());
        recipients.iter().map(|_anyone| Outcome::Next).collect()
    }
}

impl Verify for Recorder {
    fn on_verify(argument: String) -> Verification {
        record("verify", json!(argument));
        Verification::Next
    }
}

impl Expand for Recorder {
    fn on_expand(argument: String) -> Expansion {
        record("expand", json!(argument));
        Expansion::Next
    }
}

impl Command for Recorder {
    fn on_command(verb: String, argument: String) -> Option<Reply> {
        record("command", json!({"verb": verb, "argument": argument}));
        None
    }
}

impl Observe for Recorder {
    fn on_event(event: Event) {
        let argument = match event {
            Event::TransactionReset => json!("transaction-reset"),
            Event::TransactionOutcome(fates) => fates.iter().map(context::fate).collect(),
            Event::SessionEnd(end) => json!({"session-end": context::debug_name(&end)}),
        };
        record("observe", argument);
    }
}

/// One call.
fn record(hook: &str, argument: Value) {
    let order = session::note(NOTE).map_or_else(|| hook.to_owned(), |order| format!("{order} {hook}"));
    let mut surprises = Vec::new();
    if let Err(error) = session::set_note(NOTE, &order) {
        surprises.push(format!("set-note answers {error:?}"));
    } else if session::note(NOTE).as_deref() != Some(order.as_str()) {
        surprises.push("the note was not kept".to_owned());
    }
    let context = context::context(hook, &mut surprises);
    let (argument, context, surprise) = (argument.to_string(), context.to_string(), surprises.join("; "));
    let mut fields = vec![("hook", hook), ("argument", argument.as_str()), ("context", context.as_str())];
    if !surprise.is_empty() {
        fields.push(("surprise", surprise.as_str()));
    }
    log::info("asked", &fields);
}

/// The order of the calls.
const NOTE: &str = "recorder";
