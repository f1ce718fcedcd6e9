//! The tests of the whole: real sockets, real guests, real clients. One binary, because linking the engine is the slow part.
//!
//! `cargo xtask test` builds what they need (guests in seven languages' worth of tool chains, the shipped plugins, Debian's mail
//! clients) and runs them.

mod architecture;
mod clients;
mod contract;
mod delivery;
mod dialogues;
mod fairness;
mod load;
mod misbehaviour;
mod process;
mod support;
