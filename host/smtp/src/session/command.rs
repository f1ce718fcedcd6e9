//! The commands (RFC 5321 section 4.1.1): one function for each row of the table of verbs.

use super::{Asked, Attempt, Identity, Session, Stage, Step};
use crate::base64;
use crate::chunk::Chunk;
use crate::config::{MixedOutcomes, Protocol};
use crate::domain::is_hello_name;
use crate::event::{Body, Close, Credentials, Greeting, Hello, Mail, Question, Recipient};
use crate::extension::{Extension, Offer};
use crate::forward::{self, Forwarded};
use crate::mailbox::{AddressError, Mailbox, Path, read_path};
use crate::parameter::{Declared, Of, Parameter, read_parameters};
use crate::replies;
use crate::reply::{Enhanced, Reply};
use crate::sasl::{self, Exchange, Facts, Mechanism, Mechanisms};
use crate::transaction::Recipients;
use crate::verb::Verb;

pub(crate) fn helo(session: &mut Session, argument: &str) -> Step {
    session.hello(Greeting::Helo, argument)
}

pub(crate) fn ehlo(session: &mut Session, argument: &str) -> Step {
    session.hello(Greeting::Ehlo, argument)
}

/// RFC 2033 section 4.1.
pub(crate) fn lhlo(session: &mut Session, argument: &str) -> Step {
    session.hello(Greeting::Lhlo, argument)
}

/// RFC 5321 section 4.1.1.2.
pub(crate) fn mail(session: &mut Session, argument: &str) -> Step {
    if session.transaction.is_some() {
        return Err(&replies::TRANSACTION_OPEN);
    }
    if session.transactions >= session.config.limits.transactions {
        session.close(&replies::TOO_MANY_TRANSACTIONS, Close::TooManyErrors);
        return Ok(None);
    }
    let path = strip_keyword(argument, "FROM:").ok_or(&replies::REVERSE_PATH)?;
    let (path, rest) = session.path(path).map_err(|error| match error.is_bound() {
        true => &replies::REVERSE_PATH_TOO_LONG,
        false => &replies::REVERSE_PATH,
    })?;
    let reverse_path = match path {
        Path::Null => None,
        // RFC 5321 section 4.1.1.3 lets Postmaster stand without a domain in a forward-path only.
        Path::Mailbox(mailbox) if mailbox.domain().is_empty() => {
            return Err(&replies::REVERSE_PATH);
        }
        Path::Mailbox(mailbox) => Some(mailbox),
    };
    let (parameters, declared) = session.parameters(rest, Of::Mail, Declared::on(session.date))?;
    let Declared { size, body, utf8, .. } = declared;
    if !utf8 && !argument.is_ascii() {
        return Err(&replies::NON_ASCII_MAILBOX);
    }
    let mail = Mail { reverse_path, parameters, size, body, utf8 };
    Ok(session.question(Asked::Mail { body, utf8 }, Question::Mail(mail)))
}

/// RFC 5321 section 4.1.1.3.
pub(crate) fn rcpt(session: &mut Session, argument: &str) -> Step {
    let transaction = session.transaction.as_ref().ok_or(&replies::MAIL_FIRST)?;
    if transaction.chunks().is_some() {
        return Err(&replies::CHUNKS_BEGUN);
    }
    let utf8 = transaction.utf8();
    let has_recipient = transaction.accepted() > 0;
    let full = transaction.recipients_asked() >= session.config.limits.recipients;
    let path = strip_keyword(argument, "TO:").ok_or(&replies::FORWARD_PATH)?;
    let (path, rest) = session.path(path).map_err(|error| match error.is_bound() {
        true => &replies::FORWARD_PATH_TOO_LONG,
        false => &replies::FORWARD_PATH,
    })?;
    let Path::Mailbox(mailbox) = path else {
        return Err(&replies::FORWARD_PATH);
    };
    if !utf8 && !argument.is_ascii() {
        return Err(&replies::NON_ASCII_MAILBOX);
    }
    let (parameters, _) = session.parameters(rest, Of::Recipient, Declared::in_transaction(utf8))?;
    if session.config.mixed_outcomes == MixedOutcomes::OneRecipient && has_recipient {
        session.reply(&replies::ONE_RECIPIENT);
        return Ok(None);
    }
    if full {
        // Not an error of the client's: RFC 5321 section 4.5.3.1.10 makes it part of how large lists are sent.
        session.reply(&replies::TOO_MANY_RECIPIENTS);
        return Ok(None);
    }
    Ok(session.question(Asked::Recipient, Question::Recipient(Recipient { mailbox, parameters })))
}

