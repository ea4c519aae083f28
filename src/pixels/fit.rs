//! Frames to tiles.

use super::convert::{rgb, rgb_of_grey16, unpremultiply};
use super::resize::{bicubic, nearest};
use super::rows::{Bytes, Words};
use super::tile::Tile;
use super::tiling::Tiling;
use crate::error::Result;
use crate::frame::{Frame, Modality, PixelMode, Study};
use crate::watch::Watch;

/// The tiles of each frame of a study. A single image is resized in the mode its file has, as the reference does;
/// frames of videos and volumes, and images that are tiled, are RGB first.
///
/// # Errors
/// What the watch says.
pub(crate) fn tiles(study: &Study, size: u32, tiling: Tiling, watch: &Watch) -> Result<Vec<Vec<Tile>>> {
    let cut = |frame: &Frame| match study.modality {
        Modality::Image if tiling.max_tiles > 1 => tiling.cut(frame, size, watch),
        Modality::Image => Ok(vec![Tile(fit(frame, size, watch)?)]),
        Modality::Video | Modality::Volume => {
            Ok(vec![Tile(bicubic::<u8, 3>(&Bytes::rgb(frame), [size; 2], watch)?)])
        }
    };
    study.frames.iter().map(cut).collect()
}

/// How many tiles [`tiles`] makes of a frame of this width and height.
pub(crate) fn count(modality: Modality, [width, height]: [u32; 2], size: u32, tiling: Tiling) -> usize {
    match modality {
        Modality::Image if tiling.max_tiles > 1 => tiling.count([width, height], size),
        _ => 1,
    }
}

/// A single image at `size × size` in RGB, stretched, resized as Pillow's `resize` does in the image's own mode.
fn fit(frame: &Frame, size: u32, watch: &Watch) -> Result<Vec<u8>> {
    let (mode, to, stored) = (frame.mode(), [size; 2], Bytes::stored(frame));
    if (frame.width(), frame.height()) == (size, size) {
        return Ok(as_rgb(frame.samples(), mode));
    }
    Ok(match mode {
        PixelMode::Palette(_) | PixelMode::Bilevel => as_rgb(&nearest(&stored, to, watch)?, mode),
        PixelMode::Grey16 => {
            bicubic::<u16, 1>(&Words(frame), to, watch)?.into_iter().flat_map(rgb_of_grey16).collect()
        }
        PixelMode::Grey => as_rgb(&bicubic::<u8, 1>(&stored, to, watch)?, mode),
        PixelMode::GreyAlpha => {
            let mut samples = bicubic::<u8, 2>(&Bytes::premultiplied(frame, 2), to, watch)?;
            unpremultiply(&mut samples, 2);
            as_rgb(&samples, mode)
        }
        PixelMode::Rgba => {
            let mut samples = bicubic::<u8, 4>(&Bytes::premultiplied(frame, 4), to, watch)?;
            unpremultiply(&mut samples, 4);
            as_rgb(&samples, mode)
        }
        PixelMode::Cmyk => as_rgb(&bicubic::<u8, 4>(&stored, to, watch)?, mode),
        PixelMode::Rgb => bicubic::<u8, 3>(&stored, to, watch)?,
    })
}

/// A frame in RGB, in its own size.
pub(crate) fn picture(frame: &Frame) -> Vec<u8> {
    as_rgb(frame.samples(), frame.mode())
}

fn as_rgb(samples: &[u8], mode: &PixelMode) -> Vec<u8> {
    let mut out = Vec::new();
    rgb(samples, mode, &mut out);
    out
}
