//! The plugin of the conformance kit in Rust: what it does stands in ../plugin.md.

mod deed;
mod question;
mod say;

use postgate_sdk::{DirectoryEntry, Mailbox, Parameter, Reply, Verdict, config, export, hook, log, mail_data, session};

use deed::deed;
use question::{address, ask, mailbox, parameters};
use say::{hundred, message_verdict, never, say, verdict};

struct Plugin;

export!(Plugin: setup, connect, hello, starttls, authenticate, mail, recipient, data, chunk, message, deliver, verify, expand, command, observe);

/// What a note, or else a setting, of this name says.
fn told(name: &str) -> Option<String> {
    session::note(name).or_else(|| config::value(&[name.to_owned()]))
}

/// What each hook does first.
fn asked(hook: &str, argument: &str) {
    log::info("asked", &[("hook", hook), ("argument", argument)]);
    if let Some(question) = told(&format!("ask-{hook}")) {
        answered(&question);
    }
}

fn answered(question: &str) {
    log::info("answered", &[("question", question), ("answer", &ask(question).join(" / "))]);
}

fn word(hook: &str) -> String {
    told(hook).unwrap_or_default()
}

impl hook::Setup for Plugin {
    fn on_setup() -> Vec<hook::SettingProblem> {
        if config::value(&["setup".to_owned()]).as_deref() != Some("wrong") {
            return Vec::new();
        }
        vec![
            hook::SettingProblem { path: vec!["setup".to_owned()], message: "must not be wrong".to_owned() },
            hook::SettingProblem { path: Vec::new(), message: "nor the table: Grüße".to_owned() },
        ]
    }
}

impl hook::Connect for Plugin {
    fn on_connect() -> Verdict {
        asked("connect", "");
        verdict(&word("connect"), Verdict::Next)
    }
}

impl hook::Hello for Plugin {
    fn on_hello() -> hook::HelloAnswer {
        let name = session::hello().map(|hello| hello.name).unwrap_or_default();
        asked("hello", &name);
        let keywords = match name.split('.').next() {
            Some("none") => Vec::new(),
            Some("eight") => (1..=8).map(|n| format!("XKEY{n} of eight")).collect(),
            _ => vec!["XASK".to_owned()],
        };
        hook::HelloAnswer { verdict: verdict(name.split('.').next().unwrap_or_default(), Verdict::Next), keywords }
    }
}

impl hook::Starttls for Plugin {
    fn on_starttls() -> Verdict {
        asked("starttls", "");
        verdict(&word("starttls"), Verdict::Next)
    }
}

impl hook::Authenticate for Plugin {
    fn on_authenticate(mechanism: String, credentials: hook::Credentials) -> hook::Authentication {
        use hook::{Authentication, Credentials};
        match credentials {
            Credentials::Password(given) => {
                asked("authenticate", &format!("{mechanism} password {} {}", given.user, given.password));
                deed(&given.user);
                match given.user.as_str() {
                    "alice" if given.password == "wonderland" => Authentication::Identity("alice".to_owned()),
                    "alice" => Authentication::Failure,
                    "zoë" => Authentication::Identity("zoë".to_owned()),
                    "later" => Authentication::TemporaryFailure,
                    _ => Authentication::Next,
                }
            }
            Credentials::Token(given) => {
                asked("authenticate", &format!("{mechanism} token {} {}", given.user, given.token));
                if given.token == "wonderland" {
                    Authentication::Identity(given.user)
                } else {
                    Authentication::Failure
                }
            }
            Credentials::Certificate(given) => {
                let names = given.names.join(",");
                asked("authenticate", &format!("{mechanism} certificate {} {}", given.user, names));
                given.names.into_iter().next().map_or(Authentication::Failure, Authentication::Identity)
            }
            Credentials::Scram(given) => {
                asked("authenticate", &format!("{mechanism} scram {} {}", given.user, given.hash));
                match given.user.as_str() {
                    "alice" => Authentication::Keys(hook::ScramKeys {
                        identity: "alice".to_owned(),
                        salt: b"salt".to_vec(),
                        iterations: 4096,
                        stored_key: vec![0; 32],
                        server_key: vec![255; 32],
                    }),
                    "later" => Authentication::TemporaryFailure,
                    _ => Authentication::Failure,
                }
            }
        }
    }
}

impl hook::Mail for Plugin {
    fn on_mail(reverse_path: Option<Mailbox>, given: Vec<Parameter>) -> Verdict {
        let path = reverse_path.as_ref().map_or("<>".to_owned(), address);
        asked("mail", &format!("{path}{}", parameters(&given)));
        verdict(&reverse_path.map(|path| path.local_part).unwrap_or_default(), Verdict::Next)
    }
}

