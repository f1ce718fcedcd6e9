//! The policy that the dialogues of `tests/dialogues` are written for, as a plugin.
//!
//! | what | names | answer |
//! |---|---|---|
//! | HELO name, local part of reverse-path or recipient | `no-CODE` | rejected with that code: `policy says no` |
//! | local part of reverse-path or recipient | `bye-CODE` | the same, and the connection is closed: `policy says bye` |
//! | local part of a recipient | `nobody` | no opinion |
//! | any other recipient | | accepted |
//! | password | `wonderland` | right, for every user |
//! | field `X-Verdict` of a message | `no-CODE` | rejected with that code |
//! | BDAT chunk | of 13 octets | rejected with 554 |
//! | verb | `XCOFFEE` | 250 |
//! | argument of VRFY and EXPN | `alice` | found |
//! | the same | `zoe`, `zoë` | found, with a mailbox beyond ASCII |
//! | anything before the banner | | rejected with 554 |
//! | token | `wonderland` | right, for every user |
//! | local part of a recipient, at delivery | `late-CODE` | failed with that code; all others are the next plugin's |

use postgate_sdk::hook::{
    Authenticate, Authentication, Chunk, Command, Connect, Credentials, Deliver, Expand, Expansion, Hello, HelloAnswer,
    Mail, Message, MessageVerdict, Outcome, Recipient, Verification, Verify,
};
use postgate_sdk::{DirectoryEntry, Mailbox, Parameter, Reply, Verdict, export, mail_data, session};

struct Policy;

export!(Policy: connect, hello, authenticate, mail, recipient, chunk, message, deliver, verify, expand, command);

impl Connect for Policy {
    fn on_connect() -> Verdict {
        if session::early_talker() { Verdict::Reject(no(554)) } else { Verdict::Next }
    }
}

impl Hello for Policy {
    fn on_hello() -> HelloAnswer {
        let name = session::hello().map(|hello| hello.name).unwrap_or_default();
        let label = name.split('.').next().unwrap_or_default();
        HelloAnswer { verdict: refusal(label).unwrap_or(Verdict::Next), keywords: Vec::new() }
    }
}

impl Authenticate for Policy {
    fn on_authenticate(_mechanism: String, credentials: Credentials) -> Authentication {
        match credentials {
            Credentials::Password(password) if password.password == "wonderland" => {
                Authentication::Identity(password.user)
            }
            Credentials::Password(_) => Authentication::Failure,
            Credentials::Token(token) if token.token == "wonderland" => {
                Authentication::Identity(if token.user.is_empty() { "token".to_owned() } else { token.user })
            }
            Credentials::Token(_) => Authentication::Failure,
            Credentials::Certificate(_) | Credentials::Scram(_) => Authentication::Next,
        }
    }
}

impl Mail for Policy {
    fn on_mail(reverse_path: Option<Mailbox>, _parameters: Vec<Parameter>) -> Verdict {
        reverse_path.and_then(|mailbox| refusal(&mailbox.local_part)).unwrap_or(Verdict::Next)
    }
}

impl Recipient for Policy {
    fn on_recipient(recipient: Mailbox, _parameters: Vec<Parameter>) -> Verdict {
        match recipient.local_part.as_str() {
            "nobody" => Verdict::Next,
            local_part => refusal(local_part).unwrap_or(Verdict::Accept),
        }
    }
}

impl Chunk for Policy {
    fn on_chunk(size: u64, _last: bool) -> Verdict {
        if size == 13 { Verdict::Reject(no(554)) } else { Verdict::Next }
    }
}

impl Message for Policy {
    fn on_message() -> MessageVerdict {
        let verdicts = mail_data::field("X-Verdict").unwrap_or_default();
        let code = verdicts.first().and_then(|value| code_behind("no-", String::from_utf8_lossy(value).trim()));
        code.map_or(MessageVerdict::Next, |code| MessageVerdict::Reject(no(code)))
    }
}

impl Deliver for Policy {
    fn on_deliver(recipients: Vec<Mailbox>) -> Vec<Outcome> {
        recipients.iter().map(|recipient| late(recipient).unwrap_or(Outcome::Next)).collect()
    }
}

fn late(recipient: &Mailbox) -> Option<Outcome> {
    let code = code_behind("late-", &recipient.local_part)?;
    Some(if code < 500 { Outcome::Deferred(no(code)) } else { Outcome::Failed(no(code)) })
}

impl Verify for Policy {
    fn on_verify(argument: String) -> Verification {
        person(&argument).map_or(Verification::Next, Verification::Found)
    }
}

impl Expand for Policy {
    fn on_expand(argument: String) -> Expansion {
        person(&argument).map_or(Expansion::Next, |person| Expansion::Members(vec![person]))
    }
}

impl Command for Policy {
    fn on_command(verb: String, _argument: String) -> Option<Reply> {
        (verb == "XCOFFEE").then(|| Reply::new(250, "2.0.0", "policy says coffee"))
    }
}

/// What a name asks for.
fn refusal(name: &str) -> Option<Verdict> {
    if let Some(code) = code_behind("no-", name) {
        return Some(Verdict::Reject(no(code)));
    }
    code_behind("bye-", name).map(|code| Verdict::Disconnect(reply(code, "policy says bye")))
}

/// The three digits of `no-550`.
fn code_behind(prefix: &str, name: &str) -> Option<u16> {
    name.strip_prefix(prefix).filter(|digits| digits.len() == 3)?.parse().ok()
}

fn no(code: u16) -> Reply {
    reply(code, "policy says no")
}

/// The host writes the enhanced status.
fn reply(code: u16, text: &str) -> Reply {
    Reply { code, enhanced: None, text: vec![text.to_owned()] }
}

fn person(argument: &str) -> Option<DirectoryEntry> {
    let (full_name, local_part) = match argument {
        "alice" => (Some("Alice"), "alice"),
        "zoe" | "zo\u{eb}" => (None, "zo\u{eb}"),
        _ => return None,
    };
    let mailbox = Mailbox { local_part: local_part.to_owned(), domain: "example.org".to_owned() };
    Some(DirectoryEntry { full_name: full_name.map(str::to_owned), mailbox })
}
