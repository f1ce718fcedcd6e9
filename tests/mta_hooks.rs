//! The plugin `mta-hooks`, against a real server with prepared responses.

use serde_json::{Value, json};

use crate::support::http::Server;
use crate::support::{Gateway, load, one_chain, plugin};

fn config(port: u16, path: &str, more: &str) -> String {
    let grants = format!(
        "[\"log\", \"config\", {{ http = {{ allow = [\"http://127.0.0.1:{port}\"], private = [\"127.0.0.1\"] }} }}]"
    );
    let plugins = plugin("filter", "mta-hooks", &grants)
        + &format!("[plugin.filter.config]\nurl = \"http://127.0.0.1:{port}/hooks/{path}\"\n{more}\n")
        + &plugin("policy", "virtual-domains", "[\"log\", \"config\"]")
        + "[plugin.policy.config.domains.\"example.org\"]\nusers = [\"alice\", \"bob\"]\n"
        + &plugin("delivery", "maildir", "[\"log\", \"config\", { maildir = \"mail\" }]")
        + "[plugin.delivery.config]\ndomains = [\"example.org\"]\n";
    one_chain("[\"filter\", \"policy\", \"delivery\"]", &plugins)
}

/// A server whose response to `/hooks/x` is this.
fn server(response: &Value) -> Server {
    Server::with(&json!({ "x": response.to_string() }).to_string(), None)
}

fn send(gateway: &Gateway) -> String {
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    let text = "Subject: hello\r\nX-A: 1\r\nX-B: 2\r\nX-A: 3\r\n\r\nbody";
    client.message("sender@example.net", &["alice@example.org"], text)
}

#[test]
fn the_filter_is_told_of_the_message() {
    let mut server = server(&json!({ "action": "accept" }));
    let gateway = Gateway::start(&config(server.port, "x", ""));
    let reply = send(&gateway);
    assert!(reply.starts_with("250 "), "{reply}");
    let request: Value = serde_json::from_str(server.told()["body"].as_str().unwrap()).unwrap();
    assert_eq!(request["context"]["stage"], "data");
    assert_eq!(request["context"]["client"]["ip"], "127.0.0.1");
    assert_eq!(request["context"]["client"]["helo"], "client.example");
    assert_eq!(request["envelope"]["from"], json!({ "address": "sender@example.net" }));
    assert_eq!(request["envelope"]["to"], json!([{ "address": "alice@example.org" }]));
    assert_eq!(request["message"]["headers"][0], json!(["Subject", " hello\r\n"]));
    assert_eq!(request["message"]["contents"], "body\r\n");
}

#[test]
fn actions() {
    for (response, expected) in [
        (json!({ "action": "accept" }), "250 "),
        (json!({ "action": "discard" }), "250 "),
        (json!({ "action": "quarantine" }), "250 "),
        (json!({ "action": "reject" }), "550 5.7.1 Message refused"),
        (
            json!({ "action": "reject", "response": { "status": 451, "enhancedStatus": "4.7.1", "message": "greylisted" } }),
            "451 4.7.1 greylisted",
        ),
        (json!({ "action": "reject", "response": { "status": 554, "message": "a\r\n250 b" } }), "554"),
        (json!({ "action": "shrug" }), "451 4.3.5"),
        (json!("nonsense"), "451 4.3.5"),
    ] {
        let server = server(&response);
        let gateway = Gateway::start(&config(server.port, "x", ""));
        let reply = send(&gateway);
        assert!(reply.starts_with(expected), "{response}: {reply}");
        let delivered = gateway.messages("mail/example.org/alice").len();
        assert_eq!(delivered, usize::from(response["action"] == "accept"), "{response}");
        let kept = gateway.messages("quarantine/mta-hooks").len();
        assert_eq!(kept, usize::from(response["action"] == "quarantine"), "{response}");
    }
}

