//! Words that become verdicts.

use postgate_sdk::hook::MessageVerdict;
use postgate_sdk::{Reply, Verdict};

use crate::deed::deed;

/// A kind of verdict with its reply.
pub(crate) struct Said {
    kind: Kind,
    pub(crate) reply: Reply,
}

enum Kind {
    Reject,
    Defer,
    Disconnect,
}

pub(crate) fn never() -> Reply {
    Reply::new(550, "5.1.1", "no such user")
}

pub(crate) fn say(word: &str) -> Option<Said> {
    let reject = |reply| Some(Said { kind: Kind::Reject, reply });
    match word {
        "ok" => reject(Reply::new(250, "2.0.0", "at your service")),
        "reject" => reject(never()),
        "general" => reject(Reply { enhanced: None, ..never() }),
        "silent" => reject(Reply { code: 550, enhanced: None, text: Vec::new() }),
        "lines" => reject(Reply::new(550, "5.1.1", "first\nsecond\nthird")),
        "many" => {
            reject(Reply { text: (1..=16).map(|n| format!("line {n}")).collect(), ..Reply::new(550, "5.1.1", "") })
        }
        "edges" => reject(Reply::new(559, "5.999.0", "edges")),
        "unicode" => reject(Reply::new(550, "5.1.1", "Grüße, 世界")),
        "defer" => Some(Said { kind: Kind::Defer, reply: Reply::new(450, "4.2.1", "come again later") }),
        "disconnect" => Some(Said { kind: Kind::Disconnect, reply: Reply::new(554, "5.7.1", "go away") }),
        _ => None,
    }
}

pub(crate) fn verdict(word: &str, otherwise: Verdict) -> Verdict {
    deed(word);
    if word == "accept" {
        return Verdict::Accept;
    }
    match say(word) {
        None => otherwise,
        Some(Said { kind: Kind::Reject, reply }) => Verdict::Reject(reply),
        Some(Said { kind: Kind::Defer, reply }) => Verdict::Defer(reply),
        Some(Said { kind: Kind::Disconnect, reply }) => Verdict::Disconnect(reply),
    }
}

pub(crate) fn message_verdict(word: &str) -> MessageVerdict {
    deed(word);
    match word {
        "accept" => return MessageVerdict::Accept,
        "discard" => return MessageVerdict::Discard("not wanted".to_owned()),
        "quarantine" => return MessageVerdict::Quarantine("suspicious".to_owned()),
        _ => {}
    }
    match say(word) {
        None => MessageVerdict::Next,
        Some(Said { kind: Kind::Reject, reply }) => MessageVerdict::Reject(reply),
        Some(Said { kind: Kind::Defer, reply }) => MessageVerdict::Defer(reply),
        Some(Said { kind: Kind::Disconnect, reply }) => MessageVerdict::Disconnect(reply),
    }
}

pub(crate) fn hundred() -> Vec<String> {
    (1..=100).map(|n| format!("user{n}@example.org")).collect()
}
