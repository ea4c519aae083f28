//! The verbs.

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};

use super::ask::Ask;
use super::batch::Batch;
use super::bench::Bench;
use super::chat::Chat;
use super::doctor::Doctor;
use super::eval::Eval;
use super::inspect::Inspect;
use super::logs::{self, LogFormat};
use super::output::{NOTICE, complain};
use super::preview::PreviewVerb;
use super::warm::Warm;
use super::{exit, usage};

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
    #[cfg(feature = "server")]
    Serve(Box<super::serve::Serve>),
    Warm(Warm),
}

impl Verb {
    fn log_format(&self) -> LogFormat {
        match self {
            #[cfg(feature = "server")]
            Verb::Serve(serve) => serve.log_format,
            _ => LogFormat::default(),
        }
    }

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
            #[cfg(feature = "server")]
            Verb::Serve(serve) => serve.run(),
            Verb::Warm(warm) => warm.run(),
        }
    }
}

/// Runs the command line of this process.
pub(crate) fn run() -> ExitCode {
    let verb = match Arguments::try_parse() {
        Ok(arguments) => arguments.verb,
        Err(error) => return usage::told(&error, &called()),
    };
    logs::start(verb.log_format()).and_then(|()| verb.run()).unwrap_or_else(|error| {
        complain(&error);
        ExitCode::from(exit::code_of(&error))
    })
}

/// What this process was called as: `fleming`, with its verb where there is one.
fn called() -> String {
    let command = Arguments::command();
    let first = std::env::args_os().nth(1).unwrap_or_default();
    match command.find_subcommand(&first) {
        Some(verb) => format!("{} {}", command.get_name(), verb.get_name()),
        None => command.get_name().to_owned(),
    }
}
