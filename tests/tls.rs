//! TLS as clients see it: when it begins, which certificate is shown, who is let in, and what becomes of a connection that is cut.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{DnType, SanType, date_time_ymd};
use rustix::process::Signal;
use rustls::client::{ClientConfig, Resumption};
use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, ProtocolVersion};

use crate::misbehaviour::base64;
use crate::support::certificates::Authority;
use crate::support::client::{Client, Shown};
use crate::support::process::{Process, postgate, quickstart_settings};
use crate::support::program::{program, run};
use crate::support::{Gateway, load, log, one_chain, plugin, quickstart, root};

/// The certificate that most listeners of these tests have.
pub(crate) const OWN: &str = "certificates = [{ chain = 'mx.pem', key = 'mx.key' }]\n";

/// The quickstart's gateway, without AUTH in clear, with these settings of its listener and an authority that made `mx`.
pub(crate) fn gateway(settings: &str) -> (Gateway, Authority) {
    let data = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.issue(&["mx.example.org", "localhost", "127.0.0.1"]).write(data.path(), "mx");
    authority.write(data.path(), "ca.pem");
    (Gateway::start_in(&configuration(settings), data), authority)
}

fn configuration(settings: &str) -> String {
    let text = quickstart().replacen("auth-in-clear = true", &format!("auth-in-clear = false\n{settings}"), 1);
    assert!(text.contains(settings));
    text
}

