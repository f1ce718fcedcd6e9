//! Does with HTTP and secrets what the fields of the message say, and tells in a 550 reply what came of it.
//!
//! | field | meaning |
//! |---|---|
//! | `X-Fetch` | sends a request: method and URL. `X-Field: name=value`, `X-Body`, `X-Timeout` (milliseconds) belong to it; the body `@message` is the message |
//! | `X-Secret` | the value of that secret, in hexadecimal, and once in the log as it is |
//! | `X-Sign` | name of a secret, and what is signed |
//! | `X-Repeat` | does all of it so often, and tells the last |
//!
//! Every recipient is accepted.

use postgate_sdk::fetch::{self, FetchError, Request, RequestBody};
use postgate_sdk::hook::{Message, MessageVerdict, Recipient};
use postgate_sdk::{Mailbox, Parameter, Reply, ServiceError, Verdict, export, log, mail_data, secrets};

struct Http;

export!(Http: recipient, message);

impl Recipient for Http {
    fn on_recipient(_recipient: Mailbox, _parameters: Vec<Parameter>) -> Verdict {
        Verdict::Accept
    }
}

impl Message for Http {
    fn on_message() -> MessageVerdict {
        let times = field("X-Repeat").and_then(|times| times.parse().ok()).unwrap_or(1);
        let mut told = String::new();
        for _ in 0..times {
            told = act();
        }
        let told: String = told.chars().take(400).map(|c| if c.is_ascii_graphic() { c } else { ' ' }).collect();
        MessageVerdict::Reject(Reply::new(550, "5.7.1", &told))
    }
}

fn act() -> String {
    if let Some(request) = field("X-Fetch") {
        return send(&request);
    }
    if let Some(name) = field("X-Secret") {
        return match secrets::value(&name) {
            Ok(value) => {
                log::info("secret read", &[("value", &value), ("line", &format!("a{value}b"))]);
                hexadecimal(value.as_bytes())
            }
            Err(error) => service(&error),
        };
    }
    if let Some(sign) = field("X-Sign") {
        let (name, data) = sign.split_once(' ').unwrap_or((&sign, ""));
        return match secrets::hmac_sha256(name, data.as_bytes()) {
            Ok(signature) => hexadecimal(&signature),
            Err(error) => service(&error),
        };
    }
    "nothing".to_owned()
}

fn send(request: &str) -> String {
    let (method, url) = request.split_once(' ').unwrap_or((request, ""));
    let headers = fields("X-Field").into_iter().filter_map(|field| {
        let (name, value) = field.split_once('=')?;
        Some((name.to_owned(), value.as_bytes().to_vec()))
    });
    let request = Request {
        method: method.to_owned(),
        url: url.to_owned(),
        headers: headers.collect(),
        body: match field("X-Body").as_deref() {
            None => RequestBody::None,
            Some("@message") => RequestBody::Message,
            Some(text) => RequestBody::Octets(text.as_bytes().to_vec()),
        },
        timeout_ms: field("X-Timeout").and_then(|time| time.parse().ok()),
    };
    match fetch::send(&request) {
        Ok(response) => {
            let body = String::from_utf8_lossy(&response.body).into_owned();
            format!("{} {} {body}", response.status, response.body.len())
        }
        Err(FetchError::Service(error)) => service(&error),
        Err(FetchError::Connection(what)) => format!("connection {what}"),
        Err(FetchError::Timeout) => "timeout".to_owned(),
        Err(FetchError::TooLarge) => "too-large".to_owned(),
        Err(FetchError::Protocol(what)) => format!("protocol {what}"),
    }
}

fn service(error: &ServiceError) -> String {
    match error {
        ServiceError::Denied(what) => format!("denied {what}"),
        ServiceError::Quota(what) => format!("quota {what}"),
        ServiceError::Unavailable(what) => format!("unavailable {what}"),
        ServiceError::Invalid(what) => format!("invalid {what}"),
        ServiceError::NotNow => "not-now".to_owned(),
    }
}

fn field(name: &str) -> Option<String> {
    fields(name).into_iter().next()
}

fn fields(name: &str) -> Vec<String> {
    let values = mail_data::field(name).unwrap_or_default();
    values.into_iter().map(|value| String::from_utf8_lossy(&value).into_owned()).collect()
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
