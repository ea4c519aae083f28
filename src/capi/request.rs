//! What is asked, put together step by step.

use std::ffi::{c_char, c_void};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::arguments::{HandleOut, description, held, optional_text, options, path, taken, text, values};
use super::options::fleming_ask_options;
use super::status::{CallResult, Failure, fleming_status, guard, guard_free};
use super::study::{fleming_frames, fleming_study_options, fleming_volume};
use crate::{Engine, Exchange, Part, Request, Source, StudyInput};

/// A question about any number of studies. The word <image> in the question or in a turn places the next study; with no such
/// word anywhere, all studies come before the question (with earlier turns and an instruction of "" the word is needed). It may
/// be asked any number of times, of any engine.
pub struct fleming_request(Mutex<RequestBuilder>);

/// A request as it is put together.
#[derive(Default)]
pub(super) struct RequestBuilder {
    pub(super) studies: Vec<StudyInput>,
    pub(super) history: Vec<Exchange>,
    pub(super) question: String,
}

/// Begins a request with its question.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_request_new(
    question: *const c_char,
    request: *mut *mut fleming_request,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (question, out) = (text("question", question)?, HandleOut::at("request", request)?);
        out.give(Arc::new(fleming_request(Mutex::new(RequestBuilder {
            question,
            ..RequestBuilder::default()
        }))));
        Ok(fleming_status::Ok)
    })
}

/// Adds an earlier turn, oldest first: what was asked and what was answered.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_request_turn(
    request: *mut fleming_request,
    question: *const c_char,
    answer: *const c_char,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let request = held("request", request)?;
        let exchange = Exchange { question: text("question", question)?, answer: text("answer", answer)? };
        request.lock().history.push(exchange);
        Ok(fleming_status::Ok)
    })
}

/// Adds a study in a file of this fleming_modality; options may be NULL. The file is read when the request is asked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_request_file(
    request: *mut fleming_request,
    modality: i32,
    file: *const c_char,
    options: *const fleming_study_options,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let request = held("request", request)?;
        let (file, setup) = (path("file", file)?, self::options(options)?);
        if !setup.name.is_null() {
            return Err(Failure::argument("name", "NULL for a file, whose name is its path", "a text"));
        }
        request.add(setup.input(modality, Source::Path(file))?);
        Ok(fleming_status::Ok)
    })
}

/// Adds a study in memory: the bytes of a whole file of this fleming_modality. Options may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_request_bytes(
    request: *mut fleming_request,
    modality: i32,
    data: *const c_void,
    size: usize,
    options: *const fleming_study_options,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (request, setup) = (held("request", request)?, self::options(options)?);
        let name = optional_text("name", setup.name)?.unwrap_or_else(|| "bytes".into());
        let bytes = values("data", data.cast::<u8>(), size)?.into();
        request.add(setup.input(modality, Source::Bytes { name, bytes })?);
        Ok(fleming_status::Ok)
    })
}

/// Adds pictures that you have: an image or a clip.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_request_frames(
    request: *mut fleming_request,
    frames: *const fleming_frames,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (request, frames) = (held("request", request)?, description(frames)?);
        request.add(StudyInput::Frames(frames.study()?));
        Ok(fleming_status::Ok)
    })
}

/// Adds a volume that you have.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_request_volume(
    request: *mut fleming_request,
    volume: *const fleming_volume,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (request, volume) = (held("request", request)?, description(volume)?);
        request.add(volume.input()?);
        Ok(fleming_status::Ok)
    })
}

/// Frees a request; NULL is nothing to free. Answers to it go on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_request_free(request: *mut fleming_request) {
    // SAFETY: the pointer is as the header asks.
    guard_free(|| drop(unsafe { taken(request) }));
}

impl fleming_request {
    fn lock(&self) -> MutexGuard<'_, RequestBuilder> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, study: StudyInput) {
        self.lock().studies.push(study);
    }

    /// A copy of what was put together so far, with what the options say of it.
    ///
    /// # Safety
    /// The pointers of the options are as the header asks.
    pub(super) unsafe fn with(&self, options: &fleming_ask_options, engine: &Engine) -> CallResult<Request> {
        let placeholder = engine.package().manifest().placeholder();
        // SAFETY: the caller's.
        let (system, instruction) = unsafe { options.frame() }?;
        let system = system.map(|text| vec![Part::Text(text)]);
        let RequestBuilder { studies, history, question } = &*self.lock();
        let request = Request::tagged(placeholder, studies.clone(), history, question);
        Ok(Request { system, instruction, ..request })
    }
}
