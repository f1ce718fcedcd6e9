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
        check_dependencies(workspace)?;
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

/// By `deny.toml`. The database of advisories comes from the network; all else does not need it.
fn check_dependencies(workspace: &Workspace) -> Result<()> {
    let deny = |what| workspace.cargo(what).args(["deny", "--log-level", "error"]);
    deny("checking the dependencies").args(["check", "licenses", "bans", "sources"]).run()?;
    match deny("fetching the database of advisories").args(["fetch", "db"]).quiet().run() {
        Ok(()) => deny("checking for advisories").args(["check", "--disable-fetch", "advisories"]).run(),
        Err(error) => {
            step::complain(&format!("{error:#}"));
            step::complain("**** NO DATABASE OF ADVISORIES: THE DEPENDENCIES ARE NOT CHECKED FOR THEM ****");
            Ok(())
        }
    }
}
