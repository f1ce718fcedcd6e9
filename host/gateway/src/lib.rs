//! Postgate, a mail gateway whose decisions are made by WebAssembly plugins.

pub mod config;
