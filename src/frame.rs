//! Pictures in memory: a [`Frame`] is one of them, a [`Study`] is what one file held.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::view::VolumeView;

/// How the samples of a [`Frame`] are to be read. The names are Pillow's, because the reference resizes a
/// single image in the mode its file has and converts to RGB afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PixelMode {
    /// One bit a pixel, stored as one byte, 0 or 255.
    Bilevel,
    /// 8-bit grey.
    Grey,
    /// 8-bit grey and alpha.
    GreyAlpha,
    /// 16-bit grey, two bytes a sample, little-endian.
    Grey16,
    /// 8-bit index into a table of up to 256 RGB colours.
    Palette(Box<[[u8; 3]]>),
    /// 8-bit red, green, blue.
    Rgb,
    /// 8-bit red, green, blue, alpha (not premultiplied).
    Rgba,
    /// 8-bit cyan, magenta, yellow, black; 255 is full ink.
    Cmyk,
}

impl PixelMode {
    /// Bytes of one pixel.
    pub(crate) fn bytes_per_pixel(&self) -> usize {
        match self {
            PixelMode::Bilevel | PixelMode::Grey | PixelMode::Palette(_) => 1,
            PixelMode::GreyAlpha | PixelMode::Grey16 => 2,
            PixelMode::Rgb => 3,
            PixelMode::Rgba | PixelMode::Cmyk => 4,
        }
    }
}

/// The values of 16-bit samples.
pub(crate) fn values16(samples: &[u8]) -> impl Iterator<Item = u16> + '_ {
    samples.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
}

/// RGB of indices into a table of colours; what the table lacks is black.
pub(crate) fn colours_of(indices: &[u8], colours: &[[u8; 3]]) -> impl Iterator<Item = u8> {
    indices.iter().flat_map(|&index| colours.get(usize::from(index)).copied().unwrap_or_default())
}

/// What kind of thing a study is; it decides how its frames are prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Modality {
    /// A single picture.
    #[default]
    Image,
    /// Frames of a clip in order of time.
    Video,
    /// Slices of a volume, in order.
    Volume,
}

impl Modality {
    /// The word used in messages, options and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Modality::Image => "image",
            Modality::Video => "video",
            Modality::Volume => "volume",
        }
    }

    /// The same word in a sentence.
    pub(crate) fn with_article(self) -> &'static str {
        match self {
            Modality::Image => "an image",
            Modality::Video => "a video",
            Modality::Volume => "a volume",
        }
    }
}

/// Where in its study a frame came from, as far as is known.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Provenance {
    /// What kind of study it came from.
    pub modality: Modality,
    /// Videos: place in display order among the frames that are shown, from 0. Volumes: place along the axis of the slices,
    /// from 0.
    pub index: Option<usize>,
    /// Videos: seconds from the first frame that is shown to this one, by their time stamps. In reference preprocessing, and
    /// where the file has no time stamps, the number of the frame over the rate that the file states.
    pub seconds: Option<f64>,
    /// Volumes: the values that became 0 and 255. Of a sigmoid window, which never reaches them, where its steepest
    /// line does.
    pub window: Option<[f64; 2]>,
    /// Volumes: distances of neighbouring slices, rows and columns in millimetres.
    pub spacing_mm: Option<[f64; 3]>,
    /// Volumes: which axis of the stored array counts the slices.
    pub axis: Option<usize>,
    /// Volumes: place of the slice along the direction of the slices, in millimetres. In patient space it rises to the head,
    /// to posterior or to the left.
    pub position_mm: Option<f64>,
    /// Volumes: the first and the last slice that it was made of, where that is not `index` alone.
    pub slices: Option<[usize; 2]>,
    /// Volumes in patient space: how the volume was looked at.
    pub view: Option<Arc<VolumeView>>,
    /// Studies of several files: the name of the one it came from.
    pub part: Option<String>,
}

impl Provenance {
    /// A frame of a clip: its place in display order and its time in seconds.
    pub fn video(index: usize, seconds: f64) -> Self {
        Self { modality: Modality::Video, index: Some(index), seconds: Some(seconds), ..Self::default() }
    }

