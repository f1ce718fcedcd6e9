//! The contract of `wit/` as Rust types and traits, generated.

#![allow(missing_docs, unreachable_pub, reason = "generated; the WIT files are the reference")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "everything",
    imports: {
        "postgate:mail/mail-data.read": async | trappable,
        "postgate:mail/passwords.verify": async | trappable,
        "postgate:mail/maildir.store": async | trappable,
        "postgate:mail/parts.all": async | trappable,
        "postgate:mail/parts.content": async | trappable,
        "postgate:mail/parts.text": async | trappable,
        "postgate:mail/key-value": async | trappable,
        "postgate:mail/sqlite": async | trappable,
        "postgate:mail/fetch": async | trappable,
        "postgate:mail/dns": async | trappable,
        "postgate:mail/submit": async | trappable,
        "postgate:mail/mail-authentication": async | trappable,
        "postgate:mail/signing": async | trappable,
        "postgate:mail/editor.replace-part": async | trappable,
        "postgate:mail/editor.remove-part": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});
