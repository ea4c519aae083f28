//! The loop's side of a pending answer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use ndarray::Array3;

use super::guesses::Guessed;
use super::prompt::Prompt;
use super::writer::Tagging;
use crate::error::{Error, ErrorCode, Result};
use crate::request::{ConversationId, Event, Finish, Timings};
use crate::sampler::Chosen;
use crate::watch::{Cancel, Watch};

/// The loop's side of a pending answer.
pub(super) struct Caller {
    pub(super) conversation: ConversationId,
    pub(super) submitted: Instant,
    /// The caller's switches and the deadline.
    pub(super) watch: Watch,
    /// Thrown when the pending answer was dropped.
    pub(super) abandoned: Cancel,
    pub(super) messages: Messages,
    /// Counts as one answer under way until it is dropped.
    pub(super) admission: Admission,
}

/// The loop's end of the channel to a caller. Who is to be woken is woken after each message, and when the last end is gone.
#[derive(Clone)]
pub(super) struct Messages {
    /// Gone only while it is dropped.
    sender: Option<Sender<Message>>,
    wakers: Arc<Wakers>,
}

/// Functions that are called when there is a message.
#[derive(Default)]
pub(super) struct Wakers(RwLock<Vec<Box<dyn Fn() + Send + Sync>>>);

impl Wakers {
    /// Adds one. It is called at once, because there may be a message already.
    pub(super) fn add(&self, wake: Box<dyn Fn() + Send + Sync>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(wake);
        self.wake();
    }

    fn wake(&self) {
        self.0.read().unwrap_or_else(PoisonError::into_inner).iter().for_each(|wake| wake());
    }
}

impl Messages {
    pub(super) fn new(sender: Sender<Message>, wakers: &Arc<Wakers>) -> Self {
        Self { sender: Some(sender), wakers: Arc::clone(wakers) }
    }

    /// Sends a message; whether the receiver is there.
    pub(super) fn send(&self, message: Message) -> bool {
        let sent = self.sender.as_ref().is_some_and(|sender| sender.send(message).is_ok());
        self.wakers.wake();
        sent
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        // Before: who is woken finds the channel closed.
        self.sender = None;
        self.wakers.wake();
    }
}

/// What the loop sends to a caller.
pub(super) enum Message {
    /// The studies were read and the prompt was written.
    Prepared(Arc<Prompt>, Tagging),
    Progress(Event<'static>),
    Token(Chosen),
    /// The last one.
    Ended(Result<Ended>),
}

/// How an answer ended.
pub(super) struct Ended {
    pub(super) finish: Finish,
    pub(super) cached_tokens: usize,
    pub(super) guessed: Guessed,
    pub(super) timings: Timings,
    /// `[tiles, tokens per tile, hidden]`, for a trace.
    pub(super) embeddings: Array3<f32>,
    /// `[vocabulary]`, for a trace; empty if cancelled before.
    pub(super) first_logits: Vec<f32>,
}

impl Caller {
    /// Why the answer must end now: cancelled or late.
    pub(super) fn ended(&self) -> Option<Finish> {
        match self.watch.check() {
            Ok(()) => None,
            Err(error) => finish_of(&error),
        }
    }

    /// Sends a message. If the receiver is gone, the answer ends at the next step.
    pub(super) fn tell(&self, message: Message) {
        if !self.messages.send(message) {
            self.abandoned.cancel();
        }
    }

    /// Ends an answer that never had a slot.
    pub(super) fn end(self, finish: Finish, timings: Timings) {
        self.tell(Message::Ended(Ok(Ended {
            finish,
            cached_tokens: 0,
            guessed: Guessed::default(),
            timings,
            embeddings: Array3::zeros((0, 0, 0)),
            first_logits: Vec::new(),
        })));
    }

    /// Ends an answer with an error. Cancelled and timed out are not failures: they end it with a [`Finish`].
    pub(super) fn fail(self, error: Error, timings: Timings) {
        match finish_of(&error) {
            Some(finish) => self.end(finish, timings),
            None => self.tell(Message::Ended(Err(error))),
        }
    }
}

/// The end that an error stands for, if it says that the work was stopped.
fn finish_of(error: &Error) -> Option<Finish> {
    match error.code() {
        ErrorCode::Cancelled => Some(Finish::Cancelled),
        ErrorCode::TimedOut => Some(Finish::TimedOut),
        _ => None,
    }
}

/// One of the answers that an engine has room for; free again when it is dropped.
pub(super) struct Admission {
    /// Answers that were admitted before it.
    pub(super) arrival: u64,
    taken: Arc<AtomicUsize>,
}

impl Admission {
    pub(super) fn take(arrival: u64, taken: &Arc<AtomicUsize>) -> Self {
        taken.fetch_add(1, Ordering::Relaxed);
        Self { arrival, taken: Arc::clone(taken) }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}
