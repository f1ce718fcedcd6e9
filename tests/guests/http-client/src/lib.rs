//! Does with HTTP and secrets what the fields of the message say, and tells in a 550 reply what came of it.
//!
//! | field | meaning |
//! |---|---|
//! | `X-Fetch` | sends a request: method and URL. `X-Field: name=value`, `X-Body`, `X-Timeout` (milliseconds) belong to it; the body `@message` is the message |
//! | `X-Secret` | the value of that secret, in hexadecimal |
//! | `X-Sign` | name of a secret, and what is signed |
//! | `X-Leak` | how, and the name of a secret that it then tells: `print` and `panic` before it traps, `log`, `discard`, `label` and `reply` in its verdict, `deliver` in the outcomes |
//! | `X-Repeat` | does it so often, and tells the last |
//!
//! Every recipient is accepted.

use postgate_sdk::fetch::{self, FetchError, Request, RequestBody};
use postgate_sdk::hook::{Deliver, Message, MessageVerdict, Outcome, Recipient};
use postgate_sdk::{Mailbox, Parameter, Reply, ServiceError, Verdict, export, log, mail_data, secrets};

struct Http;

export!(Http: recipient, message, deliver);

impl Recipient for Http {
    fn on_recipient(_recipient: Mailbox, _parameters: Vec<Parameter>) -> Verdict {
        Verdict::Accept
    }
}

impl Message for Http {
    fn on_message() -> MessageVerdict {
        if let Some(leak) = field("X-Leak") {
            return self::leak(&leak);
        }
        let times = field("X-Repeat").and_then(|times| times.parse().ok()).unwrap_or(1);
        let deed = Deed::of_message();
        let mut told = String::new();
        for _ in 0..times {
            told = deed.act();
        }
        let told: String = told.chars().take(400).map(|c| if c.is_ascii_graphic() { c } else { ' ' }).collect();
        MessageVerdict::Reject(Reply::new(550, "5.7.1", &told))
    }
}

impl Deliver for Http {
    fn on_deliver(recipients: Vec<Mailbox>) -> Vec<Outcome> {
        let secret = field("X-Leak").map(|leak| told_secret(&leak).1).unwrap_or_default();
        let each = |_| Outcome::Failed(Reply::new(550, "5.7.1", &format!("the secret is {secret}")));
        recipients.iter().map(each).collect()
    }
}

/// How it is told, and what.
fn told_secret(leak: &str) -> (String, String) {
    let (how, name) = leak.split_once(' ').unwrap_or((leak, ""));
    (how.to_owned(), secrets::value(name).unwrap_or_default())
}

fn leak(leak: &str) -> MessageVerdict {
    let (how, secret) = told_secret(leak);
    match how.as_str() {
        "print" => {
            eprintln!("printed: {secret} {secret:?}");
            panic!("leak");
        }
        "panic" => panic!("leak {secret:?} {secret}"),
        "log" => {
            log::warn(
                &format!("leak {secret}"),
                &[("value", &secret), (&secret, "name"), ("shown", &format!("{secret:?}"))],
            );
            MessageVerdict::Reject(Reply::new(550, "5.7.1", "logged"))
        }
        "discard" => MessageVerdict::Discard(format!("leak {secret}")),
        "label" => MessageVerdict::Quarantine(format!("leak {secret}!")),
        // A code that no verdict may have: what is wrong with the reply is logged.
        "reply" => {
            MessageVerdict::Reject(Reply { code: 999, enhanced: None, text: vec![format!("leak {secret}\r\n")] })
        }
        _ => MessageVerdict::Accept,
    }
}

/// What is to be done.
enum Deed {
    Fetch(Request),
    Secret(String),
    Sign(String, Vec<u8>),
    Nothing,
}

impl Deed {
    fn of_message() -> Self {
        if let Some(request) = field("X-Fetch") {
            Self::Fetch(self::request(&request))
        } else if let Some(name) = field("X-Secret") {
            Self::Secret(name)
        } else if let Some(sign) = field("X-Sign") {
            let (name, data) = sign.split_once(' ').unwrap_or((&sign, ""));
            Self::Sign(name.to_owned(), data.as_bytes().to_vec())
        } else {
            Self::Nothing
        }
    }

    fn act(&self) -> String {
        match self {
            Self::Fetch(request) => send(request),
            Self::Secret(name) => match secrets::value(name) {
                Ok(value) => hexadecimal(value.as_bytes()),
                Err(error) => service(&error),
            },
            Self::Sign(name, data) => match secrets::hmac_sha256(name, data) {
                Ok(signature) => hexadecimal(&signature),
                Err(error) => service(&error),
            },
            Self::Nothing => "nothing".to_owned(),
        }
    }
}

fn request(request: &str) -> Request {
    let (method, url) = request.split_once(' ').unwrap_or((request, ""));
    let headers = fields("X-Field").into_iter().filter_map(|field| {
        let (name, value) = field.split_once('=')?;
        Some((name.to_owned(), value.as_bytes().to_vec()))
    });
    Request {
        method: method.to_owned(),
        url: url.to_owned(),
        headers: headers.collect(),
        body: match field("X-Body").as_deref() {
            None => RequestBody::None,
            Some("@message") => RequestBody::Message,
            Some(text) => RequestBody::Octets(text.as_bytes().to_vec()),
        },
        timeout_ms: field("X-Timeout").and_then(|time| time.parse().ok()),
    }
}

fn send(request: &Request) -> String {
    match fetch::send(request) {
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
