//! WebP, and whatever else the `image` crate decodes without hiding the file's own mode.

use std::io::Cursor;

use image::codecs::webp::WebPDecoder;
use image::{ColorType, ImageDecoder};

use super::super::limits::Budget;
use super::super::reading::ReadOptions;
use super::orientation::Orientation;
use super::picture::{Fault, Picture, samples};
use crate::frame::PixelMode;
use crate::study::Preprocessing;

/// Width and height as it will be read.
pub(super) fn size(bytes: &[u8], options: &ReadOptions) -> Result<(u32, u32), Fault> {
    let decoder = decoder(bytes)?;
    let size = decoder.dimensions();
    options.budget.check_pixels("", size.0, size.1)?;
    Ok(match options.preprocessing {
        Preprocessing::Reference => size,
        Preprocessing::Clinical => orientation(bytes).upright(size),
    })
}

pub(super) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Picture, Fault> {
    Ok(pixels("WebP", decoder(bytes)?, &options.budget)?.turned(orientation(bytes)))
}

fn decoder(bytes: &[u8]) -> Result<WebPDecoder<Cursor<&[u8]>>, Fault> {
    let decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(|error| Fault::damaged("WebP", error))?;
    // Beyond being no single picture: the decoder panics on animations whose frames contradict their headers.
    if decoder.has_animation() || chunk(bytes, b"ANMF").is_some() {
        return Err(Fault::unsupported("an animated WebP"));
    }
    Ok(decoder)
}

fn orientation(bytes: &[u8]) -> Orientation {
    Orientation::told(chunk(bytes, b"EXIF"), chunk(bytes, b"XMP "))
}

/// The content of the first chunk of this name. The decoder would allocate whatever length the chunk claims.
fn chunk<'a>(bytes: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    let mut rest = bytes.get(12..)?;
    loop {
        let (found, after) = rest.split_first_chunk::<4>()?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        if found == name {
            return after.get(..length);
        }
        // Chunks begin at even places.
        rest = after.get(length.checked_add(length % 2)?..)?;
    }
}

/// The pixels that a decoder of the `image` crate gives.
pub(super) fn pixels(format: &str, decoder: impl ImageDecoder, budget: &Budget) -> Result<Picture, Fault> {
    let size = decoder.dimensions();
    let count = budget.check_pixels("", size.0, size.1)?;
    let mode = match decoder.color_type() {
        ColorType::L8 => PixelMode::Grey,
        ColorType::Rgb8 => PixelMode::Rgb,
        ColorType::Rgba8 => PixelMode::Rgba,
        other => return Err(Fault::unsupported(format!("a {format} of {other:?} pixels"))),
    };
    let mut samples = samples(count * mode.bytes_per_pixel())?;
    decoder.read_image(&mut samples).map_err(|error| Fault::damaged(format, error))?;
    Ok(Picture::new(size, mode, samples))
}
