//! `postgate check`: everything that `run` would refuse, without serving.

use std::path::Path;

use super::{Exit, Failure};
use crate::config::Config;
use crate::site::Site;

pub(super) fn check(file: &Path, config: &Config) -> Result<String, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::System, format!("plugins can't be tried: {error}")))?;
    let site = runtime.block_on(Site::load(config))?;
    let mut text = String::new();
    for problem in config.doubts().into_iter().chain(site.warnings) {
        text.push_str(&format!("warning: {problem}\n\n"));
    }
    let parts = [
        counted(config.listeners.len(), "listener"),
        counted(config.chains.len(), "chain"),
        counted(config.plugins.len(), "plugin"),
    ];
    text.push_str(&format!("{} is good: {}\n", file.display(), parts.join(", ")));
    Ok(text)
}

fn counted(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}
