//! The shipped plugins that keep something, over SMTP: greylist, rate-limit, sqlite-store. What they keep outlives the gateway, and what
//! expires does so when the test's clock says it.

use std::sync::Arc;

use crate::storage::Time;
use crate::support::{Client, Gateway, load, log, one_chain, plugin};

/// A chain of one plugin in front of the test's policy and a delivery to nowhere.
fn chain(component: &str, grants: &str, config: &str) -> String {
    let plugins = [
        plugin("first", component, grants),
        format!("[plugin.first.config]\n{config}\n"),
        plugin("policy", "policy", "[]"),
        plugin("delivery", "discard", "[]"),
    ];
    one_chain("[\"first\", \"policy\", \"delivery\"]", &plugins.concat())
}

fn greeted(gateway: &Gateway) -> Client {
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    client
}

/// Stops a gateway and starts another one with the same data.
fn again(gateway: Gateway, text: &str, time: &Time) -> Gateway {
    let (_, data) = gateway.stop_keeping_data();
    Gateway::start_at(text, Arc::into_inner(data).expect("nobody else has it"), time.clock())
}

const GRANTS: &str = "[\"log\", \"config\", \"key-value\"]";
const TRY_LATER: &str = "451 4.7.1 Greylisted, please try again in";

#[test]
fn strangers_wait() {
    let time = Time::new();
    let config = "delay = \"5 min\"\nretry-window = \"1 h\"\nremember = \"2 d\"\nexempt-recipients = [\"postmaster@example.org\"]";
    let text = chain("greylist", GRANTS, config);
    let gateway = Gateway::start_at(&text, tempfile::tempdir().unwrap(), time.clock());
    let mut client = greeted(&gateway);
    client.expect("MAIL FROM:<a@example.net>", "250");
    client.expect("RCPT TO:<bob@example.org>", &format!("{TRY_LATER} 300 seconds"));
    client.expect("RCPT TO:<Postmaster@example.org>", "250");
    time.pass(100);
    client.expect("RCPT TO:<BOB@example.org>", &format!("{TRY_LATER} 200 seconds"));
    client.expect("RSET", "250");
    drop(client);

    // What is known outlives the gateway.
    let gateway = again(gateway, &text, &time);
    time.pass(200);
    let mut client = greeted(&gateway);
    client.expect("MAIL FROM:<other@example.net>", "250");
    client.expect("RCPT TO:<bob@example.org>", TRY_LATER);
    client.expect("RSET", "250");
    client.expect("MAIL FROM:<a@example.net>", "250");
    client.expect("RCPT TO:<bob@example.org>", "250");
    client.expect("RCPT TO:<carol@example.org>", TRY_LATER);
    client.expect("RSET", "250");

    // Too late is as if never; who has passed is remembered from the last message on.
    time.pass(3600);
    client.expect("MAIL FROM:<other@example.net>", "250");
    client.expect("RCPT TO:<bob@example.org>", &format!("{TRY_LATER} 300"));
    client.expect("RSET", "250");
    for (passed, expected) in [(86_400, "250"), (2 * 86_400 - 1, "250"), (2 * 86_400, "451")] {
        time.pass(passed);
        client.expect("MAIL FROM:<a@example.net>", "250");
        client.expect("RCPT TO:<bob@example.org>", expected);
        client.expect("RSET", "250");
    }
    // Who has authenticated is no stranger.
    client.expect("AUTH PLAIN AGFsaWNlAHdvbmRlcmxhbmQ=", "235");
    client.expect("MAIL FROM:<new@example.net>", "250");
    client.expect("RCPT TO:<bob@example.org>", "250");
}

