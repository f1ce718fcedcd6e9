//! The hooks: a trait for each moment of the SMTP dialogue, with one associated function that answers for it.
//!
//! A plugin is a type that implements those it wants, and names them in [`crate::export!`].

use crate::bindings;

/// The plugin has been loaded: `on_setup` looks at its configuration; [`crate::config::problems`] does so by a type.
pub use bindings::setup::exports::postgate::mail::setup::Guest as Setup;
pub use bindings::setup::exports::postgate::mail::setup::SettingProblem;

/// A client has connected: `on_connect`, before the banner.
pub use bindings::connect::exports::postgate::mail::connect::Guest as Connect;

/// HELO, EHLO or LHLO: `on_hello`, which may also announce keywords.
pub use bindings::hello::exports::postgate::mail::hello::Guest as Hello;
pub use bindings::hello::exports::postgate::mail::hello::HelloAnswer;

/// STARTTLS: `on_starttls`, before the handshake.
pub use bindings::starttls::exports::postgate::mail::starttls::Guest as Starttls;

/// AUTH: `on_authenticate`, with the credentials that the SASL exchange has brought.
pub use bindings::authenticate::exports::postgate::mail::authenticate::Guest as Authenticate;
pub use bindings::authenticate::exports::postgate::mail::authenticate::{
    Authentication, CertificateCredentials, Credentials, PasswordCredentials, ScramKeys, ScramLookup, TokenCredentials,
};

/// MAIL: `on_mail`, a mail transaction begins.
pub use bindings::mail::exports::postgate::mail::mail::Guest as Mail;

/// RCPT: `on_recipient`. A recipient that no plugin accepts is refused.
pub use bindings::recipient::exports::postgate::mail::recipient::Guest as Recipient;

/// DATA or the first BDAT: `on_data`, before any mail data.
pub use bindings::data::exports::postgate::mail::data::Guest as Data;

/// Each BDAT chunk: `on_chunk`, before its octets.
pub use bindings::chunk::exports::postgate::mail::chunk::Guest as Chunk;

/// The end of mail data: `on_message`; [`crate::mail_data`] and [`crate::editor`] answer.
pub use bindings::message::exports::postgate::mail::message::Guest as Message;
pub use bindings::message::exports::postgate::mail::message::MessageVerdict;

/// Delivery: `on_deliver`, one outcome for each recipient. A recipient that no plugin takes is deferred.
pub use bindings::deliver::exports::postgate::mail::deliver::Guest as Deliver;
pub use bindings::deliver::exports::postgate::mail::deliver::Outcome;

/// VRFY: `on_verify`.
pub use bindings::verify::exports::postgate::mail::verify::Guest as Verify;
pub use bindings::verify::exports::postgate::mail::verify::Verification;

/// EXPN: `on_expand`.
pub use bindings::expand::exports::postgate::mail::expand::Expansion;
pub use bindings::expand::exports::postgate::mail::expand::Guest as Expand;

/// A verb that the host does not know: `on_command`.
pub use bindings::command::exports::postgate::mail::command::Guest as Command;

/// What has happened: `on_event`, which can't change anything.
pub use bindings::observe::exports::postgate::mail::observe::Guest as Observe;
pub use bindings::observe::exports::postgate::mail::observe::{End, Event, Fate, RecipientFate};

/// Makes the component export the hooks of a plugin, and no others.
///
/// ```
/// use postgate_sdk::{Mailbox, Parameter, Verdict, hook};
///
/// struct Everyone;
///
/// impl hook::Recipient for Everyone {
///     fn on_recipient(_recipient: Mailbox, _parameters: Vec<Parameter>) -> Verdict {
///         Verdict::Accept
///     }
/// }
///
/// postgate_sdk::export!(Everyone: recipient);
/// # fn main() {}
/// ```
///
/// The names are those of the interfaces: `setup connect hello starttls authenticate mail recipient data chunk message deliver
/// verify expand command observe`.
#[macro_export]
macro_rules! export {
    ($plugin:ident: $($hook:ident),+ $(,)?) => {
        $($crate::bindings::$hook::export!($plugin with_types_in $crate::bindings::$hook);)+
    };
}
