//! What a person sees: progress on stderr, the reply on stdout.

use std::io::{IsTerminal, stderr, stdout};

use fleming::{AskOptions, Event, Reply, ReplyPart};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::cut;
use super::emit;
use super::output::note;
use super::reading::ReadingBar;

const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// Shows a reply while it is made.
pub(super) struct Display {
    /// Whether the text is streamed; into a file or pipe only the answer is printed, at the end.
    output: Output,
    progress: Option<ProgressBar>,
    /// Of the studies.
    reading: Option<ReadingBar>,
    part: Option<ReplyPart>,
}

#[derive(PartialEq, Eq)]
enum Output {
    Stream,
    AnswerOnly,
    Json,
}

impl Display {
    pub(super) fn new() -> Self {
        let output = if stdout().is_terminal() { Output::Stream } else { Output::AnswerOnly };
        Self { output, progress: None, reading: None, part: None }
    }

    /// Shows progress and warnings; the reply is printed as an object.
    pub(super) fn json() -> Self {
        Self { output: Output::Json, progress: None, reading: None, part: None }
    }

    pub(super) fn show(&mut self, event: Event<'_>) {
        match event {
            Event::Reading { done, total } => {
                self.reading.get_or_insert_with(ReadingBar::new).show(done, total)
            }
            Event::Encoding { done, total } => self.advance("looking", "tiles", (done, total)),
            Event::Prefilling { done, total } => self.advance("reading", "tokens", (done, total)),
            Event::Text { part, text } => {
                self.end_progress();
                if self.output == Output::Stream {
                    self.stream(part, text);
                }
            }
            _ => {}
        }
    }

    /// Ends the reply: the answer, where it was not streamed, and what there is to know about it.
    pub(super) fn finish(&mut self, reply: &Reply, options: &AskOptions) {
        self.end_progress();
        match self.output {
            Output::Stream => {
                self.leave_thought();
                emit("\n");
            }
            Output::AnswerOnly => emit(format_args!("{}\n", reply.answer)),
            Output::Json => {}
        }
        remarks(reply, options);
    }

    /// Ends the reply with an object in place of the answer.
    pub(super) fn finish_with(&mut self, object: &Value, reply: &Reply, options: &AskOptions) {
        self.end_progress();
        emit(format_args!("{object}\n"));
        remarks(reply, options);
    }

    /// Ends a reply that failed on the way.
    pub(super) fn leave(&mut self) {
        self.end_progress();
        if self.part.is_some() {
            self.leave_thought();
            emit("\n");
        }
    }

    fn stream(&mut self, part: ReplyPart, text: &str) {
        let text = match self.part == Some(part) {
            true => text,
            false => text.trim_start(),
        };
        if text.is_empty() {
            return;
        }
        if self.part != Some(part) {
            self.leave_thought();
            if part == ReplyPart::Thought {
                emit(DIM);
            }
            self.part = Some(part);
        }
        emit(text);
    }

    fn leave_thought(&mut self) {
        if self.part == Some(ReplyPart::Thought) {
            emit(format_args!("{PLAIN}\n\n"));
        }
        self.part = None;
    }

    fn advance(&mut self, verb: &'static str, unit: &str, (done, total): (usize, usize)) {
        if total == 0 || !stderr().is_terminal() {
            return;
        }
        self.reading = None;
        if done == 0 {
            self.end_progress();
        }
        let bar = self.progress.get_or_insert_with(|| {
            let bar = ProgressBar::new(total as u64);
            let template = format!("{{msg}} {{bar:30}} {{pos}}/{{len}} {unit}  {{elapsed}}, {{eta}} to go");
            if let Ok(style) = ProgressStyle::with_template(&template) {
                bar.set_style(style);
            }
            bar.set_message(verb);
            bar
        });
        bar.set_position(done as u64);
    }

    fn end_progress(&mut self) {
        self.reading = None;
        if let Some(bar) = self.progress.take() {
            bar.finish_and_clear();
        }
    }
}

/// Says what there is to know about a reply.
fn remarks(reply: &Reply, options: &AskOptions) {
    for remark in cut::remark(reply, options).iter().chain(&reply.warnings) {
        note(format_args!("warning: {remark}"));
    }
}
