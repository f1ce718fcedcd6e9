//! The client of a dialogue, at the other end of a connection that is in memory.

use std::io;
use std::time::Duration;

use postgate_smtp::dialogue::Expected;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::time::{sleep, timeout};

use crate::tls;
use crate::tls::authority::Authority;

/// In clear or below TLS.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// One connection.
pub(super) struct Client {
    /// None behind a handshake that failed.
    stream: Option<Box<dyn Stream>>,
    /// What was received, and is not expected yet.
    unread: Vec<u8>,
    /// The server has closed.
    pub(super) is_closed: bool,
}

/// How far the server has followed what is expected of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Followed {
    /// All of it, with so many lines.
    Whole(usize),
    /// So far; more is to come.
    Partly,
    /// What is expected at this place is not what this line says.
    Strayed { expected: usize, line: usize },
}

impl Client {
    pub(super) fn new(stream: DuplexStream) -> Self {
        Self { stream: Some(Box::new(stream)), unread: Vec::new(), is_closed: false }
    }

    /// A server that has closed does not take it, which shows when its words are read.
    pub(super) async fn write(&mut self, octets: &[u8]) {
        let Some(stream) = &mut self.stream else { return };
        if stream.write_all(octets).await.is_ok() {
            let _ = stream.flush().await;
        }
    }

    /// Reads what the server has to say until it waits for something. Time is paused, so the sleep ends when nobody has anything to do.
    pub(super) async fn settle(&mut self) {
        while !self.is_closed {
            tokio::select! {
                biased;
                () = self.read() => {}
                () = sleep(QUIET) => return,
            }
        }
    }

    async fn read(&mut self) {
        let Some(stream) = &mut self.stream else {
            self.is_closed = true;
            return;
        };
        match stream.read_buf(&mut self.unread).await {
            Ok(0) | Err(_) => self.is_closed = true,
            Ok(_) => {}
        }
    }

    /// Reads until the server has said all of that, or something else, or nothing for a long time; and then until it waits.
    pub(super) async fn expect(&mut self, expected: &[Expected]) -> Followed {
        loop {
            self.settle().await;
            let followed = follow(expected, &self.lines());
            if followed != Followed::Partly || self.is_closed {
                return followed;
            }
            if timeout(PATIENCE, self.read()).await.is_err() {
                return Followed::Partly;
            }
        }
    }

    /// The lines that were received, without their ends. What has no end is a line, too.
    pub(super) fn lines(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.unread);
        text.split_terminator("\r\n").map(printable).collect()
    }

    /// Lines that were expected.
    pub(super) fn forget(&mut self) {
        self.unread.clear();
    }

    /// The handshake. Any certificate of the server's will do; the client's own has this name.
    pub(super) async fn start_tls(&mut self, authority: &Authority, name: Option<&str>) -> Result<(), String> {
        let own = name.map(|name| authority.issue(name)).transpose()?;
        let stream = self.stream.take().ok_or("the connection is gone")?;
        let handshake = timeout(PATIENCE, tls::rehearsal::connect(stream, own)).await;
        let secured = handshake.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        self.stream = Some(Box::new(secured.map_err(|error| error.to_string())?));
        Ok(())
    }

    /// Closes, and reads what the server still has to say.
    pub(super) async fn close(&mut self) {
        if let Some(stream) = &mut self.stream {
            let _ = stream.shutdown().await;
        }
        // A server that does not close behind that has been told of by then.
        let _ = timeout(PATIENCE, async {
            while !self.is_closed {
                self.read().await;
            }
        })
        .await;
    }
}

/// The text with its control characters written out.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

fn follow(expected: &[Expected], lines: &[String]) -> Followed {
    let mut at = 0;
    for (n, expected) in expected.iter().enumerate() {
        loop {
            let Some(line) = lines.get(at) else { return Followed::Partly };
            let (is_right, is_last) = match expected {
                Expected::Line(pattern) => (pattern.matches(line), true),
                Expected::Reply(code) => {
                    let rest = line.strip_prefix(code.as_str());
                    let goes_on = rest.is_some_and(|rest| rest.starts_with('-'));
                    (goes_on || rest.is_some_and(|rest| rest.starts_with(' ')), !goes_on)
                }
            };
            if !is_right {
                return Followed::Strayed { expected: n, line: at };
            }
            at += 1;
            if is_last {
                break;
            }
        }
    }
    if at == lines.len() { Followed::Whole(at) } else { Followed::Strayed { expected: expected.len(), line: at } }
}

/// Behind so much time of the rehearsal's, in which nobody had anything to do, the server waits.
const QUIET: Duration = Duration::from_millis(1);

/// For so long, in the rehearsal's time, a reply is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use postgate_smtp::dialogue::Pattern;

    #[test]
    fn what_the_server_says() {
        let line = |text: &str| Expected::Line(Pattern::new(text));
        let reply = |code: &str| Expected::Reply(code.to_owned());
        let check = |expected: &[Expected], lines: &[&str], followed: Followed| {
            let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            assert_eq!(follow(expected, &lines), followed, "{lines:?}");
        };
        check(&[line("220 *")], &["220 hello"], Followed::Whole(1));
        check(&[line("220 *")], &[], Followed::Partly);
        check(&[reply("250")], &["250-a", "250-b"], Followed::Partly);
        check(&[reply("250"), line("x")], &["250-a", "250 b", "x"], Followed::Whole(3));
        check(&[reply("250")], &["250-a", "550 b"], Followed::Strayed { expected: 0, line: 1 });
        check(&[line("a"), line("b")], &["a", "c"], Followed::Strayed { expected: 1, line: 1 });
        check(&[line("a")], &["a", "c"], Followed::Strayed { expected: 1, line: 1 });
    }
}
