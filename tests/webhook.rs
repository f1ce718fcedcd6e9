//! The plugin `webhook`, against a real server that checks its signature.

use serde_json::{Value, json};

use crate::support::http::{Peer, Server};
use crate::support::{Gateway, load, one_chain, plugin};

/// A policy that accepts everybody of example.org, and the webhook behind it.
fn config(port: u16, path: &str, more: &str, secret: &std::path::Path) -> String {
    let grants = format!(
        "[\"log\", \"config\", {{ http = {{ allow = [\"http://127.0.0.1:{port}\"], private = [\"127.0.0.1\"], timeout = \"1 s\" }} }}, \
         {{ secrets = {{ sign = [\"webhook\"] }} }}]"
    );
    let plugins = plugin("policy", "virtual-domains", "[\"log\", \"config\"]")
        + "[plugin.policy.config.domains.\"example.org\"]\nusers = [\"alice\", \"bob\"]\n"
        + &plugin("webhook", "webhook", &grants)
        + &format!(
            "[plugin.webhook.config]\nurl = \"http://127.0.0.1:{port}{path}\"\ndomains = [\"example.org\"]\n{more}\n"
        )
        + &format!("[secret.webhook]\nfile = {:?}\n", secret.display().to_string());
    one_chain("[\"policy\", \"webhook\"]", &plugins)
}

fn secret() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "topsecret\n").unwrap();
    file
}

fn send(gateway: &Gateway, message: &str) -> String {
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    client.message("sender@example.net", &["alice@example.org", "bob@example.org"], message)
}

#[test]
fn a_message_is_posted_and_signed() {
    let (mut server, secret) = (Server::start(), secret());
    let gateway = Gateway::start(&config(server.port, "/signed", "secret = \"webhook\"", secret.path()));
    let reply = send(&gateway, "Subject: hello\r\nX-Two: 1\r\nX-Two: 2\r\n\r\nbody");
    assert!(reply.starts_with("250 "), "{reply}");
    let request = server.told();
    assert_eq!(request["method"], "POST");
    assert_eq!(request["headers"]["content-type"], "application/json");
    let body: Value = serde_json::from_str(request["body"].as_str().unwrap()).unwrap();
    let id = body["id"].as_str().unwrap();
    assert!(request["headers"]["idempotency-key"].as_str().unwrap().starts_with(id));
    assert_eq!(body["from"], "sender@example.net");
    assert_eq!(body["to"], json!(["alice@example.org", "bob@example.org"]));
    assert_eq!(body["subject"], "hello");
    assert_eq!(body["hello"], "client.example");
    assert_eq!(body["remote"]["address"], "127.0.0.1");
    let names: Vec<_> = body["headers"].as_array().unwrap().iter().map(|field| field["value"].clone()).collect();
    assert_eq!(names, ["hello", "1", "2"]);
    assert_eq!(body["raw"], "U3ViamVjdDogaGVsbG8NClgtVHdvOiAxDQpYLVR3bzogMg0KDQpib2R5DQo=");
}

