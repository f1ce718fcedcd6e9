//! Guests that misbehave at each hook: the client always hears one well-formed reply, nothing undecided is delivered, the session
//! and its neighbours go on, and the log names the cause.
//!
//! `tests/guests/misbehave` has the table of words.

use crate::support::{Client, Gateway, log, one_chain, plugin};

const DEFERRED: &str = "451 4.3.0 Local error in processing, try again later";

/// A gateway whose one policy misbehaves under this name, with small limits and this failure policy.
fn gateway(name: &str, on_failure: &str) -> Gateway {
    let plugins = [
        plugin(name, "misbehave", "[\"log\"]"),
        format!("[plugin.{name}.limits]\nfuel = 100_000_000\nmemory = \"64 MiB\"\ndeadline = \"1500 ms\"\n"),
        plugin("delivery", "discard", "[]"),
    ];
    let chain = format!("[{{ plugin = \"{name}\", on-failure = {on_failure} }}, \"delivery\"]");
    Gateway::start(&one_chain(&chain, &plugins.concat()))
}

/// The causes that the log names for this plugin at this hook, in order.
fn causes(name: &str, hook: &str) -> Vec<String> {
    let plugin = format!("\"plugin\":\"{name}\"");
    let hook = format!("\"hook\":\"{hook}\"");
    let lines = log::lines(&["plugin failed", &plugin, &hook]);
    lines.iter().map(|line| line["cause"].as_str().unwrap().to_owned()).collect()
}

/// Words that fail wherever they are said, and their causes.
const WORDS: &[(&str, &[&str])] = &[
    ("trap", &["trap"]),
    ("unreachable", &["trap"]),
    ("exit", &["trap"]),
    ("recurse", &["trap"]),
    ("loop", &["fuel"]),
    ("log-loop", &["fuel", "deadline"]),
    ("print-loop", &["fuel", "deadline"]),
    ("grow", &["memory"]),
    ("sleep", &["deadline"]),
    ("spin", &["fuel", "deadline"]),
];

/// Replies that break the contract.
const REPLIES: &[&str] = &[
    "huge-reply",
    "many-lines",
    "long-line",
    "crlf",
    "bare-cr",
    "bare-lf",
    "nul",
    "code-999",
    "code-250",
    "code-354",
    "code-99",
    "code-5500",
    "code-560",
    "wrong-class",
    "wrong-subject",
    "defer-550",
];

/// Says each word by `say`, and looks at reply and cause; a good recipient in between shows that the session goes on.
#[track_caller]
fn each_word(name: &str, hook: &str, mut say: impl FnMut(&mut Client, &str) -> String, reply: &str) {
    let gateway = gateway(name, "\"defer\"");
    let replies = REPLIES.iter().map(|word| (*word, ["reply"].as_slice()));
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    for (n, (word, expected)) in WORDS.iter().copied().chain(replies).enumerate() {
        let heard = say(&mut client, word);
        assert_eq!(heard, reply, "{word} at {hook}");
        let causes = causes(name, hook);
        assert_eq!(causes.len(), n + 1, "{word} at {hook}: {causes:?}");
        assert!(expected.contains(&causes[n].as_str()), "{word} at {hook}: {causes:?}");
        client.expect("RSET", "250");
    }
    assert_eq!(client.message("a@example.org", &["bob@example.org"], "Subject: x\r\n\r\nbody").get(..3), Some("250"));
    client.expect("QUIT", "221");
}

#[test]
fn at_recipient() {
    let say = |client: &mut Client, word: &str| {
        client.expect("MAIL FROM:<a@example.org>", "250");
        client.say(&format!("RCPT TO:<{word}@example.org>"))
    };
    each_word("bad-recipient", "recipient", say, DEFERRED);
}

#[test]
fn at_mail() {
    each_word("bad-mail", "mail", |client, word| client.say(&format!("MAIL FROM:<{word}@example.org>")), DEFERRED);
}

#[test]
fn at_message() {
    let say = |client: &mut Client, word: &str| {
        client.message("a@example.org", &["bob@example.org"], &format!("X-Misbehave: {word}\r\n\r\nbody"))
    };
    each_word("bad-message", "message", say, DEFERRED);
}

