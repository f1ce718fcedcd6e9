//! Both sides of SMTP without input or output: octets in, events and octets out. The server's is [`Session`], the client's [`client::Client`].
//!
//! This crate never reads a clock, socket, file, environment or log, and knows nothing of plugins. Its caller owns the
//! connection, gives what it reads to [`Session::advance`], does what the [`Event`] says, answers the [`Question`]s, and writes
//! [`Session::output`] to the client. So the same dialogue runs in a unit test, over a socket, and under a fuzzer.
//!
//! Standards: RFC 5321 and 7504 (SMTP), 2033 (LMTP), 1870 (SIZE), 2034, 3463 and 5248 (enhanced status codes), 2920 (PIPELINING), 3030 (CHUNKING, BINARYMIME),
//! 4954 (AUTH) with 4616 (PLAIN) and the LOGIN mechanism,
//! 5802, 7677 and 9266 (SCRAM-SHA-256 and -PLUS), 7628 (OAUTHBEARER) and the XOAUTH2 mechanism, 4422 (EXTERNAL), 6152 (8BITMIME), 3207 (STARTTLS),
//! 6531 (SMTPUTF8), 3461 and 6533 (DSN), 2852 (DELIVERBY), 4865 (FUTURERELEASE), 6710 (MT-PRIORITY), 9422 (LIMITS), 8689 (REQUIRETLS).
//!
//! What grows, grows by rows of a table: verbs (`verb.rs`), service extensions with their parameters (`extension.rs`), SASL
//! mechanisms (`sasl.rs`), replies (`replies.rs`).
//!
//! ```
//! use postgate_smtp::{Answer, Config, Event, Session};
//! use std::sync::Arc;
//!
//! let config = Config::new("mx.example.org".parse().unwrap());
//! let mut session = Session::new(Arc::new(config));
//! let mut input: &[u8] = b"HELO client.example\r\n";
//! loop {
//!     let (taken, event) = session.advance(input);
//!     input = &input[taken..];
//!     match event {
//!         Event::Ask(_) => session.answer(Answer::Yes),
//!         Event::MailData(_) | Event::Reset => {}
//!         Event::Wait | Event::StartTls | Event::Close(_) => break,
//!     }
//! }
//! assert_eq!(session.output(), b"220 mx.example.org ESMTP Postgate\r\n250 mx.example.org\r\n");
//! ```

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod base64;
mod chunk;
pub mod client;
mod config;
mod content;
mod data;
#[cfg(feature = "dialogue")]
pub mod dialogue;
mod domain;
mod event;
mod extension;
mod forward;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod limits;
mod line;
mod mailbox;
mod parameter;
mod proxy;
pub mod replies;
mod reply;
mod sasl;
mod session;
mod tls;
mod transaction;
mod verb;

pub use config::{AuthOffer, Config, MixedOutcomes, Promises, Protocol};
pub use domain::Domain;
pub use event::{Answer, Awaited, Body, Close, Credentials, Event, Greeting, Hello, Late, Mail, Question, Recipient};
pub use extension::{Extension, Extensions, is_reserved_keyword};
pub use forward::Forwarded;
pub use limits::Limits;
pub use mailbox::{AddressError, Mailbox};
pub use parameter::{Parameter, decode_xtext, encode_xtext};
pub use proxy::{Proxied, ProxiedTls, ProxyError, ProxyFacts, ProxyHeader};
pub use reply::{Enhanced, Reply, ReplyError};
pub use sasl::scram::{ScramDecoy, ScramKeys};
pub use sasl::{Mechanism, Mechanisms, prepared};
pub use session::Session;
pub use tls::{Certificate, TlsFacts, TlsOffer};
