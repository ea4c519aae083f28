//! The verbs.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use super::ask::Ask;
use super::batch::Batch;
use super::bench::Bench;
use super::chat::Chat;
use super::doctor::Doctor;
use super::eval::Eval;
use super::inspect::Inspect;
use super::output::{NOTICE, note};
use super::preview::PreviewVerb;
use super::warm::Warm;
use super::{exit, logs};

/// Answers questions about medical images, videos and volumes.
#[derive(Parser)]
#[command(name = "fleming", version, long_version = long_version(), after_help = NOTICE)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

fn long_version() -> String {
    format!("{}\n{NOTICE}", env!("CARGO_PKG_VERSION"))
}

#[derive(Subcommand)]
enum Verb {
    Ask(Ask),
    Chat(Chat),
    Batch(Batch),
    Bench(Bench),
    Doctor(Doctor),
    Eval(Eval),
    Inspect(Inspect),
    Preview(PreviewVerb),
    Warm(Warm),
}

impl Verb {
    fn run(self) -> Result<ExitCode> {
        match self {
            Verb::Ask(ask) => ask.run(),
            Verb::Chat(chat) => chat.run(),
            Verb::Batch(batch) => batch.run(),
            Verb::Bench(bench) => bench.run(),
            Verb::Doctor(doctor) => doctor.run(),
            Verb::Eval(eval) => eval.run(),
            Verb::Inspect(inspect) => inspect.run(),
            Verb::Preview(preview) => preview.run(),
            Verb::Warm(warm) => warm.run(),
        }
    }
}

/// Runs the command line of this process.
pub(crate) fn run() -> ExitCode {
    let verb = Arguments::parse().verb;
    logs::start().and_then(|()| verb.run()).unwrap_or_else(|error| {
        note(format_args!("error: {error:#}"));
        ExitCode::from(exit::code_of(&error))
    })
}