#[test]
fn at_hooks_that_are_reached_by_a_recipient() {
    let gateway = gateway("bad-late", "\"defer\"");
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    for (hook, word, cause) in [
        ("data", "trap", "trap"),
        ("data", "crlf", "reply"),
        ("deliver", "trap", "trap"),
        ("deliver", "few-outcomes", "reply"),
        ("deliver", "many-outcomes", "reply"),
        ("deliver", "code-250", "reply"),
        ("deliver", "loop", "fuel"),
    ] {
        client.expect("MAIL FROM:<a@example.org>", "250");
        client.expect(&format!("RCPT TO:<{hook}-{word}@example.org>"), "250");
        let mut heard = client.say("DATA");
        if hook == "deliver" {
            assert!(heard.starts_with("354 "), "{heard}");
            heard = client.say("Subject: x\r\n\r\nbody\r\n.");
        }
        assert_eq!(heard, DEFERRED, "{word} at {hook}");
        assert_eq!(causes("bad-late", hook).last().map(String::as_str), Some(cause), "{word} at {hook}");
        client.expect("RSET", "250");
    }
    client.expect("MAIL FROM:<a@example.org>", "250");
    client.expect("RCPT TO:<chunk-trap@example.org>", "250");
    client.send(b"BDAT 6 LAST\r\nhello\n");
    assert_eq!(client.reply(), DEFERRED);
    client.expect("NOOP", "250");
    assert_eq!(causes("bad-late", "chunk"), ["trap"]);
}

#[test]
fn at_observe_it_changes_nothing() {
    let gateway = gateway("bad-observer", "\"disconnect\"");
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    let reply = client.message("a@example.org", &["observe-trap@example.org"], "Subject: x\r\n\r\nbody");
    assert!(reply.starts_with("250 "), "{reply}");
    client.expect("NOOP", "250");
    client.expect("QUIT", "221");
    assert_eq!(causes("bad-observer", "observe").first().map(String::as_str), Some("trap"));
}

#[test]
fn at_hello_authenticate_and_the_directory() {
    let gateway = gateway("bad-others", "\"defer\"");
    let mut client = gateway.client();
    for (word, cause) in [("trap", "trap"), ("bad-keyword", "reply"), ("many-keywords", "reply"), ("code-250", "reply")]
    {
        // RFC 2034 section 4: no enhanced code in the reply to a greeting.
        let reply = client.say(&format!("EHLO {word}.example"));
        assert_eq!(reply, DEFERRED.replace("4.3.0 ", ""), "{word}");
        assert_eq!(causes("bad-others", "hello").last().map(String::as_str), Some(cause), "{word}");
    }
    client.expect("EHLO client.example", "250");
    for (word, cause) in [
        ("trap", "trap"),
        ("bad-identity", "reply"),
        ("long-identity", "reply"),
        ("weak-keys", "reply"),
        ("sleep", "deadline"),
    ] {
        let initial = base64(format!("\0{word}\0secret").as_bytes());
        client.expect(&format!("AUTH PLAIN {initial}"), "454 4.7.0");
        assert_eq!(causes("bad-others", "authenticate").last().map(String::as_str), Some(cause), "{word}");
    }
    for (verb, hook) in [("VRFY", "verify"), ("EXPN", "expand"), ("XODD", "command")] {
        for (word, cause) in [("trap", "trap"), ("crlf", "reply"), ("code-999", "reply")] {
            assert_eq!(client.say(&format!("{verb} {word}")), DEFERRED, "{verb} {word}");
            assert_eq!(causes("bad-others", hook).last().map(String::as_str), Some(cause), "{verb} {word}");
        }
    }
    client.expect("QUIT", "221");
}

#[test]
fn replies_in_letters_beyond_ascii_are_not_a_failure() {
    let gateway = gateway("eight-bit", "\"defer\"");
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    client.expect("MAIL FROM:<a@example.org>", "250");
    let reply = client.expect("RCPT TO:<eight-bit@example.org>", "550 ");
    assert!(reply.contains('?'), "{reply}");
    assert!(causes("eight-bit", "recipient").is_empty());
}

