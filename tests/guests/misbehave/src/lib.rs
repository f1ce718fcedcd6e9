//! Does what a plugin must not, as it is told by what the client says, so that a test can see what the host makes of it.
//!
//! A word of the table as the argument of a hook misbehaves at that hook: the first label of the HELO name, the user of
//! AUTH, the local part of a reverse-path or recipient, the argument of VRFY and EXPN, the argument of any other verb, the
//! field `X-Misbehave` of a message; at `connect` the listener's name. Behind the name of a later hook and `-`, as in the recipient
//! `deliver-trap`, it misbehaves there: so `data`, `chunk`, `deliver` and `observe` are reached. All other recipients are accepted
//! and delivered to nowhere; elsewhere there is no opinion.
//!
//! | word | what it does | cause of failure |
//! |---|---|---|
//! | `trap` | panics, with a text on standard error | trap |
//! | `unreachable` | executes `unreachable` | trap |
//! | `exit` | ends the program with status 0 | trap |
//! | `recurse` | recurses until the stack is used up | trap |
//! | `loop` | loops for ever | fuel |
//! | `log-loop` | logs for ever | fuel or deadline |
//! | `print-loop` | writes to standard output for ever | fuel or deadline |
//! | `grow` | allocates and writes until there is no memory | memory |
//! | `sleep` | sleeps for an hour, waiting in the host | deadline |
//! | `spin` | asks the clock until an hour has passed | fuel or deadline |
//! | `hog-read` | reads the mail data again and again, keeping all of it | memory |
//! | `huge-reply` | a reply of 10 MB | reply |
//! | `many-lines` | a reply of 17 lines | reply |
//! | `long-line` | a reply with a line of 481 octets | reply |
//! | `crlf` | a reply with CR LF and another reply in it | reply |
//! | `bare-cr`, `bare-lf`, `nul` | a reply with that octet in it | reply |
//! | `eight-bit` | a reply with letters beyond ASCII: not a failure, they become `?` | |
//! | `code-N` | a reply of that code, such as 999, 250, 354, 99, 5500, 560 | reply |
//! | `wrong-class` | 550 with the enhanced status 4.7.1 | reply |
//! | `wrong-subject` | 550 with the enhanced status 5.1000.1 | reply |
//! | `defer-550` | `defer` with 550 | reply |
//! | `few-outcomes`, `many-outcomes` | in `deliver`, one outcome less or more than there are recipients | reply |
//! | `bad-keyword` | in `hello`, a keyword with CR LF and another line in it | reply |
//! | `many-keywords` | in `hello`, 9 keywords | reply |
//! | `bad-identity`, `long-identity` | in `authenticate`, an identity with a line break, or of 256 octets | reply |
//! | `weak-keys` | in `authenticate`, keys in answer to a password | reply |
//! | `bad-label` | in `message`, quarantine under `../../etc` | reply |
//! | `many-notes` | notes until the host refuses, then 550 with how many it kept and why no more | |
//! | `long-note` | a note of 4097 octets and one of a name of 65, then 550 with the answers | |
//! | `log-flood` | 10,000 lines of log, then no opinion | |
//! | `many-edits` | in `message`, fields until the host refuses, then 550 with how many it took | |
//! | `edit-trap` | in `message`, adds a recipient and a field, and panics | trap |
//! | `bad-edits` | in `message`, edits that must be refused, then 550 with how many were not | |

mod deed;
mod word;

use postgate_sdk::hook::{
    Authenticate, Authentication, Chunk, Command, Connect, Credentials, Data, Deliver, Event, Expand, Expansion, Hello,
    HelloAnswer, Mail, Message, MessageVerdict, Observe, Outcome, Recipient, ScramKeys, Starttls, Verification, Verify,
};
use postgate_sdk::{Mailbox, Parameter, Reply, Verdict, export, mail_data, session, transaction};

use deed::{misbehave, reply};
use word::word_for;

struct Misbehave;

export!(
    Misbehave: connect, hello, starttls, authenticate, mail, recipient, data, chunk, message, deliver, verify, expand,
    command, observe
);

impl Connect for Misbehave {
    fn on_connect() -> Verdict {
        verdict(Some(session::listener()), Verdict::Next)
    }
}

