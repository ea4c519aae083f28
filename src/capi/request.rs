//! What is asked, put together step by step.

use std::ffi::{c_char, c_void};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::arguments::{Out, description, growing, held, optional_text, options, path, taken, text, values};
use super::options::{AskSetup, given, one_of};
use super::status::{Failure, Outcome, Status, guard, guard_free};
use crate::{
    Engine, Exchange, Frame, FrameCount, Look, Modality, Provenance, RawVolume, Request, Source, Study,
    StudyInput, Voxels, Window,
};

/// A question about any number of studies. The word <image> in the question or in a turn places the next study; with no such
/// word anywhere, all studies come before the question (with earlier turns and an instruction of "" the word is needed). It may
/// be asked any number of times, of any engine.
pub struct Question(Mutex<Asked>);

/// What was put together so far.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) studies: Vec<StudyInput>,
    pub(super) history: Vec<Exchange>,
    pub(super) question: String,
}

/// What kind of thing a study is.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModalityKind {
    /// A single picture.
    Image = 1,
    /// Frames of a clip in order of time.
    Video = 2,
    /// Slices of a volume in order of its first axis.
    Volume = 3,
}

/// What of a file is looked at. 0 and NULL are the defaults; what does not fit the kind of file is refused.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct StudySetup {
    /// sizeof(fleming_study_options)
    pub struct_size: usize,
    /// The name of bytes in memory, for messages and the reply; "bytes" by default. A file's name is its path.
    pub name: *const c_char,
    /// Volumes: how many slices, evenly spaced; 11 by default.
    pub slices: usize,
    /// Videos: one frame a second, at most so many; 32 by default. Of max_frames, frames and seconds at most one may be given.
    pub max_frames: usize,
    /// Videos: exactly so many frames.
    pub frames: usize,
    /// Videos: one frame for each second of a duration that you state.
    pub seconds: f64,
    /// Videos: the part to look at, in seconds; end 0 is the clip's end.
    pub start: f64,
    pub end: f64,
}

/// Frames that you have: count pictures of height rows of width pixels of 3 bytes, red, green, blue.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Frames {
    /// sizeof(fleming_frames)
    pub struct_size: usize,
    /// For messages and the reply; "frames" if NULL.
    pub name: *const c_char,
    /// count pointers to the first pixel of each frame.
    pub frames: *const *const u8,
    /// 1 for an image, 1 or more for a video.
    pub count: usize,
    /// The time of each frame in seconds, count numbers. A video needs them, an image has none.
    pub seconds: *const f64,
    pub width: usize,
    pub height: usize,
    /// Bytes from one row to the next; 0: width * 3.
    pub row_bytes: usize,
    /// FLEMING_MODALITY_IMAGE or FLEMING_MODALITY_VIDEO.
    pub modality: i32,
    /// 0
    pub reserved: i32,
}

/// A type of numbers.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoxelKind {
    /// int16_t, as of most CT.
    Int16 = 1,
    /// uint16_t, as of most MR.
    Uint16 = 2,
}

/// A volume that you have: depth slices of height rows of width numbers of 16 bits, without gaps, in the machine's byte order.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct VolumeInMemory {
    /// sizeof(fleming_volume)
    pub struct_size: usize,
    /// For messages and the reply; "volume" if NULL.
    pub name: *const c_char,
    /// The numbers.
    pub voxels: *const c_void,
    pub depth: usize,
    pub height: usize,
    pub width: usize,
    /// Millimetres between slices, rows and columns; all 0: unknown. They change no pixel; the reply has them.
    pub spacing_mm: [f64; 3],
    /// The values window_center - window_width / 2 to window_center + window_width / 2, in the numbers of the volume, become 0 to
    /// 255. With a width of 0 (and a center of 0) each slice is scaled by its own range.
    pub window_center: f64,
    pub window_width: f64,
    /// How many slices, evenly spaced; 0: 11.
    pub slices: usize,
    /// A fleming_voxel.
    pub voxel: i32,
    /// 0
    pub reserved: i32,
}

growing!(
    StudySetup as "fleming_study_options",
    Frames as "fleming_frames",
    VolumeInMemory as "fleming_volume",
);

/// Begins a request with its question.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_request_new(question: *const c_char, request: *mut *mut Question) -> Status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (question, out) = (text("question", question)?, Out::at("request", request)?);
        out.give(Arc::new(Question(Mutex::new(Asked { question, ..Asked::default() }))));
        Ok(Status::Ok)
    })
}

/// Adds an earlier turn, oldest first: what was asked and what was answered.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_request_turn(
    request: *mut Question,
    question: *const c_char,
    answer: *const c_char,
) -> Status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let request = held("request", request)?;
        let exchange = Exchange { question: text("question", question)?, answer: text("answer", answer)? };
        request.lock().history.push(exchange);
        Ok(Status::Ok)
    })
}

