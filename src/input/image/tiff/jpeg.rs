//! Strips and tiles that are JPEGs without the tables that all of them share.

use std::ops::RangeInclusive;

use super::super::super::limits::Budget;
use super::super::jpeg;
use super::super::picture::{Fault, Picture};
use crate::frame::PixelMode;

/// What the samples of such a strip are, which its own header does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    /// As they are meant.
    Plain,
    /// Luma and differences of colour, to be RGB.
    YCbCr,
}

/// A whole JPEG of a strip: the shared tables, then the strip, and before them a mark of Adobe's that says what the samples
/// are. Marks of programs are left out, since they would say it too.
///
/// # Errors
/// If the strip is none.
pub(super) fn whole(tables: &[u8], strip: &[u8], colours: Colours) -> Result<Vec<u8>, Fault> {
    let broken = || Fault::damaged("TIFF", "a strip or tile that is no JPEG");
    let transform = u8::from(colours == Colours::YCbCr);
    let mut all = vec![0xff, 0xd8, 0xff, 0xee, 0, 14];
    all.extend_from_slice(b"Adobe\0\x64\0\0\0\0");
    all.push(transform);
    let room = tables.len().saturating_add(strip.len());
    all.try_reserve(room).map_err(|_| Fault::damaged("TIFF", "too little memory for its strips"))?;
    let (segments, _) = split(tables).unwrap_or_default();
    segments.iter().for_each(|segment| all.extend_from_slice(segment));
    let (segments, rest) = split(strip).ok_or_else(broken)?;
    segments.iter().for_each(|segment| all.extend_from_slice(segment));
    all.extend_from_slice(rest);
    Ok(all)
}

/// The segments after the first mark, but for those of programs; and from the first scan or the end on, the rest.
fn split(stream: &[u8]) -> Option<(Vec<&[u8]>, &[u8])> {
    let mut rest = stream.strip_prefix(b"\xff\xd8")?;
    let mut segments = Vec::new();
    loop {
        // Any number of 0xff may stand before a mark.
        let at = rest.iter().position(|&byte| byte != 0xff).filter(|&at| at > 0)?;
        rest = &rest[at - 1..];
        let mark = rest[1];
        if matches!(mark, 0xda | 0xd9) {
            return Some((segments, rest));
        }
        let length = usize::from(u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?])).checked_add(2)?;
        let segment = rest.get(..length)?;
        if !matches!(mark, 0xe0..=0xef) {
            segments.push(segment);
        }
        rest = &rest[length..];
    }
}

/// The samples of such a JPEG of this width and a number of rows among these, of so many samples a pixel.
///
/// # Errors
/// If it is damaged, or another picture.
pub(super) fn samples(
    bytes: &[u8],
    (width, rows): (usize, RangeInclusive<usize>),
    channels: usize,
    budget: &Budget,
) -> Result<Vec<u8>, Fault> {
    let other = |got: String| Fault::damaged("TIFF", format!("a strip or tile of {got}"));
    let (across, down) = jpeg::stored_size(bytes)?;
    if across as usize != width || !rows.contains(&(down as usize)) {
        return Err(other(format!("{across}×{down} pixels")));
    }
    let Picture { mode, samples, .. } = jpeg::stored(bytes, budget)?;
    let plain = matches!(mode, PixelMode::Grey | PixelMode::Rgb | PixelMode::Cmyk);
    match plain && mode.bytes_per_pixel() == channels {
        true => Ok(samples),
        false => Err(other(format!("{} samples a pixel", mode.bytes_per_pixel()))),
    }
}
