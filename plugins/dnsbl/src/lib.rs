//! Block lists and allow lists of the DNS (RFC 5782): what they say of the client's address is summed up, and held against a threshold.

mod lists;

use postgate_sdk::config::{self, Configuration};
use postgate_sdk::dns::{self, DnsError};
use postgate_sdk::hook::{Connect, Recipient, SettingProblem, Setup};
use postgate_sdk::{Mailbox, Parameter, Verdict, export, log, session, unit};

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
    Verdict::decide(|| {
        let lists = LISTS.load()?;
        let address = session::remote().address;
        if lists.at != moment || unit::contain(&lists.exempt, &address) {
            return Ok(Verdict::Next);
        }
        Ok(match known().unwrap_or_else(|| ask(lists, &address)) {
            Weighed::Fine => Verdict::Next,
            Weighed::Listed(text) => Verdict::reject(550, "5.7.1", &text),
            Weighed::Unknown => Verdict::defer(451, "4.7.1", "Client can't be looked up now, try again later"),
        })
    })
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
                log!(warn, "list not available", zone = list.zone, problem = error);
            }
        }
    }
    let weighed = lists.weigh(address, &answers);
    if let Weighed::Listed(text) = &weighed {
        log!(info, "client listed", client = address, text = text);
    }
    match (is_complete, lists.unavailable, &weighed) {
        (false, Unavailable::Defer, Weighed::Fine) => Weighed::Unknown,
        (false, _, _) => weighed,
        (true, _, _) => {
            if session::set_note(NOTE, &weighed.note()).is_err() {
                log!(warn, "note not kept", note = NOTE);
            }
            weighed
        }
    }
}

/// Empty where nothing was found, else the text of the refusal.
const NOTE: &str = "dnsbl";

#[cfg(test)]
mod tests {
    use postgate_sdk::testing::Scene;

    use super::*;

    fn scene(at: &str) -> Scene {
        let lists = serde_json::json!({ "at": at, "lists": [{ "zone": "list.example" }] });
        Scene::new().config(lists).client("192.0.2.7").dns("192.0.2.7.list.example", "LISTED", "127.0.0.2")
    }

    #[test]
    fn the_listed_are_refused_and_remembered() {
        let scene = scene("connect");
        let Verdict::Reject(reply) = scene.play(Dnsbl::on_connect) else { panic!("{:?}", scene.logged()) };
        assert_eq!(reply.code, 550);
        assert!(scene.note(NOTE).is_some());
        assert!(
            scene.logged().iter().any(|line| line.starts_with("info client listed client=192.0.2.7")),
            "{:?}",
            scene.logged()
        );
    }

    #[test]
    fn others_pass() {
        assert_eq!(scene("connect").client("192.0.2.8").play(Dnsbl::on_connect), Verdict::Next);
        assert_eq!(scene("recipient").play(Dnsbl::on_connect), Verdict::Next);
    }
}
