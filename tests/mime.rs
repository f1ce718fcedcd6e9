//! MIME parts and their edits, over SMTP with real guests; the shipped plugins that use them; and messages larger than memory should
//! hold.

use crate::support::{Client, Gateway, load, one_chain, plugin};

/// A message with a text, a picture within a message, and an attachment.
const MESSAGE: &str = "From: =?utf-8?Q?Caf=C3=A9?= <a@example.org>\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=o\r\n\r\npreamble\r\n--o\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\
    Content-Transfer-Encoding: quoted-printable\r\n\r\ncaf=E9\r\n--o\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\
    Content-Type: image/png; name=p.png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0K\r\n--o\r\n\
    Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\
    Content-Disposition: attachment; filename=\"tool.exe\"; size=6\r\n\r\nTWFuTWFu\r\n--o--\r\nepilogue";

fn gateway(chain: &str, further: &str) -> Gateway {
    let limits = "limits = { edit-octets = \"100 KiB\", deadline = \"60 s\" }\n";
    let plugins = format!(
        "{}{limits}{further}{}[plugin.delivery.config]\ndomains = \"all\"\n",
        plugin("mime", "mime", "[]"),
        plugin("delivery", "maildir", "[{ maildir = \"mail\" }, \"config\", \"log\"]")
    );
    Gateway::start(&one_chain(chain, &plugins))
}

fn session(gateway: &Gateway) -> Client {
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    client
}

/// What the guest answers to commands in the subject.
fn ask(client: &mut Client, commands: &str) -> String {
    let reply = client.message("a@example.org", &["b@example.org"], &format!("Subject: {commands}\r\n{MESSAGE}"));
    reply.lines().map(|line| line[4..].trim_start_matches("5.7.1 ")).collect()
}

#[test]
fn parts_are_told_and_read() {
    let gateway = gateway("[\"mime\"]", "");
    let mut client = session(&gateway);
    let mut check = |commands: &str, expected: &str| assert_eq!(ask(&mut client, commands), expected, "{commands}");
    check(
        "all",
        "- multipart/mixed - 0|0 text/plain - 4|0 message/rfc822 - 95|2 image/png p.png 6!|0 application/octet-stream tool.exe 6!",
    );
    check("text 1", "caf\\u{e9}");
    check("content 4 1 3", "anM");
    // A reply without a text has the host's.
    check("content 4 6 10", "Refused");
    check("content 0 0 10", "Refused");
    check("content 2 0 11", "Subject: in");
    check("content 5 0 10", "PartError::NoSuchPart");
    check("field from", "Caf\\u{e9} <a@example.org>");
    check("addresses from", "Caf\\u{e9}=a@example.org");
    check("field nothing", "Refused");
}

#[test]
fn edits_are_seen_by_who_comes_later() {
    let gateway = gateway("[\"mime\"]", "");
    let mut client = session(&gateway);
    let mut check = |commands: &str, expected: &str| assert_eq!(ask(&mut client, commands), expected, "{commands}");
    check(
        "replace 4 text/plain gone_now; text 4; all",
        "true; gone now; - multipart/mixed - 0|0 text/plain - 4|0 message/rfc822 - 95|2 image/png p.png 6!|0 text/plain - 8",
    );
    check(
        "remove 1; all",
        "true; - multipart/mixed - 0|0 message/rfc822 - 95|1 image/png p.png 6!|0 application/octet-stream tool.exe 6!",
    );
    check("remove 4; remove 2; remove 1; all", "true; true; true; - multipart/mixed - 0|0 text/plain - 0");
    check("replace 0 text/plain x; replace 2 text/plain x; replace 9 text/plain x", "false; false; false");
    check("remove 0; remove 3; remove 9", "false; false; false");
    check("replace 1 multipart/mixed x", "EditError::Invalid(\"\\\"multipart/mixed\\\" is no media type for");
    check("fill 4 60000; content 4 59999 5; fill 4 60000", "true; \\u{fffd}; EditError::Quota");
    check("insert 0 X-A 1; insert 2 X-B 2; insert 99 X-C 3; field x-a; field x-b", "ok; ok; ok; 1; 2");
    check("insert 0 X:A 1", "EditError::Invalid(\"\\\"X:A\\\" is not the name of a header fiel");
}

