//! The binary itself: how it starts, stops, dies, and what its commands say.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use rustix::process::Signal;

use crate::misbehaviour::base64;
use crate::support::mailbox::{Stored, new_files};
use crate::support::process::{Ended, Process, postgate, quickstart_settings};
use crate::support::{Client, component, root};

/// The quickstart's configuration.
fn quickstart_file() -> String {
    root().join("examples/quickstart/postgate.toml").display().to_string()
}

/// A command about the quickstart's configuration, with these further settings.
fn about_quickstart(command: &[&str], settings: &[&str]) -> Ended {
    let data = tempfile::tempdir().unwrap();
    let (file, known) = (quickstart_file(), quickstart_settings(data.path()));
    let mut arguments = [command, &["--config", &file]].concat();
    for setting in known.iter().map(String::as_str).chain(settings.iter().copied()) {
        arguments.extend(["--set", setting]);
    }
    postgate(&arguments, "")
}

fn stopped_by(signal: Signal) {
    let data = tempfile::tempdir().unwrap();
    let process = Process::start(data.path(), &[]);
    let mut idle = Client::connect(process.address);
    let mut busy = Client::connect(process.address);
    idle.expect("EHLO client.example", "250");
    busy.expect("EHLO client.example", "250");
    busy.expect("MAIL FROM:<alice@example.org>", "250");
    busy.expect("RCPT TO:<bob@example.org>", "250");
    process.signal(signal);
    assert!(idle.reply().starts_with("421 4.3.2 "));
    assert!(idle.is_closed());
    assert!(TcpStream::connect(process.address).is_err(), "nobody is let in any more");
    busy.expect("DATA", "354");
    busy.expect("Subject: last\r\n\r\nx\r\n.", "250");
    assert!(busy.reply().starts_with("421 4.3.2 "));
    assert!(busy.is_closed());
    let (status, log) = process.wait();
    assert_eq!(status.code(), Some(0), "{log:#?}");
    assert!(
        log.iter().any(|line| line.contains("\"message\":\"stopped\"") && line.contains("\"cut_off\":0")),
        "{log:#?}"
    );
    assert_eq!(new_files(&data.path().join("mail/example.org/bob")).len(), 1);
}

#[test]
fn sigterm_stops_in_good_order() {
    stopped_by(Signal::TERM);
}

#[test]
fn sigint_stops_in_good_order() {
    stopped_by(Signal::INT);
}

#[test]
fn a_session_that_does_not_finish_is_cut_off() {
    let data = tempfile::tempdir().unwrap();
    let process = Process::start(data.path(), &["shutdown-grace=100 ms"]);
    let mut slow = Client::connect(process.address);
    slow.expect("EHLO client.example", "250");
    slow.expect("MAIL FROM:<>", "250");
    slow.expect("RCPT TO:<bob@example.org>", "250");
    slow.expect("DATA", "354");
    slow.send(b"Subject: never ends\r\n");
    process.signal(Signal::TERM);
    assert!(slow.is_closed());
    let (status, log) = process.wait();
    assert_eq!(status.code(), Some(0), "{log:#?}");
    let told =
        |line: &&String| line.contains("sessions cut off after the grace time") && line.contains("\"sessions\":1");
    assert_eq!(log.iter().filter(told).count(), 1, "{log:#?}");
    assert_eq!(new_files(data.path()).len(), 0);
}

#[test]
fn wrong_configurations_are_told_by_place() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("wrong.toml").display().to_string();
    let text = fs::read_to_string(quickstart_file()).unwrap().replace("auth-in-clear", "auth-in-claer");
    let text = text.replace("\"policy\", \"delivery\"]", "\"polcy\", \"delivery\"]");
    fs::write(&file, text).unwrap();
    let place = |text: &str| {
        let lines = fs::read_to_string(&file).unwrap();
        let (n, line) = lines.lines().enumerate().find(|(_, line)| line.contains(text)).unwrap();
        format!("{file}:{}:{}: ", n + 1, line.find(text).unwrap() + 1)
    };
    let expected = [
        format!("{}unknown setting \"auth-in-claer\"\n", place("auth-in-claer")),
        format!("{}there is no plugin \"polcy\"\n", place("\"polcy\"")),
        "= did you mean \"auth-in-clear\"?\n".to_owned(),
        "= did you mean \"policy\"?\n".to_owned(),
        "| plugins = [\"auth\", \"polcy\", \"delivery\"]\n".to_owned(),
        "\n2 errors\n".to_owned(),
    ];
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    for command in ["run", "check", "explain"] {
        postgate(&[command, "--config", &file], "").expect(78, &expected);
    }
}

