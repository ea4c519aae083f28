//! An answer on its way through the loop.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use ndarray::Array3;

use super::caller::{Caller, Ended, Message};
use super::clock::milliseconds;
use super::guesses::Guesses;
use super::images::Embeddings;
use super::prompt::Prompt;
use super::schedule::chunk_length;
use crate::decoder::{Chunk, Logits, Scores};
use crate::error::{Error, Result};
use crate::guide::Guide;
use crate::request::{AskOptions, Event, Finish, StopRule, Timings, Tracing};
use crate::stop::Spoken;
use crate::tokenizer::Tokenizer;

/// An answer from the end of its preparation to its own end.
pub(super) struct Sequence {
    pub(super) caller: Caller,
    pub(super) prompt: Arc<Prompt>,
    pub(super) status: Status,
    options: Arc<AskOptions>,
    /// Chooses the tokens of the reply.
    guide: Guide,
    /// Tokens that were chosen and have not run; one as a rule.
    pub(super) pending: VecDeque<u32>,
    /// Guesses ahead, if they were asked for.
    pub(super) guesses: Option<Guesses>,
    /// By tile, as far as they are needed and known. Empty after the prompt has run, except for a trace.
    embeddings: Vec<Option<Embeddings>>,
    encoding_told: Option<usize>,
    /// Prompt tokens that this sequence ran itself.
    pub(super) prefilled: usize,
    pub(super) timings: Timings,
    decoding_since: Option<Instant>,
    made: usize,
    first_logits: Vec<f32>,
    /// Tells when a stop string came.
    spoken: Spoken,
    /// Time of the loop at which its pictures, its prompt or its guess last ran, or at which it got its slot. The longest wait
    /// goes first, so later sequences cannot starve it.
    pub(super) served: u64,
}

/// How far a sequence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// It waits for a slot.
    Waiting {
        /// When it was ready.
        since: Instant,
    },
    /// Its pictures or its prompt are being worked on.
    Prefilling,
    /// It takes part in steps, next with the first of what is pending.
    Decoding,
    /// Steps recompute what a guess wrote before the next token is chosen.
    Repeating,
}

/// The outcome of a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// A token was chosen, and the reply continues.
    On,
    /// A token was chosen, and the reply ends with it.
    Last(Finish),
    /// The logits do not decide between two tokens, and nothing has changed.
    Doubtful,
}

/// Sizes of the model that sequences know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) tokens_per_tile: usize,
    pub(super) hidden: usize,
    /// Most prompt tokens that one run takes.
    pub(super) chunk: usize,
}

impl Sequence {
    pub(super) fn new(caller: Caller, prompt: Arc<Prompt>, guide: Guide, options: Arc<AskOptions>) -> Self {
        Self {
            caller,
            status: Status::Waiting { since: Instant::now() },
            guide,
            pending: VecDeque::new(),
            guesses: options.speculation.map(|most| Guesses::new(most, &prompt.spliced.ids)),
            embeddings: vec![None; prompt.tiles.len()],
            encoding_told: None,
            prefilled: 0,
            timings: prompt.timings,
            decoding_since: None,
            made: 0,
            first_logits: Vec::new(),
            spoken: Spoken::new(&options.stop_strings),
            served: 0,
            prompt,
            options,
        }
    }

    /// Records that it got a slot, at this time of the loop.
    pub(super) fn begin(&mut self, served: u64) {
        self.stop_waiting();
        self.status = Status::Prefilling;
        self.served = served;
    }

    fn stop_waiting(&mut self) {
        if let Status::Waiting { since } = self.status {
            self.timings.queue += milliseconds(since);
        }
    }

    /// The tiles that the rest of the prompt after `done` tokens needs and that are not known yet.
    pub(super) fn missing_tiles(&self, done: usize, sizes: Sizes) -> Vec<usize> {
        let first = match self.options.tracing {
            Tracing::Tensors => 0,
            Tracing::Off | Tracing::Pixels => {
                let rest = self.prompt.spliced.rows.iter().skip(done);
                let row = rest.copied().find(|&row| row >= 0);
                row.map_or(self.embeddings.len(), |row| row as usize / sizes.tokens_per_tile)
            }
        };
        (first..self.embeddings.len()).filter(|&tile| self.embeddings[tile].is_none()).collect()
    }

    /// Whether the caller has had no event about its pictures yet.
    pub(super) fn served_first_time(&self) -> bool {
        self.encoding_told.is_none()
    }

    pub(super) fn take_embeddings(&mut self, tile: usize, embeddings: Embeddings) {
        self.embeddings[tile] = Some(embeddings);
    }

    /// Releases the embeddings: nothing needs them after the prompt, except a trace.
    pub(super) fn release_embeddings(&mut self) {
        if self.options.tracing != Tracing::Tensors {
            self.embeddings = Vec::new();
        }
    }

    /// Tells how many tiles are done, once for each number.
    pub(super) fn tell_encoding(&mut self, missing: usize) {
        let total = self.prompt.tiles.len();
        let done = total - missing;
        if total > 0 && self.encoding_told != Some(done) {
            self.encoding_told = Some(done);
            self.caller.tell(Message::Progress(Event::Encoding { done, total }));
        }
    }

