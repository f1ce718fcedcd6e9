//! AUTH as clients do it: each mechanism by a real client, what must not let anybody in, and who guesses.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rcgen::SanType;
use rustls::version::{TLS12, TLS13};

use crate::misbehaviour::base64;
use crate::support::certificates::Authority;
use crate::support::program::{program, run};
use crate::support::{Client, Gateway, plugin};

/// The password of both is `wonderland`.
const USERS: &str = r#"[plugin.auth.config]
certificates = { "alice@example.org" = "alice@example.org" }
[plugin.auth.config.users]
"alice@example.org" = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$AlSHCZm0W+AqPedXuSU6UaSoGFjb05PThYAYYRwl9HI=:mlrtMEw7FrF2k+9V2vL39MD5HLOADiNE6eFgWoV3dEg="
"bob@example.org" = "$argon2id$v=19$m=19456,t=2,p=1$kpk/+NenrC3LO0CbFExdDA$0G+bv0zt8Jq0JwHvrcMA4U+3ejl5T4E9ksjJ7axRF4U"
"#;

const ALL: &str = "auth-mechanisms = ['EXTERNAL', 'SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256', 'PLAIN', 'LOGIN', 'OAUTHBEARER', 'XOAUTH2']\n";

/// Two listeners, `clear` and `tls` (by STARTTLS, with an optional client certificate), which offer everything that they can; `limits` are
/// of both. Recipients are accepted, and messages thrown away.
fn configuration(limits: &str) -> String {
    let listeners = format!(
        "[listener.clear]\nbind = '127.0.0.1:0'\nchain = 'main'\nauth-in-clear = true\n{ALL}{limits}\
         [listener.tls]\nbind = '127.0.0.1:0'\nchain = 'main'\ncertificates = [{{ chain = 'mx.pem', key = 'mx.key' }}]\n\
         client-certificates = {{ ca = 'ca.pem' }}\n{ALL}{limits}"
    );
    let plugins = [
        plugin("auth", "static-auth", "['log', 'config', 'passwords']"),
        USERS.to_owned(),
        plugin("policy", "policy", "[]"),
        plugin("delivery", "discard", "[]"),
    ];
    format!("{listeners}[chain.main]\nplugins = ['auth', 'policy', 'delivery']\n{}", plugins.concat())
}

pub(crate) fn gateway(limits: &str) -> (Gateway, Authority) {
    gateway_of(&configuration(limits))
}

fn gateway_of(text: &str) -> (Gateway, Authority) {
    let data = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.issue(&["mx.example.org", "127.0.0.1"]).write(data.path(), "mx");
    authority.write(data.path(), "ca.pem");
    (Gateway::start_in(text, data), authority)
}

fn greeted(mut client: Client) -> (Client, String) {
    let hello = client.expect("EHLO client.example", "250");
    (client, hello)
}

fn plain(user: &str, password: &str) -> String {
    format!("AUTH PLAIN {}", base64(format!("\0{user}\0{password}").as_bytes()))
}

#[test]
fn nothing_is_offered_in_clear_where_that_is_not_allowed() {
    let (gateway, _) = gateway("");
    let (mut client, hello) = greeted(Client::connect(gateway.addresses["tls"]));
    assert!(hello.contains("STARTTLS") && !hello.contains("AUTH"), "{hello}");
    for mechanism in ["EXTERNAL", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"] {
        client.expect(&format!("AUTH {mechanism}"), "538 5.7.11 ");
    }
}

#[test]
fn both_forms_of_a_password_are_verified() {
    let (gateway, _) = gateway("limits.auth-failure-delay = '0 s'\n");
    for user in ["alice@example.org", "bob@example.org"] {
        let (mut client, hello) = greeted(Client::connect(gateway.addresses["clear"]));
        assert!(hello.contains("AUTH SCRAM-SHA-256 PLAIN LOGIN OAUTHBEARER XOAUTH2"), "{hello}");
        client.expect(&plain(user, "Wonderland"), "535 5.7.8 ");
        client.expect(&plain(user, "wonderland"), "235 2.7.0 ");
        client.expect(&plain(user, "wonderland"), "503 5.5.1 ");
    }
}

