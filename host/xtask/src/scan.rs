//! `cargo xtask scan`: testssl.sh against the gateway, with STARTTLS and with implicit TLS. It takes minutes, so no test does it; the
//! test that does (`tests/clients/sslscan.rs`) looks for less.

use anyhow::Result;

use crate::peers;
use crate::tools;
use crate::workspace::Workspace;

/// Prints what testssl.sh finds. Of its severities, what is `LOW` or worse is a failure, beside what the certificate of a trial has
/// wrong by nature.
pub(crate) fn scan(workspace: &Workspace) -> Result<()> {
    tools::scanner()?;
    peers::tls::scan(workspace)
}