/// A session below TLS from the first octet on, behind its banner.
fn implicit(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> io::Result<(Client, Shown)> {
    let (mut client, shown) = Client::silent(address).secure(config, name)?;
    let banner = client.try_reply()?;
    assert!(banner.starts_with("220 "), "{banner}");
    Ok((client, shown))
}

/// STARTTLS, and the handshake.
fn start_tls(mut client: Client, config: &Arc<ClientConfig>) -> (Client, Shown) {
    client.expect("STARTTLS", "220 2.0.0 ");
    client.secure(config, "mx.example.org").unwrap()
}

/// The line that the log has about the end of the session whose first message was taken with this reply. The gateway has stopped.
fn session_line(reply: &str) -> serde_json::Value {
    let (_, first_transaction) = reply.split_once(" Taken as ").expect(reply);
    let session = first_transaction.strip_suffix("-1").expect(reply);
    let is_its = |line: &serde_json::Value| line["session"] == session;
    let lines = log::lines(&["\"session ended\""]).into_iter().filter(is_its).collect::<Vec<_>>();
    let [line] = &lines[..] else { panic!("{reply}: {lines:#?}") };
    line.clone()
}

#[test]
fn implicit_tls() {
    let (gateway, authority) = gateway(&format!("{OWN}tls = \"implicit\"\n"));
    let config = Arc::new(authority.client());
    let (mut client, shown) = implicit(gateway.address, &config, "mx.example.org").unwrap();
    assert_eq!(shown.version, ProtocolVersion::TLSv1_3);
    let hello = client.expect("EHLO client.example", "250");
    assert!(hello.contains("\n250-AUTH PLAIN LOGIN") && !hello.contains("STARTTLS"), "{hello}");
    let credentials = base64(b"\0alice@example.org\0wonderland");
    client.expect(&format!("AUTH PLAIN {credentials}"), "235");
    let reply = client.message("alice@example.org", &["bob@example.org"], "Subject: below TLS\r\n\r\nx");
    assert!(reply.starts_with("250 "), "{reply}");
    client.expect("QUIT", "221");
    // Behind close_notify, without which reading is an error.
    assert!(client.is_closed());
    let messages = gateway.messages("mail/example.org/bob");
    assert!(matches!(&messages[..], [message] if message.contains(" with ESMTPSA id ")), "{messages:#?}");
    assert_eq!(gateway.stop(), 0);
    let line = session_line(&reply);
    assert_eq!((&line["tls"], &line["end"]), (&"TLSv1.3".into(), &"quit".into()), "{line}");
    assert_eq!(line["cipher"], "TLS_AES_256_GCM_SHA384");
}

#[test]
fn starttls() {
    let (gateway, authority) = gateway(OWN);
    let config = Arc::new(authority.client_of(&[&TLS12], None));
    let mut client = gateway.client();
    let hello = client.expect("EHLO client.example", "250");
    assert!(hello.contains("\n250-STARTTLS") && !hello.contains("AUTH"), "{hello}");
    let (mut client, shown) = start_tls(client, &config);
    assert_eq!(shown.version, ProtocolVersion::TLSv1_2);
    client.expect("MAIL FROM:<>", "503 5.5.1 ");
    let hello = client.expect("EHLO client.example", "250");
    assert!(hello.contains("\n250-AUTH PLAIN LOGIN") && !hello.contains("STARTTLS"), "{hello}");
    let reply = client.message("", &["bob@example.org"], "Subject: below TLS\r\n\r\nx");
    assert!(reply.starts_with("250 "), "{reply}");
    client.expect("QUIT", "221");
    assert!(client.is_closed());
    let messages = gateway.messages("mail/example.org/bob");
    assert!(matches!(&messages[..], [message] if message.contains(" with ESMTPS id ")), "{messages:#?}");
    assert_eq!(gateway.stop(), 0);
    let line = session_line(&reply);
    assert_eq!(line["tls"], "TLSv1.2");
    assert!(line["cipher"].as_str().is_some_and(|cipher| cipher.starts_with("TLS_ECDHE_ECDSA_WITH_")), "{line}");
}

/// CVE-2011-0411: what somebody has put behind STARTTLS is not taken for the client's.
#[test]
fn what_is_said_in_clear_behind_starttls_is_not_heard() {
    let (gateway, authority) = gateway(OWN);
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    client.send(b"STARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<evil@example.org>\r\nRCPT TO:<bob@example.org>\r\n");
    assert!(client.reply().starts_with("220 2.0.0 "));
    let (mut client, _) = client.secure(&Arc::new(authority.client()), "mx.example.org").unwrap();
    client.expect("RCPT TO:<bob@example.org>", "503 5.5.1 ");
    client.expect("EHLO client.example", "250-mx.example.org");
}

#[test]
fn no_mail_without_tls_where_it_is_required() {
    let (gateway, authority) = gateway(&format!("{OWN}require-tls = true\n"));
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    client.expect("MAIL FROM:<>", "530 5.7.0 ");
    let (mut client, _) = start_tls(client, &Arc::new(authority.client()));
    client.expect("EHLO client.example", "250");
    client.expect("MAIL FROM:<>", "250");
}

#[test]
fn the_name_asked_for_chooses_the_certificate() {
    let data = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let issue = |file: &str, names: &[&str]| -> CertificateDer<'static> {
        let issued = authority.issue(names);
        issued.write(data.path(), file);
        issued.certificate
    };
    let first = issue("first", &["mx.example.org", "127.0.0.1"]);
    let second = issue("second", &["MX.Example.net"]);
    let wild = issue("wild", &["*.example.net"]);
    let settings = "tls = \"implicit\"\ncertificates = [{ chain = 'first.pem', key = 'first.key' }, { chain = 'second.pem', \
                    key = 'second.key' }, { chain = 'wild.pem', key = 'wild.key' }]\n";
    let config = Arc::new(authority.client());
    let gateway = Gateway::start_in(&configuration(settings), data);
    for (name, expected) in [
        ("mx.example.org", &first),
        ("mx.example.net", &second),
        ("mX.eXample.net", &second),
        ("other.example.net", &wild),
        // No name is asked for.
        ("127.0.0.1", &first),
    ] {
        let (_, shown) = implicit(gateway.address, &config, name).unwrap();
        assert!(shown.certificate == *expected, "{name}");
    }
    // A wildcard is for one label, and what nobody knows gets the first.
    for name in ["a.b.example.net", "example.net", "nobody.example"] {
        let error = implicit(gateway.address, &config, name).err().expect(name).to_string();
        assert!(error.contains("mx.example.org"), "{name}: {error}");
    }
}

