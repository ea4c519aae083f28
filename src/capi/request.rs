//! What is asked, put together step by step.

use std::ffi::{c_char, c_void};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::arguments::{HandleOut, description, held, optional_text, options, path, taken, text, values};
use super::enums::role;
use super::frames::fleming_frames;
use super::options::fleming_ask_options;
use super::status::{CallResult, Failure, fleming_status, guard, guard_free};
use super::study::{fleming_series, fleming_study_options};
use super::volume::fleming_volume;
use crate::{Engine, Exchange, Part, Request, Role, Source, StudyInput, Turn};

/// A question about any number of studies. It may be asked any number of times, of any engine. Studies are placed in one of two
/// ways. By words: the word <image> in the question or in a turn places the next study; with no such word anywhere, all studies
/// come before the question (with earlier turns and an instruction of "" the word is needed). Or by order, with
/// fleming_request_text: each text and each study stands where it was added.
pub struct fleming_request(Mutex<RequestBuilder>);

/// A request as it is put together.
#[derive(Default)]
struct RequestBuilder {
    studies: Vec<StudyInput>,
    history: Vec<Exchange>,
    question: String,
    /// Texts and the places of studies, in order.
    pieces: Vec<Piece>,
}

enum Piece {
    Study,
    Text(Role, String),
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

/// Adds an earlier turn, oldest first: what was asked and what was answered. Both are taken as they are, a thought in the answer
/// included: no instruction is put before the question, and nothing is taken out of the answer.
///
/// An engine reads anew what follows the first token that differs from an earlier request. For a follow-up to read no study
/// anew, its turns are what was sent and what came back: as the question the instruction (fleming_engine_facts.instruction, unless
/// one of your own or "" was given) and a newline, for each study <image> and a newline, and the question; as the answer
/// fleming_reply_facts.text. If <image> stands in no turn, the studies come before the last question, and they and all turns
/// run anew.
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
        let mut builder = request.lock();
        if builder.is_in_order() {
            let wanted = "a request without fleming_request_text, which adds turns too";
            return Err(Failure::argument("request", wanted, "one with texts in order"));
        }
        builder.history.push(exchange);
        Ok(fleming_status::Ok)
    })
}

/// Adds a text to a request that is put together in order: one that began with the question "" and has no fleming_request_turn.
/// A study stands where it was added among the texts, in a turn of the user's. Texts of one fleming_role without another's
/// between them are one turn, written with nothing between them; the last turn is the user's and is answered. A text is taken
/// literally: <image> in it places nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_request_text(
    request: *mut fleming_request,
    role: i32,
    text: *const c_char,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let request = held("request", request)?;
        let (role, text) = (self::role(role)?, self::text("text", text)?);
        let mut builder = request.lock();
        if !builder.question.is_empty() || !builder.history.is_empty() {
            let wanted = "one that began with the question \"\" and has no turns";
            return Err(Failure::argument("request", wanted, "another"));
        }
        builder.pieces.push(Piece::Text(role, text));
        Ok(fleming_status::Ok)
    })
}

/// Adds a study in a file of this fleming_modality, or in a folder: a DICOM study is read with all folders in it. Options may
/// be NULL. Files are read when the request is asked.
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

/// Adds a study in memory: the bytes of a whole file of this fleming_modality, in any format that files may have, DICOM and
/// NIfTI too. Options may be NULL.
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

/// Adds a study of this fleming_modality in several files, on disk or in memory: a DICOM series. Options may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_request_series(
    request: *mut fleming_request,
    modality: i32,
    series: *const fleming_series,
    options: *const fleming_study_options,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let request = held("request", request)?;
        let (series, setup) = (description(series)?, self::options(options)?);
        if !setup.name.is_null() {
            return Err(Failure::argument("name", "NULL of several files, which have names", "a text"));
        }
        request.add(setup.input(modality, series.source()?)?);
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
        request.add(frames.input()?);
        Ok(fleming_status::Ok)
    })
}

/// Adds a volume that you have, or a radiograph.
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
        let mut builder = self.lock();
        builder.studies.push(study);
        builder.pieces.push(Piece::Study);
    }

    /// A copy of what was put together so far, with what the options say of it.
    ///
    /// # Safety
    /// The pointers of the options are as the header asks.
    pub(super) unsafe fn with(&self, options: &fleming_ask_options, engine: &Engine) -> CallResult<Request> {
        // SAFETY: the caller's.
        let (system, instruction) = unsafe { options.frame() }?;
        let system = system.map(|text| vec![Part::Text(text)]);
        let builder = self.lock();
        let request = match builder.is_in_order() {
            true => {
                Request { studies: builder.studies.clone(), turns: builder.turns(), ..Request::default() }
            }
            false => {
                let placeholder = engine.package().manifest().placeholder();
                Request::tagged(placeholder, builder.studies.clone(), &builder.history, &builder.question)
            }
        };
        Ok(Request { system, instruction, ..request })
    }

    /// The studies so far.
    pub(super) fn studies(&self) -> Vec<StudyInput> {
        self.lock().studies.clone()
    }
}

impl RequestBuilder {
    /// Whether texts and studies stand where they were added.
    fn is_in_order(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Text(..)))
    }

    /// The turns of what was added in order.
    fn turns(&self) -> Vec<Turn> {
        let mut turns: Vec<Turn> = Vec::new();
        for piece in &self.pieces {
            let (role, part) = match piece {
                Piece::Study => (Role::User, Part::Study),
                Piece::Text(role, text) => (*role, Part::Text(text.clone())),
            };
            match turns.last_mut() {
                Some(turn) if turn.role == role => turn.parts.push(part),
                _ => turns.push(Turn { role, parts: vec![part] }),
            }
        }
        turns
    }
}
