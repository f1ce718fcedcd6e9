//! What the gateway logs, as JSON lines that tests can look through.

use std::io::Write;
use std::sync::{Mutex, Once, PoisonError};

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Begins to capture, once for all tests.
pub(crate) fn capture() {
    static BEGIN: Once = Once::new();
    BEGIN.call_once(|| {
        let level = tracing_subscriber::filter::LevelFilter::DEBUG;
        tracing_subscriber::fmt().json().flatten_event(true).with_max_level(level).with_writer(|| Sink).init();
    });
}

/// The lines so far that have all of these texts in them.
pub(crate) fn lines(texts: &[&str]) -> Vec<serde_json::Value> {
    let octets = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let log = String::from_utf8_lossy(&octets);
    let has = |line: &&str| texts.iter().all(|text| line.contains(text));
    log.lines().filter(has).map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

struct Sink;

impl Write for Sink {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
