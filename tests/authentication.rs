//! The services `mail-authentication` and `signing`, and the plugins on top of them, over SMTP, with a real name server: what one gateway has
//! signed another one verifies, and so does another implementation.

use std::path::PathBuf;

use postgate_plugin::signing::{Algorithm, DEFAULT_FIELDS, DEFAULT_OVERSIGNED, Key, KeyConfig};

use crate::support::nameserver::NameServer;
use crate::support::process::Process;
use crate::support::{Client, Gateway, load, log, one_chain, plugin, root};

/// A key of the tests: that of RFC 8463 appendix A, or one of RSA.
fn file(name: &str) -> PathBuf {
    root().join("tests/authentication").join(format!("{name}.pem"))
}

/// The record for a key, as a line of a zone file.
fn record(name: &str, algorithm: Algorithm) -> String {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let config = KeyConfig {
        domain: "example.org".to_owned(),
        selector: name.to_owned(),
        algorithm,
        fields: names(DEFAULT_FIELDS),
        oversigned: names(DEFAULT_OVERSIGNED),
        expires: None,
    };
    let record = Key::load(config, &file(name)).unwrap().record();
    let strings: Vec<_> =
        record.as_bytes().chunks(200).map(|part| format!("{:?}", String::from_utf8_lossy(part))).collect();
    format!("{name}._domainkey.example.org. IN TXT {}\n", strings.join(" "))
}

fn keys() -> String {
    let key = |name: &str, algorithm: &str| {
        let file = file(name).display().to_string();
        format!(
            "[dkim-key.{name}]\ndomain = \"example.org\"\nselector = \"{name}\"\nalgorithm = \"{algorithm}\"\nkey = {file:?}\n"
        )
    };
    // One from a file, one from the secrets.
    let secret = format!("[secret.ed25519]\nfile = {:?}\n", file("ed25519").display().to_string());
    let ed25519 = key("ed25519", "ed25519-sha256");
    let (table, _) = ed25519.split_once("key = ").unwrap();
    key("rsa", "rsa-sha256") + table + "key = { secret = \"ed25519\" }\n" + &secret
}

const RECORDS: &str = "
example.org. IN TXT \"v=spf1 ip4:192.0.2.0/24 -all\"
_dmarc.example.org. IN TXT \"v=DMARC1; p=reject; sp=quarantine\"
lenient.example. IN TXT \"v=spf1 ip4:127.0.0.0/8 -all\"
_dmarc.strict.example. IN TXT \"v=DMARC1; p=none; np=reject\"
here.strict.example. IN A 192.0.2.1
_dmarc.lenient.example. IN TXT \"v=DMARC1; p=none\"
1.0.0.127.in-addr.arpa. IN PTR localhost.example.
localhost.example. IN A 127.0.0.1
";

fn server() -> Option<NameServer> {
    let keys = record("rsa", Algorithm::RsaSha256) + &record("ed25519", Algorithm::Ed25519Sha256);
    NameServer::start(&format!("{RECORDS}{keys}"))
}

const GUEST: &str = "[\"dns\", \"mail-authentication\", { signing = [\"rsa\", \"ed25519\"] }]";

/// Plugins that all gateways here have: a guest that accepts everybody, and a delivery.
fn common(server: &NameServer) -> String {
    plugin("network", "network", GUEST)
        + &plugin("delivery", "maildir", "[\"config\", \"log\", { maildir = \"mail\" }]")
        + "[plugin.delivery.config]\ndomains = \"all\"\n"
        + &server.setting()
        + &keys()
}

/// A gateway that signs what comes from this machine.
fn signer(server: &NameServer, config: &str) -> Gateway {
    let tables = plugin("signer", "dkim-sign", "[\"config\", \"log\", { signing = [\"rsa\", \"ed25519\"] }]")
        + &format!("[plugin.signer.config]\n{config}\n")
        + &common(server);
    Gateway::start(&one_chain("[\"network\", \"signer\", \"delivery\"]", &tables))
}

