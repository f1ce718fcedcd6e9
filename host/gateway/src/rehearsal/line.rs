//! The lines of a dialogue that are not about SMTP: clients and time, files, services, failures, and what plugins are expected to do.

use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use postgate_plugin::{Cause, Clock, Hook, HttpAnswer, Stubs};
use postgate_smtp::dialogue::Pattern;
use postgate_smtp::{Enhanced, Reply};
use time::{Date, Month, PrimitiveDateTime, Time};

use crate::config::{Period, nearest};

/// A line of our own.
#[derive(Clone, Debug)]
pub(crate) enum Own {
    /// Where the client comes from; in the midst of a dialogue it connects anew.
    From {
        /// The client's end.
        client: SocketAddr,
        /// The end that it has connected to, where that is another than the listener's: that of a proxy.
        to: Option<SocketAddr>,
    },
    /// The last HTTP request was this.
    Request {
        /// `POST`
        method: String,
        /// The whole URL.
        url: Pattern,
        /// What it has brought.
        body: Option<Pattern>,
    },
    /// The last HTTP request had this field.
    RequestField {
        /// In lower case.
        name: String,
        /// Its value.
        value: Pattern,
    },
    /// So many HTTP requests have been made since the beginning.
    Requests(usize),
    /// The last message that a relay was given had this envelope.
    HandOver {
        /// The relay.
        relay: String,
        /// Without its brackets.
        reverse_path: Pattern,
        /// Without their brackets.
        recipients: Vec<String>,
    },
    /// It had such a line.
    HandOverText(Pattern),
    /// When the dialogue begins.
    Clock(SystemTime),
    /// Time goes by.
    Wait(Duration),
    /// The client writes what a file holds.
    File {
        /// The file.
        path: PathBuf,
        /// What is written.
        octets: Vec<u8>,
    },
    /// What a service answers from now on.
    Stub(Stub),
    /// A secret's value.
    Secret {
        /// Its name in the configuration.
        name: String,
        /// Its value.
        value: String,
    },
    /// The next call of that hook fails.
    Fail {
        /// Of this plugin.
        plugin: String,
        /// This hook.
        hook: Hook,
        /// With this cause.
        cause: Cause,
    },
    /// The last call of a hook ended so.
    Verdict(Verdict),
    /// A plugin has written such a line into the log.
    Log {
        /// Of this level.
        level: String,
        /// With this text.
        text: Pattern,
    },
    /// The session has this note.
    Note {
        /// Of this name.
        name: String,
        /// With this value.
        value: Pattern,
    },
    /// A hook was called so often since the beginning.
    Calls {
        /// The hook.
        hook: Hook,
        /// So often.
        count: usize,
        /// Of this plugin only.
        by: Option<String>,
    },
    /// What became of a recipient of the last transaction.
    Fate {
        /// The recipient.
        mailbox: String,
        /// One of [`FATES`].
        fate: String,
    },
}

/// How a call ended.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    /// The hook.
    pub(crate) hook: Hook,
    /// One of [`WORDS`].
    pub(crate) word: String,
    /// Its reply, reason, label, identity or cause.
    pub(crate) detail: Option<Pattern>,
    /// Of this plugin only.
    pub(crate) by: Option<String>,
}

/// What a service answers.
#[derive(Clone, Debug)]
pub(crate) enum Stub {
    /// A record.
    Record { name: String, kind: String, value: String },
    /// There is no such name.
    NoName(String),
    /// No server says.
    NameFails(String),
    /// A request is answered, or the connection fails.
    Http { method: String, url: String, answer: Option<HttpAnswer> },
    /// A relay answers, or can't be reached.
    Relay { name: String, reply: Option<Reply> },
}

impl Stub {
    /// Puts it into the tables.
    pub(crate) fn apply(&self, stubs: &Stubs) -> Result<(), String> {
        match self {
            Stub::Record { name, kind, value } => stubs.record(name, kind, value),
            Stub::NoName(name) => stubs.no_name(name),
            Stub::NameFails(name) => stubs.name_fails(name),
            Stub::Http { method, url, answer } => {
                stubs.http(method, url, answer.clone());
                Ok(())
            }
            Stub::Relay { name, reply } => {
                stubs.relay(name, reply.clone());
                Ok(())
            }
        }
    }
}

