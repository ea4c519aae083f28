//! The one loop: admit → prepare one piece, deliver → one step of all slots, deliver.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::images::{Embeddings, ImageCache};
use super::job::{Command, Job, Message};
use super::prepare::milliseconds;
use super::queue::{Load, Queue};
use super::session::Session;
use super::slots::{Free, Held, Places, Token, choose, gather, most_shared};
use super::stream::{Choice, Sizes, Stage, Stream};
use super::{Counts, Model, Shared};
use crate::decoder::{Logits, Next};
use crate::error::{Error, ErrorCode, Result};
use crate::onnx::DeviceLock;
use crate::pixels::{self, Digest, Tile};
use crate::request::ConversationId;

/// The loop's state. One thread owns it and the graphs.
pub(super) struct Worker<'a> {
    pub(super) shared: &'a Shared,
    pub(super) queue: &'a Queue,
    pub(super) model: Model,
    pub(super) images: ImageCache,
    pub(super) slots: Vec<Slot>,
    pub(super) sizes: Sizes,
    pub(super) counts: Counts,
}

/// A place for one conversation.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) held: Held,
    /// The conversation that wrote last.
    conversation: Option<ConversationId>,
    /// When it was last used.
    used: u64,
    pub(super) stream: Option<Stream>,
}

/// How things were when a round of the loop began.
struct Round {
    began: Instant,
    before: Counts,
    run_time: Duration,
}

/// Logits for the stream in a slot, or why there are none.
pub(super) type Delivery = (usize, Result<Logits>);

