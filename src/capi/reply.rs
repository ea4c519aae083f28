//! An answer, while it is made and when it is complete.

use std::ffi::{CString, c_char};

use super::arguments::{StructOut, growing, held, taken, zeroed};
use super::enums::{fleming_finish, fleming_modality, fleming_part};
use super::names::in_c;
use super::picture::{Tiles, fleming_picture};
use super::status::{Failure, c_text, fleming_status, guard, guard_free};
use crate::{ConversationId, FrameUsed, TokenLogprob, TokenLogprobs};

/// An answer and how it came about. It does not change: any thread may read it.
pub struct fleming_reply {
    pub(super) conversation: ConversationId,
    answer: CString,
    thought: Option<CString>,
    text: CString,
    warnings: CString,
    frames: Vec<(FrameUsed, CString)>,
    /// Of each frame, if they were kept.
    seen: Vec<Tiles>,
    ids: Vec<u32>,
    /// At each place the token that was generated, then the likeliest.
    tokens: Vec<Vec<Token>>,
    facts: fleming_reply_facts,
}

/// A token of which the log-probability is known.
struct Token {
    id: u32,
    /// With a NUL at the end.
    bytes: Vec<u8>,
    logprob: f64,
}

/// What a reply holds. The texts stand until it is freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fleming_reply_facts {
    /// sizeof(fleming_reply_facts)
    pub struct_size: usize,
    /// The answer; "" if generation ended before.
    pub answer: *const c_char,
    /// The reasoning; NULL if the model showed none.
    pub thought: *const c_char,
    /// The whole reply, tags included.
    pub text: *const c_char,
    /// What you should know about the inputs and the reply, a sentence a line; "" if nothing.
    pub warnings: *const c_char,
    /// A fleming_finish.
    pub finish: i32,
    /// The fleming_part that was cut off.
    pub truncated: i32,
    /// Tokens of the prompt; of those, of pictures; of those, the ones that were in memory already.
    pub prompt_tokens: usize,
    pub image_tokens: usize,
    pub cached_tokens: usize,
    /// Tokens generated.
    pub completion_tokens: usize,
    /// Tokens that were guessed ahead, and those of them that were right.
    pub drafted_tokens: usize,
    pub accepted_tokens: usize,
    /// Frames that the model saw: see fleming_reply_frame.
    pub frame_count: usize,
    /// Milliseconds: reading the inputs, preparing their pixels, waiting for a slot, the vision tower, the prompt, from the
    /// call to the first token, and the steps after it.
    pub read_ms: f64,
    pub preprocess_ms: f64,
    pub queue_ms: f64,
    pub vision_ms: f64,
    pub prefill_ms: f64,
    pub first_token_ms: f64,
    pub decode_ms: f64,
    /// The tokens generated: completion_tokens ids of the package's vocabulary, the end-of-turn token included.
    pub completion_ids: *const u32,
    /// Those of the thought, its tags included.
    pub thinking_tokens: usize,
    /// Tokens that fleming_reply_token tells of: completion_tokens if log-probabilities were asked for, else 0.
    pub logprob_count: usize,
}

/// A token, with its log-probability by the raw logits: before bias, penalties, temperature, truncation and constraint. The
/// bytes stand until the reply is freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fleming_token_facts {
    /// sizeof(fleming_token_facts)
    pub struct_size: usize,
    /// The bytes that it stands for, and a NUL after them. They need not be whole characters, may hold NULs, and are none for
    /// tokens that leave no text.
    pub bytes: *const c_char,
    /// Bytes, without that NUL.
    pub length: usize,
    /// How many of the likeliest tokens at this place are known: the highest rank.
    pub alternatives: usize,
    /// The natural logarithm of its probability.
    pub logprob: f64,
    /// Its id in the package's vocabulary.
    pub id: u32,
    /// 0
    pub reserved: i32,
}

/// A frame that the model saw. The name stands until the reply is freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fleming_frame_facts {
    /// sizeof(fleming_frame_facts)
    pub struct_size: usize,
    /// Name of its study.
    pub source: *const c_char,
    /// Place of the study in the request, from 0.
    pub study: usize,
    /// Into how many tiles it was cut.
    pub tiles: usize,
    /// Videos: place in the clip, from 0. Volumes: place of the slice, from 0.
    pub index: usize,
    /// Videos: seconds from the start of the clip.
    pub seconds: f64,
    /// Volumes: the values that became 0 and 255.
    pub window_low: f64,
    pub window_high: f64,
    /// Volumes: millimetres between slices, rows and columns; 0 where unknown.
    pub spacing_mm: [f64; 3],
    /// A fleming_modality.
    pub modality: i32,
    /// 0
    pub reserved: i32,
}

growing!(fleming_token_facts: 48, fleming_frame_facts: 96);

// The last field first was `decode_ms`.
growing!(fleming_reply_facts: 160 184);

/// Tells what a reply holds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_reply_read(
    reply: *const fleming_reply,
    facts: *mut fleming_reply_facts,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (reply, facts) = (held("reply", reply)?, StructOut::at(facts)?);
        facts.write(&fleming_reply_facts {
            answer: reply.answer.as_ptr(),
            thought: reply.thought.as_ref().map_or(std::ptr::null(), |thought| thought.as_ptr()),
            text: reply.text.as_ptr(),
            warnings: reply.warnings.as_ptr(),
            completion_ids: reply.ids.as_ptr(),
            ..reply.facts
        });
        Ok(fleming_status::Ok)
    })
}