#[test]
fn edits_are_delivered_and_others_taken_back() {
    let gateway = gateway("[\"mime\", \"delivery\"]", "");
    let mut client = session(&gateway);
    let text = |commands: &str| format!("Subject: {commands}\r\n{MESSAGE}");
    let reply =
        client.message("", &["b@example.org"], &text("replace 4 text/plain gone; remove 1; insert 1 X-A 1; keep"));
    assert!(reply.starts_with("250 "), "{reply}");
    let message = &gateway.messages("mail/example.org/b")[0];
    let (_, received) = message.split_once("\r\nSubject: ").expect("a subject");
    let expected = MESSAGE
        .replace("--o\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncaf=E9\r\n", "")
        .replace(
            "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment; filename=\"tool.exe\"; size=6\r\n\r\nTWFuTWFu",
            "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ngone",
        );
    assert_eq!(received.split_once("\r\n").expect("lines").1, format!("X-A: 1\r\n{expected}\r\n"));
    let reply = client.message("", &["c@example.org"], &text("remove 4; fail"));
    assert!(reply.starts_with("451 4.3.0 "), "{reply}");
}

#[test]
fn parts_that_nobody_can_count() {
    let gateway = gateway("[\"mime\"]", "");
    let mut client = session(&gateway);
    let bomb = format!(
        "Subject: all; remove 1\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{}",
        "--b\r\n\r\n".repeat(1001)
    );
    let reply = client.message("", &["b@example.org"], &bomb);
    assert!(reply.contains("PartError::TooComplex; EditError::Invalid"), "{reply}");
}

/// Messages made to cost much end with a typed error to who asks for their parts, and in a refusal by who has to look into them.
#[test]
fn bombs_are_told_to_guests() {
    let gateway = gateway("[\"policy\", \"mime\"]", &with_config("policy", "attachment-policy", ""));
    let alone = one_chain("[\"mime\"]", &plugin("mime", "mime", "[]"));
    let alone = Gateway::start(&alone);
    let nested: String =
        (0..10_000).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n")).collect();
    let within = format!("Content-Type: message/rfc822\r\n\r\n{}", "X: y\r\n".repeat(1_700_000));
    let empty = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", "--b\r\n\r\n".repeat(1_000_000));
    for bomb in [nested, within, empty] {
        let reply = session(&alone).message("", &["b@example.org"], &format!("Subject: all; text 0\r\n{bomb}"));
        assert_eq!(reply.matches("PartError::TooComplex").count(), 2, "{reply}");
        let reply = session(&gateway).message("", &["b@example.org"], &format!("Subject: all\r\n{bomb}"));
        assert!(reply.starts_with("554 5.6.0 "), "{reply}");
    }
    // Encoded words without an end, and base64 that is none: there is an answer.
    let words = "=?utf-8?B?AAAA"
        .repeat(100)
        .as_bytes()
        .chunks(70)
        .map(|line| format!("\r\n {}", String::from_utf8_lossy(line)))
        .collect::<String>();
    let text = format!(
        "Subject: field x-words; content 0 0 10\r\nX-Words: x{words}\r\nContent-Transfer-Encoding: base64\r\n\r\n?!TW?!Fu?!"
    );
    let reply = session(&alone).message("", &["b@example.org"], &text);
    assert!(reply.starts_with("550") && reply.ends_with("; Man"), "{reply}");
}

/// 25 MB pass the plugins that look into messages and edit their header sections, and come out as they went in.
#[test]
fn a_large_attachment_passes_whole() {
    let rules = "rules = [{ name = \"mark\", then = [{ add-field = { name = \"X-Mark\", value = \"yes\" } }] }]";
    let further = format!(
        "{}{}",
        with_config("policy", "attachment-policy", "archives = true"),
        with_config("rules", "header-rules", rules)
    );
    let gateway = gateway("[\"policy\", \"rules\", \"mime\", \"delivery\"]", &further);
    let mut state = 7_u32;
    let mut line = || {
        let letters = (0..76).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(ALPHABET[(state >> 26) as usize])
        });
        letters.collect::<String>() + "\r\n"
    };
    let large: String = (0..320_000).map(|_| line()).collect();
    let begin = "Subject: sum; all; keep\r\nContent-Type: multipart/mixed; boundary=b\r\n";
    let body = format!(
        "\r\n--b\r\n\r\nhello\r\n--b\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename=a.png\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{large}--b--\r\n"
    );
    let reply = session(&gateway).message("", &["b@example.org"], &format!("{begin}{}", body.trim_end()));
    assert!(reply.starts_with("250 "), "{reply}");
    let message = &gateway.messages("mail/example.org/b")[0];
    let (header, received) = message.split_at(message.len() - body.len());
    assert!(received == body, "the body is what was sent");
    assert!(header.ends_with(&format!("\r\nX-Mark: yes\r\n{begin}")), "{header}");
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A message of 25 MB that three plugins read whole stays in its file: what is held of it is bounded.
#[test]
fn a_large_message_is_read_and_edited_in_its_file() {
    let limits = "limits = { deadline = \"60 s\" }\n";
    let further = format!("{}{limits}{}{limits}", plugin("second", "mime", "[]"), plugin("third", "mime", "[]"));
    let gateway = gateway("[\"mime\", \"second\", \"third\", \"delivery\"]", &further);
    let mut client = session(&gateway);
    let line = format!("{}\r\n", "QUJD".repeat(19));
    let large = line.repeat(320_000);
    let text = format!(
        "Subject: sum; all; content 2 18239990 20; replace 1 text/plain new; keep\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
         --b\r\n\r\nold\r\n--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n{large}--b--"
    );
    let reply = client.message("", &["b@example.org"], &text);
    assert!(reply.starts_with("250 "), "{reply}");
    let message = &gateway.messages("mail/example.org/b")[0];
    assert!(message.contains("quoted-printable\r\n\r\nnew\r\n--b\r\nContent-Type: image/png"));
    assert!(message.ends_with(&format!("base64\r\n\r\n{large}--b--\r\n")));
}

