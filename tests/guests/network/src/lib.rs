//! Asks what it is told to, and answers with what it hears.
//!
//! | what | means |
//! |---|---|
//! | recipient `addresses=NAME`, `texts=NAME`, `mail-exchanges=NAME`, `names=ADDRESS`, `confirmed-names=ADDRESS`, `listings=SUBJECT/ZONE` at `dns.test` | the function of that name; 550 with the answer |
//! | recipient `iprev` or `spf` at `dns.test` | the result; 550 with it |
//! | any other recipient | accepted |
//! | field `X-Ask` of a message | each word of it: `dkim`, `dmarc`, `arc`, `results`, `sign=KEY`, `seal=KEY`, `forged`, `trap`; 554 with the answers, unless one is `pass` |

use postgate_sdk::hook::{Message, MessageVerdict, Recipient};
use postgate_sdk::{Mailbox, Parameter, Reply, Verdict, dns, export, mail_authentication, mail_data, signing};

struct Network;

export!(Network: recipient, message);

impl Recipient for Network {
    fn on_recipient(recipient: Mailbox, _parameters: Vec<Parameter>) -> Verdict {
        if recipient.domain != "dns.test" {
            return Verdict::Accept;
        }
        let (what, argument) = recipient.local_part.split_once('=').unwrap_or((&recipient.local_part, ""));
        let answer = match what {
            "addresses" => format!("{:?}", dns::addresses(argument)),
            "texts" => format!(
                "{:?}",
                dns::texts(argument).map(|texts| texts
                    .iter()
                    .map(|text| String::from_utf8_lossy(text).into_owned())
                    .collect::<Vec<_>>())
            ),
            "mail-exchanges" => format!("{:?}", dns::mail_exchanges(argument)),
            "names" => format!("{:?}", dns::names(argument)),
            "confirmed-names" => format!("{:?}", dns::confirmed_names(argument)),
            "listings" => {
                let (subject, zone) = argument.split_once('/').unwrap_or((argument, ""));
                format!("{:?}", dns::listings(subject, zone))
            }
            "iprev" => format!("{:?}", mail_authentication::iprev()),
            "spf" => format!("{:?}", mail_authentication::spf()),
            "dkim" => format!("{:?}", mail_authentication::dkim()),
            "sign" => format!("{:?}", signing::dkim_sign(argument)),
            _ => return Verdict::Accept,
        };
        Verdict::Reject(Reply { code: 550, enhanced: None, text: lines(&answer) })
    }
}

impl Message for Network {
    fn on_message() -> MessageVerdict {
        let asked = mail_data::field("X-Ask").unwrap_or_default().concat();
        let asked = String::from_utf8_lossy(&asked).into_owned();
        let mut answers = Vec::new();
        for word in asked.split_whitespace() {
            let (what, argument) = word.split_once('=').unwrap_or((word, ""));
            answers.push(match what {
                "dkim" => format!("{:?}", mail_authentication::dkim()),
                "dmarc" => format!("{:?}", mail_authentication::dmarc()),
                "arc" => format!("{:?}", mail_authentication::arc()),
                "results" => format!("{:?}", mail_authentication::results_field()),
                "sign" => format!("{:?}", signing::dkim_sign(argument)),
                "seal" => format!("{:?}", signing::arc_seal(argument)),
                "forged" => format!("{:?}", mail_authentication::remove_forged()),
                "trap" => panic!("as the message asks for"),
                _ => return MessageVerdict::Next,
            });
        }
        if answers.is_empty() {
            return MessageVerdict::Next;
        }
        MessageVerdict::Reject(Reply { code: 554, enhanced: None, text: lines(&answers.join("; ")) })
    }
}

/// As many lines as a reply may have.
fn lines(text: &str) -> Vec<String> {
    let text: Vec<char> = text.chars().collect();
    text.chunks(400).take(16).map(|line| line.iter().collect()).collect()
}