impl Worker<'_> {
    /// Works until the engine is closed and everything is answered.
    pub(super) fn run(mut self) {
        while let Some(commands) = self.queue.wait(self.load()) {
            let _lock = DeviceLock::shared();
            let round =
                Round { began: Instant::now(), before: self.counts, run_time: self.model.decoder.run_time() };
            commands.into_iter().for_each(|command| self.obey(command));
            self.dismiss();
            self.admit();
            // Before the step, which may move streams to other slots: a slot's number is good until then. The stream
            // takes part in the step at once.
            self.prepare_one_piece().into_iter().for_each(|logits| self.deliver(logits));
            let verified = self.verify_one_guess();
            self.step_all_but(verified).into_iter().for_each(|logits| self.deliver(logits));
            self.take_time(&round);
        }
        tracing::debug!(counts = ?self.counts, "closed");
        let lock = DeviceLock::loading();
        drop(self);
        drop(lock);
    }

    /// Takes the time of a round in which there was a step and nothing else.
    fn take_time(&mut self, round: &Round) {
        let stepped = self.counts.steps > round.before.steps && self.counts.turns == round.before.turns;
        if stepped {
            self.counts.step_time += round.began.elapsed();
            self.counts.step_run_time += self.model.decoder.run_time() - round.run_time;
        }
    }

    fn load(&self) -> Load {
        if self.slots.iter().any(|slot| slot.stream.is_some()) { Load::Working } else { Load::Idle }
    }

    /// Ends the requests that were cancelled or whose time is up.
    fn dismiss(&mut self) {
        for job in self.queue.take_ended() {
            if let Some(finish) = job.ended() {
                job.end_waiting(finish);
            }
        }
        for slot in 0..self.slots.len() {
            let ended = self.slots[slot].stream.as_ref().and_then(|stream| stream.job.ended());
            let Some(finish) = ended else { continue };
            if let Some(stream) = self.release(slot) {
                stream.end(finish, self.sizes);
            }
        }
    }

    /// Gives free slots to those who waited longest.
    fn admit(&mut self) {
        while self.slots.iter().any(|slot| slot.stream.is_none()) {
            let Some(job) = self.queue.pop() else { return };
            if let Some(slot) = self.choose_slot(&job.question.tokens) {
                self.seat(job, slot);
            }
        }
    }

    fn seat(&mut self, job: Job, slot: usize) {
        let turn = self.tick();
        let slot = &mut self.slots[slot];
        let prompt = &job.question.tokens;
        slot.held.truncate(slot.held.shared(prompt).min(most_shared(prompt)));
        slot.conversation = Some(job.id);
        slot.stream = Some(Stream::new(job, turn));
    }

    fn choose_slot(&self, prompt: &[Token]) -> Option<usize> {
        let free = self.slots.iter().enumerate().filter(|(_, slot)| slot.stream.is_none());
        choose(free.map(|(place, slot)| Free { slot: place, held: &slot.held, used: slot.used }), prompt)
    }

    /// Encodes one run of tiles, or prefills one chunk, of the stream whose turn it is. Returns the logits after the
    /// last chunk.
    fn prepare_one_piece(&mut self) -> Option<Delivery> {
        let preparing = self.slots.iter().enumerate().filter_map(|(place, slot)| {
            let stream = slot.stream.as_ref().filter(|stream| stream.stage == Stage::Preparing)?;
            Some((stream.served, place))
        });
        let (_, place) = preparing.min()?;
        let turn = self.tick();
        let mut stream = self.slots[place].stream.take()?;
        stream.served = turn;
        let prepared = self.prepare(place, &mut stream);
        self.slots[place].stream = Some(stream);
        prepared.transpose().map(|logits| (place, logits))
    }

    fn prepare(&mut self, place: usize, stream: &mut Stream) -> Result<Option<Logits>> {
        self.take_over(place, &stream.job.question.tokens);
        let done = self.slots[place].held.tokens.len();
        if self.encode(done, stream)? {
            return Ok(None);
        }
        let started = Instant::now();
        stream.tell_prefilling(done);
        let chunk = stream.chunk(done, self.sizes)?;
        let length = chunk.ids.len();
        let logits = self.model.decoder.prefill(place, done, chunk)?;
        self.slots[place].held.extend(&stream.job.question.tokens[done..done + length]);
        stream.prefilled += length;
        self.counts.prefilled_tokens += length as u64;
        stream.timings.prefill += milliseconds(started);
        if done + length < stream.job.question.tokens.len() {
            return Ok(None);
        }
        stream.tell_prefilling(done + length);
        Ok(Some(logits))
    }

    /// Copies into a slot what another one holds more of the prompt: a common beginning, or the work of a stream that
    /// prefills the same prompt at the same time.
    fn take_over(&mut self, place: usize, prompt: &[Token]) {
        let most = most_shared(prompt);
        let shared = |slot: &Slot| slot.held.shared(prompt).min(most);
        let others = self.slots.iter().enumerate().filter(|(other, _)| *other != place);
        let best = others.map(|(other, slot)| (shared(slot), other)).max();
        let done = self.slots[place].held.tokens.len();
        if let Some((tokens, other)) = best.filter(|(tokens, _)| *tokens > done) {
            self.model.decoder.arena().copy(other, place, tokens);
            self.slots[place].held.extend(&prompt[done..tokens]);
        }
    }

    /// Encodes one run of the tiles that the stream still needs. Returns whether there was one.
    fn encode(&mut self, done: usize, stream: &mut Stream) -> Result<bool> {
        let started = Instant::now();
        let missing = stream.missing_tiles(done, self.sizes);
        if stream.served_first_time() {
            stream.tell_encoding(missing.len());
        }
        let mut unknown = Vec::new();
        for tile in missing {
            if unknown.len() == self.model.vision.tiles_per_run() {
                break;
            }
            match self.images.get(&stream.job.question.digests[tile]) {
                Some(embeddings) => stream.take_embeddings(tile, embeddings),
                None => unknown.push(tile),
            }
        }
        if !unknown.is_empty() {
            let question = Arc::clone(&stream.job.question);
            let tiles: Vec<_> =
                unknown.iter().map(|&tile| (&question.tiles[tile], question.digests[tile])).collect();
            for (tile, embeddings) in unknown.iter().zip(self.encode_tiles(&tiles)?) {
                stream.take_embeddings(*tile, embeddings);
            }
        }
        stream.tell_encoding(stream.missing_tiles(done, self.sizes).len());
        stream.timings.vision += milliseconds(started);
        Ok(!unknown.is_empty())
    }

    /// The embeddings of tiles, in one run.
    fn encode_tiles(&mut self, tiles: &[(&Tile, Digest)]) -> Result<Vec<Embeddings>> {
        let pixels: Vec<_> = tiles.iter().map(|(tile, _)| *tile).collect();
        let encoded = self.model.vision.encode(pixels::normalize(&pixels, &self.shared.geometry))?;
        for ((_, digest), embeddings) in tiles.iter().zip(&encoded) {
            self.images.insert(*digest, embeddings);
        }
        Ok(encoded)
    }

    fn embed(&mut self, tile: &Tile, digest: Digest) -> Result<Embeddings> {
        if let Some(embeddings) = self.images.get(&digest) {
            return Ok(embeddings);
        }
        let encoded = self.encode_tiles(&[(tile, digest)])?;
        encoded
            .into_iter()
            .next()
            .ok_or_else(|| Error::runtime("image_embeds", "a row for each tile", "none"))
    }

    /// One step of all streams that are past their prompt, but for the one that had a guess verified. Returns the logits of
    /// those that choose a token now.
    fn step_all_but(&mut self, verified: Option<usize>) -> Vec<Delivery> {
        let takes_part = |slot: &usize| Some(*slot) != verified && self.next(*slot).is_some();
        let active: Vec<_> = (0..self.slots.len()).filter(takes_part).collect();
        if active.is_empty() {
            return Vec::new();
        }
        let places = if self.model.decoder.records_steps() { Places::First } else { Places::Anywhere };
        let (first, exchanges) = gather(&active, places);
        exchanges.into_iter().for_each(|(one, other)| self.exchange(one, other));
        let places = first..first + active.len();
        let next: Vec<_> = places.clone().filter_map(|slot| self.next(slot)).collect();
        self.counts.steps += 1;
        let mut logits: Vec<Delivery> = match self.model.decoder.step(first, &next) {
            Ok(logits) => places.zip(logits.into_iter().map(Ok)).collect(),
            // One of them is at fault: alone, the others go on.
            Err(error) => {
                self.counts.failed_steps += 1;
                tracing::warn!(%error, streams = next.len(), "a step failed");
                places.zip(next).map(|(slot, next)| (slot, self.step_alone(slot, next))).collect()
            }
        };
        for (slot, _) in logits.iter().filter(|(_, logits)| logits.is_ok()) {
            self.slots[*slot].hold_next();
        }
        logits.retain(|(slot, logits)| logits.is_err() || self.next(*slot).is_none());
        logits
    }

    fn step_alone(&mut self, slot: usize, next: Next) -> Result<Logits> {
        let logits = self.model.decoder.step(slot, &[next])?;
        logits.into_iter().next().ok_or_else(|| Error::runtime("logits", "a row for each slot", "none"))
    }

    /// The token of the stream in a slot that runs next.
    pub(super) fn next(&self, slot: usize) -> Option<Next> {
        let slot = &self.slots[slot];
        let id = *slot.stream.as_ref()?.pending.front()?;
        Some(Next { id, position: slot.held.tokens.len() })
    }

    fn exchange(&mut self, one: usize, other: usize) {
        let tokens = self.slots[one].held.tokens.len().max(self.slots[other].held.tokens.len());
        self.model.decoder.arena().exchange(one, other, tokens);
        self.slots.swap(one, other);
    }

    /// Has a stream choose its next token, and ends it where that was the last. Whatever goes wrong is this stream's
    /// alone.
    pub(super) fn deliver(&mut self, (slot, logits): Delivery) {
        let Some(stream) = self.slots[slot].stream.as_mut() else { return };
        let tokenizer = &self.shared.tokenizer;
        let chosen = logits.and_then(|logits| {
            catch_unwind(AssertUnwindSafe(|| stream.choose(tokenizer, &logits))).unwrap_or_else(|_| {
                Err(Error::runtime("the choice of a token", "a token", "a panic").hint("report this"))
            })
        });
        let ended = match chosen {
            Ok(Choice::On) => return,
            Ok(Choice::Doubtful) => return self.repeat(slot),
            Ok(Choice::Last(finish)) => Ok(finish),
            Err(error) => Err(error),
        };
        match (self.release(slot), ended) {
            (Some(stream), Ok(finish)) => stream.end(finish, self.sizes),
            (Some(stream), Err(error)) => {
                if error.code() == ErrorCode::Runtime {
                    self.empty(slot);
                }
                stream.fail(error);
            }
            (None, _) => {}
        }
    }

    /// Forgets what a slot holds, and that it held it: numbers that overflowed would come back with every prompt that
    /// begins alike, and a NaN counts even where nothing counts.
    fn empty(&mut self, slot: usize) {
        self.slots[slot].held = Held::default();
        self.slots[slot].conversation = None;
        self.model.decoder.arena().clear(slot);
    }

    fn release(&mut self, slot: usize) -> Option<Stream> {
        let used = self.tick();
        let slot = &mut self.slots[slot];
        slot.used = used;
        slot.stream.take()
    }

    pub(super) fn tick(&mut self) -> u64 {
        self.counts.turns += 1;
        self.counts.turns
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Save(id, reply) => drop(reply.send(self.save(id))),
            Command::Load(session, reply) => drop(reply.send(self.restore(session))),
            Command::Embed(tile, digest, reply) => drop(reply.send(self.embed(&tile, digest))),
            Command::Count(reply) => {
                let counts = Counts {
                    waiting: self.queue.len(),
                    active: self.slots.iter().filter(|slot| slot.stream.is_some()).count(),
                    image_hits: self.images.hits,
                    image_misses: self.images.misses,
                    image_bytes: self.images.bytes(),
                    ..self.counts
                };
                let _ = reply.send(counts);
            }
        }
    }

    fn save(&mut self, id: ConversationId) -> Result<Session> {
        let of_it = |slot: &Slot| slot.conversation == Some(id) && slot.stream.is_none();
        let slot = self.slots.iter().position(of_it).ok_or_else(|| {
            Error::request("session", "a finished conversation that is still in memory", "one that is not")
                .hint("later requests took its slot: save earlier, or open the engine with more slots")
        })?;
        let tokens = self.slots[slot].held.shareable;
        Ok(Session {
            tokens: self.slots[slot].held.tokens[..tokens].to_vec(),
            values: self.model.decoder.arena().read(slot, tokens)?,
        })
    }

    fn restore(&mut self, session: Session) -> Result<ConversationId> {
        let arena = self.model.decoder.arena();
        let (tokens, capacity) = (session.tokens.len(), arena.shape().capacity);
        if tokens > capacity || session.values.len() != arena.shape().bytes_of(tokens) {
            return Err(Error::request("session", format!("at most {capacity} tokens"), tokens)
                .hint("open the engine with a longer context"));
        }
        let slot = self.choose_slot(&session.tokens).ok_or_else(|| {
            Error::busy("slots", "a free one for the session", "all in use").hint("try again later")
        })?;
        self.model.decoder.arena().write(slot, tokens, &session.values)?;
        let id = ConversationId::next();
        let used = self.tick();
        let mut held = Held::default();
        held.extend(&session.tokens);
        self.slots[slot] = Slot { held, conversation: Some(id), used, stream: None };
        Ok(id)
    }
}

impl Slot {
    /// Takes in the token of the stream that ran.
    pub(super) fn hold_next(&mut self) {
        let ran = self.stream.as_mut().and_then(|stream| stream.pending.pop_front());
        self.held.tokens.extend(ran.map(Token::Text));
    }
}

/// Whatever ends the loop, those who wait are told.
impl Drop for Worker<'_> {
    fn drop(&mut self) {
        self.queue.abandon();
        for slot in &mut self.slots {
            if let Some(stream) = slot.stream.take() {
                let error = Error::runtime("engine", "a running loop", "one that broke down");
                stream.job.tell(Message::Done(Err(error.hint("open the engine again, and report this"))));
            }
        }
    }
}
