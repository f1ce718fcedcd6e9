//! What the command line comes to: everything is read and checked before a connection is made.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal, Read};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use postgate_plugin::{ClientCertificate, ClientTls, Place, Trust};
use postgate_smtp::client::{
    self, Addressee, Credentials, Envelope, International, Patience, Pipelining, Stop, TlsWish, is_parameter,
};
use postgate_smtp::{Body, Domain, Mailbox, Mechanism, Protocol, encode_xtext, prepared};

use super::super::{Exit, Failure, password};
use super::arguments::{Proxy, Send, Stage, Tls};
use super::message::{Composition, Message, is_standard_input};
use crate::config::Machine;
use crate::site::chained;
use crate::tls::{read_chain, read_key};

/// What is to be done.
pub(super) struct Plan {
    pub(super) place: Place,
    pub(super) port: u16,
    /// As it is shown.
    pub(super) server: String,
    pub(super) client: Arc<client::Config>,
    pub(super) layer: Option<ClientTls>,
    /// TLS comes before the first octet.
    pub(super) implicit: bool,
    pub(super) proxy: Option<(Proxy, SocketAddr)>,
    pub(super) reverse_path: Option<Mailbox>,
    pub(super) recipients: Vec<Mailbox>,
    pub(super) mail_parameters: Vec<String>,
    pub(super) rcpt_parameters: Vec<String>,
    pub(super) body: Option<Body>,
    pub(super) message: Message,
    /// Octets that are given to the client at once: with BDAT, a chunk.
    pub(super) piece_bytes: usize,
    pub(super) patience: Duration,
}

impl Plan {
    /// Reads and checks all of it.
    pub(super) fn new(send: &Send) -> Result<Self, Failure> {
        let inputs = [&send.message, &send.recipients, &send.password_file];
        if inputs.iter().filter(|path| path.as_deref().is_some_and(is_standard_input)).count() > 1 {
            return Err(usage("standard input can be one thing only"));
        }
        let (host, port) = split_server(&send.server).ok_or_else(|| usage("--server wants HOST or HOST:PORT"))?;
        let tls = send.tls.or((port == Some(IMPLICIT_PORT) && !send.lmtp).then_some(Tls::Implicit));
        let port = port.unwrap_or(match (send.lmtp, tls) {
            (_, Some(Tls::Implicit)) => IMPLICIT_PORT,
            (true, Some(Tls::Starttls | Tls::None) | None) => LMTP_PORT,
            (false, Some(Tls::Starttls | Tls::None) | None) => SMTP_PORT,
        });
        let place = match host.parse::<IpAddr>() {
            Ok(address) => Place::Addresses(vec![address]),
            Err(_) => Place::Host(host.to_owned()),
        };
        let client = client_config(send, tls, is_here(host))?;
        let body = body(&send.mail_parameter)?;
        let needs_envelope = client.stop.is_none_or(|stop| matches!(stop, Stop::Mail | Stop::Recipient));
        let reverse_path = reverse_path(send, needs_envelope)?;
        let recipients = recipients(send, needs_envelope)?;
        let is_binary = body == Some(Body::BinaryMime);
        let message = match &send.message {
            Some(path) => Message::read(path, is_binary)?,
            None => Message::compose(&Composition {
                reverse_path: reverse_path.as_ref(),
                recipients: &recipients,
                hello: client.hello.as_str(),
                subject: send.subject.as_deref(),
                text: send.body.as_deref(),
                size: send.size.map(crate::config::Size::octets),
            })?,
        };
        if let Some(oddity) = message.oddity.as_ref().filter(|_| !client.chunks && client.stop.is_none()) {
            let text = format!("{oddity}, which DATA can't carry; --bdat sends it as it is");
            return Err(Failure::new(Exit::Data, text));
        }
        let mut parameters = send.mail_parameter.iter().chain(&send.rcpt_parameter);
        if let Some(word) = parameters.find(|word| !is_parameter(word)) {
            return Err(usage(&format!(
                "{word:?} can't be a parameter: it has spaces or control characters, or is too long"
            )));
        }
        let rcpt_parameters = send.rcpt_parameter.clone();
        let piece_bytes = chunk_bytes(send)?;
        Ok(Self {
            layer: layer(send, tls, host)?,
            implicit: tls == Some(Tls::Implicit),
            place,
            port,
            server: format!("{}:{port}", if host.contains(':') { format!("[{host}]") } else { host.to_owned() }),
            client: Arc::new(client),
            proxy: send.proxy.zip(send.proxy_source),
            reverse_path,
            recipients,
            mail_parameters: send.mail_parameter.clone(),
            rcpt_parameters,
            body,
            message,
            piece_bytes,
            patience: send.timeout.0,
        })
    }

