//! Is asked when a client connects, and has no opinion: what the cheapest instance costs a session.

use postgate_sdk::hook::Connect;
use postgate_sdk::{Verdict, export};

struct Door;

export!(Door: connect);

impl Connect for Door {
    fn on_connect() -> Verdict {
        Verdict::Next
    }
}
