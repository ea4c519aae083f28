//! `fleming ask`: one question, one reply.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use fleming::wire::{self, Report, next_question};
use fleming::{AskOptions, Finish, Part, Reply, Request, Tracing};
use serde_json::Value;

use super::arguments::{Asking, Given};
use super::cut;
use super::display::Display;
use super::exit::{CUT_OFF, INTERRUPTED, cancel_on_interrupt};
use super::options::{RuntimeArguments, SessionArguments};
use super::question::{Before, question};
use super::studies::Studies;
use super::trace;

/// Ask a question about images, videos and volumes.
///
/// <image> in the question or the history places the next picture, clip or volume; without such a tag all of them come
/// before the question, in the order in which they are named.
#[derive(Args)]
pub(super) struct Ask {
    #[command(flatten)]
    studies: Studies,
    /// The question; - reads it from standard input
    #[arg(short, long, value_name = "TEXT")]
    question: String,
    #[command(flatten)]
    given: Given<Asking>,
    /// Earlier turns: what /save of a chat wrote, or a JSON list of [question, answer] pairs
    #[arg(long, value_name = "FILE.json")]
    history: Option<PathBuf>,
    #[command(flatten)]
    session: SessionArguments,
    #[command(flatten)]
    runtime: RuntimeArguments,
    /// Print the reply as one JSON object
    #[arg(long)]
    json: bool,
    /// Write the tensors of every stage, and a picture of what the model saw, into this folder
    #[arg(long, value_name = "DIR")]
    trace: Option<PathBuf>,
}

impl Ask {
    pub(super) fn run(self) -> Result<ExitCode> {
        let mut options = self.given.options(cancel_on_interrupt()?)?;
        options.ask.tracing = if self.trace.is_some() { Tracing::Tensors } else { Tracing::Off };
        options.engine = self.runtime.options(1)?;
        let question = question(&self.question)?;
        let asked = Request::about(Vec::new(), question.as_str());
        let instruction = options.instruction.clone();
        Request { instruction, ..asked }.check_asks(options.ask.preprocessing)?;
        let before = Before::read(self.history.as_deref(), &self.studies, &options)?;
        self.given.chosen()?.fit(&before.kinds)?;
        self.session.check()?;
        self.trace.as_deref().map(trace::make).transpose()?;
        let started = Instant::now();
        let engine = self.runtime.open(1)?;
        let load = started.elapsed();
        self.session.load(&engine)?;

        let placeholder = engine.package().manifest().placeholder();
        let question = Part::tagged(placeholder, &question);
        let request = next_question(&before.conversation(placeholder), question, options.ask.preprocessing);
        let mut display = if self.json { Display::json() } else { Display::new() };
        let reply = engine.ask(&request, &options.ask, &mut |event| display.show(event))?;
        let report = Report { reply: &reply, package: engine.package(), load };
        // The answer comes first: what is written after it may fail.
        match self.json {
            true => display.finish_with(&object(&report, &options.ask), &reply, &options.ask),
            false => display.finish(&reply, &options.ask),
        }
        let saved = match reply.usage.completion_tokens {
            0 => Ok(()),
            _ => self.session.save(&engine, reply.conversation),
        };
        let traced = self.trace.as_deref().map_or(Ok(()), |folder| trace::write(folder, &report));
        saved.and(traced)?;
        Ok(exit_code(&reply, &options.ask))
    }
}

/// What `--json` prints.
fn object(report: &Report, options: &AskOptions) -> Value {
    let mut object = report.to_json();
    if let Some(form) = wire::form(report.reply, options) {
        object["form"] = form.into();
    }
    object
}

fn exit_code(reply: &Reply, options: &AskOptions) -> ExitCode {
    match reply.finish {
        Finish::Cancelled => ExitCode::from(INTERRUPTED),
        _ if cut::lacks_form(reply, options) => ExitCode::from(CUT_OFF),
        _ => ExitCode::SUCCESS,
    }
}
