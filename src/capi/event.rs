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
    /// Which of the answers of fleming_engine_submit_all, from 0.
    pub answer: usize,
}

/// Receives events while an answer is generated, in the thread that asks or waits. A return value other than 0 cancels the
/// answer. It may call functions of this library, but must not throw, panic or jump out.
pub type fleming_event_callback =
    Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, event: *const fleming_event) -> i32>;

/// Called by threads of the library, also by several at once, whenever there may be something to wait for; it calls no function
/// of this library. It posts to the host's own loop, as QMetaObject::invokeMethod, g_idle_add or PostMessage do, and that
/// calls fleming_pending_wait. It may be called before fleming_engine_submit has returned, and not after fleming_pending_free has.
pub type fleming_ready_callback = Option<unsafe extern "C-unwind" fn(user_data: *mut c_void)>;

/// Hears that `done` of `total` bytes of a package were compared with their digests (0 of 0 before its size is known); meanwhile
/// the graphs load, which may take longer: `done` is then `total` more than once. A return value other than 0 ends the loading,
/// which is FLEMING_STATUS_CANCELLED. It may call functions of this library, but must not throw, panic or jump out.
pub type fleming_load_callback =
    Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, done: u64, total: u64) -> i32>;

/// The host's function that hears how far a package is loaded.
pub(super) struct LoadListener {
    pub(super) callback: fleming_load_callback,
    pub(super) user_data: *mut c_void,
}

impl LoadListener {
    /// Tells the host; whether loading is to go on.
    pub(super) fn tell(&self, done: u64, total: u64) -> bool {
        let Some(callback) = self.callback else { return true };
        // SAFETY: the header asks for a callback that takes these.
        outside(|| unsafe { callback(self.user_data, done, total) }) == 0
    }
}

/// The host's functions for events of one answer.
#[derive(Clone, Copy)]
pub(super) struct Listener {
    callback: fleming_event_callback,
    ready: fleming_ready_callback,
    user_data: *mut c_void,
    answer: usize,
}

// SAFETY: a pending answer may be waited for in any thread; the header says so of the callbacks and their pointer.
unsafe impl Send for Listener {}
// SAFETY: `ready` may be called from several threads at once; the header says so too.
unsafe impl Sync for Listener {}

impl Listener {
    pub(super) fn new(
        (callback, ready): (fleming_event_callback, fleming_ready_callback),
        user_data: *mut c_void,
        answer: usize,
    ) -> Self {
        Self { callback, ready, user_data, answer }
    }

    /// Tells the host that there is something to wait for.
    pub(super) fn wake(&self) {
        if let Some(ready) = self.ready {
            // SAFETY: the header asks for a callback that takes this.
            outside(|| unsafe { ready(self.user_data) });
        }
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
            answer: self.answer,
        };
        // SAFETY: the header asks for a callback that takes these.
        let stop = outside(|| unsafe { callback(self.user_data, &raw const event) });
        if stop != 0 {
            cancel.cancel();
        }
    }
}
