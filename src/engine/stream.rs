//! A request that has a slot.

use std::collections::VecDeque;
use std::time::Instant;

use ndarray::Array3;

use super::images::Embeddings;
use super::job::{Job, Message, Outcome};
use super::prepare::milliseconds;
use super::slots::chunk_length;
use super::speculate::Speculation;
use crate::decoder::{Chunk, Logits, Scores};
use crate::error::{Error, Result};
use crate::request::{Event, Finish, StopRule, Timings, Tracing};
use crate::stop::Spoken;
use crate::tokenizer::Tokenizer;

/// The state of one request between admission and its end.
pub(super) struct Stream {
    pub(super) job: Job,
    pub(super) stage: Stage,
    /// Tokens that were chosen and have not run; one as a rule.
    pub(super) pending: VecDeque<u32>,
    /// Guesses ahead, if they were asked for.
    pub(super) speculation: Option<Speculation>,
    /// By tile, as far as they are needed and known.
    embeddings: Vec<Option<Embeddings>>,
    encoding_told: Option<usize>,
    /// Prompt tokens that this stream ran itself.
    pub(super) prefilled: usize,
    pub(super) timings: Timings,
    decoding_since: Option<Instant>,
    made: usize,
    first_logits: Vec<f32>,
    /// Tells when a stop string came.
    spoken: Spoken,
    /// When its pictures, its prompt or its guess last had their turn, or when it came: who waits longest is next, so that
    /// those who come later cannot hold it up for ever.
    pub(super) served: u64,
}

/// How far a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its pictures or its prompt are being worked on.
    Preparing,
    /// It takes part in steps, next with the first of what is pending.
    Decoding,
    /// Steps go over what a guess wrote before the next token is chosen; see [`Speculation`].
    Repeating,
}

/// What came of the logits that a stream was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// A token was chosen, and the reply goes on.
    On,
    /// A token was chosen, and the reply ends with it.
    Last(Finish),
    /// The logits do not tell which token it is, and nothing has changed.
    Doubtful,
}

/// Sizes of the model that streams know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) tokens_per_tile: usize,
    pub(super) hidden: usize,
    /// Most prompt tokens that one run takes.
    pub(super) chunk: usize,
}

impl Stream {
    pub(super) fn new(job: Job, turn: u64) -> Self {
        let timings = Timings { queue: milliseconds(job.submitted), ..job.question.timings };
        Self {
            embeddings: vec![None; job.question.tiles.len()],
            speculation: job.options.speculation.map(|most| Speculation::new(most, &job.question.prompt.ids)),
            spoken: Spoken::new(&job.options.stop_strings),
            job,
            stage: Stage::Preparing,
            pending: VecDeque::new(),
            encoding_told: None,
            prefilled: 0,
            timings,
            decoding_since: None,
            made: 0,
            first_logits: Vec::new(),
            served: turn,
        }
    }

    /// The tiles that the rest of the prompt after `done` tokens needs and that are not known yet.
    pub(super) fn missing_tiles(&self, done: usize, sizes: Sizes) -> Vec<usize> {
        let first = match self.job.options.tracing {
            Tracing::Tensors => 0,
            Tracing::Off => {
                let rest = self.job.question.prompt.rows.iter().skip(done);
                let row = rest.copied().find(|&row| row >= 0);
                row.map_or(self.embeddings.len(), |row| row as usize / sizes.tokens_per_tile)
            }
        };
        (first..self.embeddings.len()).filter(|&tile| self.embeddings[tile].is_none()).collect()
    }

    /// Whether nothing was told of its pictures yet.
    pub(super) fn served_first_time(&self) -> bool {
        self.encoding_told.is_none()
    }

    pub(super) fn take_embeddings(&mut self, tile: usize, embeddings: Embeddings) {
        self.embeddings[tile] = Some(embeddings);
    }

    /// Tells how many tiles are done, once for each number.
    pub(super) fn tell_encoding(&mut self, missing: usize) {
        let total = self.embeddings.len();
        let done = total - missing;
        if total > 0 && self.encoding_told != Some(done) {
            self.encoding_told = Some(done);
            self.job.tell(Message::Progress(Event::Encoding { done, total }));
        }
    }

