//! Does what the subject of a message says, and answers in the text of a refusal; `keep` lets the message go on instead.
//!
//! A subject is commands with `;` between them, each a word and arguments. Every recipient is accepted.

use std::fmt::Debug;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

use postgate_sdk::hook::{Message, MessageVerdict, Recipient};
use postgate_sdk::{Mailbox, Parameter, Reply, Verdict, editor, export, mail_data, parts};

struct Mime;

export!(Mime: recipient, message);

impl Recipient for Mime {
    fn on_recipient(_recipient: Mailbox, _parameters: Vec<Parameter>) -> Verdict {
        Verdict::Accept
    }
}

impl Message for Mime {
    fn on_message() -> MessageVerdict {
        let subject = parts::field("Subject").ok().and_then(|all| all.into_iter().next()).unwrap_or_default();
        let mut answers = Vec::new();
        for command in subject.split(';') {
            let words: Vec<&str> = command.split_whitespace().collect();
            match words.as_slice() {
                ["keep"] => return MessageVerdict::Next,
                ["fail"] => std::process::abort(),
                _ => answers.push(answer(&words)),
            }
        }
        let text = answers.join("; ");
        let lines: Vec<&str> =
            text.as_bytes().chunks(400).map(|line| std::str::from_utf8(line).unwrap_or("?")).collect();
        MessageVerdict::Reject(Reply::new(550, "5.7.1", &lines.join("\n")))
    }
}

fn answer(words: &[&str]) -> String {
    match words {
        ["all"] => all(),
        ["content", part, offset, length] => {
            let octets = parts::content(number(part), number(offset).into(), number(length));
            told(octets.map(|octets| String::from_utf8_lossy(&octets).escape_default().to_string()))
        }
        ["text", part] => told(parts::text(number(part)).map(|text| text.escape_default().to_string())),
        ["field", name] => told(parts::field(name).map(|all| all.join("|").escape_default().to_string())),
        ["addresses", name] => told(parts::addresses(name).map(|all| {
            let one = |one: &parts::NamedAddress| format!("{}={}", one.name.as_deref().unwrap_or("-"), one.address);
            all.iter().map(one).collect::<Vec<_>>().join("|").escape_default().to_string()
        })),
        ["insert", n, name, value] => {
            told(editor::insert_field(number(n), name, value.as_bytes()).map(|()| "ok".to_owned()))
        }
        ["replace", part, media_type, content] => {
            let content = content.replace("\\n", "\r\n").replace('_', " ");
            told(editor::replace_part(number(part), media_type, content.as_bytes()).map(|done| done.to_string()))
        }
        ["fill", part, octets] => {
            let content = vec![0xe9; number(octets) as usize];
            told(editor::replace_part(number(part), "application/octet-stream", &content).map(|done| done.to_string()))
        }
        ["remove", part] => told(editor::remove_part(number(part)).map(|done| done.to_string())),
        ["times", n, once @ ..] => {
            for _ in 1..number(n) {
                answer(once);
            }
            answer(once)
        }
        ["piece", offset, length] => {
            told(mail_data::read(number(offset).into(), number(length)).map(|octets| octets.len().to_string()))
        }
        ["read"] => read(|_| ()),
        ["sum"] => sum(),
        ["connect", address] => told(connect(address)),
        ["listen"] => told(TcpListener::bind("127.0.0.1:0").map(|_| "listening".to_owned())),
        ["udp"] => told(
            UdpSocket::bind("0.0.0.0:0")
                .and_then(|socket| socket.send_to(b"x", "127.0.0.1:9"))
                .map(|_| "sent".to_owned()),
        ),
        ["listen", address] => told(TcpListener::bind(address).map(|_| "listening".to_owned())),
        ["udp", address] => told(
            UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.send_to(b"x", address)).map(|_| "sent".to_owned()),
        ),
        ["udp-bind", address] => told(UdpSocket::bind(address).map(|_| "bound".to_owned())),
        ["resolve", name] => told((*name, 25).to_socket_addrs().map(|_| "resolved".to_owned())),
        ["cat", path] => told(std::fs::read_to_string(path).map(|text| text.trim().to_owned())),
        ["write", path] => told(std::fs::write(path, "x").map(|()| "written".to_owned())),
        ["append", path] => told(append(path).map(|()| "written".to_owned())),
        ["truncate", path] => {
            told(std::fs::File::open(path).and_then(|file| file.set_len(0)).map(|()| "cut".to_owned()))
        }
        ["link", from, to] => told(std::fs::hard_link(from, to).map(|()| "linked".to_owned())),
        ["rename", from, to] => told(std::fs::rename(from, to).map(|()| "renamed".to_owned())),
        ["unlink", path] => told(std::fs::remove_file(path).map(|()| "removed".to_owned())),
        ["mkdir", path] => told(std::fs::create_dir(path).map(|()| "made".to_owned())),
        ["open", path, times] => {
            let open = (0..number(times)).map(|_| std::fs::File::open(path)).collect::<std::io::Result<Vec<_>>>();
            told(open.map(|open| format!("{} open", open.len())))
        }
        ["list", path] => told(std::fs::read_dir(path).map(|all| format!("{} entries", all.count()))),
        _ => "no such command".to_owned(),
    }
}

/// Each part as `parent media-type file-name size`, those that say so with a `!`.
fn all() -> String {
    told(parts::all().map(|all| {
        let line = |part: &parts::Part| {
            let parent = part.parent.map_or("-".to_owned(), |parent| parent.to_string());
            let name = part.file_name.as_deref().unwrap_or("-").escape_default();
            let mark = if part.attachment { "!" } else { "" };
            format!("{parent} {} {name} {}{mark}", part.media_type, part.size)
        };
        all.iter().map(line).collect::<Vec<_>>().join("|")
    }))
}

/// Reads everything, 64 KiB at a time.
fn read(mut each: impl FnMut(&[u8])) -> String {
    let mut at = 0;
    loop {
        match mail_data::read(at, 64 << 10) {
            Ok(octets) if octets.is_empty() => return format!("{at} octets"),
            Ok(octets) => {
                at += octets.len() as u64;
                each(&octets);
            }
            Err(error) => return format!("{error:?}"),
        }
    }
}

/// Reads everything, and adds its octets up.
fn sum() -> String {
    let mut sum = 0_u64;
    let read = read(|octets| sum += octets.iter().map(|octet| u64::from(*octet)).sum::<u64>());
    format!("{read}, {sum}")
}

fn append(path: &str) -> std::io::Result<()> {
    std::fs::OpenOptions::new().append(true).open(path)?.write_all(b"x")
}

/// What a server says first.
fn connect(address: &str) -> std::io::Result<String> {
    let address: SocketAddr = address.parse().map_err(std::io::Error::other)?;
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"hello\n")?;
    let mut answer = [0; 20];
    let octets = stream.read(&mut answer)?;
    Ok(String::from_utf8_lossy(answer.get(..octets).unwrap_or_default()).trim().to_owned())
}

fn number(word: &str) -> u32 {
    word.parse().unwrap_or_default()
}

fn told<E: Debug>(answer: Result<String, E>) -> String {
    answer.unwrap_or_else(|error| format!("{error:?}").chars().take(60).collect())
}
