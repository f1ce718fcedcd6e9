//! A plugin of one hook, in Rust without the SDK: asks for its context, and decides about recipients.
//!
//! Proves the contract together with its twins in Python and JavaScript, which do the same: it rejects `no-550`,
//! accepts everyone else, and leaves what it has learned in the note `one-hook`:
//!
//! ```text
//! ADDRESS GREETING HELLO-NAME IDENTITY <REVERSE-PATH> RECIPIENTS-SO-FAR
//! ```
//!
//! with `-` for what there is not. Where the context answers otherwise than the contract says it defers, with the reason.

#![allow(unsafe_code, reason = "what `export!` makes of the plugin")]

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "
            package test:guest;
            world plugin {
                include postgate:mail/context@0.1.0;
                export postgate:mail/recipient@0.1.0;
            }
        ",
        world: "test:guest/plugin",
        generate_all,
    });
}

use bindings::exports::postgate::mail::recipient::Guest;
use bindings::postgate::mail::editor::{self, EditError};
use bindings::postgate::mail::mail_data;
use bindings::postgate::mail::session::{self, Greeting};
use bindings::postgate::mail::transaction::{self, ContextError};
use bindings::postgate::mail::types::{EnhancedStatus, Mailbox, Parameter, Reply, Verdict};

struct Plugin;

bindings::export!(Plugin with_types_in bindings);

impl Guest for Plugin {
    fn on_recipient(recipient: Mailbox, _parameters: Vec<Parameter>) -> Verdict {
        if recipient.local_part == "no-550" {
            return Verdict::Reject(reply(550, (5, 1, 1), "policy says no"));
        }
        match use_context() {
            Ok(()) => Verdict::Accept,
            Err(surprise) => Verdict::Defer(reply(451, (4, 3, 0), &surprise)),
        }
    }
}

/// Asks for everything, and says what was not as the contract has it.
fn use_context() -> Result<(), String> {
    let learned = describe_context().map_err(|error| format!("context answers {error:?}"))?;
    match editor::append_field("X-One-Hook", b"rust") {
        Err(EditError::NotNow) => {}
        other => return Err(format!("editor answers {other:?}")),
    }
    match mail_data::size() {
        Err(ContextError::NotNow) => {}
        Ok(size) => return Err(format!("mail-data answers {size}")),
    }
    session::set_note("one-hook", &learned).map_err(|error| format!("set-note answers {error:?}"))?;
    match session::note("one-hook") {
        Some(kept) if kept == learned => Ok(()),
        other => Err(format!("the note was not kept: {other:?}")),
    }
}

/// What is known of the session and the transaction, in one line.
fn describe_context() -> Result<String, ContextError> {
    let greeting = session::hello().map_or_else(
        || "- -".to_owned(),
        |hello| {
            let greeting = match hello.greeting {
                Greeting::Helo => "helo",
                Greeting::Ehlo => "ehlo",
                Greeting::Lhlo => "lhlo",
            };
            format!("{greeting} {}", hello.name)
        },
    );
    let identity = session::identity().map_or_else(|| "-".to_owned(), |identity| identity.name);
    let sender =
        transaction::reverse_path()?.map_or_else(String::new, |path| format!("{}@{}", path.local_part, path.domain));
    let recipients = transaction::recipients()?.len();
    Ok(format!("{} {greeting} {identity} <{sender}> {recipients}", session::remote().address))
}

fn reply(code: u16, (class, subject, detail): (u8, u16, u16), text: &str) -> Reply {
    Reply { code, enhanced: Some(EnhancedStatus { class, subject, detail }), text: vec![text.to_owned()] }
}
