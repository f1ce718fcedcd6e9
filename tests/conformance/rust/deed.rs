//! Deeds: what a plugin must not do.

use std::hint::black_box;

/// Does what the word says; an unknown word does nothing.
pub(crate) fn deed(word: &str) {
    match word {
        "trap" => told_to_trap(),
        "loop" => loop {
            black_box(());
        },
        "grow" => {
            let mut kept = Vec::new();
            loop {
                kept.push(black_box(vec![1_u8; 1 << 20]));
            }
        }
        "print" => {
            println!("to standard output");
            eprintln!("to standard error");
        }
        _ => {}
    }
}

#[inline(never)]
fn told_to_trap() {
    panic!("told to trap");
}