/// A gateway that asks who has sent what.
fn verifier(server: &NameServer, config: &str) -> Gateway {
    let tables = plugin("authenticity", "spf-dkim-dmarc", "[\"config\", \"log\", \"mail-authentication\"]")
        + &format!("[plugin.authenticity.config]\n{config}\n")
        + &common(server);
    Gateway::start(&one_chain("[\"authenticity\", \"network\", \"delivery\"]", &tables))
}

/// Sends a message, which must be answered so.
#[track_caller]
fn send(gateway: &Gateway, from: &str, text: &str, expected: &str) -> String {
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    let reply = client.message(from, &["bob@example.org"], text);
    assert!(reply.starts_with(expected), "expected {expected}, got {reply}");
    reply
}

/// The only message that was delivered, without the trace fields on top.
#[track_caller]
fn delivered(gateway: &Gateway) -> String {
    let messages = gateway.messages("mail/example.org/bob");
    assert_eq!(messages.len(), 1, "{messages:?}");
    let (_, message) = messages[0].split_once("+0000\r\n").expect("a Received field");
    message.to_owned()
}

const SIGNERS: &str = "networks = [\"127.0.0.0/8\"]\ndomains = { \"example.org\" = [\"rsa\", \"ed25519\"] }";
const MESSAGE: &str = "From: Alice <alice@example.org>\r\nTo: bob@example.org\r\nSubject: Tea\r\n  at  six\r\nMIME-Version: 1.0\r\n\r\nAt six? \r\n\r\nAlice\r\n\r\n";

/// Signs a message, and answers it as it is then.
fn signed(server: &NameServer, text: &str) -> String {
    let gateway = signer(server, SIGNERS);
    send(&gateway, "alice@example.org", text, "250");
    let message = delivered(&gateway);
    gateway.stop();
    message.trim_end_matches("\r\n").to_owned() + "\r\n"
}

#[test]
fn what_one_gateway_signs_another_verifies() {
    let Some(server) = server() else { return };
    let message = signed(&server, MESSAGE);
    assert_eq!(message.matches("DKIM-Signature: ").count(), 2, "{message}");
    assert!(!message.contains("l="), "all of the body is signed: {message}");
    let gateway = verifier(&server, "exempt = []");
    send(&gateway, "alice@example.org", &message, "250");
    let found = delivered(&gateway);
    let (field, _) = found.split_once("DKIM-Signature: ").expect("our field stands on top");
    for part in [
        "Authentication-Results: mx.example.org;\r\n\tiprev=pass (localhost) policy.iprev=127.0.0.1;",
        "\tspf=fail smtp.mailfrom=example.org;",
        "\tdkim=pass header.d=example.org\r\n\t header.s=ed25519 header.a=ed25519-sha256 header.b=",
        "\tdkim=pass header.d=example.org\r\n\t header.s=rsa header.a=rsa-sha256 header.b=",
        "\tdmarc=pass (p=reject) header.from=example.org;",
        "\tarc=none\r\n",
    ] {
        assert!(field.contains(part), "{part:?} is not in {field}");
    }
}

#[test]
fn what_was_changed_is_refused() {
    let Some(server) = server() else { return };
    let message = signed(&server, MESSAGE);
    for (from, to) in [
        ("At six?", "At ten?"),
        ("Subject: Tea", "Subject: Gin"),
        ("To: bob@example.org", "To: bob@example.org\r\nSubject: a second one"),
        ("From: Alice", "From: Malice"),
        ("DKIM-Signature: v=1", "X-Signature: v=1"),
    ] {
        let gateway = verifier(&server, "exempt = []");
        send(&gateway, "alice@example.org", &message.replacen(from, to, 9), "550 5.7.26");
    }
    // White space may change, and fields may be added that nobody signed.
    for (from, to) in
        [("Tea\r\n  at  six", "Tea at six"), ("six? \r\n", "six?\r\n"), ("To: bob", "X-New: 1\r\nTo: bob")]
    {
        let gateway = verifier(&server, "exempt = []");
        send(&gateway, "alice@example.org", &message.replacen(from, to, 1), "250");
    }
}

