//! Plugins of Postgate: components that are loaded, sandboxed, and asked in the order of a chain.
//!
//! This is the only crate that names wasmtime. An [`Engine`] loads [`Plugin`]s; a [`Chain`] puts them in order; a [`Run`] takes one
//! session through it, hook by hook, and turns what plugins say into decisions. What guests may ask and do is the contract in
//! `wit/`: the context of the call (`context.rs`) and the host services that the operator has granted (`service.rs`).

#![deny(missing_docs)]

mod anatomy;
mod bindings;
mod buffer;
mod cache;
mod chain;
mod clock;
mod component;
mod context;
mod engine;
mod failure;
mod figures;
mod hook;
mod incoming;
mod instance;
mod limits;
mod message;
mod mime;
mod network;
mod places;
mod pulse;
mod relay;
mod reply;
mod run;
mod scram;
mod service;
mod setup;
mod state;
mod stderr;
mod stubs;
mod witness;

pub use anatomy::{Anatomy, AnatomyError, CoreModule, Fix, Foreign, Hash, NoFile, Producer};
pub use cache::CacheError;
pub use chain::{Chain, Entry};
pub use clock::Clock;
pub use component::{LoadError, Plugin, PluginConfig, Source, WithoutHook, anatomy, hooks, source};
pub use context::{ClientHello, ClientIdentity, Greeting, Mailbox, Parameter, SessionFacts, TlsLayer, VerdictKind};
pub use engine::{Engine, EngineConfig, EngineError};
pub use failure::{Cause, OnFailure, Policy};
pub use figures::exposition;
pub use hook::{CONTRACT_VERSION, Hook, HookSet};
pub use incoming::{RequestBody, Unanswered};
pub use instance::Start;
pub use limits::{Keep, Limits};
pub use message::{HEAD_BYTES, Message, MessageError, MessageWriter, try_scratch};
pub use network::network;
pub use places::Yielding;
pub use relay::{
    ClientCertificate, Content, Layer as ClientTls, Place, Relay, RelayConfig, RelayError, RelayTls, Told, Trust, Wire,
    WireError, Witness as WireWitness, dial,
};
pub use run::{Authentication, Decision, Delivery, End, Event, Fate, MessageDecision, Run};
pub use scram::{ScramEntry, ScramEntryError};
pub use service::{
    Directory, Grants, SERVICES, Service, ServiceId,
    dns::DnsConfig,
    http, key_value, maildir, secrets, signing, sqlite,
    storage::StorageError,
    submit::Grant as SubmitGrant,
    usage::{Usage, Used},
};
pub use setup::SettingProblem;
pub use stubs::{HandedOver, HttpAnswer, Requested, Stubs};
pub use witness::{Call, Failed, Saying, Witness};
