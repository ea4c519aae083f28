//! An answer that is on its way.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::Engine;
use super::job::{Message, Outcome};
use super::prepare::Question;
use super::reply::{Tagging, Writer, Written};
use crate::error::{Error, Result};
use crate::pixels;
use crate::request::{AskOptions, Cancel, ConversationId, Event, Finish, FrameUsed, Reply, Trace, Usage};

/// An answer that is being made. Dropping it cancels the request.
///
/// ```no_run
/// # fn main() -> fleming::Result<()> {
/// use fleming::{AskOptions, Engine, EngineOptions, Request};
///
/// let engine = Engine::open("models/demo".as_ref(), &EngineOptions { slots: 2, ..EngineOptions::default() })?;
/// let ask = |question: &str| engine.submit(&Request::about(vec![], question), &AskOptions::default());
/// let (first, second) = (ask("What is CT?")?, ask("What is MRI?")?);
/// println!("{}", first.wait(&mut |_event| {})?.answer);
/// println!("{}", second.wait(&mut |_event| {})?.answer);
/// # Ok(())
/// # }
/// ```
#[must_use = "an answer that nobody waits for is cancelled"]
pub struct Answering {
    engine: Engine,
    messages: Receiver<Message>,
    abandoned: Cancel,
    asked: Asked,
    /// Until the reply is complete.
    writer: Option<Writer>,
    /// Whether a token came that nobody heard of, because the answer had been stopped.
    unheard: bool,
}

/// What the reply says of the request.
pub(super) struct Asked {
    pub(super) conversation: ConversationId,
    /// For a trace.
    pub(super) question: Option<Arc<Question>>,
    pub(super) prompt_tokens: usize,
    pub(super) image_tokens: usize,
    pub(super) frames: Vec<FrameUsed>,
    pub(super) warnings: Vec<String>,
    pub(super) options: AskOptions,
    pub(super) tagging: Tagging,
}

impl Answering {
    pub(super) fn new(engine: &Engine, asked: Asked, messages: Receiver<Message>, abandoned: Cancel) -> Self {
        let prompt = &engine.package().manifest().prompt;
        let writer = Some(Writer::new(prompt, &asked.options, asked.tagging));
        Self { engine: engine.clone(), messages, abandoned, asked, writer, unheard: false }
    }

    /// Names the conversation; see [`Engine::save_session`].
    pub fn conversation(&self) -> ConversationId {
        self.asked.conversation
    }

    /// Ends the answer at its next step; [`wait`](Self::wait) then returns what there is.
    pub fn cancel(&self) {
        self.asked.options.cancel.cancel();
    }

    /// Waits for the answer. `on_event` hears of progress and of the text as it is made, in this thread: however long it
    /// takes, other answers go on.
    ///
    /// # Errors
    /// [`Error::Runtime`] if a graph fails.
    pub fn wait(mut self, on_event: &mut dyn FnMut(Event<'_>)) -> Result<Reply> {
        loop {
            if let Some(reply) = self.poll(Duration::MAX, on_event)? {
                return Ok(reply);
            }
        }
    }

    /// Waits for the answer no longer than `patience`, which may be zero; nothing if it is not complete by then.
    /// `on_event` hears, in this thread, of what happened since the last call.
    ///
    /// # Errors
    /// [`Error::Runtime`] if a graph fails, [`Error::Request`] if the reply or an error was given before.
    pub fn poll(&mut self, patience: Duration, on_event: &mut dyn FnMut(Event<'_>)) -> Result<Option<Reply>> {
        let until = Instant::now().checked_add(patience);
        loop {
            if self.writer.is_none() {
                return Err(Error::request("answer", "one that was not given yet", "one that was"));
            }
            let message = match until {
                Some(until) => self.messages.recv_timeout(until.saturating_duration_since(Instant::now())),
                None => self.messages.recv().map_err(RecvTimeoutError::from),
            };
            match message {
                Ok(message) => {
                    if let Some(reply) = self.hear(message, on_event)? {
                        return Ok(Some(reply));
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Ok(None),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::runtime("engine", "a running loop", "one that broke down")
                        .hint("open the engine again"));
                }
            }
        }
    }

    /// Takes in what the loop tells; the reply, if that was the last of it.
    fn hear(&mut self, message: Message, on_event: &mut dyn FnMut(Event<'_>)) -> Result<Option<Reply>> {
        // Who stopped the answer hears no more of it, even if the loop was faster.
        let stopped = self.asked.options.cancel.is_cancelled();
        match message {
            Message::Done(outcome) => {
                let writer = self.writer.take();
                let outcome = outcome?;
                let finish = if self.unheard { Finish::Cancelled } else { outcome.finish };
                let written = writer.map(|writer| writer.finish(finish, on_event));
                return Ok(written.map(|written| self.reply(finish, written, outcome)));
            }
            Message::Token(_) if stopped => self.unheard = true,
            _ if stopped => {}
            Message::Progress(event) => on_event(event),
            Message::Token(chosen) => {
                if let Some(writer) = &mut self.writer {
                    writer.push(&self.engine.0.shared.tokenizer, &chosen, on_event);
                }
            }
        }
        Ok(None)
    }

    fn reply(&mut self, finish: Finish, written: Written, outcome: Outcome) -> Reply {
        let shared = self.engine.shared();
        let asked = &mut self.asked;
        tracing::debug!(
            prompt_tokens = asked.prompt_tokens,
            cached_tokens = outcome.cached_tokens,
            completion_tokens = written.ids.len(),
            finish = finish.name(),
            "answered"
        );
        let trace = asked.question.take().map(|question| Trace {
            prompt: question.text.clone(),
            pixels: pixels::stack(&question.tiles, shared.geometry.size),
            pixel_values: pixels::normalize(&question.tiles, &shared.geometry),
            input_ids: question.prompt.ids.clone(),
            image_embeds: outcome.embeddings,
            first_logits: outcome.first_logits,
        });
        Reply {
            answer: written.answer,
            thought: written.thought,
            text: written.text,
            finish,
            truncated: written.truncated,
            usage: Usage {
                prompt_tokens: asked.prompt_tokens,
                image_tokens: asked.image_tokens,
                cached_tokens: outcome.cached_tokens,
                completion_tokens: written.ids.len(),
                drafted_tokens: outcome.speculated.drafted,
                accepted_tokens: outcome.speculated.accepted,
            },
            completion_ids: written.ids,
            logprobs: written.logprobs,
            frames: std::mem::take(&mut asked.frames),
            timings: outcome.timings,
            warnings: [std::mem::take(&mut asked.warnings), written.warnings].concat(),
            conversation: asked.conversation,
            trace,
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.abandoned.cancel();
    }
}