/// RFC 5321 section 4.1.1.4.
pub(crate) fn data(session: &mut Session, argument: &str) -> Step {
    no_argument(argument)?;
    session.mail_data_is_due()?;
    match &session.transaction {
        Some(transaction) if transaction.chunks().is_some() => return Err(&replies::CHUNKS_BEGUN),
        Some(transaction) if transaction.body() == Body::BinaryMime => return Err(&replies::BINARY_NEEDS_CHUNKS),
        Some(_) | None => {}
    }
    Ok(session.question(Asked::Data, Question::Data))
}

/// RFC 3030 section 2. A refusal takes effect behind the octets, which RFC 3030 wants read and thrown away.
pub(crate) fn bdat(session: &mut Session, argument: &str) -> Step {
    let chunk = Chunk::read(argument).map_err(|_| &replies::CHUNK_SIZE)?;
    session.mail_data_is_due()?;
    let limits = &session.config.limits;
    let message = session.transaction.as_ref().and_then(|transaction| transaction.chunks());
    let has_room = match message {
        Some(message) => message.has_room(chunk.octets, limits),
        None => chunk.octets <= limits.message_octets,
    };
    if !has_room {
        return Err(&replies::MESSAGE_TOO_LARGE);
    }
    let begun = message.is_some();
    // An empty chunk brings the message no nearer to its bound.
    if chunk.octets == 0 && !chunk.last && !session.count_idle_command() {
        return Ok(None);
    }
    if begun {
        session.stage = Stage::ChunkAnnounced(chunk);
        return Ok(None);
    }
    Ok(session.question(Asked::FirstChunk(chunk), Question::Data))
}

/// RFC 5321 section 4.1.1.5.
pub(crate) fn rset(session: &mut Session, argument: &str) -> Step {
    no_argument(argument)?;
    session.reset();
    session.reply(&replies::OK);
    Ok(None)
}

/// RFC 5321 section 4.1.1.9: an argument is allowed, and ignored.
pub(crate) fn noop(session: &mut Session, _: &str) -> Step {
    session.reply(&replies::OK);
    Ok(None)
}

/// RFC 5321 section 4.1.1.10.
pub(crate) fn quit(session: &mut Session, argument: &str) -> Step {
    no_argument(argument)?;
    session.close(&replies::BYE, Close::Quit);
    Ok(None)
}

/// RFC 5321 section 4.1.1.6.
pub(crate) fn vrfy(session: &mut Session, argument: &str) -> Step {
    let (argument, utf8) = session.text(argument)?;
    Ok(session.question(Asked::Verify { utf8 }, Question::Verify(argument)))
}

/// RFC 5321 section 4.1.1.7.
pub(crate) fn expn(session: &mut Session, argument: &str) -> Step {
    let (argument, utf8) = session.text(argument)?;
    Ok(session.question(Asked::Expand { utf8 }, Question::Expand(argument)))
}

/// RFC 5321 section 4.1.1.8.
pub(crate) fn help(session: &mut Session, argument: &str) -> Step {
    let lines: Vec<&str> = if argument.is_empty() {
        let has = |verb: &&Verb| {
            verb.extension.is_none_or(|extension| session.offers(extension))
                && verb.protocol.is_none_or(|protocol| protocol == session.config.protocol)
        };
        Verb::all().filter(has).map(|verb| verb.syntax).collect()
    } else {
        let verb = Verb::find(argument).filter(|verb| !verb.syntax.is_empty());
        vec![verb.ok_or(&replies::NO_SUCH_TOPIC)?.syntax]
    };
    let reply = Reply::new(214, Enhanced::new(2, 0, 0), &lines).map_err(|_| &replies::LOCAL_ERROR)?;
    session.reply(&reply);
    Ok(None)
}

