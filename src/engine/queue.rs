//! Where requests wait: to be prepared, and then for the loop.

use std::collections::VecDeque;
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::caller::{Admission, Caller};
use super::images::Embeddings;
use super::sequence::Sequence;
use super::session::Session;
use crate::error::{Error, Result};
use crate::pixels::{Digest, Tile};
use crate::request::{AskOptions, ConversationId, Finish, Request, Timings};
use crate::watch::Watch;

/// A request that was handed in and is not prepared yet.
pub(super) struct Submission {
    pub(super) request: Request,
    pub(super) options: Arc<AskOptions>,
    pub(super) submitted: Instant,
    /// Ends the preparation: the switches that all callers share, and the deadline.
    pub(super) watch: Watch,
    /// One for each answer.
    pub(super) callers: Vec<Caller>,
}

/// Something to do between two steps; the answer goes through the channel.
pub(super) enum Command {
    /// Copies what a finished conversation left in its slot.
    Save(ConversationId, Sender<Result<Session>>),
    /// Puts a conversation into a slot that is free.
    Load(Session, Sender<Result<ConversationId>>),
    /// Encodes a tile.
    Embed(Tile, Digest, Sender<Result<Embeddings>>),
}

/// Requests in the order of their arrival, up to a number; and commands, which are few and short.
pub(super) struct Queue {
    state: Mutex<QueueState>,
    /// Wakes the loop.
    work: Condvar,
    /// Wakes the threads that prepare.
    prepare: Condvar,
    limits: Limits,
    /// Answers that have not ended.
    under_way: Arc<AtomicUsize>,
    /// The process whose threads work on it.
    process: u32,
}

/// What a queue has room for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Answers that have not ended, those with a slot included.
    pub(super) under_way: usize,
    /// Prepared answers that may wait for a slot. Each holds its pixels.
    pub(super) ready: usize,
}

#[derive(Default)]
struct QueueState {
    /// Answers admitted so far.
    arrivals: u64,
    submissions: VecDeque<Submission>,
    /// Answers to the requests that a thread is preparing.
    preparing: usize,
    /// In the order of their arrival, whichever was prepared first.
    ready: VecDeque<Sequence>,
    commands: Vec<Command>,
    /// Whether the engine is shut down, or being so.
    closed: bool,
    /// Whether the loop broke down.
    broken: bool,
}

/// Whether the loop has work of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    Working,
    Idle,
}

/// How many answers wait, by what for.
pub(super) struct Waiting {
    pub(super) preparing: usize,
    pub(super) ready: usize,
}

/// How often an idle loop checks whether a request that waits to be prepared was cancelled or is late.
const GLANCE: Duration = Duration::from_millis(20);

