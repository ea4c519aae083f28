//! An answer, while it is made and when it is complete.

use std::ffi::{CString, c_char, c_void};

use super::arguments::{Facts, growing, held, taken, zeroed};
use super::options::AskSetup;
use super::request::ModalityKind;
use super::status::{Failure, Status, c_text, guard, guard_free, outside};
use crate::{Cancel, ConversationId, Finish, FrameUsed, Modality, ReplyPart};

/// An answer and how it came about. It does not change: any thread may read it.
pub struct Reply {
    pub(super) conversation: ConversationId,
    answer: CString,
    thought: Option<CString>,
    text: CString,
    warnings: CString,
    frames: Vec<(FrameUsed, CString)>,
    facts: ReplyFacts,
}

/// What an event tells of.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// done of total tiles went through the vision tower.
    Encoding = 1,
    /// done of total prompt tokens are in memory.
    Prefilling = 2,
    /// The next piece of the thought.
    Thought = 3,
    /// The next piece of the answer.
    Answer = 4,
}

/// What happens while an answer is made.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Event {
    /// How much of this struct is there.
    pub struct_size: usize,
    /// A fleming_event_kind. There may be more kinds in time: pass over those you do not know.
    pub kind: i32,
    /// 0
    pub reserved: i32,
    /// Whole characters, and a NUL at the end; "" where there is no text. It stands until the callback returns.
    pub text: *const c_char,
    /// Bytes of text, without the NUL.
    pub length: usize,
    /// See fleming_event_kind.
    pub done: usize,
    pub total: usize,
}

/// Hears of an answer while it is made, in the thread that asks or waits. A return value other than 0 cancels the answer. It may
/// call functions of this library, but must not throw, panic or jump out.
pub type EventCallback =
    Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, event: *const Event) -> i32>;

/// Why generation ended.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishKind {
    /// The model ended its turn, or a stop string came.
    Stop = 1,
    /// The limit on new tokens or the end of the context was reached.
    Length = 2,
    /// The caller stopped it.
    Cancelled = 3,
    /// The time for it was up.
    TimedOut = 4,
}

/// A part of a reply.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartKind {
    /// None.
    None = 0,
    /// The reasoning before the answer.
    Thought = 1,
    /// The answer.
    Answer = 2,
}

/// What a reply holds. The texts stand until it is freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ReplyFacts {
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
}

/// A frame that the model saw. The name stands until the reply is freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct FrameFacts {
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

growing!(ReplyFacts as "fleming_reply_facts", FrameFacts as "fleming_frame_facts");

/// Tells what a reply holds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_reply_read(reply: *const Reply, facts: *mut ReplyFacts) -> Status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (reply, facts) = (held("reply", reply)?, Facts::at(facts)?);
        facts.write(&ReplyFacts {
            answer: reply.answer.as_ptr(),
            thought: reply.thought.as_ref().map_or(std::ptr::null(), |thought| thought.as_ptr()),
            text: reply.text.as_ptr(),
            warnings: reply.warnings.as_ptr(),
            ..reply.facts
        });
        Ok(Status::Ok)
    })
}

/// Tells of one of the frames that the model saw, from 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_reply_frame(
    reply: *const Reply,
    place: usize,
    facts: *mut FrameFacts,
) -> Status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (reply, facts) = (held("reply", reply)?, Facts::at(facts)?);
        let (frame, source) = reply.frames.get(place).ok_or_else(|| {
            let wanted = format!("less than frame_count, {}", reply.frames.len());
            Failure::argument("place", &wanted, &place.to_string())
        })?;
        facts.write(&FrameFacts { source: source.as_ptr(), ..of(frame) });
        Ok(Status::Ok)
    })
}

/// Frees a reply; NULL is nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_reply_free(reply: *mut Reply) {
    // SAFETY: the pointer is as the header asks.
    guard_free(|| drop(unsafe { taken(reply) }));
}

// SAFETY: the pointers among the facts are NULL; they are set in the caller's copy.
unsafe impl Send for Reply {}
// SAFETY: the same; nothing in it changes.
unsafe impl Sync for Reply {}

impl Reply {
    pub(super) fn new(reply: crate::Reply) -> Self {
        let usage = reply.usage;
        let timings = reply.timings;
        let facts = ReplyFacts {
            finish: finish(reply.finish) as i32,
            truncated: part(reply.truncated) as i32,
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
            ..zeroed()
        };
        let named = |frame: FrameUsed| {
            let source = c_text(&frame.source);
            (frame, source)
        };
        Self {
            conversation: reply.conversation,
            answer: c_text(&reply.answer),
            thought: reply.thought.as_deref().map(c_text),
            text: c_text(&reply.text),
            warnings: c_text(&reply.warnings.join("\n")),
            frames: reply.frames.into_iter().map(named).collect(),
            facts,
        }
    }
}

fn finish(finish: Finish) -> FinishKind {
    match finish {
        Finish::Stop => FinishKind::Stop,
        Finish::Length => FinishKind::Length,
        Finish::Cancelled => FinishKind::Cancelled,
        Finish::TimedOut => FinishKind::TimedOut,
    }
}

fn part(part: Option<ReplyPart>) -> PartKind {
    match part {
        None => PartKind::None,
        Some(ReplyPart::Thought) => PartKind::Thought,
        Some(ReplyPart::Answer) => PartKind::Answer,
    }
}

fn of(frame: &FrameUsed) -> FrameFacts {
    let place = &frame.provenance;
    let modality = match place.modality {
        Modality::Image => ModalityKind::Image,
        Modality::Video => ModalityKind::Video,
        Modality::Volume => ModalityKind::Volume,
    };
    let [window_low, window_high] = place.window.unwrap_or_default();
    FrameFacts {
        study: frame.study,
        tiles: frame.tiles,
        modality: modality as i32,
        index: place.index.unwrap_or_default(),
        seconds: place.seconds.unwrap_or_default(),
        window_low,
        window_high,
        spacing_mm: place.spacing_mm.unwrap_or_default(),
        ..zeroed()
    }
}

/// The host's function for events.
#[derive(Clone, Copy)]
pub(super) struct Listener {
    callback: EventCallback,
    user_data: *mut c_void,
}

// SAFETY: a pending answer may be waited for in any thread; the header says so of the callback and its pointer.
unsafe impl Send for Listener {}

impl Listener {
    pub(super) fn of(setup: &AskSetup) -> Self {
        Self { callback: setup.on_event, user_data: setup.user_data }
    }

    /// Tells the host, and stops the answer if it says so.
    pub(super) fn tell(&self, event: crate::Event<'_>, cancel: &Cancel) {
        let Some(callback) = self.callback else { return };
        let (kind, text, [done, total]) = match event {
            crate::Event::Encoding { done, total } => (EventKind::Encoding, "", [done, total]),
            crate::Event::Prefilling { done, total } => (EventKind::Prefilling, "", [done, total]),
            crate::Event::Text { part: ReplyPart::Thought, text } => (EventKind::Thought, text, [0; 2]),
            crate::Event::Text { part: ReplyPart::Answer, text } => (EventKind::Answer, text, [0; 2]),
        };
        let text = c_text(text);
        let event = Event {
            struct_size: size_of::<Event>(),
            kind: kind as i32,
            reserved: 0,
            text: text.as_ptr(),
            length: text.count_bytes(),
            done,
            total,
        };
        // SAFETY: the header asks for a callback that takes these.
        let stop = outside(|| unsafe { callback(self.user_data, &raw const event) });
        if stop != 0 {
            cancel.cancel();
        }
    }
}
