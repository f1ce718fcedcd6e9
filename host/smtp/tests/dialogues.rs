//! Plays every dialogue of `tests/dialogues` on the bare session: as it is, octet by octet, and cut in two at every octet.

use std::fs;
use std::path::Path;

use postgate_smtp::dialogue::player::{Cut, play};
use postgate_smtp::dialogue::{Action, Dialogue};

#[test]
fn every_dialogue_with_every_cut() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/dialogues");
    let mut files: Vec<_> = fs::read_dir(&directory)
        .expect("the directory of dialogues")
        .map(|entry| entry.expect("an entry of the directory of dialogues").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "dlg"))
        .collect();
    files.sort();
    assert!(files.len() >= 60, "only {} dialogues were found", files.len());
    let failures: Vec<String> = files.iter().flat_map(|file| failures_of(file)).collect();
    assert!(failures.is_empty(), "{} of {} fail:\n{}", failures.len(), files.len(), failures.join("\n"));
}

/// At most one line for each way to cut.
fn failures_of(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).expect("a dialogue");
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !text.starts_with("# RFC ") {
        return vec![format!("{name}: the first line does not cite a standard")];
    }
    let dialogue = match Dialogue::read(&text) {
        Ok(dialogue) => dialogue,
        Err(error) => return vec![format!("{name}: {error}")],
    };
    let octets: usize = dialogue
        .steps
        .iter()
        .map(|step| match &step.action {
            Action::Client(octets) => octets.len(),
            Action::Server(_) | Action::Tls | Action::Closed | Action::Stored(_) | Action::Message(_) => 0,
        })
        .sum();
    // Of the few with very long lines only some cuts, for each of them means to play the dialogue again.
    let stride = octets / CUTS + 1;
    let cuts = (1..octets).step_by(stride).map(Cut::Behind);
    [Cut::Nowhere, Cut::Everywhere]
        .into_iter()
        .chain(cuts)
        .find_map(|cut| play(&dialogue, cut).err().map(|failure| format!("{name}, cut {cut:?}: {failure}")))
        .into_iter()
        .collect()
}

const CUTS: usize = 4000;