impl Queue {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            state: Mutex::default(),
            work: Condvar::new(),
            prepare: Condvar::new(),
            limits,
            under_way: Arc::default(),
            process: process::id(),
        }
    }

    /// Refuses a child of the process that opened the engine. A fork copies no thread, so there is nobody to answer, and
    /// locks may be held for ever.
    ///
    /// # Errors
    /// [`Error::Runtime`] in a child.
    pub(super) fn refuse_child(&self) -> Result<()> {
        match process::id() == self.process {
            true => Ok(()),
            false => Err(Error::runtime("engine", "the process that opened it", "a child of that process")
                .hint("open an engine in the child, after it has called exec")),
        }
    }

    /// Whether the loop works, or waits for work.
    pub(super) fn is_served(&self) -> bool {
        refuse_broken(&self.lock()).is_ok()
    }

    /// Refuses work that the loop could not do.
    ///
    /// # Errors
    /// [`Error::Runtime`] in a child, and if the loop broke down or was shut down.
    pub(super) fn refuse_unserved(&self) -> Result<()> {
        self.refuse_child()?;
        refuse_broken(&self.lock())
    }

    /// Takes a place for each of `answers`, all or none.
    ///
    /// # Errors
    /// [`Error::Request`] if the engine can never hold that many, [`Error::Busy`] if it has no room at the moment,
    /// [`Error::Runtime`] if the loop broke down.
    pub(super) fn admissions(&self, answers: usize) -> Result<Vec<Admission>> {
        self.refuse_child()?;
        let most = self.limits.under_way;
        if answers > most {
            return Err(Error::request(
                "answers",
                format!("at most {most}, the slots and the queue"),
                answers,
            )
            .hint("open the engine with more slots or a longer queue"));
        }
        let mut state = self.lock();
        refuse_broken(&state)?;
        let taken = self.under_way.load(Ordering::Relaxed);
        if taken + answers > most {
            return Err(Error::busy(
                "queue",
                format!("room for {answers} of {most} answers"),
                format!("{taken} under way"),
            )
            .hint("try again later, or open the engine with a longer queue or more slots"));
        }
        let arrivals = state.arrivals..state.arrivals + answers as u64;
        state.arrivals = arrivals.end;
        Ok(arrivals.map(|arrival| Admission::take(arrival, &self.under_way)).collect())
    }

    /// Adds a request to be prepared.
    ///
    /// # Errors
    /// [`Error::Runtime`] if the loop broke down.
    pub(super) fn submit(&self, submission: Submission) -> Result<()> {
        let mut state = self.lock();
        refuse_broken(&state)?;
        state.submissions.push_back(submission);
        self.prepare.notify_one();
        // An idle loop looks after those that wait.
        self.work.notify_one();
        Ok(())
    }

    /// The request that has waited longest to be prepared, as soon as few enough answers are ready. `None` ends the thread.
    pub(super) fn next_submission(&self) -> Option<Submission> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if state.ready.len() < self.limits.ready
                && let Some(submission) = state.submissions.pop_front()
            {
                state.preparing += submission.callers.len();
                return Some(submission);
            }
            state = self.prepare.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Hands over the sequences of a request with this many answers; none if preparing failed.
    pub(super) fn prepared(&self, answers: usize, sequences: Vec<Sequence>) {
        let mut state = self.lock();
        state.preparing -= answers;
        for sequence in sequences {
            let arrival = |sequence: &Sequence| sequence.caller.admission.arrival;
            let place = state.ready.partition_point(|other| arrival(other) < arrival(&sequence));
            state.ready.insert(place, sequence);
        }
        self.work.notify_one();
    }

    /// Has the loop do something between two steps.
    ///
    /// # Errors
    /// [`Error::Runtime`] if the loop broke down.
    pub(super) fn command(&self, command: Command) -> Result<()> {
        self.refuse_child()?;
        let mut state = self.lock();
        refuse_broken(&state)?;
        state.commands.push(command);
        self.work.notify_one();
        Ok(())
    }

    /// Ends the threads that prepare, and the loop once it is idle.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_one();
        self.prepare.notify_all();
    }

    /// The commands given since the last call; an idle loop waits until there is something to do. `None` ends it.
    pub(super) fn wait(&self, load: Load) -> Option<Vec<Command>> {
        let mut state = self.lock();
        while load == Load::Idle && state.ready.is_empty() && state.commands.is_empty() {
            if state.closed {
                return None;
            }
            if !state.submissions.is_empty() {
                let glance = self.work.wait_timeout(state, GLANCE);
                state = glance.unwrap_or_else(PoisonError::into_inner).0;
                break;
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Some(std::mem::take(&mut state.commands))
    }

    /// The answer that has waited longest for a slot.
    pub(super) fn pop(&self) -> Option<Sequence> {
        let sequence = self.lock().ready.pop_front();
        self.prepare.notify_one();
        sequence
    }

    /// Ends the answers that wait and that were cancelled or are late. Returns those that are ready.
    pub(super) fn take_ended(&self) -> Vec<(Sequence, Finish)> {
        let mut state = self.lock();
        let mut ended = Vec::new();
        for sequence in std::mem::take(&mut state.ready) {
            match sequence.caller.ended() {
                Some(finish) => ended.push((sequence, finish)),
                None => state.ready.push_back(sequence),
            }
        }
        for submission in &mut state.submissions {
            submission.dismiss();
        }
        state.submissions.retain(|submission| !submission.callers.is_empty());
        if !ended.is_empty() {
            self.prepare.notify_all();
        }
        ended
    }

    /// How many answers wait.
    pub(super) fn waiting(&self) -> Waiting {
        let state = self.lock();
        let submitted: usize = state.submissions.iter().map(|submission| submission.callers.len()).sum();
        Waiting { preparing: state.preparing + submitted, ready: state.ready.len() }
    }

    /// Drops everything that waits when the loop breaks, so that no caller waits for ever. What waits for a loop that was to
    /// end is left to [`end_all`](Self::end_all).
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        state.closed = true;
        state.broken = true;
        state.submissions.clear();
        state.ready.clear();
        state.commands.clear();
        self.prepare.notify_all();
    }

    /// Ends the answers that still wait once the threads of a closed queue have ended, and drops commands.
    pub(super) fn end_all(&self) {
        for (sequence, finish) in self.take_ended() {
            let timings = sequence.prompt.timings;
            sequence.caller.end(finish, timings);
        }
        self.lock().commands.clear();
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Submission {
    /// How long it waited so far, as its answers report it.
    pub(super) fn timings(&self) -> Timings {
        Timings { queue: super::clock::milliseconds(self.submitted), ..Timings::default() }
    }

    /// Ends the answers that were cancelled or are late.
    fn dismiss(&mut self) {
        let timings = self.timings();
        for caller in std::mem::take(&mut self.callers) {
            match caller.ended() {
                Some(finish) => caller.end(finish, timings),
                None => self.callers.push(caller),
            }
        }
    }
}

fn refuse_broken(state: &QueueState) -> Result<()> {
    match (state.broken, state.closed) {
        (false, false) => Ok(()),
        (false, true) => {
            Err(Error::runtime("engine", "one that runs", "one that was shut down").hint("open it again"))
        }
        (true, _) => Err(Error::runtime("engine", "a running loop", "one that broke down")
            .hint("open the engine again, and report this")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_whose_loop_broke_down_is_not_served() {
        let queue = Queue::new(Limits { under_way: 1, ready: 1 });
        assert!(queue.is_served());
        queue.abandon();
        assert!(!queue.is_served());
        assert!(queue.admissions(1).is_err());
    }
}
