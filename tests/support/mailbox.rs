//! What is in Maildirs.

use std::fs;
use std::path::{Path, PathBuf};

/// The files in all folders `new` below a directory, in no order.
pub(crate) fn new_files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if folder.ends_with("new") {
                found.push(path);
            }
        }
    }
    found
}

/// A message as it was delivered: what the gateway says of it, and the mail data.
pub(crate) struct Stored {
    /// The gateway's identifier of the transaction.
    pub id: String,
    /// The mail data that the client sent.
    pub octets: Vec<u8>,
}

impl Stored {
    /// Reads a file of a Maildir: takes Return-Path and Received apart from the mail data.
    pub(crate) fn read(path: &Path) -> Self {
        let octets = fs::read(path).expect("a message");
        let begin = find(&octets, DATE_END).expect("the date of a Received field") + DATE_END.len();
        let (trace, octets) = octets.split_at(begin);
        let trace = std::str::from_utf8(trace).expect("the gateway writes ASCII");
        assert!(trace.starts_with("Return-Path: <") && trace.contains("\r\nReceived: from "), "{trace:?}");
        let id = trace.split(" id ").nth(1).and_then(|rest| rest.split(['\r', ';']).next()).expect("an identifier");
        Self { id: id.to_owned(), octets: octets.to_vec() }
    }
}

fn find(octets: &[u8], part: &[u8]) -> Option<usize> {
    octets.windows(part.len()).position(|window| window == part)
}

/// The gateway's dates are in UTC, and end its Received field.
const DATE_END: &[u8] = b" +0000\r\n";
