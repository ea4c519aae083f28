//! What an engine has done and is doing.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What an engine has done and is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Answers whose studies are being read, or wait for that.
    pub preparing: usize,
    /// Answers that are ready and wait for a slot.
    pub waiting: usize,
    /// Answers that have a slot.
    pub active: usize,
    /// Tokens that these have in the KV cache.
    pub held_tokens: usize,
    /// Steps of the decoder, each for all answers under way.
    pub steps: u64,
    /// Steps that failed; the row of each answer then ran alone.
    pub failed_steps: u64,
    /// Prompt tokens that ran through the decoder.
    pub prefilled_tokens: u64,
    /// Pictures whose embeddings were in memory.
    pub image_hits: u64,
    /// Pictures that had to be encoded.
    pub image_misses: u64,
    /// Bytes of image embeddings that are kept.
    pub image_bytes: usize,
    /// Tokens that were guessed ahead.
    pub drafted_tokens: u64,
    /// Those of them that were right.
    pub accepted_tokens: u64,
    /// Tokens of replies that ran a second time, because a guess left the next one in doubt.
    pub repeated_tokens: u64,
    /// Time of the rounds of the loop that were one step and nothing else.
    pub step_time: Duration,
    /// How much of it ONNX Runtime took.
    pub step_run_time: Duration,
    /// When the loop last ended a round, or gave an answer a slot. If this is long ago while answers are `active`, the loop hangs.
    pub last_round: Option<Instant>,
}

/// The loop's counts as of its last round, readable from any thread.
#[derive(Default)]
pub(super) struct Published(Mutex<Counts>);

impl Published {
    pub(super) fn publish(&self, counts: Counts) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }

    pub(super) fn snapshot(&self) -> Counts {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
