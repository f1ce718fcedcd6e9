//! Does with the submit service what a local part says, and answers what came of it as a 450.
//!
//! | local part of the recipient | what is done |
//! |---|---|
//! | `early` | at RCPT: `relay` |
//! | `other` | at delivery: `relay` to a relay that is not granted |
//! | `nobody` | `relay` to no recipient |
//! | `notice` | `send` of a message of its own to `bob@example.org` |
//! | `smuggle` | `send` of one with a bare LF |
//! | `flood` | `send` of messages until that is refused |

use postgate_sdk::hook::{Deliver, Outcome, Recipient};
use postgate_sdk::submit::{self, Submission};
use postgate_sdk::{Mailbox, Parameter, Reply, ServiceError, Verdict, export};

struct Submit;

export!(Submit: recipient, deliver);

impl Recipient for Submit {
    fn on_recipient(recipient: Mailbox, _parameters: Vec<Parameter>) -> Verdict {
        if recipient.local_part == "early" {
            return Verdict::Defer(told(submit::relay("upstream", &[recipient])));
        }
        Verdict::Accept
    }
}

impl Deliver for Submit {
    fn on_deliver(recipients: Vec<Mailbox>) -> Vec<Outcome> {
        recipients.iter().map(|recipient| Outcome::Deferred(told(deed(recipient)))).collect()
    }
}

fn deed(recipient: &Mailbox) -> Result<Vec<Submission>, ServiceError> {
    let bob = Mailbox { local_part: "bob".to_owned(), domain: "example.org".to_owned() };
    let send = |text: &[u8]| submit::send("upstream", None, std::slice::from_ref(&bob), text);
    match recipient.local_part.as_str() {
        "other" => submit::relay("other", std::slice::from_ref(recipient)),
        "nobody" => submit::relay("upstream", &[]),
        "notice" => send(b"Subject: notice\r\n\r\nof its own\r\n.\r\n"),
        "smuggle" => send(b"Subject: notice\r\n\r\na\n.\nMAIL FROM:<>\r\n"),
        "flood" => loop {
            if let Err(error) = send(b"Subject: flood\r\n\r\n") {
                break Err(error);
            }
        },
        _ => submit::relay("upstream", std::slice::from_ref(recipient)),
    }
}

fn told(answer: Result<Vec<Submission>, ServiceError>) -> Reply {
    let text = match answer {
        Ok(submissions) => submissions.iter().map(submission).collect::<Vec<_>>().join(" "),
        Err(ServiceError::Denied(text)) => format!("denied {text}"),
        Err(ServiceError::Quota(text)) => format!("quota {text}"),
        Err(ServiceError::Unavailable(text)) => format!("unavailable {text}"),
        Err(ServiceError::Invalid(text)) => format!("invalid {text}"),
        Err(ServiceError::NotNow) => "not-now".to_owned(),
    };
    Reply::new(450, "4.2.0", &text)
}

fn submission(submission: &Submission) -> String {
    match submission {
        Submission::Taken(reply) => format!("taken {}", reply.code),
        Submission::Failed(reply) => format!("failed {}", reply.code),
        Submission::Deferred(reply) => format!("deferred {}", reply.code),
    }
}
