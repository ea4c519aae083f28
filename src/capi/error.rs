//! What the numbers of statuses mean, and the facts of a failure.

use std::ffi::{CStr, c_char};

use super::arguments::{StructOut, growing, zeroed};
use super::status::{fleming_status, guard, last};

/// The facts of a failure, each a fragment. The texts stand until the next call of this thread that fails.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fleming_error_facts {
    /// sizeof(fleming_error_facts)
    pub struct_size: usize,
    /// As fleming_last_error_message and fleming_last_error_hint return them.
    pub message: *const c_char,
    pub hint: *const c_char,
    /// What it is about. Of FLEMING_STATUS_ARGUMENT the name of the argument or of the field. Of FLEMING_STATUS_REQUEST the field
    /// of a struct of options ("max_new_tokens"), an option of the text `options` ("plane"), either after the name of a study
    /// and ": " where it depends on that ("ct.nii.gz: window"), or "question", "turns", "prompt", "answers", "answer",
    /// "studies" and "session". Else a file, a tensor, "queue", "request", "loading", "engine" and the like. Names of fields
    /// stay what they are; other things may be told in other words by a later library.
    pub thing: *const c_char,
    /// What was wanted of it, and what was found instead.
    pub wanted: *const c_char,
    pub got: *const c_char,
    /// The fleming_status of the call; FLEMING_STATUS_OK if none has failed.
    pub status: i32,
    /// 0
    pub reserved: i32,
}

growing!(fleming_error_facts: 56);

/// Tells of the last call of this thread that failed, in its parts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_last_error_read(facts: *mut fleming_error_facts) -> fleming_status {
    // SAFETY: the pointer is as the header asks.
    guard(|| {
        let out = unsafe { StructOut::at(facts) }?;
        last(|last| {
            out.write(&fleming_error_facts {
                message: last.message.as_ptr(),
                hint: last.hint.as_ptr(),
                thing: last.thing.as_ptr(),
                wanted: last.wanted.as_ptr(),
                got: last.got.as_ptr(),
                status: last.status,
                ..zeroed()
            });
        });
        Ok(fleming_status::Ok)
    })
}

/// The name of a fleming_status, "busy", as JSON has it under "code"; "unknown" for a number that this version does not have.
#[unsafe(no_mangle)]
pub extern "C" fn fleming_status_name(status: i32) -> *const c_char {
    known(status).map_or(c"unknown", |(name, _)| name).as_ptr()
}

/// What a fleming_status means, in a sentence. What happened in one call, fleming_last_error_message says.
#[unsafe(no_mangle)]
pub extern "C" fn fleming_status_text(status: i32) -> *const c_char {
    known(status).map_or(c"A status of another version of the library.", |(_, text)| text).as_ptr()
}

fn known(number: i32) -> Option<(&'static CStr, &'static CStr)> {
    let found = fleming_status::ALL.into_iter().find(|(status, ..)| *status as i32 == number);
    found.map(|(_, name, text)| (name, text))
}