#[test]
fn a_large_message_is_signed_and_verified_as_a_stream() {
    let Some(server) = server() else { return };
    let text = format!("{MESSAGE}{}", "0123456789 abcdefghijklmnopqrstuvwxyz \r\n".repeat(100_000));
    let message = signed(&server, text.trim_end());
    let gateway = verifier(&server, "exempt = []");
    send(&gateway, "alice@example.org", message.trim_end(), "250");
    assert_eq!(delivered(&gateway).matches("dkim=pass").count(), 2);
}

#[test]
fn policies() {
    let Some(server) = server() else { return };
    let from = |author: &str| format!("From: {author}\r\nSubject: x\r\n\r\nbody");
    let check = |config: &str, reverse_path: &str, text: &str, expected: &str| {
        let gateway = verifier(&server, config);
        send(&gateway, reverse_path, text, expected);
        gateway
    };
    check("exempt = []", "mallory@evil.example", &from("alice@example.org"), "550 5.7.26");
    check("exempt = []\ndmarc = \"report\"", "mallory@evil.example", &from("alice@example.org"), "250");
    check("", "mallory@evil.example", &from("alice@example.org"), "250");
    check("exempt = []", "mallory@evil.example", &from("a@lenient.example, b@example.org"), "550 5.7.26");
    check("exempt = []", "mallory@evil.example", &from("a@unknown.example"), "250");
    check("exempt = []", "mallory@evil.example", &from("a@strict.example"), "250");
    check("exempt = []", "mallory@evil.example", &from("a@here.strict.example"), "250");
    check("exempt = []", "mallory@evil.example", &from("a@gone.strict.example"), "550 5.7.26");
    check("exempt = []", "mallory@evil.example", &from("nobody at all"), "550 5.7.26");
    let aligned = check("exempt = []", "x@lenient.example", &from("alice@lenient.example"), "250");
    assert!(delivered(&aligned).contains("dmarc=pass (p=none) header.from=lenient.example"));
    let quarantined = check("exempt = []", "mallory@evil.example", &from("alice@sub.example.org"), "250");
    assert_eq!(quarantined.messages("mail/example.org/bob").len(), 0);
    let kept = quarantined.messages("quarantine/dmarc");
    assert!(kept.iter().any(|message| message.contains("dmarc=fail (p=quarantine)")), "{kept:?}");
    let strict = verifier(&server, "exempt = []\nspf-fail = \"reject\"");
    let mut client = strict.client();
    client.expect("EHLO client.example", "250");
    client.expect("MAIL FROM:<alice@example.org>", "550 5.7.23");
    client.expect("MAIL FROM:<alice@lenient.example>", "250");
}

#[test]
fn forged_results_are_removed() {
    let Some(server) = server() else { return };
    let text = "Authentication-Results: mx.example.org; dkim=pass\r\nauthentication-results: (x) MX.example.org; spf=pass\r\n\
                Authentication-Results: other.example; dkim=pass header.d=kept.example\r\nFrom: a@unknown.example\r\n\r\nbody";
    // From whoever it comes.
    for config in ["", "exempt = []"] {
        let gateway = verifier(&server, config);
        send(&gateway, "a@unknown.example", text, "250");
        let message = delivered(&gateway);
        assert!(
            message.contains("kept.example") && !message.contains("dkim=pass\r\n") && !message.contains("(x)"),
            "{message}"
        );
    }
}

#[test]
fn chains_are_sealed_and_verified() {
    let Some(server) = server() else { return };
    let gateway = || Gateway::start(&one_chain("[\"network\", \"delivery\"]", &common(&server)));
    let ask = |text: &str, words: &str| {
        let gateway = gateway();
        let reply = send(&gateway, "alice@example.org", &format!("X-Ask: {words}\r\n{text}"), "554");
        reply.replace("\n554-5.7.1 ", "").replace("\n554 5.7.1 ", "")
    };
    let mut message = signed(&server, MESSAGE);
    for (n, key) in ["rsa", "ed25519", "rsa"].into_iter().enumerate() {
        let tables = plugin("signer", "dkim-sign", "[\"config\", \"log\", { signing = [\"rsa\", \"ed25519\"] }]")
            + &format!("[plugin.signer.config]\ndomains = {{}}\nseal = \"{key}\"\n")
            + &common(&server);
        let sealing = Gateway::start(&one_chain("[\"network\", \"signer\", \"delivery\"]", &tables));
        send(&sealing, "alice@example.org", message.trim_end(), "250");
        message = delivered(&sealing);
        assert!(message.starts_with(&format!("ARC-Seal: i={};", n + 1)), "{message}");
        let found = ask(message.trim_end(), "arc");
        assert!(found.contains("ResultCode::Pass") && found.contains(&format!("sets: {}", n + 1)), "{found}");
    }
    let broken = ask(&message.replace("At six?", "At ten?"), "arc");
    assert!(broken.contains("ResultCode::Fail"), "{broken}");
    let gap = ask(&message.replacen("ARC-Seal: i=2", "X-Seal: i=2", 1), "arc");
    assert!(gap.contains("ResultCode::Fail"), "{gap}");
}