    /// A slice of a volume: its place along the axis of the slices, and the values that became 0 and 255.
    pub fn volume(index: usize, window: [f64; 2]) -> Self {
        Self { modality: Modality::Volume, index: Some(index), window: Some(window), ..Self::default() }
    }
}

/// One picture: `height` rows of `width` pixels, top to bottom, left to right, without padding.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    width: u32,
    height: u32,
    mode: PixelMode,
    /// Shared, so that a frame is cheap to clone.
    samples: Arc<Vec<u8>>,
    provenance: Provenance,
}

impl Frame {
    /// A frame of checked size.
    ///
    /// # Errors
    /// [`Error::Input`] if a side is zero or `samples` is not `width × height × bytes_per_pixel` long.
    pub(crate) fn new(
        width: u32,
        height: u32,
        mode: PixelMode,
        samples: impl Into<Arc<Vec<u8>>>,
        provenance: Provenance,
    ) -> Result<Self> {
        let samples = samples.into();
        let wanted =
            (width as usize).checked_mul(height as usize).and_then(|n| n.checked_mul(mode.bytes_per_pixel()));
        if width == 0 || height == 0 || wanted != Some(samples.len()) {
            return Err(Error::input(
                "frame",
                format!("{width}×{height} pixels of {} bytes, at least 1×1", mode.bytes_per_pixel()),
                format!("{} bytes", samples.len()),
            )
            .hint("hand over width × height × channels bytes, row by row without padding"));
        }
        Ok(Self { width, height, mode, samples, provenance })
    }

    /// An RGB frame of a single image, the usual case for a caller that brings its own pixels.
    ///
    /// ```
    /// let frame = fleming::Frame::rgb(2, 1, vec![255, 0, 0, 0, 0, 255])?;
    /// assert_eq!((frame.width(), frame.height()), (2, 1));
    /// # Ok::<(), fleming::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Input`] if a side is zero or `samples` is not `width × height × 3` bytes long.
    pub fn rgb(width: u32, height: u32, samples: Vec<u8>) -> Result<Self> {
        Self::new(width, height, PixelMode::Rgb, samples, Provenance::default())
    }

    /// The same frame with its place in a study: a camera's frame with its time.
    pub fn at(self, provenance: Provenance) -> Self {
        Self { provenance, ..self }
    }

    /// Pixels in a row.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Bytes of its samples in memory.
    pub fn bytes(&self) -> usize {
        self.samples.len()
    }

    /// How the samples are to be read.
    pub(crate) fn mode(&self) -> &PixelMode {
        &self.mode
    }

    /// The samples, row-major.
    pub(crate) fn samples(&self) -> &[u8] {
        &self.samples
    }

    /// Where the frame came from.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }
}

/// What one file (or one caller's buffer) held: its chosen frames, in order.
#[derive(Debug, Clone)]
pub struct Study {
    /// What kind of thing it is.
    pub modality: Modality,
    /// The name the caller knows it by: a path as given, or a word for bytes in memory.
    pub source: String,
    /// The chosen frames; never empty.
    pub frames: Vec<Frame>,
    /// What was done to the input that its owner should know, one sentence each.
    pub warnings: Vec<String>,
}

/// The warnings of all studies, each with its study if there are several.
pub(crate) fn warnings(studies: &[Study]) -> Vec<String> {
    let several = studies.len() > 1;
    let of = |study: &Study| -> Vec<String> {
        let name = |warning: &String| match several {
            true => format!("{}: {warning}", study.source),
            false => warning.clone(),
        };
        study.warnings.iter().map(name).collect()
    };
    studies.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_names_its_study_among_several() {
        let study = |source: &str, warnings: &[&str]| Study {
            modality: Modality::Image,
            source: source.into(),
            frames: Vec::new(),
            warnings: warnings.iter().map(|&warning| warning.into()).collect(),
        };
        assert_eq!(warnings(&[study("a.png", &["It is grey."])]), ["It is grey."]);
        let several = [study("a.png", &[]), study("b.png", &["It is grey.", "It is small."])];
        assert_eq!(warnings(&several), ["b.png: It is grey.", "b.png: It is small."]);
    }
}
