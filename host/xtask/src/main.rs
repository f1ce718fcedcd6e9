//! The commands of the project: `cargo xtask run | build | test | projects | wit | bench | scan | lint`.
//!
//! They begin on a fresh machine with a Rust toolchain, and fetch what else they need: the WebAssembly target, the toolchains of
//! the guests in other languages, the mail clients that the tests speak to. Each step says in one line what it does.

mod components;
mod guests;
mod languages;
mod lint;
mod peers;
mod projects;
mod scan;
mod step;
mod tools;
mod wit;
mod workspace;

use std::env;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use components::{Kind, build_components};
use step::Step;
use workspace::Workspace;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            step::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let Some((command, rest)) = arguments.split_first() else {
        step::say(USAGE);
        return Ok(());
    };
    match command.as_str() {
        "run" => quickstart(&Workspace::find()?, rest),
        "build" => build(&Workspace::find()?, rest),
        "test" => test(&Workspace::find()?, rest),
        "projects" => {
            refuse(rest)?;
            let workspace = Workspace::find()?;
            let gateway = build_gateway(&workspace, Profile::Dev)?;
            projects::build_projects(&workspace, &gateway)
        }
        "wit" => {
            refuse(rest)?;
            wit::build(&Workspace::find()?)
        }
        "bench" => bench(&Workspace::find()?, rest),
        "scan" => {
            refuse(rest)?;
            scan::scan(&Workspace::find()?)
        }
        // What `bench tls` starts: the floor, and the load.
        peers::tls::FLOOR => peers::tls::floor(rest),
        peers::tls::LOAD => peers::tls::load(rest),
        "lint" => lint::lint(&Workspace::find()?, rest),
        "help" | "-h" | "--help" => {
            step::say(USAGE);
            Ok(())
        }
        unknown => bail!("no command `{unknown}`\n\n{USAGE}"),
    }
}

/// Builds what the quickstart needs, and becomes the gateway.
fn quickstart(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let (profile, further) = profile(arguments);
    let plugins = build_components(workspace, &[Kind::Plugin])?;
    let gateway = build_gateway(workspace, profile)?;
    let data = workspace.target.join("quickstart");
    let config = workspace.root.join("examples/quickstart/postgate.toml");
    let mailbox = data.join("mail/example.org/bob/new");
    step::say(&format!("\n{HINT}\nBob's mail is in {}; more in examples/quickstart/README.md.\n", mailbox.display()));
    Step::new("starting the gateway", &gateway)
        .args(["run", "--config"])
        .arg(&config)
        .arg("--set")
        .arg(format!("plugin-dir={}", plugins.display()))
        .arg("--set")
        .arg(format!("data-dir={}", data.display()))
        .args(further)
        .become_it()
}

/// The gateway and the shipped plugins.
fn build(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let (profile, further) = profile(arguments);
    refuse(further)?;
    let plugins = build_components(workspace, &[Kind::Plugin])?;
    let gateway = build_gateway(workspace, profile)?;
    step::say(&format!("the gateway is {}, the plugins are in {}", gateway.display(), plugins.display()));
    Ok(())
}

/// All tests, with everything that they need.
fn test(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    tools::clients(workspace)?;
    tools::dkimpy(workspace)?;
    tools::aiosmtpd(workspace)?;
    build_components(workspace, &[Kind::Plugin, Kind::Guest])?;
    guests::build_guests(workspace)?;
    let gateway = build_gateway(workspace, Profile::Dev)?;
    projects::build_projects(workspace, &gateway)?;
    workspace.cargo("testing the workspace").args(["test", "--workspace"]).args(arguments).run()
}

/// The measurements: all, or one of them.
fn bench(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let core = "postgate-smtp";
    let plugin = "postgate-plugin";
    match arguments.split_first() {
        Some((which, rest)) if which == "core" => criterion(workspace, &[core], rest),
        Some((which, rest)) if which == "plugin" => criterion(workspace, &[plugin], rest),
        Some((which, rest)) if which == "peers" => peers::peers(workspace, number(rest, "--turns", TURNS)?),
        Some((which, rest)) if which == "delivery" => peers::delivery(workspace, number(rest, "--messages", MESSAGES)?),
        Some((which, rest)) if which == "idle" => peers::idle(workspace, number(rest, "--connections", CONNECTIONS)?),
        Some((which, rest)) if which == "message" => peers::message(workspace, number(rest, "--turns", MESSAGE_TURNS)?),
        Some((which, rest)) if which == "languages" => {
            let gateway = build_gateway(workspace, Profile::Release)?;
            languages::languages(workspace, &gateway, number(rest, "--calls", CALLS)?)
        }
        Some((which, rest)) if which == "tls" => peers::tls::tls(workspace, number(rest, "--turns", TURNS)?),
        Some((unknown, _)) => bail!("no measurement `{unknown}`\n\n{USAGE}"),
        None => {
            criterion(workspace, &[core, plugin], &[])?;
            peers::peers(workspace, TURNS)?;
            peers::idle(workspace, CONNECTIONS)?;
            peers::tls::tls(workspace, TURNS)?;
            peers::message(workspace, MESSAGE_TURNS)?;
            peers::delivery(workspace, MESSAGES)
        }
    }
}

