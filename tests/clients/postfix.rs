//! Postfix as the relay before us: a whole instance of it in a scratch directory, with a queue of its own, that hands over its mail
//! below TLS, keeps what is deferred, and reports what is refused.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Tls;
use crate::support::program::{program, run, run_with_input};
use crate::support::{Gateway, skip};
use crate::tls::{OWN, gateway};

/// An instance that runs; dropping it ends it.
pub(crate) struct Postfix {
    /// Its configuration, queue and data.
    pub home: tempfile::TempDir,
    child: Child,
    log: Receiver<String>,
    reader: Option<JoinHandle<()>>,
    /// `postfix`, which the other programs are beside.
    program: PathBuf,
}

impl Postfix {
    /// Starts one that hands all mail to the gateway, if this machine has Postfix and lets us.
    fn start(gateway: &Gateway) -> Option<Self> {
        let authority = gateway.data.path().join("ca.pem");
        let main = MAIN
            .replace("AUTHORITY", &authority.display().to_string())
            .replace("PORT", &gateway.address.port().to_string());
        Self::run(&main, MASTER, |_| {})
    }

    /// Starts one with this configuration, in which `HOME` is its directory and `OWNER` the user and the group that it runs as.
    pub(crate) fn run(main: &str, master: &str, prepare: impl FnOnce(&Path)) -> Option<Self> {
        let program = program("postfix", "postfix")?;
        if !rustix::process::geteuid().is_root() {
            skip("Postfix starts for root only");
            return None;
        }
        let home = tempfile::tempdir().unwrap();
        // Most of its programs give up being root.
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(home.path().join("queue")).unwrap();
        let owner = owner(&program);
        for name in ["data", "mail"] {
            let folder = home.path().join(name);
            fs::create_dir(&folder).unwrap();
            chown(&folder, Some(owner), None).unwrap();
        }
        prepare(home.path());
        let main = main.replace("HOME", &home.path().display().to_string()).replace("OWNER", &owner.to_string());
        fs::write(home.path().join("main.cf"), main).unwrap();
        fs::write(home.path().join("master.cf"), master).unwrap();

        let mut command = Command::new(&program);
        command.arg("-c").arg(home.path()).arg("start-fg").stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().expect("Postfix runs");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let (sender, log) = mpsc::channel();
        // Reads to the end even if nobody listens, so that Postfix never waits for its log.
        let reader = std::thread::spawn(move || {
            for line in lines {
                let _ = sender.send(line.expect("the log is UTF-8"));
            }
        });
        let postfix = Self { home, child, log, reader: Some(reader), program };
        postfix.wait_log("daemon started", 1);
        Some(postfix)
    }