/// A network that has shown often enough that it tries again is not kept waiting any more.
#[test]
fn networks_earn_trust() {
    let time = Time::new();
    let config = "delay = \"5 min\"\nremember = \"2 d\"\ntrust-after = 2";
    let text = chain("greylist", GRANTS, config);
    let gateway = Gateway::start_at(&text, tempfile::tempdir().unwrap(), time.clock());
    let ask = |client: &mut Client, from: &str, to: &str, expected: &str| {
        client.expect(&format!("MAIL FROM:<{from}@example.net>"), "250");
        client.expect(&format!("RCPT TO:<{to}@example.org>"), expected);
        client.expect("RSET", "250");
    };
    let mut client = greeted(&gateway);
    // Two triplets that pass within an hour count once.
    for to in ["bob", "carol"] {
        ask(&mut client, "a", to, TRY_LATER);
    }
    time.pass(300);
    for to in ["bob", "carol", "bob"] {
        ask(&mut client, "a", to, "250");
    }
    ask(&mut client, "b", "bob", TRY_LATER);
    time.pass(3600);
    // One that has passed before shows nothing new.
    ask(&mut client, "a", "bob", "250");
    ask(&mut client, "c", "bob", TRY_LATER);
    ask(&mut client, "b", "bob", "250");
    // Those were two: now everybody there passes, and does so after a restart, for as long as something comes.
    ask(&mut client, "d", "dave", "250");
    drop(client);
    let gateway = again(gateway, &text, &time);
    let mut client = greeted(&gateway);
    for from in ["e", "f"] {
        time.pass(2 * 86_400 - 1);
        ask(&mut client, from, "bob", "250");
    }
    time.pass(2 * 86_400);
    ask(&mut client, "g", "bob", TRY_LATER);
}

#[test]
fn a_greylist_without_room_does_what_it_is_told() {
    for (on_unavailable, expected) in [("pass", "250"), ("defer", "451 4.3.0")] {
        let grants = "[\"log\", \"config\", { key-value = { entries = 1 } }]";
        let gateway = Gateway::start(&chain("greylist", grants, &format!("on-unavailable = {on_unavailable:?}")));
        let mut client = greeted(&gateway);
        client.expect("MAIL FROM:<a@example.net>", "250");
        client.expect("RCPT TO:<bob@example.org>", TRY_LATER);
        client.expect("RCPT TO:<carol@example.org>", expected);
        assert!(!log::lines(&["greylist is not available", "Quota"]).is_empty());
    }
}

#[test]
fn messages_are_limited_in_a_period() {
    let time = Time::new();
    let config = "limits = [{ by = \"address\", period = \"1 h\", messages = 2 }]";
    let text = chain("rate-limit", GRANTS, config);
    let gateway = Gateway::start_at(&text, tempfile::tempdir().unwrap(), time.clock());
    let mut client = greeted(&gateway);
    let send = |client: &mut Client| client.message("a@example.net", &["bob@example.org"], "Subject: x\r\n\r\nbody");
    // A message that nobody sends after all does not count.
    client.expect("MAIL FROM:<a@example.net>", "250");
    client.expect("RSET", "250");
    for _ in 0..2 {
        assert!(send(&mut client).starts_with("250"));
    }
    let reply = "451 4.7.1 Too many messages, please try again later";
    client.expect("MAIL FROM:<a@example.net>", reply);
    drop(client);
    let gateway = again(gateway, &text, &time);
    let mut client = greeted(&gateway);
    time.pass(3599);
    client.expect("MAIL FROM:<b@example.net>", reply);
    time.pass(1);
    assert!(send(&mut client).starts_with("250"));
}

#[test]
fn everything_else_is_limited() {
    let check = |config: &str, dialogue: &[(&str, &str)]| {
        let gateway = Gateway::start(&chain("rate-limit", GRANTS, &format!("limits = [{config}]")));
        let mut client = greeted(&gateway);
        for (line, expected) in dialogue {
            client.expect(line, expected);
        }
    };
    let mail = ("MAIL FROM:<a@example.net>", "250");
    let bob = ("RCPT TO:<bob@example.org>", "250");
    let message = |expected: &'static str| [("DATA", "354"), ("Subject: x\r\n\r\n0123456789\r\n.", expected)];
    let [data, accepted] = message("250");
    let [_, too_much] = message("451 4.7.1 Too many octets");
    check(
        "{ by = \"network\", period = \"1 h\", recipients = 2 }",
        &[mail, bob, bob, ("RCPT TO:<bob@example.org>", "450 4.7.1 Too many recipients"), data, accepted],
    );
    check(
        "{ by = \"recipient\", period = \"1 h\", messages = 1 }",
        &[
            mail,
            bob,
            ("RCPT TO:<BOB@example.org>", "450 4.7.1 Too many messages"),
            ("RCPT TO:<carol@example.org>", "250"),
        ],
    );
    check(
        "{ by = \"reverse-path-domain\", period = \"1 h\", octets = 40 }",
        &[mail, bob, data, accepted, mail, bob, data, too_much, ("MAIL FROM:<>", "250"), bob, data, accepted],
    );
    check(
        "{ by = \"address\", period = \"1 h\", octets = 1000 }",
        &[("MAIL FROM:<a@example.net> SIZE=1001", "451 4.7.1 Too many octets"), mail],
    );
    // The limit of an identity is nobody else's.
    check(
        "{ by = \"identity\", period = \"1 h\", messages = 0 }",
        &[
            mail,
            bob,
            data,
            accepted,
            ("AUTH PLAIN AGFsaWNlAHdvbmRlcmxhbmQ=", "235"),
            ("MAIL FROM:<a@example.net>", "451 4.7.1"),
        ],
    );
}