#[test]
fn client_certificates() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let own = authority.issue_with(&["client.example"], |parameters| {
        parameters.subject_alt_names.push(SanType::Rfc822Name("alice@example.org".try_into().unwrap()));
        parameters.distinguished_name.push(DnType::CommonName, "Alice");
    });
    let strange = stranger.issue(&["client.example"]);
    for (mode, without) in [("optional", true), ("required", false)] {
        let data = tempfile::tempdir().unwrap();
        authority.issue(&["mx.example.org"]).write(data.path(), "mx");
        authority.write(data.path(), "ca.pem");
        let clients = format!("client-certificates = {{ ca = 'ca.pem', mode = '{mode}' }}\n");
        let gateway = Gateway::start_in(&configuration(&format!("{OWN}tls = 'implicit'\n{clients}")), data);
        for versions in [[&TLS12], [&TLS13]] {
            let try_with = |own| {
                let config = Arc::new(authority.client_of(&versions, own));
                implicit(gateway.address, &config, "mx.example.org").map(|(client, _)| client.address())
            };
            assert_eq!(try_with(None).is_ok(), without, "{mode}");
            assert!(try_with(Some(&strange)).is_err(), "{mode}");
            let address = try_with(Some(&own)).unwrap();
            let lines = log::lines(&["\"TLS begins\"", "Alice"]);
            let names = "names: [\\\"client.example\\\", \\\"alice@example.org\\\", \\\"Alice\\\"]";
            assert!(lines.iter().any(|line| line.to_string().contains(names)), "{address}: {lines:#?}");
        }
    }
}

#[test]
fn old_versions_are_refused() {
    let Some(program) = program("openssl", "openssl") else { return };
    let (gateway, _) = gateway(&format!("{OWN}tls = \"implicit\"\n"));
    let address = gateway.address.to_string();
    let connect = |version: &str| {
        let arguments = ["s_client", "-connect", &address, version, "-cipher", "ALL:@SECLEVEL=0"];
        run(Command::new(&program).args(arguments))
    };
    for version in ["-tls1", "-tls1_1"] {
        let ended = connect(version);
        assert!(ended.code != Some(0) && ended.stderr.contains("SSL alert number "), "{version}: {ended:#?}");
        assert!(ended.stdout.contains("Cipher is (NONE)"), "{version}: {ended:#?}");
    }
    let ended = connect("-tls1_2");
    assert!(ended.code == Some(0) && ended.stdout.contains("TLSv1.2"), "{ended:#?}");
}

/// A browser that somebody has led here speaks another protocol, and says so.
#[test]
fn other_protocols_are_refused() {
    let (gateway, authority) = gateway(&format!("{OWN}tls = \"implicit\"\n"));
    for (protocols, expected) in [(&["h2", "http/1.1"][..], false), (&["http/1.1", "smtp"], true), (&[], true)] {
        let mut config = authority.client();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        match implicit(gateway.address, &Arc::new(config), "mx.example.org") {
            Ok(_) => assert!(expected, "{protocols:?}"),
            Err(error) => assert!(!expected && error.to_string().contains("NoApplicationProtocol"), "{error}"),
        }
    }
}

#[test]
fn sessions_are_resumed() {
    let (gateway, authority) = gateway(&format!("{OWN}tls = \"implicit\"\n"));
    for version in [&TLS12, &TLS13] {
        let mut config = authority.client_of(&[version], None);
        config.resumption = Resumption::in_memory_sessions(8);
        let config = Arc::new(config);
        let kinds = [(); 2].map(|()| {
            let (mut client, shown) = implicit(gateway.address, &config, "mx.example.org").unwrap();
            client.expect("NOOP", "250");
            shown.kind
        });
        assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed]);
    }
}

