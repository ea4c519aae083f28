//! A request on its way through the engine, for a client that may leave at any time.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::fault::Fault;
use super::metrics::Answered;
use super::openai::with_param;
use super::state::{Phase, Shared, UnderWay};
use crate::engine::{Engine, Pending};
use crate::error::Error;
use crate::request::{AskOptions, Cancel, Event, Reply, ReplyPart, Request};

/// Something that happened to one of the answers.
pub(super) enum Piece {
    Text { part: ReplyPart, text: String },
    Progress { stage: &'static str, done: usize, total: usize },
    Done(Box<Reply>),
    Failed(Fault),
}

/// Bytes of text that wait for a client that reads slowly. It holds them and no slot of the engine; beyond them it is cut off.
const LONGEST: usize = 1 << 20;

/// The answers to one request. Dropping it ends the work.
pub(super) struct Job {
    outbox: Arc<Outbox>,
    cancel: Cancel,
    app: Shared,
    phase: watch::Receiver<Phase>,
    stall: watch::Receiver<bool>,
    /// Answers that have not ended.
    open: usize,
    _under_way: UnderWay,
}

#[derive(Default)]
struct Outbox {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Default)]
struct Waiting {
    pieces: VecDeque<(usize, Piece)>,
    bytes: usize,
}

impl Job {
    /// Hands a request in.
    ///
    /// # Errors
    /// What the engine refuses at once.
    pub(super) fn start(
        app: &Shared,
        engine: &Engine,
        request: &Request,
        mut options: AskOptions,
    ) -> Result<Self, Fault> {
        let cancel = Cancel::default();
        options.cancel = cancel.clone();
        let began = Instant::now();
        let all = engine.submit_all(request, &options).map_err(with_param)?;
        app.metrics.accepted();
        let outbox = Arc::new(Outbox::default());
        let open = all.len();
        for (index, pending) in all.into_iter().enumerate() {
            let waiter =
                Waiter { app: Arc::clone(app), outbox: Arc::clone(&outbox), cancel: cancel.clone(), began };
            spawn_blocking(move || waiter.wait(index, pending));
        }
        let (phase, stall) = (app.phase(), app.stall());
        Ok(Self { outbox, cancel, app: Arc::clone(app), phase, stall, open, _under_way: app.begin() })
    }

    /// What happens next, and to which of the answers; none after the end of all.
    pub(super) async fn next(&mut self) -> Option<(usize, Piece)> {
        while self.open > 0 {
            if let Some(next) = self.outbox.take() {
                match next.1 {
                    Piece::Done(_) => self.open -= 1,
                    Piece::Failed(_) => self.open = 0,
                    Piece::Text { .. } | Piece::Progress { .. } => {}
                }
                return Some(next);
            }
            tokio::select! {
                () = self.outbox.arrived.notified() => {}
                _ = self.phase.changed() => {}
                _ = self.stall.changed() => {}
            }
            if let Some(fault) = self.app.gives_up() {
                self.open = 0;
                return Some((0, Piece::Failed(fault)));
            }
        }
        None
    }

    /// All replies, in their order.
    ///
    /// # Errors
    /// What ended the first that failed.
    pub(super) async fn replies(mut self) -> Result<Vec<Reply>, Fault> {
        let mut replies = Vec::new();
        while let Some((index, piece)) = self.next().await {
            match piece {
                Piece::Done(reply) => replies.push((index, *reply)),
                Piece::Failed(fault) => return Err(fault),
                Piece::Text { .. } | Piece::Progress { .. } => {}
            }
        }
        replies.sort_by_key(|(index, _)| *index);
        Ok(replies.into_iter().map(|(_, reply)| reply).collect())
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// What waits for one answer, in a thread of its own.
struct Waiter {
    app: Shared,
    outbox: Arc<Outbox>,
    cancel: Cancel,
    began: Instant,
}

impl Waiter {
    fn wait(&self, index: usize, pending: Pending) {
        let mut heard = |event: Event<'_>| {
            let piece = match event {
                Event::Text { part, text } => Piece::Text { part, text: text.to_owned() },
                Event::Reading { done, total } => Piece::Progress { stage: "reading", done, total },
                Event::Encoding { done, total } => Piece::Progress { stage: "encoding", done, total },
                Event::Prefilling { done, total } => Piece::Progress { stage: "prefilling", done, total },
            };
            if self.outbox.put(index, piece) > LONGEST {
                self.cancel.cancel();
            }
        };
        let ended = catch_unwind(AssertUnwindSafe(|| pending.wait(&mut heard)));
        let piece = match ended {
            Ok(Ok(reply)) => {
                self.app.metrics.answered(&reply, &Answered { elapsed: self.began.elapsed() });
                Piece::Done(Box::new(reply))
            }
            Ok(Err(error)) => self.failed(error),
            Err(_) => {
                self.failed(Error::runtime("answer", "to be waited for", "a panic").hint("look at the log"))
            }
        };
        self.outbox.put(index, piece);
    }

    fn failed(&self, error: Error) -> Piece {
        self.app.metrics.failed(error.code());
        Piece::Failed(with_param(error))
    }
}

impl Outbox {
    /// Adds a piece; returns how many bytes of text wait. Text joins the text before it.
    fn put(&self, index: usize, piece: Piece) -> usize {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Waiting { pieces, bytes } = &mut *waiting;
        match (pieces.back_mut(), piece) {
            (Some((of, Piece::Text { part: last, text: before })), Piece::Text { part, text })
                if *of == index && *last == part =>
            {
                *bytes += text.len();
                before.push_str(&text);
            }
            (Some((of, last @ Piece::Progress { .. })), piece @ Piece::Progress { .. }) if *of == index => {
                *last = piece
            }
            (_, piece) => {
                if let Piece::Text { text, .. } = &piece {
                    *bytes += text.len();
                }
                pieces.push_back((index, piece));
            }
        }
        let bytes = *bytes;
        drop(waiting);
        self.arrived.notify_one();
        bytes
    }

    fn take(&self) -> Option<(usize, Piece)> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let next = waiting.pieces.pop_front();
        if let Some((_, Piece::Text { text, .. })) = &next {
            waiting.bytes -= text.len();
        }
        next
    }
}
