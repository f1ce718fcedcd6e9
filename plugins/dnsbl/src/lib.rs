//! Block lists and allow lists of the DNS (RFC 5782): what they say of the client's address is summed up, and held against a threshold.

mod lists;

use postgate_sdk::config::{self, Configuration};
use postgate_sdk::dns::{self, DnsError};
use postgate_sdk::hook::{Connect, Recipient, SettingProblem, Setup};
use postgate_sdk::{Mailbox, Parameter, Reply, Verdict, export, log, session, unit};

use lists::{Lists, Moment, Unavailable, Weighed};

struct Dnsbl;

export!(Dnsbl: setup, connect, recipient);

static LISTS: Configuration<Lists> = Configuration::new();

impl Setup for Dnsbl {
    fn on_setup() -> Vec<SettingProblem> {
        config::problems::<Lists>()
    }
}

impl Connect for Dnsbl {
    fn on_connect() -> Verdict {
        at(Moment::Connect)
    }
}

impl Recipient for Dnsbl {
    fn on_recipient(_recipient: Mailbox, _parameters: Vec<Parameter>) -> Verdict {
        // Our own users connect from anywhere.
        if session::identity().is_some() { Verdict::Next } else { at(Moment::Recipient) }
    }
}

fn at(moment: Moment) -> Verdict {
    let lists = match LISTS.load() {
        Ok(lists) => lists,
        Err(reply) => return Verdict::Defer(reply),
    };
    let address = session::remote().address;
    if lists.at != moment || unit::contain(&lists.exempt, &address) {
        return Verdict::Next;
    }
    match known().unwrap_or_else(|| ask(lists, &address)) {
        Weighed::Fine => Verdict::Next,
        Weighed::Listed(text) => Verdict::Reject(Reply::new(550, "5.7.1", &text)),
        Weighed::Unknown => Verdict::Defer(Reply::new(451, "4.7.1", "Client can't be looked up now, try again later")),
    }
}

/// What was found for this session before.
fn known() -> Option<Weighed> {
    session::note(NOTE).map(|note| Weighed::from_note(&note))
}

/// Asks all lists, and remembers what comes out; not if some did not answer, who may do so the next time.
fn ask(lists: &Lists, address: &str) -> Weighed {
    let mut answers = Vec::new();
    let mut is_complete = true;
    for list in &lists.lists {
        match dns::listings(address, &list.zone) {
            Ok(codes) => answers.push((list, codes)),
            Err(DnsError::NoSuchName) => {}
            Err(DnsError::Service(error)) => {
                is_complete = false;
                log::warn("list not available", &[("zone", &list.zone), ("problem", &error.to_string())]);
            }
        }
    }
    let weighed = lists.weigh(address, &answers);
    if let Weighed::Listed(text) = &weighed {
        log::info("client listed", &[("client", address), ("text", text)]);
    }
    match (is_complete, lists.unavailable, &weighed) {
        (false, Unavailable::Defer, Weighed::Fine) => Weighed::Unknown,
        (false, _, _) => weighed,
        (true, _, _) => {
            if session::set_note(NOTE, &weighed.note()).is_err() {
                log::warn("note not kept", &[("note", NOTE)]);
            }
            weighed
        }
    }
}

/// Empty where nothing was found, else the text of the refusal.
const NOTE: &str = "dnsbl";
