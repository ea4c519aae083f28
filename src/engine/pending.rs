//! An answer that is on its way.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::caller::{Ended, Message, Wakers};
use super::handle::Handle;
use super::prompt::Prompt;
use super::writer::{ReplyWriter, WrittenReply};
use crate::error::{Error, Result};
use crate::pixels;
use crate::request::{AskOptions, ConversationId, Event, Finish, Reply, Trace, Tracing, Usage};
use crate::watch::Cancel;

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
pub struct Pending {
    handle: Arc<Handle>,
    conversation: ConversationId,
    options: Arc<AskOptions>,
    messages: Receiver<Message>,
    wakers: Arc<Wakers>,
    switches: Switches,
    state: PendingState,
}

/// What ends an answer early.
pub(super) struct Switches {
    /// This answer's own.
    pub(super) cancel: Cancel,
    /// Thrown when this answer is dropped.
    pub(super) abandoned: Cancel,
    /// Thrown when all of a request's answers are dropped.
    pub(super) _group: Arc<Group>,
}

/// Throws a switch when the last of a request's pending answers is gone.
pub(super) struct Group(pub(super) Cancel);

impl Drop for Group {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

enum PendingState {
    /// The studies are being read, or wait for that.
    Preparing,
    Writing {
        prompt: Arc<Prompt>,
        writer: Box<ReplyWriter>,
        /// Whether a token was withheld from the caller because the answer had been stopped.
        unheard: bool,
    },
    /// The reply or an error was given.
    Given,
}

impl Pending {
    pub(super) fn new(
        handle: &Arc<Handle>,
        conversation: ConversationId,
        options: &Arc<AskOptions>,
        (messages, wakers): (Receiver<Message>, Arc<Wakers>),
        switches: Switches,
    ) -> Self {
        let (handle, options) = (Arc::clone(handle), Arc::clone(options));
        Self { handle, conversation, options, messages, wakers, switches, state: PendingState::Preparing }
    }

    /// Names the conversation; see [`Engine::save_session`](crate::Engine::save_session).
    pub fn conversation(&self) -> ConversationId {
        self.conversation
    }

    /// Ends this answer at its next step, and no other; [`wait`](Self::wait) then returns the text so far.
    pub fn cancel(&self) {
        self.switches.cancel.cancel();
    }

    /// The switch that [`cancel`](Self::cancel) throws, for another thread.
    pub fn switch(&self) -> Cancel {
        self.switches.cancel.clone()
    }

    /// Has a function called whenever there may be something for [`poll`](Self::poll), the end included, and once at once: for
    /// a program that waits for many things in one place, such as an event loop. Threads of the engine call it, so it is
    /// quick and does not panic: it writes to a descriptor, or posts a message to the program's own queue. Each call adds a function.
    ///
    /// ```no_run
    /// # use fleming::{AskOptions, Engine, EngineOptions, Request};
    /// use std::{sync::mpsc, time::Duration};
    ///
    /// # let engine = Engine::open("models/demo".as_ref(), &EngineOptions::default())?;
    /// let mut pending = engine.submit(&Request::about(vec![], "What is CT?"), &AskOptions::default())?;
    /// let (sender, wakes) = mpsc::channel();
    /// pending.on_message(move || sender.send(()).unwrap_or_default());
    /// let reply = loop {
    ///     // What else the program waits for arrives here too.
    ///     wakes.recv().ok();
    ///     if let Some(reply) = pending.poll(Duration::ZERO, &mut |_event| {})? {
    ///         break reply;
    ///     }
    /// };
    /// # Ok::<(), fleming::Error>(())
    /// ```
    pub fn on_message(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.wakers.add(Box::new(wake));
    }

