//! From the banner to readiness: EHLO or HELO, STARTTLS, AUTH.

use super::failure::{Ending, Failure};
use super::offer::Offer;
use super::reader::{Heard, Reader};
use super::sasl::{Answer, Exchange, Said, Work, Worked};
use super::{Client, Layer, Stage, Stop, TlsWish};
use crate::config::Protocol;

impl Client {
    pub(super) fn banner(&mut self, heard: &Heard) {
        if heard.code != 220 {
            return self.fail(Failure::Refused(heard.reply()));
        }
        if self.config.stop == Some(Stop::Banner) {
            self.stage = Stage::Ready;
            return;
        }
        self.greet();
    }

    fn greet(&mut self) {
        let verb = match self.config.protocol {
            Protocol::Smtp => "EHLO",
            Protocol::Lmtp => "LHLO",
        };
        let line = format!("{verb} {}", self.config.hello);
        self.say(&line);
        self.stage = Stage::Ehlo;
    }

    pub(super) fn ehlo(&mut self, heard: &Heard) {
        let is_final = heard.code >= 500;
        if heard.is_positive() {
            self.offer = Offer::read(&heard.lines);
            self.next_step();
        } else if is_final && self.config.protocol == Protocol::Smtp {
            // RFC 5321 section 3.2: a server without service extensions.
            let line = format!("HELO {}", self.config.hello);
            self.say(&line);
            self.stage = Stage::Helo;
        } else {
            self.fail(Failure::Refused(heard.reply()));
        }
    }

    pub(super) fn helo(&mut self, heard: &Heard) {
        if !heard.is_positive() {
            return self.fail(Failure::Refused(heard.reply()));
        }
        self.offer = Offer::default();
        self.next_step();
    }

    /// Behind the greeting: TLS where it is wanted, then AUTH, then nothing more.
    fn next_step(&mut self) {
        let is_clear = matches!(self.tls, Layer::Clear);
        match self.config.stop {
            Some(Stop::Hello) => {
                self.stage = Stage::Ready;
                return;
            }
            Some(Stop::Tls) if !is_clear => {
                self.stage = Stage::Ready;
                return;
            }
            Some(Stop::Tls) if !self.offer.starttls => return self.fail(Failure::TlsNotOffered),
            Some(Stop::Banner | Stop::Tls | Stop::Auth | Stop::Mail | Stop::Recipient) | None => {}
        }
        match self.config.tls {
            TlsWish::Required if is_clear && !self.offer.starttls => return self.fail(Failure::TlsNotOffered),
            TlsWish::Required | TlsWish::IfOffered if is_clear && self.offer.starttls => {
                self.say("STARTTLS");
                self.stage = Stage::StartTls;
                return;
            }
            TlsWish::Required | TlsWish::IfOffered | TlsWish::Never => {}
        }
        self.present();
    }

    /// XCLIENT, where it is wanted: it says whom we speak for.
    fn present(&mut self) {
        match &self.config.xclient {
            Some(_) if self.presented => self.authenticate(),
            Some(_) if !self.offer.xclient => self.fail(Failure::NotOffered("XCLIENT")),
            Some(attributes) => {
                let line = format!("XCLIENT {attributes}");
                self.say(&line);
                self.stage = Stage::XClient;
            }
            None => self.authenticate(),
        }
    }

    /// Behind its 220 the session begins anew.
    pub(super) fn xclient(&mut self, heard: &Heard) {
        if heard.code != 220 {
            return self.fail(Failure::Refused(heard.reply()));
        }
        self.presented = true;
        self.offer = Offer::default();
        self.greet();
    }

    /// `behind` octets of input are left: whoever has put them there is not below TLS, and they must not be taken for what is (CVE-2011-0411, from the
    /// other side).
    pub(super) fn starttls(&mut self, heard: &Heard, behind: usize) {
        if heard.code == 220 && behind == 0 {
            self.stage = Stage::TlsAnnounced;
        } else if heard.code == 220 {
            self.fail(Failure::OutOfStep);
        } else if self.config.tls == TlsWish::Required {
            self.fail(Failure::TlsRefused(heard.reply()));
        } else {
            self.present();
        }
    }

