//! The tests of the whole: real sockets, real guests, real clients. One binary, because linking the engine is the slow part.
//!
//! `cargo xtask test` builds or fetches what they need (the shipped plugins, guests and new plugins in Rust, Python and JavaScript, Debian's mail
//! clients), and runs them.

#![allow(unreachable_pub, reason = "nothing of a test binary can be reached from outside")]

mod architecture;
mod auth;
mod authentication;
mod author;
mod clients;
mod conduct;
mod conformance;
mod contract;
mod delivery;
mod dialogues;
mod dns;
mod fairness;
mod http;
mod http_peers;
mod inspect;
mod load;
mod metering;
mod mime;
mod misbehaviour;
mod misfits;
mod mta_hooks;
mod pages;
mod patience;
mod process;
mod proxy;
mod rehearsal;
mod relay;
mod secrets;
mod send;
mod ssrf;
mod storage;
mod stores;
mod support;
mod tls;
mod wasi;
mod web;
mod web_tls;
mod webhook;
