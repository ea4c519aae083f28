//! What there is to look at: in files, in bytes, in frames, in volumes.

use std::ffi::{c_char, c_void};

use super::arguments::{Growing, given, growing, optional_text, values, zero};
use super::enums::{fleming_voxel, modality, voxel};
use super::status::{CallResult, Failure};
use crate::wire;
use crate::{
    Frame, FrameCount, Look, Modality, Provenance, RawVolume, Source, Study, StudyInput, Voxels, Window,
    Windowing,
};

/// What of a file is looked at. 0 and NULL are the defaults; what does not fit the kind of file is refused.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fleming_study_options {
    /// sizeof(fleming_study_options)
    pub struct_size: usize,
    /// The name of bytes in memory, for messages and the reply; "bytes" by default. A file's name is its path.
    pub name: *const c_char,
    /// Volumes: how many slices, evenly spaced; 11 by default.
    pub slices: usize,
    /// Videos: one frame a second, at most this many; 32 by default. Of max_frames, frames and seconds at most one may be given.
    pub max_frames: usize,
    /// Videos: exactly this many frames.
    pub frames: usize,
    /// Videos: one frame for each second of a duration that you state.
    pub seconds: f64,
    /// Videos: the part to look at, in seconds; end 0 is the clip's end.
    pub start: f64,
    pub end: f64,
    /// Volumes, and grey pictures and clips of DICOM: how values become grey: a centre and a width, "-600/1500", or a window's
    /// name, "lung", as docs/input.md lists them. Each slice of an array is scaled by its own range by default.
    pub window: *const c_char,
    /// Other options of docs/input.md, by their names in JSON: {"form": "native", "plane": "coronal", "range": "40-120"}. The
    /// fields above hold before them.
    pub options: *const c_char,
}

/// Frames that you have: count pictures of height rows of width pixels of 3 bytes, red, green, blue.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fleming_frames {
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

/// A volume that you have: depth slices of height rows of width numbers of 16 bits, without gaps, in the machine's byte order.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fleming_volume {
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

growing!(fleming_frames, fleming_volume);

// SAFETY: as of the others.
unsafe impl Growing for fleming_study_options {
    // `window` and `options` came later.
    const FIRST: usize = 64;
    const NAME: &'static str = "fleming_study_options";
}

fn of_volume(slices: usize) -> Look {
    Look { slices: given(slices), ..Look::default() }
}

impl fleming_study_options {
    /// # Safety
    /// The pointers are as the header asks.
    pub(super) unsafe fn input(&self, kind: i32, source: Source) -> CallResult<StudyInput> {
        // SAFETY: the caller's.
        let window = unsafe { optional_text("window", self.window) }?;
        let window = window.map(|text| text.parse::<Windowing>()).transpose()?;
        // SAFETY: the caller's.
        let others = unsafe { optional_text("options", self.options) }?;
        let others = others.map(|text| wire::look(&text)).transpose()?.unwrap_or_default();
        let others = Look { window: window.or(others.window), ..others };
        let counts = [self.max_frames != 0, self.frames != 0, self.seconds != 0.0];
        let of_videos = counts.contains(&true) || self.start != 0.0 || self.end != 0.0;
        let refuse = |name: &str, wanted: &str| Err(Failure::argument(name, wanted, "something else"));
        match modality(kind)? {
            Modality::Image | Modality::Video if self.slices != 0 => refuse("slices", "a volume"),
            Modality::Image | Modality::Volume if of_videos => {
                refuse("frames, seconds, start, end", "a video")
            }
            Modality::Image => Ok(StudyInput::image(source).look(others)),
            Modality::Volume => {
                let slices = given(self.slices).or(others.slices);
                Ok(StudyInput::volume(source).look(Look { slices, ..others }))
            }
            Modality::Video if counts.iter().filter(|given| **given).count() > 1 => {
                Err(Failure::argument("frames", "one of max_frames, frames and seconds", "several"))
            }
            Modality::Video => Ok(StudyInput::video(source).look(self.of_video(others))),
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

impl fleming_frames {
    /// # Safety
    /// The pointers are as the header asks.
    pub(super) unsafe fn study(&self) -> CallResult<Study> {
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
    fn times(&self, modality: Modality) -> CallResult<usize> {
        zero("reserved", self.reserved)?;
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
    unsafe fn pixels(&self, pixels: *const u8) -> CallResult<Vec<u8>> {
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

impl fleming_volume {
    /// # Safety
    /// The pointers are as the header asks.
    pub(super) unsafe fn input(&self) -> CallResult<StudyInput> {
        zero("reserved", self.reserved)?;
        let shape = [self.depth, self.height, self.width];
        let count = shape.iter().try_fold(1_usize, |count, &side| count.checked_mul(side));
        let Some(count) = count.filter(|count| *count > 0) else {
            let got = format!("{shape:?}");
            return Err(Failure::argument("depth, height, width", "sizes of a volume", &got));
        };
        // SAFETY: the caller's.
        let name = unsafe { optional_text("name", self.name) }?;
        let kind = voxel(self.voxel)?;
        // SAFETY: the caller's; any bytes are numbers.
        let voxels = unsafe {
            match kind {
                fleming_voxel::Int16 => Voxels::I16(values("voxels", self.voxels.cast(), count)?.into()),
                fleming_voxel::Uint16 => Voxels::U16(values("voxels", self.voxels.cast(), count)?.into()),
            }
        };
        let mut volume = RawVolume::new(name.unwrap_or_else(|| "volume".into()), shape, voxels);
        volume.spacing_mm = (self.spacing_mm != [0.0; 3]).then_some(self.spacing_mm);
        let mut look = of_volume(self.slices);
        if self.window_center != 0.0 || self.window_width != 0.0 {
            look = look.window(Window::linear_exact(self.window_center, self.window_width));
        }
        Ok(StudyInput::raw(volume).look(look))
    }
}
