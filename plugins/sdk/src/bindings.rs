//! The contract of `wit/` as Rust, generated: what a plugin may ask for, and one world for each hook that it may export.
//!
//! Every hook is a world of its own, so that a plugin exports just those that it names in [`crate::export!`]. The worlds
//! share the types made by [`imports`]. What a plugin does not call does not become an import of its component.

#![allow(missing_docs, unsafe_code, reason = "generated; the WIT files are the reference")]

/// Context and services.
pub mod imports {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package postgate:sdk;
            world imports {
                include postgate:mail/context@0.1.0;
                import postgate:mail/log@0.1.0;
                import postgate:mail/config@0.1.0;
                import postgate:mail/passwords@0.1.0;
                import postgate:mail/maildir@0.1.0;
                import postgate:mail/metrics@0.1.0;
                import postgate:mail/secrets@0.1.0;
                import postgate:mail/key-value@0.1.0;
                import postgate:mail/fetch@0.1.0;
                import postgate:mail/dns@0.1.0;
                import postgate:mail/submit@0.1.0;
                import postgate:mail/mail-authentication@0.1.0;
                import postgate:mail/signing@0.1.0;
            }
        ",
        additional_derives: [PartialEq, Eq],
        generate_all,
    });
}

/// SQLite: its values are compared as floating point numbers are.
pub mod database {
    wit_bindgen::generate!({
        path: "wit",
        inline: "package postgate:sdk; world database { import postgate:mail/sqlite@0.1.0; }",
        with: { "postgate:mail/types@0.1.0": crate::bindings::imports::postgate::mail::types },
        additional_derives: [PartialEq],
        generate_all,
    });
}

/// One world: a module with the trait of the hook, its own types, and the macro that exports it.
macro_rules! hook {
    ($module:ident, $world:literal, { $($with:tt)* }) => {
        pub mod $module {
            wit_bindgen::generate!({
                path: "wit",
                inline: $world,
                with: { $($with)* },
                additional_derives: [PartialEq, Eq],
                pub_export_macro: true,
                default_bindings_module: "postgate_sdk::bindings",
                generate_all,
            });
        }
    };
}

hook!(setup, "package postgate:sdk; world hook-setup { export postgate:mail/setup@0.1.0; }", {});
hook!(connect, "package postgate:sdk; world hook-connect { export postgate:mail/connect@0.1.0; }", {
    "postgate:mail/types@0.1.0": crate::bindings::imports::postgate::mail::types,
});
hook!(hello, "package postgate:sdk; world hook-hello { export postgate:mail/hello@0.1.0; }", {
    "postgate:mail/types@0.1.0": crate::bindings::imports::postgate::mail::types,
});
hook!(starttls, "package postgate:sdk; world hook-starttls { export postgate:mail/starttls@0.1.0; }", {
    "postgate:mail/types@0.1.0": crate::bindings::imports::postgate::mail::types,
});
hook!(authenticate, "package postgate:sdk; world hook-authenticate { export postgate:mail/authenticate@0.1.0; }", {});
hook!(mail, "package postgate:sdk; world hook-mail { export postgate:mail/mail@0.1.0; }", {
    "postgate:mail/types@0.1.0": crate::bindings::imports::postgate::mail::types,
});
hook!(recipient, "package postgate:sdk; world hook-recipient { export postgate:mail/recipient@0.1.0; }", {
    "postgate:mail/types@0.1.0": crate::bindings::imports::postgate::mail::types,
});
hook!(data, "package postgate:sdk; world hook-data { export postgate:mail/data@0.1.0; }", {
    "postgate:mail/types@0.1.0": crate::bindings::imports::postgate::mail::types,
});
hook!(chunk, "package postgate:sdk; world hook-chunk { export postgate:mail/chunk@0.1.0; }", {
    "postgate:mail/types@0.1.0": crate::bindings::imports::postgate::mail::types,
});
hook!(message, "package postgate:sdk; world hook-message { export postgate:mail/message@0.1.0; }", {
    "postgate:mail/types@0.1.0": crate::bindings::imports::postgate::mail::types,
});
hook!(deliver, "package postgate:sdk; world hook-deliver { export postgate:mail/deliver@0.1.0; }", {
    "postgate:mail/types@0.1.0": crate::bindings::imports::postgate::mail::types,
});
hook!(verify, "package postgate:sdk; world hook-verify { export postgate:mail/verify@0.1.0; }", {
    "postgate:mail/types@0.1.0": crate::bindings::imports::postgate::mail::types,
});
hook!(expand, "package postgate:sdk; world hook-expand { export postgate:mail/expand@0.1.0; }", {
    "postgate:mail/types@0.1.0": crate::bindings::imports::postgate::mail::types,
});
hook!(command, "package postgate:sdk; world hook-command { export postgate:mail/command@0.1.0; }", {
    "postgate:mail/types@0.1.0": crate::bindings::imports::postgate::mail::types,
});
hook!(observe, "package postgate:sdk; world hook-observe { export postgate:mail/observe@0.1.0; }", {
    "postgate:mail/types@0.1.0": crate::bindings::imports::postgate::mail::types,
});