    /// The envelope of a copy for these recipients.
    pub(super) fn envelope(&self, recipients: &[Mailbox], copy: &super::message::Copy) -> Envelope {
        let addressee = |mailbox: &Mailbox| Addressee {
            parameters: self.rcpt_parameters.clone(),
            ..Addressee::new(mailbox.clone())
        };
        Envelope {
            reverse_path: self.reverse_path.clone(),
            recipients: recipients.iter().map(addressee).collect(),
            size: u64::try_from(copy.len()).ok(),
            body: self.body.unwrap_or(if copy.is_ascii() { Body::SevenBit } else { Body::EightBitMime }),
            utf8: if copy.has_ascii_header() { International::No } else { International::Needed },
            parameters: self.mail_parameters.clone(),
            ..Envelope::default()
        }
    }
}

pub(super) fn usage(text: &str) -> Failure {
    Failure::new(Exit::Usage, text.to_owned())
}

/// `HOST`, `HOST:PORT`, `[2001:db8::1]:PORT`, or an address of IPv6 without brackets.
fn split_server(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']')?;
            host.parse::<IpAddr>().ok()?;
            (host, if behind.is_empty() { None } else { Some(behind.strip_prefix(':')?) })
        }
        None if text.parse::<IpAddr>().is_ok() => (text, None),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let is_host = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/');
    let port = port.map(|port| port.parse().ok().filter(|port| *port > 0).ok_or(())).transpose().ok()?;
    is_host.then_some((host, port))
}

/// Whether the octets do not leave this machine.
fn is_here(host: &str) -> bool {
    host.parse::<IpAddr>().map_or(host.eq_ignore_ascii_case("localhost"), |address| address.is_loopback())
}

fn client_config(send: &Send, tls: Option<Tls>, is_here: bool) -> Result<client::Config, Failure> {
    let mut client = client::Config::new(hello(send.helo.as_deref())?);
    client.protocol = if send.lmtp { Protocol::Lmtp } else { Protocol::Smtp };
    client.tls = match tls {
        Some(Tls::Starttls) => TlsWish::Required,
        Some(Tls::Implicit | Tls::None) => TlsWish::Never,
        None => TlsWish::IfOffered,
    };
    client.credentials = credentials(send, tls, is_here)?;
    client.mechanism = send.auth.as_deref().map(mechanism).transpose()?;
    client.secrets_in_clear = tls == Some(Tls::None) || (tls.is_none() && is_here);
    let patience = send.timeout.0;
    client.patience = Patience { command: patience, data: patience, piece: patience, end: patience };
    client.pipelining = match (send.pipelining, send.no_pipelining) {
        (true, _) => Pipelining::Always,
        (false, true) => Pipelining::Never,
        (false, false) => Pipelining::IfOffered,
    };
    client.chunks = send.bdat.is_some();
    client.xclient = xclient(&send.xclient)?;
    client.oversize = true;
    client.stop = send.quit_after.map(|stage| match stage {
        Stage::Banner => Stop::Banner,
        Stage::Helo => Stop::Hello,
        Stage::Tls => Stop::Tls,
        Stage::Auth => Stop::Auth,
        Stage::Mail => Stop::Mail,
        Stage::Rcpt => Stop::Recipient,
    });
    Ok(client)
}

fn hello(wanted: Option<&str>) -> Result<Domain, Failure> {
    match wanted {
        Some(name) => name.parse().map_err(|error| usage(&format!("--helo {name:?}: {error}"))),
        // A machine without a name that could be said is the one at this address.
        None => Ok(Machine::here()
            .hostname
            .parse()
            .unwrap_or_else(|_| "[127.0.0.1]".parse().expect("invariant: an address literal is a domain"))),
    }
}

fn mechanism(name: &str) -> Result<Mechanism, Failure> {
    Mechanism::from_name(&name.to_ascii_uppercase())
        .ok_or_else(|| usage(&format!("--auth: {name:?} is no mechanism that is known")))
}

fn credentials(send: &Send, tls: Option<Tls>, is_here: bool) -> Result<Option<Credentials>, Failure> {
    let wanted = send.auth.as_deref().map(mechanism).transpose()?;
    if wanted == Some(Mechanism::External) {
        return Ok(Some(Credentials::Certificate { user: send.user.clone().unwrap_or_default() }));
    }
    let Some(user) = send.user.clone() else {
        return if wanted.is_none() { Ok(None) } else { Err(usage("--auth wants --user")) };
    };
    let Some(file) = &send.password_file else {
        return Err(usage("--user wants --password-file; - is standard input"));
    };
    if tls.is_none() && !is_here {
        let text = "a password wants to know how it may go to another machine: say --tls starttls, implicit or none (in clear)";
        return Err(usage(text));
    }
    let secret = secret(file)?;
    Ok(Some(match wanted {
        Some(Mechanism::OAuthBearer | Mechanism::XOAuth2) => Credentials::Token { user, token: secret },
        Some(
            Mechanism::Plain
            | Mechanism::Login
            | Mechanism::ScramSha256
            | Mechanism::ScramSha256Plus
            | Mechanism::External,
        )
        | None => Credentials::Password {
            user: prepared(&user).unwrap_or(user),
            password: prepared(&secret).unwrap_or(secret),
        },
    }))
}