/// Neither silence nor half a hello holds a place for long, and nobody else waits for it.
#[test]
fn a_stalled_handshake_is_cut_off() {
    let (gateway, authority) = gateway(&format!("{OWN}tls = \"implicit\"\nlimits.handshake-patience = \"200 ms\"\n"));
    let stalled = [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"].map(|octets| {
        let mut client = Client::silent(gateway.address);
        client.send(octets);
        client
    });
    assert!(implicit(gateway.address, &Arc::new(authority.client()), "mx.example.org").is_ok());
    for mut client in stalled {
        assert!(client.is_closed());
    }
    // What is no handshake at all gets an alert.
    let mut client = Client::silent(gateway.address);
    client.send(b"EHLO client.example\r\n");
    let mut octets = [0; 16];
    let read = client.read(&mut octets).unwrap();
    assert_eq!(octets.get(..read).and_then(<[u8]>::first), Some(&21), "{octets:?}");
}

/// One instance for all, and a client that greets and begins a handshake in one go: it holds nothing while it is silent there.
#[test]
fn a_stalled_handshake_holds_no_instance() {
    let data = tempfile::tempdir().unwrap();
    Authority::new().issue(&["mx.example.org"]).write(data.path(), "mx");
    let plugins = plugin("policy", "policy", "[]") + "limits.instances = 1\n";
    let text = one_chain("[\"policy\"]", &plugins).replacen("auth-in-clear", &format!("{OWN}auth-in-clear"), 1);
    let gateway = Gateway::start_in(&text, data);
    let mut stalled = gateway.client();
    stalled.send(b"EHLO client.example\r\nSTARTTLS\r\n");
    assert!(stalled.reply().starts_with("250-") && stalled.reply().starts_with("220 2.0.0 "));
    gateway.client().expect("EHLO client.example", "250");
}

/// Whoever cuts a connection must not be able to choose where a message ends.
#[test]
fn a_message_that_is_cut_is_not_delivered() {
    let (gateway, authority) = gateway(&format!("{OWN}tls = \"implicit\"\n"));
    let config = Arc::new(authority.client());
    for data in [&b"DATA\r\n"[..], b"BDAT 100 LAST\r\n"] {
        for notify in [true, false] {
            let (mut client, _) = implicit(gateway.address, &config, "mx.example.org").unwrap();
            client.expect("EHLO client.example", "250");
            client.expect("MAIL FROM:<>", "250");
            client.expect("RCPT TO:<bob@example.org>", "250");
            client.send(data);
            client.send(b"Subject: cut\r\n\r\nhere\r\n");
            if notify {
                client.notify_close();
            }
        }
    }
    let address = gateway.address;
    let (mut client, _) = implicit(address, &config, "mx.example.org").unwrap();
    client.expect("QUIT", "221");
    assert!(gateway.messages("mail/example.org/bob").is_empty());
    let (_, data) = gateway.stop_keeping_data();
    assert!(!data.path().join("mail/example.org/bob/new").exists());
}

/// Asks for the certificate until it is this one.
fn wait_for(address: SocketAddr, config: &Arc<ClientConfig>, expected: &CertificateDer<'_>) {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(60) {
        if implicit(address, config, "mx.example.org").unwrap().1.certificate == *expected {
            return;
        }
    }
    panic!("the certificate is not loaded");
}