#[test]
fn errors_are_typed_and_edits_undone() {
    let Some(server) = server() else { return };
    let gateway = Gateway::start(&one_chain("[\"network\", \"delivery\"]", &common(&server)));
    let ask = |words: &str, text: &str, expected: &str| {
        let reply = send(&gateway, "alice@example.org", &format!("X-Ask: {words}\r\n{text}"), "554");
        assert!(reply.contains(expected), "{words}: {reply}");
    };
    ask("sign=other", MESSAGE, "Denied");
    ask("sign=rsa", "Subject: nobody\r\n\r\nbody", "no From field");
    ask("sign=rsa dkim", MESSAGE, "Ok([])");
    ask("dmarc", "Subject: nobody\r\n\r\nbody", "ResultCode::None");
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    client.expect("MAIL FROM:<alice@example.org>", "250");
    client.expect("RCPT TO:<dkim@dns.test>", "550 5.7.1 Err(ServiceError::NotNow");
    client.expect("RCPT TO:<\"sign=rsa\"@dns.test>", "550 5.7.1 Err(ServiceError::NotNow");
    drop(client);
    // A plugin that fails behind its signature has not signed.
    let chain = "[{ plugin = \"network\", on-failure = \"skip\" }, \"accepting\", \"delivery\"]";
    let tables = common(&server) + &plugin("accepting", "network", GUEST);
    let gateway = Gateway::start(&one_chain(chain, &tables));
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    let reply =
        client.message("alice@example.org", &["bob@example.org"], &format!("X-Ask: sign=rsa trap\r\n{MESSAGE}"));
    assert!(reply.starts_with("451"), "the second one traps as well: {reply}");
    assert!(!log::lines(&["as the message asks for"]).is_empty());
}

#[test]
fn old_and_odd_signatures() {
    let Some(server) = server() else { return };
    let gateway = Gateway::start(&one_chain("[\"network\", \"delivery\"]", &common(&server)));
    let signature = |tags: &str| {
        format!(
            "X-Ask: dkim\r\nDKIM-Signature: v=1; d=example.org; s=rsa; c=relaxed/relaxed; h=From; bh=AAAA; b=AAAA; {tags}\r\nFrom: a@example.org\r\n\r\nbody"
        )
    };
    for (tags, expected) in
        [("a=rsa-sha1", "Permerror"), ("a=rsa-sha256", "Fail"), ("a=rsa-sha256; l=1", "Policy"), ("a=rot13", "Neutral")]
    {
        let reply = send(&gateway, "alice@example.org", &signature(tags), "554");
        assert!(reply.contains(expected), "{tags}: {reply}");
    }
    let many = signature("a=rsa-sha256");
    let (field, rest) = many.trim_start_matches("X-Ask: dkim\r\n").split_once("\r\nFrom").unwrap();
    let text = format!("X-Ask: dkim\r\n{}From{rest}", format!("{field}\r\n").repeat(50));
    let reply = send(&gateway, "alice@example.org", &text, "554");
    let reply = reply.replace("\n554-5.7.1 ", "").replace("\n554 5.7.1 ", "");
    assert_eq!(reply.matches("ResultCode").count(), 10, "{reply}");
}