    /// Waits for the answer. `on_event` is called in this thread with progress and with the text as it is generated. A slow
    /// callback does not delay other answers.
    ///
    /// # Errors
    /// [`Error::Input`] for studies that cannot be read, [`Error::Request`] for options that cannot be met and for a prompt
    /// that does not fit, [`Error::Runtime`] if a graph fails.
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
    /// Those of [`wait`](Self::wait), and [`Error::Request`] if the reply or an error was given before.
    pub fn poll(&mut self, patience: Duration, on_event: &mut dyn FnMut(Event<'_>)) -> Result<Option<Reply>> {
        self.handle.queue.refuse_child()?;
        let until = Instant::now().checked_add(patience);
        loop {
            if matches!(self.state, PendingState::Given) {
                return Err(Error::request("answer", "one that was not given yet", "one that was")
                    .hint("wait for each answer once"));
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

    /// Whether the caller stopped the answer, by either switch.
    fn is_stopped(&self) -> bool {
        self.switches.cancel.is_cancelled() || self.options.cancel.is_cancelled()
    }

    /// Handles a message of the loop; returns the reply after the last one. A caller that stopped the answer gets no more
    /// events, even if the loop had sent some before.
    fn hear(&mut self, message: Message, on_event: &mut dyn FnMut(Event<'_>)) -> Result<Option<Reply>> {
        let stopped = self.is_stopped();
        match (message, &mut self.state) {
            (Message::Prepared(prompt, tagging), _) => {
                let template = &self.handle.shared.package.manifest().prompt;
                let writer = Box::new(ReplyWriter::new(template, &self.options, tagging));
                self.state = PendingState::Writing { prompt, writer, unheard: false };
            }
            (Message::Ended(ended), _) => {
                let state = std::mem::replace(&mut self.state, PendingState::Given);
                return Ok(Some(self.reply(state, ended?, on_event)));
            }
            (Message::Token(_), PendingState::Writing { unheard, .. }) if stopped => *unheard = true,
            (Message::Token(chosen), PendingState::Writing { writer, .. }) => {
                writer.push(&self.handle.shared.tokenizer, &chosen, on_event);
            }
            (Message::Progress(event), _) if !stopped => on_event(event),
            (Message::Progress(_) | Message::Token(_), _) => {}
        }
        Ok(None)
    }

    fn reply(&self, state: PendingState, ended: Ended, on_event: &mut dyn FnMut(Event<'_>)) -> Reply {
        let (prompt, finish, written) = match state {
            PendingState::Writing { prompt, writer, unheard } => {
                let finish = if unheard { Finish::Cancelled } else { ended.finish };
                let stopped = self.is_stopped();
                let written = match stopped {
                    true => writer.finish(finish, &mut |_event| {}),
                    false => writer.finish(finish, on_event),
                };
                (Some(prompt), finish, written)
            }
            PendingState::Preparing | PendingState::Given => (None, ended.finish, WrittenReply::default()),
        };
        let prompt_tokens = prompt.as_ref().map_or(0, |prompt| prompt.spliced.ids.len());
        tracing::debug!(
            prompt_tokens,
            cached_tokens = ended.cached_tokens,
            completion_tokens = written.ids.len(),
            finish = finish.name(),
            "answered"
        );
        let warnings = prompt.as_ref().map(|prompt| prompt.warnings.clone()).unwrap_or_default();
        Reply {
            answer: written.answer,
            thought: written.thought,
            text: written.text,
            finish,
            truncated: written.truncated,
            usage: Usage {
                prompt_tokens,
                image_tokens: prompt.as_ref().map_or(0, |prompt| prompt.image_tokens),
                cached_tokens: ended.cached_tokens,
                completion_tokens: written.ids.len(),
                thinking_tokens: written.thinking_tokens,
                drafted_tokens: ended.guessed.drafted,
                accepted_tokens: ended.guessed.accepted,
            },
            completion_ids: written.ids,
            logprobs: written.logprobs,
            frames: prompt
                .as_ref()
                .map_or_else(|| Arc::new([]) as Arc<[_]>, |prompt| Arc::clone(&prompt.frames)),
            timings: ended.timings,
            warnings: [warnings, written.warnings].concat(),
            conversation: self.conversation,
            pixels: prompt
                .as_ref()
                .filter(|_| self.options.tracing == Tracing::Pixels)
                .map(|prompt| pixels::stack(&prompt.tiles, self.handle.shared.geometry.size)),
            trace: prompt.filter(|_| self.options.tracing == Tracing::Tensors).map(|prompt| Trace {
                prompt: prompt.text.clone(),
                pixels: pixels::stack(&prompt.tiles, self.handle.shared.geometry.size),
                pixel_values: pixels::normalize(&prompt.tiles, &self.handle.shared.geometry),
                input_ids: prompt.spliced.ids.clone(),
                image_embeds: ended.embeddings,
                first_logits: ended.first_logits,
            }),
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.switches.abandoned.cancel();
    }
}
