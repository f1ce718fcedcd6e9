//! Sends a request by `wasi:http/outgoing-handler`, as any program for WASI would: the field `X-Wasi` has method, scheme, authority and path,
//! `X-Field: name=value` belongs to it. What came of it is told in a 550 reply. `X-Count` counts a figure of that name. `X-Repeat` does either so
//! often. Every recipient is accepted.
//!
//! It answers requests too, with their method, path and octets; where the last part of the path is a word that it knows (`trap`, `half`,
//! `hoard`, `fields-500`, `silent`, `endless`, `loop`, `session`, `nasty` …) it misbehaves.

use postgate_sdk::hook::{Message, MessageVerdict, Recipient};
use postgate_sdk::{Mailbox, Parameter, Reply, Verdict, export, mail_data, metrics, session, transaction};

mod bindings {
    #![allow(missing_docs, unsafe_code, reason = "generated; the WIT files are the reference")]
    wit_bindgen::generate!({ path: "wit", world: "guest", generate_all });
    use super::Wasi;
    export!(Wasi with_types_in self);
}

use bindings::exports::wasi::http::incoming_handler;
use bindings::wasi::http::outgoing_handler;
use bindings::wasi::http::types::{
    ErrorCode, Fields, IncomingRequest, IncomingResponse, Method, OutgoingBody, OutgoingRequest, OutgoingResponse,
    ResponseOutparam, Scheme,
};

struct Wasi;

export!(Wasi: recipient, message);

impl incoming_handler::Guest for Wasi {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        match path.rsplit('/').next().unwrap_or_default() {
            "trap" => panic!("secret"),
            "silent" => {}
            "loop" => loop {
                std::hint::black_box(());
            },
            "half" => {
                respond(out, "secret");
                panic!("secret");
            }
            "endless" => respond(out, &"secret".repeat(10_000)),
            "session" => {
                let known = transaction::id().is_ok() || mail_data::size().is_ok();
                let scheme = if matches!(request.scheme(), Some(Scheme::Https)) { "https" } else { "http" };
                let tls = session::tls().map(|layer| layer.version).unwrap_or_default();
                respond(out, &format!("{} {known} {scheme} {tls}", session::remote().address));
            }
            "count" => {
                let counted = metrics::count("requests", &[("path".to_owned(), "a\"b\\c".to_owned())], 2);
                let observed = metrics::observe("seconds", &[], 0.3);
                let set = metrics::gauge("queue", &[], 1.5);
                let wrong = metrics::gauge("queue_total", &[], 1.5);
                respond(out, &format!("{counted:?} {observed:?} {set:?} {}", wrong.is_err()));
            }
            "hoard" => respond(out, &hoard()),
            "fields-300" => respond(out, &fields(300)),
            "fields-500" => respond(out, &fields(500)),
            "nasty" => respond(out, &nasty()),
            "many" => {
                let all = (0..300).map(|n| metrics::count("many", &[("n".to_owned(), n.to_string())], 1));
                respond(out, &all.filter(Result::is_ok).count().to_string());
            }
            _ => {
                let method = request.method();
                let method = if matches!(method, Method::Get) {
                    "GET".to_owned()
                } else if matches!(method, Method::Post) {
                    "POST".to_owned()
                } else {
                    format!("{method:?}")
                };
                let octets = octets(&request);
                respond(out, &format!("{method} {path} {octets}"));
            }
        }
    }
}

/// How much the host keeps for requests that are never sent: octets of 20 bodies.
fn hoard() -> String {
    let mut kept = Vec::new();
    let mut octets = 0;
    for _ in 0..20 {
        let request = OutgoingRequest::new(Fields::new());
        let Ok(body) = request.body() else { return "no body".to_owned() };
        let Ok(stream) = body.write() else { return "no stream".to_owned() };
        while let Ok(room @ 1..) = stream.check_write() {
            let room = room.min(1 << 20) as usize;
            if stream.write(&vec![b'x'; room]).is_err() {
                break;
            }
            octets += room;
        }
        kept.push((stream, body, request));
    }
    octets.to_string()
}

/// So many fields, each of more than 100 octets.
fn fields(count: u32) -> String {
    let fields = Fields::new();
    (0..count).filter(|n| fields.append(&format!("x-{n}"), &[b'x'; 100]).is_ok()).count().to_string()
}

/// Figures that a host might tell in a way that nobody can read: how many it took, of how many.
fn nasty() -> String {
    let names = [
        "a_ms",
        "queue_gauge",
        "a_bucket",
        "a_total",
        "total",
        "total_total",
        "a_sum",
        "a_count_total",
        "_",
        "__",
        "_a",
        "a_",
        "a__b",
        "0a",
        "A",
        "a-b",
        "a:b",
        "a b",
        "a{b=\"c\"}",
        "a\n# TYPE x gauge",
        "\u{e4}",
        "",
        "le",
        "nan",
        "inf",
        "help",
        "type",
        "milliseconds",
        "created",
        "a_created",
        "a_info",
        "info",
    ];
    let values = [
        "",
        " ",
        "\"",
        "\\",
        "\\\"",
        "\\\\",
        "\\n",
        "a\\",
        "\n",
        "\r",
        "\0",
        "\t",
        "} 1",
        "\",x=\"",
        "caf\u{e9}",
        "\u{202e}",
        "\u{2028}",
        "\u{85}",
        "{}",
        "#",
        ",",
        "=",
    ];
    let labels = ["", "_", "__a", "a", "0", "A", "le", "quantile", "plugin", "job", "instance", "a-b", "a b", "\u{e9}"];
    let mut all = Vec::new();
    for name in names {
        all.push(metrics::count(name, &[], 1));
        all.push(metrics::gauge(name, &[], -0.0));
        all.push(metrics::observe(&format!("h{name}"), &[], 1e300));
    }
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    for value in values {
        all.push(metrics::count("values", &[pair("v", value)], u64::MAX));
    }
    for label in labels {
        all.push(metrics::gauge("labels", &[pair(label, "x")], f64::MIN_POSITIVE));
    }
    // The same figure twice.
    all.push(metrics::gauge("order", &[pair("a", "1"), pair("b", "2")], 1.0));
    all.push(metrics::gauge("order", &[pair("b", "2"), pair("a", "1")], 2.0));
    all.push(metrics::gauge("order", &[pair("a", "1"), pair("a", "1")], 2.0));
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        all.push(metrics::gauge("number", &[], value));
        all.push(metrics::observe("numbers", &[], value));
    }
    format!("{} of {}", all.iter().filter(|told| told.is_ok()).count(), all.len())
}