    /// The next tokens of the prompt after `done` ones, with the embeddings they need.
    ///
    /// # Errors
    /// [`Error::Runtime`] if a tile is missing.
    pub(super) fn chunk(&self, done: usize, sizes: Sizes) -> Result<Chunk<'_>> {
        let spliced = &self.prompt.spliced;
        let length = chunk_length(spliced.ids.len() - done, sizes.chunk);
        let rows = &spliced.rows[done..done + length];
        let mut splice = Vec::with_capacity(length);
        let mut tiles = Vec::new();
        let mut last = None;
        for &row in rows {
            if row < 0 {
                splice.push(-1);
                continue;
            }
            let (tile, row) = (row as usize / sizes.tokens_per_tile, row as usize % sizes.tokens_per_tile);
            if last != Some(tile) {
                last = Some(tile);
                tiles.push(self.embeddings[tile].clone().ok_or_else(|| {
                    Error::runtime("image embeddings", format!("tile {tile} to be encoded"), "nothing yet")
                        .report()
                })?);
            }
            splice.push(((tiles.len() - 1) * sizes.tokens_per_tile + row) as i64);
        }
        Ok(Chunk { ids: &spliced.ids[done..done + length], splice, tiles })
    }

    pub(super) fn tell_prefilling(&self, done: usize) {
        let total = self.prompt.spliced.ids.len();
        self.caller.tell(Message::Progress(Event::Prefilling { done, total }));
    }

    /// What is likely to come after the pending token, if there is a guess.
    pub(super) fn guess(&self) -> Option<Vec<u32>> {
        let guesses = self.guesses.as_ref().filter(|_| self.status == Status::Decoding)?;
        // The last token of a reply is never run.
        let room = self.prompt.limit - self.made - 1;
        let guess = self.guide.draft(&guesses.history, guesses.length.min(room));
        (!guess.is_empty()).then_some(guess)
    }

    /// Makes steps recompute these tokens, which were dropped from the slot.
    pub(super) fn repeat(&mut self, tokens: impl DoubleEndedIterator<Item = u32>) {
        tokens.rev().for_each(|token| self.pending.push_front(token));
        self.status = Status::Repeating;
    }

    /// Chooses the next token from logits, where they tell which it is.
    ///
    /// # Errors
    /// [`Error::Runtime`] for logits that are no numbers, [`Error::Request`] for a constraint that grew beyond its limits.
    pub(super) fn choose(&mut self, tokenizer: &Tokenizer, logits: &Logits) -> Result<Choice> {
        let doubt = self.guesses.as_ref().and_then(Guesses::doubt);
        let Some(chosen) = self.guide.choose(tokenizer, logits, doubt)? else {
            return Ok(Choice::Doubtful);
        };
        let id = chosen.id;
        if let Some(guesses) = &mut self.guesses {
            guesses.history.push(id);
        }
        self.made += 1;
        if self.made == 1 {
            self.timings.first_token = milliseconds(self.caller.submitted);
            self.decoding_since = Some(Instant::now());
            if self.options.tracing == Tracing::Tensors {
                self.first_logits = logits.logits()?.to_vec();
            }
        }
        self.caller.tell(Message::Token(chosen));
        self.status = Status::Decoding;
        self.pending.push_back(id);
        let ended = id == tokenizer.eos() && self.options.stop == StopRule::EndOfTurn;
        self.spoken.push(tokenizer.bytes(id));
        if ended || self.spoken.is_stopped() {
            return Ok(Choice::Last(Finish::Stop));
        }
        match self.made == self.prompt.limit {
            true => Ok(Choice::Last(Finish::Length)),
            false => Ok(Choice::On),
        }
    }

    /// Sends the end of the answer, complete or not.
    pub(super) fn end(mut self, finish: Finish, sizes: Sizes) {
        self.stop_waiting();
        if let Some(since) = self.decoding_since {
            self.timings.decode = milliseconds(since);
        }
        let prompt = self.prompt.spliced.ids.len();
        let ended = Ended {
            finish,
            cached_tokens: match self.made {
                0 => 0,
                _ => prompt - self.prefilled,
            },
            guessed: self.guesses.as_ref().map(|guesses| guesses.counts).unwrap_or_default(),
            timings: self.timings,
            embeddings: self.traced_embeddings(sizes),
            first_logits: std::mem::take(&mut self.first_logits),
        };
        self.caller.tell(Message::Ended(Ok(ended)));
    }

    /// Tells that the answer failed.
    pub(super) fn fail(self, error: Error) {
        self.caller.tell(Message::Ended(Err(error)));
    }

    fn traced_embeddings(&self, sizes: Sizes) -> Array3<f32> {
        let none = Array3::zeros((0, 0, 0));
        if self.options.tracing != Tracing::Tensors || self.embeddings.iter().any(Option::is_none) {
            return none;
        }
        let values: Result<Vec<_>> = self.embeddings.iter().flatten().map(|tile| tile.to_vec()).collect();
        let shape = (self.embeddings.len(), sizes.tokens_per_tile, sizes.hidden);
        Array3::from_shape_vec(shape, values.unwrap_or_default().concat()).unwrap_or(none)
    }
}
