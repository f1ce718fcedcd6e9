//! The pages for authors (`plugins/*.md`, `plugins/languages/*.md`) say what is true: all that the code knows by name is on its page, what is
//! written as a command can be typed, and what is shown as a plugin's end is how it ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use postgate_author::{HOOKS, LANGUAGES};
use postgate_plugin::{Cause, Hook, Policy, SERVICES};

use crate::support::process::{Ended, binary};
use crate::support::{memory, root, target};

/// A page below `plugins/`.
fn page(name: &str) -> String {
    fs::read_to_string(root().join("plugins").join(name)).unwrap_or_else(|error| panic!("plugins/{name}: {error}"))
}

/// All pages, with their places.
fn pages() -> Vec<(PathBuf, String)> {
    let folders = ["plugins", "plugins/languages"].map(|folder| root().join(folder));
    let files =
        folders.iter().flat_map(|folder| fs::read_dir(folder).expect("pages")).map(|entry| entry.unwrap().path());
    let pages = files.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

#[track_caller]
fn has(page: &str, text: &str, word: &str) {
    assert!(text.contains(word), "plugins/{page} does not have {word}");
}

/// The contract without its comments.
fn contract() -> String {
    let files = fs::read_dir(root().join("wit")).expect("the contract").map(|entry| entry.unwrap().path());
    let texts = files.filter(|path| path.extension().is_some_and(|extension| extension == "wit"));
    let texts = texts.map(|path| fs::read_to_string(path).unwrap());
    texts
        .flat_map(|text| text.lines().map(|line| line.split("//").next().unwrap().to_owned()).collect::<Vec<_>>())
        .fold(String::new(), |all, line| all + &line + "\n")
}

/// What stands in the braces behind these words.
fn braces<'a>(contract: &'a str, head: &str) -> &'a str {
    let (_, behind) = contract.split_once(&format!("{head} {{")).unwrap_or_else(|| panic!("no {head}"));
    let mut depth = 1;
    let end = behind.find(|letter| {
        depth += match letter {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        depth == 0
    });
    &behind[..end.unwrap_or_else(|| panic!("{head} has no end"))]
}

/// The cases of a variant or an enum.
fn cases(contract: &str, head: &str) -> Vec<String> {
    let cases = braces(contract, head).split(',').map(|case| case.trim().split('(').next().unwrap().to_owned());
    cases.filter(|case| !case.is_empty() && !case.contains(')')).collect()
}

#[test]
fn every_hook_and_answer() {
    let text = page("hooks.md");
    for hook in HOOKS {
        has("hooks.md", &text, &format!("\n## {hook}\n"));
        has("hooks.md", &text, &format!("\n| [`{hook}`](#{hook}) | "));
        has("hooks.md", &text, &format!("`on-{}`", if hook == "observe" { "event" } else { hook }));
    }
    for hook in Hook::ALL {
        let row = text.lines().find(|line| line.starts_with(&format!("| [`{hook}`]"))).unwrap();
        let code = hook.default_decision().split([' ', ':']).next().filter(|word| word.parse::<u16>().is_ok());
        assert!(row.contains(code.unwrap_or_default()), "{row}");
    }
    let contract = contract();
    for answers in [
        "variant verdict",
        "variant message-verdict",
        "variant outcome",
        "variant authentication",
        "variant verification",
        "variant expansion",
        "variant event",
        "enum end",
        "enum fate",
    ] {
        let cases = cases(&contract, answers);
        assert!(cases.len() > 2, "{answers}: {cases:?}");
        cases.iter().for_each(|case| has("hooks.md", &text, &format!("`{case}`")));
    }
    for policy in [Policy::Defer, Policy::Reject, Policy::Skip, Policy::Quarantine, Policy::Disconnect] {
        has("hooks.md", &text, &format!("\n| `{policy}`"));
    }
    for interface in ["session", "transaction", "mail-data", "parts", "editor"] {
        has("hooks.md", &text, interface);
    }
}

