//! What a client has said of its message besides the envelope goes along to the relay, or the message does not; and who we are to the relay: SCRAM, and a
//! certificate of ours.

use super::{BANNER, relay, scripted};
use crate::misbehaviour::base64;
use crate::support::certificates::Authority;
use crate::support::{Gateway, one_chain, plugin};

/// A gateway that offers everything, and hands all messages to a relay.
fn front(relay: &str) -> Gateway {
    let policy = plugin("policy", "policy", "[]");
    let delivery = plugin("delivery", "relay", "[\"log\", \"config\", { submit = [\"upstream\"] }]");
    let delivery = format!("{delivery}config = {{ relay = \"upstream\", domains = \"all\" }}\n");
    let text = one_chain("[\"policy\", \"delivery\"]", &format!("{policy}{delivery}{relay}"));
    let more = "auth-in-clear = true\nextensions-on = [\"DSN\", \"DELIVERBY\", \"FUTURERELEASE\"]";
    Gateway::start(&text.replacen("auth-in-clear = true", more, 1))
}

/// The reply to a message, and what the relay has heard.
fn hand_over(offer: &'static str, auth: bool, mail: &str, rcpt: &str) -> (String, String) {
    let script: Vec<(&'static str, &'static str)> = match auth {
        true => vec![BANNER, ("EHLO", offer), ("AUTH PLAIN", "235 2.7.0 ok\r\n")],
        false => vec![BANNER, ("EHLO", offer)],
    };
    let rest = [("MAIL", "250 ok\r\n"), ("RCPT", "250 ok\r\n"), ("DATA", "354 go\r\n"), (".", "250 taken\r\n")];
    let script = Vec::leak([script, rest.to_vec()].concat());
    let (address, heard) = scripted(script);
    let settings = match auth {
        true => {
            "tls = \"none\"\nauth = { user = \"gateway\", password = { secret = \"p\" }, mechanism = \"PLAIN\" }\n[secret.p]\nenv = \"PATH\""
        }
        false => "tls = \"none\"",
    };
    let front = front(&relay(address, settings));
    let mut client = front.client();
    client.expect("EHLO client.example", "250");
    let login = base64(b"\0alice@example.org\0wonderland");
    client.expect(&format!("AUTH PLAIN {login}"), "235");
    client.expect(&format!("MAIL FROM:<a@example.com> {mail}"), "250");
    client.expect(&format!("RCPT TO:<bob@example.org> {rcpt}"), "250");
    client.expect("DATA", "354");
    let reply = client.say("Subject: x\r\n\r\nx\r\n.");
    drop(client);
    front.stop();
    (reply, heard.join().expect("the server does not panic"))
}

const ALL: &str = "250-mx\r\n250-DSN\r\n250-DELIVERBY\r\n250-FUTURERELEASE 9999 2040-01-01T00:00:00Z\r\n250-MT-PRIORITY\r\n250-SIZE\r\n250 AUTH PLAIN\r\n";
const NOTHING: &str = "250-mx\r\n250 HELP\r\n";

#[test]
fn parameters_go_along() {
    let mail = "RET=HDRS ENVID=q+2B1 MT-PRIORITY=3 BY=9000;R HOLDFOR=60 AUTH=alice@example.org BODY=8BITMIME";
    let (reply, heard) = hand_over(ALL, true, mail, "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob@example.org");
    assert!(reply.starts_with("250 "), "{reply} {heard}");
    let said = heard.lines().find(|line| line.starts_with("MAIL ")).unwrap();
    for word in ["RET=HDRS", "ENVID=q+2B1", "MT-PRIORITY=3", "HOLDFOR=60", "AUTH=alice@example.org"] {
        assert!(said.split(' ').any(|said| said == word), "{word} is not in {said}");
    }
    // What has passed since is taken away.
    let by = said.split(" BY=").nth(1).and_then(|rest| rest.split(';').next()?.parse::<u32>().ok());
    assert!(by.is_some_and(|by| (8900..=9000).contains(&by)), "{said}");
    assert!(
        heard.contains("RCPT TO:<bob@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob@example.org\r\n"),
        "{heard}"
    );
}

#[test]
fn whom_the_client_is_not_is_not_passed_on() {
    let (reply, heard) = hand_over(ALL, true, "AUTH=bob@example.org", "");
    assert!(reply.starts_with("250 ") && heard.contains(" AUTH=<>\r\n"), "{reply} {heard}");
    // And nobody is to a server that does not know us.
    let (reply, heard) = hand_over(ALL, false, "AUTH=alice@example.org", "");
    assert!(reply.starts_with("250 ") && !heard.contains(" AUTH="), "{reply} {heard}");
}