#[test]
fn modifications() {
    let server = server(&json!({ "action": "accept", "modifications": [
        { "type": "changeFrom", "value": "<other@example.net>", "parameters": {} },
        { "type": "addRecipient", "value": "bob@example.org" },
        { "type": "deleteRecipient", "value": "alice@example.org" },
        { "type": "replaceContents", "value": "new\nbody" },
        { "type": "addHeader", "name": "X-New", "value": "n" },
        { "type": "changeHeader", "index": 2, "name": "X-A", "value": "33" },
        { "type": "deleteHeader", "index": 1, "name": "X-B" },
    ] }));
    let gateway = Gateway::start(&config(server.port, "x", ""));
    let reply = send(&gateway);
    assert!(reply.starts_with("250 "), "{reply}");
    assert!(gateway.messages("mail/example.org/alice").is_empty());
    let messages = gateway.messages("mail/example.org/bob");
    let message = messages.first().expect("a message");
    assert!(message.starts_with("Return-Path: <other@example.net>\r\n"), "{message}");
    let expected = "Subject: hello\r\nX-A: 1\r\nX-A: 33\r\nX-New: n\r\n\r\nnew\r\nbody\r\n";
    assert!(message.ends_with(expected), "{message}");
}

/// Each by itself: what becomes of the message, and of its envelope.
#[test]
fn each_modification() {
    let before = ["Subject: hello", "X-A: 1", "X-B: 2", "X-A: 3"];
    let header = |fields: &[&str]| format!("{}\r\n\r\nbody\r\n", fields.join("\r\n"));
    let same = header(&before);
    let rows = [
        (
            json!({ "type": "insertHeader", "index": 0, "name": "X-I", "value": "i" }),
            header(&["X-I: i", before[0], before[1], before[2], before[3]]),
        ),
        (
            json!({ "type": "insertHeader", "index": 2, "name": "X-I", "value": "i" }),
            header(&[before[0], before[1], "X-I: i", before[2], before[3]]),
        ),
        (
            json!({ "type": "insertHeader", "index": 99, "name": "X-I", "value": "i" }),
            header(&[before[0], before[1], before[2], before[3], "X-I: i"]),
        ),
        (
            json!({ "type": "insertHeader", "index": 0, "name": "X-I", "value": "a\nEvil: b" }),
            header(&["X-I: a\r\n\tEvil: b", before[0], before[1], before[2], before[3]]),
        ),
        (
            json!({ "type": "addHeader", "name": "X-New", "value": " n\r\n" }),
            header(&[before[0], before[1], before[2], before[3], "X-New: n"]),
        ),
        (
            json!({ "type": "changeHeader", "index": 1, "name": "x-a", "value": "11" }),
            header(&[before[0], "X-A: 11", before[2], before[3]]),
        ),
        (json!({ "type": "changeHeader", "index": 2, "name": "X-A", "value": "" }), header(&before[..3])),
        (json!({ "type": "changeHeader", "index": 9, "name": "X-A", "value": "x" }), same.clone()),
        (json!({ "type": "deleteHeader", "index": 1, "name": "X-A" }), header(&[before[0], before[2], before[3]])),
        (json!({ "type": "deleteHeader", "index": 2, "name": "x-a" }), header(&before[..3])),
        (json!({ "type": "deleteHeader", "index": 3, "name": "X-A" }), same.clone()),
        (json!({ "type": "deleteHeader", "index": 1, "name": "X-None" }), same.clone()),
        (json!({ "type": "replaceContents", "value": "" }), format!("{}\r\n\r\n", before.join("\r\n"))),
        (json!({ "type": "replaceContents", "value": "one\r\n.two" }), same.replace("body", "one\r\n.two")),
        (json!({ "type": "changeFrom", "value": "<>" }), same.clone()),
        (json!({ "type": "addRecipient", "value": "<bob@example.org>" }), same.clone()),
        (json!({ "type": "addRcpt", "value": "bob@example.org" }), same.clone()),
        (json!({ "type": "deleteRecipient", "value": "bob@example.org" }), same),
    ];
    for (modification, expected) in rows {
        let server = server(&json!({ "action": "accept", "modifications": [modification] }));
        let gateway = Gateway::start(&config(server.port, "x", ""));
        let reply = send(&gateway);
        assert!(reply.starts_with("250 "), "{modification}: {reply}");
        let messages = gateway.messages("mail/example.org/alice");
        let [message] = &messages[..] else { panic!("{modification}: {messages:?}") };
        assert!(message.ends_with(&format!("\r\n{expected}")), "{modification}: {message:?}, expected {expected:?}");
        let reverse_path = if modification["value"] == "<>" { "<>" } else { "<sender@example.net>" };
        assert!(message.starts_with(&format!("Return-Path: {reverse_path}\r\n")), "{modification}: {message}");
        let is_added = modification["type"].as_str().is_some_and(|kind| kind.starts_with("add") && kind != "addHeader");
        assert_eq!(gateway.messages("mail/example.org/bob").len(), usize::from(is_added), "{modification}");
    }
}