/// RFC 3207 section 4. Within a transaction the client would lose it without a word.
pub(crate) fn starttls(session: &mut Session, argument: &str) -> Step {
    no_argument(argument)?;
    if session.tls.is_some() || session.transaction.is_some() {
        return Err(&replies::STARTTLS_NOT_NOW);
    }
    Ok(session.question(Asked::Starttls, Question::Starttls))
}

pub(crate) fn xclient(session: &mut Session, argument: &str) -> Step {
    let forwarded = session.forwarded(argument, &forward::XCLIENT)?;
    let has_login = forwarded.login.is_some();
    Ok(session.question(Asked::Xclient { has_login }, Question::Xclient(forwarded)))
}

pub(crate) fn xforward(session: &mut Session, argument: &str) -> Step {
    let forwarded = session.forwarded(argument, &forward::XFORWARD)?;
    Ok(session.question(Asked::Xforward, Question::Xforward(forwarded)))
}

/// RFC 4954 section 4.
pub(crate) fn auth(session: &mut Session, argument: &str) -> Step {
    if session.identity == Identity::Proved || session.transaction.is_some() {
        return Err(&replies::AUTH_NOT_NOW);
    }
    let mut words = argument.split(' ').filter(|word| !word.is_empty());
    let (Some(name), initial, None) = (words.next(), words.next(), words.next()) else {
        return Err(&replies::ARGUMENT);
    };
    if !session.may_authenticate() {
        return Err(&replies::ENCRYPTION_REQUIRED);
    }
    let mechanism = Mechanism::from_name(name)
        .filter(|mechanism| session.mechanisms().contains(*mechanism))
        .ok_or(&replies::MECHANISM)?;
    match initial {
        None => session.challenge(mechanism.start()),
        // RFC 4954 section 4: an initial response of no octets is written as `=`.
        Some("=") => return session.proceed(mechanism.start(), Vec::new()),
        Some(initial) => {
            let message = base64::decode(initial.as_bytes()).ok_or(&replies::SASL_SYNTAX)?;
            return session.proceed(mechanism.start(), message);
        }
    }
    Ok(None)
}

pub(crate) fn etrn(session: &mut Session, argument: &str) -> Step {
    Ok(Some(session.unknown("ETRN", argument, &replies::NOT_IMPLEMENTED)))
}

pub(crate) fn atrn(session: &mut Session, argument: &str) -> Step {
    Ok(Some(session.unknown("ATRN", argument, &replies::NOT_IMPLEMENTED)))
}

/// RFC 5321 section 4.2.4.
pub(crate) fn not_implemented(_: &mut Session, _: &str) -> Step {
    Err(&replies::NOT_IMPLEMENTED)
}

impl Session {
    /// RFC 5321 section 4.1.1.1. Nothing changes before the answer: a refused greeting leaves everything as it was (section 4.1.4).
    fn hello(&mut self, greeting: Greeting, argument: &str) -> Step {
        if !is_hello_name(argument) {
            return Err(&replies::HELLO_NAME);
        }
        let hello = Hello { greeting, name: argument.to_owned() };
        Ok(self.question(Asked::Hello(greeting), Question::Hello(hello)))
    }

