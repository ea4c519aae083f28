//! Bytes that the library made.

use std::ffi::c_char;

use super::arguments::{StructOut, growing, held, taken, zeroed};
use super::status::{fleming_status, guard, guard_free};

/// Bytes that the library made: a text, a session, a file. They do not change: any thread may read them.
pub struct fleming_buffer {
    /// With a NUL at the end.
    bytes: Vec<u8>,
}

/// What a buffer holds. The bytes stand until it is freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fleming_buffer_facts {
    /// sizeof(fleming_buffer_facts)
    pub struct_size: usize,
    /// size bytes, and a NUL after them: a text can be used as it is.
    pub data: *const c_char,
    /// Bytes, without that NUL.
    pub size: usize,
}

growing!(fleming_buffer_facts: 24);

/// Tells what a buffer holds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_buffer_read(
    buffer: *const fleming_buffer,
    facts: *mut fleming_buffer_facts,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (buffer, facts) = (held("buffer", buffer)?, StructOut::at(facts)?);
        let size = buffer.bytes.len() - 1;
        facts.write(&fleming_buffer_facts { data: buffer.bytes.as_ptr().cast(), size, ..zeroed() });
        Ok(fleming_status::Ok)
    })
}

/// Frees a buffer; NULL is nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_buffer_free(buffer: *mut fleming_buffer) {
    // SAFETY: the pointer is as the header asks.
    guard_free(|| drop(unsafe { taken(buffer) }));
}

impl fleming_buffer {
    pub(super) fn new(mut bytes: Vec<u8>) -> Self {
        bytes.push(0);
        Self { bytes }
    }
}