/// Reads a line; none if it is not one of ours. Files are looked for from the folder on.
pub(crate) fn read(kind: &str, rest: &str, folder: &Path) -> Result<Option<Own>, String> {
    let read = match kind {
        "from:" => from(rest),
        "clock:" => clock(rest).map(Own::Clock).ok_or_else(|| CLOCK_WANTED.to_owned()),
        "wait:" => period(rest).map(Own::Wait),
        "C<" => file(folder, rest, |octets| mail_data(&octets)),
        "B<" => file(folder, rest, |octets| chunks(&with_crlf(octets), usize::MAX)),
        "B*" => match rest.split_once(' ').map(|(size, file)| (size.parse(), file)) {
            Some((Ok(size), name)) if size > 0 => file(folder, name.trim(), |octets| chunks(&with_crlf(octets), size)),
            Some(_) | None => Err("wants SIZE FILE, such as 1000 mail.eml".to_owned()),
        },
        "dns:" => dns(rest).map(Own::Stub),
        "http:" => http(rest).map(Own::Stub),
        "relay:" => relay(rest).map(Own::Stub),
        "secret:" => {
            pair(rest, "NAME=VALUE").map(|(name, value)| Own::Secret { name: name.into(), value: value.into() })
        }
        "note:" => {
            pair(rest, "NAME=VALUE").map(|(name, value)| Own::Note { name: name.into(), value: Pattern::new(value) })
        }
        "fail:" => fail(rest),
        "verdict:" => verdict(rest).map(Own::Verdict),
        "log:" => log(rest),
        "calls:" => calls(rest),
        "fate:" => fate(rest),
        "request:" => request(rest),
        "request-field:" => pair(rest, "NAME=VALUE")
            .map(|(name, value)| Own::RequestField { name: name.to_ascii_lowercase(), value: Pattern::new(value) }),
        "requests:" => rest.parse().map(Own::Requests).map_err(|_| "wants a number".to_owned()),
        "hand-over:" => hand_over(rest),
        "hand-over-text:" => Ok(Own::HandOverText(Pattern::new(rest))),
        _ => return Ok(None),
    };
    read.map(Some).map_err(|message| format!("{kind} {message}"))
}

fn pair<'a>(rest: &'a str, wanted: &str) -> Result<(&'a str, &'a str), String> {
    let (name, value) = rest.split_once('=').ok_or_else(|| format!("wants {wanted}"))?;
    Ok((name.trim(), value.trim()))
}

fn from(rest: &str) -> Result<Own, String> {
    let wanted = || "wants an address, such as 192.0.2.7, and perhaps to ADDRESS".to_owned();
    let end = |text: &str, port| {
        let address = text.trim().parse::<IpAddr>().map(|address| SocketAddr::new(address, port));
        address.or_else(|_| text.trim().parse()).map_err(|_| wanted())
    };
    let (client, to) = rest.split_once(" to ").map_or((rest, None), |(client, to)| (client, Some(to)));
    Ok(Own::From { client: end(client, CLIENT_PORT)?, to: to.map(|to| end(to, SERVER_PORT)).transpose()? })
}

fn request(rest: &str) -> Result<Own, String> {
    let mut words = rest.splitn(3, ' ');
    let (Some(method), Some(url)) = (words.next(), words.next()) else {
        return Err("wants METHOD URL [BODY]".to_owned());
    };
    let body = words.next().map(Pattern::new);
    Ok(Own::Request { method: method.to_owned(), url: Pattern::new(url), body })
}

fn hand_over(rest: &str) -> Result<Own, String> {
    let mut words = rest.split_whitespace().map(|word| word.trim_start_matches('<').trim_end_matches('>'));
    let (Some(relay), Some(reverse_path)) = (words.next(), words.next()) else {
        return Err("wants RELAY REVERSE-PATH RECIPIENT …, such as upstream <> <alice@example.org>".to_owned());
    };
    let recipients = words.map(str::to_owned).collect();
    Ok(Own::HandOver { relay: relay.to_owned(), reverse_path: Pattern::new(reverse_path), recipients })
}

/// `2026-01-01T00:00:00Z`, a profile of RFC 3339 in UTC.
fn clock(text: &str) -> Option<SystemTime> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.split('-');
    let year = date.next()?.parse().ok()?;
    let month = Month::try_from(date.next()?.parse::<u8>().ok()?).ok()?;
    let date = (Date::from_calendar_date(year, month, date.next()?.parse().ok()?).ok()?, date.next());
    let mut time = time.split(':');
    let hour = time.next()?.parse().ok()?;
    let minute = time.next()?.parse().ok()?;
    let time = (Time::from_hms(hour, minute, time.next()?.parse().ok()?).ok()?, time.next());
    let ((date, None), (time, None)) = (date, time) else { return None };
    Some(SystemTime::from(PrimitiveDateTime::new(date, time).assume_utc())).filter(|time| *time <= Clock::last())
}

