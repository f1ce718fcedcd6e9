//! The hooks: moments of the SMTP dialogue at which plugins are asked, one row each.
//!
//! The table below is the only list of them. A component exports an interface of `wit/hooks.wit` for each hook that it
//! implements; `Indices` finds out which when a component is loaded, and `Guests` holds the typed functions of one instance.

use std::fmt;

use wasmtime::component::{Component, Instance, InstancePre};

use crate::bindings::exports::postgate::mail as exports;
use crate::state::State;

/// The version of the contract, as it stands behind `@` in interface names.
pub const CONTRACT_VERSION: &str = "0.1.0";

macro_rules! hooks {
    ($($(#[$doc:meta])* $variant:ident $field:ident $name:literal, $default:literal;)*) => {
        /// A moment of the SMTP dialogue at which plugins are asked.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Hook {
            $($(#[$doc])* $variant,)*
        }

        impl Hook {
            /// All hooks, in the order of the dialogue.
            pub const ALL: [Hook; HOOKS] = [$(Hook::$variant),*];

            /// The name in configuration, logs and WIT: `recipient`.
            pub const fn name(self) -> &'static str {
                match self { $(Hook::$variant => $name,)* }
            }

            /// What the host does when no plugin of the chain has an opinion, in a few words.
            pub const fn default_decision(self) -> &'static str {
                match self { $(Hook::$variant => $default,)* }
            }

            /// The full name of the interface that a component exports.
            pub(crate) const fn interface(self) -> &'static str {
                match self { $(Hook::$variant => concat!("postgate:mail/", $name, "@0.1.0"),)* }
            }
        }

        const HOOKS: usize = [$($name),*].len();

        /// Where a component's exports are found; none for a hook that it does not implement.
        pub(crate) struct Indices {
            $(pub(crate) $field: Option<exports::$field::GuestIndices>,)*
        }

        /// The typed functions of one instance, looked up when a hook is first called.
        #[derive(Default)]
        pub(crate) struct Guests {
            $(pub(crate) $field: Option<exports::$field::Guest>,)*
        }

        impl Guests {
            $(
                /// The function of this hook, looked up at its first call.
                pub(crate) fn $field(
                    &mut self,
                    indices: &Indices,
                    store: &mut wasmtime::Store<State>,
                    instance: &Instance,
                ) -> wasmtime::Result<&exports::$field::Guest> {
                    if self.$field.is_none() {
                        let indices = indices.$field.as_ref();
                        self.$field = indices.map(|indices| indices.load(store, instance)).transpose()?;
                    }
                    self.$field.as_ref().ok_or_else(|| wasmtime::Error::msg(concat!("no hook ", $name)))
                }
            )*
        }

        impl Indices {
            /// Looks at the exports of a component. An error is a hook without its function.
            pub(crate) fn new(pre: &InstancePre<State>) -> wasmtime::Result<Self> {
                Ok(Self {
                    $($field: if exports_hook(pre.component(), Hook::$variant) {
                        Some(exports::$field::GuestIndices::new(pre)?)
                    } else {
                        None
                    },)*
                })
            }

            pub(crate) fn hooks(&self) -> HookSet {
                let mut set = HookSet::default();
                $(if self.$field.is_some() { set.insert(Hook::$variant); })*
                set
            }

            /// Looks up all functions that there are; an error names one of the wrong type.
            pub(crate) fn check(
                &self,
                store: &mut wasmtime::Store<State>,
                instance: &Instance,
            ) -> Result<(), (Hook, wasmtime::Error)> {
                $(if let Some(indices) = &self.$field {
                    indices.load(&mut *store, instance).map_err(|error| (Hook::$variant, error))?;
                })*
                Ok(())
            }
        }
    };
}

hooks! {
    /// A client has connected, before the banner.
    Connect connect "connect", "the session begins";
    /// HELO, EHLO or LHLO.
    Hello hello "hello", "the greeting is answered";
    /// STARTTLS, before the handshake.
    Starttls starttls "starttls", "the handshake begins";
    /// AUTH, when the client's credentials are known.
    Authenticate authenticate "authenticate", "535: nobody is authenticated";
    /// MAIL FROM.
    Mail mail "mail", "the transaction begins";
    /// RCPT TO.
    Recipient recipient "recipient", "550 5.7.1: the recipient is refused";
    /// DATA or the first BDAT.
    Data data "data", "mail data is read";
    /// Each BDAT chunk.
    Chunk chunk "chunk", "the chunk is read";
    /// The end of mail data.
    Message message "message", "the message goes to delivery";
    /// The message is handed over.
    Deliver deliver "deliver", "451 4.3.0: the recipient is deferred";
    /// VRFY.
    Verify verify "verify", "252: cannot verify";
    /// EXPN.
    Expand expand "expand", "502: not offered";
    /// A verb that the host does not know.
    Command command "command", "500: no such command";
    /// Something has happened; it can't be changed.
    Observe observe "observe", "nothing";
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of hooks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HookSet(u16);

impl HookSet {
    /// Whether the hook is in the set.
    pub const fn contains(self, hook: Hook) -> bool {
        self.0 & (1 << hook as u16) != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds a hook.
    pub const fn insert(&mut self, hook: Hook) {
        self.0 |= 1 << hook as u16;
    }

    /// Its hooks in the order of the dialogue.
    pub fn iter(self) -> impl Iterator<Item = Hook> + Clone {
        Hook::ALL.into_iter().filter(move |hook| self.contains(*hook))
    }
}

fn exports_hook(component: &Component, hook: Hook) -> bool {
    component.get_export_index(None, hook.interface()).is_some()
}
