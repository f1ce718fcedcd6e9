//! Plays the fuzz targets, as far as is bearable with the ordinary tests: all their seeds, and inputs made from them, the same on every run.

use std::fs;
use std::path::Path;

use postgate_smtp::fuzz::{TARGETS, Target};

#[test]
fn seeds_and_what_is_made_from_them() {
    for (name, target) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
        let mut files: Vec<_> =
            fs::read_dir(folder).expect("seeds").map(|entry| entry.expect("a seed").path()).collect();
        files.sort();
        let seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).expect("a seed")).collect();
        assert!(!seeds.is_empty(), "{name} has no seeds");
        seeds.iter().for_each(|seed| target(seed));
        change(target, &seeds);
    }
}

#[test]
fn every_target_is_built() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    for (name, _) in TARGETS {
        let text = fs::read_to_string(folder.join(format!("{name}.rs"))).expect("a target");
        assert!(text.contains(&format!("postgate_smtp::fuzz::{name}(")), "{name}");
    }
}

/// Cuts, joins, repeats and overwrites seeds.
fn change(target: Target, seeds: &[Vec<u8>]) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..ROUNDS {
        let mut input = seeds[random.below(seeds.len())].clone();
        for _ in 0..1 + random.below(6) {
            let at = random.below(input.len() + 1);
            match random.below(5) {
                0 => input.truncate(at),
                1 => input.insert(at, OCTETS[random.below(OCTETS.len())]),
                2 if at < input.len() => input[at] = (random.next() >> 24) as u8,
                3 if at < input.len() => drop(input.remove(at)),
                _ => {
                    let other = &seeds[random.below(seeds.len())];
                    let from = random.below(other.len() + 1);
                    input.splice(at..at, other[from..].iter().copied());
                }
            }
        }
        target(&input);
    }
}

const ROUNDS: usize = 4000;
/// Those that mean something somewhere.
const OCTETS: &[u8] = b"\r\n\0.\x01 ,;=+\\\"<>@:[]{}0-\x7f\xc3\xa9\xff";

/// Xorshift: enough for a test, and the same on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 33) as usize % end
    }
}
