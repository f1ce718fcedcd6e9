//! What a scene answers only as far as the test has told it: parts of the message, mail authentication, signing, submission, SQL and HMAC.
//!
//! What was not told panics, and says how to tell it.

use super::Scene;
use super::state::Submitted;
use crate::Mailbox;
use crate::bindings::database::postgate::mail::sqlite::{Effect, SqliteError, Table, Value};
use crate::bindings::imports::postgate::mail::mail_authentication::{
    ArcResult, DkimResult, DmarcResult, IprevResult, SpfResult,
};
use crate::bindings::imports::postgate::mail::parts::{NamedAddress, Part};
use crate::bindings::imports::postgate::mail::submit::Submission;

/// What the plugin is told of the message beyond its fields.
impl Scene {
    /// A MIME part below the whole message, which is part 0; the first one told is part 1. With a file name it is an attachment.
    ///
    /// ```
    /// use postgate_sdk::testing::Scene;
    /// use postgate_sdk::{editor, parts};
    ///
    /// fn attachments_off() {
    ///     for part in parts::all().unwrap().iter().rev().filter(|part| part.attachment) {
    ///         editor::remove_part(part.number).unwrap();
    ///     }
    /// }
    ///
    /// let scene = Scene::new().message("Subject: x\n\n…").part("text/plain", None, b"Hello").part("image/png", Some("a.png"), b"\x89PNG");
    /// scene.play(attachments_off);
    /// assert_eq!(scene.parts(), [("text/plain".to_owned(), b"Hello".to_vec())]);
    /// ```
    #[must_use]
    pub fn part(self, media_type: &str, file_name: Option<&str>, content: &[u8]) -> Self {
        let part = Part {
            number: 0,
            parent: Some(0),
            media_type: media_type.to_owned(),
            charset: media_type.starts_with("text/").then(|| "utf-8".to_owned()),
            file_name: file_name.map(str::to_owned),
            attachment: file_name.is_some(),
            content_id: None,
            size: content.len() as u64,
        };
        self.set(|state| state.parts.push((part, content.to_owned())))
    }

    /// One more address of the fields with this name.
    #[must_use]
    pub fn address(self, field: &str, name: Option<&str>, address: &str) -> Self {
        let named = NamedAddress { name: name.map(str::to_owned), address: address.to_owned() };
        self.set(|state| state.addresses.push((field.to_ascii_lowercase(), named)))
    }

    /// The parts that were told, as they are now: media type and content.
    #[must_use]
    pub fn parts(&self) -> Vec<(String, Vec<u8>)> {
        let state = self.state.borrow();
        state.parts.iter().map(|(part, content)| (part.media_type.clone(), content.clone())).collect()
    }
}

/// What mail authentication says.
impl Scene {
    /// Of SPF.
    #[must_use]
    pub fn spf(self, result: SpfResult) -> Self {
        self.set(|state| state.spf = Some(result))
    }

    /// Of DKIM: one result for each signature.
    #[must_use]
    pub fn dkim(self, results: Vec<DkimResult>) -> Self {
        self.set(|state| state.dkim = Some(results))
    }

    /// Of DMARC.
    #[must_use]
    pub fn dmarc(self, result: DmarcResult) -> Self {
        self.set(|state| state.dmarc = Some(result))
    }

    /// Of ARC.
    #[must_use]
    pub fn arc(self, result: ArcResult) -> Self {
        self.set(|state| state.arc = Some(result))
    }

    /// Of reverse DNS.
    #[must_use]
    pub fn iprev(self, result: IprevResult) -> Self {
        self.set(|state| state.iprev = Some(result))
    }

    /// All of it as the value of a field. Fields of the message that are taken for forged are those that begin with `mx.example.org`.
    #[must_use]
    pub fn results_field(self, value: &str) -> Self {
        self.set(|state| state.results_field = Some(value.to_owned()))
    }
}

/// What leaves the plugin.
impl Scene {
    /// A key that may be signed with. The message gets no field.
    #[must_use]
    pub fn signing_key(self, name: &str) -> Self {
        self.set(|state| state.signing_keys.push(name.to_owned()))
    }

    /// What was signed with which key, such as `dkim example-org` or `arc example-org`.
    #[must_use]
    pub fn signatures(&self) -> Vec<String> {
        self.state.borrow().signatures.clone()
    }

    /// What HMAC-SHA-256 with that secret is, whatever is signed: 32 octets.
    #[must_use]
    pub fn hmac(self, name: &str, octets: [u8; 32]) -> Self {
        self.set(|state| drop(state.hmacs.insert(name.to_owned(), octets.to_vec())))
    }

    /// What was signed with secrets: name and data.
    #[must_use]
    pub fn hmac_signed(&self) -> Vec<(String, Vec<u8>)> {
        self.state.borrow().hmac_signed.clone()
    }

    /// Answers for each recipient of what a relay is given.
    #[must_use]
    pub fn on_submit(self, answer: impl FnMut(&Submitted, &Mailbox) -> Submission + 'static) -> Self {
        self.set(|state| state.submit = Some(Box::new(answer)))
    }

    /// What relays were given.
    #[must_use]
    pub fn submitted(&self) -> Vec<Submitted> {
        self.state.borrow().submitted.clone()
    }

    /// Answers SQL that asks for rows.
    ///
    /// ```
    /// use postgate_sdk::sqlite::{self, Table, Value, values};
    /// use postgate_sdk::testing::Scene;
    ///
    /// fn quota(user: &str) -> Option<i64> {
    ///     sqlite::query("SELECT quota FROM users WHERE address = ?", &values![user]).ok()?.first().ok()?
    /// }
    ///
    /// let scene = Scene::new().on_query(|statement, parameters| {
    ///     assert_eq!((statement, parameters), ("SELECT quota FROM users WHERE address = ?", &values!["alice"][..]));
    ///     Ok(Table { columns: vec!["quota".to_owned()], rows: vec![vec![Value::Integer(5)]] })
    /// });
    /// assert_eq!(scene.play(|| quota("alice")), Some(5));
    /// assert_eq!(scene.statements(), ["SELECT quota FROM users WHERE address = ?"]);
    /// ```
    #[must_use]
    pub fn on_query(self, answer: impl FnMut(&str, &[Value]) -> Result<Table, SqliteError> + 'static) -> Self {
        self.set(|state| state.query = Some(Box::new(answer)))
    }

    /// Answers SQL that changes something.
    #[must_use]
    pub fn on_execute(self, answer: impl FnMut(&str, &[Value]) -> Result<Effect, SqliteError> + 'static) -> Self {
        self.set(|state| state.execute = Some(Box::new(answer)))
    }

    /// The statements that were run, scripts as a whole; `BEGIN`, `COMMIT` and `ROLLBACK` among them.
    #[must_use]
    pub fn statements(&self) -> Vec<String> {
        self.state.borrow().statements.clone()
    }
}
