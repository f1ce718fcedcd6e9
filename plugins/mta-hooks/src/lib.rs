//! Asks a filter that speaks the protocol MTA Hooks of the Stalwart mail server: JSON over HTTP, a request at each stage of the dialogue, an action and
//! modifications in the response.
//!
//! A filter that does not answer, or answers nonsense, has not seen the message: it is deferred.

mod modification;
mod protocol;

use std::collections::BTreeMap;

use postgate_sdk::config::{self, Configuration};
use postgate_sdk::fetch::{self, Request, RequestBody};
use postgate_sdk::hook::{
    Connect, Hello, HelloAnswer, Mail, Message, MessageVerdict, Recipient, SettingProblem, Setup,
};
use postgate_sdk::{Mailbox, Parameter, Reply, Verdict, export, log, mail_data};
use serde::Deserialize;

use protocol::{Action, Response, Stage};

struct MtaHooks;

export!(MtaHooks: setup, connect, hello, mail, recipient, message);

static SETTINGS: Configuration<Settings> = Configuration::new();

/// The configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    url: String,
    #[serde(default = "data")]
    stages: Vec<Stage>,
    #[serde(default = "max_octets")]
    max_octets: u64,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

fn data() -> Vec<Stage> {
    vec![Stage::Data]
}

fn max_octets() -> u64 {
    1 << 20
}

impl Setup for MtaHooks {
    fn on_setup() -> Vec<SettingProblem> {
        match config::read::<Settings>() {
            Err(error) => vec![SettingProblem { path: error.path, message: error.problem }],
            Ok(settings) if !settings.url.starts_with("http://") && !settings.url.starts_with("https://") => {
                let message = "a URL begins with https:// or http://".to_owned();
                vec![SettingProblem { path: vec!["url".to_owned()], message }]
            }
            Ok(_) => Vec::new(),
        }
    }
}

impl Connect for MtaHooks {
    fn on_connect() -> Verdict {
        early(Stage::Connect, None, None)
    }
}

impl Hello for MtaHooks {
    fn on_hello() -> HelloAnswer {
        HelloAnswer { verdict: early(Stage::Ehlo, None, None), keywords: Vec::new() }
    }
}

impl Mail for MtaHooks {
    fn on_mail(reverse_path: Option<Mailbox>, _parameters: Vec<Parameter>) -> Verdict {
        early(Stage::Mail, Some(reverse_path), None)
    }
}

impl Recipient for MtaHooks {
    fn on_recipient(recipient: Mailbox, _parameters: Vec<Parameter>) -> Verdict {
        early(Stage::Rcpt, None, Some(recipient))
    }
}

impl Message for MtaHooks {
    fn on_message() -> MessageVerdict {
        let settings = match SETTINGS.load() {
            Ok(settings) => settings,
            Err(reply) => return MessageVerdict::Defer(reply),
        };
        if !settings.stages.contains(&Stage::Data) {
            return MessageVerdict::Next;
        }
        if mail_data::size().unwrap_or(u64::MAX) > settings.max_octets {
            return MessageVerdict::Reject(Reply::new(552, "5.3.4", "Message too large to be filtered"));
        }
        let Some(response) = ask(settings, &protocol::request(Stage::Data, None, None)) else {
            return MessageVerdict::Defer(unavailable());
        };
        if let Err(problem) = modification::apply(&response.modifications) {
            log::error("modification refused", &[("problem", &problem)]);
            return MessageVerdict::Defer(unavailable());
        }
        match response.action {
            Action::Accept => MessageVerdict::Next,
            Action::Discard => MessageVerdict::Discard("mta-hooks".to_owned()),
            Action::Quarantine => MessageVerdict::Quarantine("mta-hooks".to_owned()),
            Action::Reject => match response.refusal() {
                (reply, true) => MessageVerdict::Disconnect(reply),
                (reply, false) if reply.code < 500 => MessageVerdict::Defer(reply),
                (reply, false) => MessageVerdict::Reject(reply),
            },
        }
    }
}

/// A stage before there is a message. Whoever accepts has no objection; whether a recipient is ours the policy says.
fn early(stage: Stage, from: Option<Option<Mailbox>>, to: Option<Mailbox>) -> Verdict {
    let settings = match SETTINGS.load() {
        Ok(settings) => settings,
        Err(reply) => return Verdict::Defer(reply),
    };
    if !settings.stages.contains(&stage) {
        return Verdict::Next;
    }
    let Some(response) = ask(settings, &protocol::request(stage, from, to)) else {
        return Verdict::Defer(unavailable());
    };
    match response.action {
        Action::Accept => Verdict::Next,
        Action::Reject => match response.refusal() {
            (reply, true) => Verdict::Disconnect(reply),
            (reply, false) if reply.code < 500 => Verdict::Defer(reply),
            (reply, false) => Verdict::Reject(reply),
        },
        Action::Discard | Action::Quarantine => {
            log::error("action without a message", &[("stage", &format!("{stage:?}"))]);
            Verdict::Defer(unavailable())
        }
    }
}

/// The filter's response; none if it has none that can be used, and the log says why.
fn ask(settings: &Settings, body: &serde_json::Value) -> Option<Response> {
    let mut headers = vec![("content-type".to_owned(), b"application/json".to_vec())];
    headers.extend(settings.headers.iter().map(|(name, value)| (name.clone(), value.as_bytes().to_vec())));
    let request = Request {
        method: "POST".to_owned(),
        url: settings.url.clone(),
        headers,
        body: RequestBody::Octets(body.to_string().into_bytes()),
        timeout_ms: None,
    };
    let problem = match fetch::send(&request) {
        Ok(response) if response.status == 200 => match serde_json::from_slice(&response.body) {
            Ok(response) => return Some(response),
            Err(error) => error.to_string(),
        },
        Ok(response) => format!("status {}", response.status),
        Err(error) => format!("{error:?}"),
    };
    log::error("filter did not answer", &[("problem", &problem)]);
    None
}

fn unavailable() -> Reply {
    Reply::new(451, "4.3.5", "Filter is not available, try again later")
}
