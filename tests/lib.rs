//! The tests of the whole are in `all.rs`: one binary, because linking the engine is the slow part.