#[test]
fn msmtp_does_scram() {
    let Some(program) = program("msmtp", "msmtp") else { return };
    let (gateway, _) = gateway("limits.auth-failure-delay = '0 s'\n");
    let port = gateway.addresses["tls"].port().to_string();
    let authority = gateway.data.path().join("ca.pem").display().to_string();
    for (password, expected) in [("wonderland", "235 2.7.0"), ("looking-glass", "535 5.7.8")] {
        let ended = run(Command::new(&program)
            .args(["--debug", "--file=/dev/null", "--host=127.0.0.1", "--port", &port, "--domain=client.example"])
            .args(["--tls=on", "--tls-starttls=on", "--tls-trust-file", &authority, "--auth=scram-sha-256"])
            .args(["--user=alice@example.org", &format!("--passwordeval=printf {password}")])
            .args(["--from=alice@example.org", "bob@example.org"]));
        let said = [&*ended.stdout, &*ended.stderr].concat();
        assert_eq!(ended.code == Some(0), expected.starts_with("235"), "{ended:#?}");
        assert!(said.contains("AUTH SCRAM-SHA-256") && said.contains(expected), "{said}");
    }
}

/// GNU SASL's own client, with channel binding.
#[test]
fn gsasl_binds_scram_to_its_channel() {
    let Some(program) = program("gsasl", "gsasl") else { return };
    let (gateway, _) = gateway("limits.auth-failure-delay = '0 s'\n");
    let server = gateway.addresses["tls"].to_string();
    let authority = gateway.data.path().join("ca.pem").display().to_string();
    for (password, expected) in [("wonderland", "235 2.7.0"), ("looking-glass", "535 5.7.8")] {
        let ended = run(Command::new(&program)
            .args(["--client", "--smtp", "--connect", &server, "--x509-ca-file", &authority])
            .args(["--mechanism", "SCRAM-SHA-256-PLUS", "--authentication-id", "alice@example.org"])
            .args(["--password", password]));
        let said = [&*ended.stdout, &*ended.stderr].concat();
        assert!(said.contains("AUTH SCRAM-SHA-256-PLUS") && said.contains(expected), "{said}");
        // `p=tls-exporter,,`, in base64.
        assert!(said.contains("cD10bHMtZXhwb3J0ZXIs"), "{said}");
    }
}

/// SCRAM by hand: the right way, and the ways that must not lead in.
const SCRAM: &str = r#"
import base64, hashlib, hmac, smtplib, sys

def exchange(smtp, user, password, change=lambda final, proof: (final, proof), nonce="rOprNGfwEbeRWgbNEkqO", replay=None):
    """The code at the end, our challenge, and the client's last message."""
    bare = f"n={user},r={nonce}"
    code, text = smtp.docmd("AUTH", "SCRAM-SHA-256 " + base64.b64encode(("n,," + bare).encode()).decode())
    assert code == 334, (code, text)
    challenge = base64.b64decode(text).decode()
    parts = dict(part.split("=", 1) for part in challenge.split(","))
    assert parts["r"].startswith(nonce) and len(parts["r"]) > len(nonce)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(parts["s"]), int(parts["i"]))
    key = hmac.digest(salted, b"Client Key", "sha256")
    final = "c=biws,r=" + parts["r"]
    signed = ",".join([bare, challenge, final]).encode()
    signature = hmac.digest(hashlib.sha256(key).digest(), signed, "sha256")
    proof = bytes(a ^ b for a, b in zip(key, signature))
    final, proof = change(final, proof)
    last = replay or final + ",p=" + base64.b64encode(proof).decode()
    code, text = smtp.docmd(base64.b64encode(last.encode()).decode())
    if code == 334:
        server = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256")
        assert base64.b64decode(text).decode() == "v=" + base64.b64encode(server).decode()
        code, text = smtp.docmd("")
    return code, challenge, last

