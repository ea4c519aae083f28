//! Guessing ahead: what may come next, verified in one run instead of step by step.
//!
//! A guess is run as a chunk of the stream's slot, and the stream chooses from the logits of each position as ever; as long
//! as it chooses what was guessed, the next position counts. What was guessed wrong is forgotten with the length of the
//! slot: the next run writes over it.
//!
//! Attention to several new tokens differs from attention to one in the last bits. A greedy reply is the same all the same:
//! where two tokens are too close for such logits to tell which a step would have chosen, steps go over all that guesses
//! have written, and then choose.

use super::stream::Stage;
use super::worker::Worker;
use crate::decoder::Logits;

/// What a stream that guesses ahead knows.
pub(super) struct Speculation {
    /// Prompt and reply.
    pub(super) history: Vec<u32>,
    /// How many tokens to guess next: more while they are right.
    pub(super) length: usize,
    most: usize,
    /// Tokens in the slot before the first that a guess wrote.
    written_from: Option<usize>,
    pub(super) counts: Speculated,
}

/// How well a stream guessed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Speculated {
    pub(super) drafted: usize,
    pub(super) accepted: usize,
}

/// Far more than the logits of guesses were ever seen to differ from those of steps in f32; see ARCHITECTURE.md.
const DOUBT: f32 = 1e-3;

/// How many tokens to guess at first.
const FIRST: usize = 4;

impl Speculation {
    pub(super) fn new(most: usize, prompt: &[i64]) -> Self {
        Self {
            history: prompt.iter().map(|&id| id as u32).collect(),
            length: most.min(FIRST),
            most,
            written_from: None,
            counts: Speculated::default(),
        }
    }

    /// How far apart two logits must be to tell which token a step would have chosen, if that is in question.
    pub(super) fn doubt(&self) -> Option<f32> {
        self.written_from.map(|_| DOUBT)
    }

    /// Whether the last guess was right enough to be worth a run of its own, where the token could be had in a step with
    /// others.
    fn does_well(&self) -> bool {
        self.length >= self.most.min(FIRST)
    }

    fn learn(&mut self, drafted: usize, accepted: usize) {
        self.length = match accepted == drafted {
            true => (2 * drafted).min(self.most),
            false => accepted.max(1),
        };
    }
}

impl Worker<'_> {
    /// Verifies the guess of the stream whose turn it is. Returns its slot, if there is one: no more than one guess lies
    /// between two steps of the others, and beside others only who guesses well does it at all.
    pub(super) fn verify_one_guess(&mut self) -> Option<usize> {
        let alone = self.slots.iter().filter(|slot| slot.stream.is_some()).count() == 1;
        let guesses = self.slots.iter().enumerate().filter_map(|(place, slot)| {
            let stream = slot.stream.as_ref()?;
            stream.speculation.as_ref().filter(|speculation| alone || speculation.does_well())?;
            Some((stream.served, place, stream.guess()?))
        });
        let (_, place, guess) = guesses.min()?;
        let next = self.next(place)?;
        let turn = self.tick();
        let stream = self.slots[place].stream.as_mut()?;
        stream.served = turn;
        let speculation = stream.speculation.as_mut()?;
        speculation.written_from.get_or_insert(next.position);
        speculation.counts.drafted += guess.len();
        self.counts.drafted_tokens += guess.len() as u64;
        let ids = [&[next.id], &guess[..]].concat();
        match self.model.decoder.verify(place, next.position, &ids) {
            Ok(logits) => self.keep_what_is_right(place, &ids, logits),
            Err(error) => self.deliver((place, Err(error))),
        }
        Some(place)
    }

    /// Takes in the first of these tokens, and the others as long as the stream chooses them.
    fn keep_what_is_right(&mut self, place: usize, ids: &[u32], logits: Vec<Logits>) {
        let mut right = 0;
        for (number, (id, logits)) in ids.iter().zip(logits).enumerate() {
            if self.next(place).is_none_or(|next| next.id != *id) {
                break;
            }
            right = number;
            if let Some(speculation) = self.speculation(place).filter(|_| number > 0) {
                speculation.counts.accepted += 1;
            }
            self.slots[place].hold_next();
            self.deliver((place, Ok(logits)));
            if self.slots[place].stream.as_ref().is_none_or(|stream| stream.stage == Stage::Repeating) {
                break;
            }
        }
        self.counts.accepted_tokens += right as u64;
        if let Some(speculation) = self.speculation(place) {
            speculation.learn(ids.len() - 1, right);
        }
    }

    fn speculation(&mut self, place: usize) -> Option<&mut Speculation> {
        self.slots[place].stream.as_mut()?.speculation.as_mut()
    }

    /// Has steps go over what guesses wrote into a slot, because the next token is in doubt.
    pub(super) fn repeat(&mut self, place: usize) {
        let slot = &mut self.slots[place];
        let Some(stream) = &mut slot.stream else { return };
        let from = stream.speculation.as_mut().and_then(|speculation| speculation.written_from.take());
        let tokens = slot.held.take_back(from.unwrap_or(slot.held.tokens.len()));
        self.counts.repeated_tokens += tokens.len() as u64;
        stream.repeat(tokens.into_iter());
    }
}
