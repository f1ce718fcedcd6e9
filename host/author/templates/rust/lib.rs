//! @@NAME@@: a plugin for Postgate.
//!
//! A hook is a trait of `postgate_sdk::hook` with one function, which is called at its moment of the SMTP dialogue; `export!` names
//! those that the component has. What the arguments don't say is asked of `session` and `transaction`, and of `mail_data` and `parts`
//! once the message is there.

//@hook verify expand
use postgate_sdk::DirectoryEntry;
//@end
//@hook mail recipient deliver verify expand
use postgate_sdk::Mailbox;
//@end
//@hook mail recipient
use postgate_sdk::Parameter;
//@end
//@hook command
use postgate_sdk::Reply;
//@end
//@hook connect hello starttls mail recipient data chunk
use postgate_sdk::Verdict;
//@end
//@hook setup
use postgate_sdk::config;
//@end
//@hook recipient
use postgate_sdk::config::Configuration;
//@end
//@hook starttls deliver observe
use postgate_sdk::log;
//@end
//@hook command
use postgate_sdk::reply;
//@end
//@hook connect hello starttls
use postgate_sdk::session;
//@end
//@hook data
use postgate_sdk::transaction;
//@end
//@hook message
use postgate_sdk::{editor, parts};
//@end
use postgate_sdk::{export, hook};

struct Plugin;

export!(Plugin: @@HOOKS@@);

//@hook setup recipient
/// The table `[plugin.@@NAME@@.config]`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    /// The domain whose mail is taken.
    domain: String,
}

//@hook recipient
static SETTINGS: Configuration<Settings> = Configuration::new();

//@end
//@end
//@hook setup
impl hook::Setup for Plugin {
    /// The plugin has been loaded, there is no client yet. Answers what is wrong with its configuration; nothing is well.
    fn on_setup() -> Vec<hook::SettingProblem> {
        match config::read::<Settings>() {
            Ok(settings) if settings.domain.contains('@') => {
                let message = "a domain such as \"example.org\", not a mailbox".to_owned();
                vec![hook::SettingProblem { path: vec!["domain".to_owned()], message }]
            }
            Ok(_) | Err(_) => config::problems::<Settings>(),
        }
    }
}

//@end
//@hook connect
impl hook::Connect for Plugin {
    /// A client has connected, before the banner. Any verdict.
    fn on_connect() -> Verdict {
        let client = session::remote().address;
        if client == "192.0.2.66" {
            return Verdict::reject(554, "5.7.1", &format!("no mail from {client}"));
        }
        Verdict::Next
    }
}

//@end
//@hook hello
impl hook::Hello for Plugin {
    /// HELO, EHLO or LHLO. Any verdict, and lines that the EHLO reply shall have besides those of the host.
    fn on_hello() -> hook::HelloAnswer {
        let is_localhost = session::hello().is_some_and(|hello| hello.name == "localhost");
        let verdict = if is_localhost { Verdict::reject(550, "5.7.1", "you are not localhost") } else { Verdict::Next };
        hook::HelloAnswer { verdict, keywords: vec!["XSAMPLE".to_owned()] }
    }
}

//@end
//@hook starttls
impl hook::Starttls for Plugin {
    /// STARTTLS, before the handshake. Any verdict.
    fn on_starttls() -> Verdict {
        log!(info, "handshake begins", client = session::remote().address);
        Verdict::Next
    }
}

//@end
//@hook authenticate
impl hook::Authenticate for Plugin {
    /// AUTH: who the client is, or that these are nobody's credentials; `Next` where the plugin does not know the user.
    ///
    /// A real plugin has no passwords in its text: see `postgate_sdk::passwords`.
    fn on_authenticate(_mechanism: String, credentials: hook::Credentials) -> hook::Authentication {
        match credentials {
            hook::Credentials::Password(given) if given.user == "alice" => {
                if given.password == "wonderland" {
                    hook::Authentication::Identity("alice".to_owned())
                } else {
                    hook::Authentication::Failure
                }
            }
            _ => hook::Authentication::Next,
        }
    }
}

//@end
//@hook mail
impl hook::Mail for Plugin {
    /// MAIL FROM; the null reverse-path of notifications is `None`. Any verdict.
    fn on_mail(reverse_path: Option<Mailbox>, _parameters: Vec<Parameter>) -> Verdict {
        if reverse_path.is_some_and(|path| path.domain == "spam.example") {
            return Verdict::reject(550, "5.7.1", "no mail from spam.example");
        }
        Verdict::Next
    }
}

//@end
//@hook recipient
impl hook::Recipient for Plugin {
    /// RCPT TO, once for each. Any verdict. A recipient that no plugin accepts is refused.
    fn on_recipient(recipient: Mailbox, _parameters: Vec<Parameter>) -> Verdict {
        Verdict::decide(|| {
            if recipient.domain != SETTINGS.load()?.domain {
                return Ok(Verdict::Next);
            }
            Ok(match recipient.local_part.as_str() {
                "nobody" => Verdict::reject(550, "5.1.1", "no such user"),
                "later" => Verdict::defer(450, "4.2.1", "come again later"),
                _ => Verdict::Accept,
            })
        })
    }
}

//@end
//@hook data
impl hook::Data for Plugin {
    /// DATA, or the first BDAT, before any mail data. Any verdict.
    fn on_data() -> Verdict {
        Verdict::decide(|| {
            if transaction::reverse_path()?.is_none() && transaction::recipients()?.len() > 1 {
                return Ok(Verdict::reject(550, "5.7.1", "a notification has one recipient"));
            }
            Ok(Verdict::Next)
        })
    }
}

