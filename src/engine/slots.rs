//! The slots of the KV cache: who has one, what it holds, and how that moves.

use std::ops::Range;

use super::contents::{Contents, Token};
use super::schedule::{Free, StepPlaces, choose, gather, most_shared};
use super::sequence::{Sequence, Status};
use super::session::Session;
use crate::decoder::{Decoder, Next};
use crate::error::{Error, Result};
use crate::request::ConversationId;

/// A place for one conversation.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) contents: Contents,
    /// The conversation that wrote last.
    conversation: Option<ConversationId>,
    /// When it was last used.
    used: u64,
    pub(super) sequence: Option<Sequence>,
}

/// The slots and the decoder whose memory they are in.
pub(super) struct Slots {
    pub(super) decoder: Decoder,
    pub(super) slots: Vec<Slot>,
    /// Counts what changes the order in which slots were used and sequences were served.
    clock: u64,
}

impl Slots {
    pub(super) fn new(decoder: Decoder, count: usize) -> Self {
        Self { decoder, slots: (0..count).map(|_| Slot::default()).collect(), clock: 0 }
    }

    /// The next moment.
    pub(super) fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// The last moment.
    pub(super) fn clock(&self) -> u64 {
        self.clock
    }

    /// The sequence in a slot.
    pub(super) fn sequence(&mut self, slot: usize) -> Option<&mut Sequence> {
        self.slots[slot].sequence.as_mut()
    }

    /// How many sequences have a slot.
    pub(super) fn active(&self) -> usize {
        self.slots.iter().filter(|slot| slot.sequence.is_some()).count()
    }

    /// How many tokens the slots of sequences hold.
    pub(super) fn held_tokens(&self) -> usize {
        let taken = self.slots.iter().filter(|slot| slot.sequence.is_some());
        taken.map(|slot| slot.contents.tokens.len()).sum()
    }

    /// The slot for a prompt, if one is free.
    pub(super) fn choose(&self, prompt: &[Token]) -> Option<usize> {
        let free = self.slots.iter().enumerate().filter(|(_, slot)| slot.sequence.is_none());
        choose(
            free.map(|(place, slot)| Free { slot: place, contents: &slot.contents, used: slot.used }),
            prompt,
        )
    }

    /// Gives a sequence a slot that is free. What the slot holds of the prompt stays.
    pub(super) fn seat(&mut self, mut sequence: Sequence, slot: usize) {
        sequence.begin(self.tick());
        let slot = &mut self.slots[slot];
        let prompt = &sequence.prompt.tokens;
        slot.contents.truncate(slot.contents.shared(prompt).min(most_shared(prompt)));
        slot.conversation = Some(sequence.caller.conversation);
        slot.sequence = Some(sequence);
    }

    /// Takes the sequence out of its slot, which keeps what it holds.
    pub(super) fn release(&mut self, slot: usize) -> Option<Sequence> {
        let used = self.tick();
        let slot = &mut self.slots[slot];
        slot.used = used;
        slot.sequence.take()
    }

    /// The slot of the sequence that has waited longest for its pictures or its prompt to be worked on.
    pub(super) fn next_to_prefill(&self) -> Option<usize> {
        let prefilling = self.slots.iter().enumerate().filter_map(|(place, slot)| {
            let sequence = slot.sequence.as_ref().filter(|sequence| sequence.status == Status::Prefilling)?;
            Some((sequence.served, place))
        });
        prefilling.min().map(|(_, place)| place)
    }

    /// If another slot holds a longer beginning of the prompt, copies the difference. It may be a common beginning, or the work
    /// of a sequence that prefills the same prompt at the same time.
    pub(super) fn take_over(&mut self, place: usize, prompt: &[Token]) {
        let most = most_shared(prompt);
        let shared = |slot: &Slot| slot.contents.shared(prompt).min(most);
        let others = self.slots.iter().enumerate().filter(|(other, _)| *other != place);
        let best = others.map(|(other, slot)| (shared(slot), other)).max();
        let done = self.slots[place].contents.tokens.len();
        if let Some((tokens, other)) = best.filter(|(tokens, _)| *tokens > done) {
            self.decoder.arena().copy(other, place, tokens);
            self.slots[place].contents.extend(&prompt[done..tokens]);
        }
    }

    /// The token of the sequence in a slot that runs next.
    pub(super) fn next(&self, slot: usize) -> Option<Next> {
        let slot = &self.slots[slot];
        let id = *slot.sequence.as_ref()?.pending.front()?;
        Some(Next { id, position: slot.contents.tokens.len() })
    }

    /// Takes in the token of the sequence in a slot that ran.
    pub(super) fn hold_next(&mut self, slot: usize) {
        let slot = &mut self.slots[slot];
        let ran = slot.sequence.as_mut().and_then(|sequence| sequence.pending.pop_front());
        slot.contents.tokens.extend(ran.map(Token::Text));
    }