    fn forwarded(&self, argument: &str, known: &[&'static str]) -> Result<Forwarded, &'static Reply> {
        match self.transaction {
            Some(_) => Err(&replies::FORWARD_NOT_NOW),
            None => Forwarded::read(argument, known),
        }
    }

    /// A verb that is the command hook's business.
    pub(super) fn unknown(&mut self, verb: &str, argument: &str, default: &'static Reply) -> Question {
        self.stage = Stage::Asked(Asked::Command { default });
        Question::Command { verb: verb.to_ascii_uppercase(), argument: argument.to_owned() }
    }

    /// Takes a line of the client in an AUTH exchange.
    pub(super) fn respond(&mut self, exchange: Exchange, line: &[u8]) -> Step {
        if line == b"*" {
            return Err(&replies::SASL_CANCELLED);
        }
        let message = base64::decode(line).ok_or(&replies::SASL_SYNTAX)?;
        self.proceed(exchange, message)
    }

    /// Gives a message of the client to the exchange.
    fn proceed(&mut self, exchange: Exchange, message: Vec<u8>) -> Step {
        let tls = self.tls.as_deref();
        let facts = Facts {
            offers_channel_binding: self.mechanisms().contains(Mechanism::ScramSha256Plus),
            channel_binding: tls.and_then(|tls| tls.channel_binding.as_deref()),
            certificate: tls.and_then(|tls| tls.client_certificate.as_ref()),
        };
        match exchange.respond(message, &facts)? {
            sasl::Step::Challenge(exchange) => {
                self.challenge(exchange);
                Ok(None)
            }
            sasl::Step::Done(mechanism, credentials) => {
                let attempt = match &credentials {
                    Credentials::Token { .. } => Attempt::Token(mechanism),
                    Credentials::ScramProof { identity: None, .. } => Attempt::Unproved,
                    Credentials::ScramProof { .. }
                    | Credentials::Password { .. }
                    | Credentials::Scram { .. }
                    | Credentials::Certificate { .. } => Attempt::Last,
                };
                Ok(self.question(Asked::Authenticate(attempt), Question::Authenticate { mechanism, credentials }))
            }
            sasl::Step::Proved(proof) => {
                let user = proof.user.clone();
                Ok(self.question(Asked::Proved(proof), Question::Proved { user }))
            }
            sasl::Step::Keys(first) => {
                let mechanism = first.mechanism;
                let credentials = Credentials::Scram { user: first.user.clone() };
                let asked = Asked::Authenticate(Attempt::Keys(first));
                Ok(self.question(asked, Question::Authenticate { mechanism, credentials }))
            }
        }
    }

    /// Asks the client for its next message: 334 and the challenge (RFC 4954 section 4).
    pub(super) fn challenge(&mut self, exchange: Exchange) {
        self.output.extend_from_slice(b"334 ");
        base64::encode(exchange.challenge(), &mut self.output);
        self.output.extend_from_slice(b"\r\n");
        self.stage = Stage::Exchange(exchange);
    }

    fn question(&mut self, asked: Asked, question: Question) -> Option<Question> {
        self.stage = Stage::Asked(asked);
        Some(question)
    }

    /// Reads a path within our bounds. Answers what stands behind it, too.
    fn path<'a>(&self, text: &'a str) -> Result<(Path, &'a str), AddressError> {
        let limits = &self.config.limits;
        let (path, rest) = read_path(text)?;
        if text.len() - rest.len() > limits.path_octets {
            return Err(AddressError::PathTooLong);
        }
        let octets = |part: fn(&Mailbox) -> &str| match &path {
            Path::Null => 0,
            Path::Mailbox(mailbox) => part(mailbox).len(),
        };
        if octets(Mailbox::local_part) > limits.local_part_octets {
            return Err(AddressError::LocalPartTooLong);
        }
        if octets(Mailbox::domain) > limits.domain_octets {
            return Err(AddressError::DomainTooLong);
        }
        Ok((path, rest))
    }

    /// Reads parameters; in a session that began with HELO none is offered.
    fn parameters(&self, text: &str, of: Of, declared: Declared) -> Result<(Vec<Parameter>, Declared), &'static Reply> {
        read_parameters(text, of, declared, &self.config, |extension| self.has(extension))
    }

