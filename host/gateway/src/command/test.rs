//! `postgate test`: dialogues played against a plugin or a whole chain, without sockets.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use clap::Args;

use super::{Exit, Failure, Format, conformance, format, inspect};
use crate::rehearsal::report::{self, Detail, Summary};
use crate::rehearsal::script::{Script, in_folder};
use crate::rehearsal::setting::Setting;
use crate::rehearsal::{Played, play};

/// What `postgate test` is told.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct Test {
    /// A plugin (FILE.wasm) to test; dialogues (*.dlg); folders of them. Without any dialogue, those in tests/
    #[arg(value_name = "PLUGIN.wasm|DIALOGUE|FOLDER")]
    paths: Vec<PathBuf>,
    /// The configuration file; without a plugin, ./postgate.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The listener whose chain is tested, where the configuration has several
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// One JSON object a line: for each dialogue, and for all
    #[arg(long)]
    json: bool,
    /// Writes a file in JUnit's format, too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Plays again whenever a component, the configuration or a dialogue has changed, until Ctrl-C
    #[arg(long)]
    watch: bool,
    /// Plays the conformance suite with a component that does what tests/conformance/plugin.md says, in whatever language it is
    #[arg(long, conflicts_with_all = ["config", "listener"])]
    conformance: bool,
    /// Shows the calls of plugins also where all went well
    #[arg(long)]
    verbose: bool,
}

const HELP: &str = "\
Dialogues run through the same engine, limits, session and chain as in `postgate run`, but nothing leaves the process: the connection \
is in memory, services answer what the dialogue says, and time stands still until somebody waits. Of a PLUGIN.wasm alone a \
configuration is made that grants it what it imports.

Where no plugin of the chain has the hook `recipient`, the test accepts every recipient; where none has `deliver`, the test takes the \
message. That is so in `test` only: `postgate run` refuses a recipient that no plugin accepts, and defers a message that none takes.

Exit codes: 0 all dialogues went as written, 1 one did not, 64 wrong command line, 65 a dialogue can't be understood or a plugin is none, 66 a file can't \
be read, 74 output can't be written, 78 the configuration, or a plugin that can't be loaded";

/// What is to be played.
struct Plan {
    setting: Setting,
    dialogues: Vec<PathBuf>,
}

pub(super) fn test(arguments: &Test) -> Result<String, Failure> {
    if !arguments.watch {
        return run(arguments, &plan(arguments)?).map(|()| String::new());
    }
    loop {
        // A plan that can't be made may be one soon: a folder that has no dialogue yet.
        let plan = plan(arguments);
        let files = files(arguments, plan.as_ref().ok());
        // What changes while dialogues are played is played again.
        let seen = stamps(&files);
        if let Err(failure) = plan.and_then(|plan| run(arguments, &plan)) {
            tell(&failure)?;
        }
        // What a folder holds is a part of its time stamp.
        while stamps(&files) == seen {
            thread::sleep(LOOK_EVERY);
        }
        // A compiler is perhaps still writing.
        let mut last = stamps(&files);
        loop {
            thread::sleep(LOOK_EVERY);
            let now = stamps(&files);
            if now == last {
                break;
            }
            last = now;
        }
    }
}

fn tell(failure: &Failure) -> Result<(), Failure> {
    if failure.text.is_empty() { Ok(()) } else { written(&format!("{}\n", failure.text)) }
}

/// Plays everything, and tells it as it goes.
fn run(arguments: &Test, plan: &Plan) -> Result<(), Failure> {
    let suite = conformance::SUITE.iter().filter(|_| arguments.conformance);
    let suite = suite.map(|(name, text)| Script::read(Path::new(name), text));
    let dialogues = plan.dialogues.iter().map(|path| Script::load(path));
    let (scripts, wrong): (Vec<_>, Vec<_>) = suite.chain(dialogues).partition(Result::is_ok);
    let wrong: Vec<String> = wrong.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect();
    if !wrong.is_empty() {
        return Err(Failure::new(Exit::Data, wrong.join("\n")));
    }
    let mut summary = Summary::default();
    let mut all: Vec<(PathBuf, Played)> = Vec::new();
    let detail = if arguments.verbose { Detail::Calls } else { Detail::Names };
    for script in scripts.into_iter().flatten() {
        let played = play(&script, &plan.setting).map_err(|why| Failure::new(Exit::Config, why))?;
        summary.count(&played);
        written(&match format(arguments.json) {
            Format::Text => report::text(&script.path, &played, detail),
            Format::Json => report::json(&script.path, &played),
        })?;
        all.push((script.path, played));
    }
    written(&match format(arguments.json) {
        Format::Text => summary.text(),
        Format::Json => report::json_summary(summary),
    })?;
    if let Some(file) = &arguments.junit {
        let dialogues: Vec<(&Path, &Played)> = all.iter().map(|(path, played)| (path.as_path(), played)).collect();
        let text = report::junit(&dialogues, summary);
        let unwritten = |error| Failure::new(Exit::Output, format!("{} can't be written: {error}", file.display()));
        fs::write(file, text).map_err(unwritten)?;
    }
    // Everything has been said already.
    if summary.failed == 0 { Ok(()) } else { Err(Failure::new(Exit::Failed, "")) }
}

