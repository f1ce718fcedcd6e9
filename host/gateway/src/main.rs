//! The binary `postgate`.

use std::process::ExitCode;

fn main() -> ExitCode {
    postgate::command::main(std::env::args_os())
}
