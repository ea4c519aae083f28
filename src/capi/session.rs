//! What a conversation left in memory, kept elsewhere.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::arguments::{HandleOut, held, path, values};
use super::buffer::fleming_buffer;
use super::engine::fleming_engine;
use super::log::logged;
use super::reply::fleming_reply;
use super::status::{fleming_status, guard};

/// Writes what the conversation of a reply left in memory to a file, as long as no other request took its slot. The file is as
/// confidential as the study.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_engine_save_session(
    engine: *const fleming_engine,
    reply: *const fleming_reply,
    file: *const c_char,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (model, reply, file) = (held("engine", engine)?, held("reply", reply)?, path("file", file)?);
        logged(model.log.as_ref(), || model.engine.save_session(reply.conversation, &file))?;
        Ok(fleming_status::Ok)
    })
}

/// Reads a saved conversation into a free slot: a request that begins like it (the same studies, the same turns) runs only what
/// is new.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_engine_load_session(
    engine: *const fleming_engine,
    file: *const c_char,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (model, file) = (held("engine", engine)?, path("file", file)?);
        logged(model.log.as_ref(), || model.engine.load_session(&file))?;
        Ok(fleming_status::Ok)
    })
}

/// Makes the same bytes in memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_engine_save_session_bytes(
    engine: *const fleming_engine,
    reply: *const fleming_reply,
    session: *mut *mut fleming_buffer,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (model, reply) = (held("engine", engine)?, held("reply", reply)?);
        let out = HandleOut::at("session", session)?;
        let bytes = logged(model.log.as_ref(), || model.engine.session_bytes(reply.conversation))?;
        out.give(Arc::new(fleming_buffer::new(bytes)));
        Ok(fleming_status::Ok)
    })
}

/// Reads such bytes like fleming_engine_load_session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_engine_load_session_bytes(
    engine: *const fleming_engine,
    data: *const c_void,
    size: usize,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (model, bytes) = (held("engine", engine)?, values("data", data.cast::<u8>(), size)?);
        logged(model.log.as_ref(), || model.engine.load_session_bytes(&bytes))?;
        Ok(fleming_status::Ok)
    })
}
