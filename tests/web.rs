//! Incoming HTTP: a guest that answers requests, or does not; and the metrics, as Prometheus' own tool reads them.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use crate::support::program::{program, run_with_input};
use crate::support::{Gateway, load, log, one_chain, plugin};

/// The guest that answers HTTP, mounted; with metrics beside it.
fn config(more: &str) -> String {
    let grants = "[\"metrics\", { http = { allow = [\"http://a.example\"] } }]";
    one_chain("[\"policy\"]", &plugin("policy", "policy", "[]"))
        + &plugin("answers", "wasi-http", grants)
        + "[plugin.answers.limits]\ndeadline = \"1 s\"\n"
        + "[http.web]\nbind = \"127.0.0.1:0\"\nmounts = [{ path = \"/guest\", plugin = \"answers\" }, { path = \"/metrics\", metrics = true }]\n"
        + &format!("[http.web.limits]\nbody-octets = 1000\nresponse-octets = 10000\n{more}\n")
}

/// One request on a connection of its own; status and body.
fn ask(address: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("the gateway listens");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("it answers");
    let status = response.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{response:?}"));
    let body = response.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    assert!(!response.to_lowercase().contains("\r\nserver:"), "{response}");
    (status, body)
}

fn get(address: SocketAddr, path: &str) -> (u16, String) {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"))
}

#[test]
fn a_guest_answers() {
    let gateway = Gateway::start(&config(""));
    let web = gateway.addresses["web"];
    assert_eq!(get(web, "/guest/hello?x=1"), (200, "GET /guest/hello?x=1 0".to_owned()));
    let post = "POST /guest/echo HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody";
    assert_eq!(ask(web, post), (200, "POST /guest/echo 4".to_owned()));
    // The ends of the connection are known, and there is neither transaction nor message.
    assert_eq!(get(web, "/guest/session"), (200, "127.0.0.1 false http ".to_owned()));
    assert_eq!(get(web, "/elsewhere").0, 404);
    assert_eq!(get(web, "/guests").0, 404);
}

#[test]
fn a_guest_that_fails_says_nothing() {
    let gateway = Gateway::start(&config(""));
    let web = gateway.addresses["web"];
    for (path, status) in [("/guest/trap", 500), ("/guest/half", 500), ("/guest/silent", 500), ("/guest/endless", 500)]
    {
        let (found, body) = get(web, path);
        assert_eq!(found, status, "{path}: {body}");
        assert!(!body.contains("secret"), "{path}: {body}");
    }
}

/// Which limit ends a guest says how: too much work is its own fault, 500; too much time need not be, 504.
#[test]
fn a_guest_that_does_not_end_is_ended() {
    for (limits, status, cause) in [
        ("fuel = 20_000_000\ndeadline = \"1 h\"", 500, "fuel"),
        ("fuel = 1_000_000_000_000_000\ndeadline = \"200 ms\"", 504, "deadline"),
    ] {
        let gateway = Gateway::start(&config("").replace("deadline = \"1 s\"", limits));
        assert_eq!(get(gateway.addresses["web"], "/guest/loop"), (status, String::new()), "{limits}");
        assert!(
            !log::lines(&["plugin failed to answer http", &format!("\"cause\":\"{cause}\"")]).is_empty(),
            "{cause}"
        );
    }
}