#[test]
fn wrong_settings_of_the_command_line_are_told_too() {
    let ended = about_quickstart(&["run"], &["listener.smpt.bind=127.0.0.1:0", "shutdown-grace=soon"]);
    ended.expect(78, &["--set", "listener.smpt.bind=127.0.0.1:0", "shutdown-grace=soon", "a period such as"]);
    postgate(&["run", "--config", "/nonexistent/postgate.toml"], "")
        .expect(78, &["/nonexistent/postgate.toml: can't be read: No such file"]);
}

#[test]
fn a_port_in_use() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    // 71, not 78: it may be free soon, so whoever supervises may start us again.
    let ended = about_quickstart(&["run"], &[&format!("listener.smtp.bind={address}")]);
    ended.expect(71, &[&format!("{address} can't be listened on: Address already in use"), "ss -ltnp"]);
}

#[test]
fn a_component_that_is_not_there() {
    for command in ["run", "check", "explain"] {
        let ended = about_quickstart(&[command], &["plugin.policy.component=nowhere.wasm"]);
        ended.expect(
            78,
            &[
                "plugin \"policy\": ",
                "nowhere.wasm can't be read: No such file",
                "plugin.policy.component=nowhere.wasm",
            ],
        );
    }
}

#[test]
fn the_quickstart_is_good() {
    let ended = about_quickstart(&["check"], &[]);
    ended.expect(0, &["postgate.toml is good: 1 listener, 1 chain, 3 plugins\n"]);
    assert_eq!(ended.stdout.lines().count(), 1, "{}", ended.stdout);
    let ended = about_quickstart(&["check"], &["plugin.delivery.grants=[\"log\", \"config\"]"]);
    ended.expect(78, &["imports postgate:mail/maildir@0.1.0, which was not granted", "{ maildir = \"mail\" }"]);
    let ended = about_quickstart(&["check"], &["chain.main.plugins=[\"auth\", \"policy\"]"]);
    ended.expect(0, &["warning: ", "delivery"]);
}

#[test]
fn explain_tells_who_is_asked() {
    let ended = about_quickstart(&["explain"], &[]);
    let row = |begin: &str| {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let row = ended.stdout.lines().map(words).find(|line| line.starts_with(begin));
        row.unwrap_or_else(|| panic!("{begin} is not in:\n{}", ended.stdout))
    };
    ended.expect(0, &["listener smtp\n"]);
    assert!(row("authenticate ").starts_with("authenticate auth 535"));
    assert!(row("recipient ").starts_with("recipient policy 550 5.7.1"));
    assert!(row("expand ").starts_with("expand - 502"));
    assert!(row("deliver ").starts_with("deliver delivery "));
    assert!(row("auth session ").contains("log, config, passwords "));
    assert!(row("delivery defer ").ends_with("defer defer defer defer defer"));

    let ended = about_quickstart(&["explain", "--json", "smtp"], &[]);
    ended.expect(0, &[]);
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(json["listeners"][0]["plugins"][2]["name"], "delivery");
    about_quickstart(&["explain", "submission"], &[])
        .expect(64, &["there is no listener \"submission\"; there are: smtp"]);
}

#[test]
fn inspect_tells_what_a_component_needs() {
    let maildir = component("maildir").display().to_string();
    let ended = postgate(&["inspect", &maildir], "");
    ended.expect(0, &["hooks       deliver\n", "{ maildir = \"mail\" }", "postgate:mail/maildir@0.1.0", "sha256"]);
    let ended = postgate(&["inspect", "--json", &component("static-auth").display().to_string()], "");
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(json["hooks"], serde_json::json!(["authenticate"]));
    postgate(&["inspect", &quickstart_file()], "").expect(65, &["it is a text; a plugin is a component"]);
    postgate(&["inspect", "/nonexistent.wasm"], "").expect(66, &["/nonexistent.wasm can't be read"]);
}

/// Whose hash is made by `postgate password` is let in by it.
#[test]
fn a_password_opens_the_door() {
    let ended = postgate(&["password"], "drink me\n");
    ended.expect(0, &["$argon2id$v=19$m=19456,t=2,p=1$"]);
    let data = tempfile::tempdir().unwrap();
    let setting = format!("plugin.auth.config.users.\"carol@example.org\"={}", ended.stdout.trim_end());
    let process = Process::start(data.path(), &[&setting]);
    let mut client = Client::connect(process.address);
    client.expect("EHLO client.example", "250");
    for (password, code) in [("wonderland", "535 5.7.8"), ("drink me", "235 2.7.0")] {
        let message = base64(format!("\0carol@example.org\0{password}").as_bytes());
        client.expect(&format!("AUTH PLAIN {message}"), code);
    }
    postgate(&["password"], "\n").expect(65, &["there is no password"]);
}

