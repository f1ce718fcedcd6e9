//! The command line: `postgate run|check|explain|inspect|password|dkim-record|reference|send`, and for authors of plugins `new|build|test`.
//!
//! What a command has to say goes to standard output, what went wrong to standard error. Exit codes are those of sysexits:
//! 64 for a wrong command line, 65 for a file that is no plugin or sources that don't become one, 66 for one that can't be read, 69 for a
//! tool that is missing, 71 where the system does not let us, 73 where a project can't be written, 74 where output can't be written, 75 to 77 for what a server says to `send`, and 78 for everything about the configuration, a missing file included: whoever
//! supervises us then knows that it is no use to start us again.

mod build;
mod check;
mod conformance;
mod dkim_record;
mod explain;
mod inspect;
mod new;
mod password;
mod run;
mod send;
mod table;
mod test;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config, Problems};

#[derive(Debug, Parser)]
#[command(name = "postgate", version, about = "A mail gateway whose decisions are made by WebAssembly plugins")]
#[command(arg_required_else_help = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 a dialogue of `test` failed, 64 wrong command line, 65 not a plugin, 66 file can't be read, \
                          69 a tool is missing or a server can't be reached, 71 the system refused, 73 a project can't be written, 74 output can't be \
                          written, 75 a server defers, 76 it breaks the protocol, 77 it refuses, 78 configuration";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves until SIGTERM or SIGINT
    Run(Settings),
    /// Says whether the configuration is good, plugins included
    Check(Settings),
    /// Shows which plugins are asked at each hook, with what they may use and what is done when they fail
    Explain {
        #[command(flatten)]
        settings: Settings,
        /// Only this listener
        listener: Option<String>,
        /// As a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Shows what a component is: hooks, imports, grants, makers, what its start takes; and the table that it needs in the configuration
    Inspect {
        /// The component's file
        #[arg(value_name = "FILE.wasm")]
        component: PathBuf,
        /// As a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Plays dialogues against a plugin or a chain, without sockets
    Test(test::Test),
    /// Sends a test message to a server, and shows what is said
    Send(Box<send::Send>),
    /// Makes an argon2id hash of a password read from standard input
    Password {
        /// Keys of SCRAM-SHA-256 instead, which passwords can be verified against too
        #[arg(long)]
        scram: bool,
    },
    /// Prints what belongs into the DNS for a key of the configuration
    DkimRecord {
        #[command(flatten)]
        settings: Settings,
        /// The key's name
        key: String,
    },
    /// Prints a configuration file that documents every setting
    Reference,
    /// Begins a plugin: a folder with everything that it takes to build, test and run it
    #[command(after_help = NEW)]
    New {
        /// The folder to write; its last part is the plugin's name
        #[arg(value_name = "NAME")]
        folder: PathBuf,
        /// What to write it in: rust, python, javascript, go, c, cpp or zig
        #[arg(long, value_name = "LANGUAGE")]
        lang: String,
        /// The moments at which it is asked, such as recipient,message; or all
        #[arg(long, value_name = "HOOKS", default_value = "recipient,message")]
        hooks: String,
    },
    /// Makes the component of a plugin that `new` has begun
    #[command(after_help = BUILD)]
    Build {
        /// The folder of the plugin
        #[arg(value_name = "FOLDER", default_value = ".")]
        folder: PathBuf,
        /// So that a trap names source files and lines, in the languages where it does not always; for trying it out
        #[arg(long)]
        debug: bool,
    },
}

const NEW: &str = "\
Hooks: setup, connect, hello, starttls, authenticate, mail, recipient, data, chunk, message, deliver, verify, expand, command, observe

The project compiles, and does something small at each hook. Nothing is downloaded; `postgate build` says which tools it needs.

  postgate new spam-check --lang python --hooks recipient,message
  cd spam-check
  postgate build";

const BUILD: &str = "\
Runs the toolchain of the language that plugin.toml names, shows each command and what it says, and leaves NAME.wasm. Where a tool is
missing it says which, and the command that installs it. If something goes wrong, the component that was there stays.";

/// Where services have it.
const DEFAULT_CONFIG: &str = "/etc/postgate/postgate.toml";

#[derive(Debug, Args)]
struct Settings {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    /// Overrides a setting, such as listener.smtp.bind=127.0.0.1:2600; can be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Settings {
    fn load(&self) -> Result<Config, Failure> {
        let own = Path::new("postgate.toml");
        if self.config == Path::new(DEFAULT_CONFIG) && !self.config.exists() && own.exists() {
            let text = format!("{DEFAULT_CONFIG} is not there; did you mean --config postgate.toml?");
            return Err(Failure::new(Exit::Config, text));
        }
        Ok(Config::load(&self.config, &self.set)?)
    }
}

/// How a command ends, as sysexits counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// A dialogue of `postgate test` went another way.
    Failed = 1,
    Usage = 64,
    Data = 65,
    NoInput = 66,
    Unavailable = 69,
    System = 71,
    CannotCreate = 73,
    Output = 74,
    /// A server may take it later.
    TemporaryFailure = 75,
    Protocol = 76,
    /// A server refuses.
    Refused = 77,
    Config = 78,
}