fn plan(arguments: &Test) -> Result<Plan, Failure> {
    let (components, paths): (Vec<&PathBuf>, Vec<&PathBuf>) =
        arguments.paths.iter().partition(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    let component = match components.as_slice() {
        [] => None,
        [one] => Some((*one).clone()),
        _ => {
            return Err(Failure::new(Exit::Usage, "one plugin is tested at a time; several are a chain of a --config"));
        }
    };
    if let Some(component) = &component {
        let anatomy = postgate_plugin::anatomy(component);
        anatomy.and_then(|anatomy| postgate_plugin::hooks(&anatomy)).map_err(|error| inspect::failure(&error))?;
    }
    if arguments.conformance {
        return conformance_plan(component, &paths);
    }
    let here = Path::new(CONFIG);
    let (setting, folder) = match (&arguments.config, component) {
        (Some(file), component) => {
            (Setting::of_file(file.clone(), component, arguments.listener.clone()), file.parent().unwrap_or(here))
        }
        (None, Some(component)) => {
            if arguments.listener.is_some() {
                return Err(Failure::new(Exit::Usage, "--listener is about a --config"));
            }
            (Setting::of_component(component), Path::new(""))
        }
        (None, None) if here.is_file() => {
            (Setting::of_file(here.to_path_buf(), None, arguments.listener.clone()), Path::new(""))
        }
        (None, None) => {
            let text = "there is no postgate.toml here: name a plugin (FILE.wasm), or a configuration by --config FILE";
            return Err(Failure::new(Exit::Usage, text));
        }
    };
    Ok(Plan { setting, dialogues: dialogues(&paths, &folder.join("tests"))? })
}

/// The suite alone, whose dialogues know the plugin by a name of their own.
fn conformance_plan(component: Option<PathBuf>, paths: &[&PathBuf]) -> Result<Plan, Failure> {
    match (component, paths) {
        (Some(component), []) => {
            let setting = Setting::of_component_named(component, conformance::NAME);
            Ok(Plan { setting, dialogues: Vec::new() })
        }
        _ => Err(Failure::new(Exit::Usage, "--conformance is played with one PLUGIN.wasm, and brings its dialogues")),
    }
}

/// The dialogues that are named, and those in folders; without any those in the folder for them.
fn dialogues(paths: &[&PathBuf], usual: &Path) -> Result<Vec<PathBuf>, Failure> {
    let usual = usual.to_path_buf();
    let paths = if paths.is_empty() { &[&usual] } else { paths };
    let mut found = Vec::new();
    for path in paths {
        let unreadable = |error| Failure::new(Exit::NoInput, format!("{}: can't be read: {error}", path.display()));
        if !fs::metadata(path).map_err(unreadable)?.is_dir() {
            found.push((*path).clone());
            continue;
        }
        let within = in_folder(path).map_err(unreadable)?;
        if within.is_empty() {
            return Err(Failure::new(Exit::NoInput, format!("{}: there is no dialogue (*.dlg) in it", path.display())));
        }
        found.extend(within);
    }
    Ok(found)
}

/// All files and folders on which the outcome depends.
fn files(arguments: &Test, plan: Option<&Plan>) -> Vec<PathBuf> {
    let mut files = arguments.paths.clone();
    files.extend(arguments.config.clone());
    files.extend([PathBuf::from(CONFIG), PathBuf::from("tests")]);
    if let Some(plan) = plan {
        files.extend(plan.setting.files());
        for path in &plan.dialogues {
            files.push(path.clone());
            files.extend(path.parent().map(Path::to_path_buf));
            files.extend(Script::load(path).map(|script| script.files).unwrap_or_default());
        }
    }
    files
}

fn stamps(files: &[PathBuf]) -> BTreeMap<&Path, Option<(SystemTime, u64)>> {
    let stamp = |path: &PathBuf| {
        let found = fs::metadata(path).ok()?;
        Some((found.modified().ok()?, found.len()))
    };
    files.iter().map(|path| (path.as_path(), stamp(path))).collect()
}

fn written(text: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    let written = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    written.map_err(|error| Failure::new(Exit::Output, format!("output can't be written: {error}")))
}

/// The configuration of a project.
const CONFIG: &str = "postgate.toml";

/// How often files are looked at, whether they have changed.
const LOOK_EVERY: Duration = Duration::from_millis(300);
