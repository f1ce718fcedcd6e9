//! Clients that do not wait for their turn: before the banner, and between commands. Plugins learn of it, and nothing that was said is lost.

use crate::support::client::Client;
use crate::support::{Gateway, one_chain, plugin, recorded};

/// Long enough that no test waits for its end.
const DELAY: &str = "banner-delay = \"5 min\"\n";

#[test]
fn who_talks_before_the_banner() {
    let gateway = Gateway::start(&recorded::configuration(DELAY).replace("\"policy\", ", ""));
    let mut client = Client::silent(gateway.address);
    client.send(b"EHLO early.example\r\nMAIL FROM:<a@example.org>\r\nNOOP\r\n");
    let replies: Vec<String> = (0..4).map(|_| client.reply()).collect();
    for (reply, code) in replies.iter().zip(["220 ", "250-", "250 2.1.0 ", "250 2.0.0 "]) {
        assert!(reply.starts_with(code), "{replies:#?}");
    }
    client.expect("RSET", "250 ");
    let session = recorded::session("early.example", "mail");
    // EHLO was not the last of its group.
    assert_eq!((&session["early-talker"], &session["illegal-pipelining"]), (&true.into(), &1.into()), "{session}");
}

#[test]
fn a_policy_refuses_who_talks_before_the_banner() {
    let text =
        one_chain("[\"policy\"]", &plugin("policy", "policy", "[]")).replacen("[chain", &format!("{DELAY}[chain"), 1);
    let gateway = Gateway::start(&text);
    let mut client = Client::silent(gateway.address);
    client.send(b"EHLO early.example\r\n");
    assert_eq!(client.reply(), "554 policy says no");
    assert!(client.reply().starts_with("503 "));
    client.expect("QUIT", "221 ");
}

#[test]
fn who_waits_for_the_banner() {
    let gateway = Gateway::start(&recorded::configuration("banner-delay = \"50 ms\""));
    let mut client = gateway.client();
    client.expect("EHLO patient.example", "250");
    client.send(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n");
    let replies: Vec<String> = (0..3).map(|_| client.reply()).collect();
    assert!(replies[2].starts_with("354 "), "{replies:#?}");
    client.expect("Subject: x\r\n\r\nbody\r\n.", "250 ");
    let session = recorded::session("patient.example", "message");
    assert_eq!((&session["early-talker"], &session["illegal-pipelining"]), (&false.into(), &0.into()), "{session}");
}

#[test]
fn who_does_not_wait_for_replies() {
    let gateway = Gateway::start(&recorded::configuration(""));
    let mut client = gateway.client();
    client.expect("HELO hasty.example", "250");
    client.send(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\n");
    assert!([client.reply(), client.reply()].iter().all(|reply| reply.starts_with("250 ")));
    client.expect("RCPT TO:<c@example.org>", "250 ");
    let session = recorded::session("hasty.example", "recipient");
    assert_eq!((&session["early-talker"], &session["illegal-pipelining"]), (&false.into(), &1.into()), "{session}");
}

/// Neither what the client does nor the end of the gateway waits for the end of a delay.
#[test]
fn a_delay_ends_early() {
    let gateway = Gateway::start(&recorded::configuration(DELAY));
    drop(Client::silent(gateway.address));
    let mut silent = Client::silent(gateway.address);
    // Who comes later is served, so the silent one has been accepted.
    let mut early = Client::silent(gateway.address);
    early.send(b"NOOP\r\n");
    assert!(early.reply().starts_with("554 "));
    drop(early);
    assert_eq!(gateway.stop(), 0);
    assert!(silent.reply().starts_with("220 "));
    assert!(silent.reply().starts_with("421 4.3.2 "));
}