#[test]
fn reference_version_and_help() {
    let ended = postgate(&["reference"], "");
    ended.expect(0, &["[listener.smtp]", "[chain.main]", "shutdown-grace"]);
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("reference.toml");
    fs::write(&file, &ended.stdout).unwrap();
    let plugins = component("virtual-domains").parent().unwrap().display().to_string();
    let (data, plugins) = (format!("data-dir={}", scratch.path().display()), format!("plugin-dir={plugins}"));
    let arguments = ["explain", "--config", &file.display().to_string(), "--set", &data, "--set", &plugins];
    postgate(&arguments, "").expect(0, &["listener smtp\n", "0.0.0.0:25 [::]:25"]);

    postgate(&["--version"], "").expect(0, &[concat!("postgate ", env!("CARGO_PKG_VERSION"), "\n")]);
    postgate(&["--help"], "").expect(0, &["run", "check", "explain", "inspect", "password", "reference", "Exit codes"]);
    postgate(&["exlpain"], "").expect(64, &["unrecognized subcommand 'exlpain'", "'explain'"]);
    postgate(&[], "").expect(64, &["Usage: postgate"]);
}

/// What was answered by 250 is in the Maildir, whole and once, when the process dies under load; and it starts again.
#[test]
fn what_was_accepted_survives_the_process() {
    let data = tempfile::tempdir().unwrap();
    let process = Process::start(data.path(), &[]);
    let address = process.address;
    let (sender, accepted) = mpsc::channel();
    let workers: Vec<_> = (0..8)
        .map(|worker| {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let broken = send_without_end(address, worker, &sender).unwrap_err();
                assert!(
                    broken.kind() != io::ErrorKind::TimedOut && broken.kind() != io::ErrorKind::WouldBlock,
                    "{broken}"
                );
            })
        })
        .collect();
    drop(sender);
    let mut ids: Vec<String> =
        (0..100).map(|_| accepted.recv_timeout(PATIENCE).expect("a message is accepted")).collect();
    process.kill();
    workers.into_iter().for_each(|worker| worker.join().expect("the gateway answers until it is gone"));
    ids.extend(accepted.try_iter());

    let mut found = BTreeMap::new();
    for path in new_files(&data.path().join("mail")) {
        let text = String::from_utf8(Stored::read(&path).octets).unwrap();
        let id = text.lines().next().and_then(|line| line.strip_prefix("Subject: ")).expect("a subject").to_owned();
        assert_eq!(text, message(&id), "{}", path.display());
        *found.entry(id).or_insert(0) += 1;
    }
    let lost: Vec<_> = ids.iter().filter(|id| found.get(*id) != Some(&1)).collect();
    assert!(lost.is_empty(), "of {} accepted, lost or doubled: {lost:?}", ids.len());
    assert!(found.values().all(|times| *times == 1), "{found:?}");

    let again = Process::start(data.path(), &[]);
    let mut client = Client::connect(again.address);
    client.expect("EHLO client.example", "250");
    let reply = client.message("", &["bob@example.org"], "Subject: again\r\n\r\nx");
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
}

/// Sends messages until the connection breaks, and tells the subjects of those that were accepted.
fn send_without_end(address: SocketAddr, worker: usize, accepted: &Sender<String>) -> io::Result<()> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    reply(&mut reader, "220 ")?;
    say(&mut reader, "HELO client.example\r\n", "250 ")?;
    for n in 0.. {
        let id = format!("{worker}-{n}");
        say(&mut reader, "MAIL FROM:<alice@example.org>\r\n", "250 ")?;
        say(&mut reader, "RCPT TO:<bob@example.org>\r\n", "250 ")?;
        say(&mut reader, "DATA\r\n", "354 ")?;
        say(&mut reader, &format!("{}.\r\n", message(&id)), "250 ")?;
        // The test has what it needs, and listens no more.
        let _ = accepted.send(id);
    }
    Ok(())
}

fn say(reader: &mut BufReader<TcpStream>, text: &str, begin: &str) -> io::Result<()> {
    reader.get_mut().write_all(text.as_bytes())?;
    reply(reader, begin)
}

/// One line. Another one than is expected fails the test, none at all is the end of the process.
fn reply(reader: &mut BufReader<TcpStream>, begin: &str) -> io::Result<()> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    if !line.ends_with('\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    assert!(line.starts_with(begin), "{line}");
    Ok(())
}

/// Large enough to be written in several pieces.
fn message(id: &str) -> String {
    format!("Subject: {id}\r\n\r\n{}end of {id}\r\n", "0123456789012345678901234567890123456789\r\n".repeat(2000))
}

const PATIENCE: Duration = Duration::from_secs(60);