/// When dialogues begin that do not say.
pub(crate) fn default_begin() -> SystemTime {
    clock("2026-01-01T00:00:00Z").expect("invariant: a date")
}

fn period(rest: &str) -> Result<Duration, String> {
    // People write 6m.
    let minutes = rest.strip_suffix('m').filter(|number| number.trim().parse::<u64>().is_ok());
    let text = minutes.map_or_else(|| rest.to_owned(), |number| format!("{number} min"));
    text.parse::<Period>().map(|period| period.0)
}

fn file(folder: &Path, name: &str, make: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Result<Own, String> {
    if name.is_empty() {
        return Err("wants a file, such as mail.eml".to_owned());
    }
    let path = folder.join(name);
    let octets = read_file(&path).map_err(|error| format!("{} {error}", path.display()))?;
    Ok(Own::File { path, octets: make(octets) })
}

/// Reads a file of bounded size; an error says what is wrong with it, without its name.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| format!("can't be read: {error}");
    let mut octets = Vec::new();
    let bound = u64::try_from(FILE_MAX_OCTETS + 1).unwrap_or(u64::MAX);
    File::open(path).map_err(unreadable)?.take(bound).read_to_end(&mut octets).map_err(unreadable)?;
    if octets.len() > FILE_MAX_OCTETS { Err("is larger than 64 MiB".to_owned()) } else { Ok(octets) }
}

/// The lines of a text file as RFC 5322 has them. A file with CRLF or NUL in it is as it should be already.
fn with_crlf(octets: Vec<u8>) -> Vec<u8> {
    if octets.contains(&0) || octets.windows(2).any(|pair| pair == b"\r\n") {
        return octets;
    }
    let mut made = Vec::with_capacity(octets.len() + octets.len() / 30);
    for octet in octets {
        if octet == b'\n' {
            made.push(b'\r');
        }
        made.push(octet);
    }
    made
}

/// As it is sent behind DATA (RFC 5321 section 4.5.2).
fn mail_data(octets: &[u8]) -> Vec<u8> {
    let octets = with_crlf(octets.to_vec());
    let mut made = Vec::with_capacity(octets.len() + 16);
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        if line.starts_with(b".") {
            made.push(b'.');
        }
        made.extend_from_slice(line);
    }
    if !made.is_empty() && !made.ends_with(b"\r\n") {
        made.extend_from_slice(b"\r\n");
    }
    made.extend_from_slice(b".\r\n");
    made
}

/// BDAT commands with their octets (RFC 3030 section 2).
fn chunks(octets: &[u8], size: usize) -> Vec<u8> {
    let mut made = Vec::with_capacity(octets.len() + 16);
    let mut rest = octets;
    loop {
        let (chunk, behind) = rest.split_at_checked(size).unwrap_or((rest, &[]));
        let last = if behind.is_empty() { " LAST" } else { "" };
        made.extend_from_slice(format!("BDAT {}{last}\r\n", chunk.len()).as_bytes());
        made.extend_from_slice(chunk);
        if behind.is_empty() {
            return made;
        }
        rest = behind;
    }
}

fn dns(rest: &str) -> Result<Stub, String> {
    let wanted = || "wants NAME TYPE VALUE, NAME none, or NAME fails".to_owned();
    let (name, what) = rest.split_once(' ').ok_or_else(wanted)?;
    let name = name.to_owned();
    let stub = match what.trim() {
        "none" => Stub::NoName(name),
        "fails" => Stub::NameFails(name),
        what => {
            let (kind, value) = what.split_once(' ').ok_or_else(wanted)?;
            Stub::Record { name, kind: kind.to_owned(), value: value.trim().to_owned() }
        }
    };
    // What is wrong with it is told here, and not when it is reached.
    stub.apply(&Stubs::default())?;
    Ok(stub)
}