/// How many octets the request's body has.
fn octets(request: &IncomingRequest) -> usize {
    let Ok(body) = request.consume() else { return 0 };
    let Ok(stream) = body.stream() else { return 0 };
    let mut octets = 0;
    while let Ok(piece) = stream.blocking_read(64 << 10) {
        octets += piece.len();
    }
    octets
}

fn respond(out: ResponseOutparam, text: &str) {
    let response = OutgoingResponse::new(Fields::new());
    let Ok(body) = response.body() else { return };
    ResponseOutparam::set(out, Ok(response));
    let Ok(stream) = body.write() else { return };
    for piece in text.as_bytes().chunks(4096) {
        if stream.blocking_write_and_flush(piece).is_err() {
            return;
        }
    }
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
}

impl Recipient for Wasi {
    fn on_recipient(_recipient: Mailbox, _parameters: Vec<Parameter>) -> Verdict {
        Verdict::Accept
    }
}

impl Message for Wasi {
    fn on_message() -> MessageVerdict {
        let times = field("X-Repeat").and_then(|times| times.parse().ok()).unwrap_or(1);
        let (figure, request) = (field("X-Count"), Request::of_message());
        let mut told = String::new();
        for _ in 0..times {
            told = match (&figure, &request) {
                (Some(figure), _) => format!("{:?}", metrics::count(figure, &[], 1)),
                (None, Ok(request)) => request.send().map_or_else(|what| what, self::told),
                (None, Err(what)) => what.clone(),
            };
        }
        let told: String = told.chars().take(400).map(|c| if c.is_ascii_graphic() { c } else { ' ' }).collect();
        MessageVerdict::Reject(Reply::new(550, "5.7.1", &told))
    }
}

/// What the fields of the message ask for.
struct Request {
    method: String,
    scheme: Scheme,
    authority: String,
    path: String,
    field: Option<(String, String)>,
}

impl Request {
    fn of_message() -> Result<Self, String> {
        let words = field("X-Wasi").unwrap_or_default();
        let words: Vec<&str> = words.split(' ').collect();
        let [method, scheme, authority, path] = words[..] else { return Err("four words".to_owned()) };
        let field = field("X-Field").and_then(|field| {
            let (name, value) = field.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        });
        Ok(Self {
            method: method.to_owned(),
            scheme: if scheme == "https" { Scheme::Https } else { Scheme::Http },
            authority: authority.to_owned(),
            path: path.to_owned(),
            field,
        })
    }

    fn send(&self) -> Result<IncomingResponse, String> {
        let fields = Fields::new();
        if let Some((name, value)) = &self.field {
            fields.append(name, value.as_bytes()).map_err(|error| format!("header {error:?}"))?;
        }
        let request = OutgoingRequest::new(fields);
        let wrong = |()| "not a request".to_owned();
        request.set_method(&Method::Other(self.method.clone())).map_err(wrong)?;
        request.set_scheme(Some(&self.scheme)).map_err(wrong)?;
        request.set_authority(Some(&self.authority)).map_err(wrong)?;
        request.set_path_with_query(Some(&self.path)).map_err(wrong)?;
        let answer = outgoing_handler::handle(request, None).map_err(|error| code(&error))?;
        answer.subscribe().block();
        match answer.get() {
            Some(Ok(Ok(response))) => Ok(response),
            Some(Ok(Err(error))) => Err(code(&error)),
            Some(Err(())) | None => Err("no answer".to_owned()),
        }
    }
}

fn told(response: IncomingResponse) -> String {
    let status = response.status();
    let Ok(body) = response.consume() else { return "no body".to_owned() };
    let Ok(stream) = body.stream() else { return "no stream".to_owned() };
    let mut octets = Vec::new();
    // An error is the end of the stream, or that of the connection.
    let end = loop {
        match stream.blocking_read(64 << 10) {
            Ok(piece) => octets.extend(piece),
            Err(end) => break end,
        }
    };
    // A line of a reply has room for the begin and for how it ended.
    let begin: String = String::from_utf8_lossy(&octets).chars().take(100).collect();
    format!("{status} {} {begin} {end:?}", octets.len())
}

fn code(error: &ErrorCode) -> String {
    format!("{error:?}")
}

fn field(name: &str) -> Option<String> {
    let values = mail_data::field(name).unwrap_or_default();
    values.into_iter().next().map(|value| String::from_utf8_lossy(&value).into_owned())
}