//@end
//@hook chunk
impl hook::Chunk for Plugin {
    /// BDAT, before its octets. Any verdict.
    fn on_chunk(size: u64, _last: bool) -> Verdict {
        if size > 1_000_000 {
            return Verdict::reject(552, "5.3.4", "send smaller chunks");
        }
        Verdict::Next
    }
}

//@end
//@hook message
impl hook::Message for Plugin {
    /// The message is there, and can be read and edited. A verdict, or that it is discarded or kept for a person.
    fn on_message() -> hook::MessageVerdict {
        hook::MessageVerdict::decide(|| {
            if parts::field("Subject")?.iter().any(|subject| subject.contains("casino")) {
                return Ok(hook::MessageVerdict::reject(550, "5.7.1", "no casinos"));
            }
            editor::append_field("X-Checked-By", b"@@NAME@@")?;
            Ok(hook::MessageVerdict::Next)
        })
    }
}

//@end
//@hook deliver
impl hook::Deliver for Plugin {
    /// Hands the message over: one outcome for each recipient, in the same order.
    ///
    /// This sample stores NOTHING: whoever answers `Delivered` must have the message safe. See `postgate_sdk::maildir` and `submit`.
    fn on_deliver(recipients: Vec<Mailbox>) -> Vec<hook::Outcome> {
        let outcome = |recipient: &Mailbox| {
            if recipient.local_part == "full" {
                return hook::Outcome::deferred(452, "4.2.2", "mailbox full");
            }
            log!(info, "delivered", recipient = recipient);
            hook::Outcome::Delivered
        };
        recipients.iter().map(outcome).collect()
    }
}

//@end
//@hook verify expand
fn entry(full_name: &str, local_part: &str) -> DirectoryEntry {
    let mailbox = Mailbox { local_part: local_part.to_owned(), domain: "example.org".to_owned() };
    DirectoryEntry { full_name: Some(full_name.to_owned()), mailbox }
}

//@end
//@hook verify
impl hook::Verify for Plugin {
    /// VRFY: a mailbox, or a reply.
    fn on_verify(argument: String) -> hook::Verification {
        match argument.as_str() {
            "alice" => hook::Verification::Found(entry("Alice", "alice")),
            _ => hook::Verification::Next,
        }
    }
}

//@end
//@hook expand
impl hook::Expand for Plugin {
    /// EXPN: the members of a list, or a reply.
    fn on_expand(argument: String) -> hook::Expansion {
        match argument.as_str() {
            "staff" => hook::Expansion::Members(vec![entry("Alice", "alice"), entry("Bob", "bob")]),
            _ => hook::Expansion::Next,
        }
    }
}

//@end
//@hook command
impl hook::Command for Plugin {
    /// A verb that the host does not know. A reply, or `None` where the plugin does not know it either.
    fn on_command(verb: String, argument: String) -> Option<Reply> {
        (verb == "XSAMPLE").then(|| reply!(250, "2.0.0", "you said {argument}"))
    }
}

//@end
//@hook observe
impl hook::Observe for Plugin {
    /// Something has happened; nothing can be changed any more.
    fn on_event(event: hook::Event) {
        match event {
            hook::Event::TransactionReset => log::info("transaction reset", &[]),
            hook::Event::TransactionOutcome(fates) => {
                let fate = |fate: &hook::RecipientFate| format!("{:?}", fate.fate).to_lowercase();
                let words: Vec<_> = fates.iter().map(|one| (one.recipient.to_string(), fate(one))).collect();
                let fields: Vec<_> = words.iter().map(|(name, fate)| (name.as_str(), fate.as_str())).collect();
                log::info("transaction ended", &fields);
            }
            hook::Event::SessionEnd(end) => {
                log!(info, "session ended", end = format!("{end:?}").to_lowercase());
            }
        }
    }
}

//@end
//@hook recipient message
#[cfg(test)]
mod tests {
    use postgate_sdk::testing::Scene;

    use super::*;

    //@hook recipient
    #[test]
    fn recipients() {
        let scene = Scene::new().config(std::collections::BTreeMap::from([("domain", "example.org")]));
        let ask = |recipient: &str| {
            let recipient = Mailbox::parse(recipient).unwrap();
            scene.play(|| <Plugin as hook::Recipient>::on_recipient(recipient, Vec::new()))
        };
        assert_eq!(ask("alice@example.org"), Verdict::Accept);
        assert_eq!(ask("nobody@example.org"), Verdict::reject(550, "5.1.1", "no such user"));
        assert_eq!(ask("alice@elsewhere.example"), Verdict::Next);
    }

    //@end
    //@hook message
    #[test]
    fn messages() {
        let tea = Scene::new().message("Subject: tea\n\nAt six?\n");
        assert_eq!(tea.play(<Plugin as hook::Message>::on_message), hook::MessageVerdict::Next);
        assert_eq!(tea.message_text(), "Subject: tea\r\nX-Checked-By: @@NAME@@\r\n\r\nAt six?\r\n");
        let casino = Scene::new().message("Subject: win at the casino\n\nNow!\n");
        let refused = hook::MessageVerdict::reject(550, "5.7.1", "no casinos");
        assert_eq!(casino.play(<Plugin as hook::Message>::on_message), refused);
    }
    //@end
}
//@end