#[test]
fn every_service_and_function() {
    let (text, contract) = (page("services.md"), contract());
    for service in SERVICES {
        has("services.md", &text, &format!("\n## {}\n", service.name));
        has("services.md", &text, &format!("\n| [`{}`](#{}) | `{}`", service.example, service.name, service.interface));
        let (_, part) = text.split_once(&format!("\n## {}\n", service.name)).unwrap();
        let part = part.split("\n## ").next().unwrap();
        has("services.md", part, "*In `postgate test`*");
        let interface = service.interface.rsplit('/').next().unwrap();
        let functions = braces(&contract, &format!("interface {interface}")).lines();
        let functions = functions.filter_map(|line| line.split_once(": func(").map(|(name, _)| name.trim()));
        for function in functions {
            let mut words = part.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
            assert!(words.any(|word| word == function), "services.md, {}: no {function}", service.name);
        }
    }
    for error in cases(&contract, "variant service-error") {
        has("services.md", &text, &format!("\n| `{error}` |"));
    }
}

#[test]
fn every_limit_and_cause() {
    let text = page("limits.md");
    let reference = fs::read_to_string(root().join("host/gateway/src/config/reference.toml")).unwrap();
    let (_, limits) = reference.split_once("[plugin.policy.limits]\n").unwrap();
    let mut count = 0;
    for line in limits.lines().take_while(|line| !line.is_empty()) {
        let Some((name, value)) = line.trim_start_matches("# ").split_once(" = ") else { continue };
        let value = if value.len() > 7 { value.replace('_', ",") } else { value.trim_matches('"').replace('_', ",") };
        let row = text.lines().find(|row| row.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("limits.md has no row {name}"));
        assert!(row.contains(value.trim_matches('"')), "{row}: the default is {value}");
        count += 1;
    }
    assert_eq!(count, 11);
    for cause in Cause::ALL {
        has("limits.md", &text, &format!("`{cause}`"));
    }
}

/// A command of a page has the options that it is shown with.
#[test]
fn commands_can_be_typed() {
    let help = |arguments: &[&str]| {
        let output = Command::new(binary()).args(arguments).output().expect("the binary runs");
        String::from_utf8(output.stdout).unwrap()
    };
    let commands = help(&["--help"]);
    let mut seen = 0;
    for (path, text) in pages() {
        let mut at = 0;
        while let Some(found) = text[at..].find("postgate ") {
            let (before, command) = (&text[..at + found], &text[at + found + "postgate ".len()..]);
            at += found + 1;
            if !before.ends_with('`') && !before.ends_with("$ ") && !before.ends_with("run: ") {
                continue;
            }
            let command = command.split(['`', '\n']).next().unwrap();
            let mut words = command.split_whitespace();
            let Some(name) =
                words.next().filter(|word| word.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'-'))
            else {
                continue;
            };
            let place = path.display();
            assert!(commands.contains(&format!("\n  {name} ")), "{place}: there is no command {name}");
            let options = help(&[name, "--help"]);
            for option in words.filter(|word| word.starts_with("--")) {
                let option = option.trim_end_matches([']', ',', '.']);
                assert!(options.contains(option), "{place}: {name} has no {option}");
            }
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen}");
}

/// What a page refers to is there.
#[test]
fn links_lead_somewhere() {
    for (path, text) in pages() {
        // What stands in its map is written elsewhere, too.
        if path.ends_with("plugins/README.md") {
            continue;
        }
        let prose = text.split("\n```").step_by(2).collect::<String>();
        for link in prose.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            if link.contains("://") {
                continue;
            }
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link}", path.display());
            let is_heading = |line: &str| {
                line.strip_prefix("## ").is_some_and(|title| title.to_lowercase().replace(' ', "-") == anchor)
            };
            assert!(anchor.is_empty() || fs::read_to_string(&target).unwrap().lines().any(is_heading), "{link}");
        }
    }
}