fn http(rest: &str) -> Result<Stub, String> {
    let wanted = || "wants METHOD URL => CODE [body], or => fails".to_owned();
    let (request, answer) = rest.split_once("=>").ok_or_else(wanted)?;
    let (method, url) = request.trim().split_once(' ').ok_or_else(wanted)?;
    if !url.contains("://") {
        return Err(format!("{url:?} is not a URL, such as https://api.example.org/check"));
    }
    let answer = match answer.trim() {
        "fails" => None,
        answer => {
            let (code, body) = answer.split_once(' ').unwrap_or((answer, ""));
            let status = code.parse().ok().filter(|code| (200..600).contains(code)).ok_or_else(wanted)?;
            Some(HttpAnswer { status, body: body.as_bytes().to_vec() })
        }
    };
    Ok(Stub::Http { method: method.to_owned(), url: url.trim().to_owned(), answer })
}

fn relay(rest: &str) -> Result<Stub, String> {
    let wanted = || "wants NAME => CODE text, or => fails".to_owned();
    let (name, answer) = rest.split_once("=>").ok_or_else(wanted)?;
    let reply = match answer.trim() {
        "fails" => None,
        answer => {
            let (code, text) = answer.split_once(' ').unwrap_or((answer, ""));
            let code = code.parse().map_err(|_| wanted())?;
            let (enhanced, text) = status(text);
            let lines: Vec<&str> = Some(text).filter(|text| !text.is_empty()).into_iter().collect();
            Some(Reply::new(code, enhanced, &lines).map_err(|error| error.to_string())?)
        }
    };
    Ok(Stub::Relay { name: name.trim().to_owned(), reply })
}

/// An enhanced status code in front of a text.
fn status(text: &str) -> (Option<Enhanced>, &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let mut numbers = word.split('.').map(|number| number.parse::<u16>().ok());
    match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
        (Some(Some(class)), Some(Some(subject)), Some(Some(detail)), None) => {
            let enhanced = u8::try_from(class).ok().and_then(|class| Enhanced::new(class, subject, detail));
            if enhanced.is_some() { (enhanced, rest) } else { (None, text) }
        }
        _ => (None, text),
    }
}

fn hook(word: &str) -> Result<Hook, String> {
    let names = Hook::ALL.map(Hook::name);
    let found = Hook::ALL.into_iter().find(|hook| hook.name() == word);
    found.ok_or_else(|| no_such("hook", word, &names))
}

fn no_such(what: &str, word: &str, known: &[&'static str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(meant) => format!("{word:?} is no {what}; {meant:?} was meant, perhaps"),
        None => format!("{word:?} is no {what}; known are {}", known.join(", ")),
    }
}

fn fail(rest: &str) -> Result<Own, String> {
    let mut words = rest.split_whitespace();
    let (Some(plugin), Some(at), Some(cause), None) = (words.next(), words.next(), words.next(), words.next()) else {
        return Err("wants PLUGIN HOOK CAUSE".to_owned());
    };
    let found = Cause::ALL.into_iter().find(|known| known.name() == cause);
    let cause = found.ok_or_else(|| no_such("cause", cause, &Cause::ALL.map(Cause::name)))?;
    Ok(Own::Fail { plugin: plugin.to_owned(), hook: hook(at)?, cause })
}

/// Takes `by PLUGIN` from the end.
fn by(rest: &str) -> (&str, Option<String>) {
    match rest.rsplit_once(" by ") {
        Some((rest, plugin)) if !plugin.trim().is_empty() && !plugin.trim().contains(' ') => {
            (rest.trim(), Some(plugin.trim().to_owned()))
        }
        Some(_) | None => (rest, None),
    }
}

fn verdict(rest: &str) -> Result<Verdict, String> {
    let (rest, by) = by(rest);
    let (at, rest) = rest.split_once(' ').ok_or("wants HOOK VERDICT [TEXT] [by PLUGIN]")?;
    let rest = rest.trim();
    let (word, detail) = rest.split_once(' ').map_or((rest, None), |(word, detail)| (word, Some(detail.trim())));
    let hook = hook(at)?;
    if !WORDS.contains(&word) {
        return Err(no_such("verdict", word, WORDS));
    }
    Ok(Verdict { hook, word: word.to_owned(), detail: detail.map(Pattern::new), by })
}

fn log(rest: &str) -> Result<Own, String> {
    match rest.split_once(' ') {
        Some((level, text)) if LEVELS.contains(&level) => {
            Ok(Own::Log { level: level.to_owned(), text: Pattern::new(text.trim()) })
        }
        Some(_) | None => Err("wants LEVEL TEXT, with the level debug, info, warn or error".to_owned()),
    }
}