fn secret(path: &Path) -> Result<String, Failure> {
    let secret = if is_standard_input(path) {
        let input = io::stdin();
        if input.is_terminal() {
            password::asked("Password: ")?
        } else {
            password::line(&mut input.lock(), SECRET_BYTES_MAX)?
        }
    } else {
        let unreadable = |error| Failure::new(Exit::NoInput, format!("{} can't be read: {error}", path.display()));
        password::line(&mut BufReader::new(File::open(path).map_err(unreadable)?), SECRET_BYTES_MAX)?
    };
    if secret.contains(char::is_control) {
        return Err(Failure::new(Exit::Data, "the password has control characters"));
    }
    Ok(secret)
}

/// The attributes as they are said.
fn xclient(attributes: &[String]) -> Result<Option<String>, Failure> {
    let mut words = Vec::new();
    for attribute in attributes {
        let wrong = || usage(&format!("--xclient {attribute:?}: it wants NAME=VALUE, such as ADDR=192.0.2.7"));
        let (name, value) = attribute.split_once('=').ok_or_else(wrong)?;
        if name.is_empty() || value.is_empty() || !name.bytes().all(|octet| octet.is_ascii_alphanumeric()) {
            return Err(wrong());
        }
        words.push(format!("{}={}", name.to_ascii_uppercase(), encode_xtext(value)));
    }
    let line = words.join(" ");
    if line.len() > XCLIENT_OCTETS_MAX {
        return Err(usage(&format!("--xclient: more than {XCLIENT_OCTETS_MAX} octets in all")));
    }
    Ok((!line.is_empty()).then_some(line))
}

/// What BODY says, where it is one of the parameters.
fn body(parameters: &[String]) -> Result<Option<Body>, Failure> {
    let values = parameters.iter().filter_map(|word| word.split_once('='));
    let mut values = values.filter(|(name, _)| name.eq_ignore_ascii_case("BODY"));
    values.next().map_or(Ok(None), |(_, value)| match value.to_ascii_uppercase().as_str() {
        "7BIT" => Ok(Some(Body::SevenBit)),
        "8BITMIME" => Ok(Some(Body::EightBitMime)),
        "BINARYMIME" => Ok(Some(Body::BinaryMime)),
        // The server is to say what it makes of that.
        _ => Ok(None),
    })
}

fn reverse_path(send: &Send, is_needed: bool) -> Result<Option<Mailbox>, Failure> {
    match send.from.as_deref() {
        None if is_needed => Err(usage("--from says whom the message is from; \"<>\" is nobody")),
        None | Some("<>" | "") => Ok(None),
        Some(text) => mailbox(text).map(Some).map_err(|error| usage(&format!("--from {text:?}: {error}"))),
    }
}

fn recipients(send: &Send, is_needed: bool) -> Result<Vec<Mailbox>, Failure> {
    let mut recipients = Vec::new();
    for text in &send.to {
        recipients.push(mailbox(text).map_err(|error| usage(&format!("--to {text:?}: {error}")))?);
    }
    if let Some(path) = &send.recipients {
        for (n, line) in list(path)?.lines().enumerate() {
            let text = line.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let wrong = |error| Failure::new(Exit::Data, format!("{}:{}: {text:?}: {error}", path.display(), n + 1));
            recipients.push(mailbox(text).map_err(wrong)?);
        }
    }
    if recipients.is_empty() && is_needed {
        return Err(usage("--to or --recipients says whom the message is for"));
    }
    if recipients.len() > RECIPIENTS_MAX {
        return Err(usage(&format!("more than {RECIPIENTS_MAX} recipients")));
    }
    Ok(recipients)
}

fn list(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if is_standard_input(path) {
        io::stdin().lock().take(LIST_BYTES_MAX + 1).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(LIST_BYTES_MAX + 1).read_to_string(&mut text))
    };
    // Cut off, it would end with somebody else.
    if u64::try_from(text.len()).is_ok_and(|octets| octets > LIST_BYTES_MAX) {
        return Err(Failure::new(Exit::Data, format!("{} has more than {LIST_BYTES_MAX} octets", path.display())));
    }
    read.map_err(|error| {
        if error.kind() == io::ErrorKind::InvalidData {
            return Failure::new(Exit::Data, format!("{} is not UTF-8", path.display()));
        }
        Failure::new(Exit::NoInput, format!("{} can't be read: {error}", path.display()))
    })?;
    Ok(text)
}

