//! What a dialogue expects to have left by a service: HTTP requests, and messages that relays were given.

use postgate_plugin::{HandedOver, Requested, Stubs};

use super::client::printable;
use super::line::Own;

/// What is wrong, and what was found instead.
type Wrong = (&'static str, Vec<String>);

/// Whether it is as the line says.
pub(super) fn holds(own: &Own, stubs: &Stubs) -> Result<(), Wrong> {
    let (requests, given) = (stubs.requests(), stubs.handed_over());
    match own {
        Own::Request { method, url, body } => {
            let is_right = requests.last().is_some_and(|request| {
                let text = String::from_utf8_lossy(&request.body);
                request.method == *method
                    && url.matches(&request.url)
                    && body.as_ref().is_none_or(|body| body.matches(&text))
            });
            right(is_right, "the last request is another", || last(&requests, shown))
        }
        Own::RequestField { name, value } => {
            let fields = requests.last().map(|request| request.fields.as_slice()).unwrap_or_default();
            let is_right = fields.iter().any(|(known, found)| known == name && value.matches(found));
            right(is_right, "the last request has other fields", || {
                fields.iter().map(|(name, value)| format!("request-field: {name}={}", printable(value))).collect()
            })
        }
        Own::Requests(count) => right(requests.len() == *count, "another number of requests was made", || {
            vec![format!("requests: {}", requests.len())]
        }),
        Own::HandOver { relay, reverse_path, recipients } => {
            let is_right = given.last().is_some_and(|given| {
                given.relay == *relay && reverse_path.matches(&given.reverse_path) && given.recipients == *recipients
            });
            right(is_right, "the last hand-over is another", || last(&given, envelope))
        }
        Own::HandOverText(text) => {
            let message = given.last().map(|given| String::from_utf8_lossy(&given.message)).unwrap_or_default();
            let lines = || message.split("\r\n");
            right(lines().any(|line| text.matches(line)), "no line of the last hand-over is this", || {
                lines().take(MAX_SHOWN_LINES).map(|line| format!("hand-over-text: {}", printable(line))).collect()
            })
        }
        Own::From { .. }
        | Own::Clock(_)
        | Own::Wait(_)
        | Own::File { .. }
        | Own::Stub(_)
        | Own::Secret { .. }
        | Own::Fail { .. }
        | Own::Verdict(_)
        | Own::Log { .. }
        | Own::Note { .. }
        | Own::Calls { .. }
        | Own::Fate { .. } => Ok(()),
    }
}

fn right(is_right: bool, what: &'static str, found: impl FnOnce() -> Vec<String>) -> Result<(), Wrong> {
    if is_right { Ok(()) } else { Err((what, found())) }
}

fn last<T>(all: &[T], shown: impl Fn(&T) -> String) -> Vec<String> {
    all.last().map(shown).into_iter().collect()
}

fn shown(request: &Requested) -> String {
    let body: String = String::from_utf8_lossy(&request.body).chars().take(MAX_SHOWN_CHARS).collect();
    format!("request: {} {} {}", request.method, printable(&request.url), printable(&body)).trim_end().to_owned()
}

fn envelope(given: &HandedOver) -> String {
    let recipients = given.recipients.iter().map(|recipient| format!(" <{recipient}>")).collect::<String>();
    format!("hand-over: {} <{}>{recipients}", given.relay, given.reverse_path)
}

/// Lines of a message, and characters of a body, that are shown.
const MAX_SHOWN_LINES: usize = 40;
const MAX_SHOWN_CHARS: usize = 2000;