/// Tells of one of the frames that the model saw, from 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_reply_frame(
    reply: *const fleming_reply,
    place: usize,
    facts: *mut fleming_frame_facts,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (reply, facts) = (held("reply", reply)?, StructOut::at(facts)?);
        let (frame, source) = reply.frames.get(place).ok_or_else(|| {
            let wanted = format!("less than frame_count, {}", reply.frames.len());
            Failure::argument("place", &wanted, &place.to_string())
        })?;
        facts.write(&fleming_frame_facts { source: source.as_ptr(), ..of(frame) });
        Ok(fleming_status::Ok)
    })
}

/// Tells of a token of the reply, where log-probabilities were asked for: place from 0, below logprob_count. rank 0 is the
/// token that was generated, 1 the likeliest at its place, 2 the next.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_reply_token(
    reply: *const fleming_reply,
    place: usize,
    rank: usize,
    facts: *mut fleming_token_facts,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (reply, facts) = (held("reply", reply)?, StructOut::at(facts)?);
        let beyond = |name: &str, most: &str, number: usize| {
            Failure::argument(name, &format!("a number up to {most}"), &number.to_string())
        };
        let tokens = reply.tokens.get(place).ok_or_else(|| {
            beyond("place", &format!("logprob_count, {}, less one", reply.tokens.len()), place)
        })?;
        let token = tokens
            .get(rank)
            .ok_or_else(|| beyond("rank", &format!("alternatives, {}", tokens.len() - 1), rank))?;
        facts.write(&fleming_token_facts {
            bytes: token.bytes.as_ptr().cast(),
            length: token.bytes.len() - 1,
            alternatives: tokens.len() - 1,
            logprob: token.logprob,
            id: token.id,
            ..zeroed()
        });
        Ok(fleming_status::Ok)
    })
}

/// Shows one of the frames that the model saw, from 0, of a reply that kept them: see fleming_ask_options.keep_seen.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_reply_seen(
    reply: *const fleming_reply,
    place: usize,
    picture: *mut fleming_picture,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (reply, picture) = (held("reply", reply)?, StructOut::at(picture)?);
        let seen = reply.seen.get(place).ok_or_else(|| match reply.frames.len() > reply.seen.len() {
            true => Failure::argument("reply", "one that was asked for with keep_seen", "another"),
            false => {
                let wanted = format!("less than frame_count, {}", reply.frames.len());
                Failure::argument("place", &wanted, &place.to_string())
            }
        })?;
        picture.write(&seen.facts());
        Ok(fleming_status::Ok)
    })
}

/// Frees a reply; NULL is nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_reply_free(reply: *mut fleming_reply) {
    // SAFETY: the pointer is as the header asks.
    guard_free(|| drop(unsafe { taken(reply) }));
}

// SAFETY: the pointers among the facts are NULL; they are set in the caller's copy.
unsafe impl Send for fleming_reply {}
// SAFETY: the same; nothing in it changes.
unsafe impl Sync for fleming_reply {}

impl fleming_reply {
    pub(super) fn new(reply: crate::Reply) -> Self {
        let usage = reply.usage;
        let timings = reply.timings;
        let facts = fleming_reply_facts {
            finish: fleming_finish::from(reply.finish) as i32,
            truncated: fleming_part::from(reply.truncated) as i32,
            prompt_tokens: usage.prompt_tokens,
            image_tokens: usage.image_tokens,
            cached_tokens: usage.cached_tokens,
            completion_tokens: usage.completion_tokens,
            drafted_tokens: usage.drafted_tokens,
            accepted_tokens: usage.accepted_tokens,
            frame_count: reply.frames.len(),
            read_ms: timings.read,
            preprocess_ms: timings.preprocess,
            queue_ms: timings.queue,
            vision_ms: timings.vision,
            prefill_ms: timings.prefill,
            first_token_ms: timings.first_token,
            decode_ms: timings.decode,
            thinking_tokens: usage.thinking_tokens,
            logprob_count: reply.logprobs.as_ref().map_or(0, Vec::len),
            ..zeroed()
        };
        let token = |TokenLogprob { id, mut bytes, logprob }| {
            bytes.push(0);
            Token { id, bytes, logprob: f64::from(logprob) }
        };
        let tokens =
            |place: TokenLogprobs| std::iter::once(place.chosen).chain(place.top).map(token).collect();
        let kept = if reply.pixels.is_some() { reply.frames.len() } else { 0 };
        let seen = (0..kept).map(|place| Tiles::new(&reply.seen(place))).collect();
        let named = |frame: FrameUsed| {
            let source = c_text(&frame.source);
            (frame, source)
        };
        Self {
            conversation: reply.conversation,
            answer: c_text(&reply.answer),
            thought: reply.thought.as_deref().map(c_text),
            text: c_text(&reply.text),
            warnings: c_text(&in_c(&reply.warnings.join("\n"))),
            frames: reply.frames.iter().cloned().map(named).collect(),
            seen,
            ids: reply.completion_ids,
            tokens: reply.logprobs.unwrap_or_default().into_iter().map(tokens).collect(),
            facts,
        }
    }
}

/// What is told of a frame, but for its name.
pub(super) fn of(frame: &FrameUsed) -> fleming_frame_facts {
    let place = &frame.provenance;
    let [window_low, window_high] = place.window.unwrap_or_default();
    fleming_frame_facts {
        study: frame.study,
        tiles: frame.tiles,
        modality: fleming_modality::from(place.modality) as i32,
        index: place.index.unwrap_or_default(),
        seconds: place.seconds.unwrap_or_default(),
        window_low,
        window_high,
        spacing_mm: place.spacing_mm.unwrap_or_default(),
        ..zeroed()
    }
}