#[test]
fn certificates_are_loaded_when_their_files_change() {
    let data = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.issue(&["mx.example.org"]).write(data.path(), "mx");
    let folder = data.path().to_owned();
    let text = configuration(&format!("{OWN}tls = \"implicit\"\n"));
    let gateway = Gateway::start_in(&format!("{text}\n[tls]\ncheck-period = \"20 ms\"\n"), data);
    let config = Arc::new(authority.client());
    let (mut old, _) = implicit(gateway.address, &config, "mx.example.org").unwrap();
    let second = authority.issue(&["mx.example.org"]);
    second.write(&folder, "mx");
    wait_for(gateway.address, &config, &second.certificate);
    old.expect("NOOP", "250");

    // The former stays where the new one is wrong.
    let chain = folder.join("mx.pem");
    fs::write(&chain, "no certificate\n").unwrap();
    let problem = format!("{} has no certificate in PEM", chain.display());
    let begin = Instant::now();
    while log::lines(&["certificates not loaded, the former stay", &problem]).is_empty() {
        assert!(begin.elapsed() < Duration::from_secs(60), "nothing is said about it");
        let (_, shown) = implicit(gateway.address, &config, "mx.example.org").unwrap();
        assert!(shown.certificate == second.certificate);
    }
    wait_for(gateway.address, &config, &second.certificate);
    let third = authority.issue(&["mx.example.org"]);
    third.write(&folder, "mx");
    wait_for(gateway.address, &config, &third.certificate);
}

#[test]
fn certificates_are_loaded_at_sighup() {
    let data = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.issue(&["mx.example.org"]).write(data.path(), "mx");
    let path = |name: &str| data.path().join(name).display().to_string();
    let certificates =
        format!("listener.smtp.certificates=[{{ chain = {:?}, key = {:?} }}]", path("mx.pem"), path("mx.key"));
    let settings = [&*certificates, "listener.smtp.tls=implicit", "tls.check-period=1 h"];
    let process = Process::start(data.path(), &settings);
    let second = authority.issue(&["mx.example.org"]);
    second.write(data.path(), "mx");
    process.signal(Signal::HUP);
    assert_eq!(process.wait_log("certificates loaded")["listener"], "smtp");
    let (_, shown) = implicit(process.address, &Arc::new(authority.client()), "mx.example.org").unwrap();
    assert!(shown.certificate == second.certificate);
    process.signal(Signal::TERM);
    assert_eq!(process.wait().0.code(), Some(0));
}

#[test]
fn wrong_files_are_told_by_their_settings() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.issue(&["mx.example.org"]).write(folder.path(), "mx");
    authority.issue(&["mx.example.org"]).write(folder.path(), "other");
    fs::write(folder.path().join("empty.pem"), "").unwrap();
    fs::write(folder.path().join("broken.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    for (chain, key, marked, expected) in [
        ("none.pem", "mx.key", "none.pem", "none.pem can't be read: No such file"),
        ("mx.pem", "none.key", "none.key", "none.key can't be read: No such file"),
        ("empty.pem", "mx.key", "empty.pem", "empty.pem has no certificate in PEM"),
        ("broken.pem", "mx.key", "broken.pem", "broken.pem: the first certificate can't be read"),
        ("mx.pem", "empty.pem", "empty.pem", "empty.pem has no private key in PEM that is not encrypted"),
        ("mx.pem", "other.key", "other.key", "other.key: not the key of the certificate in "),
    ] {
        let pair = format!("[{{ chain = {:?}, key = {:?} }}]", path(chain), path(key));
        let own = load(&configuration(&format!("certificates = {pair}\n"))).unwrap_err();
        let common = load(&format!("{}\n[tls]\ncertificates = {pair}\n", quickstart())).unwrap_err();
        for problem in [own, common] {
            assert!(problem.contains(expected), "{problem}");
            let mut lines = problem.lines().skip(2);
            let (line, mark) = (lines.next().unwrap(), lines.next().unwrap());
            let begin = mark.find('^').unwrap();
            assert!(line.get(begin..).unwrap().starts_with(&format!("{:?}", path(marked))), "{problem}");
        }
    }
    let clients = format!("client-certificates = {{ ca = {:?} }}\n", path("empty.pem"));
    let pair = format!("certificates = [{{ chain = {:?}, key = {:?} }}]\n", path("mx.pem"), path("mx.key"));
    let problem = load(&configuration(&format!("{pair}{clients}"))).unwrap_err();
    assert!(problem.contains("empty.pem has no certificate in PEM"), "{problem}");
}