#[test]
fn what_a_plugin_may_use_is_bounded() {
    let gateway = gateway("greedy", "\"defer\"");
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    client.expect("MAIL FROM:<a@example.org>", "250");
    for word in ["many-notes", "long-note"] {
        let reply = client.expect(&format!("RCPT TO:<{word}@example.org>"), "550 ");
        assert!(reply.to_lowercase().contains("quota") || reply.to_lowercase().contains("long"), "{reply}");
    }
    client.expect("RCPT TO:<log-flood@example.org>", "250");
    let written = log::lines(&["postgate::plugin", "\"plugin\":\"greedy\""]);
    assert!(!written.is_empty() && written.len() < 1000, "{} lines", written.len());
    assert!(!log::lines(&["plugin logged more than its limit", "\"plugin\":\"greedy\""]).is_empty());
    client.expect("RSET", "250");
    let reply = client.message("a@example.org", &["bob@example.org"], "X-Misbehave: many-edits\r\n\r\nbody");
    assert!(reply.starts_with("550 "), "{reply}");
    let reply = client.message("a@example.org", &["bob@example.org"], "X-Misbehave: bad-edits\r\n\r\nbody");
    assert!(reply.starts_with("550 ") && reply.contains(" 0 "), "{reply}");
    let reply = client.message("a@example.org", &["bob@example.org"], "X-Misbehave: bad-label\r\n\r\nbody");
    assert_eq!(reply, DEFERRED);
    let reply = client.message("a@example.org", &["bob@example.org"], "X-Misbehave: hog-read\r\n\r\nbody");
    assert_eq!(reply, DEFERRED);
    let cause = causes("greedy", "message").pop();
    assert!(matches!(cause.as_deref(), Some("memory" | "fuel" | "deadline")), "{cause:?}");
}

#[test]
fn each_policy_speaks_for_a_failure() {
    for (policy, reply) in [
        ("defer", Some(DEFERRED)),
        ("reject", Some("554 5.3.0 Local error in processing")),
        ("disconnect", Some("421 4.3.0 Local error in processing, closing connection")),
        // Nobody else accepts the recipient: closed world.
        ("skip", Some("550 5.7.1")),
        ("quarantine", None),
    ] {
        let gateway = gateway(&format!("policy-{policy}"), &format!("\"{policy}\""));
        let mut client = gateway.client();
        client.expect("EHLO client.example", "250");
        client.expect("MAIL FROM:<a@example.org>", "250");
        let heard = client.say("RCPT TO:<trap@example.org>");
        match reply {
            Some(reply) => assert!(heard.starts_with(reply), "{policy}: {heard}"),
            None => {
                assert!(heard.starts_with("250 "), "{heard}");
                client.expect("DATA", "354");
                client.expect("Subject: held\r\n\r\nbody\r\n.", "250 ");
                let held = gateway.messages("quarantine/plugin-failed");
                assert_eq!(held.len(), 1);
                assert!(held[0].contains("X-Postgate-Recipient: <trap@example.org>\r\n"), "{}", held[0]);
                assert!(
                    held[0].contains("X-Postgate-Reverse-Path: <a@example.org>\r\n")
                        && held[0].contains("Subject: held")
                );
            }
        }
        if policy == "disconnect" {
            assert!(client.is_closed());
        } else {
            client.expect("QUIT", "221 ");
        }
    }
}

#[test]
fn a_policy_can_be_for_one_cause() {
    let gateway = gateway("by-cause", "{ default = \"reject\", fuel = \"skip\" }");
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    client.expect("MAIL FROM:<a@example.org>", "250");
    client.expect("RCPT TO:<trap@example.org>", "554 5.3.0");
    client.expect("RCPT TO:<loop@example.org>", "550 5.7.1");
}

/// A plugin that failed has said nothing: `skip` delivers the message as it was before it was asked.
#[test]
fn edits_of_a_plugin_that_fails_are_taken_back() {
    let plugins = [
        plugin("half", "misbehave", "[\"log\"]"),
        plugin("delivery", "maildir", "[\"log\", \"config\", { maildir = \"mail\" }]"),
        "config.domains = \"all\"\n".to_owned(),
    ];
    // The other one delivers: the guest would take the message, too, and keep it nowhere.
    let chain = "[\"delivery\", { plugin = \"half\", on-failure = \"skip\" }]";
    let gateway = Gateway::start(&one_chain(chain, &plugins.concat()));
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    let reply = client.message("", &["bob@example.org"], "X-Misbehave: edit-trap\r\n\r\nbody");
    assert!(reply.starts_with("250 "), "{reply}");
    let messages = gateway.messages("mail/example.org/bob");
    assert!(messages.len() == 1 && !messages[0].contains("X-Half-Done"), "{messages:?}");
    assert!(gateway.messages("mail/example.org/added").is_empty());
    assert_eq!(causes("half", "message"), ["trap"]);
}

/// RFC 4648 section 4.
pub(crate) fn base64(octets: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in octets.chunks(3) {
        let number =
            group.iter().chain([0, 0].iter()).take(3).fold(0_usize, |number, octet| number << 8 | usize::from(*octet));
        for place in 0..4 {
            let digit = char::from(DIGITS[number >> (18 - 6 * place) & 63]);
            text.push(if place <= group.len() { digit } else { '=' });
        }
    }
    text
}
