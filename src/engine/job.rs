//! What goes to the loop and what comes back.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Instant;

use ndarray::Array3;

use super::images::Embeddings;
use super::prepare::{Question, milliseconds};
use super::session::Session;
use super::speculate::Speculated;
use crate::error::Result;
use crate::guide::Guide;
use crate::pixels::{Digest, Tile};
use crate::request::{AskOptions, Cancel, ConversationId, Event, Finish, Timings};
use crate::sampler::Chosen;

/// A request that is ready for the loop.
pub(super) struct Job {
    pub(super) id: ConversationId,
    pub(super) options: AskOptions,
    pub(super) question: Arc<Question>,
    /// Chooses the tokens of the reply.
    pub(super) guide: Guide,
    pub(super) submitted: Instant,
    /// Thrown when nobody waits for the answer any more.
    pub(super) abandoned: Cancel,
    pub(super) messages: Sender<Message>,
}

/// What the loop tells about a request.
pub(super) enum Message {
    Progress(Event<'static>),
    Token(Chosen),
    /// The last one.
    Done(Result<Outcome>),
}

/// How a request ended.
pub(super) struct Outcome {
    pub(super) finish: Finish,
    pub(super) cached_tokens: usize,
    pub(super) speculated: Speculated,
    pub(super) timings: Timings,
    /// `[tiles, tokens per tile, hidden]`, for a trace.
    pub(super) embeddings: Array3<f32>,
    /// `[vocabulary]`, for a trace; empty if cancelled before.
    pub(super) first_logits: Vec<f32>,
}

/// Something to do between two steps; the answer goes through the channel.
pub(super) enum Command {
    /// Copies what a finished conversation left in its slot.
    Save(ConversationId, Sender<Result<Session>>),
    /// Puts a conversation into a slot that is free.
    Load(Session, Sender<Result<ConversationId>>),
    /// Encodes a tile.
    Embed(Tile, Digest, Sender<Result<Embeddings>>),
    /// Tells what was counted.
    Count(Sender<super::Counts>),
}

impl Job {
    /// Why there is nothing more to do for this request, if so.
    pub(super) fn ended(&self) -> Option<Finish> {
        let late = self.options.timeout.is_some_and(|most| self.submitted.elapsed() >= most);
        match self.options.cancel.is_cancelled() || self.abandoned.is_cancelled() {
            true => Some(Finish::Cancelled),
            false => late.then_some(Finish::TimedOut),
        }
    }

    /// Sends a message. Where nobody listens any more, the request ends at the next step.
    pub(super) fn tell(&self, message: Message) {
        if self.messages.send(message).is_err() {
            self.abandoned.cancel();
        }
    }

    /// Answers a request that never came to a slot.
    pub(super) fn end_waiting(self, finish: Finish) {
        let outcome = Outcome {
            finish,
            cached_tokens: 0,
            speculated: Speculated::default(),
            timings: Timings { queue: milliseconds(self.submitted), ..self.question.timings },
            embeddings: Array3::zeros((0, 0, 0)),
            first_logits: Vec::new(),
        };
        self.tell(Message::Done(Ok(outcome)));
    }
}
