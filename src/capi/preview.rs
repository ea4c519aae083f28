//! What the model will see, before it is asked.

use std::ffi::{CString, c_char};
use std::sync::Arc;

use super::arguments::{HandleOut, StructOut, growing, held, options, taken, zeroed};
use super::engine::fleming_engine;
use super::log::logged;
use super::options::fleming_ask_options;
use super::picture::{Tiles, fleming_picture};
use super::reply::{fleming_frame_facts, of};
use super::request::fleming_request;
use super::status::{Failure, c_text, fleming_status, guard, guard_free};
use crate::{Cancel, FrameUsed, Picture, Preview, Result};

/// What the model sees of a request's studies, as pictures. It does not change: any thread may read it. The pictures are as
/// confidential as the studies; no text in them names a file or a patient.
pub struct fleming_preview {
    sheet: Picture,
    png: Vec<u8>,
    warnings: CString,
    frames: Vec<Seen>,
}

/// A frame, its name and its tiles.
struct Seen {
    frame: FrameUsed,
    source: CString,
    tiles: Tiles,
}

/// What a preview holds. Texts and bytes stand until it is freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fleming_preview_facts {
    /// sizeof(fleming_preview_facts)
    pub struct_size: usize,
    /// A file of png_size bytes: all frames side by side, each with its place and its range of values, and bars that show where
    /// in the studies they lie. `fleming preview` writes the same.
    pub png: *const u8,
    pub png_size: usize,
    /// Of the same picture: height rows of width pixels of 3 bytes, red, green, blue, without gaps.
    pub rgb: *const u8,
    pub width: usize,
    pub height: usize,
    /// What you should know about the inputs, a sentence a line; "" if nothing.
    pub warnings: *const c_char,
    /// Frames of all studies: see fleming_preview_frame.
    pub frame_count: usize,
}

growing!(fleming_preview_facts: 64);

/// Makes pictures of what an answer to this request with these options sees: the studies are read and brought to the size of
/// tiles in the same way, and no graph runs. The text of the request is ignored. Of the options, preprocessing, max_tiles and
/// timeout_ms matter; they may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_engine_preview(
    engine: *const fleming_engine,
    request: *const fleming_request,
    options: *const fleming_ask_options,
    preview: *mut *mut fleming_preview,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let model = held("engine", engine)?;
        let (request, setup) = (held("request", request)?, self::options(options)?);
        let out = HandleOut::at("preview", preview)?;
        let options = setup.read(&Cancel::default())?;
        let studies = request.studies();
        // The host's stack may be too small to encode a PNG.
        let make = || model.engine.preview_as(&studies, &options, fleming_preview::new);
        let made = logged(model.log.as_ref(), make)??;
        out.give(Arc::new(made));
        Ok(fleming_status::Ok)
    })
}

/// Tells what a preview holds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_preview_read(
    preview: *const fleming_preview,
    facts: *mut fleming_preview_facts,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (preview, facts) = (held("preview", preview)?, StructOut::at(facts)?);
        facts.write(&fleming_preview_facts {
            png: preview.png.as_ptr(),
            png_size: preview.png.len(),
            rgb: preview.sheet.rgb().as_ptr(),
            width: preview.sheet.width() as usize,
            height: preview.sheet.height() as usize,
            warnings: preview.warnings.as_ptr(),
            frame_count: preview.frames.len(),
            ..zeroed()
        });
        Ok(fleming_status::Ok)
    })
}

/// Tells of one of the frames, from 0, and shows it as the model sees it. facts may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_preview_frame(
    preview: *const fleming_preview,
    place: usize,
    facts: *mut fleming_frame_facts,
    picture: *mut fleming_picture,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (preview, picture) = (held("preview", preview)?, StructOut::at(picture)?);
        let facts = if facts.is_null() { None } else { Some(StructOut::at(facts)?) };
        let seen = preview.frames.get(place).ok_or_else(|| {
            let wanted = format!("less than frame_count, {}", preview.frames.len());
            Failure::argument("place", &wanted, &place.to_string())
        })?;
        if let Some(facts) = facts {
            facts.write(&fleming_frame_facts { source: seen.source.as_ptr(), ..of(&seen.frame) });
        }
        picture.write(&seen.tiles.facts());
        Ok(fleming_status::Ok)
    })
}

/// Frees a preview; NULL is nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_preview_free(preview: *mut fleming_preview) {
    // SAFETY: the pointer is as the header asks.
    guard_free(|| drop(unsafe { taken(preview) }));
}

impl fleming_preview {
    fn new(preview: Preview) -> Result<Self> {
        let png = preview.sheet.png()?;
        let seen = |(place, frame): (usize, &FrameUsed)| Seen {
            source: c_text(&frame.source),
            frame: frame.clone(),
            tiles: Tiles::new(&preview.tiles(place)),
        };
        Ok(Self {
            png,
            warnings: c_text(&preview.warnings.join("\n")),
            frames: preview.frames.iter().enumerate().map(seen).collect(),
            sheet: preview.sheet,
        })
    }
}