def session():
    smtp = smtplib.SMTP("127.0.0.1", int(sys.argv[1]), local_hostname="client.example", timeout=60)
    smtp.ehlo()
    return smtp

alice, right = "alice@example.org", "wonderland"
smtp = session()
code, _, seen = exchange(smtp, alice, right)
print("right", code)
print("twice", smtp.docmd("AUTH", "SCRAM-SHA-256")[0])
smtp = session()
print("wrong", exchange(smtp, alice, "looking-glass")[0])
print("replayed", exchange(smtp, alice, right, replay=seen)[0])
print("proof", exchange(smtp, alice, right, lambda final, proof: (final, bytes([proof[0] ^ 1]) + proof[1:]))[0])
smtp = session()
print("binding", exchange(smtp, alice, right, lambda final, proof: (final.replace("biws", "eSws"), proof))[0])
codes, challenges = zip(*(exchange(session(), name, right)[:2] for name in ("carol", "carol", "dave")))
print("unknown", *codes)
salts = [dict(part.split("=", 1) for part in challenge.split(","))["s"] for challenge in challenges]
print("salts", salts[0] == salts[1], salts[0] == salts[2])
"#;

#[test]
fn scram_by_hand() {
    let Some(program) = program("python3", "python3") else { return };
    let (gateway, _) = gateway("limits.auth-failure-delay = '0 s'\n");
    let port = gateway.addresses["clear"].port().to_string();
    let ended = run(Command::new(program).args(["-I", "-c", SCRAM, &port]));
    ended.expect(0, &[]);
    let said: Vec<&str> = ended.stdout.lines().collect();
    let expected = [
        "right 235",
        "twice 503",
        "wrong 535",
        "replayed 535",
        "proof 535",
        "binding 535",
        "unknown 535 535 535",
        "salts True False",
    ];
    assert_eq!(said, expected);
}

/// RFC 5802 section 6: a client that could bind and believes that we can't has been lied to.
#[test]
fn a_downgrade_is_noticed() {
    let (gateway, authority) = gateway("limits.auth-failure-delay = '0 s'\n");
    for (version, offered, code) in [(&TLS13, true, "535 5.7.8 "), (&TLS12, false, "334 ")] {
        let mut client = Client::connect(gateway.addresses["tls"]);
        client.expect("EHLO client.example", "250");
        client.expect("STARTTLS", "220");
        let config = Arc::new(authority.client_of(&[version], None));
        let (client, _) = client.secure(&config, "mx.example.org").unwrap();
        let (mut client, hello) = greeted(client);
        assert_eq!(hello.contains("SCRAM-SHA-256-PLUS"), offered, "{hello}");
        assert!(!hello.contains("EXTERNAL"), "{hello}");
        let first = base64(b"y,,n=alice@example.org,r=abc");
        client.expect(&format!("AUTH SCRAM-SHA-256 {first}"), code);
    }
}

/// `{"status":`, in base64: what is said of a token that is not good. Behind it curl gives up in XOAUTH2, and does not hear the 535.
const REFUSAL: &str = "< 334 eyJzdGF0dXMi";

/// `curl` sends a message with these arguments.
fn curl(program: &Path, gateway: &Gateway, listener: &str, arguments: &[&str]) -> (bool, String) {
    let text = gateway.data.path().join("text.eml");
    fs::write(&text, "Subject: by curl\r\n\r\nx\r\n").unwrap();
    let port = gateway.addresses[listener].port();
    let ended = run(Command::new(program)
        .args(["--silent", "--show-error", "--verbose", "--resolve", &format!("mx.example.org:{port}:127.0.0.1")])
        .arg(format!("smtp://mx.example.org:{port}/client.example"))
        .args(["--mail-from", "alice@example.org", "--mail-rcpt", "bob@example.org", "--upload-file"])
        .arg(text)
        .args(arguments));
    (ended.code == Some(0), ended.stderr)
}