fn calls(rest: &str) -> Result<Own, String> {
    let wanted = || "wants HOOK N [by PLUGIN]".to_owned();
    let (rest, by) = by(rest);
    let (at, count) = rest.split_once(' ').ok_or_else(wanted)?;
    Ok(Own::Calls { hook: hook(at)?, count: count.trim().parse().map_err(|_| wanted())?, by })
}

fn fate(rest: &str) -> Result<Own, String> {
    let (mailbox, fate) = rest.split_once(' ').ok_or("wants MAILBOX FATE, such as user@example.org delivered")?;
    let fate = fate.trim();
    if !FATES.contains(&fate) {
        return Err(no_such("fate", fate, FATES));
    }
    let mailbox = mailbox.trim_start_matches('<').trim_end_matches('>');
    Ok(Own::Fate { mailbox: mailbox.to_owned(), fate: fate.to_owned() })
}

/// What begins our lines.
pub(crate) const KINDS: &[&str] = &[
    "from:",
    "clock:",
    "wait:",
    "C<",
    "B<",
    "B*",
    "dns:",
    "http:",
    "relay:",
    "secret:",
    "note:",
    "fail:",
    "verdict:",
    "log:",
    "calls:",
    "fate:",
    "request:",
    "request-field:",
    "requests:",
    "hand-over:",
    "hand-over-text:",
];

/// What plugins say, in the words of `wit/hooks.wit`; `fails` is said for them.
const WORDS: &[&str] = &[
    "next",
    "accept",
    "reject",
    "defer",
    "disconnect",
    "discard",
    "quarantine",
    "delivered",
    "failed",
    "deferred",
    "identity",
    "keys",
    "failure",
    "temporary-failure",
    "found",
    "members",
    "reply",
    "told",
    "fails",
];

/// What becomes of recipients.
const FATES: &[&str] = &["delivered", "failed", "deferred", "quarantined", "discarded"];

const LEVELS: &[&str] = &["debug", "info", "warn", "error"];

const CLOCK_WANTED: &str = "wants a date and time before the year 9999, such as 2026-01-01T00:00:00Z";

/// The port of a client that has no port of its own.
pub(crate) const CLIENT_PORT: u16 = 40_000;

/// The port that a client has connected to, where it is not said.
const SERVER_PORT: u16 = 25;

/// Octets of the largest file.
const FILE_MAX_OCTETS: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_become_mail_data() {
        for (file, data) in [
            ("", ".\r\n"),
            ("a", "a\r\n.\r\n"),
            ("a\n.b\n..\n", "a\r\n..b\r\n...\r\n.\r\n"),
            ("a\r\n.b\r\n", "a\r\n..b\r\n.\r\n"),
        ] {
            assert_eq!(mail_data(file.as_bytes()), data.as_bytes(), "{file:?}");
        }
    }

    #[test]
    fn files_become_chunks() {
        for (file, size, sent) in [
            ("abc\n", usize::MAX, "BDAT 5 LAST\r\nabc\r\n"),
            ("abcde", 2, "BDAT 2\r\nabBDAT 2\r\ncdBDAT 1 LAST\r\ne"),
            ("abcd", 2, "BDAT 2\r\nabBDAT 2 LAST\r\ncd"),
            ("", 5, "BDAT 0 LAST\r\n"),
        ] {
            assert_eq!(chunks(&with_crlf(file.as_bytes().to_vec()), size), sent.as_bytes(), "{file:?}");
        }
        assert_eq!(with_crlf(b"\0\n".to_vec()), b"\0\n");
    }

    #[test]
    fn dates() {
        let begin = default_begin().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(begin.as_secs(), 1_767_225_600);
        for wrong in [
            "2026-01-01",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00+01:00",
            "9999-01-01T00:00:01Z",
            "",
        ] {
            assert_eq!(clock(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn periods() {
        for (text, seconds) in [("6m", 360), ("6 min", 360), ("90s", 90), ("2 h", 7200), ("1d", 86400)] {
            assert_eq!(period(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn a_plugin_at_the_end() {
        assert_eq!(by("mail reject 550 by spam"), ("mail reject 550", Some("spam".to_owned())));
        assert_eq!(by("mail reject 550 sent by a robot"), ("mail reject 550 sent by a robot", None));
        assert_eq!(by("mail next"), ("mail next", None));
    }
}