impl Hello for Misbehave {
    fn on_hello() -> HelloAnswer {
        let word = session::hello().map(|hello| hello.name.split('.').next().unwrap_or_default().to_owned());
        let keywords = match word.as_deref() {
            Some("bad-keyword") => vec!["XGOOD\r\n250 SIZE 1".to_owned()],
            Some("many-keywords") => (0..9).map(|n| format!("XKEY{n}")).collect(),
            _ => Vec::new(),
        };
        HelloAnswer { verdict: verdict(word, Verdict::Next), keywords }
    }
}

impl Starttls for Misbehave {
    fn on_starttls() -> Verdict {
        verdict(word_for("starttls"), Verdict::Next)
    }
}

impl Authenticate for Misbehave {
    fn on_authenticate(_mechanism: String, credentials: Credentials) -> Authentication {
        let Credentials::Password(password) = credentials else { return Authentication::Next };
        match password.user.as_str() {
            "bad-identity" => Authentication::Identity("alice\r\n250 bob".to_owned()),
            "long-identity" => Authentication::Identity("a".repeat(256)),
            "weak-keys" => Authentication::Keys(ScramKeys {
                identity: password.user,
                salt: Vec::new(),
                iterations: 0,
                stored_key: Vec::new(),
                server_key: Vec::new(),
            }),
            word => {
                misbehave(word);
                Authentication::Next
            }
        }
    }
}

impl Mail for Misbehave {
    fn on_mail(reverse_path: Option<Mailbox>, _parameters: Vec<Parameter>) -> Verdict {
        verdict(reverse_path.map(|mailbox| mailbox.local_part), Verdict::Next)
    }
}

impl Recipient for Misbehave {
    fn on_recipient(recipient: Mailbox, _parameters: Vec<Parameter>) -> Verdict {
        verdict(Some(recipient.local_part), Verdict::Accept)
    }
}

impl Data for Misbehave {
    fn on_data() -> Verdict {
        verdict(word_for("data"), Verdict::Next)
    }
}

impl Chunk for Misbehave {
    fn on_chunk(_size: u64, _last: bool) -> Verdict {
        verdict(word_for("chunk"), Verdict::Next)
    }
}

impl Message for Misbehave {
    fn on_message() -> MessageVerdict {
        let field = mail_data::field("X-Misbehave").unwrap_or_default();
        let word = field.first().map(|value| String::from_utf8_lossy(value).trim().to_owned());
        match word.or_else(|| word_for("message")).as_deref() {
            None => MessageVerdict::Next,
            Some("bad-label") => MessageVerdict::Quarantine("../../etc".to_owned()),
            Some("defer-550") => MessageVerdict::Defer(reply(550, "not now")),
            Some(word) => misbehave(word).map_or(MessageVerdict::Next, MessageVerdict::Reject),
        }
    }
}

impl Deliver for Misbehave {
    fn on_deliver(recipients: Vec<Mailbox>) -> Vec<Outcome> {
        let mut outcomes = vec![Outcome::Delivered; recipients.len()];
        match word_for("deliver").as_deref() {
            None => {}
            Some("few-outcomes") => drop(outcomes.pop()),
            Some("many-outcomes") => outcomes.push(Outcome::Delivered),
            Some("defer-550") => outcomes.fill(Outcome::Deferred(reply(550, "not now"))),
            Some(word) => {
                if let Some(reply) = misbehave(word) {
                    outcomes.fill(Outcome::Failed(reply));
                }
            }
        }
        outcomes
    }
}

impl Verify for Misbehave {
    fn on_verify(argument: String) -> Verification {
        misbehave(&argument).map_or(Verification::Next, Verification::Reply)
    }
}

impl Expand for Misbehave {
    fn on_expand(argument: String) -> Expansion {
        misbehave(&argument).map_or(Expansion::Next, Expansion::Reply)
    }
}

impl Command for Misbehave {
    fn on_command(_verb: String, argument: String) -> Option<Reply> {
        misbehave(&argument)
    }
}

impl Observe for Misbehave {
    fn on_event(event: Event) {
        let is_outcome = matches!(event, Event::TransactionOutcome(_));
        if is_outcome
            && transaction::id().is_ok()
            && let Some(word) = word_for("observe")
        {
            misbehave(&word);
        }
    }
}

/// Misbehaves if told so; a reply that comes of it is a refusal.
fn verdict(word: Option<String>, otherwise: Verdict) -> Verdict {
    match word.as_deref() {
        None => otherwise,
        Some("defer-550") => Verdict::Defer(reply(550, "not now")),
        Some(word) => misbehave(word).map_or(otherwise, Verdict::Reject),
    }
}
