//! PNG. Transparency by colour (tRNS), gamma and profiles are left alone, as Pillow leaves them.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, Limits};

use super::super::reading::ReadOptions;
use super::layout;
use super::orientation::Orientation;
use super::paced::Paced;
use super::picture::{Fault, Picture, checked_pixels, samples};
use crate::frame::PixelMode;
use crate::study::Preprocessing;

/// Bytes that the decoder may take for itself: a row at most and what it unpacks besides the picture.
const LIMITS: Limits = Limits { bytes: 256 << 20 };

/// Width and height as it will be read.
pub(super) fn size(bytes: &[u8], preprocessing: Preprocessing) -> Result<(u32, u32), Fault> {
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), LIMITS);
    let header = decoder.read_header_info().map_err(damaged)?;
    let size = (header.width, header.height);
    checked_pixels(size.0, size.1)?;
    Ok(match preprocessing {
        Preprocessing::Reference => size,
        Preprocessing::Clinical => orientation(bytes).upright(size),
    })
}

pub(super) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Picture, Fault> {
    let mut decoder = Decoder::new_with_limits(Paced::new(bytes, &options.watch), LIMITS);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.ignore_checksums(false);
    let header = decoder.read_header_info().map_err(damaged)?;
    let size = (header.width, header.height);
    checked_pixels(size.0, size.1)?;
    let mut reader = decoder.read_info().map_err(damaged)?;
    let length = reader.output_buffer_size().ok_or_else(|| Fault::damaged("PNG", "an impossible size"))?;
    let mut packed = samples(length)?;
    let frame = reader.next_frame(&mut packed).map_err(damaged)?;
    if (frame.width, frame.height) != size {
        return Err(Fault::unsupported("an animated PNG whose first frame is a part of the picture"));
    }
    let colours = reader.info().palette.as_deref().unwrap_or_default();
    let (mode, samples) = interpret(packed, size, (frame.color_type, frame.bit_depth), colours);
    Ok(Picture::new(size, mode, samples).turned(orientation(bytes)))
}

fn damaged(error: png::DecodingError) -> Fault {
    Fault::damaged("PNG", error)
}

/// What the EXIF chunk says, which may stand behind the pixels.
fn orientation(bytes: &[u8]) -> Orientation {
    chunk(bytes, b"eXIf").map_or(Orientation::UPRIGHT, Orientation::of_exif)
}

/// The content of the first chunk of this name.
fn chunk<'a>(bytes: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    let mut rest = bytes.get(8..)?;
    loop {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (found, after) = after.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        if found == name {
            return after.get(..length);
        }
        // A check sum of 4 bytes follows the content.
        rest = after.get(length.checked_add(4)?..)?;
    }
}

fn interpret(
    mut packed: Vec<u8>,
    size: (u32, u32),
    kind: (ColorType, BitDepth),
    colours: &[u8],
) -> (PixelMode, Vec<u8>) {
    if kind.1 == BitDepth::Sixteen {
        layout::swap16(&mut packed);
    }
    let bits = kind.1 as u32;
    match kind {
        (ColorType::Grayscale, BitDepth::Sixteen) => (PixelMode::Grey16, packed),
        (ColorType::Grayscale, _) => layout::grey(layout::unpack(&packed, size, bits), bits),
        (ColorType::Indexed, _) => {
            (layout::palette(layout::triples(colours)), layout::unpack(&packed, size, bits))
        }
        // Pillow has no mode of 16-bit grey and alpha.
        (ColorType::GrayscaleAlpha, BitDepth::Sixteen) => {
            let rgba = packed.chunks_exact(4).flat_map(|pixel| [pixel[1], pixel[1], pixel[1], pixel[3]]);
            (PixelMode::Rgba, rgba.collect())
        }
        (ColorType::GrayscaleAlpha, _) => (PixelMode::GreyAlpha, packed),
        (ColorType::Rgb, BitDepth::Sixteen) => (PixelMode::Rgb, layout::high_bytes(&packed)),
        (ColorType::Rgb, _) => (PixelMode::Rgb, packed),
        (ColorType::Rgba, BitDepth::Sixteen) => (PixelMode::Rgba, layout::high_bytes(&packed)),
        (ColorType::Rgba, _) => (PixelMode::Rgba, packed),
    }
}
