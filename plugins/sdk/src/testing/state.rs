//! What a scene says and remembers, and the one that is being played on this thread.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::message::Message;
use crate::bindings::database::postgate::mail::sqlite::{Effect, SqliteError, Table, Value};
use crate::bindings::imports::postgate::mail::fetch::{FetchError, Request, Response};
use crate::bindings::imports::postgate::mail::mail_authentication::{
    ArcResult, DkimResult, DmarcResult, IprevResult, SpfResult,
};
use crate::bindings::imports::postgate::mail::parts::{NamedAddress, Part};
use crate::bindings::imports::postgate::mail::session::{ClientHello, ClientIdentity, Endpoint, TlsLayer};
use crate::bindings::imports::postgate::mail::submit::Submission;
use crate::bindings::imports::postgate::mail::transaction::AcceptedRecipient;
use crate::{Mailbox, Parameter};

pub(super) struct State {
    pub(super) remote: Endpoint,
    pub(super) hello: Option<ClientHello>,
    pub(super) tls: Option<TlsLayer>,
    pub(super) identity: Option<ClientIdentity>,
    pub(super) early_talker: bool,
    pub(super) notes: BTreeMap<String, String>,
    pub(super) transaction: Option<Transaction>,
    pub(super) message: Option<Message>,
    pub(super) config: serde_json::Value,
    pub(super) log: Vec<String>,
    pub(super) entries: BTreeMap<String, Vec<u8>>,
    pub(super) secrets: BTreeMap<String, String>,
    pub(super) passwords: BTreeMap<String, String>,
    /// Name, type, value.
    pub(super) records: Vec<[String; 3]>,
    pub(super) fetch: Option<Fetch>,
    pub(super) stored: Vec<String>,
    /// Their numbers are those of their places, from 1 on.
    pub(super) parts: Vec<(Part, Vec<u8>)>,
    /// By the name of the field, in lower case.
    pub(super) addresses: Vec<(String, NamedAddress)>,
    pub(super) spf: Option<SpfResult>,
    pub(super) dkim: Option<Vec<DkimResult>>,
    pub(super) dmarc: Option<DmarcResult>,
    pub(super) arc: Option<ArcResult>,
    pub(super) iprev: Option<IprevResult>,
    pub(super) results_field: Option<String>,
    pub(super) signing_keys: Vec<String>,
    pub(super) signatures: Vec<String>,
    pub(super) hmacs: BTreeMap<String, Vec<u8>>,
    pub(super) hmac_signed: Vec<(String, Vec<u8>)>,
    pub(super) submit: Option<Submit>,
    pub(super) submitted: Vec<Submitted>,
    pub(super) query: Option<Query>,
    pub(super) execute: Option<Execute>,
    pub(super) statements: Vec<String>,
}

/// What a relay was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// The relay's name.
    pub relay: String,
    /// None is the null reverse-path.
    pub reverse_path: Option<Mailbox>,
    /// In order.
    pub recipients: Vec<Mailbox>,
    /// All of it.
    pub message: Vec<u8>,
}

type Submit = Box<dyn FnMut(&Submitted, &Mailbox) -> Submission>;
type Query = Box<dyn FnMut(&str, &[Value]) -> Result<Table, SqliteError>>;
type Execute = Box<dyn FnMut(&str, &[Value]) -> Result<Effect, SqliteError>>;

type Fetch = Box<dyn FnMut(&Request) -> Result<Response, FetchError>>;

#[derive(Default)]
pub(super) struct Transaction {
    pub(super) reverse_path: Option<Mailbox>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) recipients: Vec<AcceptedRecipient>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            remote: Endpoint { address: "192.0.2.1".to_owned(), port: 40_000 },
            hello: None,
            tls: None,
            identity: None,
            early_talker: false,
            notes: BTreeMap::new(),
            transaction: None,
            message: None,
            config: serde_json::json!({}),
            log: Vec::new(),
            entries: BTreeMap::new(),
            secrets: BTreeMap::new(),
            passwords: BTreeMap::new(),
            records: Vec::new(),
            fetch: None,
            stored: Vec::new(),
            parts: Vec::new(),
            addresses: Vec::new(),
            spf: None,
            dkim: None,
            dmarc: None,
            arc: None,
            iprev: None,
            results_field: None,
            signing_keys: Vec::new(),
            signatures: Vec::new(),
            hmacs: BTreeMap::new(),
            hmac_signed: Vec::new(),
            submit: None,
            submitted: Vec::new(),
            query: None,
            execute: None,
            statements: Vec::new(),
        }
    }
}

impl State {
    /// The transaction, begun if need be.
    pub(super) fn transaction(&mut self) -> &mut Transaction {
        self.transaction.get_or_insert_with(Transaction::default)
    }
}

thread_local! {
    static PLAYED: RefCell<Vec<Rc<RefCell<State>>>> = const { RefCell::new(Vec::new()) };
}

/// Ends a scene, also when a test fails within.
pub(super) struct End;

impl Drop for End {
    fn drop(&mut self) {
        PLAYED.with_borrow_mut(|played| drop(played.pop()));
    }
}

pub(super) fn enter(state: Rc<RefCell<State>>) -> End {
    PLAYED.with_borrow_mut(|played| played.push(state));
    End
}

/// Asks or changes the scene that is being played.
pub(super) fn with<T>(act: impl FnOnce(&mut State) -> T) -> T {
    let state = PLAYED.with_borrow(|played| played.last().cloned());
    let state = state.expect("natively the host is there only within Scene::play");
    act(&mut state.borrow_mut())
}
