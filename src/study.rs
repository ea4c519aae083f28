//! Studies as callers name them: source, kind, and the part to look at.

mod values;
mod volume;
mod picture;
mod pixels;
mod windowing;
mod look;
mod leafing;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::frame::{Modality, Study};

pub(crate) use look::Every;
#[cfg(feature = "capi")]
pub(crate) use look::MOST_FRAMES;
pub use look::{FrameCount, Look};
pub use picture::RawPicture;
pub use pixels::{PixelFormat, RawFrame, RawFrames, Yuv, YuvMatrix, YuvRange};
pub(crate) use values::NumberForm;
pub use values::{PatientSpace, Rescale, VolumeKind, Voxels};
pub use volume::{RawVolume, Window, WindowFunction};
pub use windowing::Windowing;

/// Where the bytes of a study are.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Source {
    /// A file.
    Path(PathBuf),
    /// A file that a program keeps for its users. Files beside it do not belong to it.
    Kept(Arc<dyn KeptFile>),
    /// The content of a file in memory, with a name for messages.
    Bytes {
        /// The name used in messages and in [`FrameUsed::source`](crate::FrameUsed::source).
        name: String,
        /// The whole content.
        bytes: Arc<[u8]>,
    },
    /// Several files that are one study: the slices of a series.
    Files(Vec<PathBuf>),
    /// The same in memory.
    Buffers(Vec<Buffer>),
}

/// The whole content of one of several files in memory.
#[derive(Debug, Clone)]
pub struct Buffer {
    /// The name used in messages and in [`Provenance::part`](crate::Provenance::part).
    pub name: String,
    /// The whole content.
    pub bytes: Arc<[u8]>,
}

/// A file that a program keeps under another name than its users know it by. It stays where it is as long as this lives, so
/// that a program may delete it once nothing reads it any more.
pub trait KeptFile: fmt::Debug + Send + Sync {
    /// The name used in messages and in [`FrameUsed::source`](crate::FrameUsed::source).
    fn name(&self) -> &str;

    /// Where it is.
    fn path(&self) -> &Path;
}

impl Source {
    /// The name used in messages.
    pub fn name(&self) -> String {
        match self {
            Source::Path(path) => path.display().to_string(),
            Source::Kept(file) => file.name().to_owned(),
            Source::Bytes { name, .. } => name.clone(),
            Source::Files(files) => of_several(files.iter().map(|file| file.display().to_string())),
            Source::Buffers(buffers) => of_several(buffers.iter().map(|buffer| buffer.name.clone())),
        }
    }
}

fn of_several(mut names: impl ExactSizeIterator<Item = String>) -> String {
    match (names.next(), names.len()) {
        (None, _) => "no files".into(),
        (Some(only), 0) => only,
        (Some(first), others) => format!("{first} and {others} more"),
    }
}

impl From<PathBuf> for Source {
    fn from(path: PathBuf) -> Self {
        Source::Path(path)
    }
}

impl From<&Path> for Source {
    fn from(path: &Path) -> Self {
        Source::Path(path.into())
    }
}

impl From<&str> for Source {
    fn from(path: &str) -> Self {
        Source::Path(path.into())
    }
}

/// How faithfully the reference script's handling of inputs is followed.
///
/// The two differ only where the script is plainly broken: images of 16 bits a channel, palette and 1-bit images,
/// transparency, orientation by EXIF or XMP, integer volumes whose range overflows their type, NaN or infinity in a volume,
/// videos whose frames do not follow steadily or are hidden by an edit list, and `<image>` tags that are more than the
/// pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preprocessing {
    /// Bit for bit the reference script, quirks included.
    Reference,
    /// The reference with its defects mended; each mend that took effect is reported as a warning.
    #[default]
    Clinical,
}

/// One thing to look at.
///
/// ```
/// use fleming::{FrameCount, Look, StudyInput};
///
/// // The content says what it is.
/// let study = StudyInput::file("chest.png");
/// // Anything but a video is refused.
/// let clip = StudyInput::video("clip.mp4").look(Look::default().frames(FrameCount::Exactly(6)));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StudyInput {
    /// A file, or several that are one study.
    File {
        /// Where it is.
        source: Source,
        /// What it must be; `None` accepts every kind.
        modality: Option<Modality>,
        /// What of it is looked at.
        look: Look,
    },
    /// A volume that the caller already has.
    Raw(RawVolume, Look),
    /// A grey picture of measured values that the caller already has.
    RawPicture(RawPicture, Look),
    /// Frames that the caller already has, as they go into preprocessing.
    Frames(Study),
    /// Frames that the caller already has, in the layout of a camera or a decoder.
    RawFrames(RawFrames),
}

impl StudyInput {
    /// A file of any kind that can be read: its content says which.
    pub fn file(source: impl Into<Source>) -> Self {
        StudyInput::File { source: source.into(), modality: None, look: Look::default() }
    }

    /// A file that must be of this kind.
    pub fn of(modality: Modality, source: impl Into<Source>) -> Self {
        StudyInput::File { source: source.into(), modality: Some(modality), look: Look::default() }
    }

    /// A file that must be a single picture.
    pub fn image(source: impl Into<Source>) -> Self {
        Self::of(Modality::Image, source)
    }

    /// A file that must be a clip.
    pub fn video(source: impl Into<Source>) -> Self {
        Self::of(Modality::Video, source)
    }

    /// A file that must be a volume.
    pub fn volume(source: impl Into<Source>) -> Self {
        Self::of(Modality::Volume, source)
    }

    /// A volume that the caller already has.
    pub fn raw(volume: RawVolume) -> Self {
        StudyInput::Raw(volume, Look::default())
    }

    /// A grey picture of measured values that the caller already has.
    pub fn raw_picture(picture: RawPicture) -> Self {
        StudyInput::RawPicture(picture, Look::default())
    }

    /// Frames that the caller already has.
    pub fn raw_frames(frames: RawFrames) -> Self {
        StudyInput::RawFrames(frames)
    }

    /// The same study, looked at in this way. Frames that the caller has are looked at as they are.
    pub fn look(mut self, chosen: Look) -> Self {
        match &mut self {
            StudyInput::File { look, .. } | StudyInput::Raw(_, look) | StudyInput::RawPicture(_, look) => {
                *look = chosen
            }
            StudyInput::Frames(_) | StudyInput::RawFrames(_) => {}
        }
        self
    }

    /// The name used in messages.
    pub fn name(&self) -> String {
        match self {
            StudyInput::File { source, .. } => source.name(),
            StudyInput::Raw(volume, _) => volume.source.clone(),
            StudyInput::RawPicture(picture, _) => picture.source.clone(),
            StudyInput::RawFrames(frames) => frames.source.clone(),
            StudyInput::Frames(study) => study.source.clone(),
        }
    }
}