#[test]
fn keys_that_cannot_be_used() {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("key.pem");
    std::fs::write(&path, "no key").unwrap();
    let with = |key: String| one_chain("[\"network\"]", &(plugin("network", "network", GUEST) + &keys() + &key));
    let table = |algorithm: &str, file: &str| {
        format!(
            "[dkim-key.bad]\ndomain = \"example.org\"\nselector = \"s\"\nalgorithm = \"{algorithm}\"\nkey = {file:?}\n"
        )
    };
    let ed25519 = file("ed25519").display().to_string();
    let secret = format!("[secret.bad]\nfile = {:?}\n", path.display().to_string());
    for (key, expected) in [
        (table("rsa-sha256", "/nowhere/key.pem"), "No such file"),
        (table("rsa-sha256", &path.display().to_string()), "not a private key in PEM"),
        (table("rsa-sha256", &ed25519), "not a key for rsa-sha256"),
        (
            table("rsa-sha256", "x").replace("\"x\"", "{ secret = \"bad\" }"),
            "dkim-key \"bad\": it is not a private key in PEM",
        ),
        (table("rsa-sha256", "x").replace("\"x\"", "{ secret = \"bed\" }"), "there is no secret \"bed\""),
        (
            table("rsa-sha256", "x").replace("\"x\"", "{ file = \"x\" }"),
            "the file of a private key, or { secret = \"NAME\" }",
        ),
        (table("rsa-sha1", &ed25519), "\"rsa-sha1\" is none of rsa-sha256, ed25519-sha256"),
        (table("ed25519-sha256", &ed25519).replace("\"s\"", "\"a b\""), "is not a selector"),
    ] {
        let problem = load(&with(key + &secret)).unwrap_err();
        assert!(problem.contains(expected) && problem.contains("test.toml:"), "{problem}");
    }
    let unknown = with(String::new()).replace("\"rsa\", \"ed25519\"", "\"rsb\"");
    let problem = load(&unknown).unwrap_err();
    assert!(problem.contains("there is no dkim-key \"rsb\"") && problem.contains("did you mean \"rsa\"?"), "{problem}");
}