#[test]
fn requests_are_bounded() {
    let gateway = Gateway::start(&config("patience = \"1 s\""));
    let web = gateway.addresses["web"];
    let large = "POST /guest/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\nConnection: close\r\n\r\n";
    assert_eq!(ask(web, large).0, 413);
    let fields = "X: 0123456789012345678901234567890123456789\r\n".repeat(1000);
    assert_eq!(ask(web, &format!("GET /guest HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).0, 431);
    assert_eq!(ask(web, "nonsense\r\n\r\n").0, 400);
    assert_eq!(ask(web, "GET /guest HTTP/1.1\r\nConnection: close\r\n\r\n").0, 400);
    let mut odd = TcpStream::connect(web).unwrap();
    odd.write_all(b"GET /guest HTTP/1.1\r\nHost: a\xff\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    odd.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    // Who is slow is left.
    let mut slow = TcpStream::connect(web).unwrap();
    slow.write_all(b"GET /guest HT").unwrap();
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest);
}

#[test]
fn a_client_that_does_not_read_is_left() {
    let gateway = Gateway::start(&config("patience = \"1 s\""));
    let web = gateway.addresses["web"];
    let request = b"GET /metrics HTTP/1.1\r\nHost: a.example\r\n\r\n";
    let mut idle = TcpStream::connect(web).unwrap();
    idle.write_all(request).unwrap();
    let mut deaf = TcpStream::connect(web).unwrap();
    deaf.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
    let failed = loop {
        if let Err(error) = deaf.write_all(&request.repeat(100)) {
            break error;
        }
    };
    assert!(matches!(failed.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{failed}");
    // So is one that has read, and says nothing more.
    let mut response = Vec::new();
    idle.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    idle.read_to_end(&mut response).unwrap();
}

#[test]
fn what_a_guest_hoards_is_bounded() {
    let gateway = Gateway::start(&config(""));
    let web = gateway.addresses["web"];
    let (status, hoarded) = get(web, "/guest/hoard");
    assert_eq!(status, 200);
    assert!(hoarded.parse::<usize>().is_ok_and(|octets| octets <= 20 * (32 << 10)), "{hoarded}");
    assert_eq!(get(web, "/guest/fields-300"), (200, "300".to_owned()));
    assert_eq!(get(web, "/guest/fields-500").0, 500);
}

#[test]
fn metrics_are_those_of_prometheus() {
    let gateway = Gateway::start(&config(""));
    let web = gateway.addresses["web"];
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    client.expect("MAIL FROM:<a@example.org>", "250");
    client.expect("RCPT TO:<nobody@nowhere.example>", "550");
    let (status, text) = get(web, "/metrics");
    assert_eq!(status, 200);
    for expected in [
        "postgate_sessions_total{listener=\"smtp\"} 1\n",
        "postgate_connections{listener=\"smtp\"} 1\n",
        "postgate_replies_total{listener=\"smtp\",code=\"220\"} 1\n",
        "postgate_replies_total{listener=\"smtp\",code=\"250\"} 2\n",
        "postgate_hook_calls_total{plugin=\"policy\",hook=\"recipient\"} 1\n",
        "postgate_hook_failures_total{plugin=\"policy\",hook=\"recipient\",cause=\"trap\"} 0\n",
        "postgate_service_calls_total{plugin=\"answers\",service=\"http\"} 0\n",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
    assert_eq!(ask(web, "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").0, 405);
    promtool(&text);
}

/// Prometheus' own tool has nothing to say against it.
#[track_caller]
fn promtool(text: &str) {
    let Some(promtool) = program("promtool", "prometheus") else { return };
    let checked = run_with_input(Command::new(promtool).args(["check", "metrics"]), text);
    assert!(checked.code == Some(0) && checked.stdout.is_empty() && checked.stderr.is_empty(), "{checked:?}\n{text}");
}

/// Whatever a plugin calls its figures and labels: what can't be told is refused, and the rest can be read.
#[test]
fn nasty_figures_can_be_read() {
    let gateway = Gateway::start(&config(""));
    let web = gateway.addresses["web"];
    let (status, told) = get(web, "/guest/nasty");
    assert_eq!((status, told.as_str()), (200, NASTY));
    let (status, text) = get(web, "/metrics");
    assert_eq!(status, 200);
    promtool(&text);
    for expected in [
        "postgate_plugin_values_total{plugin=\"answers\",v=\"\\\"\"} 18446744073709551615\n",
        "postgate_plugin_values_total{plugin=\"answers\",v=\"\\\\\\\"\"} 18446744073709551615\n",
        "postgate_plugin_values_total{plugin=\"answers\",v=\"\\\\n\"} 18446744073709551615\n",
        "postgate_plugin_order{plugin=\"answers\",a=\"1\",b=\"2\"} 2\n",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
    // What it is told as is what it was: every value once.
    let values = text.lines().filter(|line| line.starts_with("postgate_plugin_values_total{"));
    let values: Vec<&str> = values.collect();
    let different: std::collections::BTreeSet<_> = values.iter().collect();
    assert_eq!(different.len(), values.len(), "{values:#?}");
}

/// Those that the host takes, of those that the guest tries.
const NASTY: &str = "68 of 141";

#[test]
fn a_plugin_has_figures_of_its_own() {
    let gateway = Gateway::start(&config(""));
    let web = gateway.addresses["web"];
    assert_eq!(get(web, "/guest/count"), (200, "Ok(()) Ok(()) Ok(()) true".to_owned()));
    assert_eq!(get(web, "/guest/count").0, 200);
    // Three it has already.
    assert_eq!(get(web, "/guest/many"), (200, "197".to_owned()));
    let (_, text) = get(web, "/metrics");
    for expected in [
        "postgate_plugin_requests_total{plugin=\"answers\",path=\"a\\\"b\\\\c\"} 4\n",
        "postgate_plugin_queue{plugin=\"answers\"} 1.5\n",
        "postgate_plugin_seconds_bucket{plugin=\"answers\",le=\"0.5\"} 2\n",
        "postgate_plugin_seconds_count{plugin=\"answers\"} 2\n",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
}

#[test]
fn only_a_plugin_that_answers_can_be_mounted() {
    let text = one_chain("[\"policy\"]", &plugin("policy", "policy", "[]"))
        + "[http.web]\nbind = \"127.0.0.1:0\"\nmounts = [{ path = \"/\", plugin = \"policy\" }]\n";
    let problem = load(&text).unwrap_err();
    assert!(problem.contains("does not export wasi:http/incoming-handler"), "{problem}");
}
