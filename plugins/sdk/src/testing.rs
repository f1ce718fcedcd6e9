//! The host, played natively: for unit tests of a plugin by `cargo test`, without WebAssembly.
//!
//! A [`Scene`] is what the plugin is told when it asks for its context, and remembers what the plugin has done.
//!
//! ```
//! use postgate_sdk::testing::Scene;
//! use postgate_sdk::{Verdict, log, session};
//!
//! fn on_connect() -> Verdict {
//!     let client = session::remote().address;
//!     if client == "192.0.2.66" {
//!         log::info("refused", &[("client", &client)]);
//!         return Verdict::reject(554, "5.7.1", "not you");
//!     }
//!     Verdict::Next
//! }
//!
//! let scene = Scene::new().client("192.0.2.66");
//! assert_eq!(scene.play(on_connect), Verdict::reject(554, "5.7.1", "not you"));
//! assert_eq!(scene.logged(), ["info refused client=192.0.2.66"]);
//! ```
//!
//! Played are the context, `log`, `config`, `key-value` (nothing expires), `secrets`, `dns`, `fetch`, `passwords`, `maildir` and `metrics`.
//! Nothing is worked out that the host would work out: the parts of a message and the addresses of its fields, the results of mail
//! authentication, signatures, what relays and the database answer are what the test has told. What it has not told is an error or a panic that says
//! how to tell it. `postgate test` has all of it as it is.

pub(crate) mod host;
mod message;
mod services;
mod state;
mod told;

use std::cell::RefCell;
use std::rc::Rc;

use serde::Serialize;

use crate::bindings::imports::postgate::mail::fetch::{FetchError, Request, Response};
use crate::bindings::imports::postgate::mail::session::{ClientHello, ClientIdentity, Greeting, TlsLayer};
use crate::bindings::imports::postgate::mail::transaction::AcceptedRecipient;
use crate::{Mailbox, Parameter};
use message::Message;
pub use state::Submitted;
use state::{State, Transaction};

/// What the plugin is told, and what it has done.
pub struct Scene {
    state: Rc<RefCell<State>>,
}

impl Scene {
    /// A session of the client 192.0.2.1, which has not greeted; no configuration.
    #[must_use]
    pub fn new() -> Self {
        Self { state: Rc::default() }
    }

    /// The table `[plugin.NAME.config]`: anything that serde can write, such as `serde_json::json!` makes.
    ///
    /// # Panics
    ///
    /// It can't be written as JSON.
    #[must_use]
    pub fn config(self, table: impl Serialize) -> Self {
        self.set(|state| state.config = serde_json::to_value(table).expect("the configuration is JSON"))
    }

    /// The client's address.
    #[must_use]
    pub fn client(self, address: &str) -> Self {
        self.set(|state| state.remote.address = address.to_owned())
    }

    /// The client has greeted with EHLO and this name.
    #[must_use]
    pub fn hello(self, name: &str) -> Self {
        self.set(|state| state.hello = Some(ClientHello { greeting: Greeting::Ehlo, name: name.to_owned() }))
    }

    /// The client has authenticated.
    #[must_use]
    pub fn identity(self, name: &str) -> Self {
        let identity = ClientIdentity { name: name.to_owned(), mechanism: "PLAIN".to_owned() };
        self.set(|state| state.identity = Some(identity))
    }

    /// The connection is below TLS.
    #[must_use]
    pub fn tls(self, layer: TlsLayer) -> Self {
        self.set(|state| state.tls = Some(layer))
    }

    /// The client has spoken before the banner.
    #[must_use]
    pub fn early_talker(self) -> Self {
        self.set(|state| state.early_talker = true)
    }

    /// A note that an earlier plugin or call has left.
    #[must_use]
    pub fn with_note(self, name: &str, value: &str) -> Self {
        self.set(|state| drop(state.notes.insert(name.to_owned(), value.to_owned())))
    }

    /// A mail transaction has begun, with this reverse-path; the empty text is the null one.
    #[must_use]
    pub fn reverse_path(self, reverse_path: &str) -> Self {
        self.set(|state| state.transaction().reverse_path = Mailbox::parse(reverse_path))
    }

    /// A recipient that has been accepted, of the transaction.
    ///
    /// # Panics
    ///
    /// It is no mailbox.
    #[must_use]
    pub fn recipient(self, recipient: &str) -> Self {
        let mailbox = Mailbox::parse(recipient).expect("a mailbox such as alice@example.org");
        self.set(|state| state.transaction().recipients.push(AcceptedRecipient { mailbox, parameters: Vec::new() }))
    }

    /// A parameter of the MAIL command, such as `SIZE=1000` or `SMTPUTF8`.
    #[must_use]
    pub fn parameter(self, parameter: &str) -> Self {
        let (keyword, value) = match parameter.split_once('=') {
            Some((keyword, value)) => (keyword, Some(value.to_owned())),
            None => (parameter, None),
        };
        let parameter = Parameter { keyword: keyword.to_ascii_uppercase(), value };
        self.set(|state| state.transaction().parameters.push(parameter))
    }

