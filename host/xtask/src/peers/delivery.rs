//! `cargo xtask bench delivery`: many messages through the chain of the quickstart into a Maildir, and then a count. What was
//! accepted must be there, whole, and once.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::load::{Load, RECIPIENT, Sessions};
use super::server::Ready;
use super::{Bench, print};
use crate::step::say;
use crate::workspace::Workspace;

/// Delivers so many, counts them, and prints what it took.
pub(crate) fn delivery(workspace: &Workspace, messages: u32) -> Result<()> {
    let bench = Bench::prepare(workspace)?;
    // As it is used: with all CPUs, and with its log.
    let placement = bench.placement.anywhere();
    let config = bench.root.join("examples/quickstart/postgate.toml");
    let data = bench.scratch.0.join("delivery");
    let settings = ["hostname=mx.example.org".to_owned()];
    let server = bench.gateway(&config, Ready::Banner, &data, &settings, &placement)?;
    say(&format!("delivering {messages} messages"));
    let before = server.cpu()?;
    let bound = SECONDS_AT_LEAST + u64::from(messages) / MESSAGES_PER_SECOND_MIN;
    let took = LOAD.send(server.address(), messages, &placement, bound)?;
    let used = server.settled_cpu()?.saturating_sub(before);
    // Without a farewell: what was accepted is there already.
    drop(server);
    say("counting them");
    let mut mailboxes = Mailboxes::default();
    mailboxes.count(&data.join("mail"))?;
    mailboxes.judge(messages)?;
    print(&format!(
        "\n{messages} messages of {} octets for {RECIPIENT} in {} sessions through static-auth, virtual-domains and maildir:\n\
         all in the Maildir, none twice (by Received and by Message-Id), none cut off, nothing left in tmp.\n\
         {:.0} messages a second, {:.0} CPU µs a message. {placement}\n",
        LOAD.octets,
        LOAD.at_a_time,
        f64::from(messages) / took.as_secs_f64(),
        used.as_secs_f64() * 1e6 / f64::from(messages),
    ))
}

/// What was found in all Maildirs.
#[derive(Default)]
struct Mailboxes {
    messages: u64,
    /// Files elsewhere than in `new`.
    elsewhere: Vec<PathBuf>,
    /// Messages that end before their end, or begin without what the host puts there.
    broken: Vec<PathBuf>,
    /// What the gateway named them.
    received: HashSet<String>,
    /// What smtp-source named them: the rest of a message is the same in all.
    ids: HashSet<String>,
}

impl Mailboxes {
    fn count(&mut self, directory: &Path) -> Result<()> {
        let unreadable = || format!("{} can't be read", directory.display());
        for entry in fs::read_dir(directory).with_context(unreadable)? {
            let entry = entry.with_context(unreadable)?;
            let path = entry.path();
            if entry.file_type().with_context(unreadable)?.is_dir() {
                self.count(&path)?;
            } else if directory.ends_with("new") {
                let octets = fs::read(&path).with_context(|| format!("{} can't be read", path.display()))?;
                self.add(path, &octets);
            } else {
                self.elsewhere.push(path);
            }
        }
        Ok(())
    }

    fn add(&mut self, path: PathBuf, octets: &[u8]) {
        self.messages += 1;
        let message = String::from_utf8_lossy(octets);
        match (received_id(&message), message_id(&message), body(&message)) {
            (Some(received), Some(id), Some(body)) if body.len() >= LOAD.octets as usize => {
                self.received.insert(received.to_owned());
                self.ids.insert(id.to_owned());
            }
            (_, _, _) => self.broken.push(path),
        }
    }

    fn judge(&self, expected: u32) -> Result<()> {
        let Self { messages, elsewhere, broken, received, ids } = self;
        if let Some(first) = broken.first() {
            bail!("{} messages are not whole; the first is {}", broken.len(), first.display());
        }
        if let Some(first) = elsewhere.first() {
            bail!("{} files are not in `new`; the first is {}", elsewhere.len(), first.display());
        }
        let expected = u64::from(expected);
        if *messages != expected || received.len() as u64 != expected || ids.len() as u64 != expected {
            bail!(
                "{expected} messages were accepted; there are {messages}, with {} different ids in Received and {} different \
                 Message-Ids",
                received.len(),
                ids.len()
            );
        }
        Ok(())
    }
}

/// The id of the first Received field.
fn received_id(message: &str) -> Option<&str> {
    let (_, field) = message.split_once("Received:")?;
    let (_, id) = field.split_once(" id ")?;
    let end = id.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-')?;
    id.get(..end).filter(|id| !id.is_empty())
}

fn message_id(message: &str) -> Option<&str> {
    let (header, _) = split(message)?;
    header.lines().find_map(|line| line.strip_prefix("Message-Id:")).map(str::trim).filter(|id| !id.is_empty())
}

fn body(message: &str) -> Option<&str> {
    split(message).map(|(_, body)| body)
}

/// Header and body; a Maildir has LF alone.
fn split(message: &str) -> Option<(&str, &str)> {
    message.split_once("\n\n").or_else(|| message.split_once("\r\n\r\n"))
}

const LOAD: Load = Load { at_a_time: 20, octets: 4096, sessions: Sessions::Kept };

/// A disk that takes fewer is not waited for.
const MESSAGES_PER_SECOND_MIN: u64 = 20;
const SECONDS_AT_LEAST: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(received: &str, id: &str, octets: usize) -> Vec<u8> {
        format!(
            "Return-Path: <alice@example.net>\nReceived: from client.example.net ([127.0.0.1])\n\tby mx.example.org (Postgate) \
             with SMTP id {received}\n\tfor <bob@example.org>;\n\tSun, 22 Nov 2026 13:59:24 +0000\nMessage-Id: <{id}>\n\n{}",
            "X".repeat(octets)
        )
        .into_bytes()
    }

    fn found(messages: &[Vec<u8>]) -> Mailboxes {
        let mut mailboxes = Mailboxes::default();
        for octets in messages {
            mailboxes.add(PathBuf::from("new/1"), octets);
        }
        mailboxes
    }

    #[test]
    fn all_whole_and_once() {
        let two = [message("1k0-0-1", "a@b", 4096), message("1k0-0-2", "c@d", 4100)];
        assert!(found(&two).judge(2).is_ok());
        assert!(found(&two).judge(3).is_err(), "one is missing");
        assert!(found(&two).judge(1).is_err(), "one too many");
        assert!(found(&[two[0].clone(), message("1k0-0-1", "c@d", 4096)]).judge(2).is_err(), "the same transaction");
        assert!(found(&[two[0].clone(), message("1k0-0-2", "a@b", 4096)]).judge(2).is_err(), "the same content");
    }

    #[test]
    fn what_is_not_whole_or_in_place() {
        assert!(found(&[message("1k0-0-1", "a@b", 4095)]).judge(1).is_err());
        assert!(found(&[b"Message-Id: <a@b>\n\n".to_vec()]).judge(1).is_err());
        assert!(found(&[Vec::new()]).judge(1).is_err());
        let mut left = found(&[message("1k0-0-1", "a@b", 4096)]);
        left.elsewhere.push(PathBuf::from("tmp/1"));
        assert!(left.judge(1).is_err());
    }

    #[test]
    fn names_are_found() {
        let octets = message("1k0vqh7kyd0-0-1", "5e4d.0003.0001@client.example.net", 1);
        let text = String::from_utf8(octets).expect("it is ASCII");
        assert_eq!(received_id(&text), Some("1k0vqh7kyd0-0-1"));
        assert_eq!(message_id(&text), Some("<5e4d.0003.0001@client.example.net>"));
    }
}