/// The project of a language's page.
fn sample(language: &str) -> PathBuf {
    let folder = target().join("projects").join(language).join("spam-check");
    assert!(folder.join("spam-check.wasm").exists(), "{language} is not built: run the tests by `cargo xtask test`");
    folder
}

fn play(folder: &Path, component: &str, dialogue: &Path) -> Ended {
    let mut command = Command::new(binary());
    command.args(["test", component, "--config", "postgate.toml", "--verbose"]).arg(dialogue).current_dir(folder);
    command.env("XDG_CACHE_HOME", target().join("tmp/rehearsal")).output().expect("the binary runs").into()
}

/// The plugin of each page decides what the page says, and its mistake shows as the page says.
fn language(name: &str) {
    let folder = sample(name);
    let mut shown = String::new();
    for component in ["spam-check.wasm", "spam-check-debug.wasm"] {
        for dialogue in ["spam-check.dlg", "crash.dlg"] {
            let ended = play(&folder, component, &root().join("plugins/languages").join(dialogue));
            assert_eq!(ended.code, Some(0), "{component}: {}{}", ended.stdout, ended.stderr);
            shown += &ended.stdout;
        }
    }
    let shown: Vec<String> = shown.lines().map(placeless).collect();
    let text = page(&format!("languages/{name}.md"));
    let blocks: Vec<&str> = text.split("\n```text\n").skip(1).filter_map(|rest| rest.split("\n```").next()).collect();
    assert!(!blocks.is_empty(), "{name}");
    for line in blocks.iter().flat_map(|block| block.lines()).filter(|line| *line != "…") {
        let line = placeless(line);
        assert!(shown.contains(&line), "{name}: this is not shown: {line}\n{}", shown.join("\n"));
    }
}

/// Without what is another on each machine: addresses, times, and where the project is.
fn placeless(line: &str) -> String {
    let line = line
        .rfind(" fuel  ")
        .map_or(line, |at| line[..at].trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == ','));
    let line = line.find('(').filter(|at| line[*at..].contains("0x")).map_or(line, |at| &line[..at]);
    let is_shown = |word: &&str| !word.contains("0x") && word.parse::<u32>().is_err() && !word.ends_with(':');
    let word = |word: &str| match word.rsplit_once("/spam-check/") {
        Some((before, behind)) if before.starts_with(['/', '…']) => behind.to_owned(),
        Some(_) | None => word.to_owned(),
    };
    line.split_whitespace().filter(is_shown).map(word).collect::<Vec<_>>().join(" ")
}

macro_rules! languages {
    ($($test:ident $name:literal)*) => {
        $(
            #[test]
            fn $test() {
                language($name);
            }
        )*

        #[test]
        fn every_language_has_its_page() {
            assert_eq!(LANGUAGES.iter().map(|language| language.name).collect::<Vec<_>>(), [$($name),*]);
        }
    };
}

languages! {
    in_rust "rust"
    in_python "python"
    in_javascript "javascript"
    in_go "go"
    in_c "c"
    in_cpp "cpp"
    in_zig "zig"
}

/// The dialogues of a page hold, of the plugin that it speaks of.
#[test]
fn limits_run_out_as_said() {
    let (folder, text) = (sample("rust"), page("limits.md"));
    let scratch = memory();
    let dialogues: Vec<&str> =
        text.split("\n```text\n").skip(1).filter_map(|rest| rest.split("\n```").next()).collect();
    let dialogues: Vec<&str> = dialogues.into_iter().filter(|block| block.contains("S: 220")).collect();
    assert_eq!(dialogues.len(), 2);
    for dialogue in dialogues {
        let path = scratch.path().join("one.dlg");
        fs::write(&path, format!("{dialogue}\n")).expect("a file");
        let ended = play(&folder, "spam-check.wasm", &path);
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    }
}