    /// The message is there, and can be edited: the hook is `message`. Lines may end with LF.
    #[must_use]
    pub fn message(self, text: &str) -> Self {
        self.set(|state| {
            let _begun: &mut Transaction = state.transaction();
            state.message = Some(Message::parse(text));
        })
    }

    /// An entry of the key-value store.
    #[must_use]
    pub fn with_entry(self, key: &str, value: &[u8]) -> Self {
        self.set(|state| drop(state.entries.insert(key.to_owned(), value.to_owned())))
    }

    /// A secret that may be read.
    #[must_use]
    pub fn secret(self, name: &str, value: &str) -> Self {
        self.set(|state| drop(state.secrets.insert(name.to_owned(), value.to_owned())))
    }

    /// A password that is right for this hash.
    #[must_use]
    pub fn password(self, hash: &str, password: &str) -> Self {
        self.set(|state| drop(state.passwords.insert(hash.to_owned(), password.to_owned())))
    }

    /// A record of the DNS, of the type `A`, `AAAA`, `TXT`, `MX` (`10 mx.example.org`) or `PTR` (of an address). For a block list give
    /// `LISTED` of `ADDRESS.ZONE`, `192.0.2.7.list.example` say. Names without a record don't exist.
    #[must_use]
    pub fn dns(self, name: &str, kind: &str, value: &str) -> Self {
        self.set(|state| state.records.push([name.to_ascii_lowercase(), kind.to_owned(), value.to_owned()]))
    }

    /// Answers HTTP requests.
    #[must_use]
    pub fn on_fetch(self, answer: impl FnMut(&Request) -> Result<Response, FetchError> + 'static) -> Self {
        self.set(|state| state.fetch = Some(Box::new(answer)))
    }

    /// Calls a hook, or any other function of the plugin, which is then told what this scene says.
    pub fn play<T>(&self, call: impl FnOnce() -> T) -> T {
        let _end = state::enter(Rc::clone(&self.state));
        call()
    }

    /// The lines that the plugin has written into the log, such as `info refused client=192.0.2.66`.
    #[must_use]
    pub fn logged(&self) -> Vec<String> {
        self.state.borrow().log.clone()
    }

    /// A note of the session.
    #[must_use]
    pub fn note(&self, name: &str) -> Option<String> {
        self.state.borrow().notes.get(name).cloned()
    }

    /// An entry of the key-value store.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<Vec<u8>> {
        self.state.borrow().entries.get(key).cloned()
    }

    /// The message as it is now, with the plugin's edits.
    #[must_use]
    pub fn message_text(&self) -> String {
        let octets = self.state.borrow().message.as_ref().map(Message::octets);
        String::from_utf8_lossy(&octets.unwrap_or_default()).into_owned()
    }

    /// The recipients as they are now, such as `alice@example.org`.
    #[must_use]
    pub fn recipients(&self) -> Vec<String> {
        let state = self.state.borrow();
        let recipients = state.transaction.iter().flat_map(|transaction| &transaction.recipients);
        recipients.map(|recipient| recipient.mailbox.to_string()).collect()
    }

    /// The Maildirs that the message was written to, such as `example.org/alice`.
    #[must_use]
    pub fn stored(&self) -> Vec<String> {
        self.state.borrow().stored.clone()
    }

    fn set(self, change: impl FnOnce(&mut State)) -> Self {
        change(&mut self.state.borrow_mut());
        self
    }
}

impl Default for Scene {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::ContextError;
    use crate::{config, dns, editor, key_value, log, mail_data, parts, session, transaction};

    #[test]
    fn context() {
        let scene = Scene::new().client("192.0.2.7").hello("client.example").identity("alice").with_note("a", "1");
        scene.play(|| {
            assert_eq!(session::remote().address, "192.0.2.7");
            assert_eq!(session::hello().map(|hello| hello.name).as_deref(), Some("client.example"));
            assert_eq!(session::identity().map(|identity| identity.name).as_deref(), Some("alice"));
            assert_eq!(session::note("a").as_deref(), Some("1"));
            assert_eq!(session::set_note("b", "2"), Ok(()));
            assert_eq!(transaction::reverse_path(), Err(ContextError::NotNow));
            assert_eq!(mail_data::size(), Err(ContextError::NotNow));
        });
        assert_eq!(scene.note("b").as_deref(), Some("2"));
        let scene = Scene::new().reverse_path("").recipient("bob@example.org").parameter("SIZE=77");
        scene.play(|| {
            assert_eq!(transaction::reverse_path(), Ok(None));
            assert_eq!(transaction::declared_size(), Ok(Some(77)));
            assert_eq!(transaction::recipients().map(|recipients| recipients.len()), Ok(1));
        });
    }