/// With or without angle brackets; also the bare `postmaster`.
fn mailbox(text: &str) -> Result<Mailbox, postgate_smtp::AddressError> {
    let text = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text);
    if text.eq_ignore_ascii_case("postmaster") { Mailbox::new(text, "") } else { text.parse() }
}

fn chunk_bytes(send: &Send) -> Result<usize, Failure> {
    match send.bdat {
        None => Ok(PIECE_BYTES),
        Some(size) if (1..=CHUNK_BYTES_MAX).contains(&size.octets()) => Ok(size.octets()),
        Some(_) => Err(usage(&format!("--bdat: a chunk has 1 to {CHUNK_BYTES_MAX} octets"))),
    }
}

/// Ready for TLS, where there may be any.
fn layer(send: &Send, tls: Option<Tls>, host: &str) -> Result<Option<ClientTls>, Failure> {
    let data = |text: String| Failure::new(Exit::Data, text);
    let is_verified = matches!(tls, Some(Tls::Starttls | Tls::Implicit)) && !send.insecure;
    if !is_verified && (send.ca.is_some() || send.server_name.is_some()) {
        return Err(usage(
            "--ca and --server-name are about a certificate that is verified: say --tls starttls or --tls implicit, too",
        ));
    }
    if tls == Some(Tls::None) {
        return Ok(None);
    }
    let own = match send.client_certificate.as_deref().zip(send.client_key.as_deref()) {
        Some((chain, key)) => Some(ClientCertificate {
            chain: read_chain(chain).map_err(data)?,
            key: Arc::new(read_key(key).map_err(data)?),
        }),
        None => None,
    };
    let authorities = send.ca.as_deref().map(read_chain).transpose().map_err(data)?;
    let trust = match (is_verified, &authorities) {
        (false, _) => Trust::Anybody,
        (true, Some(authorities)) => Trust::Authorities(authorities),
        (true, None) => Trust::System,
    };
    let name = send.server_name.as_deref().unwrap_or(host);
    match ClientTls::new(trust, own.as_ref(), name) {
        Ok(layer) => Ok(Some(layer)),
        Err(error) => Err(data(chained(&error))),
    }
}

const SMTP_PORT: u16 = 25;
/// RFC 2033 section 5 wants another than 25; this is what servers use.
const LMTP_PORT: u16 = 24;
/// RFC 8314 section 7.3.
const IMPLICIT_PORT: u16 = 465;
/// What is given to the client at once, behind DATA.
const PIECE_BYTES: usize = 64 << 10;
const CHUNK_BYTES_MAX: usize = 64 << 20;
const RECIPIENTS_MAX: usize = 100_000;
const LIST_BYTES_MAX: u64 = 64 << 20;
/// Tokens are longer than passwords.
const SECRET_BYTES_MAX: usize = 8192;
/// So that the line has no more than 512 (RFC 5321 section 4.5.3.1.4).
const XCLIENT_OCTETS_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers() {
        for (text, expected) in [
            ("mx.example.org", Some(("mx.example.org", None))),
            ("mx.example.org:2525", Some(("mx.example.org", Some(2525)))),
            ("127.0.0.1:25", Some(("127.0.0.1", Some(25)))),
            ("::1", Some(("::1", None))),
            ("[::1]", Some(("::1", None))),
            ("[::1]:26", Some(("::1", Some(26)))),
            ("", None),
            (":25", None),
            ("a:b", None),
            ("a:0", None),
            ("a:65536", None),
            ("[a]:25", None),
            ("[::1]25", None),
            ("smtp://a", None),
        ] {
            assert_eq!(split_server(text), expected, "{text}");
        }
    }

    #[test]
    fn a_list_is_read_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        std::fs::write(&path, "bob@example.org\n").unwrap();
        assert_eq!(list(&path).unwrap(), "bob@example.org\n");
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(LIST_BYTES_MAX).unwrap();
        assert_eq!(list(&path).unwrap().len() as u64, LIST_BYTES_MAX);
        file.set_len(LIST_BYTES_MAX + 1).unwrap();
        assert_eq!(list(&path).unwrap_err().exit, Exit::Data);
    }

    #[test]
    fn here() {
        for (host, expected) in [("127.0.0.1", true), ("localhost", true), ("::1", true), ("192.0.2.1", false)] {
            assert_eq!(is_here(host), expected, "{host}");
        }
    }

    #[test]
    fn attributes() {
        let words = |words: &[&str]| xclient(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(words(&[]).unwrap(), None);
        assert_eq!(words(&["addr=192.0.2.7", "NAME=a b"]).unwrap().as_deref(), Some("ADDR=192.0.2.7 NAME=a+20b"));
        assert!(words(&["ADDR"]).is_err() && words(&["=x"]).is_err() && words(&["A B=x"]).is_err());
        assert!(words(&[&format!("NAME={}", "x".repeat(600))]).is_err());
    }
}
