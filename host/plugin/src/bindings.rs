//! The contract of `wit/` as Rust types and traits, generated.

#![allow(missing_docs, unreachable_pub, reason = "generated; the WIT files are the reference")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "everything",
    imports: {
        "postgate:mail/mail-data.read": async | trappable,
        "postgate:mail/passwords.verify": async | trappable,
        "postgate:mail/maildir.store": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});
