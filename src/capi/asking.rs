//! What is asked of an engine.

use std::sync::Arc;

use super::arguments::{HandleOut, StructOut, growing, held, options, zeroed};
use super::embeddings::fleming_embeddings;
use super::engine::fleming_engine;
use super::log::logged;
use super::options::fleming_ask_options;
use super::pending::fleming_pending;
use super::reply::fleming_reply;
use super::request::fleming_request;
use super::status::{Failure, fleming_status, guard};
use crate::{AskOptions, Cancel};

/// How long the prompt of a request would be.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fleming_token_count {
    /// sizeof(fleming_token_count)
    pub struct_size: usize,
    /// All tokens of the prompt; of those, of pictures.
    pub prompt_tokens: usize,
    pub image_tokens: usize,
    /// Frames that would be looked at.
    pub frames: usize,
    /// Most tokens in a conversation of this engine, prompt and reply together.
    pub context: usize,
    /// 1 if the prompt leaves room for a reply, else 0.
    pub fits: i32,
    /// 0
    pub reserved: i32,
}

growing!(fleming_token_count: 48);

/// Answers a request and returns when the answer is complete. The callback of the options hears of it meanwhile, in this
/// thread; an answer that it cancels is FLEMING_STATUS_OK, as far as it got. Options may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_engine_ask(
    engine: *const fleming_engine,
    request: *const fleming_request,
    options: *const fleming_ask_options,
    reply: *mut *mut fleming_reply,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let model = held("engine", engine)?;
        let (request, setup) = (held("request", request)?, self::options(options)?);
        let out = HandleOut::at("reply", reply)?;
        let cancel = Cancel::default();
        let (request, options) = (request.with(&setup, &model.engine)?, setup.read(&cancel)?);
        let listener = setup.listener(0);
        let tell = &mut |event: crate::Event<'_>| listener.tell(event, &cancel);
        let reply = logged(model.log.as_ref(), || model.engine.ask(&request, &options, tell))?;
        out.give(Arc::new(fleming_reply::new(reply)));
        Ok(fleming_status::Ok)
    })
}

/// Hands a request in and returns at once. The studies are read and the answer is made meanwhile: fleming_pending_wait tells of
/// studies that cannot be read. The callback of the options is called from fleming_pending_wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_engine_submit(
    engine: *const fleming_engine,
    request: *const fleming_request,
    options: *const fleming_ask_options,
    pending: *mut *mut fleming_pending,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let model = held("engine", engine)?;
        let (request, setup) = (held("request", request)?, self::options(options)?);
        let out = HandleOut::at("pending", pending)?;
        let (request, options) = (request.with(&setup, &model.engine)?, setup.read(&Cancel::default())?);
        let submitted = logged(model.log.as_ref(), || model.engine.submit(&request, &options))?;
        out.give(Arc::new(fleming_pending::new(submitted, setup.listener(0), model.log.clone())));
        Ok(fleming_status::Ok)
    })
}

/// Makes the image embeddings of a request's studies; the text of the request is ignored. Of the options, preprocessing,
/// max_tiles and timeout_ms matter; they may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_engine_embed(
    engine: *const fleming_engine,
    request: *const fleming_request,
    options: *const fleming_ask_options,
    embeddings: *mut *mut fleming_embeddings,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let model = held("engine", engine)?;
        let (request, setup) = (held("request", request)?, self::options(options)?);
        let out = HandleOut::at("embeddings", embeddings)?;
        let (request, options) = (request.with(&setup, &model.engine)?, setup.read(&Cancel::default())?);
        let made = logged(model.log.as_ref(), || model.engine.embed(&request.studies, &options))?;
        out.give(Arc::new(fleming_embeddings::new(made)));
        Ok(fleming_status::Ok)
    })
}

/// Hands a request in for several answers, which share one prefill: the n-th, from 0, is sampled with the seed plus n, so a
/// temperature makes them differ. Writes one pending answer for each to the array `pending`, all or none. The callbacks of the
/// options hear of all of them; fleming_event.answer says of which. At most 128 answers, and at most slots + queue: more can never
/// have room and are FLEMING_STATUS_REQUEST.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_engine_submit_all(
    engine: *const fleming_engine,
    request: *const fleming_request,
    options: *const fleming_ask_options,
    answers: usize,
    pending: *mut *mut fleming_pending,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let model = held("engine", engine)?;
        let (request, setup) = (held("request", request)?, self::options(options)?);
        let out = HandleOut::at("pending", pending)?;
        if answers == 0 {
            return Err(Failure::argument("answers", "at least 1", "0"));
        }
        let (request, options) = (request.with(&setup, &model.engine)?, setup.read(&Cancel::default())?);
        let options = AskOptions { answers: Some(answers), ..options };
        let submitted = logged(model.log.as_ref(), || model.engine.submit_all(&request, &options))?;
        for (number, submitted) in submitted.into_iter().enumerate() {
            let listener = setup.listener(number);
            out.nth(number).give(Arc::new(fleming_pending::new(submitted, listener, model.log.clone())));
        }
        Ok(fleming_status::Ok)
    })
}

/// Counts the tokens of a request by the headers of its studies: no pixel is made and nothing runs. Of the options, system,
/// instruction, preprocessing, max_tiles and timeout_ms matter; they may be NULL. A video counts as its header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_engine_count_tokens(
    engine: *const fleming_engine,
    request: *const fleming_request,
    options: *const fleming_ask_options,
    count: *mut fleming_token_count,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let model = held("engine", engine)?;
        let (request, setup) = (held("request", request)?, self::options(options)?);
        let out = StructOut::at(count)?;
        let (request, options) = (request.with(&setup, &model.engine)?, setup.read(&Cancel::default())?);
        let count = logged(model.log.as_ref(), || model.engine.count_tokens(&request, &options))?;
        out.write(&fleming_token_count {
            prompt_tokens: count.prompt_tokens,
            image_tokens: count.image_tokens,
            frames: count.frames,
            context: count.context,
            fits: count.fits().into(),
            ..zeroed()
        });
        Ok(fleming_status::Ok)
    })
}
