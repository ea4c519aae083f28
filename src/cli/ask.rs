//! `fleming ask`: one question, one reply.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;
use fleming::{AskOptions, Finish, Reply, Request, Tracing};

use super::display::Display;
use super::options::{
    GenerationArguments, INTERRUPTED, RuntimeArguments, SessionArguments, cancel_on_interrupt,
};
use super::question::{Wording, history, without_last_newline};
use super::studies::Studies;
use super::{emit, json, trace};

/// Ask a question about images, videos and volumes.
///
/// <image> in the question or the history places the next picture, clip or volume; without such a tag all of them come
/// before the question, in the order of the options.
#[derive(Args)]
pub(super) struct Ask {
    #[command(flatten)]
    studies: Studies,
    /// The question; - reads it from standard input
    #[arg(short, long, value_name = "TEXT")]
    question: String,
    #[command(flatten)]
    wording: Wording,
    /// Earlier turns: a JSON list of [question, answer] pairs, or what /save of a chat wrote
    #[arg(long, value_name = "FILE.json")]
    history: Option<PathBuf>,
    #[command(flatten)]
    generation: GenerationArguments,
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
        let cancel = cancel_on_interrupt()?;
        let generation = self.generation.options(cancel)?;
        let started = Instant::now();
        let engine = self.runtime.open(1)?;
        let load = started.elapsed();
        self.session.load(&engine)?;
        let request = self.request(engine.package().manifest().placeholder())?;

        let mut display = if self.json { Display::silent() } else { Display::new() };
        let tracing = if self.trace.is_some() { Tracing::Tensors } else { Tracing::Off };
        let options = AskOptions { tracing, ..generation };
        let reply = engine.ask(&request, &options, &mut |event| display.show(event))?;
        display.finish(&reply);

        if reply.usage.completion_tokens > 0 {
            self.session.save(&engine, reply.conversation)?;
        }
        let manifest = engine.package().manifest();
        let report =
            json::Report { reply: &reply, load, name: &manifest.name, digest: engine.package().digest() };
        if let Some(folder) = &self.trace {
            trace::write(folder, &report)?;
        }
        if self.json {
            emit(format_args!("{}\n", report.to_json()));
        }
        Ok(exit_code(&reply))
    }

    fn request(&self, placeholder: &str) -> Result<Request> {
        let history = self.history.as_deref().map(history).transpose()?.unwrap_or_default();
        let question = question(&self.question)?;
        Ok(Request {
            instruction: self.wording.instruction()?,
            system: self.wording.system(placeholder),
            ..Request::tagged(placeholder, self.studies.0.clone(), &history, &question)
        })
    }
}

fn question(text: &str) -> Result<String> {
    if text != "-" {
        return Ok(text.to_owned());
    }
    let mut question = String::new();
    std::io::stdin().read_to_string(&mut question).context("question on standard input")?;
    Ok(without_last_newline(question))
}

fn exit_code(reply: &Reply) -> ExitCode {
    match reply.finish {
        Finish::Cancelled => ExitCode::from(INTERRUPTED),
        _ => ExitCode::SUCCESS,
    }
}
