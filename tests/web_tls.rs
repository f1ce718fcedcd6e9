//! TLS on HTTP listeners, as curl sees it: certificates and their names, those of clients, a change of files, and who is not let in.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::certificates::Authority;
use crate::support::client::Client;
use crate::support::process::{Ended, Process};
use crate::support::program::{program, run};
use crate::support::{Gateway, load, log, one_chain, plugin};

const OWN: &str = "certificates = [{ chain = 'mx.pem', key = 'mx.key' }]\n";

/// A guest that answers, and the metrics, on a listener with these settings.
fn configuration(settings: &str, limits: &str) -> String {
    let grants = "[\"metrics\", { http = { allow = [\"http://a.example\"] } }]";
    one_chain("[\"policy\"]", &plugin("policy", "policy", "[]"))
        + &plugin("answers", "wasi-http", grants)
        + "[http.web]\nbind = \"127.0.0.1:0\"\nmounts = [{ path = \"/guest\", plugin = \"answers\" }, { path = \"/metrics\", metrics = true }]\n"
        + settings
        + &format!("[http.web.limits]\n{limits}\n")
}

/// With an authority that has made `mx` for two names.
fn gateway(settings: &str, limits: &str) -> (Gateway, Authority) {
    let (data, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    authority.issue(&["mx.example.org", "127.0.0.1"]).write(data.path(), "mx");
    authority.write(data.path(), "ca.pem");
    (Gateway::start_in(&configuration(settings, limits), data), authority)
}

/// curl believes the tests' authority, and finds every name here.
fn curl(folder: &Path, web: SocketAddr, name: &str, more: &[&str]) -> Option<Ended> {
    let curl = program("curl", "curl")?;
    let mut command = Command::new(curl);
    command.args(["--silent", "--show-error", "--max-time", "30", "--cacert"]).arg(folder.join("ca.pem"));
    command.args(["--resolve", &format!("{name}:{}:127.0.0.1", web.port())]).args(more);
    Some(run(command.arg(format!("https://{name}:{}/guest/session", web.port()))))
}

#[test]
fn curl_is_answered_below_tls() {
    let (gateway, _authority) = gateway(OWN, "");
    let web = gateway.addresses["web"];
    for version in ["--tlsv1.3", "--tls-max=1.2"] {
        let version: &[&str] = if version == "--tlsv1.3" { &["--tlsv1.3"] } else { &["--tls-max", "1.2"] };
        let Some(ended) = curl(gateway.data.path(), web, "mx.example.org", version) else { return };
        let expected =
            if version.len() == 1 { "127.0.0.1 false https TLSv1.3" } else { "127.0.0.1 false https TLSv1.2" };
        assert_eq!((ended.code, ended.stdout.trim_end()), (Some(0), expected), "{ended:?}");
    }
    // A name that the certificate does not have (60), an authority that nobody knows, TLS of yesterday (35), no TLS at all.
    let folder = gateway.data.path();
    let ended = curl(folder, web, "other.example.org", &[]).unwrap();
    assert_eq!(ended.code, Some(60), "{ended:?}");
    Authority::new().write(folder, "ca.pem");
    // It has the name of the right one, and another key.
    let ended = curl(folder, web, "mx.example.org", &[]).unwrap();
    assert!(matches!(ended.code, Some(35 | 60)), "{ended:?}");
    let ended = curl(folder, web, "mx.example.org", &["--insecure", "--tls-max", "1.1"]).unwrap();
    assert_eq!(ended.code, Some(35), "{ended:?}");
    let clear = run(Command::new("curl").args(["--silent", "--max-time", "30", &format!("http://{web}/metrics")]));
    assert!(clear.code != Some(0) && clear.stdout.is_empty(), "{clear:?}");
    let ended = curl(folder, web, "mx.example.org", &["--insecure"]).unwrap();
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn the_name_chooses_the_certificate() {
    let settings = "certificates = [{ chain = 'mx.pem', key = 'mx.key' }, { chain = 'web.pem', key = 'web.key' }]\n";
    let (data, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let [mx, web] = ["mx", "web"].map(|name| authority.issue(&[&format!("{name}.example.org")]));
    mx.write(data.path(), "mx");
    web.write(data.path(), "web");
    let gateway = Gateway::start_in(&configuration(settings, ""), data);
    let config = Arc::new(authority.client());
    for (name, expected) in [("mx.example.org", &mx), ("web.example.org", &web)] {
        let (_, shown) = Client::silent(gateway.addresses["web"]).secure(&config, name).unwrap();
        assert!(shown.certificate == expected.certificate, "{name}");
    }
}

/// The certificates of all listeners serve here too, if the listener wants TLS.
#[test]
fn common_certificates_are_for_those_that_want_them() {
    let common = "[tls]\ncertificates = [{ chain = 'mx.pem', key = 'mx.key' }]\n";
    for (tls, expected) in [("", false), ("tls = \"none\"\n", false), ("tls = \"implicit\"\n", true)] {
        let (data, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        authority.issue(&["mx.example.org"]).write(data.path(), "mx");
        let gateway = Gateway::start_in(&(configuration(tls, "patience = \"1 s\"") + common), data);
        let shaken = Client::silent(gateway.addresses["web"]).secure(&Arc::new(authority.client()), "mx.example.org");
        assert_eq!(shaken.is_ok(), expected, "{tls}");
    }
}

#[test]
fn clients_show_certificates() {
    for (mode, without) in [("optional", Some(0)), ("required", None)] {
        let (gateway, authority) =
            gateway(&format!("{OWN}client-certificates = {{ ca = 'ca.pem', mode = '{mode}' }}\n"), "");
        let (folder, web) = (gateway.data.path(), gateway.addresses["web"]);
        authority.issue(&["client.example.org"]).write(folder, "client");
        Authority::new().issue(&["client.example.org"]).write(folder, "stranger");
        let pair = |name: &str| ["pem", "key"].map(|kind| folder.join(format!("{name}.{kind}")).display().to_string());
        let Some(ended) = curl(folder, web, "mx.example.org", &[]) else { return };
        assert_eq!(ended.code == Some(0), without == Some(0), "{mode}: {ended:?}");
        let [certificate, key] = pair("client");
        let ended = curl(folder, web, "mx.example.org", &["--cert", &certificate, "--key", &key]).unwrap();
        assert_eq!(ended.code, Some(0), "{mode}: {ended:?}");
        let [certificate, key] = pair("stranger");
        let ended = curl(folder, web, "mx.example.org", &["--cert", &certificate, "--key", &key]).unwrap();
        assert_ne!(ended.code, Some(0), "{mode}: {ended:?}");
    }
}

/// ALPACA: who was led here by another protocol's client gets no handshake.
#[test]
fn only_http_is_spoken() {
    let (gateway, authority) = gateway(OWN, "");
    for (protocols, expected) in
        [(&["http/1.1"][..], true), (&["h2", "http/1.1"], true), (&[], true), (&["h2"], false), (&["smtp"], false)]
    {
        let mut config = authority.client();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let shaken = Client::silent(gateway.addresses["web"]).secure(&Arc::new(config), "mx.example.org");
        assert_eq!(shaken.is_ok(), expected, "{protocols:?}");
    }
}

#[test]
fn certificates_are_loaded_anew() {
    let (data, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    authority.issue(&["mx.example.org"]).write(data.path(), "mx");
    let folder = data.path().to_owned();
    let text = configuration(OWN, "") + "[tls]\ncheck-period = \"20 ms\"\n";
    let gateway = Gateway::start_in(&text, data);
    let config = Arc::new(authority.client());
    let shown = || Client::silent(gateway.addresses["web"]).secure(&config, "mx.example.org").unwrap().1.certificate;
    let second = authority.issue(&["mx.example.org"]);
    second.write(&folder, "mx");
    let begin = Instant::now();
    while shown() != second.certificate {
        assert!(begin.elapsed() < PATIENCE, "the former certificate stays");
    }
    fs::write(folder.join("mx.key"), "no key\n").unwrap();
    let problem = format!("{} has no private key in PEM", folder.join("mx.key").display());
    let begin = Instant::now();
    while log::lines(&["certificates not loaded, the former stay", &problem]).is_empty() {
        assert!(begin.elapsed() < PATIENCE, "nothing is said about it");
        assert!(shown() == second.certificate);
    }
}

#[test]
fn certificates_are_loaded_at_sighup() {
    let (data, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    authority.issue(&["mx.example.org"]).write(data.path(), "mx");
    let path = |name: &str| data.path().join(name).display().to_string();
    let certificates =
        format!("http.web.certificates=[{{ chain = {:?}, key = {:?} }}]", path("mx.pem"), path("mx.key"));
    let settings = [
        "http.web.bind=127.0.0.1:0",
        "http.web.mounts=[{ path = \"/metrics\", metrics = true }]",
        &certificates,
        "tls.check-period=1 h",
    ];
    let process = Process::start(data.path(), &settings);
    let web = process.wait_log("listening");
    assert_eq!(web["http"], "web", "{web}");
    let web: SocketAddr = web["address"].as_str().unwrap().parse().unwrap();
    let second = authority.issue(&["mx.example.org"]);
    second.write(data.path(), "mx");
    process.signal(Signal::HUP);
    assert_eq!(process.wait_log("certificates loaded")["listener"], "web");
    let (_, shown) = Client::silent(web).secure(&Arc::new(authority.client()), "mx.example.org").unwrap();
    assert!(shown.certificate == second.certificate);
    process.signal(Signal::TERM);
    assert_eq!(process.wait().0.code(), Some(0));
}

/// Who begins a handshake and does not go on with it is left, and keeps nobody from ending.
#[test]
fn a_handshake_ends_in_time() {
    let (gateway, _authority) = gateway(OWN, "patience = \"300 ms\"");
    let begin = Instant::now();
    let mut client = Client::silent(gateway.addresses["web"]);
    client.send(b"\x16\x03\x01");
    assert_eq!(client.read(&mut [0; 10]).unwrap_or_default(), 0);
    assert!(begin.elapsed() < PATIENCE);
    drop(gateway);

    let (gateway, _authority) = self::gateway(OWN, "patience = \"1 h\"");
    let mut client = Client::silent(gateway.addresses["web"]);
    client.send(b"\x16\x03\x01");
    let begin = Instant::now();
    assert_eq!(gateway.stop(), 0);
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

#[test]
fn what_can_not_be_is_told_at_its_line() {
    for (settings, marked, expected) in [
        ("tls = \"starttls\"\n", "\"starttls\"", "there is no STARTTLS in HTTP"),
        ("tls = \"implicit\"\n", "\"implicit\"", "there is no certificate for this listener"),
        ("tls = \"yes\"\n", "\"yes\"", "is none of implicit, starttls, none"),
        ("client-certificates = { ca = 'ca.pem' }\n", "{ ca = 'ca.pem' }", "there is no TLS on this listener"),
        ("certificates = [{ chain = '/no/mx.pem', key = '/no/mx.key' }]\n", "'/no/mx.pem'", "/no/mx.pem can't be read"),
    ] {
        let problem = load(&configuration(settings, "")).unwrap_err();
        assert!(problem.contains(expected), "{problem}");
        let mut lines = problem.lines().skip(2);
        let (line, mark) = (lines.next().unwrap(), lines.next().unwrap());
        assert!(line.get(mark.find('^').unwrap()..).unwrap().starts_with(marked), "{problem}");
    }
}

const PATIENCE: Duration = Duration::from_secs(60);