#[test]
fn a_certificate_that_has_expired_is_a_warning() {
    let data = tempfile::tempdir().unwrap();
    let expired = Authority::new().issue_with(&["mx.example.org"], |parameters| {
        parameters.not_before = date_time_ymd(2020, 1, 1);
        parameters.not_after = date_time_ymd(2021, 1, 1);
    });
    expired.write(data.path(), "mx");
    let path = |name: &str| data.path().join(name).display().to_string();
    let certificates = format!("tls.certificates=[{{ chain = {:?}, key = {:?} }}]", path("mx.pem"), path("mx.key"));
    let file = root().join("examples/quickstart/postgate.toml").display().to_string();
    let settings = [quickstart_settings(data.path()), vec![certificates]].concat();
    let arguments = settings.iter().flat_map(|setting| ["--set", setting.as_str()]);
    let ended = postgate(&["check", "--config", &file].into_iter().chain(arguments).collect::<Vec<_>>(), "");
    ended.expect(0, &["warning: ", "mx.pem: the certificate has expired: it was good until ", "is good: 1 listener"]);
}

/// `curl`, which must have TLS, and knows the authority.
#[test]
fn curl_uploads_below_tls() {
    let Some(program) = program("curl", "curl") else { return };
    for (scheme, settings) in [("smtp", ""), ("smtps", "tls = \"implicit\"\n")] {
        let (gateway, _) = gateway(&format!("{OWN}{settings}"));
        let folder = gateway.data.path();
        let text = folder.join("text.eml");
        fs::write(&text, "Subject: by curl\r\n\r\nx\r\n").unwrap();
        let port = gateway.address.port();
        let ended = run(Command::new(&program)
            .args(["--silent", "--show-error", "--verbose", "--ssl-reqd"])
            .args(["--resolve", &format!("mx.example.org:{port}:127.0.0.1")])
            .arg(format!("{scheme}://mx.example.org:{port}/client.example"))
            .args(["--mail-from", "alice@example.org", "--mail-rcpt", "bob@example.org"])
            .args(["--user", "alice@example.org:wonderland", "--upload-file"])
            .args([&text, Path::new("--cacert"), &folder.join("ca.pem")]));
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        let messages = gateway.messages("mail/example.org/bob");
        assert!(matches!(&messages[..], [message] if message.contains(" with ESMTPSA id ")), "{messages:#?}");
    }
}

/// By STARTTLS or with TLS from the first octet on, as the second argument says.
const SMTPLIB: &str = r#"
import smtplib, ssl, sys

port, start, authority = int(sys.argv[1]), sys.argv[2], sys.argv[3]
context = ssl.create_default_context(cafile=authority)
if start == "implicit":
    smtp = smtplib.SMTP_SSL("127.0.0.1", port, local_hostname="client.example", timeout=60, context=context)
else:
    smtp = smtplib.SMTP("127.0.0.1", port, local_hostname="client.example", timeout=60)
    smtp.starttls(context=context)
with smtp:
    smtp.login("alice@example.org", "wonderland")
    smtp.sendmail("alice@example.org", ["bob@example.org"], "Subject: by smtplib\n\nx\n")
    print(smtp.sock.version())
"#;

#[test]
fn smtplib_sends_below_tls() {
    let Some(program) = program("python3", "python3") else { return };
    for start in ["starttls", "implicit"] {
        let (gateway, _) = gateway(&format!("{OWN}tls = \"{start}\"\n"));
        let authority = gateway.data.path().join("ca.pem").display().to_string();
        let port = gateway.address.port().to_string();
        let ended = run(Command::new(&program).args(["-I", "-c", SMTPLIB, &port, start, &authority]));
        ended.expect(0, &["TLSv1.3"]);
        let messages = gateway.messages("mail/example.org/bob");
        assert!(matches!(&messages[..], [message] if message.contains(" with ESMTPSA id ")), "{messages:#?}");
    }
}
