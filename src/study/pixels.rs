//! Pictures in memory in the layouts of cameras and decoders.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::frame::Modality;

/// Pictures that the caller already has: one, or the frames of a clip.
///
/// ```
/// use fleming::{PixelFormat, RawFrame, RawFrames, StudyInput};
///
/// // Two rows of two blue pixels, each row 8 bytes after the one before.
/// let bytes = [255, 0, 0, 255, 0, 0, 9, 9, 255, 0, 0, 255, 0, 0];
/// let picture = RawFrame::new(PixelFormat::Bgr, [2, 2], &[(&bytes, 8)])?;
/// let study = StudyInput::raw_frames(RawFrames::image("camera", picture));
/// # Ok::<(), fleming::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RawFrames {
    /// The name used in messages and in [`FrameUsed::source`](crate::FrameUsed::source).
    pub source: String,
    /// [`Modality::Image`] or [`Modality::Video`].
    pub modality: Modality,
    /// The frames, in order.
    pub frames: Vec<RawFrame>,
    /// Of a clip, the time of each frame in seconds.
    pub seconds: Vec<f64>,
}

impl RawFrames {
    /// A single picture.
    pub fn image(source: impl Into<String>, picture: RawFrame) -> Self {
        Self { source: source.into(), modality: Modality::Image, frames: vec![picture], seconds: Vec::new() }
    }

    /// A clip: its frames in order, each with its time in seconds.
    pub fn video(source: impl Into<String>, frames: impl IntoIterator<Item = (f64, RawFrame)>) -> Self {
        let (seconds, frames) = frames.into_iter().unzip();
        Self { source: source.into(), modality: Modality::Video, frames, seconds }
    }
}

/// How the bytes of a picture are to be read. Alpha is not premultiplied: it is laid on white, as that of files is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PixelFormat {
    /// Three bytes a pixel: red, green, blue.
    Rgb,
    /// Three bytes a pixel: blue, green, red.
    Bgr,
    /// Four bytes a pixel: red, green, blue, alpha.
    Rgba,
    /// Four bytes a pixel: blue, green, red, alpha.
    Bgra,
    /// One byte a pixel.
    Grey,
    /// Two planes: Y of each pixel; U and V in turns, each for two by two pixels.
    Nv12(Yuv),
    /// Three planes: Y of each pixel; U for two by two pixels; V for two by two pixels.
    I420(Yuv),
}

/// How Y, U and V make a colour. The default is BT.601 in the limited range: what FFmpeg, and with it the reference script, takes
/// of a video that does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Yuv {
    /// The matrix.
    pub matrix: YuvMatrix,
    /// The range.
    pub range: YuvRange,
}

/// The matrix from YUV to RGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum YuvMatrix {
    /// ITU-R BT.601, of video of standard definition.
    #[default]
    Bt601,
    /// ITU-R BT.709, of video of high definition.
    Bt709,
}

/// The numbers that are black and white.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum YuvRange {
    /// Y from 16 to 235, U and V from 16 to 240: television.
    #[default]
    Limited,
    /// All from 0 to 255: JPEG, and many cameras.
    Full,
}

/// Bytes of a row, and rows.
type Extent = [usize; 2];

