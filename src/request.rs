//! What is asked and what comes back.

use std::path::PathBuf;
use std::sync::Arc;

use crate::frame::Study;

/// Where the bytes of a study are.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file.
    Path(PathBuf),
    /// The content of a file in memory, with a name for messages.
    Bytes {
        /// The name used in messages and in [`FrameUsed::source`].
        name: String,
        /// The whole content.
        bytes: Arc<[u8]>,
    },
}

impl Source {
    /// The name used in messages.
    pub fn name(&self) -> String {
        match self {
            Source::Path(path) => path.display().to_string(),
            Source::Bytes { name, .. } => name.clone(),
        }
    }
}

/// How faithfully the reference script's handling of inputs is followed.
///
/// The two differ only where the script is plainly broken: 16-bit grey images, palette and 1-bit images, EXIF
/// orientation, integer volumes whose range overflows their type, NaN or infinity in a volume, and `<image>`
/// tags that are more than the pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preprocessing {
    /// Bit for bit the reference script, quirks included.
    Reference,
    /// The reference with its defects mended; each mend that took effect is reported as a warning.
    #[default]
    Clinical,
}

/// How many frames of a clip are looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FrameCount {
    /// One frame for each second of the chosen part, at least one and at most `max_frames`.
    PerSecond {
        /// The cap.
        max_frames: usize,
    },
    /// One frame for each whole second of a duration that the caller states.
    Seconds(f64),
    /// Exactly this many.
    Exactly(usize),
}

/// Which frames of a clip are looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VideoSampling {
    /// How many.
    pub count: FrameCount,
    /// Start of the part to look at, in seconds; the clip's start if absent.
    pub start: Option<f64>,
    /// End of the part to look at, in seconds; the clip's end if absent.
    pub end: Option<f64>,
}

impl Default for VideoSampling {
    fn default() -> Self {
        Self { count: FrameCount::PerSecond { max_frames: 32 }, start: None, end: None }
    }
}

/// Which slices of a volume are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VolumeSampling {
    /// How many, evenly spaced from the first to the last.
    pub slices: usize,
}

impl Default for VolumeSampling {
    fn default() -> Self {
        // The reference script's number.
        Self { slices: 11 }
    }
}

/// One thing to look at.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StudyInput {
    /// An image file.
    Image(Source),
    /// A video file.
    Video(Source, VideoSampling),
    /// A volume file.
    Volume(Source, VolumeSampling),
    /// Frames that the caller already has.
    Frames(Study),
}
