//! Python's smtplib.

use std::process::Command;

use crate::support::program::{program, run};
use crate::support::{Gateway, quickstart};

/// Logs in, sends a message to one who is there and one who is not, then to nobody who is there.
const SMTPLIB: &str = r#"
import smtplib, sys
from email.message import EmailMessage

message = EmailMessage()
message["Subject"] = "by smtplib"
message["From"] = "alice@example.org"
message["To"] = "bob@example.org, carol@example.org"
message.set_content("Gr\u00fc\u00dfe\n.\n.dot\n")
with smtplib.SMTP("127.0.0.1", int(sys.argv[1]), local_hostname="client.example", timeout=60) as smtp:
    try:
        smtp.login("alice@example.org", "looking-glass")
        print("let in")
    except smtplib.SMTPAuthenticationError as error:
        print("not let in", error.smtp_code)
    print("let in", smtp.login("alice@example.org", "wonderland")[0])
    for name, (code, text) in smtp.send_message(message).items():
        print("refused", name, code, text.decode())
    try:
        smtp.sendmail("alice@example.org", ["carol@example.org"], "Subject: x\n\nx\n")
        print("sent")
    except smtplib.SMTPRecipientsRefused as error:
        print("all refused", *error.recipients)
    print("then", smtp.noop()[0])
"#;

#[test]
fn smtplib_sends() {
    let Some(program) = program("python3", "python3") else { return };
    let gateway = Gateway::start(&quickstart());
    let ended = run(Command::new(program).args(["-I", "-c", SMTPLIB, &gateway.address.port().to_string()]));
    ended.expect(0, &[]);
    let said: Vec<&str> = ended.stdout.lines().collect();
    let [wrong, right, refused, all_refused, then] = said[..] else { panic!("{said:#?}") };
    assert_eq!((wrong, right, then), ("not let in 535", "let in 235", "then 250"));
    assert!(refused.starts_with("refused carol@example.org 550 5.1.1 "), "{refused}");
    assert_eq!(all_refused, "all refused carol@example.org");
    let messages = gateway.messages("mail/example.org/bob");
    let [message] = &messages[..] else { panic!("{messages:#?}") };
    assert!(message.contains(" with ESMTPA id ") && message.contains("\r\nSubject: by smtplib\r\n"), "{message}");
    assert!(message.ends_with("\r\n\r\nGr\u{fc}\u{df}e\r\n.\r\n.dot\r\n"), "{message}");
}

/// Sends to two and, as a client that queues does, again to whoever was deferred; prints who was.
const SMTPLIB_AGAIN: &str = r#"
import smtplib, sys

with smtplib.SMTP("127.0.0.1", int(sys.argv[1]), local_hostname="client.example", timeout=60) as smtp:
    left = ["alice@example.org", "bob@example.org"]
    while left:
        left = [name for name, (code, _) in smtp.sendmail("", left, "Subject: x\r\n\r\nx\r\n").items() if code == 452]
        print("left", *left)
"#;

#[test]
fn smtplib_sends_to_one_after_the_other() {
    let Some(program) = program("python3", "python3") else { return };
    let settings = quickstart().replace("chain = \"main\"", "chain = \"main\"\nmixed-outcomes = \"one-recipient\"");
    let gateway = Gateway::start(&settings);
    let ended = run(Command::new(program).args(["-I", "-c", SMTPLIB_AGAIN, &gateway.address.port().to_string()]));
    ended.expect(0, &[]);
    assert_eq!(ended.stdout.lines().map(str::trim_end).collect::<Vec<_>>(), ["left bob@example.org", "left"]);
    for mailbox in ["alice", "bob"] {
        assert_eq!(gateway.messages(&format!("mail/example.org/{mailbox}")).len(), 1, "{mailbox}");
    }
}
