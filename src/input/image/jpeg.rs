//! JPEG. Only libjpeg-turbo (feature `jpeg-turbo`) gives the pixels that Pillow gives; without the feature
//! another decoder reads JPEG, some levels apart, and CMYK as RGB.

use super::super::codecs::{self, Codec};
use super::super::limits::Budget;
use super::super::reading::ReadOptions;
use super::coded;
use super::orientation::Orientation;
use super::picture::{Fault, Picture};
use crate::frame::PixelMode;
use crate::study::Preprocessing;

/// Width and height as it will be read.
pub(super) fn size(bytes: &[u8], options: &ReadOptions) -> Result<(u32, u32), Fault> {
    let segments = Segments::of(bytes);
    if !segments.complete {
        return Err(cut_off());
    }
    if is_wide(bytes) {
        return Ok(segments.orientation.upright(coded::size(Codec::Jpeg, bytes, options)?));
    }
    let size = stored_size(bytes)?;
    let pixels = options.budget.check_pixels("", size.0, size.1)?;
    options.budget.check_scans("", segments.scans, pixels as u64)?;
    Ok(match options.preprocessing {
        Preprocessing::Reference => size,
        Preprocessing::Clinical => segments.orientation.upright(size),
    })
}

pub(super) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Picture, Fault> {
    let segments = Segments::of(bytes);
    if !segments.complete {
        return Err(cut_off());
    }
    if is_wide(bytes) {
        return Ok(coded::decode(Codec::Jpeg, bytes, options)?.turned(segments.orientation));
    }
    let mut picture = stored(bytes, &options.budget)?;
    if picture.mode == PixelMode::Cmyk {
        // Pillow takes every such file for Adobe's, which store the absence of ink.
        picture.samples.iter_mut().for_each(|ink| *ink = !*ink);
    }
    Ok(picture.turned(segments.orientation))
}

/// Whether samples have more than 8 bits, of which libjpeg-turbo's functions for 8 bits make nothing.
fn is_wide(bytes: &[u8]) -> bool {
    codecs::header(Codec::Jpeg, bytes).is_ok_and(|header| header.precision > 8)
}

fn cut_off() -> Fault {
    Fault::damaged("JPEG", "a file that ends before the picture does")
}

/// What the segments around the pixels tell.
struct Segments {
    orientation: Orientation,
    /// Whether the pixels are followed by the end mark.
    complete: bool,
    /// How often the decoder will go over the pixels.
    scans: u64,
}

impl Segments {
    fn of(bytes: &[u8]) -> Self {
        let (mut exif, mut xmp) = (Vec::new(), None);
        let mut at = 2;
        while let Some((marker, start)) = next_marker(bytes, at) {
            if marker == 0xda {
                at = start;
                break;
            }
            let Some(&[high, low]) = bytes.get(start..).and_then(|rest| rest.first_chunk()) else { break };
            let end = start + usize::from(u16::from_be_bytes([high, low])).max(2);
            let Some(body) = bytes.get(start + 2..end) else { break };
            // EXIF beyond 64 KiB goes on in the next segment.
            if let (0xe1, Some(data)) = (marker, body.strip_prefix(b"Exif\0\0")) {
                exif.extend_from_slice(data);
            }
            if let (0xe1, Some(data)) = (marker, body.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0")) {
                xmp.get_or_insert(data);
            }
            at = end;
        }
        let complete =
            bytes.get(at..).is_some_and(|rest| rest.windows(2).rev().any(|pair| pair == [0xff, 0xd9]));
        let scans = 1 + scans(bytes.get(at..).unwrap_or_default());
        Self { orientation: Orientation::stated(Some(&exif), xmp), complete, scans }
    }
}

/// How many scans begin among these bytes. Pixels that look like the mark have a 0 in between.
pub(super) fn scans(bytes: &[u8]) -> u64 {
    bytes.windows(2).filter(|pair| *pair == [0xff, 0xda]).count() as u64
}

/// The next marker that has a length, from `at` on, and where that length stands.
fn next_marker(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let rest = bytes.get(at..)?;
    let found = rest
        .windows(2)
        .position(|pair| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0x01 | 0xd0..=0xd8 | 0xff))?;
    Some((rest[found + 1], at + found + 2))
}

/// Width and height as they are stored.
#[cfg(feature = "jpeg-turbo")]
pub(super) fn stored_size(bytes: &[u8]) -> Result<(u32, u32), Fault> {
    let damaged = |error: turbojpeg::Error| Fault::damaged("JPEG", error);
    let header = turbojpeg::Decompressor::new().and_then(|mut decoder| decoder.read_header(bytes));
    let header = header.map_err(damaged)?;
    let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
    Ok((side(header.width), side(header.height)))
}

/// Width and height as they are stored.
#[cfg(not(feature = "jpeg-turbo"))]
pub(super) fn stored_size(bytes: &[u8]) -> Result<(u32, u32), Fault> {
    use image::ImageDecoder;
    use image::codecs::jpeg::JpegDecoder;

    let decoder = JpegDecoder::new(std::io::Cursor::new(bytes));
    Ok(decoder.map_err(|error| Fault::damaged("JPEG", error))?.dimensions())
}

/// The picture as it is stored, not turned, with inks as they stand there.
#[cfg(feature = "jpeg-turbo")]
pub(super) fn stored(bytes: &[u8], budget: &Budget) -> Result<Picture, Fault> {
    use turbojpeg::{Colorspace, Decompressor, Image, PixelFormat};

    use super::picture::samples;

    let damaged = |error: turbojpeg::Error| Fault::damaged("JPEG", error);
    let mut decoder = Decompressor::new().map_err(damaged)?;
    let header = decoder.read_header(bytes).map_err(damaged)?;
    let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
    let size = (side(header.width), side(header.height));
    let count = budget.check_pixels("", size.0, size.1)?;
    let (format, mode) = match header.colorspace {
        Colorspace::Gray => (PixelFormat::GRAY, PixelMode::Grey),
        Colorspace::CMYK | Colorspace::YCCK => (PixelFormat::CMYK, PixelMode::Cmyk),
        _ => (PixelFormat::RGB, PixelMode::Rgb),
    };
    let pitch = header.width * format.size();
    let mut samples = samples(count * format.size())?;
    let output =
        Image { pixels: samples.as_mut_slice(), width: header.width, pitch, height: header.height, format };
    let mut remarks = Vec::new();
    if let Err(error) = decoder.decompress(bytes, output) {
        let message = error.to_string();
        if !codecs::is_harmless(&message) {
            return Err(Fault::damaged("JPEG", message));
        }
        remarks.push(format!("The file is slightly damaged ({message}); look at the image itself."));
    }
    let mut picture = Picture::new(size, mode, samples);
    picture.remarks = remarks;
    Ok(picture)
}

/// The picture as it is stored, not turned.
#[cfg(not(feature = "jpeg-turbo"))]
pub(super) fn stored(bytes: &[u8], budget: &Budget) -> Result<Picture, Fault> {
    use image::codecs::jpeg::JpegDecoder;

    let decoder =
        JpegDecoder::new(std::io::Cursor::new(bytes)).map_err(|error| Fault::damaged("JPEG", error))?;
    let mut picture = super::webp::pixels("JPEG", decoder, budget)?;
    picture.remarks.push("This build reads JPEG without libjpeg-turbo: pixels differ slightly.".into());
    Ok(picture)
}