    /// Brings slots together for a step; returns where they are then.
    pub(super) fn gather(&mut self, active: &[usize]) -> Range<usize> {
        let places = if self.decoder.records_steps() { StepPlaces::First } else { StepPlaces::Anywhere };
        let (first, exchanges) = gather(active, places);
        for (one, other) in exchanges {
            let tokens = |slot: usize| self.slots[slot].contents.tokens.len();
            let tokens = tokens(one).max(tokens(other));
            self.decoder.arena().exchange(one, other, tokens);
            self.slots.swap(one, other);
        }
        first..first + active.len()
    }

    /// Forgets a slot's tokens and zeroes its memory. Overflowed numbers would otherwise return with every prompt that begins
    /// alike, and NaN times 0 is NaN, even at positions that attention masks.
    pub(super) fn empty(&mut self, slot: usize) {
        self.slots[slot].contents = Contents::default();
        self.slots[slot].conversation = None;
        self.decoder.arena().clear(slot);
    }

    /// Copies what a finished conversation left in its slot.
    ///
    /// # Errors
    /// [`Error::Request`] if it is under way or its slot was taken.
    pub(super) fn save(&mut self, id: ConversationId) -> Result<Session> {
        let of_it = |slot: &Slot| slot.conversation == Some(id) && slot.sequence.is_none();
        let slot = self.slots.iter().position(of_it).ok_or_else(|| {
            Error::request("session", "a finished conversation that is still in memory", "one that is not")
                .hint("later requests took its slot: save earlier, or open the engine with more slots")
        })?;
        let tokens = self.slots[slot].contents.shareable;
        Ok(Session {
            tokens: self.slots[slot].contents.tokens[..tokens].to_vec(),
            values: self.decoder.arena().read(slot, tokens)?,
        })
    }

    /// Puts a conversation into a slot that is free.
    ///
    /// # Errors
    /// [`Error::Request`] if it does not fit into a slot, [`Error::Busy`] if none is free.
    pub(super) fn restore(&mut self, session: Session) -> Result<ConversationId> {
        let arena = self.decoder.arena();
        let (tokens, capacity) = (session.tokens.len(), arena.shape().capacity);
        if tokens > capacity {
            return Err(Error::request("session", format!("at most {capacity} tokens"), tokens)
                .hint("open the engine with a longer context"));
        }
        let (wanted, got) = (arena.shape().bytes_of(tokens), session.values.len());
        if got != wanted {
            return Err(Error::request(
                "session",
                format!("{wanted} bytes of keys and values for {tokens} tokens"),
                format!("{got} bytes"),
            )
            .hint("save the session again"));
        }
        let slot = self.choose(&session.tokens).ok_or_else(|| {
            Error::busy("slots", "a free one for the session", "all in use").hint("try again later")
        })?;
        // If the copy fails halfway, the slot holds neither what it held nor the session.
        let used = self.tick();
        self.slots[slot] = Slot { used, ..Slot::default() };
        self.decoder.arena().write(slot, tokens, &session.values)?;
        let id = ConversationId::next();
        self.slots[slot].contents.extend(&session.tokens);
        self.slots[slot].conversation = Some(id);
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::engine::build::{GraphOpener, PlanFolder};
    use crate::engine::options::EngineOptions;
    use crate::onnx::{Runtime, fault};
    use crate::package::Package;

    #[test]
    fn a_session_that_cannot_be_copied_leaves_an_empty_slot() {
        let package = Package::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo")).unwrap();
        let runtime = Runtime::load(None).unwrap();
        let options = EngineOptions {
            provider: "fake".into(),
            context: Some(32),
            slots: 1,
            ..EngineOptions::default()
        };
        let opener = GraphOpener::new(&runtime, &package, &options, PlanFolder::Cache).unwrap();
        let mut slots = Slots::new(opener.decoder().unwrap().graph, 1);
        let bytes = slots.decoder.arena().shape().bytes_of(3);
        let session = |ids: [u32; 3], byte: u8| Session {
            tokens: ids.map(Token::Text).to_vec(),
            values: vec![byte; bytes],
        };
        let first = slots.restore(session([1, 2, 3], 1)).unwrap();
        assert_eq!(slots.save(first).unwrap().values, vec![1; bytes]);

        fault::after(3);
        let error = slots.restore(session([1, 2, 4], 2)).err().unwrap().to_string();
        assert!(error.contains("slot 0 to be written") && error.contains("a copy that fails"), "{error}");
        // Three tensors of the first are overwritten: a prompt that begins with its tokens must not take it over.
        assert!(slots.slots[0].contents.tokens.is_empty(), "the slot is said to hold what it held");
        assert!(slots.save(first).is_err());

        let again = slots.restore(session([1, 2, 3], 3)).unwrap();
        assert_eq!(slots.save(again).unwrap().values, vec![3; bytes]);
    }
}
