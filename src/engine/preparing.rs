//! The threads that read studies and write prompts, so that handing a request in takes no time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::caller::Message;
use super::clock::milliseconds;
use super::prompt::Prompt;
use super::queue::{Queue, Submission};
use super::sequence::Sequence;
use super::shared::Shared;
use super::threads;
use super::writer::Tagging;
use crate::error::{Error, Result};
use crate::request::{Event, Timings};

/// Most requests that are prepared at a time. Each holds the pixels of its studies.
const MOST_THREADS: usize = 4;

/// How many requests are prepared at a time.
pub(super) fn at_a_time() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS)
}

/// Starts the threads. They end when the queue is closed.
///
/// # Errors
/// [`Error::Runtime`] if the system gives no thread.
pub(super) fn start(shared: &Arc<Shared>, queue: &Arc<Queue>) -> Result<Vec<JoinHandle<()>>> {
    let start = |number| {
        let (shared, queue) = (Arc::clone(shared), Arc::clone(queue));
        let work = move || {
            while let Some(submission) = queue.next_submission() {
                let answers = submission.callers.len();
                let sequences = sequences(&shared, submission);
                queue.prepared(answers, sequences);
            }
        };
        threads::start(&format!("fleming-prepare-{number}"), work)
    };
    (0..at_a_time()).map(start).collect()
}

/// The sequences of a request, ready for the loop. If preparing fails, its callers get the error.
fn sequences(shared: &Shared, submission: Submission) -> Vec<Sequence> {
    let waited = milliseconds(submission.submitted);
    let prepared = catch_unwind(AssertUnwindSafe(|| prepare(shared, &submission, waited)));
    let prepared = prepared
        .unwrap_or_else(|_| Err(Error::runtime("the studies of a request", "pixels", "a panic").report()));
    match prepared {
        Ok(Prepared { prompt, guide, tagging }) => {
            let Submission { callers, options, .. } = submission;
            let sequence = |(number, caller): (u64, super::caller::Caller)| {
                caller.tell(Message::Prepared(Arc::clone(&prompt), tagging));
                Sequence::new(caller, Arc::clone(&prompt), guide.nth(number), Arc::clone(&options))
            };
            (0..).zip(callers).map(sequence).collect()
        }
        Err(error) => {
            let timings = Timings { queue: waited, ..Timings::default() };
            for caller in submission.callers {
                caller.fail(error.clone(), timings);
            }
            Vec::new()
        }
    }
}

struct Prepared {
    prompt: Arc<Prompt>,
    guide: crate::guide::Guide,
    tagging: Tagging,
}

fn prepare(shared: &Shared, submission: &Submission, waited: f64) -> Result<Prepared> {
    let Submission { request, options, callers, .. } = submission;
    let messages: Vec<_> = callers.iter().map(|caller| caller.messages.clone()).collect();
    let watch = submission.watch.clone().listener(move |done, total| {
        for caller in &messages {
            // One that is gone is noticed by who ends its answer.
            caller.send(Message::Progress(Event::Reading { done, total }));
        }
    });
    let mut prompt = Prompt::new(shared, request, options, &watch)?;
    prompt.timings.queue = waited;
    let guide = shared.guide(&request.instruction, options, &prompt.spliced.ids)?;
    let tagging = if guide.is_untagged() { Tagging::Untagged } else { Tagging::Tagged };
    Ok(Prepared { prompt: Arc::new(prompt), guide, tagging })
}