#[test]
fn wrong_tables_are_told_at_their_lines() {
    for (component, grants, config, expected) in [
        ("greylist", GRANTS, "delay = 5", "delay = 5\n"),
        ("rate-limit", GRANTS, "limits = [{ by = \"address\", period = \"1 h\" }]", "one of `messages`"),
        ("sqlite-store", "[\"log\", \"config\", \"sqlite\"]", "domain = []", "unknown field `domain`"),
    ] {
        let problem = load(&chain(component, grants, config)).unwrap_err();
        assert!(problem.contains(expected), "{problem}");
    }
}

#[test]
fn a_database_backed_server() {
    let time = Time::new();
    let plugins = [
        plugin("store", "sqlite-store", "[\"log\", \"config\", { sqlite = { size = \"3 MiB\" } }]"),
        "[plugin.store.config]\ndomains = [\"example.org\"]\n".to_owned(),
    ];
    let text = one_chain("[\"store\"]", &plugins.concat());
    let gateway = Gateway::start_at(&text, tempfile::tempdir().unwrap(), time.clock());
    let mut client = greeted(&gateway);
    // The first look makes the tables.
    client.expect("MAIL FROM:<a@example.net>", "250");
    client.expect("RCPT TO:<alice@example.org>", "550 5.1.1 No such user here");
    let path = gateway.data.path().join("databases/store.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    database.execute_batch("INSERT INTO users (address) VALUES ('alice@example.org'), ('bob@example.org')").unwrap();
    client.expect("RCPT TO:<Alice@example.org>", "250");
    client.expect("RCPT TO:<bob@example.org>", "250");
    client.expect("RCPT TO:<carol@example.org>", "550 5.1.1");
    client.expect("RCPT TO:<bob@example.com>", "550 5.7.1");
    client.expect("DATA", "354");
    let body = "0123456789"
        .repeat(7)
        .repeat(20_000)
        .as_bytes()
        .chunks(70)
        .map(|line| [line, b"\r\n"].concat())
        .collect::<Vec<_>>()
        .concat();
    let text_sent = [b"Subject: Tea \r\n\r\n".as_slice(), &body].concat();
    client.send(&text_sent);
    client.expect(".", "250");
    let count = |table: &str| -> i64 {
        database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!((count("messages"), count("pieces"), count("recipients")), (1, 2, 2));
    let (reverse_path, subject): (String, String) = database
        .query_row("SELECT reverse_path, subject FROM messages", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!((reverse_path.as_str(), subject.as_str()), ("a@example.net", "Tea"));
    let pieces: Vec<Vec<u8>> = {
        let mut statement = database.prepare("SELECT octets FROM pieces ORDER BY n").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert!(pieces.concat() == text_sent, "the octets are those that were sent");

    // No room for a second one: nothing of it stays, and the client is to try again.
    client.expect("MAIL FROM:<>", "250");
    client.expect("RCPT TO:<bob@example.org>", "250");
    client.expect("DATA", "354");
    client.send(&text_sent);
    client.send(&body);
    client.expect(".", "452 4.3.1");
    assert_eq!((count("messages"), count("pieces"), count("recipients")), (1, 2, 2));

    // Somebody holds the database: temporary, and nothing is lost.
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    let reply = client.message("a@example.net", &["bob@example.org"], "Subject: x\r\n\r\nbody");
    assert!(reply.starts_with("451 4.3.0"), "{reply}");
    database.execute_batch("ROLLBACK").unwrap();
    drop((client, database));

    let gateway = again(gateway, &text, &time);
    let mut client = greeted(&gateway);
    let reply = client.message("a@example.net", &["bob@example.org"], "Subject: x\r\n\r\nbody");
    assert!(reply.starts_with("250"), "{reply}");
    let database = rusqlite::Connection::open(&path).unwrap();
    let count: i64 = database.query_row("SELECT count(*) FROM messages", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 2);
}