/// The host takes the message apart: texts decoded, attachments named.
#[test]
fn parts_are_told() {
    let (mut server, secret) = (Server::start(), secret());
    let more = "raw = false\nheaders = { x-tenant = \"one\" }";
    let gateway = Gateway::start(&config(server.port, "/", more, secret.path()));
    let message = [
        "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=",
        "MIME-Version: 1.0",
        "Content-Type: multipart/mixed; boundary=m",
        "",
        "--m",
        "Content-Type: multipart/alternative; boundary=a",
        "",
        "--a",
        "Content-Type: text/plain; charset=iso-8859-1",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        "caf=E9",
        "--a",
        "Content-Type: text/html; charset=utf-8",
        "Content-Transfer-Encoding: base64",
        "",
        "PGI+aGk8L2I+",
        "--a--",
        "--m",
        "Content-Type: application/pdf; name=x.pdf",
        "Content-Disposition: attachment; filename=\"bill \\\"1\\\".pdf\"",
        "Content-Transfer-Encoding: base64",
        "",
        "AAEC",
        "--m",
        "Content-Type: text/plain",
        "Content-Disposition: attachment; filename=note.txt",
        "",
        "note",
        "--m--",
    ];
    let reply = send(&gateway, &message.join("\r\n"));
    assert!(reply.starts_with("250 "), "{reply}");
    let request = server.told();
    assert_eq!(request["headers"]["x-tenant"], "one");
    assert_eq!(request["headers"]["x-postgate-signature"], Value::Null);
    let body: Value = serde_json::from_str(request["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["version"], 1);
    assert_eq!(body["subject"], "Gr\u{fc}\u{df}e");
    assert_eq!(body["text"].as_str().map(str::trim_end), Some("caf\u{e9}"));
    assert_eq!(body["html"].as_str().map(str::trim_end), Some("<b>hi</b>"));
    assert_eq!(body["raw"], Value::Null);
    assert_eq!(body["size"], message.join("\r\n").len() + 2);
    let attachments = body["attachments"].as_array().unwrap();
    let told: Vec<_> =
        attachments.iter().map(|each| (each["type"].clone(), each["name"].clone(), each["size"].clone())).collect();
    assert_eq!(
        told,
        [
            (json!("application/pdf"), json!("bill \"1\".pdf"), json!(3)),
            (json!("text/plain"), json!("note.txt"), json!(4)),
        ]
    );
    // The listener, and the ends of the connection.
    assert_eq!(body["listener"], "smtp");
    assert_eq!((&body["identity"], &body["tls"]), (&Value::Null, &Value::Null));
    assert!(body["timestamp"].as_u64().is_some_and(|seconds| seconds > 1_700_000_000), "{body}");
}

/// Recipients of other domains are somebody else's.
#[test]
fn others_mail_is_left_to_others() {
    let (mut server, secret) = (Server::start(), secret());
    let text = config(server.port, "/", "", secret.path())
        .replace("domains = [\"example.org\"]", "domains = [\"example.net\"]");
    let gateway = Gateway::start(&text);
    let reply = send(&gateway, "Subject: x\r\n\r\nbody");
    assert!(reply.starts_with("451 4.3.0"), "nobody delivers it: {reply}");
    drop(gateway);
    let gateway = Gateway::start(&config(server.port, "/", "", secret.path()));
    send(&gateway, "Subject: y\r\n\r\nbody");
    let body: Value = serde_json::from_str(server.told()["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["subject"], "y", "the first message was posted");
}

#[test]
fn what_responses_mean() {
    let secret = secret();
    for (status, expected) in [
        (202, "250 "),
        (302, "451 4.3.5"),
        (400, "550 5.6.0"),
        (401, "451 4.3.5"),
        (404, "451 4.3.5"),
        (408, "451 4.4.1"),
        (413, "552 5.3.4"),
        (422, "550 5.6.0"),
        (429, "451 4.4.1"),
        (500, "451 4.4.1"),
        (503, "451 4.4.1"),
    ] {
        let server = Server::start();
        let gateway = Gateway::start(&config(server.port, &format!("/status/{status}"), "", secret.path()));
        let reply = send(&gateway, "Subject: x\r\n\r\nbody");
        assert!(reply.starts_with(expected), "{status}: {reply}");
    }
    let silent = Peer::start(|stream| {
        let _ = std::io::Read::read(stream, &mut [0; 1 << 16]);
        let _ = std::io::Read::read(stream, &mut [0]);
        false
    });
    let gateway = Gateway::start(&config(silent.address.port(), "/", "", secret.path()));
    let reply = send(&gateway, "Subject: x\r\n\r\nbody");
    assert!(reply.starts_with("451 4.4.1"), "{reply}");
}

#[test]
fn octets_that_are_no_text_survive() {
    let (mut server, secret) = (Server::start(), secret());
    let gateway = Gateway::start(&config(server.port, "/", "", secret.path()));
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    client.expect("MAIL FROM:<> BODY=8BITMIME", "250");
    client.expect("RCPT TO:<alice@example.org>", "250");
    client.expect("DATA", "354");
    client.send(b"X: \xff\r\n\r\n\xfe\r\n.\r\n");
    let reply = client.reply();
    assert!(reply.starts_with("250 "), "{reply}");
    let body: Value = serde_json::from_str(server.told()["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["from"], Value::Null);
    assert_eq!(body["headers"][0]["base64"], "/w==");
    assert_eq!(body["raw"], "WDog/w0KDQr+DQo=");
}

#[test]
fn a_message_over_the_bound_fails() {
    let (server, secret) = (Server::start(), secret());
    let gateway = Gateway::start(&config(server.port, "/", "raw-octets = 20", secret.path()));
    let reply = send(&gateway, "Subject: x\r\n\r\na longer body than that");
    assert!(reply.starts_with("552 5.3.4"), "{reply}");
}

#[test]
fn a_wrong_setting_is_told_at_its_line() {
    let secret = secret();
    let problem = load(&config(1, "/", "ulr = \"x\"", secret.path())).unwrap_err();
    assert!(problem.contains("ulr = \"x\"") && problem.contains("unknown field"), "{problem}");
}
