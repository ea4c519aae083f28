//! Where requests wait for the loop.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::job::{Command, Job};
use crate::error::{Error, Result};

/// Requests in the order of their arrival, up to a number; and commands, which are few and short.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    most: usize,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    commands: Vec<Command>,
    closed: bool,
}

/// Whether the loop has work of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    Working,
    Idle,
}

impl Queue {
    pub(super) fn new(most: usize) -> Self {
        Self { waiting: Mutex::default(), wake: Condvar::new(), most }
    }

    /// Adds requests, all or none of them.
    ///
    /// # Errors
    /// [`Error::Busy`] if the queue has no room for them, [`Error::Runtime`] if the engine ended.
    pub(super) fn push(&self, jobs: Vec<Job>) -> Result<()> {
        let mut waiting = self.lock();
        self.refuse_more(&waiting, jobs.len())?;
        waiting.jobs.extend(jobs);
        self.wake.notify_one();
        Ok(())
    }

    /// Tells whether so many requests would be taken at the moment, so that nothing is read for those that are not.
    ///
    /// # Errors
    /// Those of [`push`](Self::push).
    pub(super) fn check_room(&self, jobs: usize) -> Result<()> {
        self.refuse_more(&self.lock(), jobs)
    }

    fn refuse_more(&self, waiting: &Waiting, jobs: usize) -> Result<()> {
        refuse_closed(waiting)?;
        if waiting.jobs.len() + jobs <= self.most {
            return Ok(());
        }
        Err(Error::busy(
            "queue",
            format!("room for {jobs} of {} requests", self.most),
            format!("{} waiting", waiting.jobs.len()),
        )
        .hint("try again later, or open the engine with a longer queue or more slots"))
    }

    /// Has the loop do something between two steps.
    pub(super) fn command(&self, command: Command) -> Result<()> {
        let mut waiting = self.lock();
        refuse_closed(&waiting)?;
        waiting.commands.push(command);
        self.wake.notify_one();
        Ok(())
    }

    /// Ends the loop once it is idle.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    /// The commands given since the last call; an idle loop waits until there is something to do. `None` ends it.
    pub(super) fn wait(&self, load: Load) -> Option<Vec<Command>> {
        let mut waiting = self.lock();
        while load == Load::Idle && waiting.jobs.is_empty() && waiting.commands.is_empty() {
            if waiting.closed {
                return None;
            }
            waiting = self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        Some(std::mem::take(&mut waiting.commands))
    }

    /// The request that has waited longest.
    pub(super) fn pop(&self) -> Option<Job> {
        self.lock().jobs.pop_front()
    }

    /// Takes out the requests that nobody waits for any more.
    pub(super) fn take_ended(&self) -> Vec<Job> {
        let mut waiting = self.lock();
        let (ended, going) = waiting.jobs.drain(..).partition(|job| job.ended().is_some());
        waiting.jobs = going;
        Vec::from(ended)
    }

    /// Requests that wait.
    pub(super) fn len(&self) -> usize {
        self.lock().jobs.len()
    }

    /// Ends with all that wait when the loop breaks, so that nobody waits for ever.
    pub(super) fn abandon(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.jobs.clear();
        waiting.commands.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refuse_closed(waiting: &Waiting) -> Result<()> {
    match waiting.closed {
        false => Ok(()),
        true => Err(Error::runtime("engine", "a running loop", "one that broke down")
            .hint("open the engine again, and report this")),
    }
}