/// Adds a study in a file of this fleming_modality; options may be NULL. The file is read when the request is asked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_request_file(
    request: *mut Question,
    modality: i32,
    file: *const c_char,
    options: *const StudySetup,
) -> Status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let request = held("request", request)?;
        let (file, setup) = (path("file", file)?, self::options(options)?);
        if !setup.name.is_null() {
            return Err(Failure::argument("name", "NULL for a file, whose name is its path", "a text"));
        }
        request.add(setup.input(modality, Source::Path(file))?);
        Ok(Status::Ok)
    })
}

/// Adds a study in memory: the bytes of a whole file of this fleming_modality. Options may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_request_bytes(
    request: *mut Question,
    modality: i32,
    data: *const c_void,
    size: usize,
    options: *const StudySetup,
) -> Status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (request, setup) = (held("request", request)?, self::options(options)?);
        let name = optional_text("name", setup.name)?.unwrap_or_else(|| "bytes".into());
        let bytes = values("data", data.cast::<u8>(), size)?.into();
        request.add(setup.input(modality, Source::Bytes { name, bytes })?);
        Ok(Status::Ok)
    })
}

/// Adds pictures that you have: an image or a clip.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_request_frames(request: *mut Question, frames: *const Frames) -> Status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (request, frames) = (held("request", request)?, description(frames)?);
        request.add(StudyInput::Frames(frames.study()?));
        Ok(Status::Ok)
    })
}

/// Adds a volume that you have.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_request_volume(
    request: *mut Question,
    volume: *const VolumeInMemory,
) -> Status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (request, volume) = (held("request", request)?, description(volume)?);
        request.add(volume.input()?);
        Ok(Status::Ok)
    })
}

/// Frees a request; NULL is nothing to free. Answers to it go on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_request_free(request: *mut Question) {
    // SAFETY: the pointer is as the header asks.
    guard_free(|| drop(unsafe { taken(request) }));
}

impl Question {
    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, study: StudyInput) {
        self.lock().studies.push(study);
    }

    /// A copy of what was put together so far, with what the options say of it.
    ///
    /// # Safety
    /// The pointers of the options are as the header asks.
    pub(super) unsafe fn with(&self, setup: &AskSetup, engine: &Engine) -> Outcome<Request> {
        let placeholder = engine.package().manifest().placeholder();
        // SAFETY: the caller's.
        unsafe { setup.complete(&self.lock(), placeholder) }
    }
}

fn modality(number: i32) -> Outcome<Modality> {
    let all = [
        (ModalityKind::Image as i32, Modality::Image),
        (ModalityKind::Video as i32, Modality::Video),
        (ModalityKind::Volume as i32, Modality::Volume),
    ];
    one_of("fleming_modality", &all, number)
}

fn of_volume(slices: usize) -> Look {
    Look { slices: given(slices), ..Look::default() }
}

impl StudySetup {
    fn input(&self, kind: i32, source: Source) -> Outcome<StudyInput> {
        let of_volumes = self.slices != 0;
        let counts = [self.max_frames != 0, self.frames != 0, self.seconds != 0.0];
        let of_videos = counts.contains(&true) || self.start != 0.0 || self.end != 0.0;
        let refuse = |name: &str, wanted: &str| Err(Failure::argument(name, wanted, "something else"));
        match modality(kind)? {
            Modality::Image | Modality::Video if of_volumes => refuse("slices", "a volume"),
            Modality::Image | Modality::Volume if of_videos => {
                refuse("frames, seconds, start, end", "a video")
            }
            Modality::Image => Ok(StudyInput::image(source)),
            Modality::Volume => Ok(StudyInput::volume(source).look(of_volume(self.slices))),
            Modality::Video if counts.iter().filter(|given| **given).count() > 1 => {
                Err(Failure::argument("frames", "one of max_frames, frames and seconds", "several"))
            }
            Modality::Video => Ok(StudyInput::video(source).look(self.of_video())),
        }
    }

    fn of_video(&self) -> Look {
        let frames = match (given(self.frames), given(self.max_frames), self.seconds) {
            (Some(frames), ..) => Some(FrameCount::Exactly(frames)),
            (_, Some(max_frames), _) => Some(FrameCount::PerSecond { max_frames }),
            (_, _, seconds) if seconds != 0.0 => Some(FrameCount::Seconds(seconds)),
            _ => None,
        };
        let time = |seconds: f64| (seconds != 0.0).then_some(seconds);
        Look { frames, start: time(self.start), end: time(self.end), ..Look::default() }
    }
}