    /// The argument of VRFY or EXPN, without the parameter that lets it and its reply go beyond ASCII (RFC 6531 section 3.7.4.2),
    /// and whether that was said.
    fn text(&self, argument: &str) -> Result<(String, bool), &'static Reply> {
        let parameter = argument.rsplit_once(' ').filter(|(_, last)| last.eq_ignore_ascii_case("SMTPUTF8"));
        let (text, utf8) = match parameter.filter(|_| self.has(Extension::SmtpUtf8)) {
            Some((text, _)) => (text.trim_ascii_end(), true),
            None => (argument, false),
        };
        if text.is_empty() {
            return Err(&replies::ARGUMENT);
        }
        if !utf8 && !text.is_ascii() {
            return Err(&replies::NON_ASCII_MAILBOX);
        }
        Ok((text.to_owned(), utf8))
    }

    /// Whether there is somebody to send mail data to.
    fn mail_data_is_due(&self) -> Result<(), &'static Reply> {
        match self.transaction.as_ref().ok_or(&replies::MAIL_FIRST)?.recipients() {
            Recipients::None => Err(&replies::RECIPIENT_FIRST),
            // RFC 2033 section 4.2.
            Recipients::AllRefused if self.config.protocol == Protocol::Lmtp => Err(&replies::RECIPIENT_FIRST),
            Recipients::AllRefused => Err(&replies::NO_VALID_RECIPIENTS),
            Recipients::Some => Ok(()),
        }
    }

    /// The name and EHLO lines of this server (RFC 5321 section 4.1.1.1), with those of the caller's.
    pub(super) fn greet(&mut self, greeting: Greeting, keywords: &[String]) {
        let offer = Offer { config: &self.config, mechanisms: self.mechanisms(), date: self.date };
        let mut lines = vec![self.config.hostname.as_str().as_bytes().to_vec()];
        if greeting != Greeting::Helo {
            crate::extension::for_each_line(
                |extension| self.announces(extension),
                |keyword, write_arguments| {
                    let mut line = keyword.as_bytes().to_vec();
                    write_arguments(&offer, &mut line);
                    lines.push(line);
                },
            );
            let own = keywords.iter().filter(|keyword| is_ehlo_line(keyword)).take(EHLO_LINES_MAX);
            lines.extend(own.map(|keyword| keyword.as_bytes().to_vec()));
        }
        let last = lines.len().saturating_sub(1);
        for (n, line) in lines.iter().enumerate() {
            self.output.extend_from_slice(if n == last { b"250 " } else { b"250-" });
            self.output.extend_from_slice(line);
            self.output.extend_from_slice(b"\r\n");
        }
    }

    /// Whether the EHLO reply names it: AUTH not where it would be refused for want of encryption, nor STARTTLS below TLS (RFC 3207
    /// section 4.2).
    fn announces(&self, extension: Extension) -> bool {
        let has_use = (extension != Extension::Auth || self.may_authenticate() && !self.mechanisms().is_empty())
            && (extension != Extension::StartTls || self.tls.is_none());
        has_use && self.offers(extension)
    }

    /// Those of the listener's mechanisms for which the session has what they need.
    fn mechanisms(&self) -> Mechanisms {
        let auth = &self.config.auth;
        let has_scram = self.seed.is_some() && auth.scram.is_some();
        let tls = self.tls.as_deref();
        let is_there = |mechanism: &Mechanism| match mechanism {
            Mechanism::Plain | Mechanism::Login | Mechanism::OAuthBearer | Mechanism::XOAuth2 => true,
            Mechanism::ScramSha256 => has_scram,
            Mechanism::ScramSha256Plus => has_scram && tls.is_some_and(|tls| tls.channel_binding.is_some()),
            Mechanism::External => tls.is_some_and(|tls| tls.client_certificate.is_some()),
        };
        auth.mechanisms.iter().filter(is_there).fold(Mechanisms::default(), Mechanisms::with)
    }

    /// Whether credentials may be sent over this connection.
    fn may_authenticate(&self) -> bool {
        self.tls.is_some() || self.config.auth.in_clear
    }
}

/// RFC 5321 section 4.1.1.1, `ehlo-line`, no longer than 64 octets.
fn is_ehlo_line(line: &str) -> bool {
    line.len() <= 64
        && line.bytes().next().is_some_and(|octet| octet.is_ascii_alphanumeric())
        && line.bytes().all(|octet| matches!(octet, b' '..=b'~'))
}

/// What stands behind `FROM:` or `TO:`, in any case of letters.
///
/// No space may stand around the colon (RFC 5321 section 3.3, which says so expressly because it is a common error).
fn strip_keyword<'a>(argument: &'a str, keyword: &str) -> Option<&'a str> {
    let (found, rest) = argument.split_at_checked(keyword.len())?;
    found.eq_ignore_ascii_case(keyword).then_some(rest)
}

/// RFC 5321 section 4.1.1: a command without parameters that has one is malformed.
fn no_argument(argument: &str) -> Result<(), &'static Reply> {
    if argument.is_empty() { Ok(()) } else { Err(&replies::NO_ARGUMENT_ALLOWED) }
}

/// Lines of the caller's in an EHLO reply.
const EHLO_LINES_MAX: usize = 64;
