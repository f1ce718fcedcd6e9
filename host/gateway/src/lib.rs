//! Postgate, a mail gateway whose decisions are made by WebAssembly plugins.
//!
//! The way of a message reads straight down: `server` accepts a connection, `arrival` finds out whose it is,
//! `connection` moves octets, `stage` puts each question
//! of the protocol to the chain and makes the reply. Before that, `config` reads the file and `site` loads what it names.

mod arrival;
mod banner;
mod buffer;
mod callers;
mod chance;
pub mod command;
pub mod config;
mod connection;
mod figures;
mod guesses;
mod http;
mod id;
mod into;
mod keys;
mod proxy;
mod quarantine;
mod received;
mod rehearsal;
mod relays;
mod secrets;
pub mod server;
pub mod site;
mod stage;
mod stream;
mod tls;
mod turned_away;