    /// The handshake that [`Event::StartTls`](super::Event::StartTls) has asked for is done, and the server is who it should be. RFC 3207 section 4.2: what it
    /// offered before is forgotten, and we greet again. Nothing happens where no handshake is due.
    pub fn secured(&mut self, binding: Option<Vec<u8>>) {
        if !matches!(self.stage, Stage::Handshake) {
            return;
        }
        self.tls = Layer::Tls { binding };
        self.offer = Offer::default();
        self.reader = Reader::default();
        self.output.clear();
        self.greet();
    }

    fn authenticate(&mut self) {
        let Some(credentials) = &self.config.credentials else { return self.ready() };
        let binding = match &self.tls {
            Layer::Clear => None,
            Layer::Tls { binding } => binding.as_deref(),
        };
        let may_tell = self.is_secured() || self.config.secrets_in_clear;
        let mechanism = Exchange::choose(credentials, self.offer.mechanisms, self.config.mechanism, binding, may_tell);
        let Some(mechanism) = mechanism else { return self.fail(Failure::NoMechanism) };
        let (exchange, line) =
            Exchange::begin(mechanism, credentials, self.config.mechanism, binding, self.seed.nonce());
        self.journal.said_secret(&line, 2);
        self.output.extend_from_slice(&line);
        self.stage = Stage::Auth(Box::new(exchange));
    }

    /// Everything in front of a transaction is done.
    fn ready(&mut self) {
        if self.config.chunks && !self.offer.chunking && self.config.stop.is_none() {
            return self.fail(Failure::NotOffered("CHUNKING"));
        }
        self.stage = Stage::Ready;
    }

    pub(super) fn auth(&mut self, exchange: Exchange, heard: &Heard) {
        let Some(credentials) = self.config.credentials.clone() else { return self.fail(Failure::OutOfStep) };
        match heard.code {
            235 if exchange.may_end() => {
                self.authenticated = true;
                self.ready();
            }
            235 => self.fail(Failure::NotAuthentic),
            334 => {
                let challenge = heard.lines.first().map_or("", String::as_str);
                match exchange.answer(challenge, &credentials) {
                    Ok(Answer::Now(said)) => self.answer(said),
                    Ok(Answer::Behind(work)) => self.stage = Stage::Work(Some(work)),
                    Err(failure) => {
                        // The exchange is left as RFC 4954 section 4 says, and so is the server.
                        self.say("*");
                        self.stage = Stage::Closed(Ending::Failed(failure));
                    }
                }
            }
            400.. => self.fail(Failure::AuthenticationFailed(heard.reply())),
            _ => self.fail(Failure::OutOfStep),
        }
    }

    fn answer(&mut self, Said { exchange, line }: Said) {
        self.journal.said_secret(&line, 0);
        self.output.extend_from_slice(&line);
        self.stage = Stage::Auth(Box::new(exchange));
    }

    /// What [`Event::Work`](super::Event::Work) has asked for, once.
    pub fn work(&mut self) -> Option<Work> {
        match &mut self.stage {
            Stage::Work(work) => work.take().map(|work| *work),
            Stage::Banner
            | Stage::Ehlo
            | Stage::Helo
            | Stage::StartTls
            | Stage::TlsAnnounced
            | Stage::Handshake
            | Stage::XClient
            | Stage::Auth(_)
            | Stage::Ready
            | Stage::Reset
            | Stage::Transaction(_)
            | Stage::Quit
            | Stage::Closed(_) => None,
        }
    }

    /// It is done. Nothing happens where nobody has asked for it.
    pub fn worked(&mut self, worked: Worked) {
        if matches!(self.stage, Stage::Work(None)) {
            self.answer(worked.said());
        }
    }
}