    /// The next tokens of the prompt after `done` ones, with the embeddings they need.
    ///
    /// # Errors
    /// [`Error::Runtime`] if a tile is missing.
    pub(super) fn chunk(&self, done: usize, sizes: Sizes) -> Result<Chunk<'_>> {
        let length = chunk_length(self.job.question.prompt.ids.len() - done, sizes.chunk);
        let rows = &self.job.question.prompt.rows[done..done + length];
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
                })?);
            }
            splice.push(((tiles.len() - 1) * sizes.tokens_per_tile + row) as i64);
        }
        Ok(Chunk { ids: &self.job.question.prompt.ids[done..done + length], splice, tiles })
    }

    pub(super) fn tell_prefilling(&self, done: usize) {
        let total = self.job.question.prompt.ids.len();
        self.job.tell(Message::Progress(Event::Prefilling { done, total }));
    }

    /// What is likely to come after the pending token, if there is a guess.
    pub(super) fn guess(&self) -> Option<Vec<u32>> {
        let speculation = self.speculation.as_ref().filter(|_| self.stage == Stage::Decoding)?;
        // The last token of a reply is never run.
        let room = self.job.question.limit - self.made - 1;
        let guess = self.job.guide.draft(&speculation.history, speculation.length.min(room));
        (!guess.is_empty()).then_some(guess)
    }

    /// Has steps go over these tokens, which the slot has forgotten.
    pub(super) fn repeat(&mut self, tokens: impl DoubleEndedIterator<Item = u32>) {
        tokens.rev().for_each(|token| self.pending.push_front(token));
        self.stage = Stage::Repeating;
    }

    /// Chooses the next token from logits, where they tell which it is.
    ///
    /// # Errors
    /// [`Error::Runtime`] for logits that are no numbers, [`Error::Request`] for a constraint that grew beyond its limits.
    pub(super) fn choose(&mut self, tokenizer: &Tokenizer, logits: &Logits) -> Result<Choice> {
        let doubt = self.speculation.as_ref().and_then(Speculation::doubt);
        let Some(chosen) = self.job.guide.choose(tokenizer, logits, doubt)? else {
            return Ok(Choice::Doubtful);
        };
        let id = chosen.id;
        if let Some(speculation) = &mut self.speculation {
            speculation.history.push(id);
        }
        self.made += 1;
        if self.made == 1 {
            self.timings.first_token = milliseconds(self.job.submitted);
            self.decoding_since = Some(Instant::now());
            if self.job.options.tracing == Tracing::Tensors {
                self.first_logits = logits.logits()?.to_vec();
            }
        }
        self.job.tell(Message::Token(chosen));
        self.stage = Stage::Decoding;
        self.pending.push_back(id);
        let ended = id == tokenizer.eos() && self.job.options.stop == StopRule::EndOfTurn;
        self.spoken.push(tokenizer.bytes(id));
        if ended || self.spoken.is_stopped() {
            return Ok(Choice::Last(Finish::Stop));
        }
        match self.made == self.job.question.limit {
            true => Ok(Choice::Last(Finish::Length)),
            false => Ok(Choice::On),
        }
    }

    /// Tells that the request is done.
    pub(super) fn end(mut self, finish: Finish, sizes: Sizes) {
        if let Some(since) = self.decoding_since {
            self.timings.decode = milliseconds(since);
        }
        let prompt = self.job.question.prompt.ids.len();
        let outcome = Outcome {
            finish,
            cached_tokens: match self.made {
                0 => 0,
                _ => prompt - self.prefilled,
            },
            speculated: self.speculation.as_ref().map(|speculation| speculation.counts).unwrap_or_default(),
            timings: self.timings,
            embeddings: self.traced_embeddings(sizes),
            first_logits: std::mem::take(&mut self.first_logits),
        };
        self.job.tell(Message::Done(Ok(outcome)));
    }

    /// Tells that the request failed.
    pub(super) fn fail(self, error: Error) {
        self.job.tell(Message::Done(Err(error)));
    }

    fn traced_embeddings(&self, sizes: Sizes) -> Array3<f32> {
        let none = Array3::zeros((0, 0, 0));
        if self.job.options.tracing == Tracing::Off || self.embeddings.iter().any(Option::is_none) {
            return none;
        }
        let values: Result<Vec<_>> = self.embeddings.iter().flatten().map(|tile| tile.to_vec()).collect();
        let shape = (self.embeddings.len(), sizes.tokens_per_tile, sizes.hidden);
        Array3::from_shape_vec(shape, values.unwrap_or_default().concat()).unwrap_or(none)
    }
}
