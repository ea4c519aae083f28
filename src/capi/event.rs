//! The events that the host receives while an answer is generated.

use std::ffi::{c_char, c_void};

use super::enums::fleming_event_kind;
use super::status::{c_text, outside};
use crate::{Cancel, ReplyPart};

/// What happens while an answer is made.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fleming_event {
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

/// Receives events while an answer is generated, in the thread that asks or waits. A return value other than 0 cancels the
/// answer. It may call functions of this library, but must not throw, panic or jump out.
pub type fleming_event_callback =
    Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, event: *const fleming_event) -> i32>;

/// The host's function for events.
#[derive(Clone, Copy)]
pub(super) struct Listener {
    callback: fleming_event_callback,
    user_data: *mut c_void,
}

// SAFETY: a pending answer may be waited for in any thread; the header says so of the callback and its pointer.
unsafe impl Send for Listener {}

impl Listener {
    pub(super) fn new(callback: fleming_event_callback, user_data: *mut c_void) -> Self {
        Self { callback, user_data }
    }

    /// Tells the host, and stops the answer if it says so.
    pub(super) fn tell(&self, event: crate::Event<'_>, cancel: &Cancel) {
        let Some(callback) = self.callback else { return };
        let (kind, text, [done, total]) = match event {
            crate::Event::Reading { done, total } => (fleming_event_kind::Reading, "", [done, total]),
            crate::Event::Encoding { done, total } => (fleming_event_kind::Encoding, "", [done, total]),
            crate::Event::Prefilling { done, total } => (fleming_event_kind::Prefilling, "", [done, total]),
            crate::Event::Text { part: ReplyPart::Thought, text } => {
                (fleming_event_kind::Thought, text, [0; 2])
            }
            crate::Event::Text { part: ReplyPart::Answer, text } => {
                (fleming_event_kind::Answer, text, [0; 2])
            }
        };
        let text = c_text(text);
        let event = fleming_event {
            struct_size: size_of::<fleming_event>(),
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
