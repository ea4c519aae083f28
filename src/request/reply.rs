//! What comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ndarray::{Array3, Array4};

use super::sampling::TokenLogprobs;
use crate::frame::Provenance;

/// Which part of the reply a piece of text belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyPart {
    /// The reasoning before the answer.
    Thought,
    /// The answer.
    Answer,
}

/// What happens while an answer is made.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// `done` of `total` was read in a pass over a file of a study: bytes, packets or slices. Each pass starts anew. It is
    /// told only where reading takes longer than half a second.
    Reading {
        /// What was read.
        done: usize,
        /// What is read in all.
        total: usize,
    },
    /// `done` of `total` tiles went through the vision tower.
    Encoding {
        /// Tiles done.
        done: usize,
        /// Tiles in all.
        total: usize,
    },
    /// `done` of `total` prompt tokens are in the KV cache.
    Prefilling {
        /// Tokens done.
        done: usize,
        /// Tokens in all.
        total: usize,
    },
    /// The next piece of text.
    Text {
        /// The part it belongs to.
        part: ReplyPart,
        /// Whole characters; never empty.
        text: &'a str,
    },
}

/// Why generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finish {
    /// The model ended its turn, or a stop string came.
    Stop,
    /// The limit on new tokens or the end of the context was reached.
    Length,
    /// The caller stopped it.
    Cancelled,
    /// The time for it was up.
    TimedOut,
}

impl Finish {
    /// The word used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Finish::Stop => "stop",
            Finish::Length => "length",
            Finish::Cancelled => "cancelled",
            Finish::TimedOut => "timed-out",
        }
    }
}

/// Tokens spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Tokens of the prompt, those of the pictures included.
    pub prompt_tokens: usize,
    /// Tokens of the prompt that carry image embeddings.
    pub image_tokens: usize,
    /// Tokens of the prompt whose keys and values were in memory already, from this or another conversation.
    pub cached_tokens: usize,
    /// Tokens generated, the end-of-turn token included.
    pub completion_tokens: usize,
    /// Those of the thought, its tags included.
    pub thinking_tokens: usize,
    /// Tokens that were guessed ahead; see [`AskOptions::speculation`].
    pub drafted_tokens: usize,
    /// Those of them that were right, each of which saved a step.
    pub accepted_tokens: usize,
}

/// One frame that the model saw.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameUsed {
    /// Name of the study it came from.
    pub source: String,
    /// Place of that study in the request, from 0.
    pub study: usize,
    /// Where in the study.
    pub provenance: Provenance,
    /// Into how many tiles it was cut.
    pub tiles: usize,
}

/// Wall time of each stage in milliseconds, of this request's own work unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Timings {
    /// Reading and decoding the inputs.
    pub read: f64,
    /// Resizing and normalising.
    pub preprocess: f64,
    /// Waiting to be prepared, and then for a slot.
    pub queue: f64,
    /// The vision tower.
    pub vision: f64,
    /// The prompt through the decoder, up to the first token's logits.
    pub prefill: f64,
    /// From submission to the first token, everything above and the work on other requests included.
    pub first_token: f64,
    /// All steps after the first token.
    pub decode: f64,
}

/// The tensors of every stage, for comparison with the reference.
#[derive(Debug, Clone)]
pub struct Trace {
    /// The prompt before `<image>` was expanded.
    pub prompt: String,
    /// Resized pixels, `[tiles, 3, size, size]`.
    pub pixels: Array4<u8>,
    /// Normalised pixels, `[tiles, 3, size, size]`.
    pub pixel_values: Array4<f32>,
    /// The prompt's token ids.
    pub input_ids: Vec<i64>,
    /// Output of the vision graph, `[tiles, tokens per tile, hidden]`.
    pub image_embeds: Array3<f32>,
    /// Logits that chose the first token, `[vocabulary]`; empty if cancelled before.
    pub first_logits: Vec<f32>,
}

/// An answer and how it came about.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The answer proper; empty if generation ended while the model was still thinking.
    pub answer: String,
    /// The reasoning, if the model showed any.
    pub thought: Option<String>,
    /// All of the text, tags included, without white space around it.
    pub text: String,
    /// Why generation ended.
    pub finish: Finish,
    /// The part that was cut off, if generation did not end by itself.
    pub truncated: Option<ReplyPart>,
    /// The generated token ids, the end-of-turn token included.
    pub completion_ids: Vec<u32>,
    /// What the model thought of each generated token, if asked for.
    pub logprobs: Option<Vec<TokenLogprobs>>,
    /// Tokens spent.
    pub usage: Usage,
    /// The frames that the model saw, in order; shared by all answers to a request.
    pub frames: Arc<[FrameUsed]>,
    /// Wall time of each stage.
    pub timings: Timings,
    /// Remarks about the inputs or the reply, one sentence each.
    pub warnings: Vec<String>,
    /// The conversation, by which [`Engine::save_session`](crate::Engine::save_session) finds what it left in memory.
    pub conversation: ConversationId,
    /// The pictures that the model saw, before their numbers were normalised, if asked for: `[tiles, 3, size, size]`, the tiles
    /// of the first frame first.
    pub pixels: Option<Array4<u8>>,
    /// The tensors of every stage, if asked for.
    pub trace: Option<Trace>,
}

/// Names one conversation of one engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConversationId(u64);

impl ConversationId {
    /// One that no other conversation of this process has.
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}