    #[test]
    fn edits_are_seen() {
        let scene = Scene::new().recipient("bob@example.org").message("Subject: tea\nTo: a,\n b\n\nAt six?\n");
        scene.play(|| {
            assert_eq!(parts::field("subject"), Ok(vec!["tea".to_owned()]));
            assert_eq!(parts::field("To"), Ok(vec!["a, b".to_owned()]));
            assert_eq!(mail_data::body_offset(), Ok(28));
            assert_eq!(mail_data::read(28, 100).as_deref(), Ok(&b"At six?\r\n"[..]));
            assert_eq!(editor::append_field("X-A", b"1"), Ok(()));
            assert_eq!(editor::replace_field("SUBJECT", 0, b"coffee"), Ok(true));
            assert_eq!(editor::remove_fields("to"), Ok(1));
            assert_eq!(editor::add_recipient(&Mailbox::parse("carol@example.org").unwrap()), Ok(()));
        });
        assert_eq!(scene.message_text(), "Subject: coffee\r\nX-A: 1\r\n\r\nAt six?\r\n");
        assert_eq!(scene.recipients(), ["bob@example.org", "carol@example.org"]);
    }

    #[test]
    fn services() {
        let scene = Scene::new().config(serde_json::json!({"domains": {"example.org": {"size": 5}}})).dns(
            "a.example",
            "A",
            "192.0.2.1",
        );
        scene.play(|| {
            let path = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
            assert_eq!(config::value(&path(&["domains", "example.org", "size"])).as_deref(), Some("5"));
            assert_eq!(config::value(&path(&["domain"])), None);
            assert_eq!(key_value::set("k", b"v", None), Ok(()));
            assert_eq!(key_value::increment("n", 2, None), Ok(2));
            assert_eq!(key_value::keys("", None), Ok(vec!["k".to_owned(), "n".to_owned()]));
            assert_eq!(dns::addresses("A.example"), Ok(vec!["192.0.2.1".to_owned()]));
            assert_eq!(dns::addresses("b.example"), Err(dns::DnsError::NoSuchName));
            log::warn("x", &[("a", "1")]);
        });
        assert_eq!(scene.entry("k").as_deref(), Some(&b"v"[..]));
        assert_eq!(scene.logged(), ["warn x a=1"]);
    }

    #[test]
    fn what_was_told() {
        use crate::mail_authentication::{self, ResultCode, SpfResult};
        use crate::submit::{self, Submission};
        use crate::{Reply, ServiceError, secrets, signing, sqlite};

        let code = ResultCode::Pass;
        let spf = SpfResult { code, domain: "example.com".to_owned(), is_hello: false, explanation: None };
        let alice = Mailbox::parse("alice@example.org").unwrap();
        let scene =
            Scene::new().spf(spf).hmac("webhook", [7; 32]).signing_key("example-org").reverse_path("bob@example.net");
        let scene = scene.message("From: Bob <bob@example.net>\nAuthentication-Results: mx.example.org; x\n\nHello\n");
        let scene = scene.address("From", Some("Bob"), "bob@example.net").part("text/plain", None, b"Hello");
        let scene = scene.on_submit(|given, _| Submission::Taken(Reply::new(250, "2.0.0", &given.relay)));
        scene.play(|| {
            assert_eq!(mail_authentication::spf().map(|spf| spf.domain).as_deref(), Ok("example.com"));
            assert_eq!(mail_authentication::remove_forged(), Ok(1));
            assert_eq!(secrets::hmac_sha256("webhook", b"data"), Ok(vec![7; 32]));
            assert!(matches!(secrets::hmac_sha256("other", b""), Err(ServiceError::Denied(_))));
            assert_eq!(signing::dkim_sign("example-org"), Ok(()));
            assert!(matches!(signing::arc_seal("other"), Err(ServiceError::Denied(_))));
            assert_eq!(parts::text(1).as_deref(), Ok("Hello"));
            assert_eq!(parts::content(2, 0, 10), Err(parts::PartError::NoSuchPart));
            assert_eq!(parts::addresses("from").map(|found| found.len()), Ok(1));
            assert_eq!(parts::addresses("to").map(|found| found.len()), Ok(0));
            assert_eq!(editor::replace_part(1, "text/html", b"<p>"), Ok(true));
            assert_eq!(editor::remove_part(2), Ok(false));
            let taken = submit::relay("upstream", std::slice::from_ref(&alice)).unwrap();
            assert_eq!(taken, [Submission::Taken(Reply::new(250, "2.0.0", "upstream"))]);
            assert_eq!(sqlite::begin(), Ok(()));
            assert_eq!(sqlite::commit(), Ok(()));
        });
        assert_eq!(scene.parts(), [("text/html".to_owned(), b"<p>".to_vec())]);
        assert_eq!(scene.signatures(), ["dkim example-org"]);
        assert_eq!(scene.hmac_signed(), [("webhook".to_owned(), b"data".to_vec())]);
        assert_eq!(scene.submitted()[0].recipients, [alice]);
        assert_eq!(scene.statements(), ["BEGIN", "COMMIT"]);
    }

    #[test]
    #[should_panic(expected = "Scene::dmarc")]
    fn what_was_not_told() {
        Scene::new().play(|| drop(crate::mail_authentication::dmarc()));
    }

    #[test]
    #[should_panic(expected = "within Scene::play")]
    fn nothing_is_known_outside_of_a_scene() {
        let _ = session::remote();
    }
}
