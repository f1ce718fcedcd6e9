//! Grants that have settings of their own.

pub(super) mod http;
pub(super) mod storage;
pub(super) mod wasi;