fn with_config(name: &str, component: &str, config: &str) -> String {
    format!("{}[plugin.{name}.config]\n{config}\n", plugin(name, component, "[\"config\", \"log\"]"))
}

#[test]
fn attachment_policy() {
    for (config, chain, expected) in [
        ("", "[\"policy\", \"mime\"]", "554 5.7.1 An attachment is not accepted here: a file of this kind"),
        ("extensions = []", "[\"policy\", \"mime\", \"delivery\"]", "250 "),
        (
            "extensions = []\nmedia-types = [\"image/*\"]",
            "[\"policy\", \"mime\"]",
            "554 5.7.1 An attachment is not accepted here: this media type",
        ),
        ("action = \"quarantine\"", "[\"policy\", \"mime\"]", "250 "),
    ] {
        let gateway = gateway(chain, &with_config("policy", "attachment-policy", config));
        let reply = session(&gateway).message("", &["b@example.org"], &format!("Subject: keep\r\n{MESSAGE}"));
        assert!(reply.starts_with(expected), "{config}: {reply}");
    }
    let gateway = gateway("[\"policy\", \"mime\"]", &with_config("policy", "attachment-policy", "action = \"remove\""));
    let mut client = session(&gateway);
    assert_eq!(ask(&mut client, "text 4"), "The attachment \\\"tool.exe\\\" was removed: a file of this kind.\\r\\n");
    let problem = load(&one_chain("[\"policy\"]", &with_config("policy", "attachment-policy", "action = \"delete\"")));
    let problem = problem.unwrap_err();
    assert!(problem.contains("unknown variant `delete`") && problem.contains("action = \"delete\""), "{problem}");
}

#[test]
fn header_rules() {
    let rules = r#"
rules = [
    { name = "early", when = [{ of = { field = "X-Stop" }, exists = true }], then = ["stop"] },
    { name = "sale", when = [{ of = { field = "Subject" }, matches = '\bsale\b' }], then = [{ reject = "No sales" }] },
    { name = "later", when = [{ of = "recipient", equals = "later@example.org" }], then = [{ defer = "Later" }] },
    { name = "mark", then = [{ add-field = { name = "X-Mark", value = "yes" } }, { remove-field = "X-Secret" }, { add-recipient = "copy@example.org" }] },
    { name = "seen", when = [{ of = { field = "X-Mark" }, equals = "YES" }, { of = "size", over = 10 }], then = [{ replace-field = { name = "X-State", value = "seen" } }] },
]
"#;
    let gateway = gateway("[\"rules\", \"mime\", \"delivery\"]", &with_config("rules", "header-rules", rules));
    let mut client = session(&gateway);
    let mut check = |to: &str, subject: &str, expected: &str| {
        let text = format!("Subject: {subject}\r\nX-Secret: 1\r\nX-State: new\r\n\r\nx");
        let reply = client.message("", &[to], &text);
        assert!(reply.starts_with(expected), "{subject}: {reply}");
    };
    check("b@example.org", "=?utf-8?Q?Big_SALE?=", "554 5.7.1 No sales");
    check("later@example.org", "keep", "451 4.7.1 Later");
    check("b@example.org", "sale\r\nX-Stop: 1", "550 ");
    check("b@example.org", "keep", "250 ");
    for mailbox in ["b", "copy"] {
        let messages = gateway.messages(&format!("mail/example.org/{mailbox}"));
        assert!(
            messages[0].contains("\r\nX-Mark: yes\r\nSubject: keep\r\nX-State: seen\r\n\r\nx\r\n"),
            "{}",
            messages[0]
        );
    }
    let wrong = "rules = [{ name = \"odd\", when = [{ of = \"recipient\", matches = \"(\" }], then = [\"stop\"] }]";
    let problem = load(&one_chain("[\"rules\"]", &with_config("rules", "header-rules", wrong))).unwrap_err();
    assert!(problem.contains("rule \"odd\": `matches`"), "{problem}");
}
