//! Dialogue files: their reader, and a player for the bare session.