/// Those that would break the message or its envelope.
#[test]
fn modifications_that_can_not_be_made() {
    for modification in [
        json!({ "type": "insertHeader", "index": 0, "name": "not a name", "value": "i" }),
        json!({ "type": "insertHeader", "index": 0, "name": "X:Y", "value": "i" }),
        json!({ "type": "insertHeader", "index": -1, "name": "X", "value": "i" }),
        json!({ "type": "addHeader", "name": "", "value": "n" }),
        json!({ "type": "addHeader", "name": "X\r\nY", "value": "n" }),
        json!({ "type": "changeHeader", "index": 1, "name": "X-A", "value": "\u{0}" }),
        json!({ "type": "replaceContents", "value": "\u{0}" }),
        json!({ "type": "changeFrom", "value": "nobody" }),
        json!({ "type": "addRecipient", "value": "a@b\r\nX: y" }),
        json!({ "type": "addRecipient", "value": "<>" }),
        json!({ "type": "deleteRecipient", "value": "" }),
        json!({ "type": "encrypt", "value": "" }),
        json!({ "type": "addHeader", "name": "X" }),
    ] {
        let server = server(&json!({ "action": "accept", "modifications": [modification] }));
        let gateway = Gateway::start(&config(server.port, "x", ""));
        let reply = send(&gateway);
        assert!(reply.starts_with("451 4.3.5"), "{modification}: {reply}");
        assert!(gateway.messages("mail/example.org/alice").is_empty(), "{modification}");
    }
}

/// Larger than `max-octets`: refused, and the filter is not asked.
#[test]
fn a_message_over_the_bound_is_refused() {
    let server = server(&json!({ "action": "accept" }));
    let gateway = Gateway::start(&config(server.port, "x", "max-octets = 20"));
    let reply = send(&gateway);
    assert!(reply.starts_with("552 5.3.4"), "{reply}");
}

#[test]
fn what_can_not_be_done_is_undone() {
    let server = server(&json!({ "action": "accept", "modifications": [
        { "type": "addHeader", "name": "X-New", "value": "n" },
        { "type": "addHeader", "name": "not a name", "value": "n" },
    ] }));
    let gateway = Gateway::start(&config(server.port, "x", ""));
    let reply = send(&gateway);
    assert!(reply.starts_with("451 4.3.5"), "{reply}");
}

#[test]
fn stages_before_the_message() {
    let reject = json!({ "action": "reject", "response": { "status": 550, "message": "not you" } });
    for (stage, commands) in [
        ("ehlo", &["EHLO client.example"][..]),
        ("mail", &["EHLO client.example", "MAIL FROM:<a@example.net>"]),
        ("rcpt", &["EHLO client.example", "MAIL FROM:<a@example.net>", "RCPT TO:<alice@example.org>"]),
    ] {
        let mut server = server(&reject);
        let gateway = Gateway::start(&config(server.port, "x", &format!("stages = [\"{stage}\"]")));
        let mut client = gateway.client();
        let (last, before) = commands.split_last().unwrap();
        for command in before {
            client.expect(command, "250");
        }
        let reply = client.expect(last, "550");
        assert!(reply.contains("not you"), "{reply}");
        let request: Value = serde_json::from_str(server.told()["body"].as_str().unwrap()).unwrap();
        assert_eq!(request["context"]["stage"], stage);
        if stage == "rcpt" {
            assert_eq!(request["envelope"]["to"][0]["address"], "alice@example.org");
        }
    }
}

#[test]
fn a_filter_that_is_not_there_defers() {
    let server = server(&json!({}));
    let gateway = Gateway::start(&config(server.port, "x", ""));
    drop(server);
    let reply = send(&gateway);
    assert!(reply.starts_with("451 4.3.5"), "{reply}");
}

#[test]
fn wrong_settings_are_told_at_their_lines() {
    for (more, expected) in [("stages = [\"auth\"]", "unknown variant"), ("max = 1", "unknown field")] {
        let problem = load(&config(1, "x", more)).unwrap_err();
        assert!(problem.contains(expected) && problem.contains(more), "{problem}");
    }
}
