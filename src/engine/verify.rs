//! Guessing ahead: what may come next, verified in one run instead of step by step.
//!
//! A guess is run as a chunk of the sequence's slot, and the sequence chooses from the logits of each position as ever; as
//! long as it chooses what was guessed, the next position counts. What was guessed wrong is forgotten with the length of
//! the slot: the next run writes over it.
//!
//! Attention to several new tokens differs from attention to one in the last bits. A greedy reply is the same all the same:
//! where two tokens are too close for such logits to tell which a step would have chosen, steps go over all that guesses
//! have written, and then choose.

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
    /// Verifies the guess of the sequence that has waited longest. Returns its slot, if there is one: no more than one guess
    /// lies between two steps of the others, and beside others only who guesses well does it at all.
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

    /// Takes in the first of these tokens, and the others as long as the sequence chooses them.
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

    /// Has steps go over what guesses wrote into a slot, because the next token is in doubt.
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