impl PixelFormat {
    /// The name in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            PixelFormat::Rgb => "RGB",
            PixelFormat::Bgr => "BGR",
            PixelFormat::Rgba => "RGBA",
            PixelFormat::Bgra => "BGRA",
            PixelFormat::Grey => "grey",
            PixelFormat::Nv12(_) => "NV12",
            PixelFormat::I420(_) => "I420",
        }
    }

    /// The planes of a picture of this width and height, each with bytes of a row and rows; `None` if no machine has as many
    /// bytes.
    pub(crate) fn planes(self, [width, height]: [u32; 2]) -> Option<Vec<Extent>> {
        let (width, height) = (width as usize, height as usize);
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        let planes = match self {
            PixelFormat::Rgb | PixelFormat::Bgr => vec![[width.checked_mul(3)?, height]],
            PixelFormat::Rgba | PixelFormat::Bgra => vec![[width.checked_mul(4)?, height]],
            PixelFormat::Grey => vec![[width, height]],
            PixelFormat::Nv12(_) => vec![[width, height], [half_width.checked_mul(2)?, half_height]],
            PixelFormat::I420(_) => {
                vec![[width, height], [half_width, half_height], [half_width, half_height]]
            }
        };
        let fits =
            |[row, rows]: &Extent| row.checked_mul(*rows).is_some_and(|bytes| bytes <= isize::MAX as usize);
        planes.iter().all(fits).then_some(planes)
    }
}

/// One picture in the layout of a camera or a decoder. It holds a copy of the pixels.
#[derive(Debug, Clone)]
pub struct RawFrame {
    format: PixelFormat,
    size: [u32; 2],
    /// Rows without gaps.
    planes: Vec<Arc<Vec<u8>>>,
}

impl RawFrame {
    /// A picture of this width and height: of each plane of its format the bytes, from the first pixel on, and how many bytes
    /// a row comes after the one before. The last row may end with its last pixel.
    ///
    /// # Errors
    /// [`Error::Input`] naming size, planes, stride or bytes if they contradict one another.
    pub fn new(format: PixelFormat, size: [u32; 2], planes: &[(&[u8], usize)]) -> Result<Self> {
        let name = format.name();
        let extents = format.planes(size).filter(|_| !size.contains(&0)).ok_or_else(|| {
            let got = format!("{}×{}", size[0], size[1]);
            Error::input(format!("{name}: size"), "a picture that fits into memory, at least 1×1", got)
                .hint("correct the size")
        })?;
        if planes.len() != extents.len() {
            return Err(Error::input(format!("{name}: planes"), extents.len(), planes.len())
                .hint("hand in the planes of the format, in its order"));
        }
        let copies = extents.iter().zip(planes).enumerate().map(|(place, (extent, (bytes, stride)))| {
            compact(*extent, bytes, *stride).map_err(|(what, wanted, got)| {
                let thing = format!("{name}: {what} of plane {place}");
                Error::input(thing, wanted, got).hint("correct it, or the size of the picture")
            })
        });
        Ok(Self { format, size, planes: copies.collect::<Result<_>>()? })
    }

    /// Width and height.
    pub(crate) fn size(&self) -> [u32; 2] {
        self.size
    }

    pub(crate) fn format(&self) -> PixelFormat {
        self.format
    }

    /// The bytes of each plane, its rows without gaps.
    pub(crate) fn planes(&self) -> &[Arc<Vec<u8>>] {
        &self.planes
    }
}

/// The rows of a plane without the gaps between them, or what is wrong: what, what was wanted, what was got.
fn compact(
    [row, rows]: Extent,
    bytes: &[u8],
    stride: usize,
) -> std::result::Result<Arc<Vec<u8>>, (&'static str, String, String)> {
    if stride < row {
        return Err(("stride", format!("at least {row} bytes"), stride.to_string()));
    }
    let needed = (rows - 1).checked_mul(stride).and_then(|bytes| bytes.checked_add(row));
    let Some(bytes) = needed.and_then(|needed| bytes.get(..needed)) else {
        let wanted =
            needed.map_or("fewer than any machine has".into(), |needed| format!("at least {needed}"));
        return Err(("bytes", wanted, bytes.len().to_string()));
    };
    let mut copy = Vec::new();
    if copy.try_reserve_exact(row * rows).is_err() {
        return Err(("bytes", "as many as there is memory for".into(), (row * rows).to_string()));
    }
    for padded in bytes.chunks(stride) {
        copy.extend_from_slice(padded.get(..row).unwrap_or_default());
    }
    Ok(Arc::new(copy))
}

#[cfg(test)]
mod tests;
