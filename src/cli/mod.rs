//! Verbs, exit codes and what goes where: data to stdout, everything else to stderr.

mod agreement;
mod answers;
mod ask;
mod batch;
mod bench;
mod chat;
mod conversation;
mod display;
mod doctor;
mod eval;
mod gpus;
mod inspect;
mod json;
mod lines;
mod measure;
mod options;
mod sampling;
mod question;
mod sheet;
mod studies;
mod trace;
mod warm;

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use fleming::ErrorCode;
use tracing_subscriber::EnvFilter;

const NOTICE: &str = "For research and non-clinical use. Not a medical device: do not base a diagnosis or treatment \
                      on what it says.";
const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\nFor research and non-clinical use. Not a medical device: do not base a diagnosis or treatment on what it says."
);

/// Answers questions about medical images, videos and volumes.
#[derive(Parser)]
#[command(name = "fleming", version, long_version = LONG_VERSION, after_help = NOTICE)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Ask(ask::Ask),
    Chat(chat::Chat),
    Batch(batch::Batch),
    Bench(bench::Bench),
    Doctor(doctor::Doctor),
    Eval(eval::Eval),
    Inspect(inspect::Inspect),
    Warm(warm::Warm),
}

/// Exit code of a batch in which some lines could not be answered.
const SOME_FAILED: u8 = 3;

/// Runs the command line of this process. Exit codes: 0 done; 2 the command, its files or its question are at
/// fault; 1 the package or the machine is; 3 some lines of a batch failed; 130 interrupted.
pub(crate) fn run() -> ExitCode {
    let arguments = Arguments::parse();
    log_to_stderr();
    let outcome = match arguments.verb {
        Verb::Ask(ask) => ask.run(),
        Verb::Chat(chat) => chat.run(),
        Verb::Batch(batch) => batch.run(),
        Verb::Bench(bench) => bench.run(),
        Verb::Doctor(doctor) => doctor.run(),
        Verb::Eval(eval) => eval.run(),
        Verb::Inspect(inspect) => inspect.run(),
        Verb::Warm(warm) => warm.run(),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(exit_code(&error))
    })
}

fn exit_code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<fleming::Error>().map(fleming::Error::code) {
        Some(ErrorCode::Input | ErrorCode::Request) => 2,
        _ => 1,
    }
}

/// Levels come from `FLEMING_LOG`, in the syntax of `tracing-subscriber`'s filters. By default there are warnings and that
/// engines are being built, and nothing from ONNX Runtime: what it logs as an error comes back as one.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("FLEMING_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,fleming::build=info,ort=off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().init();
}

/// Writes to stdout at once. Where the reader has gone there is nobody left to work for.
fn emit(text: impl Display) {
    let mut stdout = std::io::stdout();
    if write!(stdout, "{text}").and_then(|()| stdout.flush()).is_err() {
        std::process::exit(1);
    }
}
