//! Guessing ahead: what may come next, verified in one run instead of step by step.
//!
//! A guess runs as one chunk of the sequence's slot. The sequence chooses a token from the logits of each position. The next
//! position counts only while the choice equals the guess. Wrong tokens are dropped from the length of the slot; the next
//! run overwrites them.
//!
//! Attention to several new tokens differs from attention to one in the last bits. A greedy reply stays the same: where two
//! tokens are closer than this difference, steps recompute everything that guesses wrote, and then choose.

use super::guesses::Guesses;
use super::sequence::Status;
use super::worker::Worker;
use crate::decoder::{Logits, Next};

/// A guess to verify.
struct Guess {
    slot: usize,
    /// The token that runs next for certain.
    next: Next,
    ids: Vec<u32>,
}

impl Worker<'_> {
    /// Verifies the guess of the sequence that has waited longest. Returns its slot, if there is one. The other sequences wait
    /// for at most one guess between two steps; beside others, only a sequence with a good record guesses at all.
    pub(super) fn verify_one_guess(&mut self) -> Option<usize> {
        let Guess { slot, next, ids } = self.best_guess()?;
        let served = self.slots.tick();
        let sequence = self.slots.sequence(slot)?;
        sequence.served = served;
        let guesses = sequence.guesses.as_mut()?;
        guesses.written_from.get_or_insert(next.position);
        guesses.counts.drafted += ids.len();
        self.counts.drafted_tokens += ids.len() as u64;
        let run = [&[next.id], &ids[..]].concat();
        match self.slots.decoder.verify(slot, next.position, &run) {
            Ok(logits) => self.keep_what_is_right(slot, &run, logits),
            Err(error) => self.deliver((slot, Err(error))),
        }
        Some(slot)
    }

    fn best_guess(&self) -> Option<Guess> {
        let alone = self.slots.active() == 1;
        let guesses = self.slots.slots.iter().enumerate().filter_map(|(slot, held)| {
            let sequence = held.sequence.as_ref()?;
            sequence.guesses.as_ref().filter(|guesses| alone || guesses.does_well())?;
            Some((sequence.served, slot, sequence.guess()?))
        });
        let (_, slot, ids) = guesses.min()?;
        Some(Guess { slot, next: self.slots.next(slot)?, ids })
    }

    /// Keeps the first of these tokens, and each later one while the sequence chooses it.
    fn keep_what_is_right(&mut self, slot: usize, ids: &[u32], logits: Vec<Logits>) {
        let mut right = 0;
        for (number, (id, logits)) in ids.iter().zip(logits).enumerate() {
            if self.slots.next(slot).is_none_or(|next| next.id != *id) {
                break;
            }
            right = number;
            if let Some(guesses) = self.guesses(slot).filter(|_| number > 0) {
                guesses.counts.accepted += 1;
                self.counts.accepted_tokens += 1;
            }
            self.slots.hold_next(slot);
            self.deliver((slot, Ok(logits)));
            if self.slots.sequence(slot).is_none_or(|sequence| sequence.status == Status::Repeating) {
                break;
            }
        }
        if let Some(guesses) = self.guesses(slot) {
            guesses.learn(ids.len() - 1, right);
        }
    }

    fn guesses(&mut self, slot: usize) -> Option<&mut Guesses> {
        self.slots.sequence(slot)?.guesses.as_mut()
    }

    /// Makes steps recompute what guesses wrote into a slot, because the next token is in doubt.
    pub(super) fn repeat(&mut self, slot: usize) {
        let from = self.guesses(slot).and_then(|guesses| guesses.written_from.take());
        let contents = &mut self.slots.slots[slot].contents;
        let tokens = contents.take_back(from.unwrap_or(contents.tokens.len()));
        self.counts.repeated_tokens += tokens.len() as u64;
        if let Some(sequence) = self.slots.sequence(slot) {
            sequence.repeat(tokens.into_iter());
        }
    }
}