/// Verifies a message by dkimpy, with the records of our keys; none where it is not installed.
fn dkimpy(message: &str) -> Option<String> {
    let python = crate::support::target().join("tools/dkimpy/bin/python3");
    if !python.is_file() {
        crate::support::skip("there is no dkimpy; `cargo xtask test` installs it");
        return None;
    }
    let texts = |record: String| record.split('"').skip(1).step_by(2).collect::<String>();
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("message");
    std::fs::write(&path, message).unwrap();
    let script = "import sys, dkim\n\
                  records = {b'rsa._domainkey.example.org.': sys.argv[2].encode(), b'ed25519._domainkey.example.org.': sys.argv[3].encode()}\n\
                  look = lambda name, timeout=5: records.get(name if isinstance(name, bytes) else name.encode())\n\
                  message = open(sys.argv[1], 'rb').read()\n\
                  verifier = dkim.DKIM(message)\n\
                  def holds(n):\n\
                  \x20   try: return verifier.verify(idx=n, dnsfunc=look)\n\
                  \x20   except dkim.ValidationError: return False\n\
                  print([holds(n) for n in range(message.count(b'DKIM-Signature: '))])\n\
                  print(dkim.arc_verify(message, dnsfunc=look)[0])\n";
    let mut command = std::process::Command::new(python);
    command.arg("-c").arg(script).arg(&path);
    command.arg(texts(record("rsa", Algorithm::RsaSha256))).arg(texts(record("ed25519", Algorithm::Ed25519Sha256)));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn another_implementation_verifies_what_we_sign() {
    let Some(server) = server() else { return };
    let message = signed(&server, MESSAGE);
    let Some(found) = dkimpy(&message) else { return };
    assert!(found.starts_with("[True, True]\n"), "{found}");
    let found = dkimpy(&message.replace("At six?", "At ten?")).unwrap();
    assert!(found.starts_with("[False, False]\n"), "{found}");
    let tables = plugin("signer", "dkim-sign", "[\"config\", \"log\", { signing = [\"rsa\"] }]")
        + "[plugin.signer.config]\ndomains = {}\nseal = \"rsa\"\n"
        + &common(&server);
    let gateway = Gateway::start(&one_chain("[\"network\", \"signer\", \"delivery\"]", &tables));
    send(&gateway, "alice@example.org", message.trim_end(), "250");
    let found = dkimpy(&(delivered(&gateway).trim_end().to_owned() + "\r\n")).unwrap();
    assert!(found.contains("b'pass'"), "{found}");
}

/// A list changes the subject, and seals what it has found before: DMARC fails behind it, and only who trusts that list takes the message.
#[test]
fn trusted_sealers_are_believed_and_others_are_not() {
    let Some(server) = server() else { return };
    let message = signed(&server, MESSAGE);
    let list = |message: &str| {
        let rule = "rules = [{ name = \"list\", then = [{ replace-field = { name = \"Subject\", value = \"[list] Tea\" } }] }]";
        let tables = plugin("signer", "dkim-sign", "[\"config\", \"log\", { signing = [\"rsa\", \"ed25519\"] }]")
            + "[plugin.signer.config]\ndomains = {}\nseal = \"rsa\"\n"
            + &plugin("rules", "header-rules", "[\"config\", \"log\"]")
            + &format!("[plugin.rules.config]\n{rule}\n")
            + &common(&server);
        let gateway = Gateway::start(&one_chain("[\"network\", \"rules\", \"signer\", \"delivery\"]", &tables));
        send(&gateway, "list@lists.example", message.trim_end(), "250");
        delivered(&gateway)
    };
    let take = |config: &str, text: &str, expected: &str| {
        send(&verifier(&server, config), "list@lists.example", text.trim_end(), expected);
    };
    let (sealed, trusting) = (list(&message), "exempt = []\ntrusted-sealers = [\"Example.org\"]");
    take("exempt = []", &sealed, "550 5.7.26");
    take("exempt = []\ntrusted-sealers = [\"lists.example\"]", &sealed, "550 5.7.26");
    take(trusting, &sealed, "250");
    assert!(!log::lines(&["DMARC overridden by a trusted sealer"]).is_empty());
    // Not what has been changed behind the seal, and not what the sealer itself had found to fail.
    take(trusting, &sealed.replace("At six?", "At ten?"), "550 5.7.26");
    take(trusting, &list(&message.replace("At six?", "At ten?")), "550 5.7.26");
}

/// The process, not the message, is what memory is needed for.
#[test]
fn a_message_of_25_mb_is_verified_in_little_memory() {
    let Some(server) = server() else { return };
    let line = "0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ \r\n";
    let body = |lines: usize| format!("{MESSAGE}{}", line.repeat(lines));
    let (small, large) =
        (signed(&server, body(10).trim_end()), signed(&server, body(25_000_000 / line.len()).trim_end()));
    let data = tempfile::tempdir().unwrap();
    let address = server.address;
    let settings = [
        format!("dns.servers=[\"{address}\"]"),
        "plugin.authenticity.component=\"spf-dkim-dmarc.wasm\"".to_owned(),
        "plugin.authenticity.grants=[\"config\", \"log\", \"mail-authentication\"]".to_owned(),
        "plugin.authenticity.config.exempt=[]".to_owned(),
        "chain.main.plugins=[\"policy\", \"authenticity\", \"delivery\"]".to_owned(),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let process = Process::start(data.path(), &settings);
    let send = |message: &str| {
        let mut client = Client::connect(process.address);
        client.expect("EHLO client.example", "250");
        let reply = client.message("alice@example.org", &["bob@example.org"], message.trim_end());
        assert!(reply.starts_with("250"), "{reply}");
    };
    send(&small);
    let before = process.peak_memory_bytes();
    send(&large);
    let growth = process.peak_memory_bytes() - before;
    let messages = crate::support::mailbox::new_files(&data.path().join("mail/example.org/bob"));
    assert_eq!(messages.len(), 2);
    for path in messages {
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text.matches("dkim=pass").count(), 2, "{}", &text[..2000.min(text.len())]);
    }
    eprintln!("a message of {} octets: {} KiB more at the peak", large.len(), growth >> 10);
    assert!(growth < 8 << 20, "{growth} octets for a message of {}", large.len());
}
