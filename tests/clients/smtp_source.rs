//! Postfix's smtp-source: many messages.

use std::collections::BTreeSet;
use std::process::Command;

use crate::support::program::{program, run};
use crate::support::{Gateway, quickstart};

/// Each message by a session of its own, or many in each of a few sessions: all are found, and none twice.
#[test]
fn smtp_source_sends_many() {
    let Some(program) = program("smtp-source", "postfix") else { return };
    let gateway = Gateway::start(&quickstart());
    let mut found = 0;
    for (messages, arguments) in [(100, &["-s", "5"][..]), (200, &["-s", "5", "-d"])] {
        let (many, server) = (messages.to_string(), gateway.address.to_string());
        let envelope = ["-f", "alice@example.org", "-t", "bob@example.org", "-M", "client.example", "-l", "4096"];
        run(Command::new(&program).args(arguments).args(["-m", &many]).args(envelope).arg(&server)).expect(0, &[]);
        let stored = gateway.messages("mail/example.org/bob");
        let ids: BTreeSet<&str> = stored.iter().map(|message| message_id(message)).collect();
        found += messages;
        assert_eq!((stored.len(), ids.len()), (found, found), "{arguments:?}");
    }
}

fn message_id(message: &str) -> &str {
    let field = message.lines().find_map(|line| line.strip_prefix("Message-Id: "));
    field.unwrap_or_else(|| panic!("no Message-Id in {message}"))
}