/// The benchmarks of these crates.
fn criterion(workspace: &Workspace, packages: &[&str], arguments: &[String]) -> Result<()> {
    build_components(workspace, &[Kind::Plugin, Kind::Guest])?;
    guests::build_guests(workspace)?;
    let mut step = workspace.cargo(&format!("measuring {}", packages.join(" and "))).args(["bench", "--benches"]);
    for package in packages {
        step = step.args(["--package", package]);
    }
    step.args(arguments).run()
}

/// A number behind the one option that there is.
fn number(arguments: &[String], option: &str, default: u32) -> Result<u32> {
    match arguments {
        [] => Ok(default),
        [name, value] if name == option => {
            let number = value.parse().ok().filter(|number| (1..=NUMBER_MAX).contains(number));
            number.with_context(|| format!("{option} takes a number from 1 to {NUMBER_MAX}, not `{value}`"))
        }
        [unknown, ..] => bail!("there is `{option} NUMBER` and nothing else, not `{unknown}`"),
    }
}

fn build_gateway(workspace: &Workspace, profile: Profile) -> Result<std::path::PathBuf> {
    let mut step = workspace.cargo("building the gateway").args(["build", "--package", "postgate"]);
    let directory = match profile {
        Profile::Dev => "debug",
        Profile::Release => {
            step = step.arg("--release");
            "release"
        }
    };
    step.run()?;
    let gateway = workspace.target.join(directory).join("postgate");
    gateway.canonicalize().with_context(|| format!("{} is not there", gateway.display()))
}

/// How the gateway is built. Plugins are always optimised: their speed is bounded by fuel.
#[derive(Clone, Copy)]
enum Profile {
    Dev,
    Release,
}

/// `--release`, where it is the first argument; behind it, and behind a `--`, what is passed on.
fn profile(arguments: &[String]) -> (Profile, &[String]) {
    let (profile, rest) = match arguments.split_first() {
        Some((first, rest)) if first == "--release" => (Profile::Release, rest),
        _ => (Profile::Dev, arguments),
    };
    match rest.split_first() {
        Some((first, behind)) if first == "--" => (profile, behind),
        _ => (profile, rest),
    }
}

fn refuse(arguments: &[String]) -> Result<()> {
    match arguments.first() {
        None => Ok(()),
        Some(unknown) => bail!("unexpected argument `{unknown}`\n\n{USAGE}"),
    }
}

/// Of `bench peers` and `bench tls`: five give ratios within about 5 % on a machine that does something else too.
const TURNS: u32 = 5;
/// Of `bench idle`.
const CONNECTIONS: u32 = 10_000;
/// Of `bench message`.
const MESSAGE_TURNS: u32 = 10;
/// Of `bench delivery`.
const MESSAGES: u32 = 100_000;
/// Of `bench languages`.
const CALLS: u32 = 1000;
const NUMBER_MAX: u32 = 10_000_000;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  run [--release] [ARGUMENTS]   builds gateway and plugins, and starts the gateway of examples/quickstart;
                                the arguments are those of `postgate run`, such as --set key=value
  build [--release]             builds gateway and plugins
  test [ARGUMENTS]              fetches what the tests need, and passes the arguments to `cargo test --workspace`
  projects                      builds plugins with all hooks in each language, by `postgate new` and `postgate build`
  wit                           makes the contract one file, as registries hold it
  bench                         all of these:
  bench core [ARGUMENTS]        measures the protocol; the arguments are those of `cargo bench`
  bench plugin [ARGUMENTS]      measures the plugin host
  bench peers [--turns N]       measures the gateway beside Postfix's smtp-sink
  bench idle [--connections N]  measures what 10,000 connections cost in memory while they are silent
  bench tls [--turns N]         measures TLS handshakes beside those of a server that does nothing else
  bench message [--turns N]     measures a message of 25 MB that three plugins read
  bench languages [--calls N]   measures a plugin in each language: compiling, first call, further calls, memory; not among all of these
  bench delivery [--messages N] delivers 100,000 messages into a Maildir, and counts them
  scan                          runs testssl.sh against the gateway, with STARTTLS and with implicit TLS; takes minutes
  lint [--fast]                 format, clippy, cargo-deny; without --fast the documentation too";

const HINT: &str = "\
Once it listens, try from another terminal:

  swaks --server 127.0.0.1:2525 --to bob@example.org --auth PLAIN --auth-user alice@example.org --auth-password wonderland
  swaks --server 127.0.0.1:2525 --to nobody@example.org
  python3 -c 'import smtplib; smtplib.SMTP(\"127.0.0.1\", 2525).sendmail(\"\", \"bob@example.org\", \"Subject: Hello\")'
";