    /// Waits for so many lines of the log with this text; answers them.
    #[track_caller]
    pub(crate) fn wait_log(&self, text: &str, count: usize) -> Vec<String> {
        let (mut found, mut before) = (Vec::new(), Vec::new());
        while found.len() < count {
            match self.log.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => found.push(line),
                Ok(line) => before.push(line),
                Err(error) => panic!("{text:?} is not logged: {error}\n{}", before.join("\n")),
            }
        }
        found
    }

    fn command(&self, name: &str, option: &str) -> Command {
        let mut command = Command::new(self.program.with_file_name(name));
        command.arg(option).arg(self.home.path());
        command
    }

    /// A message from Alice, as a program of this machine would send it.
    #[track_caller]
    fn send(&self, subject: &str, recipients: &[&str]) {
        let mut command = self.command("sendmail", "-C");
        command.args(["-i", "-f", "alice@example.org"]).args(recipients);
        let ended = run_with_input(&mut command, &format!("Subject: {subject}\n\n.\n..two\nGr\u{fc}\u{df}e\n"));
        assert_eq!(ended.code, Some(0), "{ended:#?}");
    }

    /// What is in its queue.
    fn queue(&self) -> String {
        run(self.command("postqueue", "-c").arg("-p")).stdout
    }

    /// Tries what is in its queue, until there is a line of the log with this text. What is still being written down after the attempt before is skipped at first.
    #[track_caller]
    fn retry(&self, text: &str) -> String {
        self.flush();
        loop {
            match self.log.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) if line.contains("skipped, still being delivered") => self.flush(),
                Ok(_) => {}
                Err(error) => panic!("{text:?} is not logged: {error}"),
            }
        }
    }

    /// Tries at once what is in its queue.
    fn flush(&self) {
        run(self.command("postqueue", "-c").arg("-f")).expect(0, &[]);
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // It has left a process group of its own: it is asked to end, and takes all of its processes with it.
        let _ = self.command("postfix", "-c").arg("stop").stdout(Stdio::null()).stderr(Stdio::null()).status();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// The user that Postfix runs as: its data directory must be his. That of the system's own instance has the right one.
fn owner(postfix: &Path) -> u32 {
    let directory = run(Command::new(postfix.with_file_name("postconf")).args(["-dh", "data_directory"])).stdout;
    fs::metadata(directory.trim()).expect("the data directory of the package").uid()
}

/// The subjects of a mailbox's messages, each of which came below TLS.
fn subjects(gateway: &Gateway, mailbox: &str) -> Vec<String> {
    let messages = gateway.messages(&format!("mail/example.org/{mailbox}"));
    let mut subjects: Vec<_> = messages
        .iter()
        .map(|message| {
            assert!(message.contains(" (Postgate) with ESMTPS id "), "{message}");
            let subject = message.lines().find_map(|line| line.strip_prefix("Subject: "));
            subject.unwrap_or_else(|| panic!("{message}")).to_owned()
        })
        .collect();
    subjects.sort_unstable();
    subjects
}

#[test]
fn postfix_hands_over() {
    let (gateway, _) = Tls::Later.gateway();
    let Some(postfix) = Postfix::start(&gateway) else { return };
    for subject in ["1", "2", "3", "4", "5"] {
        postfix.send(subject, &["alice@example.org", "bob@example.org"]);
    }
    let sent = postfix.wait_log("status=", 10);
    let is_taken = |line: &String| line.contains("status=sent (250 2.0.0 Taken as ");
    assert!(sent.iter().all(is_taken), "{sent:#?}");
    // The last line of a message; those of the first may have come before.
    while !postfix.queue().contains("Mail queue is empty") {}
    for mailbox in ["alice", "bob"] {
        assert_eq!(subjects(&gateway, mailbox), ["1", "2", "3", "4", "5"], "{mailbox}");
    }
    let messages = gateway.messages("mail/example.org/bob");
    for message in messages {
        assert!(message.starts_with("Return-Path: <alice@example.org>\r\nReceived: from relay.example "), "{message}");
        assert!(message.ends_with("\r\n\r\n.\r\n..two\r\nGr\u{fc}\u{df}e\r\n"), "{message}");
    }
}

/// What nobody may know of a recipient, Postfix learns at RCPT, and tells the sender in a report with the null reverse-path.
#[test]
fn postfix_reports_what_is_refused() {
    let (gateway, _) = Tls::Later.gateway();
    let Some(postfix) = Postfix::start(&gateway) else { return };
    postfix.send("to two", &["bob@example.org", "carol@example.org"]);
    let statuses = postfix.wait_log("status=", 3).join("\n");
    assert!(statuses.contains("to=<carol@example.org>") && statuses.contains("status=bounced"), "{statuses}");
    assert_eq!(subjects(&gateway, "bob"), ["to two"]);
    let reports = gateway.messages("mail/example.org/alice");
    let [report] = &reports[..] else { panic!("{reports:#?}") };
    assert!(report.starts_with("Return-Path: <>\r\n") && report.contains("multipart/report"), "{report}");
    assert!(report.contains("\r\nDiagnostic-Code: smtp; 550 5.1.1 "), "{report}");
}

/// 451 to the mail data: the message stays with Postfix until there is a place for it.
#[test]
fn postfix_keeps_what_is_deferred() {
    let (gateway, _) = Tls::Later.gateway();
    let Some(postfix) = Postfix::start(&gateway) else { return };
    let mailboxes = gateway.data.path().join("mail/example.org");
    fs::create_dir_all(&mailboxes).unwrap();
    fs::write(mailboxes.join("bob"), "in the way").unwrap();
    postfix.send("later", &["bob@example.org"]);
    let deferred = postfix.wait_log("status=", 1);
    assert!(deferred[0].contains("status=deferred") && deferred[0].contains(" said: 451 4.3.0 "), "{deferred:#?}");
    let queue = postfix.queue();
    assert!(queue.contains("451 4.3.0 ") && queue.contains("bob@example.org"), "{queue}");
    assert_eq!(subjects(&gateway, "bob"), [""; 0]);

    fs::remove_file(mailboxes.join("bob")).unwrap();
    let sent = postfix.retry("status=");
    assert!(sent.contains("status=sent (250 2.0.0 Taken as "), "{sent}");
    while !postfix.queue().contains("Mail queue is empty") {}
    assert_eq!(subjects(&gateway, "bob"), ["later"]);
}

/// 452 to a recipient too many (RFC 5321 section 4.5.3.1.10): the others get the message, and it gets it by the next attempt.
#[test]
fn postfix_tries_again_for_the_recipients_that_were_too_many() {
    let (gateway, _) = gateway(&format!("{OWN}limits = {{ recipients = 1 }}\nextensions-off = [\"LIMITS\"]\n"));
    let Some(postfix) = Postfix::start(&gateway) else { return };
    postfix.send("to two", &["alice@example.org", "bob@example.org"]);
    let first = postfix.wait_log("status=", 2).join("\n");
    assert!(first.contains("status=sent (250 ") && first.contains("status=deferred"), "{first}");
    assert!(first.contains(" said: 452 4.5.3 "), "{first}");
    assert_eq!(subjects(&gateway, "alice").len() + subjects(&gateway, "bob").len(), 1);
    let second = postfix.retry("status=");
    assert!(second.contains("status=sent (250 2.0.0 Taken as "), "{second}");
    for mailbox in ["alice", "bob"] {
        assert_eq!(subjects(&gateway, mailbox), ["to two"], "{mailbox}");
    }
}

/// Longer than anything takes on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything goes to the gateway, below TLS, if its certificate is right. Postfix asks for that of a name, also where it was told
/// an address.
const MAIN: &str = "\
compatibility_level = 3.6
myhostname = relay.example
mydestination =
inet_protocols = ipv4
queue_directory = HOME/queue
data_directory = HOME/data
maillog_file = /dev/stdout
alias_maps =
alias_database =
relayhost = [127.0.0.1]:PORT
smtp_tls_security_level = secure
smtp_tls_secure_cert_match = mx.example.org
smtp_tls_CAfile = AUTHORITY
";

/// Its programs, of which none listens to the network.
const MASTER: &str = "\
pickup  unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr    unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce  unix - - n - 0 bounce
defer   unix - - n - 0 bounce
trace   unix - - n - 0 bounce
smtp    unix - - n - - smtp
showq   unix n - n - - showq
error   unix - - n - - error
retry   unix - - n - - error
tlsmgr  unix - - n 1000? 1 tlsmgr
scache  unix - - n - 1 scache
flush   unix n - n 1000? 0 flush
postlog unix-dgram n - n - 1 postlogd
";