impl hook::Recipient for Plugin {
    fn on_recipient(recipient: Mailbox, given: Vec<Parameter>) -> Verdict {
        asked("recipient", &format!("{}{}", address(&recipient), parameters(&given)));
        let otherwise = if recipient.local_part == "nobody" { Verdict::Next } else { Verdict::Accept };
        verdict(&recipient.local_part, otherwise)
    }
}

impl hook::Data for Plugin {
    fn on_data() -> Verdict {
        asked("data", "");
        verdict(&word("data"), Verdict::Next)
    }
}

impl hook::Chunk for Plugin {
    fn on_chunk(size: u64, last: bool) -> Verdict {
        asked("chunk", &format!("{size} {last}"));
        verdict(&word("chunk"), Verdict::Next)
    }
}

impl hook::Message for Plugin {
    fn on_message() -> hook::MessageVerdict {
        asked("message", "");
        let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
        for question in mail_data::field("X-Do").unwrap_or_default() {
            answered(&text(question));
        }
        let verdict = mail_data::field("X-Verdict").unwrap_or_default().into_iter().next().map(text);
        message_verdict(&verdict.unwrap_or_else(|| word("message")))
    }
}

impl hook::Deliver for Plugin {
    fn on_deliver(recipients: Vec<Mailbox>) -> Vec<hook::Outcome> {
        asked("deliver", &recipients.iter().map(address).collect::<Vec<_>>().join(" "));
        deed(&word("deliver"));
        let outcome = |recipient: &Mailbox| match recipient.local_part.as_str() {
            "next" => hook::Outcome::Next,
            "never" => hook::Outcome::Failed(never()),
            "later" => hook::Outcome::deferred(450, "4.2.1", "come again later"),
            _ => hook::Outcome::Delivered,
        };
        recipients.iter().map(outcome).collect()
    }
}

fn entry(full_name: Option<&str>, address: &str) -> DirectoryEntry {
    DirectoryEntry { full_name: full_name.map(str::to_owned), mailbox: mailbox(address) }
}

impl hook::Verify for Plugin {
    fn on_verify(argument: String) -> hook::Verification {
        asked("verify", &argument);
        deed(&argument);
        match argument.as_str() {
            "alice" => hook::Verification::Found(entry(Some("Alice"), "alice@example.org")),
            "bob" => hook::Verification::Found(entry(None, "bob@example.org")),
            "zoe" => hook::Verification::Found(entry(Some("Zoë"), "zoë@example.org")),
            "never" => hook::Verification::Reply(never()),
            _ => hook::Verification::Next,
        }
    }
}

impl hook::Expand for Plugin {
    fn on_expand(argument: String) -> hook::Expansion {
        asked("expand", &argument);
        deed(&argument);
        match argument.as_str() {
            "staff" => hook::Expansion::Members(vec![
                entry(Some("Alice"), "alice@example.org"),
                entry(None, "bob@example.org"),
            ]),
            "hundred" => hook::Expansion::Members(hundred().iter().map(|address| entry(None, address)).collect()),
            "empty" => hook::Expansion::Members(Vec::new()),
            "never" => hook::Expansion::Reply(never()),
            _ => hook::Expansion::Next,
        }
    }
}

impl hook::Command for Plugin {
    fn on_command(verb: String, argument: String) -> Option<Reply> {
        asked("command", &format!("{verb} {argument}"));
        match verb.as_str() {
            "XASK" => Some(Reply { text: ask(&argument), ..Reply::new(250, "2.0.0", "") }),
            "XSAY" => say(&argument).map(|said| said.reply),
            _ => None,
        }
    }
}

impl hook::Observe for Plugin {
    fn on_event(event: hook::Event) {
        let argument = match event {
            hook::Event::TransactionReset => "transaction-reset".to_owned(),
            hook::Event::TransactionOutcome(fates) => fates.iter().fold("transaction-outcome".to_owned(), |all, one| {
                let fate = format!("{:?}", one.fate).to_lowercase();
                let fate = fate.rsplit(':').next().unwrap_or_default();
                let plugin = one.plugin.as_deref().unwrap_or("none");
                format!("{all} {}={fate}/{plugin}", address(&one.recipient))
            }),
            hook::Event::SessionEnd(end) => {
                format!("session-end {}", format!("{end:?}").to_lowercase().rsplit(':').next().unwrap_or_default())
            }
        };
        asked("observe", &argument);
        deed(&word("observe"));
    }
}
