//! Grants that have settings of their own.

pub(super) mod storage;
