//! What of a file is looked at, and several files that are one study.

use std::ffi::{c_char, c_void};

use super::arguments::{given, growing, optional_text, path, text, values};
use super::enums::kind_of_file;
use super::status::{CallResult, Failure};
use crate::wire;
use crate::{Buffer, FrameCount, Look, Modality, Source, StudyInput, Windowing};

/// What of a file is looked at. 0 and NULL are the defaults; what does not fit the kind of file is refused.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fleming_study_options {
    /// sizeof(fleming_study_options)
    pub struct_size: usize,
    /// The name of bytes in memory, for messages and the reply; "bytes" by default. A file's name is its path.
    pub name: *const c_char,
    /// Volumes: how many slices, evenly spaced. {slices}
    pub slices: usize,
    /// Videos: one frame a second, at most this many. Of max_frames, frames and seconds at most one may be given. {max_frames}
    pub max_frames: usize,
    /// Videos: exactly this many frames. {frames}
    pub frames: usize,
    /// Videos: one frame for each second of a duration that you state. {seconds}
    pub seconds: f64,
    /// Videos: from this second on. {start}
    pub start: f64,
    /// Videos: up to this second. {end}
    pub end: f64,
    /// Volumes, and grey pictures and clips of DICOM: how values become grey: a centre and a width, "-600/1500", or a window's
    /// name, "lung", as docs/input.md lists them. Each slice of an array is scaled by its own range by default.
    pub window: *const c_char,
    /// Other options of docs/input.md, by their names in JSON: {"form": "native", "plane": "coronal", "range": "40-120"}. The
    /// fields above hold before them.
    pub options: *const c_char,
}

/// Several files that are one study, such as the slices of a DICOM series, in any order: on disk or in memory. Each file counts
/// as fleming_request_file and fleming_request_bytes take one; what the files say decides their order.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fleming_series {
    /// sizeof(fleming_series)
    pub struct_size: usize,
    /// file_count paths, or NULL.
    pub files: *const *const c_char,
    pub file_count: usize,
    /// The contents of buffer_count whole files, and the bytes of each; or NULL. Either files or buffers.
    pub buffers: *const *const c_void,
    pub buffer_sizes: *const usize,
    /// The name of each buffer, for messages and warnings; "file 0", "file 1" and so on if NULL.
    pub buffer_names: *const *const c_char,
    pub buffer_count: usize,
}

growing!(fleming_series: 56);

// `window` and `options` came later.
growing!(fleming_study_options: 64 80);

impl fleming_study_options {
    /// # Safety
    /// The pointers are as the header asks.
    pub(super) unsafe fn input(&self, kind: i32, source: Source) -> CallResult<StudyInput> {
        // SAFETY: the caller's.
        let window = unsafe { optional_text("window", self.window) }?;
        let window = window.map(|text| text.parse::<Windowing>()).transpose()?;
        // SAFETY: the caller's.
        let others = unsafe { look(self.options) }?;
        let others = Look { window: window.or(others.window), ..others };
        let counts = [self.max_frames != 0, self.frames != 0, self.seconds != 0.0];
        let of_videos = counts.contains(&true) || self.start != 0.0 || self.end != 0.0;
        let refuse = |name: &str, wanted: &str| Err(Failure::argument(name, wanted, "something else"));
        let of_volume = |look: Look| Look { slices: given(self.slices).or(look.slices), ..look };
        match kind_of_file(kind)? {
            Some(Modality::Image | Modality::Video) if self.slices != 0 => refuse("slices", "a volume"),
            Some(Modality::Image | Modality::Volume) if of_videos => {
                refuse("frames, seconds, start, end", "a video")
            }
            Some(Modality::Image) => Ok(StudyInput::image(source).look(others)),
            Some(Modality::Volume) => Ok(StudyInput::volume(source).look(of_volume(others))),
            Some(Modality::Video) | None if counts.iter().filter(|given| **given).count() > 1 => {
                Err(Failure::argument("frames", "one of max_frames, frames and seconds", "several"))
            }
            Some(Modality::Video) => Ok(StudyInput::video(source).look(self.of_video(others))),
            None => {
                let file = StudyInput::File { source, modality: None, look: Look::default() };
                Ok(file.look(of_volume(self.of_video(others))))
            }
        }
    }

    fn of_video(&self, others: Look) -> Look {
        let frames = match (given(self.frames), given(self.max_frames), self.seconds) {
            (Some(frames), ..) => Some(FrameCount::Exactly(frames)),
            (_, Some(max_frames), _) => Some(FrameCount::PerSecond { max_frames }),
            (_, _, seconds) if seconds != 0.0 => Some(FrameCount::Seconds(seconds)),
            _ => others.frames,
        };
        let time = |seconds: f64, other: Option<f64>| if seconds == 0.0 { other } else { Some(seconds) };
        let (start, end) = (time(self.start, others.start), time(self.end, others.end));
        Look { frames, start, end, ..others }
    }
}

/// The look that a text of JSON asks for; the default if it is NULL.
///
/// # Safety
/// The text is as the header asks.
pub(super) unsafe fn look(options: *const c_char) -> CallResult<Look> {
    // SAFETY: the caller's.
    let text = unsafe { optional_text("options", options) }?;
    Ok(text.map(|text| wire::look(&text)).transpose()?.unwrap_or_default())
}

impl fleming_series {
    /// # Safety
    /// The pointers are as the header asks.
    pub(super) unsafe fn source(&self) -> CallResult<Source> {
        let refuse = |name: &str, wanted: &str, got: &str| Err(Failure::argument(name, wanted, got));
        match (self.file_count, self.buffer_count) {
            (0, 0) => refuse("file_count", "at least one file, or buffer_count at least one", "none"),
            (1.., 1..) => refuse("file_count", "files or buffers", "both"),
            (1.., 0) => {
                // SAFETY: the caller's.
                let files = unsafe { values("files", self.files, self.file_count) }?;
                // SAFETY: the caller's.
                let files = files.into_iter().map(|file| unsafe { path("files", file) });
                Ok(Source::Files(files.collect::<CallResult<_>>()?))
            }
            (0, count) => {
                // SAFETY: the caller's.
                let (buffers, sizes) = unsafe {
                    (
                        values("buffers", self.buffers, count)?,
                        values("buffer_sizes", self.buffer_sizes, count)?,
                    )
                };
                let named = if self.buffer_names.is_null() { 0 } else { count };
                // SAFETY: the caller's.
                let names = unsafe { values("buffer_names", self.buffer_names, named) }?;
                let mut all = Vec::with_capacity(count);
                for (place, (buffer, size)) in buffers.into_iter().zip(sizes).enumerate() {
                    let name = match names.get(place) {
                        // SAFETY: the caller's.
                        Some(name) => unsafe { text("buffer_names", *name) }?,
                        None => format!("file {place}"),
                    };
                    // SAFETY: the caller's.
                    let bytes = unsafe { values("buffers", buffer.cast::<u8>(), size) }?.into();
                    all.push(Buffer { name, bytes });
                }
                Ok(Source::Buffers(all))
            }
        }
    }
}
