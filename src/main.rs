//! The command line: a guest of the library, one file for each verb.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