impl Frames {
    /// # Safety
    /// The pointers are as the header asks.
    unsafe fn study(&self) -> Outcome<Study> {
        let modality = match modality(self.modality)? {
            Modality::Volume => {
                return Err(Failure::argument("modality", "image or video", "volume"));
            }
            modality => modality,
        };
        let times = self.times(modality)?;
        let (Ok(width), Ok(height)) = (u32::try_from(self.width), u32::try_from(self.height)) else {
            let got = format!("{}×{}", self.width, self.height);
            return Err(Failure::argument("width, height", "sides below 2^32", &got));
        };
        // SAFETY: the caller's.
        let (name, pointers) =
            unsafe { (optional_text("name", self.name)?, values("frames", self.frames, self.count)?) };
        // SAFETY: the caller's.
        let seconds = unsafe { values("seconds", self.seconds, times) }?;
        let mut frames = Vec::with_capacity(pointers.len());
        for (index, pixels) in pointers.into_iter().enumerate() {
            // SAFETY: the caller's.
            let frame = Frame::rgb(width, height, unsafe { self.pixels(pixels) }?)?;
            frames.push(match seconds.get(index) {
                Some(&seconds) => frame.at(Provenance::video(index, seconds)),
                None => frame,
            });
        }
        let source = name.unwrap_or_else(|| "frames".into());
        Ok(Study { modality, source, frames, warnings: Vec::new() })
    }

    /// How many times are given.
    fn times(&self, modality: Modality) -> Outcome<usize> {
        if self.reserved != 0 {
            return Err(Failure::argument("reserved", "0", &self.reserved.to_string()));
        }
        let count = self.count.to_string();
        match (modality, self.count, self.seconds.is_null()) {
            (_, 0, _) => Err(Failure::argument("count", "at least 1", &count)),
            (Modality::Image, 2.., _) => Err(Failure::argument("count", "1 for an image", &count)),
            (Modality::Image, _, false) => Err(Failure::argument("seconds", "NULL for an image", "times")),
            (Modality::Image, ..) => Ok(0),
            (_, _, true) => Err(Failure::argument("seconds", "the time of each frame of a video", "NULL")),
            _ => Ok(self.count),
        }
    }

    /// A frame's pixels without the gaps between rows.
    ///
    /// # Safety
    /// `pixels` is NULL or a frame as the header asks.
    unsafe fn pixels(&self, pixels: *const u8) -> Outcome<Vec<u8>> {
        let row = self.width.checked_mul(3).filter(|row| *row > 0);
        let step = given(self.row_bytes).or(row);
        let (Some(row), Some(step)) = (row, step) else {
            return Err(Failure::argument("width", "a row of pixels", &self.width.to_string()));
        };
        if step < row {
            return Err(Failure::argument("row_bytes", &format!("at least {row}"), &step.to_string()));
        }
        if pixels.is_null() {
            return Err(Failure::argument("frames", "a pointer to each frame", "NULL"));
        }
        let mut copy = Vec::new();
        let place = |index: usize| index.checked_mul(step).filter(|place| *place <= isize::MAX as usize);
        for index in 0..self.height {
            let Some(place) = place(index) else {
                return Err(Failure::argument("row_bytes", "rows that fit into memory", &step.to_string()));
            };
            // SAFETY: the caller vouches for `height` rows, each `step` bytes after the one before.
            copy.extend(unsafe { values("frames", pixels.add(place), row) }?);
        }
        Ok(copy)
    }
}

impl VolumeInMemory {
    /// # Safety
    /// The pointers are as the header asks.
    unsafe fn input(&self) -> Outcome<StudyInput> {
        if self.reserved != 0 {
            return Err(Failure::argument("reserved", "0", &self.reserved.to_string()));
        }
        let shape = [self.depth, self.height, self.width];
        let count = shape.iter().try_fold(1_usize, |count, &side| count.checked_mul(side));
        let Some(count) = count.filter(|count| *count > 0) else {
            let got = format!("{shape:?}");
            return Err(Failure::argument("depth, height, width", "sizes of a volume", &got));
        };
        // SAFETY: the caller's.
        let name = unsafe { optional_text("name", self.name) }?;
        let kinds = [VoxelKind::Int16, VoxelKind::Uint16].map(|kind| (kind as i32, kind));
        let kind = one_of("fleming_voxel", &kinds, self.voxel)?;
        // SAFETY: the caller's; any bytes are numbers.
        let voxels = unsafe {
            match kind {
                VoxelKind::Int16 => Voxels::I16(values("voxels", self.voxels.cast(), count)?.into()),
                VoxelKind::Uint16 => Voxels::U16(values("voxels", self.voxels.cast(), count)?.into()),
            }
        };
        let volume = RawVolume {
            source: name.unwrap_or_else(|| "volume".into()),
            shape,
            voxels,
            spacing_mm: (self.spacing_mm != [0.0; 3]).then_some(self.spacing_mm),
        };
        let mut look = of_volume(self.slices);
        if self.window_center != 0.0 || self.window_width != 0.0 {
            look = look.window(Window::linear_exact(self.window_center, self.window_width));
        }
        Ok(StudyInput::raw(volume).look(look))
    }
}
