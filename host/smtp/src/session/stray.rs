//! Lines at the place of a command that were not meant for it: another protocol, and mail data behind a refused DATA.
//!
//! Neither is just a client that errs. A browser can be led to send a form to our port, and what stands in the form is somebody else's
//! (cross-protocol request forgery). And mail data is not always written by who sends it: where a client does not wait for the reply to
//! DATA, or does not care, a message with commands in it would be carried out with the client's rights. So the session ends at the
//! first such line, and nothing behind it is read.

use super::Session;
use crate::event::Close;
use crate::replies;
use crate::verb::Verb;

impl Session {
    /// Whether the line ends the session, of which `line` may be the beginning only.
    pub(super) fn ends_at(&mut self, line: &[u8]) -> bool {
        let word = line.split(|octet| *octet == b' ').next().unwrap_or(line);
        if HTTP.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes())) {
            self.close(&replies::NOT_HTTP, Close::OutOfStep);
            return true;
        }
        // RFC 2920 section 3.1: a client that pipelines may send the dot of an empty message.
        if !self.data_refused || line == b"." {
            return false;
        }
        if !is_command(word) {
            self.close(&replies::MAIL_DATA_REFUSED, Close::OutOfStep);
            return true;
        }
        self.data_refused = false;
        false
    }
}

/// A verb that we know, or one for private use (RFC 5321 section 4.1.5).
fn is_command(word: &[u8]) -> bool {
    let is_private = matches!(word.first(), Some(b'X' | b'x')) && word.iter().all(u8::is_ascii_alphanumeric);
    is_private || std::str::from_utf8(word).is_ok_and(|word| Verb::find(word).is_some())
}

/// First words of the lines of a request (RFC 9110 section 9.3, RFC 5789, RFC 9113 section 3.4), and of header fields in case the first line
/// was lost. None is a verb of SMTP, and no plugin is asked about them.
static HTTP: [&str; 20] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "CONNECT",
    "OPTIONS",
    "TRACE",
    "PATCH",
    "PRI",
    "Host:",
    "User-Agent:",
    "Accept:",
    "Connection:",
    "Content-Length:",
    "Content-Type:",
    "Cookie:",
    "Origin:",
    "Referer:",
    "Transfer-Encoding:",
];