#[test]
fn promises_that_the_relay_does_not_keep_fail() {
    for (mail, expected) in [
        ("BY=9000;R", "550 5.3.3 The next host does not offer DELIVERBY"),
        ("HOLDFOR=60", "550 5.3.3 The next host does not offer FUTURERELEASE"),
        ("BY=9000;N RET=FULL ENVID=x MT-PRIORITY=3", "250 "),
    ] {
        let (reply, heard) = hand_over(NOTHING, false, mail, "NOTIFY=NEVER");
        assert!(reply.starts_with(expected), "{mail}: {reply}");
        if reply.starts_with("250") {
            assert!(heard.contains("MAIL FROM:<a@example.com>\r\nRCPT TO:<bob@example.org>\r\n"), "{heard}");
        } else {
            assert!(!heard.contains("MAIL"), "{heard}");
        }
    }
}

/// The password is `wonderland`; or a certificate of that name.
const USERS: &str = r#"[plugin.auth.config]
certificates = { "front.example.org" = "front" }
[plugin.auth.config.users]
"gateway" = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$AlSHCZm0W+AqPedXuSU6UaSoGFjb05PThYAYYRwl9HI=:mlrtMEw7FrF2k+9V2vL39MD5HLOADiNE6eFgWoV3dEg="
"strong" = "SCRAM-SHA-256$600000:W22ZaJ0SNY7soEsUEjb6gQ==$5oe1/jBDSxZjARN8IZNNZjkZWc6zh0To1KiwECQk5q8=:Bdt3iYvep3Q8owfjcwHmRQ2NTsuanIJk+6c1KEPT82s="
"#;

/// A gateway that takes mail from whoever authenticates by this mechanism.
fn upstream(authority: &Authority, mechanism: &str) -> Gateway {
    let data = tempfile::tempdir().unwrap();
    authority.issue(&["mx.example.org"]).write(data.path(), "mx");
    authority.write(data.path(), "ca.pem");
    let plugins = [
        plugin("auth", "static-auth", "[\"log\", \"config\", \"passwords\"]"),
        USERS.to_owned(),
        plugin("policy", "policy", "[]"),
        plugin("delivery", "discard", "[]"),
    ];
    let text = one_chain("[\"auth\", \"policy\", \"delivery\"]", &plugins.concat());
    let settings = format!(
        "auth-required = true\ncertificates = [{{ chain = 'mx.pem', key = 'mx.key' }}]\nclient-certificates = {{ ca = 'ca.pem' }}\n\
         auth-mechanisms = ['{mechanism}']"
    );
    Gateway::start_in(&text.replacen("auth-in-clear = true", &settings, 1), data)
}

/// The reply to a message that goes there, with a certificate of ours from this authority.
fn introduced(upstream: &Gateway, authority: &Authority, ours: &Authority, settings: &str) -> String {
    let data = tempfile::tempdir().unwrap();
    authority.write(data.path(), "ca.pem");
    ours.issue(&["front.example.org"]).write(data.path(), "own");
    std::fs::write(data.path().join("p"), "wonderland").unwrap();
    let settings = format!("ca = 'ca.pem'\n{settings}\n[secret.p]\nfile = 'p'");
    let front = super::front(&relay(upstream.address, &settings), data);
    let mut client = front.client();
    client.expect("EHLO client.example", "250");
    client.message("a@example.com", &["bob@example.org"], "Subject: x\r\n\r\nx")
}

#[test]
fn who_we_are() {
    let authority = Authority::new();
    let password = "auth = { user = \"gateway\", password = { secret = \"p\" } }";
    let strong = "auth = { user = \"strong\", password = { secret = \"p\" }, mechanism = \"SCRAM-SHA-256\" }";
    let certificate = "certificate = { chain = 'own.pem', key = 'own.key' }\nauth = { mechanism = \"EXTERNAL\" }";
    for (mechanism, settings) in [
        ("SCRAM-SHA-256-PLUS", password),
        ("SCRAM-SHA-256", password),
        // As `postgate password --scram` makes them; and the relay offers to bind, which we are told not to.
        ("SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256", strong),
        ("PLAIN", password),
        ("LOGIN", password),
        ("EXTERNAL", certificate),
    ] {
        let upstream = upstream(&authority, mechanism);
        let reply = introduced(&upstream, &authority, &authority, settings);
        assert!(reply.starts_with("250 2.0.0 "), "{mechanism}: {reply}");
        // One that nobody has certified ends TLS, whatever else we know.
        let settings = format!("certificate = {{ chain = 'own.pem', key = 'own.key' }}\n{password}");
        let reply = introduced(&upstream, &authority, &Authority::new(), &settings);
        assert!(reply.starts_with("451 4."), "{mechanism}: {reply}");
    }
}