/// Why a command did not do what it was told to.
#[derive(Debug)]
struct Failure {
    exit: Exit,
    text: String,
}

impl Failure {
    fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into() }
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        let text = match problems.count() {
            0 | 1 => problems.to_string(),
            n => format!("{problems}\n\n{n} errors"),
        };
        Self::new(Exit::Config, text)
    }
}

/// Runs the command line, and says how the process is to end.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        // Help and version were asked for; all else is an error.
        Err(error) if !error.use_stderr() => return written(&error.render().to_string()),
        Err(error) => return failed(&Failure::new(Exit::Usage, error.render().to_string().trim_end())),
    };
    match cli.command.execute() {
        Ok(text) => written(&text),
        Err(failure) => failed(&failure),
    }
}

impl Command {
    /// Does it, and returns what is to be written to standard output.
    fn execute(self) -> Result<String, Failure> {
        match self {
            Command::Run(settings) => {
                let config = settings.load()?;
                run::run(&config).map_err(|error| match error {
                    run::RunError::Config(problems) => problems.into(),
                    // It may be better soon: a supervisor may try again.
                    run::RunError::Bind(problems) => Failure { exit: Exit::System, ..problems.into() },
                    run::RunError::System(error) => Failure::new(Exit::System, format!("{error:#}")),
                })?;
                Ok(String::new())
            }
            Command::Check(settings) => check::check(&settings.config, &settings.load()?),
            Command::Explain { settings, listener, json } => {
                explain::explain(&settings.load()?, listener.as_deref(), format(json))
            }
            Command::Inspect { component, json } => inspect::inspect(&component, format(json)),
            Command::Test(arguments) => test::test(&arguments),
            Command::Send(arguments) => send::send(&arguments),
            Command::Password { scram } => {
                password::password(if scram { password::Form::Scram } else { password::Form::Argon2id })
            }
            Command::DkimRecord { settings, key } => dkim_record::dkim_record(&settings.load()?, &key),
            Command::Reference => Ok(config::REFERENCE.to_owned()),
            Command::New { folder, lang, hooks } => new::new(&folder, &lang, &hooks),
            Command::Build { folder, debug } => {
                build::build(&folder, if debug { build::Information::Lines } else { build::Information::Names })
            }
        }
    }
}

/// For people or for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Text,
    Json,
}

fn format(json: bool) -> Format {
    if json { Format::Json } else { Format::Text }
}

fn to_json(value: &impl serde::Serialize) -> Result<String, Failure> {
    let json = serde_json::to_string_pretty(value).map_err(|error| Failure::new(Exit::Output, error.to_string()))?;
    Ok(json + "\n")
}

fn written(text: &str) -> ExitCode {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        // Who closes the pipe has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => failed(&Failure::new(Exit::Output, format!("output can't be written: {error}"))),
    }
}

fn failed(failure: &Failure) -> ExitCode {
    // Where standard error is closed there is nobody to tell.
    if !failure.text.is_empty() {
        let _ = writeln!(io::stderr().lock(), "{}", failure.text);
    }
    ExitCode::from(failure.exit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &str) -> Result<Command, clap::Error> {
        Cli::try_parse_from(arguments.split(' ')).map(|cli| cli.command)
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn settings() {
        let Ok(Command::Run(settings)) = parse("postgate run --config F --set a=b --set c.d=1") else { panic!() };
        assert_eq!(settings.config, PathBuf::from("F"));
        assert_eq!(settings.set, ["a=b", "c.d=1"]);
        let Ok(Command::Check(settings)) = parse("postgate check") else { panic!() };
        assert_eq!(settings.config, PathBuf::from("/etc/postgate/postgate.toml"));
    }

    #[test]
    fn a_wrong_command_line() {
        for arguments in ["postgate rnu", "postgate inspect", "postgate run --set", "postgate check a b"] {
            assert!(parse(arguments).unwrap_err().use_stderr(), "{arguments}");
        }
        for arguments in ["postgate --version", "postgate run --help"] {
            assert!(!parse(arguments).unwrap_err().use_stderr(), "{arguments}");
        }
    }

    #[test]
    fn a_missing_file_is_a_matter_of_configuration() {
        let failure = parse("postgate explain --config /nonexistent.toml").unwrap().execute().unwrap_err();
        assert_eq!(failure.exit, Exit::Config);
        assert_eq!(failure.text, "/nonexistent.toml: can't be read: No such file or directory (os error 2)");
    }

    #[test]
    fn the_number_of_errors_is_told() {
        let problems = Problems::new(vec![config::Problem::new("one"), config::Problem::new("two")]);
        assert_eq!(Failure::from(problems).text, "one\n\ntwo\n\n2 errors");
    }
}