#[test]
fn curl_brings_tokens() {
    let Some(program) = program("curl", "curl") else { return };
    for mechanism in ["XOAUTH2", "OAUTHBEARER"] {
        // Where both are there curl takes the second, whatever it is told.
        let only = configuration("limits.auth-failure-delay = '0 s'\n")
            .replace(ALL, &format!("auth-mechanisms = ['{mechanism}']\n"));
        let (gateway, _) = gateway_of(&only);
        for (token, expected) in [("wonderland", "< 235 2.7.0 "), ("looking-glass", REFUSAL)] {
            let option = format!("AUTH={mechanism}");
            let arguments = ["--user", "alice", "--oauth2-bearer", token, "--login-options", &option];
            let (sent, said) = curl(&program, &gateway, "clear", &arguments);
            assert_eq!(sent, token == "wonderland", "{said}");
            assert!(said.contains(&format!("> AUTH {mechanism}")) && said.contains(expected), "{said}");
        }
    }
}

#[test]
fn a_certificate_is_proof() {
    let (gateway, authority) = gateway("limits.auth-failure-delay = '0 s'\n");
    let alice = authority.issue_with(&["client.example"], |parameters| {
        parameters.subject_alt_names.push(SanType::Rfc822Name("alice@example.org".try_into().unwrap()));
    });
    let stranger = authority.issue(&["client.example"]);
    let session = |own| {
        let mut client = Client::connect(gateway.addresses["tls"]);
        client.expect("EHLO client.example", "250");
        client.expect("STARTTLS", "220");
        let config = Arc::new(authority.client_of(&[&TLS13], Some(own)));
        let (client, hello) = greeted(client.secure(&config, "mx.example.org").unwrap().0);
        assert!(hello.contains("AUTH EXTERNAL "), "{hello}");
        client
    };
    session(&stranger).expect("AUTH EXTERNAL =", "535 5.7.8 ");
    let mut client = session(&alice);
    client.expect(&format!("AUTH EXTERNAL {}", base64(b"bob@example.org")), "535 5.7.8 ");
    client.expect("AUTH EXTERNAL", "334 ");
    client.expect("*", "501 5.7.0 ");
    client.expect("AUTH EXTERNAL =", "235 2.7.0 ");

    let Some(program) = program("curl", "curl") else { return };
    let folder = gateway.data.path();
    alice.write(folder, "alice");
    let file = |name: &str| folder.join(name).display().to_string();
    let (ca, pem, key) = (file("ca.pem"), file("alice.pem"), file("alice.key"));
    let tls = ["--ssl-reqd", "--cacert", &ca, "--cert", &pem, "--key", &key];
    let user = ["--user", "alice@example.org:", "--login-options", "AUTH=EXTERNAL"];
    let (sent, said) = curl(&program, &gateway, "tls", &[&tls[..], &user].concat());
    assert!(sent && said.contains("> AUTH EXTERNAL") && said.contains("< 235 2.7.0 "), "{said}");
}

const fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
}

#[test]
fn a_network_that_guesses_is_shut_out() {
    let limits = "limits = { auth-failures = 2, auth-failures-per-address = 3, auth-failure-delay = '1 ms', auth-failure-period = '1 h' }\n";
    let (gateway, _) = gateway(limits);
    let session = |last| greeted(Client::connect_from(address(last), gateway.addresses["clear"])).0;
    let mut client = session(2);
    for _ in 0..2 {
        client.expect(&plain("alice@example.org", "looking-glass"), "535 5.7.8 ");
    }
    client.expect(&plain("alice@example.org", "looking-glass"), "421 4.7.0 ");
    assert!(client.is_closed());
    // The right password hears the same as a wrong one, whatever the mechanism.
    let mut client = session(2);
    for password in ["wonderland", "looking-glass"] {
        client.expect(&plain("alice@example.org", password), "454 4.7.0 ");
    }
    let first = base64(b"n,,n=alice@example.org,r=abc");
    client.expect(&format!("AUTH SCRAM-SHA-256 {first}"), "454 4.7.0 ");
    session(3).expect(&plain("alice@example.org", "wonderland"), "235 2.7.0 ");
}

