//! PNG. Transparency by colour (tRNS), gamma and profiles are left alone, as Pillow leaves them.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, Limits};

use super::orientation::Orientation;
use super::{Fault, Picture, checked_pixels, layout};
use crate::frame::PixelMode;
use crate::study::Preprocessing;

/// Bytes that the decoder may take for itself: a row at most and what it unpacks besides the picture.
const LIMITS: Limits = Limits { bytes: 256 << 20 };

pub(super) fn decode(bytes: &[u8], _: Preprocessing) -> Result<Picture, Fault> {
    let damaged = |error: png::DecodingError| Fault::damaged("PNG", error);
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), LIMITS);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.ignore_checksums(false);
    let header = decoder.read_header_info().map_err(damaged)?;
    let size = (header.width, header.height);
    checked_pixels(size.0, size.1)?;
    let mut reader = decoder.read_info().map_err(damaged)?;
    let length = reader.output_buffer_size().ok_or_else(|| Fault::damaged("PNG", "an impossible size"))?;
    let mut packed = vec![0; length];
    let frame = reader.next_frame(&mut packed).map_err(damaged)?;
    if (frame.width, frame.height) != size {
        return Err(Fault::unsupported("an animated PNG whose first frame is a part of the picture"));
    }
    // An orientation may stand behind the pixels; what else is wrong there does no harm to them.
    let _ = reader.finish();
    let info = reader.info();
    let orientation = info.exif_metadata.as_deref().map_or(Orientation::UPRIGHT, Orientation::of_exif);
    let colours = info.palette.as_deref().unwrap_or_default();
    let (mode, samples) = interpret(packed, size, (frame.color_type, frame.bit_depth), colours);
    Ok(Picture::new(size, mode, samples).turned(orientation))
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
