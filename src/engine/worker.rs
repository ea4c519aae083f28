//! The one loop: admit → prefill one piece, deliver → one step of all slots, deliver.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::caller::Message;
use super::clock::milliseconds;
use super::counts::Counts;
use super::encoder::Encoder;
use super::queue::{Command, Load, Queue};
use super::sequence::{Choice, Sequence, Sizes};
use super::shared::Shared;
use super::slots::Slots;
use crate::decoder::{Logits, Next};
use crate::error::{Error, ErrorCode, Result};
use crate::onnx::DeviceLock;
use crate::request::Finish;

/// The loop's state. One thread owns it and the graphs.
pub(super) struct Worker<'a> {
    pub(super) shared: &'a Shared,
    pub(super) queue: &'a Queue,
    pub(super) encoder: Encoder,
    pub(super) slots: Slots,
    pub(super) sizes: Sizes,
    pub(super) counts: Counts,
}

/// How things were when a round of the loop began.
struct RoundStart {
    began: Instant,
    steps: u64,
    clock: u64,
    run_time: Duration,
}

/// Logits for the sequence in a slot, or why there are none.
pub(super) type Delivery = (usize, Result<Logits>);

impl Worker<'_> {
    /// Works until the engine is closed and everything is answered.
    pub(super) fn run(mut self) {
        while let Some(commands) = self.queue.wait(self.load()) {
            let _lock = DeviceLock::shared();
            let round = self.round();
            commands.into_iter().for_each(|command| self.obey(command));
            self.dismiss();
            self.admit();
            // Before the step: a step may move sequences to other slots, so a slot's number is valid only until then. The
            // sequence takes part in this step.
            self.prefill_one_piece().into_iter().for_each(|logits| self.deliver(logits));
            let verified = self.verify_one_guess();
            self.step_all_but(verified).into_iter().for_each(|logits| self.deliver(logits));
            self.end_round(&round);
        }
        tracing::debug!(counts = ?self.counts, "closed");
        let lock = DeviceLock::loading();
        drop(self);
        drop(lock);
    }

    fn load(&self) -> Load {
        if self.slots.active() > 0 { Load::Working } else { Load::Idle }
    }

    fn round(&mut self) -> RoundStart {
        RoundStart {
            began: Instant::now(),
            steps: self.counts.steps,
            clock: self.slots.clock(),
            run_time: self.slots.decoder.run_time(),
        }
    }

    /// Counts what the round did. Its time counts where there was a step and nothing else.
    fn end_round(&mut self, round: &RoundStart) {
        if self.counts.steps > round.steps && self.slots.clock() == round.clock {
            self.counts.step_time += round.began.elapsed();
            self.counts.step_run_time += self.slots.decoder.run_time() - round.run_time;
        }
        self.counts.last_round = Some(Instant::now());
        self.publish();
    }

    fn publish(&self) {
        self.shared.counts.publish(Counts {
            active: self.slots.active(),
            held_tokens: self.slots.held_tokens(),
            image_hits: self.encoder.images.hits,
            image_misses: self.encoder.images.misses,
            image_bytes: self.encoder.images.bytes(),
            ..self.counts
        });
    }

    /// Ends an answer that has left its slot. The counts are published first, so they include it when the caller reads them.
    fn end(&self, sequence: Sequence, finish: Result<Finish>) {
        self.publish();
        match finish {
            Ok(finish) => sequence.end(finish, self.sizes),
            Err(error) => sequence.fail(error),
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Save(id, reply) => drop(reply.send(self.slots.save(id))),
            Command::Load(session, reply) => drop(reply.send(self.slots.restore(session))),
            Command::Embed(tile, digest, reply) => drop(reply.send(self.encoder.embed(&tile, digest))),
        }
    }

    /// Ends the answers that were cancelled or whose time is up.
    fn dismiss(&mut self) {
        for (sequence, finish) in self.queue.take_ended() {
            self.end(sequence, Ok(finish));
        }
        for slot in 0..self.slots.slots.len() {
            let ended = self.slots.sequence(slot).and_then(|sequence| sequence.caller.ended());
            let Some(finish) = ended else { continue };
            if let Some(sequence) = self.slots.release(slot) {
                self.end(sequence, Ok(finish));
            }
        }
    }

    /// Gives free slots to the sequences that have waited longest. It is published at once, because the first round of a
    /// sequence may be long.
    fn admit(&mut self) {
        let before = self.slots.active();
        self.seat_all();
        if self.slots.active() > before {
            self.counts.last_round = Some(Instant::now());
            self.publish();
        }
    }

    fn seat_all(&mut self) {
        while self.slots.active() < self.slots.slots.len() {
            let Some(sequence) = self.queue.pop() else { return };
            if let Some(slot) = self.slots.choose(&sequence.prompt.tokens) {
                self.slots.seat(sequence, slot);
            }
        }
    }

    /// Encodes one run of tiles, or prefills one chunk, of the sequence that has waited longest. Returns the logits after
    /// the last chunk.
    fn prefill_one_piece(&mut self) -> Option<Delivery> {
        let place = self.slots.next_to_prefill()?;
        let served = self.slots.tick();
        let mut sequence = self.slots.slots[place].sequence.take()?;
        sequence.served = served;
        let logits = self.prefill(place, &mut sequence);
        self.slots.slots[place].sequence = Some(sequence);
        logits.transpose().map(|logits| (place, logits))
    }

    fn prefill(&mut self, place: usize, sequence: &mut Sequence) -> Result<Option<Logits>> {
        self.slots.take_over(place, &sequence.prompt.tokens);
        let done = self.slots.slots[place].contents.tokens.len();
        let started = Instant::now();
        let encoded = self.encoder.encode_some(sequence, done, self.sizes);
        sequence.timings.vision += milliseconds(started);
        if encoded? {
            return Ok(None);
        }
        let started = Instant::now();
        sequence.tell_prefilling(done);
        let chunk = sequence.chunk(done, self.sizes)?;
        let end = done + chunk.ids.len();
        let logits = self.slots.decoder.prefill(place, done, chunk)?;
        self.slots.slots[place].contents.extend(&sequence.prompt.tokens[done..end]);
        sequence.prefilled += end - done;
        self.counts.prefilled_tokens += (end - done) as u64;
        sequence.timings.prefill += milliseconds(started);
        if end < sequence.prompt.tokens.len() {
            return Ok(None);
        }
        sequence.tell_prefilling(end);
        sequence.release_embeddings();
        Ok(Some(logits))
    }

    /// One step of all sequences that are past their prompt, but for the one that had a guess verified. Returns the logits of
    /// those that choose a token now.
    fn step_all_but(&mut self, verified: Option<usize>) -> Vec<Delivery> {
        let takes_part = |slot: &usize| Some(*slot) != verified && self.slots.next(*slot).is_some();
        let active: Vec<_> = (0..self.slots.slots.len()).filter(takes_part).collect();
        if active.is_empty() {
            return Vec::new();
        }
        let places = self.slots.gather(&active);
        let next: Vec<_> = places.clone().filter_map(|slot| self.slots.next(slot)).collect();
        self.counts.steps += 1;
        let logits: Vec<Delivery> = match self.slots.decoder.step(places.start, &next) {
            Ok(logits) => places.zip(logits.into_iter().map(Ok)).collect(),
            // Rows run one by one: the culprit fails, the others continue.
            Err(error) => {
                self.counts.failed_steps += 1;
                tracing::warn!(%error, sequences = next.len(), "a step failed");
                places.zip(next).map(|(slot, next)| (slot, self.step_alone(slot, next))).collect()
            }
        };
        for (slot, _) in logits.iter().filter(|(_, logits)| logits.is_ok()) {
            self.slots.hold_next(*slot);
        }
        // A repeating sequence chooses only after the last of its repeated tokens.
        let chooses = |(slot, logits): &Delivery| logits.is_err() || self.slots.next(*slot).is_none();
        logits.into_iter().filter(chooses).collect()
    }

    fn step_alone(&mut self, slot: usize, next: Next) -> Result<Logits> {
        let logits = self.slots.decoder.step(slot, &[next])?;
        logits
            .into_iter()
            .next()
            .ok_or_else(|| Error::runtime("logits", "a row for each slot", "none").report())
    }

    /// Lets a sequence choose its next token, and ends it after its last. A failure here ends this sequence alone.
    pub(super) fn deliver(&mut self, (slot, logits): Delivery) {
        let Some(sequence) = self.slots.sequence(slot) else { return };
        let tokenizer = &self.shared.tokenizer;
        let chosen = logits.and_then(|logits| {
            catch_unwind(AssertUnwindSafe(|| sequence.choose(tokenizer, &logits))).unwrap_or_else(|_| {
                Err(Error::runtime("the choice of a token", "a token", "a panic").report())
            })
        });
        let ended = match chosen {
            Ok(Choice::On) => return,
            Ok(Choice::Doubtful) => return self.repeat(slot),
            Ok(Choice::Last(finish)) => Ok(finish),
            Err(error) => Err(error),
        };
        let Some(sequence) = self.slots.release(slot) else { return };
        if ended.as_ref().is_err_and(|error| error.code() == ErrorCode::Runtime) {
            self.slots.empty(slot);
        }
        self.end(sequence, ended);
    }
}

/// However the loop ends, every waiting caller gets an error.
impl Drop for Worker<'_> {
    fn drop(&mut self) {
        self.queue.abandon();
        for slot in &mut self.slots.slots {
            if let Some(sequence) = slot.sequence.take() {
                let error = Error::runtime("engine", "a running loop", "one that broke down");
                let error = error.hint("open the engine again, and report this");
                sequence.caller.tell(Message::Ended(Err(error)));
            }
        }
    }
}