/// An exchange that began before its network was shut out tells nothing either.
#[test]
fn a_proof_tells_nothing_where_its_network_is_shut_out() {
    let Some(program) = program("python3", "python3") else { return };
    let (gateway, _) = gateway("limits = { auth-failures-per-address = 1, auth-failure-delay = '0 s' }\n");
    let (exchange, _) = SCRAM.split_once("alice, right =").expect("the script");
    let script = [exchange, SHUT_OUT].concat();
    let ended = run(Command::new(program).args(["-I", "-c", &script, &gateway.addresses["clear"].port().to_string()]));
    ended.expect(0, &[]);
    assert_eq!(ended.stdout, "535\n454\n");
}

/// Between challenge and proof somebody else guesses.
const SHUT_OUT: &str = r#"
def shut(final, proof):
    wrong = base64.b64encode(b"\0bob@example.org\0looking-glass").decode()
    print(session().docmd("AUTH", "PLAIN " + wrong)[0])
    return final, proof

print(exchange(session(), "alice@example.org", "wonderland", shut)[0])
"#;

/// The end of the gateway does not wait for the end of a delay.
#[test]
fn a_reply_is_not_held_back_beyond_the_end() {
    let limits = "limits = { auth-failures-per-address = 1, auth-failure-delay = '15 s' }\n";
    let (gateway, _) = gateway_of(&format!("shutdown-grace = '5 s'\n{}", configuration(limits)));
    let session = || greeted(Client::connect_from(address(2), gateway.addresses["clear"])).0;
    let mut guesser = session();
    guesser.send(format!("{}\r\n", plain("bob@example.org", "looking-glass")).as_bytes());
    // Once the failure is counted its reply is held back.
    while !session().say(&plain("bob@example.org", "wonderland")).starts_with("454 ") {}
    assert_eq!(gateway.stop(), 0);
    assert!(guesser.reply().starts_with("535 5.7.8 "));
    assert!(guesser.reply().starts_with("421 4.3.2 "));
}

/// Who is one of many from one address waits for them; who is not does not.
#[test]
fn a_flood_of_log_ins_leaves_others_alone() {
    let users = [plugin("auth", "static-auth", "['log', 'config', 'passwords']"), USERS.to_owned()].concat();
    let listener = "[listener.clear]\nbind = '127.0.0.1:0'\nchain = 'main'\nauth-in-clear = true\nlimits.connections-per-address = 200\n";
    let text = format!("password-workers = 1\n{listener}[chain.main]\nplugins = ['auth']\n{users}");
    let gateway = Gateway::start_large(&text, tempfile::tempdir().unwrap(), 250);
    let session = |last| greeted(Client::connect_from(address(last), gateway.addresses["clear"])).0;
    let line = format!("{}\r\n", plain("bob@example.org", "wonderland"));
    let mut flood: Vec<Client> = (0..160).map(|_| session(2)).collect();
    for client in &mut flood {
        client.send(line.as_bytes());
    }
    for _ in 0..25 {
        session(3).expect(line.trim_end(), "235 2.7.0 ");
    }
    let replies: Vec<String> = flood.iter_mut().map(Client::reply).collect();
    assert!(replies.iter().all(|reply| reply.starts_with("235 ") || reply.starts_with("454 4.7.0 ")), "{replies:#?}");
    // There was more than its line holds.
    assert!(replies.iter().any(|reply| reply.starts_with("454 ")), "{replies:#?}");
}
