//! What a compiler can say about the code: format, clippy, dependencies, documentation.

use anyhow::{Result, bail};

use crate::step::{self, answers};
use crate::workspace::Workspace;

/// All of it, or what is soon done.
pub(crate) fn lint(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let fast = match arguments {
        [] => false,
        [only] if only == "--fast" => true,
        [unknown, ..] => bail!("lint takes `--fast` and nothing else, not `{unknown}`"),
    };
    workspace.cargo("checking the format").args(["fmt", "--all", "--check"]).run()?;
    workspace
        .cargo("asking clippy")
        .args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "--deny", "warnings"])
        .run()?;
    if answers("cargo", &["deny", "--version"]) {
        workspace.cargo("checking the dependencies").args(["deny", "--log-level", "error", "check"]).run()?;
    } else {
        step::complain("**** DEPENDENCIES ARE NOT CHECKED: no cargo-deny (cargo install --locked cargo-deny) ****");
    }
    if !fast {
        workspace
            .cargo("building the documentation")
            .args(["doc", "--quiet", "--workspace", "--no-deps"])
            .env("RUSTDOCFLAGS", "--deny warnings")
            .run()?;
    }
    Ok(())
}
