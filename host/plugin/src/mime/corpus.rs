//! Our reader of parts against mail-parser, over the messages that mail-parser itself is tested with: real ones, the samples of RFCs, and
//! malformed ones. They are read where cargo has put the crate's sources, and not copied.
//!
//! Compared are the leaves in order: media type and octets when decoded, of texts the text. Where the two differ, the message stands in
//! [`DEVIATIONS`] with the reason, and has to differ.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mail_parser::{MessageParser, MimeHeaders, PartType};

use super::fields::text_of;
use super::tests::{content, parts};
use super::*;

/// A leaf: media type, text, octets.
#[derive(Debug, PartialEq, Eq)]
enum Leaf {
    Text(String, String),
    Octets(String, Vec<u8>),
}

/// The leaves as we see them.
fn ours(message: &[u8]) -> Vec<Leaf> {
    let structure = parts(message).unwrap();
    let leaves = structure.parts.iter().filter(|part| part.kind == Kind::Leaf);
    let leaf = |part: &Part| {
        let octets = content(message, part);
        let media_type = part.facts.media_type.clone();
        if media_type.starts_with("text/") {
            Leaf::Text(media_type, text_of(&octets, part.facts.charset.as_deref()))
        } else {
            Leaf::Octets(media_type, octets)
        }
    };
    leaves.map(leaf).collect()
}

/// The leaves as mail-parser sees them.
fn theirs(message: &mail_parser::Message<'_>, out: &mut Vec<Leaf>) {
    for part in &message.parts {
        let media_type = part.content_type().and_then(|it| Some(format!("{}/{}", it.ctype(), it.subtype()?)));
        let media_type = media_type.unwrap_or_else(|| "text/plain".to_owned()).to_ascii_lowercase();
        match &part.body {
            PartType::Multipart(_) => {}
            PartType::Message(within) => theirs(within, out),
            PartType::Text(text) | PartType::Html(text) if media_type.starts_with("text/") => {
                out.push(Leaf::Text(media_type, text.clone().into_owned()));
            }
            PartType::Text(_) | PartType::Html(_) | PartType::Binary(_) | PartType::InlineBinary(_) => {
                let octets = part.contents().to_vec();
                out.push(if media_type.starts_with("text/") {
                    Leaf::Text(media_type, String::from_utf8_lossy(&octets).into_owned())
                } else {
                    Leaf::Octets(media_type, octets)
                });
            }
        }
    }
}

/// Where cargo has the sources of mail-parser.
fn sources() -> PathBuf {
    let metadata = Command::new(env!("CARGO")).args(["metadata", "--format-version=1", "--offline"]).output().unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "mail-parser").unwrap();
    Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap().to_path_buf()
}

/// A message as SMTP brings it: each line ends with CRLF.
fn as_sent(octets: &[u8]) -> Vec<u8> {
    let mut sent = Vec::with_capacity(octets.len());
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        let whole = line.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        sent.extend_from_slice(whole.unwrap_or(line));
        sent.extend_from_slice(if whole.is_some() { b"\r\n" } else { b"" });
    }
    sent
}

#[test]
fn the_messages_of_another_parser() {
    let root = sources().join("resources/eml");
    let mut differ = BTreeSet::new();
    let mut compared = 0;
    for folder in fs::read_dir(&root).unwrap() {
        let folder = folder.unwrap();
        for file in fs::read_dir(folder.path()).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "eml") {
                continue;
            }
            let message = as_sent(&fs::read(&path).unwrap());
            let Some(parsed) = MessageParser::default().parse(&message) else { continue };
            let mut expected = Vec::new();
            theirs(&parsed, &mut expected);
            let found = ours(&message);
            compared += 1;
            if found != expected {
                let name = format!("{}/{}", folder.file_name().display(), path.file_name().unwrap().display());
                eprintln!("{name}:\n  ours   {}\n  theirs {}", told(&found), told(&expected));
                differ.insert(name);
            }
        }
    }
    assert!(compared > 100, "{compared} messages in {}", root.display());
    let named: BTreeSet<String> =
        DEVIATIONS.iter().flat_map(|(names, _)| *names).map(|name| (*name).to_owned()).collect();
    assert_eq!(differ, named);
}

/// Enough to see what differs.
fn told(leaves: &[Leaf]) -> String {
    let one = |leaf: &Leaf| match leaf {
        Leaf::Text(media_type, text) => format!("{media_type} {}: {:.300?}", text.len(), text),
        Leaf::Octets(media_type, octets) => {
            format!(
                "{media_type} {}: {:?}",
                octets.len(),
                String::from_utf8_lossy(octets).chars().take(60).collect::<String>()
            )
        }
    };
    leaves.iter().map(one).collect::<Vec<_>>().join("\n         ")
}

/// Messages that are read otherwise, and why.
const DEVIATIONS: &[(&[&str], &str)] = &[
    (
        &["malformed/009.eml", "malformed/011.eml", "malformed/012.eml", "malformed/016.eml"],
        "the delimiter of an outer multipart ends all within (RFC 2046 section 5.1.2); to mail-parser it is text",
    ),
    (
        &["malformed/000.eml", "malformed/013.eml", "malformed/014.eml"],
        "a delimiter begins a part, also where no empty line or nothing at all follows; mail-parser leaves it out",
    ),
    (
        &["malformed/001.eml", "malformed/007.eml", "thirdparty/015.eml"],
        "a multipart without any delimiter is a leaf that has what stands there; mail-parser makes an empty text of it, or nothing",
    ),
    (&["thirdparty/005.eml"], "in the middle of a line there is no delimiter (RFC 2046 section 5.1.1)"),
    (
        &["rfc/000.eml", "thirdparty/002.eml"],
        "in base64 what is not of its alphabet is skipped (RFC 2045 section 6.8); mail-parser gives the content as it stands there",
    ),
    (
        &["rfc/008.eml"],
        "an encoded message/rfc822, which RFC 2046 section 5.2.1 forbids, is a leaf: it is decoded, and not looked into",
    ),
    (
        &["malformed/022.eml"],
        "what stands in a message/rfc822 is a message, whatever it looks like; its octets are the part's content",
    ),
];
